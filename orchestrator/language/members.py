"""Policies bound to a node: renames, `map`, and the nodes of `fallback` and `race`, with what may not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode, Member
from ragweave.orchestrator.checking.closed import values_of
from ragweave.orchestrator.errors import GraphError, RagweaveError
from ragweave.orchestrator.language.given import implementation
from ragweave.orchestrator.language.keys import is_id
from ragweave.orchestrator.language.policies import InterruptPolicy, NodePolicies
from ragweave.orchestrator.language.policytext import read_policies
from ragweave.orchestrator.language.reasons import told
from ragweave.orchestrator.language.report import path
from ragweave.orchestrator.language.settings import Builder, used_resources
from ragweave.orchestrator.language.spec import NodeSpec, Place
from ragweave.orchestrator.node import RESERVED, Node, Signature
from ragweave.orchestrator.types import Type, assignable, list_of

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Plan

INHERITED = ("reads", "writes", "retry", "timeout", "cache")
"""The policies of a node that its fallbacks and its race take over where they do not give their own."""
MEMBER_KEYS = ("type", *INHERITED)


def bind_node(builder: Builder, entry: NodeSpec, node: Node, *, partial: bool = False) -> BoundNode | None:
    """A node with its policies, fallbacks and race; None if a problem was said.

    `partial` if its settings are wrong: then the node only stands for its class, and only problems come of it.
    """
    place: Place = ("nodes", entry.name)
    count = len(builder.report.problems)
    signature = type(node).declared if partial else _signature(builder, node, place)
    if signature is None:
        return None
    policies = _defaulted(builder.report.spec.defaults, entry.policies, node)
    own_map = node.each() if policies.map is None and not partial else None
    if own_map is not None:
        policies = policies.model_copy(update={"map": own_map})
    _refuse_on_effects(builder, node, entry.policies, place)
    first = _member(builder, node, signature, policies, place)
    mapped = _mapped(builder, first, place)
    members = [first]
    racing = bool(entry.policies.race)
    if racing and entry.policies.fallback:
        builder.report.key(
            (*place, "race"), "RW125", f"{path(place)}: race does not go with fallback; delete one of them"
        )
    for key in ("fallback", "race"):
        for where, data in _entries(builder, entry, key, place):
            member = _other(builder, entry, first, data, where, partial)
            if member is not None:
                if key == "race":
                    _refuse_effect_in_race(builder, member.node, where)
                members.append(member)
    if racing:
        _refuse_effect_in_race(builder, node, (*place, "race"))
    if any(problem.severity == "error" for problem in builder.report.problems[count:]):
        return None
    bound = _bound(entry.name, members, racing, mapped)
    asked = entry.policies.interrupt
    return bound if asked is None or _may_edit(builder, bound, asked, (*place, "interrupt")) else None


def _may_edit(builder: Builder, bound: BoundNode, asked: InterruptPolicy, place: Place) -> bool:
    """Say which keys an answer cannot change, since the node does not read them."""
    report, count = builder.report, len(builder.report.problems)
    for key in asked.keys:
        if not is_id(key):
            report.value((*place, "question"), "RW109", f"{path(place)}: {{{key}}} cannot be a state key")
    for index, key in enumerate(asked.edit):
        if key not in bound.read:
            where = (*place, "edit", index)
            mark = report.spec.value_mark(*where)
            report.unknown(mark, "RW123", f"{path(where)}: the node does not read {key!r}", key, bound.read)
    return len(report.problems) == count


def _signature(builder: Builder, node: Node, place: Place) -> Signature | None:
    try:
        signature = node.signature(builder.resources)
    except GraphError as error:  # of a graph inside this one
        from ragweave.orchestrator.language.inner import tell_inner_graph  # for an inner graph with problems

        tell_inner_graph(builder.report, place, str(getattr(node, "path", "")), error)
    except RagweaveError as error:
        if _used(node) & builder.report.faulty:  # the reason was said where it is
            return None
        builder.report.key(place, "RW128", f"{path(place)}: {error}")
    except Exception as error:  # a plugin may raise anything
        builder.report.key(place, "RW128", f"{path(place)}: {told(error)}")
    else:
        for remark in signature.remarks:
            message = f"{path(place)}: {remark.message}"
            builder.report.value((*place, *remark.place), "RW132", message, severity="warning")
        for fault in signature.faults:
            builder.report.value((*place, *fault.place), "RW133", f"{path((*place, *fault.place))}: {fault.message}")
        return signature
    return None


def _used(node: Node) -> set[tuple[str, str]]:
    """The resources that a node names in its settings."""
    found: set[tuple[str, str]] = set()
    for setting, kind in used_resources(type(node)).items():
        named = getattr(node, setting)
        found.update((kind, name) for name in (named if isinstance(named, (list, tuple)) else [named]))
    return found


def _defaulted(defaults: NodePolicies, own: NodePolicies, node: Node) -> NodePolicies:
    """A node's policies over those of the graph, as far as a node of this kind can take them."""
    given = defaults.model_fields_set - own.model_fields_set
    if not given:
        return own
    taken = {name: getattr(defaults, name) for name in given if _may(node, name)}
    return own.model_copy(update=taken) if taken else own


