"""Texts that this process has read lately, by the hash under which journals name them.

A conversation's memory and its runs are kept apart, each by its own rules, and hold the same texts: what was just read
for one of them is recognised by the other, and not read again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping

MOST = 4 << 20
"""Bytes of text that are kept."""
SHORTEST = 512
"""Bytes of a text below which it is no work to read it."""

_lock = threading.Lock()
_texts: dict[str, dict[bytes, str]] = {}
"""By tenant: what was read for one is never found for another."""
_size = 0


def learn(tenant: str, texts: Iterable[tuple[bytes, str]]) -> None:
    """Keep texts, each given with its UTF-8. If they are too many with those that are there, only they stay."""
    global _size
    long = [(raw, text) for raw, text in texts if len(raw) >= SHORTEST]
    size = sum([len(raw) for raw, _ in long])
    if size > MOST:
        return
    sha256 = hashlib.sha256
    named = {sha256(b"T" + raw).digest()[:16]: text for raw, text in long}
    with _lock:
        if _size + size > MOST:
            _texts.clear()
            _size = 0
        _texts.setdefault(tenant, {}).update(named)
        _size += size


def known(tenant: str) -> Mapping[bytes, str]:
    """A tenant's texts by hash. A store whose names are secret finds nothing in it."""
    return _texts.get(tenant, {})


def forget() -> None:
    """Let go of everything: something was deleted somewhere."""
    global _size
    with _lock:
        _texts.clear()
        _size = 0
