"""A plan: everything that the graph alone decides, decided once. The run path only looks things up by number."""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode, Checked, Member
from ragweave.orchestrator.checking.shape import Shape
from ragweave.orchestrator.checking.structure import Structure
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.node import FunctionNode
from ragweave.orchestrator.running.accepting import Slot, accept, slots
from ragweave.orchestrator.running.events import Event, call_path
from ragweave.orchestrator.running.run import Parked, Runner
from ragweave.orchestrator.running.state import Merge, origin_bit
from ragweave.orchestrator.running.waiting import failure_of, in_thread
from ragweave.orchestrator.running.wrappers import wrapped
from ragweave.orchestrator.types import Type
from ragweave.orchestrator.values import Ask, Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.condition import Condition


@dataclass(frozen=True, slots=True)
class Way:
    """One way on from a node. `targets` are (edge, node) pairs; a back edge has `back` instead, the header it goes
    to."""

    index: int
    targets: tuple[tuple[int, int], ...]
    condition: Condition | None
    bound: int | None
    bound_index: int
    back: int
    ends: tuple[int, ...]
    """The headers of the loops that it leaves."""
    others: tuple[int, ...]
    """Edges that die when it is chosen: the node's other forward edges that leave no loop."""
    error: bool


@dataclass(frozen=True, slots=True)
class Loop:
    """What going back to a header resets."""

    body: frozenset[int]
    edges: tuple[int, ...]
    needs: tuple[tuple[int, int], ...]
    inner_bounds: tuple[int, ...]
    keys: tuple[str, ...]


class Step:
    """A node, ready to run."""

    __slots__ = (
        "always", "args", "bound", "clears", "direct", "error_way", "forward", "header", "index", "labelled", "logs",
        "name", "nested", "next", "only", "origin", "reads", "runner", "single", "ways", "written",
    )  # fmt: skip

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = name
        self.bound: BoundNode | None = None
        self.ways: tuple[Way, ...] = ()
        self.only: Way | None = None
        """The way of a node that has no choice."""
        self.error_way: Way | None = None
        self.forward: tuple[int, ...] = ()
        """Its forward edges that leave no loop: they die when it is skipped."""
        self.header = False
        self.next = -1
        """The node that simply follows, where nothing needs bookkeeping; else -1."""
        self.nested = False
        """True if it runs another graph, whose walker journals its own asks."""
        self.labelled = False
        """True if it is kept beside a call whose words what it reads are."""
        self.origin = 0
        self.clears = 0
        """The origins that what it writes has no longer, whatever it has read."""
        self.reads: tuple[tuple[str, bool], ...] = ()
        """State keys to read and whether they must be there."""
        self.direct: Callable[..., Any] | None = None
        """An async function to call with keyword arguments, for a node without policies whose reads are sure."""
        self.args: tuple[tuple[str, str], ...] = ()
        self.runner: Runner | None = None
        """Calls the node with all its policies."""
        self.written: dict[str, Slot] = {}
        """For a direct call: the name in the result to the state key and the classes that it may have."""
        self.always: frozenset[str] = frozenset()
        self.single: tuple[str, str, tuple[type, ...] | None] | None = None
        self.logs: frozenset[str] = frozenset()
        """The keys among those written that accumulate."""


class Plan:
    """A graph, ready to run any number of times at once."""

    __slots__ = (
        "bound_count", "budgeted", "edge_count", "edge_targets", "exits", "keys", "logs", "loops", "merges", "need",
        "outputs", "reach_cache", "shape", "spec", "steps",
    )  # fmt: skip

    def __init__(self, spec: Spec, shape: Shape, structure: Structure, keys: Mapping[str, Type]) -> None:
        self.spec = spec
        self.shape = shape
        self.keys = dict(keys)
        self.outputs = spec.outputs
        self.logs = frozenset(key for key, declared in spec.state.items() if declared.accumulate)
        self.merges: dict[str, Merge] = {
            key: registry.get("merges", declared.merge) for key, declared in spec.state.items() if declared.merge
        }
        self.edge_count = len(shape.edges)
        self.edge_targets = [edge.target for edge in shape.edges]
        waiting = [sum(edge not in structure.back for edge in entering) for entering in shape.into]
        self.need = array("i", waiting)
        self.exits = _exits(shape, structure)
        self.steps = [Step(index, name) for index, name in enumerate(shape.names)]
        self.bound_count = 0
        self.budgeted = spec.budget is not None
        """True if it, a node of it, or a graph inside it has a budget."""
        self.loops: dict[int, Loop] = {}
        self.reach_cache: list[int] | None = None

    @property
    def reach(self) -> Sequence[int]:
        """For each node a set of bits: the nodes to which a forward path leads. Made at the first join that needs
        it."""
        if self.reach_cache is None:
            self.reach_cache = _reach(self.shape, self.steps)
        return self.reach_cache


