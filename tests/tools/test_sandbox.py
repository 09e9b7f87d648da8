"""Programs in the sandboxes: what works, what does not get out, what is stopped; and no sandbox, no program."""

from __future__ import annotations

import asyncio
import copy
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.sandbox import Outcome, PythonSandbox, seccomp
from ragweave.tools.sandbox.bubblewrap import Bubblewrap
from ragweave.tools.sandbox.monty import MontyEngine

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "code_humaneval"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs ../shared/data, which is not part of the repository"
)
ENGINES = ("bubblewrap", "monty")
_tried: dict[str, str | PythonSandbox] = {}


async def sandbox(engine: str, **limits: Any) -> PythonSandbox:
    """A sandbox that has passed its self-test, which is done once; the test is skipped where it does not pass."""
    if engine not in _tried:
        first = PythonSandbox(engine=engine)
        try:
            await first.start()
            _tried[engine] = first
        except ResourceError as error:
            _tried[engine] = error.message
    tried = _tried[engine]
    if isinstance(tried, str):
        pytest.skip(tried)
    made = PythonSandbox(engine=engine, **limits)
    made._chosen = copy.copy(tried._chosen)
    assert isinstance(made._chosen, (Bubblewrap, MontyEngine))
    made._chosen.limits = made
    return made


def exists(path: Path | str) -> bool:
    return Path(path).exists()


def open_to_all(folder: str) -> Path:
    Path(folder).chmod(0o755)
    return Path(folder)


def write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def left_over() -> set[int]:
    """Processes that run what is run first in the sandbox."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"The first thing that runs in the sandbox" in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_program_runs(engine: str) -> None:
    python = await sandbox(engine)
    outcome = await python.run("import math\nprint('a')\nmath.factorial(n)", {"n": 5})
    assert (outcome.status, outcome.output, outcome.errors) == ("done", "a\n120\n", "")
    assert outcome.text == "a\n120"
    nothing = await python.run("x = 1")
    assert nothing.text == "The program printed nothing."
    data = await python.run("sum(row['price'] for row in rows)", {"rows": [{"price": 2}, {"price": 3.5}]})
    assert data.output == "5.5\n"
    failed = await python.run("def f(x):\n    return 1 / x\nprint('before')\nf(0)")
    assert (failed.status, failed.output) == ("error", "before\n")
    assert "line 2, in f" in failed.errors
    assert failed.errors.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "ragweave" not in failed.errors
    broken = await python.run("def f(:")
    assert broken.status == "error"
    assert "SyntaxError" in broken.errors


async def test_full_python_is_there_behind_bubblewrap() -> None:
    python = await sandbox("bubblewrap")
    code = """
import asyncio, collections, dataclasses, decimal, json, re, sqlite3, statistics, tempfile, unittest, zoneinfo
@dataclasses.dataclass
class Point:
    x: int
    y: "int" = 2
async def main():
    await asyncio.sleep(0)
    return Point(1)
with tempfile.TemporaryFile() as file:
    file.write(b"x")
class T(unittest.TestCase):
    def test(self):
        self.assertEqual(1, 1)