def _may(node: Node, policy: str) -> bool:
    """R21: no cache on effects, no retry on effects that are not idempotent."""
    if not has_effects(node):
        return True
    return policy != "cache" and (policy != "retry" or (node.idempotent and not node.nested))


def has_effects(node: Node) -> bool:
    """True if a call of this node may have effects; a graph has those of its nodes and of their fallbacks."""
    if not node.nested:
        return node.effects != "none"
    inner: Plan = node.plan  # type: ignore[attr-defined]
    return any(
        has_effects(member.node) for step in inner.steps if step.bound is not None for member in step.bound.members
    )


def _refuse_on_effects(builder: Builder, node: Node, own: NodePolicies, place: Place) -> None:
    for policy in ("cache", "retry"):
        if policy in own.model_fields_set and getattr(own, policy) and not _may(node, policy):
            reason = "effects" if policy == "cache" else "effects that are not idempotent"
            builder.report.key((*place, policy), "RW125", f"{path(place)}: {policy} is refused: the node has {reason}")


def _refuse_effect_in_race(builder: Builder, node: Node, where: Place) -> None:
    if has_effects(node):
        builder.report.key(
            where, "RW125", f"{path(where)}: a node with effects cannot race, since the losers are cancelled"
        )


def _member(builder: Builder, node: Node, signature: Signature, policies: NodePolicies, place: Place) -> Member:
    """A node with its renames, all of which are checked."""
    names = {}
    for key, own in (("reads", signature.reads), ("writes", signature.writes)):
        renames: Mapping[str, str] = getattr(policies, key)
        for name, target in renames.items():
            where = (*place, key, name)
            if name not in own:
                message = f"{path((*place, key))}: the node {key} no {name!r}"
                builder.report.unknown_key(where, "RW123", message, own)
            elif not is_id(target):
                rule = "a name is of a-z, 0-9 and _, and starts with a letter"
                builder.report.value(where, "RW109", f"{path(where)}: {target!r} cannot be a state key; {rule}")
        names[key] = {name: renames.get(name, name) for name in own}
    written: dict[str, str] = {}
    for name, target in names["writes"].items():
        if target in written:
            message = (
                f"{path((*place, 'writes'))}: {written[target]!r} and {name!r} would both be written to {target!r}"
            )
            builder.report.key((*place, "writes"), "RW125", message)
        written[target] = name
    if policies.map is not None:
        names["reads"].pop(policies.map.as_, None)
    return Member(node, signature, policies, names["reads"], names["writes"])


def _mapped(builder: Builder, first: Member, place: Place) -> str | None:
    """The state key that the node maps over, if it does."""
    rule = first.policies.map
    if rule is None:
        return None
    report, where = builder.report, (*place, "map")
    if rule.as_ not in first.signature.reads:
        message = f"{path((*where, 'as'))}: the node has no parameter {rule.as_!r}"
        report.unknown(report.spec.value_mark(*where, "as"), "RW123", message, rule.as_, first.signature.reads)
    if rule.as_ in first.policies.reads:
        message = f"{path((*place, 'reads'))}: {rule.as_!r} gets the items of {rule.over!r} and cannot be renamed"
        report.key((*place, "reads", rule.as_), "RW125", message)
    if not is_id(rule.over):
        report.value((*where, "over"), "RW109", f"{path((*where, 'over'))}: {rule.over!r} cannot be a state key")
    known = registry.names("merges")
    if rule.merge is not None and rule.merge not in known:
        message = f"{path((*where, 'merge'))}: unknown merge {rule.merge!r}"
        report.unknown(report.spec.value_mark(*where, "merge"), "RW127", message, rule.merge, known)
    return rule.over


def _entries(builder: Builder, entry: NodeSpec, key: str, place: Place) -> list[tuple[Place, Mapping[str, Any]]]:
    items: Sequence[Mapping[str, Any]] = getattr(entry.policies, key)
    listed = len(items) > 1 or (*place, key, 0) in builder.report.spec.marks
    return [((*place, key, index) if listed else (*place, key), item) for index, item in enumerate(items)]


def _other(
    builder: Builder, entry: NodeSpec, first: Member, data: Mapping[str, Any], place: Place, partial: bool
) -> Member | None:
    """A fallback, or a node of a race; None if a problem was said."""
    report = builder.report
    settings, given = {}, {}
    for key, value in data.items():
        if key in INHERITED:
            given[key] = value
        elif key in NodePolicies.model_fields:
            report.key((*place, key), "RW125", f"{path(place)}: {key!r} belongs on the node itself, not in here")
        elif key in RESERVED and key != "type":
            report.key((*place, key), "RW112", f"{path(place)}: {key!r} is not available in this version; delete it")
        elif key != "type":
            settings[str(key)] = value
    node = _made(builder, first, entry, data, settings, place, partial)
    own = read_policies(report, given, place)
    signature = None if node is None else _signature(builder, node, place)
    if node is None or signature is None:
        return None
    _refuse_on_effects(builder, node, own, place)
    member = _member(builder, node, signature, _inherit(first.policies, own, node, signature), place)
    mapped = first.policies.map
    if mapped is not None:
        if mapped.as_ not in signature.reads:
            message = f"{path(place)}: the node has no parameter {mapped.as_!r}, which map fills; it reads: "
            report.key(place, "RW123", message + (", ".join(signature.reads) or "nothing"))
        reads = {name: key for name, key in member.reads.items() if name != mapped.as_}
        member = Member(node, signature, member.policies, reads, member.writes)
    _same_writes(builder, first, member, place)
    return member


