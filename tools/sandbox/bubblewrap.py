"""Programs in CPython, shut in by bubblewrap (Linux): name spaces of their own, nothing of the machine but an
interpreter that cannot be changed, no rights, no network, no second process.

Walls, from the outside: another user where this process is root; name spaces for users (and none below), processes,
network, IPC and hosts; a root of its own that is read-only, with one small folder in memory; no capabilities and no
way to get any; a filter of system calls; limits on memory, CPU, files; and a clock that kills the whole name space.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.sandbox import seccomp
from ragweave.tools.sandbox.outcome import Limits, Outcome, Status

NOBODY = 65534
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64")
_DEVICES = ("null", "zero", "urandom", "random")
_MB = 1 << 20
_PIECE = 1 << 16
_DYING = 5.0

_PROBE = """
import ctypes, json, os, socket
found = []
def must_fail(what, call):
    try:
        call()
    except (OSError, MemoryError, RuntimeError):
        return
    found.append(what)
libc = ctypes.CDLL(None, use_errno=True)
if os.getuid() != {nobody} or os.geteuid() != {nobody}:
    found.append("it runs as a user of the machine")
if set(os.listdir("/")) - {seen}:
    found.append("it sees files of the machine")
if set(os.environ) - {{"PATH", "HOME", "LANG", "PWD", "LC_CTYPE"}}:
    found.append("it sees the environment")
if os.path.exists({canary!r}) or os.path.exists("/proc/1"):
    found.append("it sees other files or processes")
must_fail("it can write outside its folder", lambda: open("/usr/x", "w"))
must_fail("it can write outside its folder", lambda: open("/x", "w"))
must_fail("it can open sockets", lambda: socket.socket())
must_fail("it can start processes", lambda: os.fork() or os._exit(0))
must_fail("it can take all memory", lambda: bytearray({memory}))
for flag in (0x10000000, 0x20000, 0x40000000):
    if libc.unshare(flag) == 0:
        found.append("it can make name spaces")
with open("/tmp/x", "w") as file:
    file.write("x")
