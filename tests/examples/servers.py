"""The chat servers of the example, as processes: what all tests that talk to them share."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.examples.folders import ROOT, copied

WARRANTY, FOUR = "How long is the warranty of a lamp?", "warranty of four years"


def indexed(folder: Path) -> Path:
    """A copy of the example below a folder, with its index."""
    copy = copied("embed", folder)
    subprocess.run([sys.executable, "-m", "ragweave", "index", "help.yaml"], cwd=copy, check=True, capture_output=True)
    return copy


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def started(
    folder: Path, command: Sequence[str], ready: str, *, python: str = sys.executable, **environ: str
) -> Iterator[str]:
    """A server process of this `python`; what the group of `ready` matches in what it prints."""
    process = subprocess.Popen(
        [python, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "CHAT_MODEL": "", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            found = re.search(ready, line)
            if found:
                yield found[1]
                break
        else:
            pytest.fail(f"the server did not start: {said}")
    finally:
        process.terminate()
        rest = process.communicate(timeout=60)[0]
    assert "Traceback" not in rest, rest


@contextmanager
def served(folder: Path, app: str, *, python: str = sys.executable, **environ: str) -> Iterator[str]:
    """The address of an app that uvicorn serves."""
    command = ["-m", "uvicorn", f"{app}:app", "--port", "0"]
    with started(folder, command, r"running on (http://127\.0\.0\.1:\d+)", python=python, **environ) as address:
        yield address