def _made(
    builder: Builder,
    first: Member,
    entry: NodeSpec,
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    place: Place,
    partial: bool,
) -> Node | None:
    """The node of a member; None if a problem was said."""
    given = implementation(data.get("type"))
    if isinstance(given, Node):
        builder.extra(settings, place)
        return given
    kind, inherited = _kind(builder, first, entry, data, place)
    if kind is None:
        return None
    partial = partial and inherited is not None
    return builder.build(kind, settings, place, inherited=inherited, beside=MEMBER_KEYS, partial=partial)


def _kind(
    builder: Builder, first: Member, entry: NodeSpec, data: Mapping[str, Any], place: Place
) -> tuple[type[Node] | None, Mapping[str, Any] | None]:
    """The class of a member, and the settings of the node that it starts from: without a type, the same with others."""
    if "type" not in data:
        node = first.node
        if isinstance(entry.implementation, Node):
            return type(node), {name: getattr(node, name) for name in node.model_fields_set}
        return type(node), entry.settings
    name = data["type"]
    if isinstance(name, str):
        return builder.find("nodes", name, place), None
    given = implementation(name)
    if given is not None:
        return builder.class_of(given, (*place, "type")), None
    builder.report.wrong_kind((*place, "type"), "the name of a type", name)
    return None, None


def _inherit(main: NodePolicies, own: NodePolicies, node: Node, signature: Signature) -> NodePolicies:
    taken: dict[str, Any] = {}
    for name in INHERITED:
        value = getattr(main, name)
        if name in own.model_fields_set or not value or not _may(node, name):
            continue
        if name in ("reads", "writes"):
            names = signature.reads if name == "reads" else signature.writes
            value = {key: target for key, target in value.items() if key in names}
        taken[name] = value
    return own.model_copy(update=taken) if taken else own


def _same_writes(builder: Builder, first: Member, other: Member, place: Place) -> None:
    """R16: a fallback writes at least what the node writes."""
    theirs = {key: other.signature.writes[name] for name, key in other.writes.items()}
    for name, key in first.writes.items():
        mine = first.signature.writes[name]
        found = theirs.get(key)
        if found is None or (mine.certain and not found.certain):
            if mine.certain:
                has = ", ".join(theirs) or "nothing"
                message = (
                    f"{path(place)}: it must write {key!r} too, as the node does; it writes: {has} (rename with writes)"
                )
                builder.report.key(place, "RW126", message)
        elif not assignable(mine.type, found.type):
            message = f"{path(place)}: it writes {key!r} as {found.type}, the node as {mine.type}"
            builder.report.key(place, "RW126", message)


def _bound(name: str, members: Sequence[Member], racing: bool, mapped: str | None) -> BoundNode:
    required: set[str] = {mapped} if mapped is not None else set()
    asked = members[0].policies.interrupt
    required.update(asked.keys if asked is not None else ())
    optional: set[str] = set()
    written: dict[str, Type] = {}
    certain: set[str] | None = None
    rule = members[0].policies.map
    for member in members:
        for parameter, key in member.reads.items():
            (required if member.signature.reads[parameter].required else optional).add(key)
        sure = set()
        for own, key in member.writes.items():
            write = member.signature.writes[own]
            kind = list_of(write.type) if rule is not None and rule.merge is None else write.type
            written.setdefault(key, kind)
            if write.certain:
                sure.add(key)
        certain = sure if certain is None else certain & sure
    return BoundNode(
        name,
        tuple(members),
        racing,
        required=frozenset(required),
        optional=frozenset(optional - required),
        certain=frozenset(certain or ()),
        written=written,
        values=values_of(members),
        unless=_unless(members),
    )


def _unless(members: Sequence[Member]) -> dict[str, str]:
    """The keys that each member writes where the same list is empty, surely or unless that has items; that list."""
    if members[0].policies.map is not None:
        return {}
    found: list[dict[str, str]] = []
    sure: list[set[str]] = []
    for member in members:
        writes = [(key, member.signature.writes[own]) for own, key in member.writes.items()]
        found.append({key: member.writes[write.unless] for key, write in writes if write.unless in member.writes})
        sure.append({key for key, write in writes if write.certain})
    asked = dict(item for one in found for item in one.items())
    return {
        key: other
        for key, other in asked.items()
        if all(one.get(key) == other or key in certain for one, certain in zip(found, sure, strict=True))
    }
