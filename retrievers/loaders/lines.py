"""Lines as a page is printed, joined to the paragraphs that they were broken from."""

from __future__ import annotations

import re

_ITEM = re.compile(r"(?:[-*+•·▪◦‣–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|\[\d+\])\s")
_HYPHEN = re.compile(r"[^\W\d_]{2,}[-\u00ad\ufffe\u0002]$")
_FULL = 0.8
"""A line of this share of the widest lines may go on in the next one."""
_NARROW = 40


def reflowed(text: str) -> str:
    """The text of a page with one line for each paragraph, as far as the widths of its lines tell.

    A line goes on in the next if it is about as wide as the page's wide lines. Words broken at the end of a line are
    put together again. Rows of tables and lines of addresses, which are short, stay as they are.
    """
    lines = [" ".join(line.split()) for line in re.split(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", text)]
    widths = sorted(len(line) for line in lines if line)
    if not widths:
        return ""
    wide = widths[int(len(widths) * 0.9)] if len(widths) > 1 else widths[0]
    found: list[str] = []
    goes_on = False
    for place, line in enumerate(lines):
        if goes_on and line and not _ITEM.match(line):
            found[-1] = _joined(found[-1], line)
        else:
            found.append(line)
        following = next((one for one in lines[place + 1 : place + 2] if one), "")
        goes_on = bool(line) and bool(following) and wide >= _NARROW and _is_open(line, following, wide)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(found)).strip("\n").replace("\ufffe", "").replace("\x02", "")


def _is_open(line: str, following: str, wide: int) -> bool:
    if _HYPHEN.search(line) and following[:1].islower():
        return True
    # The first word of the next line would not have fitted: that is why the line ends here.
    room = wide - len(line)
    fits = len(following.split(" ", 1)[0]) + 1 <= room - wide * 0.08
    return len(line) >= wide * _FULL and (following[:1].islower() or not fits)


def _joined(line: str, following: str) -> str:
    if _HYPHEN.search(line) and following[:1].islower():
        return line[:-1] + following
    return f"{line} {following}"
