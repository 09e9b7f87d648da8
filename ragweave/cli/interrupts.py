"""Ctrl-C: at once while nothing is to be cleaned up, as KeyboardInterrupt where something is.

An exception at any moment is not enough: while modules are imported it may come up where Python or a C library takes it
for an error of its own, passes over it, or aborts.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager

# Not `typing.TYPE_CHECKING`: nothing is to be imported before Ctrl-C is taken care of.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED = 130


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process with one word, without unwinding. Stays as it is where it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


@contextmanager
def unwinding() -> Iterator[None]:
    """Inside, Ctrl-C is a KeyboardInterrupt, so that files are put away and calls are ended.

    For a loop of asyncio, which takes care of Ctrl-C only if it is one; and inside such a loop for a read that blocks,
    which the loop could not break off.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN or not _in_main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _in_main_thread() -> bool:
    threading = sys.modules.get("threading")
    return threading is None or threading.current_thread() is threading.main_thread()