print(json.dumps(found))
"""


class Bubblewrap:
    """The engine `bubblewrap`. `python` names an interpreter; without it, the first that works is taken."""

    name = "bubblewrap"

    def __init__(self, limits: Limits, *, python: str = "") -> None:
        self.limits = limits
        self._candidates = [Path(python)] if python else _interpreters()
        self._python = self._candidates[0] if self._candidates else Path(sys.executable)
        self._bwrap = shutil.which("bwrap") or "bwrap"
        self._program = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")

    async def test(self) -> str:
        """Why this machine cannot run it; empty if a program that tries to get out does not."""
        if sys.platform != "linux":
            return "bubblewrap runs on Linux only"
        self._bwrap = shutil.which("bwrap") or ""
        if not self._bwrap:
            return "bwrap is not installed (Debian and Fedora: the package bubblewrap)"
        if not seccomp.known():
            return "there is no filter of system calls for this kind of machine"
        reasons = []
        for candidate in self._candidates:
            self._python = candidate
            reason = await self._probe()
            if not reason:
                return ""
            reasons.append(f"{candidate}: {reason}")
        return "; ".join(reasons) or "there is no Python to run"

    async def _probe(self) -> str:
        with tempfile.NamedTemporaryFile(prefix="ragweave-canary-") as canary:
            os.fchmod(canary.fileno(), 0o644)
            seen = {
                "lib",
                "lib32",
                "lib64",
                "usr",
                "etc",
                "dev",
                "tmp",
                *(one.parts[1] for one in _wanted(self._python)),
            }
            memory = self.limits.memory_mb * 2 * _MB
            try:
                outcome = await self.run(_PROBE.format(nobody=NOBODY, canary=canary.name, memory=memory, seen=seen), {})
            except ToolError as error:
                return error.message
        if outcome.status != "done":
            return (outcome.errors.strip().splitlines() or [f"it ended as {outcome.status!r}"])[-1][:300]
        try:
            return "; ".join(json.loads(outcome.output))
        except (ValueError, TypeError):
            return f"it printed {outcome.output[:100]!r} for an answer"

    async def run(self, code: str, inputs: Mapping[str, Any]) -> Outcome:
        """What came of a program. Raises ToolError if bubblewrap cannot be started."""
        start = time.monotonic()
        given = {"code": code, "inputs": dict(inputs), "limits": self._limits()}
        starting = asyncio.ensure_future(self._start())
        try:
            # Not to be broken off in the middle: nobody would hold what has been started.
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _Watched(await starting, 0).kill()
            raise
        watched = _Watched(process, self.limits.max_output)
        try:
            async with asyncio.timeout(self.limits.seconds):
                await watched.talk(json.dumps(given).encode("utf-8", "surrogatepass"))
                status = _status(await process.wait(), watched)  # one may close its outputs and go on
        except TimeoutError:
            status = "timeout"
        except _TooMuch:
            status = "output"
        finally:
            await watched.kill()
        errors = watched.text(1)
        if status == "error" and not errors:
            errors = f"The program left with status {process.returncode}.\n"
        seconds = round(time.monotonic() - start, 4)
        return Outcome(status=status, output=watched.text(0), errors=errors, seconds=seconds)

    async def _start(self) -> asyncio.subprocess.Process:
        filter_read, filter_write = os.pipe()  # 600 bytes: they fit
        try:
            os.write(filter_write, seccomp.program())
            os.close(filter_write)
            return await asyncio.create_subprocess_exec(
                *self._command(filter_read),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(filter_read,),
                start_new_session=True,
                cwd="/",
                env={"PATH": "/usr/bin:/bin"},
                **_as_nobody(),
            )
        except OSError as error:
            raise ToolError(f"the sandbox cannot be started: {error.strerror}") from None
        finally:
            os.close(filter_read)

    def _limits(self) -> dict[str, int]:
        limits = self.limits
        return {
            "RLIMIT_AS": limits.memory_mb * _MB,
            "RLIMIT_CPU": int(limits.seconds) + 1,
            "RLIMIT_FSIZE": limits.files_mb * _MB,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_SIGPENDING": 64,
        }

    def _command(self, filter_fd: int) -> list[str]:
        nobody = str(NOBODY)
        words = [self._bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--uid", nobody, "--gid", nobody]
        words += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
        for library in map(Path, _LIBRARIES):
            if library.is_symlink():
                words += ["--symlink", str(library.readlink()), str(library)]
            elif library.is_dir():
                words += ["--ro-bind", str(library), str(library)]
        for path in _wanted(self._python):
            words += ["--ro-bind", str(path), str(path)]
        words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
        # Of /dev only what cannot be filled: bubblewrap's own --dev has room for half of the memory.
        words += ["--size", str(_MB), "--tmpfs", "/dev"]
        for device in _DEVICES:
            words += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
        words += ["--remount-ro", "/dev", "--size", str(self.limits.files_mb * _MB), "--tmpfs", "/tmp"]
        words += ["--chdir", "/tmp", "--remount-ro", "/", "--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp"]
        words += ["--setenv", "LANG", "C.UTF-8", "--seccomp", str(filter_fd), "--"]
        return [*words, str(self._python), "-I", "-B", "-X", "utf8", "-c", self._program]


class _TooMuch(Exception):
    """The program has printed more than it may."""


class _Watched:
    """A running sandbox: what it prints, and its end."""

    def __init__(self, process: asyncio.subprocess.Process, limit: int) -> None:
        self._process = process
        self._limit = limit
        self._printed = (bytearray(), bytearray())

    async def talk(self, given: bytes) -> None:
        """Send the program and read what it prints, until it has closed both its outputs. Raises _TooMuch."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        reading = [
            asyncio.ensure_future(self._read(stream, into))
            for stream, into in zip((process.stdout, process.stderr), self._printed, strict=True)
        ]
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(given)
                await process.stdin.drain()
            process.stdin.close()
            await asyncio.gather(*reading)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _read(self, stream: asyncio.StreamReader, into: bytearray) -> None:
        while piece := await stream.read(_PIECE):
            into += piece
            if sum(map(len, self._printed)) > self._limit:
                raise _TooMuch

    def text(self, which: int) -> str:
        """What was printed, cut to the limit."""
        return bytes(self._printed[which][: self._limit]).decode("utf-8", "replace")

    async def kill(self) -> None:
        """End every process of the sandbox: the first one of its name space dies with bubblewrap, and all with it."""
        process = self._process
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        # A process counts as gone only when its pipes are read to their ends.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DYING):
                for stream in (process.stdout, process.stderr):
                    while stream is not None and await stream.read(_PIECE):
                        pass
                await process.wait()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


def _status(code: int, watched: _Watched) -> Status:
    if code == 0:
        return "done"
    errors = watched.text(1).rstrip()
    if errors.rpartition("\n")[2].startswith("MemoryError"):
        return "memory"
    if code == 128 + signal.SIGXCPU:
        return "timeout"
    return "killed" if code < 0 or code > 128 else "error"


def _as_nobody() -> dict[str, Any]:
    """Root gives up what it is before it starts anything: not all limits hold for its user."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def _interpreters() -> list[Path]:
    """This interpreter, if it is of the system or may be seen by others, and the system's."""
    found = [Path(sys.executable).resolve(), *(Path(name) for name in ("/usr/bin/python3", "/usr/local/bin/python3"))]
    real = [path.resolve() for path in found if path.exists()]
    return list(dict.fromkeys(path for path in real if _open_to_all(path)))


def _open_to_all(path: Path) -> bool:
    """True if the user that the sandbox runs as may reach a file."""
    if os.geteuid() != 0:
        return os.access(path, os.X_OK)
    return all(one.stat().st_mode & 0o001 for one in (path, *path.parents))


def _wanted(python: Path) -> list[Path]:
    """What of the machine an interpreter needs, besides the folders of libraries: itself and its own library."""
    prefix = python.parent.parent
    wanted = [python, *sorted((prefix / "lib").glob("python3.*")), *sorted((prefix / "lib").glob("libpython*"))]
    shared = [Path(library) for library in _LIBRARIES if not Path(library).is_symlink()]
    return [path for path in wanted if not any(path.is_relative_to(library) for library in shared)]