def make_plan(checked: Checked) -> Plan:
    """The plan of a checked graph. Raises GraphError if the check found errors."""
    if not checked.ok or checked.shape is None or checked.structure is None:
        raise GraphError(checked.problems)
    shape, structure = checked.shape, checked.structure
    plan = Plan(checked.spec, shape, structure, checked.keys)
    for step in plan.steps:
        _wire(plan, step, structure, checked.conditions)
    for header, body in structure.loops.items():
        plan.loops[header] = _loop(plan, structure, header, body, checked.nodes)
        plan.steps[header].header = True
    for step in plan.steps:
        _shortcut(plan, step, structure)
        if step.name in checked.nodes:
            _bind(plan, step, checked.nodes[step.name])
            plan.budgeted = plan.budgeted or _budgeted(checked.nodes[step.name])
    return plan


def with_nodes(plan: Plan, nodes: Mapping[str, BoundNode]) -> Plan:
    """The same plan, but with these nodes, which read and write what those read and write whose names they have."""
    other = copy(plan)
    other.steps = list(plan.steps)
    for at, step in enumerate(plan.steps):
        if step.name in nodes:
            other.steps[at] = changed = copy(step)
            changed.direct = changed.single = None
            _bind(other, changed, nodes[step.name])
    return other


def _budgeted(bound: BoundNode) -> bool:
    inner = (member.node.plan for member in bound.members if member.node.nested)  # type: ignore[attr-defined]
    return bound.policies.budget is not None or any(plan.budgeted for plan in inner)


def _exits(shape: Shape, structure: Structure) -> dict[int, tuple[int, ...]]:
    """For each header the edges that leave its loop and no loop around it: they die when the loop ends (R7)."""
    found: dict[int, list[int]] = {header: [] for header in structure.loops}
    for edge in shape.edges:
        left = structure.leaves(edge.source, edge.target) if edge.number not in structure.back else ()
        if left:
            found[left[0]].append(edge.number)
    return {header: tuple(edges) for header, edges in found.items()}


def _wire(plan: Plan, step: Step, structure: Structure, conditions: Mapping[tuple[int, int], Condition]) -> None:
    shape = plan.shape
    leaving = {edge: structure.leaves(step.index, shape.edges[edge].target) for edge in shape.out[step.index]}
    step.forward = tuple(edge for edge, left in leaving.items() if edge not in structure.back and not left)
    ways = []
    for index, route in enumerate(shape.routes[step.index]):
        back = -1
        if len(route.edges) == 1 and route.edges[0] in structure.back:
            back = shape.edges[route.edges[0]].target
        bound_index = -1
        if route.bound is not None:
            bound_index = plan.bound_count
            plan.bound_count += 1
        ends = dict.fromkeys(header for edge in route.edges for header in leaving[edge])
        ways.append(
            Way(
                index=index,
                targets=() if back >= 0 else tuple((edge, shape.edges[edge].target) for edge in route.edges),
                condition=conditions.get((step.index, index)),
                bound=route.bound,
                bound_index=bound_index,
                back=back,
                ends=tuple(ends),
                others=tuple(edge for edge in step.forward if edge not in route.edges),
                error=route.error,
            )
        )
    step.ways = tuple(way for way in ways if not way.error)
    step.error_way = next((way for way in ways if way.error), None)
    if len(step.ways) == 1 and step.ways[0].condition is None and step.ways[0].bound is None:
        step.only = step.ways[0]


def _shortcut(plan: Plan, step: Step, structure: Structure) -> None:
    """A single edge to a node that nothing else leads to needs no bookkeeping: its target's count is never looked
    at."""
    if step.only is not None and len(step.only.targets) == 1 and not step.only.ends and not step.only.others:
        target = step.only.targets[0][1]
        if plan.need[target] == 1:
            step.next = target


def _loop(plan: Plan, structure: Structure, header: int, body: frozenset[int], nodes: Mapping[str, BoundNode]) -> Loop:
    shape = plan.shape
    inside = [edge.number for edge in shape.edges if edge.source in body]
    inner = {other for other in structure.loops if other in body and other != header}
    bounds = [
        way.bound_index for node in body for way in plan.steps[node].ways if way.bound is not None and way.back in inner
    ]
    keys: dict[str, None] = {}
    for node in sorted(body):
        bound = nodes.get(shape.names[node])
        keys.update(dict.fromkeys(bound.written) if bound else {})
        if plan.steps[node].error_way is not None:
            keys["error"] = None
    return Loop(
        body=body,
        edges=tuple(inside),
        needs=tuple((node, plan.need[node]) for node in sorted(body) if node != header),
        inner_bounds=tuple(bounds),
        keys=tuple(keys),
    )


def _reach(shape: Shape, steps: Sequence[Step]) -> list[int]:
    forward = [
        [edge for way in (*step.ways, *filter(None, (step.error_way,))) for edge in way.targets] for step in steps
    ]
    reach = [-1] * len(steps)
    for root in range(len(steps)):
        stack = [root]
        while stack:
            node = stack[-1]
            waiting = [target for _, target in forward[node] if reach[target] < 0]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            mask = 0
            for _, target in forward[node]:
                mask |= reach[target] | 1 << target
            reach[node] = mask
    return reach


