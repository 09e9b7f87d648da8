"""Repairs change what they name and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.language.fixes import apply
from ragweave.orchestrator.language.load import load_text
from tests.language.reading import opened


def problem(*fix: object) -> Problem:
    return Problem("RW103", "x", fix=Fix(*fix))  # type: ignore[arg-type]


def test_all_sure_repairs_are_made_at_once() -> None:
    text = (
        "# A greeting.\r\nschemas: ragweave/v1\r\nnodes:  # nodes\r\n"
        '  greet: {type: say, "txet": Hello., mood: mery}\r\nedges:\r\n  - "start => great"\r\n  - greet -> end\r\n'
    )
    mended, applied = apply(text, opened(text)[2])
    assert len(applied) == 4
    mended, more = apply(mended, opened(mended)[2])
    assert [problem.code for problem in more] == ["RW114"]  # the wrong arrow hid it
    assert mended == (
        "# A greeting.\r\nschema: ragweave/v1\r\nnodes:  # nodes\r\n"
        '  greet: {type: say, "text": Hello., mood: merry}\r\n'
        'edges:\r\n  - "start -> greet"\r\n  - greet -> end\r\n'
    )
    assert not opened(mended)[2]


def test_schema_is_put_below_the_comments_at_the_top() -> None:
    text = "# yaml-language-server: x\n\nnodes: {}\nedges: []\n"
    mended, _ = apply(text, load_text(text)[1])
    assert mended == "# yaml-language-server: x\n\nschema: ragweave/v1\nnodes: {}\nedges: []\n"


def test_a_repair_of_other_text_is_left_out() -> None:
    text = "abc\ndef\n"
    wrong = [problem(1, 1, "xyz", "new"), problem(9, 1, "a", "b"), problem(2, 1, "de", "x"), problem(1, 9, "a", "b")]
    assert apply(text, wrong) == (text, [])


def test_of_two_repairs_in_one_place_the_first_is_made() -> None:
    one, two, same = problem(1, 1, "abc", "x"), problem(1, 2, "bc", "y"), problem(1, 1, "abc", "x")
    assert apply("abc def", [two, one, same]) == ("x def", [one, same])


def test_quotes_stay() -> None:
    assert apply("a: 'frist'", [problem(1, 4, "frist", "first")])[0] == "a: 'first'"


def test_columns_count_without_the_byte_order_mark() -> None:
    assert apply("\ufeffnmae: x", [problem(1, 1, "nmae", "name")])[0] == "\ufeffname: x"


@given(
    st.text("ab\n\r é", max_size=30),
    st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 9), st.text("ab", max_size=2), st.text("xy", max_size=2))),
)
def test_any_repairs_of_any_text_are_made_or_left_out(text: str, fixes: list[tuple[int, int, str, str]]) -> None:
    mended, applied = apply(text, [problem(*fix) for fix in fixes])
    if not applied:
        assert mended == text
