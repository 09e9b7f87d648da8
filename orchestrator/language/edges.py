"""The `edges:` section: arrow chains and `routes` blocks become the ways on from each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragweave.orchestrator.checking.shape import END, START, Shape, make_shape
from ragweave.orchestrator.errors import Problem, closest
from ragweave.orchestrator.language.arrows import ArrowSyntax, parse_chain
from ragweave.orchestrator.language.report import Report, path, shown
from ragweave.orchestrator.language.spec import ExitSpec, Mark, Place, RouteSpec, Spec

ROUTES_KEYS = ("from", "routes")
ROUTE_KEYS = ("when", "to", "max_iterations")
NO_ARROW = "an edge needs an arrow"


@dataclass(slots=True)
class _Target:
    name: str
    mark: Mark
    order: int


@dataclass(slots=True)
class _Exit:
    """The ways on from a node while they are being read."""

    mark: Mark
    place: Place
    plain: list[_Target] = field(default_factory=list)
    routes: list[RouteSpec] | None = None


def read_edges(report: Report, data: Any) -> None:
    """Read `edges` into `report.spec.exits`."""
    reader = _Reader(report)
    place: Place = ("edges",)
    if not isinstance(data, (list, tuple)):
        hint = (
            "write '- start -> answer -> end'"
            if isinstance(data, (str, Mapping))
            else "such as '- start -> answer -> end'"
        )
        reader.unreadable(place, "a list of edges", data, hint)
        return
    for index, item in enumerate(data):
        if isinstance(item, str):
            reader.chain(item, (*place, index))
        elif isinstance(item, Mapping):
            reader.block(item, (*place, index))
        else:
            reader.unreadable((*place, index), "an edge such as 'a -> b', or from and routes", item)
    reader.finish()


def edges_are_sound(problems: Iterable[Problem]) -> bool:
    """True if no edge is left out of what was read, so that the shape is the one that was meant."""
    for problem in problems:
        if problem.code in ("RW100", "RW102", "RW113", "RW116", "RW120"):
            return False
        if problem.code == "RW114" and not problem.message.endswith("?"):  # with "did you mean 'x'?" x was taken
            return False
    return True


def shape_of(spec: Spec) -> Shape:
    """The shape of a graph: start, end, then nodes in the order of the file; `on_error` is a node's last route."""
    names = (START, END, *(name for name in spec.nodes if name not in (START, END)))
    exits: dict[str, list[tuple[tuple[str, ...], str | None, int | None, bool, tuple[int, ...]]]] = {}
    for source, ways in spec.exits.items():
        exits[source] = [(row.targets, row.when, row.max_iterations, False, row.orders) for row in ways.routes]
    following = max((order for rows in exits.values() for row in rows for order in row[4]), default=-1) + 1
    for name, node in spec.nodes.items():
        target = node.policies.on_error
        if target is not None and target in names:
            exits.setdefault(name, []).append(((target,), None, None, True, (following,)))
            following += 1
    return make_shape(names, exits)