def _bind(plan: Plan, step: Step, bound: BoundNode) -> None:
    step.bound = bound
    own = bound.members[0]
    step.origin = _origin(bound)
    step.nested = any(member.node.nested for member in bound.members)
    step.clears = _cleared(bound)
    step.labelled = step.nested or any(member.node.calls_tools for member in bound.members)
    step.reads = tuple((key, True) for key in sorted(bound.required)) + tuple(
        (key, False) for key in sorted(bound.optional)
    )
    step.logs = frozenset(bound.written) & plan.logs
    step.runner = wrapped(bound, [_caller(bound, member, plan) for member in bound.members], plan.keys)
    function = _async_function(own)
    plain = own.policies
    if (
        function is not None
        and len(bound.members) == 1
        and own.node.effects == "none"
        and not own.node.wants_context
        and not step.clears
        and not bound.optional
        and plain.map is None
        and not plain.retry
        and plain.timeout is None
        and plain.budget is None
        and plain.cache is None
        and plain.interrupt is None
    ):
        step.direct = function
        step.args = tuple(own.reads.items())
    step.written = slots(own)
    step.always = frozenset(name for name, write in own.signature.writes.items() if write.certain)
    if len(step.written) == 1 and len(step.always) == 1:
        name, slot = next(iter(step.written.items()))
        if slot.key not in step.logs and slot.items is None:
            step.single = (name, slot.key, slot.classes)


def _async_function(member: Member) -> Callable[..., Any] | None:
    node = member.node
    function = node.function if isinstance(node, FunctionNode) else node.__call__
    return function if inspect.iscoroutinefunction(function) else None


def _origin(bound: BoundNode) -> int:
    """Whose words a node may add (R9): its own and its fallbacks'; of a graph, those of all its nodes."""
    mask = 0
    for member in bound.members:
        mask |= origin_bit(member.node.origin)
        inner = getattr(member.node, "plan", None) if member.node.nested else None
        if isinstance(inner, Plan):
            for step in inner.steps:
                mask |= step.origin
    return mask


def _cleared(bound: BoundNode) -> int:
    """The origins that each of its members takes from what it writes."""
    mask = -1
    for member in bound.members:
        mine = 0
        for name in member.node.cleared():
            mine |= origin_bit(name)
        mask &= mine
    return mask


def _caller(bound: BoundNode, member: Member, plan: Plan) -> Runner:
    """One plain call of a member: state keys to parameters, result to state keys."""
    node = member.node
    function: Any = node.function if isinstance(node, FunctionNode) else node.__call__
    is_async = inspect.iscoroutinefunction(function)
    inline, nested, wants_context = node.inline, node.nested, node.wants_context
    arguments = tuple(member.reads.items())
    sources = dict(member.reads)
    if bound.policies.map is not None:
        sources[bound.policies.map.as_] = bound.policies.map.over
    written = slots(member)
    always = frozenset(name for name, write in member.signature.writes.items() if write.certain)
    shown = node.type_name or type(node).__name__

    async def call(values: Mapping[str, Any], ctx: Context) -> Any:
        if ctx.run is not None and ctx.run.pending and ctx.path in ctx.run.pending:
            return Parked([(ctx.path, ctx.run.pending[ctx.path])])
        keywords = {parameter: values[key] for parameter, key in arguments if key in values}
        if ctx.item_value is not None:
            keywords[ctx.item_value[0]] = ctx.item_value[1]
        before = ctx.used
        try:
            if nested:
                result = await node.enter(keywords, ctx, _origins(ctx, sources))  # type: ignore[attr-defined]
            else:
                if wants_context:
                    keywords["ctx"] = ctx
                if is_async or inline:
                    result = function(**keywords)
                else:
                    result = await in_thread(function, keywords)
                if inspect.isawaitable(result):
                    result = await result
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            raise failure_of(shown, error) from error
        finally:
            if ctx.used is not before:
                _note_usage(ctx, before)
        accepted = accept(shown, result, written, always)
        return Parked([(ctx.path, accepted)]) if isinstance(accepted, Ask) else accepted

    return call


def _origins(ctx: Context, sources: Mapping[str, str]) -> dict[str, int]:
    """The origins of what a graph is given, by the names of its inputs."""
    known = ctx.run.origins.get(call_path(ctx.frame, ctx.node, ctx.visit), {}) if ctx.run is not None else {}
    return {parameter: known.get(key, 0) for parameter, key in sources.items()}


def _note_usage(ctx: Context, before: Usage) -> None:
    """Journal what a call has used, so that a resumed run knows of it."""
    if ctx.run is not None:
        data = ctx.used.since(before).model_dump(mode="json", exclude_defaults=True)
        ctx.run.journal(Event("used", ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))
