"""Resources that a program has made itself: opened by the first graph that uses one, closed by the last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_lock = threading.RLock()
_users: dict[int, int] = {}
"""By id of an object that graphs were given, how many of them use it."""


def take(resource: Any, opened: Callable[[], None]) -> None:
    """One graph more uses this object; `opened` is called if it is the first."""
    with _lock:
        if id(resource) not in _users:
            opened()
        _users[id(resource)] = _users.get(id(resource), 0) + 1


def leave(resource: Any) -> bool:
    """One graph less uses this object; True if it was the last."""
    with _lock:
        _users[id(resource)] -= 1
        if not _users[id(resource)]:
            del _users[id(resource)]
            return True
        return False
