"""State keys that can only be certain texts, such as the label of a classifier, and conditions that expect another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from ragweave.orchestrator.checking.bound import BoundNode, Member
from ragweave.orchestrator.errors import did_you_mean
from ragweave.orchestrator.language.report import surely
from ragweave.orchestrator.language.spec import Spec

KEEPING = ("first", "last", "extend", "union", "min", "max")
"""Merges that give what they were given, and nothing new."""
_TEXT = r"""(?:'[^'\\\n]*'|"[^"\\\n]*")"""
_BEFORE = r"(?:^|(?<=[(\[!,?:])|(?<=&&)|(?<=\|\|))\s*"
"""What may stand before an operand that is compared as it is: no `+`, and no prefix of a raw text."""
_AFTER = r"\s*(?=$|[)\]?:,]|&&|\|\|)"
_KEY = r"(?P<key>[A-Za-z_]\w*)"
_PLAIN = r"[\w-]+(?: [\w-]+)*"
"""A text that can stand in a condition whichever way YAML quotes it."""


def values_of(members: Sequence[Member]) -> dict[str, frozenset[str]]:
    """The keys that can only be certain texts, whichever member of a node answers, or lists of them."""
    rule = members[0].policies.map
    if rule is not None and rule.merge is not None and rule.merge not in KEEPING:
        return {}
    found: dict[str, frozenset[str]] = {}
    for key in {key for member in members for key in member.writes.values()}:
        writes = [
            member.signature.writes[own] for member in members for own, target in member.writes.items() if target == key
        ]
        known = [write.values for write in writes if write.values is not None]
        nested = rule is not None and rule.merge is None and any(write.type.item for write in writes)
        if len(known) == len(writes) and not nested:
            found[key] = frozenset().union(*known)
    return found


def closed_keys(spec: Spec, nodes: Mapping[str, BoundNode]) -> dict[str, frozenset[str]]:
    """The keys of a graph that can only be certain texts, whoever writes them. All its nodes have to be known."""
    overridden = {target.node for targets in spec.overrides.values() for target in targets}
    writers = [(key, node) for node in nodes.values() for key in node.written]
    found: dict[str, frozenset[str]] = {}
    given = {name: frozenset(key.choices) for name, key in spec.inputs.items()}
    closed = {key for _, node in writers for key in node.values} | set(given)
    closed -= {name for name, choices in given.items() if not choices}
    # A setting that a call may replace could be the very one that says which texts there are.
    closed -= {key for key, node in writers if key not in node.values or node.name in overridden}
    closed -= {"error"}  # which the engine writes too
    for key in closed:
        declared = spec.state.get(key)
        values = given.get(key, frozenset()).union(*(node.values[key] for written, node in writers if written == key))
        if declared is not None:
            if declared.merge is not None and declared.merge not in KEEPING:
                continue
            first = declared.default if isinstance(declared.default, list) else [declared.default]
            values |= {value for value in first if declared.has_default and isinstance(value, str)}
        found[key] = values
    return found


LISTED = 3
"""Which of the comparisons looks into a list."""


@cache
def _comparisons() -> tuple[re.Pattern[str], ...]:
    """Compiled when there is a condition that needs them."""
    return (
        re.compile(rf"{_BEFORE}{_KEY}\s*[!=]=\s*(?P<texts>{_TEXT}){_AFTER}"),
        re.compile(rf"{_BEFORE}(?P<texts>{_TEXT})\s*[!=]=\s*{_KEY}{_AFTER}"),
        re.compile(rf"{_BEFORE}{_KEY}\s+in\s*\[(?P<texts>\s*{_TEXT}(?:\s*,\s*{_TEXT})*\s*)\]{_AFTER}"),
        re.compile(rf"{_BEFORE}(?P<texts>{_TEXT})\s*in\s+{_KEY}{_AFTER}"),
    )


def strange_texts(condition: str, closed: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, int, str, str]]:
    """(message, offset, old, new) for each text that a condition compares with a key that is never that text.

    `new` is empty where it is not beyond doubt which text was meant.
    """
    if not closed:
        return
    bound = set(re.findall(r"\(\s*([A-Za-z_]\w*)\s*,", condition))  # variables of `all` and the like
    for number, pattern in enumerate(_comparisons()):
        for match in pattern.finditer(condition):
            key = match["key"]
            if key not in closed or key in bound:
                continue
            for quoted in re.finditer(_TEXT, match["texts"]):
                text = quoted[0][1:-1]
                if text in closed[key]:
                    continue
                near = surely(text, sorted(closed[key])) or ""
                sure = near if re.fullmatch(_PLAIN, near) and re.fullmatch(_PLAIN, text) else ""
                never = "never has" if number == LISTED else "is never"
                message = f"{key!r} {never} {text!r}{did_you_mean(text, closed[key])}"
                yield message, match.start("texts") + quoted.start() + 1, text, sure
