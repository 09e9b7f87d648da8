"""Passages as what an answer may quote: sentences, list items and table rows, each with the headings above it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sentence", "item", "step", "row"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"[ ]{0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"[ ]{0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_ITEM = re.compile(r"([ \t]*)(?:([-*+•‣])|(\d{1,3})[.)])[ \t]+(?=\S)")
_RULE = re.compile(r"(?:[-*_][ \t]*){3,}$")
_ROW = re.compile(r"[ \t]*\|(.+)\|[ \t]*$")
_DIVIDER = re.compile(r"\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?$")
_QUOTE = re.compile(r"[ \t]*>[ \t]?")
_LABEL = re.compile(r"[^.!?]{1,60}:$")

_MARKUP = (
    (re.compile(r"!\[[^\[\]\n]{0,500}\]\([^()\n]{0,500}\)"), ""),
    (re.compile(r"\[([^\[\]\n]{1,500})\](?:\([^()\n]{0,500}\)|\[[^\[\]\n]{0,100}\])"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]{1,500})>"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>\n]{0,200}>"), ""),
    (re.compile(r"(\*\*|__)(?=\S)(.{1,500}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]{1,500}?)(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"(`{1,3})([^`\n]{1,500})\1"), r"\2"),
    (re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE), ""),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])"), r"\1"),
    (re.compile(r"\[\^?\d+\]|\[\^[\w-]+\]"), ""),
)
_SPACE = re.compile(r"\s+")

_END = re.compile(r"""(?<=[.!?…])['"”’»)\]]*(?=\s)|(?<=[。！？])""")
_OPENS = re.compile(r"""\s*['"“‘«(\[]*\s*""")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘/])(?:[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z]|mrs?|ms|dr|prof|sr|jr|st|rev|gen|col|capt|lt|sgt|sen|rep|gov|hon|pres"
    r"|vs|etc|e\.g|i\.e|eg|ie|cf|al|ca|approx|apt|dept|est|inc|ltd|corp|co|bros|no|nos|vol|pp?|ed|eds|fig|figs|eq|sec|ch|art|op"
    r"|min|mins|max|hrs?|tbsp|tbs|tsp|oz|lbs?|pkg|qt|pt|gal|temp|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mt|ft|ave|blvd)\.$",
    re.IGNORECASE,
)
# These often end a sentence too ("Boil for 5 min. Then rest."): what follows decides.
_MAY_END = re.compile(
    r"(?:etc|al|min|mins|max|hrs?|tbsp|tbs|tsp|oz|lbs?|pkg|qt|pt|gal|temp|inc|ltd|corp|co|jr|sr|ft|[ap]\.m)\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a passage. `passage.text[start:end]` is its source, `text` the same without markup."""

    text: str
    kind: Kind
    start: int
    end: int
    headings: tuple[str, ...] = ()
    """The headings above it in the passage, the outermost first."""
    lead: str = ""
    """What introduces the list that it stands in, or the item that it is nested in."""
    block: int = 0
    """Sentences of one paragraph or list item share it."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together, as a list of (start, end) in the passage."""

    kind: Kind
    lines: tuple[tuple[int, int], ...]
    headings: tuple[str, ...]
    indent: int = 0
    row: int = 0
    """The place of a table's row; its header is 0."""


def segments(text: str) -> list[Segment]:
    """The segments of a Markdown or plain text, in order and without overlaps; headings, rules and code are none."""
    found: list[Segment] = []
    parents: list[tuple[int, str]] = []
    header: list[str] = []
    introduction = ""
    headings: tuple[str, ...] = ()
    for index, block in enumerate(_blocks(text)):
        if block.headings != headings:
            headings, introduction = block.headings, ""
        if block.kind == "row":
            cells = _cells(text[slice(*block.lines[0])])
            if block.row == 0:
                header = cells
            else:
                found.append(Segment(_row(header, cells), "row", *block.lines[0], block.headings, introduction, index))
            continue
        pieces = list(_pieces(text, block))
        shown = [plain(text[start:end]) for start, end in pieces]
        whole = " ".join(shown)
        lead = introduction
        if block.kind == "sentence":
            parents = []
            introduction = lead = ""
            if shown and shown[-1].endswith(":"):
                introduction = shown[-1].rstrip(":")
        else:
            parents = [(indent, parent) for indent, parent in parents if indent < block.indent]
            lead = parents[-1][1] if parents else introduction
            parents.append((block.indent, whole.rstrip(":")))
        if _LABEL.match(whole):
            continue
        for (start, end), piece in zip(pieces, shown, strict=True):
            if any(character.isalnum() for character in piece):
                found.append(Segment(piece, block.kind, start, end, block.headings, lead, index))
    return found


def sentences(text: str) -> list[tuple[int, int]]:
    """Where each sentence of a paragraph starts and ends, white space left out; abbreviations do not end one."""
    spans = []
    start = 0
    for match in _END.finditer(text):
        if match.end() > start and _ends_sentence(text, match.start(), match.end()):
            spans.append((start, match.end()))
            start = match.end()
    spans.append((start, len(text)))
    return [span for span in (_trim(text, *span) for span in spans) if span[0] < span[1]]


def plain(text: str) -> str:
    """Markdown as the words that a reader sees, on one line; leading pictograms are dropped."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = _SPACE.sub(" ", text).strip()
    kept = 0
    while kept < len(text) and (
        text[kept].isspace() or unicodedata.category(text[kept]) in ("So", "Mn", "Cf", "Cn", "Sk")
    ):
        if text[kept] in "°˚º":
            break
        kept += 1
    return text[kept:]


def _ends_sentence(text: str, mark: int, end: int) -> bool:
    """True unless the mark belongs to an abbreviation, or what follows goes on in lower case."""
    if text[mark - 1] in "。！？":
        return True
    opened = _OPENS.match(text, end)
    after = text[opened.end() : opened.end() + 1] if opened else ""
    if not after:
        return True
    if text[mark - 1] in "!?":
        return not after.islower()
    if text[:mark].endswith(("...", "…")):
        return after.isupper()
    before = text[max(0, mark - 12) : mark]
    if _ABBREVIATION.search(before):
        return bool(_MAY_END.search(before)) and after.isupper()
    return not after.islower()


def _pieces(text: str, block: _Block) -> Iterator[tuple[int, int]]:
    """The sentences of a block, as spans of the passage; markers of items and quotes are outside."""
    start, end = block.lines[0][0], block.lines[-1][1]
    source = text[start:end]
    for begin, stop in sentences(source):
        yield start + begin, start + stop


def _blocks(text: str) -> Iterator[_Block]:
    """Paragraphs, list items and table rows in order, with the headings that hold for them."""
    path: list[tuple[int, str]] = []
    held: list[tuple[int, int]] = []
    kind: Kind = "sentence"
    indent = rows = 0
    fence = ""
    body = _FRONT_MATTER.match(text)
    lines = list(_lines(text, body.end() if body else 0))

    def flush() -> Iterator[_Block]:
        if held:
            yield _Block(kind, tuple(held), tuple(title for _, title in path), indent)
            held.clear()

    for place, (begin, end) in enumerate(lines):
        line = text[begin:end]
        bare = line.strip()
        opening = _FENCE.match(line)
        if fence or opening:
            fence = "" if fence and bare.startswith(fence) else fence or (opening[1] if opening else "")
            yield from flush()
            continue
        below = text[slice(*lines[place + 1])] if place + 1 < len(lines) else ""
        heading = _heading(line, below)
        row = _ROW.match(line)
        divider = _DIVIDER.match(bare)
        rows = rows if row or divider else 0
        item = _ITEM.match(line)
        if heading is not None:
            yield from flush()
            path = [(level, title) for level, title in path if level < heading[0]] + [heading]
            kind, indent = "sentence", 0
        elif not bare or divider or _RULE.match(bare) or _UNDERLINE.match(line):
            yield from flush()
            kind, indent = "sentence", 0
        elif row:
            yield from flush()
            yield _Block("row", ((begin, end),), tuple(title for _, title in path), 0, rows)
            rows += 1
        elif item:
            yield from flush()
            kind = "step" if item[3] else "item"
            indent = len(item[1].expandtabs(4))
            held.append((item.end() + begin, end))
        else:
            quote = _QUOTE.match(line)
            held.append((begin + (quote.end() if quote else 0), end))
    yield from flush()


def _heading(line: str, below: str) -> tuple[int, str] | None:
    """Level and title of a heading, whether marked by hashes or underlined."""
    match = _HEADING.match(line)
    if match:
        return len(match[1]), plain(match[2])
    under = _UNDERLINE.match(below)
    if (
        under
        and line.strip()
        and not _ITEM.match(line)
        and not _ROW.match(line)
        and not _UNDERLINE.match(line)
        and len(line) < 120
    ):
        return (1 if under[1][0] == "=" else 2), plain(line)
    return None


def _cells(line: str) -> list[str]:
    return [plain(cell) for cell in line.strip().strip("|").split("|")]


def _row(header: Sequence[str], cells: Sequence[str]) -> str:
    """A table's row as words: each cell under the name of its column."""
    named = [
        f"{header[place]}: {cell}" if place < len(header) and header[place] else cell
        for place, cell in enumerate(cells)
        if cell
    ]
    return "; ".join(named)


def _lines(text: str, begin: int) -> Iterator[tuple[int, int]]:
    """Where each line starts and ends, its line break left out."""
    while begin < len(text):
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        yield begin, end - 1 if end > begin and text[end - 1] == "\r" else end
        begin = end + 1


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end
