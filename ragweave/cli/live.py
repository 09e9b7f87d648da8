"""An answer on a terminal while it is being said: it grows, and what does not count any more disappears."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from ragweave.cli.terminal import cells, clean, note, paint

_WIDEST = 100


class LiveText:
    """A text on a terminal that can be added to, changed and taken back; words are never broken at the edge.

    What has scrolled out of sight cannot be taken back: then the new text is written below. Notices wait until nothing
    is shown that they would tear apart.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.text = ""
        self._shown = ""
        self._is_status = False
        self._notices: list[str] = []
        self._lock = threading.Lock()

    def status(self, text: str) -> None:
        """Say what is being done, until there is something to read."""
        with self._lock:
            if not self.text:
                self._update(paint(f"{clean(text)}…", "dim", self.stream))
                self._is_status = True

    def add(self, piece: str) -> None:
        """Show a further piece."""
        self.change(self.text + clean(piece))

    def change(self, text: str) -> None:
        """Show this text instead."""
        with self._lock:
            self.text = clean(text)
            columns, _ = shutil.get_terminal_size((80, 24))
            self._update("\n".join(wrap(self.text, max(min(columns, _WIDEST + 1) - 1, 20))))
            self._is_status = False

    def notice(self, text: str) -> None:
        """Say something beside the text: at once, or when the text is finished. May be called from any thread."""
        with self._lock:
            if self._shown and not self._is_status:
                self._notices.append(text)
                return
            shown, status = self._shown, self._is_status
            self._update("")
            note(text)
            if status:
                self._update(shown)

    def finish(self) -> None:
        """End the text's line; what was being done is no news any more. Give out the notices that had to wait."""
        with self._lock:
            if self._is_status:
                self._update("")
            elif self._shown:
                self.stream.write("\n")
            self.text = self._shown = ""
            self._is_status = False
            self.stream.flush()
            for text in self._notices:
                note(text)
            self._notices.clear()

    def _update(self, shown: str) -> None:
        """Make the terminal show this instead of what it shows; only lines that differ are written again."""
        same = 0
        for before, after in zip(self._shown, shown, strict=False):
            if before != after:
                break
            same += 1
        if same == len(self._shown):
            self.stream.write(shown[same:])
        else:
            start = self._shown.rfind("\n", 0, same) + 1
            up = self._shown.count("\n", start)
            if up < shutil.get_terminal_size((80, 24)).lines:
                self.stream.write(f"\r\x1b[{up}A\x1b[J" if up else "\r\x1b[J")
                self.stream.write(shown[start:])
            else:
                self.stream.write("\n\n" + shown)
        self._shown = shown
        self.stream.flush()


def wrap(text: str, room: int) -> Iterator[str]:
    """The lines of a text, none wider than `room` columns; line breaks and indentation stay."""
    for line in text.split("\n"):
        current, taken = "", 0
        for word in _words(line):
            size = cells(word)
            if taken and taken + cells(word.rstrip()) > room:
                yield current.rstrip()
                current, taken, word = "", 0, word.lstrip()
                size = cells(word)
            while size > room:
                fits = _prefix(word, room - taken)
                yield current + word[:fits]
                current, taken, word = "", 0, word[fits:]
                size = cells(word)
            current, taken = current + word, taken + size
        yield current


def _words(line: str) -> Iterator[str]:
    """Words with the space behind them; indentation goes with the first."""
    start = 0
    for at in range(1, len(line)):
        if line[at - 1] == " " and line[at] != " " and line[start:at].strip():
            yield line[start:at]
            start = at
    yield line[start:]


def _prefix(word: str, room: int) -> int:
    """How many characters of a word fit; at least one."""
    taken = 0
    for count, letter in enumerate(word):
        taken += cells(letter)
        if taken > room:
            return max(count, 1)
    return len(word)
