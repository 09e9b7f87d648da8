"""Words of others on their way to effects and system prompts: trust labels, followed before the first call.

The engine keeps with each value whose words it is made of (R9). Here the same is worked out for every way through the
graph: which origins a key may have where a node reads it, to a fixpoint over loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ragweave.orchestrator.approvals import in_words
from ragweave.orchestrator.checking.bound import BoundNode, Checked, Member
from ragweave.orchestrator.checking.places import Findings
from ragweave.orchestrator.checking.reachable import PRIVATE, reachable
from ragweave.orchestrator.checking.shape import END, START
from ragweave.orchestrator.language.spec import Mark, Spec
from ragweave.orchestrator.lending import Lent
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.labels import OTHERS, USER, untrusted
from ragweave.orchestrator.running.state import origin_bit

Masks = dict[str, int]
"""The origins that each state key may have."""


class Fault(NamedTuple):
    """Words of others reach something: at which node, and in which of its settings or reads."""

    code: str
    node: str
    place: tuple[str, str]
    message: str


def check_trust(findings: Findings, checked: Checked, nodes: Mapping[str, BoundNode], resources: Resources) -> None:
    """Note where untrusted text reaches a write or external effect, or a system prompt, and nothing holds it."""
    if not any(_may_bring(member) for bound in nodes.values() for member in bound.members):
        return
    for fault in faults_of(checked, nodes, resources, {}):
        mark = _mark(findings, fault)
        findings.add(fault.code, fault.message, mark, "warning" if fault.code == "RW504" else "error")


def faults_of(
    checked: Checked, nodes: Mapping[str, BoundNode], resources: Resources, given: Mapping[str, int]
) -> list[Fault]:
    """What is found if the inputs have these origins, by name; without one it is the user's."""
    own = {name: sum_of(_own(member, resources) for member in bound.members) for name, bound in nodes.items()}
    before = _fixpoint(checked, nodes, own, given)
    found: list[Fault] = []
    for name, bound in nodes.items():
        if name in before:
            found += _of_node(checked, bound, before[name], resources)
    return found


def _may_bring(member: Member) -> bool:
    return member.node.nested or bool(member.node.origin and origin_bit(member.node.origin) & OTHERS)