unittest.main(argv=["x"], exit=False, verbosity=0)
print(asyncio.run(main()), sqlite3.connect(":memory:").execute("SELECT 1").fetchall(), __name__, input is not None)
raise SystemExit(3)
"""
    outcome = await python.run(code)
    assert outcome.output == "Point(x=1, y=2) [(1,)] __main__ True\n"
    assert outcome.status == "error"
    assert (await python.run("import sys\nsys.exit(3)")).errors == "The program left with status 3.\n"


# Each line must fail, or give something false.
ATTEMPTS = r"""
open("/etc/passwd").read()
open("/etc/shadow").read()
open("/etc/hostname").read()
os.listdir("/root")
os.listdir("/home")
os.listdir("/work")
os.listdir("/proc")
os.listdir("/sys")
os.listdir("/var")
open("/proc/self/environ").read()
open("/proc/1/cmdline").read()
open("/tmp/../etc/passwd").read()
open("/usr/lib/x", "w")
open("/usr/bin/x", "w")
open("/x", "w")
open("/dev/x", "w")
open("/dev/shm/x", "w")
open("/dev/mem", "rb")
open("/dev/kmsg", "rb")
open("/dev/tty", "rb")
open("/dev/ptmx", "rb")
os.openpty()
os.mknod("/tmp/disk", 0o60660, os.makedev(8, 0))
os.symlink("/etc/passwd", "/tmp/l") or open("/tmp/l").read()
os.link("/usr/lib/os-release", "/usr/lib/y")
os.chroot("/tmp")
os.setuid(0)
os.setresuid(0, 0, 0)
os.setgroups([0])
os.getuid() == 0 or os.geteuid() == 0
os.nice(-5)
os.fork()
os.forkpty()
os.posix_spawn("/usr/bin/python3", ["python3", "-c", "pass"], {})
subprocess.run(["true"])
os.system("true") == 0
os.popen("id").read()
threading.Thread(target=print).start()
multiprocessing.Process(target=print).start()
socket.socket()
socket.socket(socket.AF_UNIX)
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
socket.create_connection(("127.0.0.1", 22), 1)
socket.create_connection(("1.1.1.1", 53), 1)
socket.getaddrinfo("example.org", 80)
urllib.request.urlopen("http://169.254.169.254/", timeout=1)
os.kill(1, 9) or os.kill(1, 0)
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
os.memfd_create("x")
call(SHMGET, 0, 1 << 20, 0o1600) >= 0
call(PTRACE, 0, 0, 0, 0) >= 0
call(UNSHARE, 0x10000000) >= 0
call(UNSHARE, 0x00020000) >= 0
call(SETNS, 0, 0) >= 0
call(MOUNT, b"none", b"/tmp", b"tmpfs", 0, 0) >= 0
call(BPF, 0, 0, 0) >= 0 or ctypes.get_errno() != 1
call(425, 1, 0) >= 0 or ctypes.get_errno() != 1
call(KEYCTL, 0, -3, 0) >= 0
call(PERF, 0, 0, -1, -1, 0) >= 0 or ctypes.get_errno() != 1
call(USERFAULTFD, 0) >= 0 or ctypes.get_errno() != 1
call(435, 0, 0) >= 0 or ctypes.get_errno() != 1
bytearray(1 << 33)
mmap.mmap(-1, 1 << 33)
open_at_first
set(os.environ) - {"PATH", "HOME", "LANG", "PWD", "LC_CTYPE"}
[name for name in ("ragweave", "pydantic", "httpx") if importlib.util.find_spec(name)]
os.path.exists(CANARY)
socket.gethostname() not in ("sandbox",)
open("/tmp/large", "wb").write(b"x" * (1 << 25))
[open(f"/tmp/{n}", "wb").write(b"x" * (1 << 20)) for n in range(64)]
""".strip().splitlines()

HARNESS = """
import ctypes, importlib.util, json, mmap, multiprocessing, os, platform, resource, socket, subprocess, threading, sys
import urllib.request
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = dict(SHMGET=(29, 194), PTRACE=(101, 117), UNSHARE=(272, 97), SETNS=(308, 268), MOUNT=(165, 40),
               BPF=(321, 280), KEYCTL=(250, 219), PERF=(298, 241), USERFAULTFD=(323, 282))
globals().update({name: both[platform.machine() != "x86_64"] for name, both in NUMBERS.items()})
def call(*args):
    return libc.syscall(*args)
def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
open_at_first = [fd for fd in range(3, 64) if is_open(fd)]
got = []
sys.stderr = open("/tmp/err", "w")
for attempt in attempts:
    try:
        if eval(attempt):
            got.append(attempt)
    except BaseException:
        pass
print(json.dumps(got))
"""


async def test_nothing_gets_out_of_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    canary.touch()
    monkeypatch.setenv("RAGWEAVE_SECRET", "hunter2")
    python = await sandbox("bubblewrap", memory_mb=512)
    # What a program could do with a second thread or a signal of its own is tried in a program of its own.
    outcome = await python.run(HARNESS, {"attempts": ATTEMPTS, "CANARY": str(canary)})
    assert outcome.status == "done", outcome
    assert json.loads(outcome.output.splitlines()[-1]) == []
    assert len(ATTEMPTS) >= 60


@pytest.mark.skipif(platform.machine() != "x86_64", reason="machine code of x86_64")
async def test_system_calls_by_another_door_end_the_program() -> None:
    python = await sandbox("bubblewrap")
    code = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex(code))
run = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print("before", flush=True)
print("got", run())
"""
    through_int80 = "b814000000cd80c3"  # getpid of i386
    through_x32 = "b8270000400f05c3"  # getpid of x32
    plain = "b8270000000f05c3"
    assert (await python.run(code, {"code": plain})).output.startswith("before\ngot ")
    for machine_code in (through_int80, through_x32):
        outcome = await python.run(code, {"code": machine_code})
        assert (outcome.status, outcome.output) == ("killed", "before\n")


