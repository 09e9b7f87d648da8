"""Who reads and who writes each state key, with which type: the table behind every rule about keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.checking.places import Findings
from ragweave.orchestrator.errors import closest
from ragweave.orchestrator.language.spec import Mark, Spec
from ragweave.orchestrator.types import JSON, Type, assignable

ERROR = "error"
FAILURE = Type("Failure")


class Mention(NamedTuple):
    """One read or write of a key. `explicit` if the file itself spells the key there, as a rename does."""

    who: str
    mark: Mark
    explicit: bool
    type: Type | None = None
    node: str = ""
    required: bool = True
    condition: bool = False


@dataclass(slots=True)
class Usage:
    """All mentions of each key; `whole` is False if a node is not known, so that its keys are not either."""

    readers: dict[str, list[Mention]] = field(default_factory=dict)
    writers: dict[str, list[Mention]] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)
    whole: bool = True
    blamed: set[str] = field(default_factory=set)
    """Keys that a problem was about, so that nobody warns of their being unused."""

    def read(self, key: str, mention: Mention) -> None:
        """Note that a key is read."""
        self.readers.setdefault(key, []).append(mention)

    def write(self, key: str, mention: Mention) -> None:
        """Note that a key is written."""
        self.writers.setdefault(key, []).append(mention)

    def suspect(self, key: str) -> tuple[str, Mention, str] | None:
        """A name near to `key` that the file spells and nothing reads, where it stands, and how to begin a sentence."""
        unread = {}
        for word, mentions in self.writers.items():
            if word not in self.readers and mentions[0].explicit:
                unread[word] = (
                    word,
                    mentions[0],
                    f"{mentions[0].who} writes" if mentions[0].node else "the file declares",
                )
        near = closest(key, unread)
        return unread[near] if near is not None else None


def usage_of(spec: Spec, nodes: Mapping[str, BoundNode], findings: Findings) -> Usage:
    """Every mention of every key, in the order of the file, and the type of each key."""
    table = Usage(whole=all(name in nodes for name in spec.nodes))
    for given in spec.inputs.values():
        table.write(given.name, Mention(f"the input {given.name!r}", given.mark, True, given.type))
    for declared in spec.state.values():
        if declared.has_default or declared.accumulate:
            table.write(declared.name, Mention(f"state.{declared.name}", declared.mark, True, declared.type))
    for name in spec.nodes:
        bound = nodes.get(name)
        if bound is not None:
            _node_writes(table, bound, findings)
            _node_reads(table, bound, findings)
        if spec.nodes[name].policies.on_error is not None:
            mark = spec.value_mark("nodes", name, "on_error")
            table.write(ERROR, Mention(f"on_error of {name!r}", mark, False, FAILURE, name))
    for source, key, mark in condition_reads(spec):
        table.read(key, Mention(f"a condition of {source!r}", mark, True, None, source, condition=True))
    for key in dict.fromkeys(spec.outputs):
        table.read(key, Mention(f"outputs {key!r}", findings.output(key), True))
    _types(table, spec)
    return table


def condition_reads(spec: Spec) -> Iterator[tuple[str, str, Mark]]:
    """(source, key, place of the key) for every key that a `when` names."""
    for source, exits in spec.exits.items():
        for route in exits.routes:
            if route.when is None:
                continue
            from ragweave.orchestrator.checking.conditions import names_in, place_in  # not for a graph without any

            mark = spec.value_mark(*route.place, "when")
            for name, offset in names_in(route.when):
                yield source, name.split(".")[0], place_in(spec.text, mark, route.when, offset)


def _node_writes(table: Usage, bound: BoundNode, findings: Findings) -> None:
    own = {key: written for member in reversed(bound.members) for written, key in member.writes.items()}
    renamed = bound.policies.writes
    for key, kind in bound.written.items():
        written = own.get(key, key)
        explicit = written in renamed
        table.write(key, Mention(repr(bound.name), findings.write(bound.name, written), explicit, kind, bound.name))


def _node_reads(table: Usage, bound: BoundNode, findings: Findings) -> None:
    seen: set[tuple[str, Type]] = set()
    for member in bound.members:
        for parameter, key in member.reads.items():
            kind = member.signature.reads[parameter].type if parameter in member.signature.reads else JSON
            if (key, kind) in seen:
                continue
            seen.add((key, kind))
            explicit = parameter in bound.policies.reads
            mark = findings.read(bound.name, parameter)
            required = key in bound.required
            table.read(key, Mention(repr(bound.name), mark, explicit, kind, bound.name, required))
    over = bound.policies.map.over if bound.policies.map is not None else None
    if over is not None:
        mark = findings.spec.value_mark("nodes", bound.name, "map", "over")
        table.read(over, Mention(f"map of {bound.name!r}", mark, True, None, bound.name))
    asked = bound.policies.interrupt
    for key in asked.keys if asked is not None else ():
        table.read(
            key, Mention(f"the question of {bound.name!r}", findings.asked(bound.name, key), True, None, bound.name)
        )


def _types(table: Usage, spec: Spec) -> None:
    """A key has the type that is declared, else the widest of its writers' types."""
    for key in {**spec.state, **spec.inputs, **table.writers}:
        declared = spec.state.get(key)
        kind = declared.type if declared is not None else None
        if kind is None and key in spec.inputs:
            kind = spec.inputs[key].type
        if kind is None:
            for mention in table.writers.get(key, ()):
                if mention.type is not None and (kind is None or assignable(mention.type, kind)):
                    kind = mention.type
        if kind is not None:
            table.types[key] = kind
