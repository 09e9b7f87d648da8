"""What the commands write: plain and stable text where nobody looks, colour and width where somebody does."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from typing import TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_PLAIN_WIDTH = 120
_KEPT = "\n\t"


def is_terminal(stream: TextIO) -> bool:
    """True if a person sees this stream, on something that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_color(stream: TextIO) -> bool:
    """True if this stream may be coloured: a terminal, and no NO_COLOR (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def width(stream: TextIO) -> int:
    """How many characters a line may have."""
    if not is_terminal(stream):
        return _PLAIN_WIDTH
    return max(shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns, 40)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """The text in one or more styles (`bold red`) if the stream, by default the output, has colour."""
    if not text or not has_color(stream or sys.stdout):
        return text
    codes = ";".join(_STYLES[name] for name in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """A line of what was asked for."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line beside what was asked for: on the other stream, so that the output can be used by programs."""
    lines = textwrap.wrap(text, width(sys.stderr) - 1) if is_terminal(sys.stderr) else [text]
    sys.stderr.write("".join(paint(line, "dim", sys.stderr) + "\n" for line in lines))
    sys.stderr.flush()


def complain(text: str) -> None:
    """An error, on the other stream."""
    sys.stderr.write(f"{paint('error:', 'bold red', sys.stderr)} {text}\n")
    sys.stderr.flush()


def confirm(question: str) -> bool:
    """Ask a person; Enter means yes. False if nobody is there to answer."""
    if not (sys.stdin.isatty() and is_terminal(sys.stderr)):
        return False
    while True:
        sys.stderr.write(f"{question} [Y/n] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            sys.stderr.write("\n")
        if answer.strip().lower() in ("y", "yes") or answer == "\n":
            return True
        if not answer or answer.strip().lower() in ("n", "no"):
            return False
        note("type y or yes, or n or no")


def clean(text: str) -> str:
    """Foreign text without control characters, which could move a terminal's cursor or forge its output."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        letter for letter in text if letter in _KEPT or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co")
    )


def one_line(text: str) -> str:
    """Foreign text on one line."""
    return " ".join(clean(text).split())


def cells(text: str) -> int:
    """How many columns a text takes on a terminal."""
    return sum(_cells_of(letter) for letter in text)


def _cells_of(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def plural(count: int, noun: str) -> str:
    """`1 node`, `2 nodes`, `1,200 entries`."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"