MONTY_ATTEMPTS = [
    "open('/etc/passwd').read()",
    "import os\nos.system('true')",
    "import os\nos.listdir('/')",
    "import os\nos.environ['PATH']",
    "import os\nos.getenv('RAGWEAVE_SECRET') and 1 / 0\nraise ValueError",
    "import pathlib\npathlib.Path('/etc/passwd').read_text()",
    "import pathlib\npathlib.Path('/tmp/escaped').write_text('x')",
    "import socket\nsocket.socket()",
    "import subprocess\nsubprocess.run(['true'])",
    "import ctypes",
    "import importlib\nimportlib.import_module('os').system('true')",
    "__import__('os').system('true')",
    "().__class__.__base__.__subclasses__()",
    "(lambda: 0).__globals__",
    "(lambda: 0).__code__",
    "getattr((), '__cl' + 'ass__').__mro__[1].__subclasses__()",
    "__builtins__['open']('/etc/passwd')",
    "eval(\"open('/etc/passwd')\")",
    "exec('import os; os.fork()')",
    "compile('1', 'x', 'eval')",
    "import sys\nsys.modules['os'].system('true')",
    "import sys\nsys._getframe()",
    "import builtins\nbuiltins.open('/etc/passwd')",
    "import pickle\npickle.loads(b'cos\\nsystem\\n(S\"true\"\\ntR.')",
    "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    "import threading\nthreading.Thread(target=print).start()",
    "import multiprocessing",
    "import signal",
    "import gc\ngc.get_objects()",
    "import inspect\ninspect.currentframe().f_back",
]


async def test_nothing_gets_out_of_monty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWEAVE_SECRET", "hunter2")
    python = await sandbox("monty", seconds=2)
    for attempt in MONTY_ATTEMPTS:
        outcome = await python.run(attempt)
        assert outcome.status == "error", (attempt, outcome)
    assert not exists("/tmp/escaped")


BOMBS = {
    "while True: pass": {"timeout"},
    "9 ** 9 ** 9 ** 9": {"timeout", "memory"},
    "import re\nre.match('(a+)+$', 'a' * 40 + 'b')": {"timeout", "done"},
    "x = []\nwhile True: x.append('x' * 10**6)": {"memory", "timeout"},
    "'a' * 10**11": {"memory"},
    "x = [0]\nwhile True: x += x": {"memory", "timeout"},
    "def f(): f()\nf()": {"error"},
    "while True: print('x' * 1000)": {"output"},
    "print('x' * 10**6)": {"output", "memory"},
}
BUBBLEWRAP_BOMBS = {
    "import os\nwhile True: os.fork()": {"error"},
    "import os\nos.close(1)\nos.close(2)\nwhile True: pass": {"timeout"},
    "import time\ntime.sleep(1000)": {"timeout"},
    "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\n"
    "while True: pass": {"timeout"},
    "import threading\nwhile True: threading.Thread(target=input).start()": {"error"},
    "import sys\nwhile True: sys.stderr.write('x' * 1000)": {"output"},
    "n = 0\nwhile True:\n    open(f'/tmp/{n}', 'wb').write(b'x' * 10**6)\n    n += 1": {"error"},
    "import ctypes\nctypes.string_at(0)": {"killed"},
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()": {"killed", "memory", "timeout", "error"},
    "import os\nos.kill(os.getpid(), 9)": {"killed"},
    "import os\nos._exit(0)": {"done"},
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
async def test_bombs_are_stopped_within_the_limit(engine: str) -> None:
    python = await sandbox(engine, seconds=1, memory_mb=128)
    before = left_over()
    bombs = BOMBS | (BUBBLEWRAP_BOMBS if engine == "bubblewrap" else {})

    async def blow(code: str) -> tuple[str, Outcome, float]:
        async with two:
            start = time.monotonic()
            return code, await python.run(code), time.monotonic() - start

    two = asyncio.Semaphore(4)
    for code, outcome, took in await asyncio.gather(*(blow(code) for code in bombs)):
        assert outcome.status in bombs[code], (code, outcome)
        assert took < 5, (code, took)
        assert len(outcome.output) <= 64_000
    for _ in range(50):
        if not left_over() - before:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"still there: {left_over() - before}")


