"""Text that YAML takes apart because it stands without quotes: `{type: list[str]}`, `text: hi: there`."""

from __future__ import annotations

import re
from typing import NamedTuple

_FLOW_START = re.compile(r"(?:(?P<key>[\w-]+):\s+|[{\[,]\s*)(?=[^\s{\[,'\"])")
_BLOCK_START = re.compile(r"\s*(?:-\s+)*(?P<key>[\w-]+):\s+(?=[^\s'\"\[{&*!|>%@`])")
_AFTER = re.compile(r"\s*(?:[}\]]|,\s*(?:[\w-]+:\s|['\"{\[])|$)")


class Bare(NamedTuple):
    """A text on one line that needs quotes: where it starts (from 0), what it is, and what should stand there."""

    start: int
    text: str
    quoted: str
    shown: str
    """The corrected piece, with its key if it has one."""
    sure: bool
    """True if the text surely ends where it was taken to end."""


def bare_text(problem: str, line: str, column: int, following: str) -> Bare | None:
    """The text around a column at which the parser stopped; None if quotes would not help. `following` is the next
    line."""
    character = line[column : column + 1]
    if problem.startswith("did not find expected ',' or") and character in ("[", ":"):
        return _in_flow(line, column)
    if problem.startswith("mapping values are not allowed") and character == ":":
        return _in_block(line, column, following)
    return None


def in_quotes(text: str) -> str:
    """A text as a quoted scalar."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _in_flow(line: str, column: int) -> Bare | None:
    starts = list(_FLOW_START.finditer(line, 0, column))
    if not starts:
        return None
    start = starts[-1]
    depth, end = 0, column
    while end < len(line):
        character = line[end]
        if not depth and (character in ",}]" or line.startswith(" #", end)):
            break
        depth += (character in "[{") - (character in "]}")
        end += 1
    text = line[start.end() : end].rstrip()
    words = line[start.end() : column].split()
    if line[column] == ":" and len(words) > 1:  # `{type: reply text: Hi}` lacks a comma
        bare = _bare(start, text, False)
        return bare and bare._replace(shown=f"{bare.shown}; or write a ',' before {words[-1]!r}")
    return _bare(start, text, not depth and _AFTER.match(line, start.end() + len(text)) is not None)


def _in_block(line: str, column: int, following: str) -> Bare | None:
    start = _BLOCK_START.match(line)
    if start is None or start.end() > column or start["key"] == "when":
        return None
    text = re.split(r"\s+#", line[start.end() :])[0].rstrip()
    deeper = bool(following.strip()) and len(following) - len(following.lstrip()) > start.start("key")
    return _bare(start, text, not deeper)


def _bare(start: re.Match[str], text: str, sure: bool) -> Bare | None:
    if not text or text[0] in "'\"":
        return None
    quoted, key = in_quotes(text), start["key"]
    return Bare(start.end(), text, quoted, f"{key}: {quoted}" if key else quoted, sure)
