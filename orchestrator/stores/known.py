"""Texts that this process has read lately, by the hash under which journals name them.

A conversation's memory and its runs are kept apart, each by its own rules, and hold the same texts: what was just read
for one of them is recognised by the other, and not read again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping

from ragweave.orchestrator.stores.encoding import HASH, written

MOST = 4 << 20
"""Characters of text that are kept."""
SHORTEST = 512
"""Bytes of a text below which it is no work to read it."""

_lock = threading.Lock()
_texts: dict[str, dict[str, str]] = {}
"""By tenant: what was read for one is never found for another."""
_size = 0


def name_of(raw: bytes) -> str:
    """The hash of a text, given as UTF-8, as it is written in a slot."""
    return written(hashlib.sha256(b"T" + raw).digest()[:HASH])


def learn(tenant: str, texts: Mapping[str, str]) -> None:
    """Keep texts, by hash. If they are too many with those that are there, only they stay."""
    global _size
    size = sum(map(len, texts.values()))
    if size > MOST:
        return
    with _lock:
        if _size + size > MOST:
            _texts.clear()
            _size = 0
        _texts.setdefault(tenant, {}).update(texts)
        _size += size


def known(tenant: str) -> Mapping[str, str]:
    """A tenant's texts by hash. A store whose names are secret finds nothing in it."""
    return _texts.get(tenant, {})


def forget() -> None:
    """Let go of everything: something was deleted somewhere."""
    global _size
    with _lock:
        _texts.clear()
        _size = 0
