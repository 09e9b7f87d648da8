"""Settings become nodes: types are looked up, settings validated, names of resources resolved."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.errors import Problem, RagweaveError, closest, did_you_mean
from ragweave.orchestrator.language.environment import references, resolve
from ragweave.orchestrator.language.names import circles, names_in
from ragweave.orchestrator.language.reasons import told
from ragweave.orchestrator.language.references import check_missing, check_references, check_secrets, secret_fields
from ragweave.orchestrator.language.report import Report, path, shown
from ragweave.orchestrator.language.spec import NodeSpec, Place, Spec
from ragweave.orchestrator.language.validating import report_errors
from ragweave.orchestrator.naming import Uses
from ragweave.orchestrator.node import POLICIES, Node, node_type
from ragweave.orchestrator.resources import Resources

BESIDE = ("type", *POLICIES)
"""What stands beside the settings of a node."""
PLUGINS = "; one of a plugin needs --plugin my_nodes.py, or [tool.ragweave] plugins in pyproject.toml"


def bind(spec: Spec, resources: Resources) -> tuple[dict[str, BoundNode], list[Problem]]:
    """The built nodes of a graph by name, and the problems of their settings and of the resources.

    A node with an error is left out. `spec.nodes` get the nodes that were built.
    """
    from ragweave.orchestrator.language.members import bind_node  # it builds fallbacks with this module

    report = Report(spec)
    check_resources(report, resources)
    bound = {}
    builder = Builder(report, resources)
    for name, entry in list(spec.nodes.items()):
        kind, node = builder.node(entry)
        if kind is None:
            continue
        if node is None:
            if kind.signature is Node.signature:  # its keys are known all the same: look at its policies too
                bind_node(builder, entry, kind.model_construct(), partial=True)
            continue
        spec.nodes[name] = entry._replace(node=node)
        made = bind_node(builder, entry, node)
        if made is not None:
            bound[name] = made
    if spec.approval:
        from ragweave.orchestrator.language.approvals import check_approval  # for graphs with a policy

        check_approval(report)
    if spec.overrides:
        from ragweave.orchestrator.language.overrides import check_overrides  # for graphs that allow any

        check_overrides(report)
    if spec.settings:
        from ragweave.orchestrator.language.recipes import check_settings  # for graphs that are node types

        check_settings(report)
    if spec.budget is not None or any(one.policies.budget is not None for one in bound.values()):
        from ragweave.orchestrator.language.budgets import check_budgets  # few graphs have one

        check_budgets(report, bound, resources)
    return bound, report.sorted()


def check_resources(report: Report, resources: Resources) -> None:
    """Validate the settings of every declared resource; none is built or opened."""
    builder = Builder(report, resources)
    named: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for (kind, name), declared in report.spec.resources.items():
        place: Place = (kind, name) if kind != "stores" else (name,)
        if not declared.type:
            continue
        found = declared.implementation
        if found is None:
            found = builder.find(kind, declared.type, place)
        if found is None or (found is declared.implementation and not isinstance(found, type)):
            continue  # an object has its settings already
        check_references(report, declared.settings, place, strict=True)
        unresolved = check_missing(report, declared.settings, place, resources.environ, needed=False)
        if isinstance(found, type) and issubclass(found, BaseModel):
            check_secrets(report, declared.settings, place, found)
            made = builder.validate(found, declared.settings, place, skip=unresolved, beside=("type",))
            if made is not None and not unresolved:
                builder.together(made, declared.settings, place)
                builder.guard(declared.settings.get("guard"), place)
                if kind == "prompts":
                    builder.read_prompt(name, place)
            builder.names(found, declared.settings, place)
            mentioned = ((one.kind, one.name) for one in names_in(found, declared.settings))
            named[kind, name] = [one for one in mentioned if one in report.spec.resources]
    for circle in circles(named):
        way = " -> ".join(path(one) for one in circle)
        report.key(circle[0], "RW310", f"{path(circle[0])}: resources name one another in a circle: {way}")


@dataclass(slots=True)
class Builder:
    """Builds nodes out of their settings, and says what is wrong with them."""

    report: Report
    resources: Resources
    dollars: bool = field(init=False)
    """True if a setting may refer to the environment."""

    def __post_init__(self) -> None:
        text = self.report.spec.text
        self.dollars = "$" in text or not text

    def node(self, entry: NodeSpec) -> tuple[type[Node] | None, Node | None]:
        """The class of an entry of `nodes`, and the node that it declares; None where a problem was said."""
        place: Place = ("nodes", entry.name)
        implementation = entry.implementation
        if isinstance(implementation, Node):
            self.extra(entry.settings, place)
            return type(implementation), implementation
        if implementation is not None:
            kind = self.class_of(implementation, place)
        elif entry.type:
            kind = self.find("nodes", entry.type, place)
        else:
            return None, None
        return kind, None if kind is None else self.build(kind, entry.settings, place)

    def extra(self, settings: Iterable[str], place: Place) -> None:
        """A Node given in Python has its settings already."""
        for name in settings:
            message = f"{path(place)}: setting {name!r} stands beside a Node, which has its settings; give its class"
            self.report.key((*place, name), "RW103", message)

    def find(self, kind: str, name: str, place: Place) -> Any | None:
        """The class registered under this name; None if there is none, or it cannot be imported."""
        where = (*place, "type")
        try:
            found = registry.find(kind, name)
        except Exception as error:  # a plugin may raise anything while it is imported
            reason = told(error)
            self.report.value(where, "RW111", f"{path(where)}: {name!r} cannot be loaded: {reason}")
            return None
        if found is not None and kind == "nodes":
            return self.class_of(found, where)
        if found is None:
            known = registry.names(kind)
            message = f"{path(place)}: unknown {_singular(kind)} type {name!r}" + (
                "" if known else "; none is registered"
            )
            if closest(name, known) is None:
                message += did_you_mean(name, known) + PLUGINS
            self.report.unknown(
                self.report.spec.value_mark(*where), "RW111", message, name, known if PLUGINS not in message else ()
            )
        return found

    def class_of(self, thing: Any, place: Place) -> type[Node] | None:
        """The Node class of what was given in Python, or of what a plugin registered."""
        if isinstance(thing, type) and issubclass(thing, Node):
            return thing
        if callable(thing) and not isinstance(thing, type):
            try:
                return node_type(thing)
            except (TypeError, RagweaveError) as error:
                self.report.value(place, "RW111", f"{path(place)}: {error}")
                return None
        self.report.value(place, "RW111", f"{path(place)}: {thing!r} is neither a Node class nor a function")
        return None

    def build(
        self,
        kind: type[Node],
        given: Mapping[str, Any],
        place: Place,
        *,
        inherited: Mapping[str, Any] | None = None,
        beside: Sequence[str] = BESIDE,
        partial: bool = False,
    ) -> Node | None:
        """A node of the settings `given` at `place` over those `inherited`; None if a problem was said.

        `partial` if settings that are not given may be wrong: then they are not judged.
        """
        count = len(self.report.problems)
        if self.dollars and given:
            check_references(self.report, given, place, strict=False)
            if check_missing(self.report, given, place, self.resources.environ, needed=True):
                return None
        if secret_fields(kind):
            check_secrets(self.report, given, place, kind)
        settings = {**inherited, **given} if inherited and not partial else given
        skip = (set(kind.model_fields) | set(inherited or ())) - set(given) if partial else ()
        made: Node | None = self.validate(kind, settings, place, skip=skip, beside=beside)
        self.names(kind, given, place, defaults=not inherited)
        failed = any(problem.severity == "error" for problem in self.report.problems[count:])
        return None if failed else made

    def validate(
        self,
        kind: type[BaseModel],
        settings: Mapping[str, Any],
        place: Place,
        *,
        skip: Iterable[str] = (),
        beside: Sequence[str] = (),
    ) -> Any:
        """An instance, or None if a problem was said. Settings in `skip` have no value yet."""
        skipped = set(skip)
        values: Mapping[str, Any] = settings
        if self.dollars:
            known = {key: value for key, value in settings.items() if key not in skipped}
            values = resolve(known, self.resources.environ, path(place))
        try:
            # A type without settings needs no validator, and the first one that is built costs 20 ms.
            made = kind.model_validate(values) if values or kind.model_fields else kind.model_construct()
        except ValidationError as error:
            report_errors(self.report, error, place, kind, beside=beside, skip=skipped, secrets=secret_fields(kind))
            return None
        except Exception as error:  # a validator of a plugin may raise anything
            from ragweave.orchestrator.language.faults import tell_faults  # for what cannot be made

            if tell_faults(self.report, place, error):
                return None
            self.report.key(place, "RW128", f"{path(place)}: {told(error)}")
            return None
        return made if self.bools(values, place, made) else None

    def together(self, made: Any, settings: Mapping[str, Any], place: Place) -> None:
        """Say if settings of a resource that are right each by itself are not so together, or name useless files."""
        folder = self.resources.folder
        for name, given, code in (("check_settings", (), "RW305"), ("check_files", (folder,), "RW307")):
            check = getattr(made, name, None)
            if check is None:
                continue
            try:
                check(*given)
            except Exception as error:  # one of a plugin may raise anything
                depends = next(references(settings), None) is not None  # then on another machine it may be right
                said = told(error)
                self.report.key(place, code, f"{path(place)}: {said}", severity="warning" if depends else "error")

    def guard(self, guard: Any, place: Place) -> None:
        """Say which checks around a resource would have to wait for a person."""
        if not isinstance(guard, Mapping):
            return
        from ragweave.orchestrator.guardrails.guards import cannot_ask  # for those who have guards

        for side, names in guard.items():
            for index, name in enumerate(names):
                if getattr(self.resources.as_declared("checks", name), "action", "") == "ask":
                    where = (*place, "guard", side, index)
                    self.report.value(where, "RW305", f"{path(where)}: {cannot_ask(name)}")

    def read_prompt(self, name: str, place: Place) -> None:
        """Open a prompt, which reads its file: what is wrong with it is told whether or not a node uses it."""
        try:
            self.resources.get("prompts", name)
        except RagweaveError as error:
            from ragweave.orchestrator.language.faults import tell_faults  # for prompts with faults

            cause = error.__context__ if hasattr(error.__context__, "problems") else error
            if not tell_faults(self.report, place, cause):
                said = f"{path(place)}: {error.message.removeprefix(f'{path(place)}: ')}"
                self.report.value((*place, "file"), "RW130", f"{said}; {error.hint}" if error.hint else said)
                self.report.faulty.add(("prompts", name))

    def bools(self, values: Mapping[str, Any], place: Place, made: Any) -> bool:
        """`top_k: true` is a mistake; pydantic would take it for 1."""
        good = True
        for name, value in values.items():
            if isinstance(value, bool) and type(getattr(made, name, value)) in (int, float):
                where = (*place, name)
                self.report.value(where, "RW106", f"{path(where)}: expected a number, found {shown(value)}")
                good = False
        return good

    def names(self, kind: type[BaseModel], settings: Mapping[str, Any], place: Place, *, defaults: bool = True) -> None:
        """Every setting that names a resource (contracts.Uses) names one that is there; so do its defaults."""
        for name_, uses in used_resources(kind).items():
            info = kind.model_fields[name_]
            key = info.alias or name_
            given = settings.get(key, settings.get(name_))
            default = info.default if given is None and defaults and isinstance(info.default, str) else ""
            if default and not self.declared(uses, default):
                self.absent(uses, default, place, key, default=True)
        for one in names_in(kind, settings):
            if not self.declared(one.kind, one.name):
                self.absent(one.kind, one.name, (*place, *one.place), str(one.place[0]), is_key=one.is_key)

    def declared(self, kind: str, name: str) -> bool:
        """True if a resource of this name is declared, was put there by the program, or is a registered type."""
        return (
            (kind, name) in self.report.spec.resources
            or self.resources.built(kind, name) is not None
            or (name in registry.names(kind) and self.plain(kind, name))
        )

    def plain(self, kind: str, name: str) -> bool:
        """True if a registered type can be used without being declared: it needs no settings."""
        try:
            return not required_settings(registry.find(kind, name))
        except Exception:  # what cannot be imported is said when it is built, with the reason
            return True

    def absent(
        self, kind: str, name: str, where: Place, key: str, *, default: bool = False, is_key: bool = False
    ) -> None:
        """Say that a resource is not there."""
        one = _singular(kind)
        mark = self.report.spec.mark(*where) if is_key else self.report.spec.value_mark(*where)
        if name in registry.names(kind):
            needs = ", ".join(required_settings(registry.find(kind, name)))
            message = f"{path(where)}: {one} {name!r} needs settings ({needs}); declare it under {kind}"
            self.report.at(mark, "RW304", message)
            return
        own = [other for other_kind, other in self.report.spec.resources if other_kind == kind]
        candidates = [*own, *(other for other in registry.names(kind) if self.plain(kind, other))]
        if default:
            message = f"{path(where)}: {key!r} is {name!r} unless it is given, and there is no {one} {name!r}"
            self.report.key(
                where, "RW304", message + (f"; there is: {', '.join(sorted(candidates))}" if candidates else "")
            )
            return
        message = f"{path(where)}: there is no {one} {name!r}"
        hint = "" if candidates else f"; declare it under {kind}"
        self.report.unknown(mark, "RW304", message + hint, name, candidates)


@cache
def used_resources(kind: type[BaseModel]) -> dict[str, str]:
    """The settings of a class that name resources, with the kind of each."""
    found = {}
    for name, info in kind.model_fields.items():
        marks = [mark for mark in info.metadata if isinstance(mark, Uses)] or list(_marks(info.annotation))
        if marks:
            found[name] = marks[0].kind
    return found


def required_settings(thing: Any) -> list[str]:
    """The settings without which a type cannot be built."""
    if not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return []
    return [info.alias or name for name, info in thing.model_fields.items() if info.is_required()]


def _marks(annotation: Any) -> Iterable[Uses]:
    if typing.get_origin(annotation) is typing.Annotated:
        yield from (mark for mark in annotation.__metadata__ if isinstance(mark, Uses))
    for inner in typing.get_args(annotation):
        yield from _marks(inner)


def _singular(kind: str) -> str:
    return "memory" if kind == "memories" else kind.removesuffix("s")