def sum_of(masks: Iterable[int]) -> int:
    """All origins of several sets."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def _fixpoint(
    checked: Checked, nodes: Mapping[str, BoundNode], own: Mapping[str, int], given: Mapping[str, int]
) -> dict[str, Masks]:
    """For each node that can be reached, what the keys may be made of when it starts."""
    shape, spec = checked.shape, checked.spec
    if shape is None:
        return {}
    first: Masks = {key.name: 0 for key in spec.state.values() if key.has_default or key.accumulate}
    first |= {name: given.get(name, USER) for name in spec.inputs}
    before: dict[int, Masks] = {0: {}}
    waiting = [0]
    while waiting:
        node = waiting.pop()
        name = shape.names[node]
        for route in shape.routes[node]:
            if name == START:
                after: Mapping[str, int] = first
            elif name in nodes:
                after = _after(checked, nodes[name], before[node], own[name], failed=route.error)
            else:
                after = before[node]
            for edge in route.edges:
                target = shape.edges[edge].target
                if target not in before:
                    before[target] = dict(after)
                    waiting.append(target)
                elif _grow(before[target], after):
                    waiting.append(target)
    return {shape.names[node]: masks for node, masks in before.items() if shape.names[node] not in (START, END)}


def _grow(masks: Masks, more: Mapping[str, int]) -> bool:
    grown = False
    for key, mask in more.items():
        if masks.get(key, 0) | mask != masks.get(key):
            masks[key] = masks.get(key, 0) | mask
            grown = True
    return grown


def _after(checked: Checked, bound: BoundNode, masks: Masks, own: int, *, failed: bool) -> Mapping[str, int]:
    """The masks on the way on from a node."""
    mask, cleared = _read(bound, masks) | own, -1
    for member in bound.members:
        cleared &= sum_of(origin_bit(name) for name in member.node.cleared())
    if failed:
        return {**masks, "error": mask}
    mask &= ~cleared
    logs = {key.name for key in checked.spec.state.values() if key.accumulate}
    kept = {key: masks.get(key, 0) for key in bound.written if key in logs or key not in bound.certain}
    return {**masks, **{key: mask | kept.get(key, 0) for key in bound.written}}


def _read(bound: BoundNode, masks: Mapping[str, int]) -> int:
    return sum_of(masks.get(key, 0) for key in bound.read)


def _own(member: Member, resources: Resources) -> int:
    """What a node adds by itself; a graph, what all its nodes add."""
    node = member.node
    mask = origin_bit(node.origin) | (PRIVATE if reachable(node, resources).private else 0)
    graph = _inner(member)
    for bound in graph.checked.nodes.values() if graph is not None else ():
        for one in bound.members:
            mask |= _own(one, graph.resources)
    return mask


def _inner(member: Member) -> Any:
    """The graph that a node runs, if it was read."""
    return getattr(member.node, "_graph", None) if member.node.nested else None


def _of_node(checked: Checked, bound: BoundNode, masks: Masks, resources: Resources) -> Iterator[Fault]:
    mask = _read(bound, masks)
    for member in bound.members:
        node = member.node
        graph = _inner(member)
        if graph is not None:
            yield from _inside(bound, member, graph, masks)
        if not mask & OTHERS:
            continue
        if node.calls_tools and bound.policies.interrupt is None:
            yield from _of_tools(checked.spec, bound, node, mask, resources)
        elif node.effects != "none" and not node.calls_tools and not node.keeps_labels:
            yield from _of_effect(checked, bound, member, masks)
        yield from _of_prompts(bound, member, masks, resources)


def _of_tools(spec: Spec, bound: BoundNode, node: Any, mask: int, resources: Resources) -> Iterator[Fault]:
    """Calls of tools whose name or arguments were made from untrusted text, and that no rule holds."""
    rules = resources.approval if isinstance(resources, Lent) else spec.approval
    known = reachable(node, resources)
    for offer in known.offers:
        place = ("tools", offer.resource)
        if offer.changes and offer.escapes(rules, untrusted(mask)):
            said = (
                f"{bound.name!r} may call {offer.shown!r} ({offer.effects}) with what is made from {_said(mask)}; "
                f"let a person decide: approval: [{{ask: {offer.asked}}}], or narrow its arguments to closed choices"
            )
            yield Fault("RW501", bound.name, place, said)
        elif mask & PRIVATE and offer.leaves and not offer.always_asked(rules):
            said = (
                f"one way joins {_said(mask)}, private data and {offer.shown!r}, which sends to others; "
                f"take one of them out, or ask a person: approval: [{{ask: {offer.asked}}}]"
            )
            yield Fault("RW504", bound.name, place, said)


def _of_effect(checked: Checked, bound: BoundNode, member: Member, masks: Masks) -> Iterator[Fault]:
    """A node that changes something, and reads words of others that nobody has looked at."""
    if bound.policies.interrupt is not None:
        return
    for parameter, key in {**member.reads, **_mapped(bound)}.items():
        kind = checked.keys.get(key)
        words = kind.item if kind is not None and kind.word == "list" else kind
        if not masks.get(key, 0) & OTHERS or key in checked.values or (words is not None and words.word == "bool"):
            continue
        said = (
            f"{bound.name!r} ({member.node.effects}) reads {key!r}, which is made from {_said(masks[key])}; ask a "
            f"person with interrupt: true, or let a guardrail with `clears` check it first"
        )
        yield Fault("RW502", bound.name, ("reads", parameter), said)


def _said(mask: int) -> str:
    return in_words(untrusted(mask))


def _mapped(bound: BoundNode) -> Mapping[str, str]:
    rule = bound.policies.map
    return {} if rule is None else {rule.as_: rule.over}


def _of_prompts(bound: BoundNode, member: Member, masks: Masks, resources: Resources) -> Iterator[Fault]:
    """Untrusted text in a message that models take for the author's."""
    from ragweave.orchestrator.language.names import names_in

    settings = {name: getattr(member.node, name, None) for name in type(member.node).model_fields}
    for one in names_in(type(member.node), settings):
        prompt = resources.built("prompts", one.name) if one.kind == "prompts" else None
        spoken = getattr(prompt, "spoken_as_system", None)
        for variable in sorted(spoken()) if spoken is not None else ():
            key = {**member.reads, **_mapped(bound)}.get(variable, "")
            if masks.get(key, 0) & OTHERS:
                said = (
                    f"prompt {one.name!r} of {bound.name!r} puts {key!r} into its system message, and that is made "
                    f"from {_said(masks[key])}; print it in a ## user section"
                )
                yield Fault("RW503", bound.name, (str(one.place[0]), ""), said)


def _inside(bound: BoundNode, member: Member, graph: Any, masks: Masks) -> Iterator[Fault]:
    """What only goes wrong in a graph because of what this one gives it."""
    given = {parameter: masks.get(key, 0) for parameter, key in {**member.reads, **_mapped(bound)}.items()}
    inner: Checked = graph.checked
    alone = {(one.code, one.node, one.place) for one in faults_of(inner, inner.nodes, graph.resources, {})}
    for one in faults_of(inner, inner.nodes, graph.resources, given):
        if (one.code, one.node, one.place) not in alone:
            yield Fault(one.code, bound.name, ("", ""), f"in the graph of {bound.name!r}: {one.message}")


def _mark(findings: Findings, fault: Fault) -> Mark:
    """Where a fault stands: the name of the tool, the rename of a read, the setting, else the node."""
    spec = findings.spec
    setting, word = fault.place
    if setting == "reads":
        return findings.read(fault.node, word)
    place = ("nodes", fault.node, setting)
    entry = spec.nodes.get(fault.node)
    named = entry.settings.get(setting) if entry is not None else None
    if isinstance(named, list) and word in named and (*place, named.index(word)) in spec.value_marks:
        return spec.value_marks[(*place, named.index(word))]
    return spec.value_marks.get(place) or findings.node(fault.node)
