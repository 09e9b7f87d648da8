"""Every test that the page on threats names is there, and is run."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.conventions.sources import ROOT

PAGE = (ROOT / "docs" / "threats.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", PAGE)))
ADVISORY = re.compile(r"\b(CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3})\b")


def collected(*names: str) -> set[str]:
    """Those of the tests that a plain run would run; without their parameters."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        *names,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "error" not in done.stdout.lower().splitlines()[-1], done.stdout + done.stderr
    return {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}


def test_every_test_that_the_page_names_is_run() -> None:
    assert len(NAMED) > 30
    assert collected(*NAMED) == set(NAMED)


def test_every_advisory_has_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|") and ADVISORY.search(line)]
    assert sum(len(ADVISORY.findall(row)) for row in rows) == len(set(ADVISORY.findall(PAGE)))
    without = [row for row in rows if not re.search(r"`tests/[\w/]+\.py::test_\w+` *(, `[^`]+` *)*\|$", row)]
    assert not without


@pytest.mark.parametrize("name", ["tests/conventions/test_threats.py::test_that_nobody_wrote", "tests/none.py::test_a"])
def test_a_test_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(AssertionError):
        assert collected(name) == {name}
