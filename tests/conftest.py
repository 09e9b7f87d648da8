"""What holds for every test: no network but this machine, and no task of ours that outlives its test."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about the code.
settings.register_profile("ragweave", deadline=None)
settings.load_profile("ragweave")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, and their children inherit it: tests of Ctrl-C need it back.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
_refused = False


class NetworkRefused(RuntimeError):
    """A test reached for a machine other than this one."""


def _here(host: Any) -> bool:
    """True for this machine: loopback addresses, its name, nothing at all (to listen)."""
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%", 1)[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if not _refused:
        return
    if event in ("socket.connect", "socket.sendto"):
        host = args[1][0] if isinstance(args[1], tuple) else None  # else a unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0]
    else:
        return
    if not _here(host):
        raise NetworkRefused(f"a test reached for {host!r}; tests run without network, use a server on 127.0.0.1")


sys.addaudithook(_audit)  # sees every socket, whoever opens it; it cannot be taken away, only told not to look


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    global _refused
    _refused = True
    yield
    _refused = False


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from the user's cache or written there; vectors are kept only where a test is about that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGWEAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("RAGWEAVE_VECTOR_CACHE_MB", "0")
        yield


@pytest.fixture
def network(_no_network: None) -> None:
    """Lets one test out."""
    global _refused
    _refused = False


@pytest.fixture
async def leaping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that stands still while there is work, and leaps to the next timer once all wait.

    Pauses, timeouts and ages are exact then, however busy the machine is, and cost nothing. Only for tests whose work
    is all in their own event loop: who waits for a thread, a process or a socket sees each timeout pass at once.
    """
    now = time.monotonic()
    selector: Any = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    select = selector.select

    def leap(timeout: float | None = None) -> Any:
        nonlocal now
        ready = select(None if timeout is None else 0)
        if not ready and timeout:
            now += timeout + 1e-9  # no clock rings too early
        return ready

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(selector, "select", leap)


@pytest.fixture
def skip(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass in no time, for event loops and threads: what is due meanwhile is due at once.

    With it a test can have deadlines that no machine is too slow for, and let them pass.
    """
    real, ahead = time.monotonic, 0.0

    def skip(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead)
    return skip


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client meant to wait before each further attempt; it does not."""
    from ragweave.orchestrator.models import http

    meant: list[float] = []

    def at_once(attempt: int, asked: float | None) -> float:
        meant.append(wait_before(attempt, asked))
        return 0.0

    wait_before = http.wait_before
    monkeypatch.setattr(http, "wait_before", at_once)
    return meant


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> None:
    test = getattr(request.node, "obj", None)
    test = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    if inspect.iscoroutinefunction(test):
        request.getfixturevalue("_no_task_left")


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    yield
    mine = asyncio.current_task()
    for _ in range(1000):  # ten seconds, for what ends in threads of a busy machine
        left = [task for task in asyncio.all_tasks() if task is not mine and _ours(task)]
        if not left:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"tasks outlive this test: {', '.join(str(task.get_coro()) for task in left)}")


def _ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    path = Path(code.co_filename).resolve() if code is not None else None
    return path is not None and path.is_relative_to(ROOT) and ".venv" not in path.parts
