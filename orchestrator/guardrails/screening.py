"""What is done about what checks find: one verdict over a text, and the text as it may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ragweave.orchestrator.guardrails.check import Action, Check, Finding, Subject
from ragweave.orchestrator.values import Verdict

STRENGTH: Sequence[str] = ("allow", "flag", "rewrite", "redact", "ask", "block")
"""Actions, each outweighed by those behind it."""


class Found(NamedTuple):
    """What one check found in a text, and what is to be done about it."""

    check: str
    action: Action
    finding: Finding
    reversible: bool = False


class Screened(NamedTuple):
    """A text after its checks."""

    text: str
    """As it may go on: with tags in place of what was redacted. What is blocked goes on nowhere."""
    verdict: Verdict
    hidden: Mapping[str, str]
    """What stands for each tag that may be shown again."""


async def screen(
    checks: Mapping[str, Check], text: str, subject: Subject, hidden: Mapping[str, str] | None = None
) -> Screened:
    """Hold a text against checks. `hidden` are the tags of earlier texts, so that one value has one tag everywhere.

    A check that fails counts as one that blocks.
    """
    found = [one for name, check in checks.items() for one in await found_by(name, check, text, subject)]
    edited, tags = edit(text, found, hidden or {})
    return Screened(edited, verdict_of(found), tags)


async def found_by(name: str, check: Check, text: str, subject: Subject) -> list[Found]:
    """What one check finds; if it cannot tell, that the whole text is to be blocked."""
    try:
        found = await check.find(text, subject)
    except Exception as error:  # whatever went wrong in it, the text is unchecked
        said = f"it could not be checked: {type(error).__name__}: {error}"
        return [Found(name, "block", Finding(0, len(text), "UNCHECKED", said))]
    return [Found(name, check.action, one, check.reversible) for one in found]


def verdict_of(found: Sequence[Found]) -> Verdict:
    """The strongest action of all, and why; passed unless it is to ask or to block."""
    action = max((one.action for one in found), key=STRENGTH.index, default="allow")
    reasons = tuple(dict.fromkeys(f"{one.check}: {one.finding.reason or one.finding.label.lower()}" for one in found))
    spans = tuple(sorted({(one.finding.begin, one.finding.end) for one in found}))
    return Verdict(passed=action not in ("ask", "block"), action=action, reasons=reasons, spans=spans)


def edit(text: str, found: Sequence[Found], hidden: Mapping[str, str]) -> tuple[str, Mapping[str, str]]:
    """The text with all that is redacted or rewritten replaced, and the tags with those that came before.

    Places that overlap are replaced as one, by what stands for the first of them.
    """
    places = sorted((one for one in found if one.action in ("redact", "rewrite")), key=lambda one: one.finding[:2])
    groups: list[list[Found]] = []
    reached = -1
    for one in places:
        if groups and one.finding.begin < reached:
            groups[-1].append(one)
        else:
            groups.append([one])
        reached = max(reached, one.finding.end)
    tags, pieces, at = dict(hidden), list[str](), 0
    for group in groups:
        begin, end = group[0].finding.begin, max(one.finding.end for one in group)
        pieces += [text[at:begin], _instead(text[begin:end], group, tags)]
        at = end
    return "".join([*pieces, text[at:]]), tags


def restore(text: str, hidden: Mapping[str, str]) -> str:
    """The text with what stands for each tag."""
    for tag, value in hidden.items():
        text = text.replace(tag, value)
    return text


def _instead(value: str, group: Sequence[Found], tags: dict[str, str]) -> str:
    first = group[0]
    if len(group) == 1 and first.action == "rewrite" and first.finding.instead is not None:
        return first.finding.instead
    if not all(one.reversible for one in group):
        return f"[{first.finding.label}]"
    known = next((tag for tag, kept in tags.items() if kept == value), None)
    if known is not None:
        return known
    number = 1
    while (tag := f"[{first.finding.label}_{number}]") in tags:
        number += 1
    tags[tag] = value
    return tag