async def test_a_program_that_nobody_waits_for_is_killed() -> None:
    python = await sandbox("bubblewrap", seconds=60)
    before = left_over()
    running = asyncio.create_task(python.run("while True: pass"))
    for _ in range(200):
        await asyncio.sleep(0.02)
        if left_over() - before:
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.2)
    assert not left_over() - before


async def test_where_no_sandbox_works_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="ragweave-") as name:
        folder = open_to_all(name)
        marker = folder / "ran"
        monkeypatch.setenv("PATH", name)
        python = PythonSandbox(engine="bubblewrap")
        with pytest.raises(ResourceError, match=r"so Python is off \(bubblewrap: bwrap is not installed"):
            await python.run(f"open({str(marker)!r}, 'w')")
        # One that shuts nothing in, but passes all else on, does not pass.
        write_program(folder / "bwrap", '#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec "$@"\n')
        with pytest.raises(ResourceError, match="it can open sockets; it can start processes"):
            await python.run(f"open({str(marker)!r}, 'w')")
        assert not exists(marker)


async def test_what_cannot_be_sent_is_refused() -> None:
    python = PythonSandbox()
    for code, inputs, message in (
        ("x" * 300_000, {}, "may have 200,000 characters"),
        ("1\0", {}, "zero character"),
        ("1", {"a b": 1}, "cannot be the name"),
        ("1", {"class": 1}, "cannot be the name"),
        ("1", {"__builtins__": 1}, "cannot be the name"),
        ("1", {"x": object()}, "JSON values"),
        ("1", {"x": "y" * 5_000_000}, "may have 4,000,000 characters"),
    ):
        with pytest.raises(ToolError, match=message):
            await python.run(code, inputs)
    for wrong in ({"seconds": 0}, {"memory_mb": 1}, {"engine": "none"}):
        with pytest.raises(ValidationError):
            PythonSandbox(**wrong)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_answers_every_call(machine: str) -> None:
    """The filter, run by a small interpreter of classic BPF."""
    program = seccomp.program(machine)
    lines = [program[at : at + 8] for at in range(0, len(program), 8)]
    arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]

    def answer(number: int, architecture: int) -> int:
        at = loaded = 0
        while True:
            code = int.from_bytes(lines[at][:2], "little")
            yes, no, value = lines[at][2], lines[at][3], int.from_bytes(lines[at][4:], "little")
            if code == 0x06:
                return value
            if code == 0x20:
                loaded = architecture if value == 4 else number
            else:
                at += yes if (loaded == value if code == 0x15 else loaded >= value) else no
            at += 1

    refused = set(seccomp.refused(machine))
    assert all(answer(number, arch) == (0x00050001 if number in refused else 0x7FFF0000) for number in range(600))
    assert answer(39, arch ^ 1) == answer(0x40000000 + 39, arch) == 0x80000000
    assert seccomp.known(machine)
    assert not seccomp.known("riscv64")


def problems() -> list[dict[str, str]]:
    lines = (SHARED / "problems.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


async def check(python: PythonSandbox, problem: dict[str, str], *, right: bool) -> Outcome:
    solution = problem["canonical_solution"] if right else "    return object()\n"
    code = f"{problem['prompt']}{solution}\n{problem['test']}\ncheck({problem['entry_point']})\n"
    return await python.run(code)


@needs_shared
async def test_solutions_pass_and_wrong_ones_fail() -> None:
    python = await sandbox("bubblewrap")
    for problem in problems()[:3]:
        assert (await check(python, problem, right=True)).status == "done", problem["task_id"]
        assert (await check(python, problem, right=False)).status == "error", problem["task_id"]


@needs_shared
@pytest.mark.long
async def test_every_solution_passes_and_every_wrong_one_fails() -> None:
    python = await sandbox("bubblewrap", seconds=60)
    passed = failed = 0
    for problem in problems():
        passed += (await check(python, problem, right=True)).status == "done"
        failed += (await check(python, problem, right=False)).status == "error"
    assert (passed, failed) == (74, 74)
