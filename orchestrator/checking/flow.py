"""Faults in the use of state keys that no path through the graph is needed for: names, types, merges."""

from __future__ import annotations

import typing
from collections.abc import Mapping

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.checking.places import Findings, quoted
from ragweave.orchestrator.checking.usage import ERROR, Mention, Usage
from ragweave.orchestrator.errors import closest, did_you_mean
from ragweave.orchestrator.language.report import surely
from ragweave.orchestrator.language.spec import KeySpec, Spec
from ragweave.orchestrator.types import Type, assignable, type_of

MERGEABLE = {"sum": ("int", "float"), "min": ("int", "float", "str"), "max": ("int", "float", "str")}
"""The types that built-in merges of single values work on; merges of lists say it by their signature."""


def check_keys(
    findings: Findings, spec: Spec, nodes: Mapping[str, BoundNode], table: Usage, doubted: set[str]
) -> set[str]:
    """Note misspelt and mistyped keys, but for the `doubted`. Returns those that later rules are silent about."""
    faulty = set(doubted)
    if table.whole:
        for key in table.readers:
            if key not in table.writers and key not in doubted and _unwritten(findings, table, key):
                faulty.add(key)
    faulty |= _types(findings, spec, table)
    for name, bound in nodes.items():
        _map(findings, table, name, bound, faulty)
    for declared in spec.state.values():
        _merge(findings, table, declared)
    return faulty


def _unwritten(findings: Findings, table: Usage, key: str) -> bool:
    """A key is read and never written: either its reader misspells it, or what should write it does.

    False if nothing is said, because only conditions read it, which are compiled later, or optional parameters.
    """
    mentions = table.readers[key]
    first = next((mention for mention in mentions if mention.explicit), mentions[0])
    suspect = table.suspect(key)
    certain = len(mentions) > 1 or not first.explicit
    if suspect is not None and certain:
        word, mention, phrase = suspect
        table.blamed.add(word)
        findings.add(
            "RW201",
            f"{phrase} {word!r}, which nothing reads, and {key!r}, which {_readers(mentions)} {_reads(mentions)}, "
            f"is never written; did you mean {key!r}?",
            mention.mark,
            # An input is the graph's face: whether it or its reader is misspelt, its author has to say.
            fix=(word, key) if mention.node or len(mentions) > 1 else None,
        )
        return True
    if not any(mention.required and not mention.condition for mention in mentions) and not first.explicit:
        return False
    if all(mention.condition for mention in mentions):
        return False
    if suspect is not None:
        _either(findings, key, first, suspect)
        table.blamed.add(suspect[0])
        return True
    near = None if key == ERROR else closest(key, table.writers)
    if key == ERROR:
        way_out = "; only a node that some on_error names may read it"
    else:
        way_out = f"; did you mean {near!r}?" if near else _way_out(key, first, table)
    also = [mention.who for mention in mentions if mention is not first]
    beside = f" (so does {also[0]}{f' and {len(also) - 1} more' if len(also) > 1 else ''})" if also else ""
    said = f"{first.who} reads {key!r}, which" if first.node else f"the output {key!r}"
    surely_meant = near is not None and first.explicit and surely(key, list(table.writers)) == near
    findings.add(
        "RW201",
        f"{said} is never written{beside}{way_out}",
        first.mark,
        fix=(key, near) if near is not None and surely_meant else None,
    )
    return True


def _either(findings: Findings, key: str, reader: Mention, suspect: tuple[str, Mention, str]) -> None:
    """Two names that are nearly the same stand once each: which of them is misspelt, only their author knows."""
    word, writer, phrase = suspect
    line = f" on line {writer.mark.line}" if writer.mark.line else ""
    said = f"{reader.who} reads {key!r}, which" if reader.node else f"the output {key!r}"
    findings.add(
        "RW201", f"{said} is never written, and {phrase} {word!r}{line}, which nothing reads; did you mean {word!r}?",
        reader.mark,
    )  # fmt: skip


def _readers(mentions: list[Mention]) -> str:
    names = [mention.who for mention in mentions]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 2 else " and ".join(names)


def _reads(mentions: list[Mention]) -> str:
    return "read" if len(mentions) > 1 else "reads"


def _candidates(key: str, table: Usage) -> str:
    return did_you_mean(key, [word for word in table.writers if word != key])


def _way_out(key: str, mention: Mention, table: Usage) -> str:
    candidates = _candidates(key, table)
    declare = (
        f"add it to inputs, or let a node before {mention.who} write it" if mention.node else "let a node write it"
    )
    return f"; {declare}{candidates.replace('; there is: ', ' (written are: ') + ')' if candidates else ''}"


def _types(findings: Findings, spec: Spec, table: Usage) -> set[str]:
    """One key has one type: writers agree with it, and readers can read it."""
    faulty = set()
    for key, mentions in table.writers.items():
        kind = table.types.get(key)
        declared = spec.state.get(key) or spec.inputs.get(key)
        for mention in mentions:
            if kind is None or mention.type is None or assignable(kind, mention.type):
                continue
            faulty.add(key)
            if declared is not None and declared.type is not None:
                other = f"{key!r} is declared as {kind}"
            else:
                first = next(other for other in mentions if other.type == kind)
                other = f"{first.who} writes it as {kind}"
            findings.add(
                "RW204",
                f"{mention.who} writes {key!r} as {mention.type}, but {other}; rename one with writes",
                mention.mark,
            )
    for key, mentions in table.readers.items():
        kind = table.types.get(key)
        if kind is None or key in faulty:
            continue
        for mention in mentions:
            if mention.type is not None and not assignable(mention.type, kind):
                faulty.add(key)
                writer = table.writers[key][0].who if key in table.writers else f"state.{key}"
                findings.add(
                    "RW203",
                    f"{mention.who} reads {key!r} as {mention.type}, but {writer} writes it as {kind}; "
                    f"{_other_type(mention.type, kind, table)}",
                    mention.mark,
                )
    return faulty


