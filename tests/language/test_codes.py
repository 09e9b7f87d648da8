"""Every problem code is explained, by a wrong piece that gives it and a right one that does not."""

from __future__ import annotations

import re

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.codes import codes, explain, whole
from ragweave.orchestrator.errors import RagweaveError
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.resources import Resources
from tests.conventions.sources import FIVE, sources


def found(piece: str) -> tuple[set[str], set[str]]:
    """The codes of the errors, and of all problems, of a piece."""
    spec, problems = load_text(whole(piece))
    problems = check(spec, problems, Resources(spec.resources.values(), environ={})).problems
    return {problem.code for problem in problems if problem.severity == "error"}, {problem.code for problem in problems}


@pytest.mark.parametrize("code", [code for code in codes() if codes()[code].wrong])
def test_the_wrong_piece_gives_the_code_and_the_right_one_nothing(code: str) -> None:
    errors, all_found = found(codes()[code].wrong)
    assert code in all_found
    assert errors <= {code}
    errors, all_found = found(codes()[code].right)
    assert code not in all_found
    assert not errors


def test_every_code_that_the_source_gives_is_explained_and_no_other() -> None:
    given: set[str] = set()
    for source in sources(*FIVE, "ragweave"):
        if not source.path.startswith("orchestrator/codes"):
            given.update(re.findall(r'"(RW\d{3})"', source.text))
    explained = {code[:3] for code in codes()}
    assert sorted(code for code in given if code[:3] in explained) == list(codes())


def test_an_explanation_reads_well() -> None:
    assert str(explain("103")).splitlines()[:2] == ["RW103: unknown setting", ""]
    assert explain("rw103") is explain("RW103")
    assert "Wrong:\n\n    nodes:\n" in str(explain("RW103"))
    assert "Wrong" not in str(explain("RW129"))


@pytest.mark.parametrize("code", ["RW999", "", "RW", "hello"])
def test_an_unknown_code_says_which_there_are(code: str) -> None:
    with pytest.raises(RagweaveError, match="there are: RW100, "):
        explain(code)
