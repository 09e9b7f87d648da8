"""Programs in the sandboxes: what works, what does not get out, what is stopped; and no sandbox, no program."""

from __future__ import annotations

import asyncio
import copy
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.sandbox import Outcome, PythonSandbox, seccomp
from ragweave.tools.sandbox.bubblewrap import Bubblewrap
from ragweave.tools.sandbox.monty import MontyEngine
from tests.tools.escapes import ATTEMPTS, BOMBS, BUBBLEWRAP_BOMBS, HARNESS, MONTY_ATTEMPTS

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


async def test_nothing_gets_out_of_monty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWEAVE_SECRET", "hunter2")
    python = await sandbox("monty", seconds=60)
    for attempt in MONTY_ATTEMPTS:
        outcome = await python.run(attempt)
        assert outcome.status == "error", (attempt, outcome)
    assert not exists("/tmp/escaped")


@pytest.mark.parametrize("engine", ENGINES)
async def test_bombs_are_stopped_within_the_limit(engine: str) -> None:
    before = left_over()
    bombs = BOMBS | (BUBBLEWRAP_BOMBS if engine == "bubblewrap" else {})

    async def blow(code: str) -> tuple[str, Outcome]:
        async with two:
            # What does not end by its time has enough of it on any machine.
            python = await sandbox(engine, seconds=1 if "timeout" in bombs[code] else 60, memory_mb=128)
            return code, await python.run(code)

    two = asyncio.Semaphore(4)
    blown = await asyncio.wait_for(asyncio.gather(*(blow(code) for code in bombs)), 300)
    for code, outcome in blown:
        assert outcome.status in bombs[code], (code, outcome)
        assert len(outcome.output) <= 64_000
    for _ in range(600):
        if not left_over() - before:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"still there: {left_over() - before}")


@pytest.mark.parametrize("after", [0.0, 0.01, 0.05, 0.3])
async def test_a_program_that_nobody_waits_for_is_killed(after: float) -> None:
    python = await sandbox("bubblewrap", seconds=600)
    before = left_over()
    running = asyncio.create_task(python.run("while True: pass"))
    await asyncio.sleep(after)  # while it is being started, and later
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 60)
    for _ in range(600):
        if not left_over() - before:
            return
        await asyncio.sleep(0.05)
    pytest.fail("it goes on")


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
    python = await sandbox("bubblewrap", seconds=600)
    passed = failed = 0
    for problem in problems():
        passed += (await check(python, problem, right=True)).status == "done"
        failed += (await check(python, problem, right=False)).status == "error"
    assert (passed, failed) == (74, 74)