def _other_type(wanted: Type, found: Type, table: Usage) -> str:
    if found.word == "list" and found.item is not None and assignable(wanted, found.item):
        return "map over it to make a call per item, or rename it with reads or writes"
    fitting = [key for key, other in table.types.items() if other == wanted and key in table.writers]
    known = f" ({quoted(fitting[:4], 'or')} {'is' if len(fitting) == 1 else 'are'} {wanted})" if fitting else ""
    return f"rename it with reads or writes{known}"


def _map(findings: Findings, table: Usage, name: str, bound: BoundNode, faulty: set[str]) -> None:
    """R15: `over` is a list whose items fit the parameter `as`."""
    policy = bound.policies.map
    if policy is None:
        return
    merge = registry.find("merges", policy.merge) if policy.merge is not None else None
    if merge is not None and policy.merge is not None:
        for written, result in bound.written.items():
            reason = misfit(policy.merge, merge, result)
            if reason:
                mark = findings.spec.value_mark("nodes", name, "map", "merge")
                findings.add("RW206", f"{name!r} maps and writes {written!r}: merge {policy.merge!r} {reason}", mark)
    if policy.over in faulty:
        return
    kind = table.types.get(policy.over)
    parameter = bound.members[0].signature.reads.get(policy.as_)
    if kind is None or parameter is None or kind.word == "json":
        return
    mark = findings.spec.value_mark("nodes", name, "map", "over")
    if kind.word != "list" or kind.item is None:
        lists = [key for key, other in table.types.items() if other.word == "list" and key in table.writers]
        found = f"; lists are: {', '.join(sorted(lists))}" if lists else ""
        findings.add("RW207", f"map.over needs a list, but {policy.over!r} is {kind}{found}", mark)
        faulty.add(policy.over)
    elif not assignable(parameter.type, kind.item):
        findings.add(
            "RW207",
            f"{name!r} takes {policy.as_!r} as {parameter.type}, but the items of {policy.over!r} are {kind.item}; "
            f"map over another list, or give as another parameter",
            mark,
        )
        faulty.add(policy.over)


def _merge(findings: Findings, table: Usage, declared: KeySpec) -> None:
    """The merge of a key exists and takes what the key holds."""
    if declared.merge is None or declared.accumulate:
        return
    mark = findings.spec.value_mark("state", declared.name, "merge")
    merge = registry.find("merges", declared.merge)
    kind = table.types.get(declared.name)
    if kind is not None and merge is not None:
        reason = misfit(declared.merge, merge, kind)
        if reason:
            findings.add("RW206", f"state.{declared.name}: merge {declared.merge!r} {reason}", mark)


def misfit(name: str, merge: object, kind: Type) -> str:
    """Why a merge cannot make one value of type `kind` of several; empty if it can."""
    words = MERGEABLE.get(name)
    if words is not None:
        return (
            ""
            if kind.word in (*words, "json")
            else f"works on {quoted(words, 'or')}, but the key is {kind}; try extend, union or first"
        )
    try:
        hints = typing.get_type_hints(merge)
        values = type_of(next(iter(hints[word] for word in hints if word != "return")))
    except (NameError, StopIteration, TypeError):
        return ""
    item = values.item
    if item is None or assignable(item, kind) or kind.word == "json":
        return ""
    return f"works on {item}, but the key is {kind}; try first or last"


def check_unused(findings: Findings, spec: Spec, nodes: Mapping[str, BoundNode], table: Usage) -> None:
    """Warnings: what is declared or written for nobody."""
    for key in spec.inputs.values():
        if key.name not in table.readers and key.name not in table.blamed:
            near = did_you_mean(key.name, [word for word in table.readers if word not in spec.inputs])
            hint = near if near.startswith("; did") else "; remove it, or let a node read it"
            findings.add("RW213", f"the input {key.name!r} is never read{hint}", key.mark, "warning")
    for key in spec.state.values():
        if key.name in table.blamed or key.name in table.readers:
            continue
        if not any(mention.node for mention in table.writers.get(key.name, ())):
            candidates = [word for word in (*table.writers, *table.readers) if word != key.name]
            near = did_you_mean(key.name, candidates)
            hint = near if near.startswith("; did") else "; remove it"
            findings.add(
                "RW212", f"state.{key.name} is never used: no node reads or writes it{hint}", key.mark, "warning"
            )
    for name, bound in nodes.items():
        unread = [word for word in bound.written if word not in table.readers and word not in table.blamed]
        for word in unread:
            mention = next((item for item in table.writers[word] if item.node == name), None)
            if mention is not None and (mention.explicit or len(unread) == len(bound.written)):
                findings.add("RW211", f"{name!r} writes {word!r}, which nothing reads", mention.mark, "warning")