class _Reader:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.spec = report.spec
        self.names = [START, END, *self.spec.nodes]
        self.known = set(self.names)
        self.exits: dict[str, _Exit] = {}
        self.order = 0
        self.seen: dict[tuple[str, str, int], Mark] = {}

    def unreadable(self, place: Place, expected: str, value: Any, hint: str = "") -> None:
        self.report.wrong_kind(place, expected, value, hint, "RW113")

    def chain(self, text: str, place: Place) -> None:
        """An arrow chain; every edge of it that can be read counts."""
        mark = self.spec.value_mark(*place)
        try:
            chain = parse_chain(text)
        except ArrowSyntax as error:
            at = self.report.within(mark, text, error.offset)
            message = f"{path(place)}: {error.message}"
            if NO_ARROW in message and self.report.character(self.spec.value_mark(*place[:-1])) == "[":
                message += "; in [ ] YAML splits at each comma: an edge that has one needs quotes"
            self.report.at(at, "RW113", message, old=error.old, new=error.new or None)
            return
        marks = {name: self.report.within(mark, text, name.offset) for group in chain.groups for name in group}
        names = {name: self.resolve(name.text, found) for name, found in marks.items()}
        for source, target in chain.pairs():
            one, other = names[source], names[target]
            if one is not None and other is not None and self.allowed(one, marks[source], other, marks[target]):
                self.plain(one, marks[source], other, marks[target], place)

    def block(self, item: Mapping[str, Any], place: Place) -> None:
        """A `from` with its `routes`."""
        if "routes" not in item and any(key in ROUTE_KEYS for key in item):
            self.stray(item, place)
            return
        item = self.report.known_keys(place, item, ROUTES_KEYS, ROUTES_KEYS)
        source = self.source(item, place)
        routes = item.get("routes")
        if "routes" not in item:
            self.report.key(place, "RW113", f"{path(place)}: 'routes' is missing; write from: and routes:")
            return
        if not isinstance(routes, (list, tuple)):
            self.unreadable((*place, "routes"), "a list of routes", routes, "write '- {when: …, to: …}'")
            return
        entries = [self.entry(entry, (*place, "routes", number)) for number, entry in enumerate(routes)]
        read = [self.route(entry, (*place, "routes", number)) for number, entry in enumerate(entries)]
        where = self.spec.mark(*place, "routes")
        if source == START:
            self.report.at(where, "RW120", "start has plain edges only; let it go to a node that has the routes")
            return
        self.ends_open(entries, (*place, "routes"), source)
        if source is not None:
            self.take_routes(source, read, place)

    def take_routes(self, source: str, read: Sequence[RouteSpec | None], place: Place) -> None:
        mark = self.spec.mark(*place)
        known = self.exits.get(source)
        if known is not None:
            what = "a routes block" if known.routes is not None else "plain edges"
            line = f" (line {known.mark.line})" if known.mark.line else ""
            self.report.at(
                self.spec.value_mark(*place, "from"), "RW116",
                f"{source!r} has {what} already{line}; a node has plain edges or one routes block",
            )  # fmt: skip
            return
        made = []
        for number, route in enumerate(read):
            if route is None:
                continue
            targets = list(zip(route.targets, route.target_marks, strict=True))
            kept = [(name, at) for name, at in targets if self.fresh(source, name, at, route=number)]
            if kept:
                names, marks = zip(*kept, strict=True)
                orders = tuple(self.next() for _ in kept)
                made.append(route._replace(targets=names, target_marks=marks, orders=orders))
        self.exits[source] = _Exit(mark, place, routes=made)

    def entry(self, entry: Any, place: Place) -> Mapping[str, Any] | None:
        if isinstance(entry, Mapping):
            return self.report.known_keys(place, entry, ROUTE_KEYS, ("to",))
        hint = f"write {{to: {entry}}}" if isinstance(entry, str) else "write {when: …, to: …}"
        self.unreadable(place, "a route", entry, hint)
        return None

    def route(self, entry: Mapping[str, Any] | None, place: Place) -> RouteSpec | None:
        if entry is None:
            return None
        when, bound = self.when(entry, place), self.bound(entry, place)
        if "to" not in entry:
            self.report.key(place, "RW113", f"{path(place)}: 'to' is missing: the node, or list of nodes, to go to")
            return None
        targets = self.targets(entry["to"], (*place, "to"))
        names = tuple(name for name, _ in targets)
        return RouteSpec(names, when, bound, place, tuple(mark for _, mark in targets))

    def when(self, entry: Mapping[str, Any], place: Place) -> str | None:
        text = entry.get("when")
        if "when" not in entry:
            return None
        word = text.strip() if isinstance(text, str) else text
        if isinstance(text, str) and word not in ("", "true", "false"):
            return text
        hint = "such as verdict.passed"
        if word in (True, "true", None, ""):
            hint = "leave 'when' out for a route that is always taken"
        elif word in (False, "false"):
            hint = "leave a route out that is never taken"
        self.report.wrong_kind((*place, "when"), "a condition", text, hint)
        return "true"

    def bound(self, entry: Mapping[str, Any], place: Place) -> int | None:
        number = entry.get("max_iterations")
        if "max_iterations" not in entry:
            return None
        if isinstance(number, int) and not isinstance(number, bool) and number >= 1:
            return number
        self.report.value(
            (*place, "max_iterations"), "RW119",
            f"{path((*place, 'max_iterations'))}: expected a whole number, at least 1, found {shown(number)}",
        )  # fmt: skip
        return 1

    def targets(self, to: Any, place: Place) -> list[tuple[str, Mark]]:
        items = list(to) if isinstance(to, (list, tuple)) else [to]
        if not items:
            self.unreadable(place, "a node or a list of nodes", to)
        found: list[tuple[str, Mark]] = []
        for index, name in enumerate(items):
            where = (*place, index) if isinstance(to, (list, tuple)) else place
            mark = self.spec.value_mark(*where)
            if not isinstance(name, str):
                self.unreadable(where, "a node's name", name)
            elif "," in name or ">" in name:
                listed = ", ".join(part.strip() for part in name.replace("->", ",").split(",") if part.strip())
                self.report.at(
                    mark, "RW113", f"{path(where)}: {name!r} is not a node's name; several are written [{listed}]"
                )
            else:
                known = self.resolve(name, mark)
                if known == START:
                    self.report.at(mark, "RW120", "no edge goes into start; go to the first node instead")
                elif known is not None:
                    found.append((known, mark))
        return found

    def ends_open(self, routes: Sequence[Mapping[str, Any] | None], place: Place, source: str | None) -> None:
        """R1: the last route, and no other, has neither condition nor bound."""
        of = f" of {source!r}" if source else ""
        if not routes:
            self.report.key(place, "RW117", f"the routes{of} are empty; write at least '- {{to: end}}'")
            return
        conditional = [entry is None or bool(set(entry) - {"to"}) for entry in routes]
        for number, is_conditional in enumerate(conditional[:-1]):
            if not is_conditional:
                line = self.spec.mark(*place, number).line
                at = f" (line {line})" if line else ""
                message = f"this route{of} is never taken: the one before{at} has no condition; put that one last"
                self.report.key((*place, number + 1), "RW118", message)
                return
        self.same_again(routes, place, of)
        if conditional[-1] and routes[-1] is not None:
            rule = "must have neither 'when' nor 'max_iterations', so that there is always a way on"
            message = f"the last route{of} {rule}; add '- {{to: …}}'"
            self.report.key((*place, len(routes) - 1), "RW117", message)

    def same_again(self, routes: Sequence[Mapping[str, Any] | None], place: Place, of: str) -> None:
        """A condition that failed on one route of a node fails on the next as well; one with a bound may be used up."""
        failed: dict[str, int] = {}
        for number, entry in enumerate(routes):
            when = entry.get("when") if entry is not None else None
            if not isinstance(when, str) or not when.strip():
                continue
            if when.strip() in failed:
                line = self.spec.mark(*place, failed[when.strip()]).line
                at = f" (line {line})" if line else ""
                message = f"this route{of} is never taken: one before{at} has the same condition; remove one"
                self.report.value((*place, number, "when"), "RW118", message)
            elif entry is not None and "max_iterations" not in entry:
                failed[when.strip()] = number

    def source(self, item: Mapping[str, Any], place: Place) -> str | None:
        name = item.get("from")
        where = (*place, "from")
        if "from" not in item:
            self.report.key(place, "RW113", f"{path(place)}: 'from' is missing: the node whose routes these are")
            return None
        if not isinstance(name, str):
            self.unreadable(where, "one node's name", name)
            return None
        mark = self.spec.value_mark(*where)
        known = self.resolve(name, mark)
        if known == END:
            self.report.at(mark, "RW120", "no edge leaves end")
            return None
        return known

    def stray(self, item: Mapping[str, Any], place: Place) -> None:
        """What belongs into a route stands beside `from`."""
        said = [key for key in item if key in ROUTE_KEYS]
        hint = f"write '{item.get('from', 'a')} -> {item['to']}'" if said == ["to"] else "put it under routes:"
        self.report.key((*place, said[0]), "RW113", f"{path(place)}: {said[0]!r} belongs into a route; {hint}")

    def resolve(self, name: str, mark: Mark) -> str | None:
        """The node of this name; of a misspelt one the nearest, so that no other problem follows from it."""
        if name in self.known:
            return name
        message = f"{path(('edges',))}: there is no node {name!r}"
        self.report.unknown(mark, "RW114", message, name, self.names)
        return closest(name, self.names)

    def allowed(self, source: str, at: Mark, target: str, target_at: Mark) -> bool:
        if target == START:
            self.report.at(target_at, "RW120", "no edge goes into start; go to the first node instead")
        elif source == END:
            self.report.at(at, "RW120", "no edge leaves end")
        else:
            return True
        return False

    def plain(self, source: str, at: Mark, target: str, target_at: Mark, place: Place) -> None:
        known = self.exits.get(source)
        if known is not None and known.routes is not None:
            line = f" (line {known.mark.line})" if known.mark.line else ""
            message = f"{source!r} has a routes block already{line}; a node has plain edges or one routes block"
            self.report.at(at, "RW116", message)
            return
        if self.fresh(source, target, target_at):
            exit_ = self.exits.setdefault(source, _Exit(at, place))
            exit_.plain.append(_Target(target, target_at, self.next()))

    def fresh(self, source: str, target: str, mark: Mark, *, route: int = 0) -> bool:
        """True if no edge of the same way on leads there yet; two routes of a node may share a target."""
        first = self.seen.get((source, target, route))
        if first is None:
            self.seen[source, target, route] = mark
            return True
        line = f" (line {first.line})" if first.line else ""
        self.report.at(mark, "RW115", f"the edge {source} -> {target} stands twice{line}")
        return False

    def next(self) -> int:
        self.order += 1
        return self.order - 1

    def finish(self) -> None:
        for source, known in self.exits.items():
            if known.routes is not None:
                self.spec.exits[source] = ExitSpec(source, tuple(known.routes), False, known.mark)
                continue
            row = RouteSpec(
                tuple(target.name for target in known.plain), None, None, known.place,
                tuple(target.mark for target in known.plain), tuple(target.order for target in known.plain),
            )  # fmt: skip
            self.spec.exits[source] = ExitSpec(source, (row,), True, known.mark)
        self.errors_lead_on()

    def errors_lead_on(self) -> None:
        """`on_error` names a node that is there; a misspelt one counts as what was meant."""
        for name, node in list(self.spec.nodes.items()):
            target = node.policies.on_error
            if target is None or target in self.known:
                continue
            place = ("nodes", name, "on_error")
            message = f"{path(place)}: there is no node {target!r}"
            self.report.unknown(self.spec.value_mark(*place), "RW114", message, target, self.names)
            policies = node.policies.model_copy(update={"on_error": closest(target, self.names)})
            self.spec.nodes[name] = node._replace(policies=policies)
