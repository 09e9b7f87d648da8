"""The code of other frameworks in the guides does what the guides say, run by the interpreter that has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conventions.documents import blocks, same

ROOT = Path(__file__).resolve().parents[2]
PEERS = [("docs/from-haystack.md", "needs haystack-ai", "haystack")]


def _program(path: str, mark: str) -> tuple[str, str]:
    """The blocks that are left out of the test of the documents, one after the other, and what they print."""
    found = [block for block in blocks((ROOT / path).read_text("utf-8")) if block.marks.get("not run") == mark]
    lines = [line for block in found for line in block.text.splitlines()]
    shown = [line[2:].strip() for line in lines if line.startswith("#>")]
    return "\n".join(lines), "\n".join(shown)


@pytest.mark.long
@pytest.mark.parametrize(("path", "mark", "peer"), PEERS)
def test_the_code_of_the_peer_prints_what_the_guide_shows(path: str, mark: str, peer: str) -> None:
    python = ROOT / "benchmarks/.venvs" / peer / "bin/python"
    if not python.exists():
        pytest.skip(f"{peer} is not installed: `make bench` makes {python.parent.parent}")
    program, shown = _program(path, mark)
    assert shown
    done = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"HAYSTACK_TELEMETRY_ENABLED": "False"},
    )
    assert done.returncode == 0, done.stderr
    assert same(shown, done.stdout), done.stdout
