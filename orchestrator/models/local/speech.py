"""From tokens to text as it is shown: whole characters only, cut before a stop string, nothing of which is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

PATIENCE = 8
"""Tokens to wait for the rest of a character; one has four bytes at most, so after that it is no character."""
_BROKEN = "\ufffd"


class Speech:
    """Takes tokens one by one and gives the text that they add. `stopped` is true once a stop string was met.

    A token may hold a part of a character or of a stop string; such a part is held back until it is known what it
    becomes. The pieces joined are `decode` of all tokens, up to the first stop string.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self.stopped = False
        self.tokens: list[int] = []
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._start = 0
        """The first token that is decoded again with new ones: some tokenizers join tokens, or drop a first space."""
        self._shown = 0
        """The tokens before this one have become text."""
        self._held = ""

    def feed(self, token: int) -> str:
        """The text that may be shown now that this token is there."""
        if self.stopped:
            return ""
        self.tokens.append(token)
        return self._release(self._new(final=False))

    def end(self) -> str:
        """The text that was held back, when no more tokens come."""
        if self.stopped:
            return ""
        text = self._release(self._new(final=True))
        rest, self._held = self._held, ""
        return text if self.stopped else text + rest

    def _new(self, *, final: bool) -> str:
        before = self._decode(self.tokens[self._start : self._shown])
        text = self._decode(self.tokens[self._start :])
        waiting = text.endswith(_BROKEN) and len(self.tokens) - self._shown < PATIENCE
        if len(text) <= len(before) or (waiting and not final):
            return ""
        self._start, self._shown = self._shown, len(self.tokens)
        return text[len(before) :]

    def _release(self, new: str) -> str:
        """What can be shown of the text that is held and the new one."""
        text = self._held + new
        found = [place for place in (text.find(stop) for stop in self._stop) if place >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        held = max((overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the begin of `stop`."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
