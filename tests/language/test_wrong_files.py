"""Wrong graph files: each gives exactly the problems, at exactly the places, that its first lines say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.codes import codes
from ragweave.orchestrator.language.fixes import apply
from tests.language.reading import opened, places

FILES = sorted((Path(__file__).parent / "wrong").glob("*.yaml"))


def expected(text: str) -> list[str]:
    return [line.removeprefix("#:").strip() for line in text.splitlines() if line.startswith("#:")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_fault_is_found_at_its_place_and_no_other(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    _, _, problems = opened(text)
    assert places(problems) == expected(text), "\n".join(str(problem) for problem in problems)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_repair_mends_its_problem(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    _, _, before = opened(text)
    mended, applied = apply(text, before)
    _, _, after = opened(mended)
    assert len(after) <= len(before) - len(applied), "\n".join(str(problem) for problem in after)


def test_the_files_cover_every_code_of_the_language() -> None:
    found = {line.split()[1] for path in FILES for line in expected(path.read_text(encoding="utf-8"))}
    wanted = {code for code in codes() if code[2] in "13"}
    assert sorted(wanted - found) == ["RW129"]  # given where the file itself cannot be read


def test_a_problem_says_what_was_meant() -> None:
    text = "schema: ragweave/v1\nnodes:\n  greet: {type: say, txet: Hello.}\nedges: [start -> greet -> end]\n"
    _, _, problems = opened(text)
    assert [str(problem) for problem in problems] == [
        "graph:3:22  RW103  nodes.greet: unknown setting 'txet'; did you mean 'text'?"
    ]
