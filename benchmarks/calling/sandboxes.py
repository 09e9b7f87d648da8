"""Programs in the sandboxes: what tries to get out, what eats the machine, and solutions with their tests."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from typing import Any

from tables import LeftOut, Line, data, share

from ragweave.orchestrator.errors import ResourceError
from ragweave.tools.sandbox import Outcome, PythonSandbox
from tests.tools.escapes import ATTEMPTS, BOMBS, BUBBLEWRAP_BOMBS, HARNESS, MONTY_ATTEMPTS

LIMIT_S, LIMIT_MB = 1, 128
START_S = 4
"""What starting and killing a program may take beside its own time, on a machine that does other things."""


async def escapes() -> list[Line]:
    """Attempts to get out, by engine; one that is not there is left out."""
    os.environ["RAGWEAVE_SECRET"] = "hunter2"
    found, out, left = [], 0, []
    try:
        python = await _sandbox("bubblewrap", memory_mb=512)
        with tempfile.NamedTemporaryFile() as canary:
            outcome = await python.run(HARNESS, {"attempts": ATTEMPTS, "CANARY": canary.name})
        escaped = json.loads(outcome.output.splitlines()[-1]) if outcome.status == "done" else ["the harness failed"]
        out += len(escaped)
        found.append(f"bubblewrap {len(escaped)} of {len(ATTEMPTS)}")
    except LeftOut as error:
        left.append(str(error))
    try:
        monty = await _sandbox("monty", seconds=2)
        passed = [one for one in MONTY_ATTEMPTS if (await monty.run(one)).status != "error"]
        out += len(passed)
        found.append(f"Monty {len(passed)} of {len(MONTY_ATTEMPTS)}")
    except LeftOut as error:
        left.append(str(error))
    if not found:
        raise LeftOut("; ".join(left))
    return [Line("sandbox: escapes", "0", ", ".join(found), out == 0, tuple(left))]


async def bombs() -> list[Line]:
    """Programs that eat time or memory, and how long the longest of them lived."""
    good = count = 0
    longest, wrong, left = 0.0, [], []
    for engine in ("bubblewrap", "monty"):
        try:
            python = await _sandbox(engine, seconds=LIMIT_S, memory_mb=LIMIT_MB)
        except LeftOut as error:
            left.append(str(error))
            continue
        for code, ends in (BOMBS | (BUBBLEWRAP_BOMBS if engine == "bubblewrap" else {})).items():
            begin = time.perf_counter()
            outcome = await python.run(code)
            took = time.perf_counter() - begin
            longest, count = max(longest, took), count + 1
            if outcome.status in ends and took < LIMIT_S + START_S:
                good += 1
            else:
                wrong.append(f"{engine}: {code!r}: {outcome.status} after {took:.1f} s")
    if not count:
        raise LeftOut("; ".join(left))
    said = f"{share(good, count)}; the longest lived {longest:.1f} s, with a limit of {LIMIT_S} s"
    return [Line("sandbox: bombs stopped within the limit", "all", said, good == count, (*wrong, *left))]


async def humaneval() -> list[Line]:
    """The reference solutions of HumanEval with their tests, and wrong ones in their place."""
    problems = [json.loads(line) for line in (data("code_humaneval") / "problems.jsonl").read_text().splitlines()]
    python = await _sandbox("bubblewrap", seconds=60)
    two = asyncio.Semaphore(2)

    async def run(problem: dict[str, str], solution: str) -> Outcome:
        test = f"{problem['test']}\ncheck({problem['entry_point']})\n"
        async with two:
            return await python.run(f"{problem['prompt']}{solution}\n{test}")

    right = await asyncio.gather(*(run(one, one["canonical_solution"]) for one in problems))
    wrong = await asyncio.gather(*(run(one, "    return object()\n") for one in problems))
    passed = sum(one.status == "done" for one in right)
    failed = sum(one.status == "error" for one in wrong)
    count = len(problems)
    return [
        Line(
            "HumanEval: solutions that pass in the sandbox",
            f"{count} of {count}",
            share(passed, count),
            passed == count,
        ),
        Line("HumanEval: wrong ones that fail", f"{count} of {count}", share(failed, count), failed == count),
    ]


async def _sandbox(engine: str, **limits: Any) -> PythonSandbox:
    """A sandbox that has passed its self-test. Raises LeftOut where it does not pass."""
    made = PythonSandbox(engine=engine, **limits)
    try:
        await made.start()
    except ResourceError as error:
        raise LeftOut(error.message) from None
    return made
