"""Programs in Monty, an interpreter of a part of Python, written in Rust (pydantic-monty; the extra `sandbox`).

It has no files, no network and no processes that could be shut in: what is not written into it does not exist. It runs
in a process of its own, so that a fault of it ends only that. It lacks much of the library, and classes in part.
"""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.sandbox.outcome import Limits, Outcome, Status

_MB = 1 << 20
_GRACE = 5.0
_PROBE = """
found = []
try:
    import socket
    found.append('it can import socket')
except ImportError:
    pass
try:
    open('/etc/passwd').read()
    found.append('it can read files')
except Exception:
    pass
try:
    __import__('os').system('true')
    found.append('it can run programs')
except Exception:
    pass
found
"""


class MontyEngine:
    """The engine `monty`."""

    name = "monty"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    async def test(self) -> str:
        """Why this machine cannot run it; empty if it can."""
        if importlib.util.find_spec("pydantic_monty") is None:
            return "pydantic-monty is not installed (pip install 'ragweave[sandbox]')"
        try:
            outcome = await self.run(_PROBE, {})
        except ToolError as error:
            return error.message
        return "" if outcome.output.strip() == "[]" else f"{outcome.output} {outcome.errors}".strip()

    async def run(self, code: str, inputs: Mapping[str, Any]) -> Outcome:
        """What came of a program. Raises ToolError if the interpreter cannot be started."""
        import pydantic_monty as monty

        limits = self.limits
        printed = monty.CollectStreams(max_bytes=limits.max_output)
        start = time.monotonic()
        status: Status = "done"
        value, errors = "", ""
        try:
            # A worker serves one program: nothing of one is there for the next.
            async with (
                asyncio.timeout(limits.seconds + _GRACE),
                monty.AsyncMonty(request_timeout=limits.seconds + 2, max_processes=1) as pool,
                pool.checkout(
                    limits={
                        "max_feed_duration_secs": limits.seconds,
                        "max_memory": limits.memory_mb * _MB,
                        "max_total_sleep_secs": limits.seconds,
                    },
                    os_policy={"sleep": "zero"},
                    script_name="program.py",
                    print_flush_interval=0.05,
                ) as session,
            ):
                result = await session.feed_run(code, inputs=dict(inputs) or None, print_callback=printed)
                value = "" if result is None else f"{result!r}\n"
        except (monty.MontyRuntimeError, monty.MontySyntaxError) as error:
            said = error.display("type-msg")
            status, errors = _status(said, limits.max_output), error.display("traceback") + "\n"
        except monty.MontyCrashedError as error:
            status = "timeout" if error.timed_out else "killed"
        except TimeoutError:
            status = "timeout"
        except monty.MontyError as error:
            status, errors = "error", f"{error}\n"
        except (OSError, RuntimeError) as error:
            raise ToolError(f"the sandbox cannot be started: {error}") from None
        text = {"stdout": "", "stderr": ""}
        for stream, piece in printed.output:
            text[stream] += piece
        output = text["stdout"] + value
        if len(output.encode()) > limits.max_output and status == "done":
            status = "output"
        cut = output.encode()[: limits.max_output].decode("utf-8", "ignore")
        return Outcome(
            status=status,
            output=cut,
            errors=(text["stderr"] + errors)[: limits.max_output],
            seconds=round(time.monotonic() - start, 4),
        )


def _status(said: str, max_output: int) -> Status:
    if said.startswith("TimeoutError"):
        return "timeout"
    if said.startswith("MemoryError"):
        return "output" if said.endswith(f"> {max_output} bytes") else "memory"
    return "error"
