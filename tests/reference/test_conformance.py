"""The conformance cases against the reference interpreter: what the design says in words must come out."""

from __future__ import annotations

import pytest

from tests.reference import cases
from tests.reference.cases import NO, YES
from tests.reference.interpreter import Call, Outcome, Script, first_running, last_running, play, scripted
from tests.reference.sketch import Sketch


def names(outcome: Outcome) -> str:
    return " ".join(name for name, _ in outcome.runs)


def passing_at(visit: int) -> Script:
    """Grade passes at this visit, screen always."""

    def script(name: str, number: int) -> Call:
        return Call(holds=(YES,) if name == "screen" else (number >= visit, YES))

    return script


def test_c1_passes_at_the_second_visit() -> None:
    outcome = play(cases.COOKBOOK, passing_at(2))
    body = "decompose retrieve rerank answer grade"
    assert names(outcome) == f"recall screen {body} {body} remember"
    assert outcome.skipped == ["refuse"]
    assert outcome.outputs == {"answer": ("answer#2.answer",)}
    assert not outcome.trouble


def test_c1_never_passes() -> None:
    outcome = play(cases.COOKBOOK, passing_at(99))
    body = "decompose retrieve rerank answer grade"
    assert names(outcome) == f"recall screen {body} {body} {body} refuse remember"
    assert outcome.skipped == []


def test_c1_screened_out() -> None:
    outcome = play(cases.COOKBOOK, scripted({}))
    assert names(outcome) == "recall screen refuse remember"
    assert set(outcome.skipped) == {"decompose", "retrieve", "rerank", "answer", "grade"}


def test_c2_a_loop_ends_by_its_bound() -> None:
    outcome = play(cases.C2, scripted({}, Call(holds=(YES,) * 3)))
    assert names(outcome) == "think act think act think act give_up"
    assert not outcome.trouble


def test_c3_bounds_inside_a_loop_are_reset_with_it() -> None:
    outcome = play(cases.C3, scripted(cases.C3_CALLS))
    assert names(outcome) == "h i i h i i m"
    assert outcome.skipped == ["x"]


def test_c4_a_join_runs_after_the_branch_that_ran() -> None:
    outcome = play(cases.C4, scripted({}))
    assert names(outcome) == "s b j"
    assert outcome.trouble == {("missing", "j", "x")}


def test_c5_what_may_be_missing_and_what_never_is() -> None:
    assert play(cases.C5_MISSING, scripted({})).trouble == {("missing", "n1", "x")}
    for choice in (YES, NO):
        assert not play(cases.C5_EITHER, scripted({}, Call(holds=(choice,)))).trouble


@pytest.mark.parametrize("pick", [first_running, last_running])
def test_c6_a_newer_write_replaces_an_older_one(pick: object) -> None:
    outcome = play(cases.C6, scripted({}), pick)  # type: ignore[arg-type]
    assert outcome.seen["j", 1]["k"] == ("b#1.k",)


@pytest.mark.parametrize("pick", [first_running, last_running])
def test_c7_parallel_writes_come_in_the_order_of_edges(pick: object) -> None:
    assert play(cases.c7(frozenset()), scripted({}), pick).trouble == {("unmerged", "n", "k")}  # type: ignore[arg-type]
    outcome = play(cases.c7(frozenset({"k"})), scripted({}), pick)  # type: ignore[arg-type]
    assert outcome.seen["n", 1]["k"] == ("b#1.k", "c#1.k", "d#1.k")


@pytest.mark.parametrize("pick", [first_running, last_running])
def test_c8_a_join_waits_for_a_loop(pick: object) -> None:
    again = scripted({}, Call(holds=(YES,)))
    outcome = play(cases.c8(header_writes=False), again, pick)  # type: ignore[arg-type]
    assert [name for name, _ in outcome.runs].count("h") == 3
    assert outcome.seen["j", 1]["k"] == ("x#1.k",)
    assert play(cases.c8(header_writes=True), again, pick).trouble == {("unmerged", "j", "k")}  # type: ignore[arg-type]
    merged = play(cases.c8(header_writes=True, merges=frozenset({"k"})), again, pick)  # type: ignore[arg-type]
    assert merged.seen["j", 1]["k"] == ("h#3.k", "x#1.k")


@pytest.mark.parametrize("pick", [first_running, last_running])
def test_c9_the_later_writer_wins_in_every_schedule(pick: object) -> None:
    outcome = play(cases.C9, scripted({}), pick)  # type: ignore[arg-type]
    assert outcome.seen["j", 1]["k"] == ("v#1.k",)
    assert not outcome.trouble


@pytest.mark.parametrize(
    ("sketch", "fault"),
    [
        (cases.C10_FORK, "fork_leaves"),
        (cases.C10_ENTRIES, "two_entries"),
        (cases.C10_SELF, "back_edge"),
    ],
)
def test_c10_faults_of_shape(sketch: Sketch, fault: str) -> None:
    assert fault in sketch.faults()


def test_c11_a_failure_goes_on_at_on_error() -> None:
    outcome = play(cases.C11, scripted({("a", 1): Call(fails=True)}), last_running)
    assert names(outcome) == "b a r j"
    assert outcome.seen["r", 1]["error"] == ("a#1.error",)
    assert not outcome.trouble


@pytest.mark.parametrize(
    "sketch",
    [cases.COOKBOOK, cases.C2, cases.C3, cases.C4, cases.C5_MISSING, cases.C5_EITHER, cases.C6, cases.C9, cases.C11],
)
def test_well_formed_cases_have_no_fault(sketch: Sketch) -> None:
    assert sketch.faults() == set()
