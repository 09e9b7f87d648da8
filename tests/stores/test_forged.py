"""Damaged and forged journals: a JournalError or a right answer, in time, and nothing is imported, run or written."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator.stores.batches import line_refs

KINDS = {"columns": 60, "bits": 250, "events": 60, "values": 80}
"""What is damaged, and how many damages the short run tries at least."""
STEPS = {"columns": 20, "bits": 6, "events": 25, "values": 2}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: each damage begins with a file of its own, and ends with its deletion."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def forged(folder: Path, kind: str, step: int, *address: str) -> tuple[int, str]:
    """How many damages were tried, and what the program said. A process of its own: what it refuses, it refuses for
    good."""
    command = [sys.executable, "-m", "tests.stores.forging", str(folder), kind, str(step), *address]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-3000:]
    return int(found.stdout.rsplit(f"{kind}: ", 1)[1].split()[0]), found.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_forged_and_damaged_journals_are_told(folder: Path, kind: str) -> None:
    tried, said = forged(folder, kind, STEPS[kind])
    assert tried >= KINDS[kind], said
    assert "JournalError" in said


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_all_forged_and_damaged_journals_are_told(folder: Path, kind: str) -> None:
    tried, said = forged(folder, kind, 1)
    assert tried >= 2 * KINDS[kind], said


ON_A_SERVER = {"columns": 200, "events": 120, "values": 18}
"""Of what rows of a server may be, every so many-th in the short run."""


def test_forged_rows_of_a_server_are_told(folder: Path, postgres_server: str) -> None:
    tried, said = forged(folder, "values", ON_A_SERVER["values"], postgres_server)
    assert tried >= 8, said
    assert "JournalError" in said


@pytest.mark.long
@pytest.mark.parametrize("kind", ON_A_SERVER)
def test_all_forged_rows_of_a_server_are_told(folder: Path, kind: str, postgres_server: str) -> None:
    tried, said = forged(folder, kind, 1, postgres_server)
    assert tried >= KINDS[kind], said


def test_rows_are_utf8_and_load_no_other_encoding() -> None:
    line = '["finished","","n",1,null,0,-1,0,1.0,{"a":[1]}]'
    assert line_refs(line.encode()) == []
    for encoding in ("utf-32-be", "utf-16", "utf-16-le"):
        with pytest.raises(ValueError, match=r"codec|Expecting"):
            line_refs(line.encode(encoding))
