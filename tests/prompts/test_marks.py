"""Citation marks, cut in every way."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.prompts.marks import Mark, MarkReader


def read(pieces: list[str], count: int = 3) -> tuple[str, list[Mark]]:
    reader = MarkReader(count)
    return "".join([*map(reader.feed, pieces), reader.end()]), reader.marks


def cut(text: str, places: list[int]) -> list[str]:
    marks = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in itertools.pairwise(marks)]


TEXTS = st.lists(
    st.sampled_from(
        ["[1]", "[7]", "[1, 9]", "[2-3]", "[", "]", "(", "1", " ", "\n", "`", "```", "word", ".", ",", "é", "[[2]"]
    )
).map("".join)


@given(TEXTS, st.lists(st.integers(0, 80), max_size=10))
def test_the_result_does_not_depend_on_how_the_text_is_cut(text: str, places: list[int]) -> None:
    whole = read([text])
    assert read(cut(text, places)) == whole
    assert read(list(text)) == whole


@given(TEXTS)
def test_marks_stand_where_they_say_and_point_to_passages(text: str) -> None:
    shown, marks = read([text])
    assert shown == shown.strip()
    assert all(first.end <= second.start for first, second in itertools.pairwise(marks))
    for mark in marks:
        assert re.fullmatch(r"\[[\d ,–-]+\]", shown[mark.start : mark.end])
        assert mark.numbers
        assert set(mark.numbers) <= {1, 2, 3}


@given(st.text(alphabet=st.characters(exclude_characters="[")))
def test_a_text_without_brackets_only_loses_the_space_around_it(text: str) -> None:
    assert read([text]) == (text.strip(), [])


@given(TEXTS)
def test_what_is_left_out_is_nothing_but_marks_and_space(text: str) -> None:
    shown, _ = read([text], count=0)
    of_marks = re.compile(r"[\[\]\d,–-]|\s")
    assert of_marks.sub("", shown) == of_marks.sub("", text)


@pytest.mark.parametrize(
    ("text", "shown", "numbers"),
    [
        ("Cloves [1].", "Cloves [1].", [(1,)]),
        ("Cloves[1][3]", "Cloves[1][3]", [(1,), (3,)]),
        ("Cloves [1, 3] and [2;3]", "Cloves [1, 3] and [2;3]", [(1, 3), (2, 3)]),
        ("Cloves [1-3] [1–2]", "Cloves [1-3] [1–2]", [(1, 2, 3), (1, 2)]),
        ("Cloves [4].", "Cloves.", []),
        ("Cloves. [0] Mace [17] too.", "Cloves. Mace too.", []),
        ("Cloves [1][9].", "Cloves [1].", [(1,)]),
        ("Cloves [3, 9, 1] [2-8].", "Cloves [3, 1] [2, 3].", [(3, 1), (2, 3)]),
        ("(see [8])", "(see)", []),
        ("items[12] and x[2]", "items[12] and x[2]", [(2,)]),
        ("A year [2019] and [a] and [^1]", "A year [2019] and [a] and [^1]", []),
        ("[1](http://x) [2](y)", "[1](http://x) [2](y)", []),
        ("use `a [9]` here [1]", "use `a [9]` here [1]", [(1,)]),
        ("a stray ` tick [1]\nnext [2]", "a stray ` tick [1]\nnext [2]", [(2,)]),
        ("```\nx = [9]\n```\nso [1]", "```\nx = [9]\n```\nso [1]", [(1,)]),
        ("  \n Cloves \n", "Cloves", []),
        ("Cloves [", "Cloves [", []),
        ("Cloves [1", "Cloves [1", []),
        ("[5]", "", []),
    ],
)
def test_marks_are_kept_mended_or_left_out(text: str, shown: str, numbers: list[tuple[int, ...]]) -> None:
    found, marks = read([text])
    assert found == shown
    assert [mark.numbers for mark in marks] == numbers


def test_text_is_given_out_as_soon_as_it_is_certain() -> None:
    reader = MarkReader(3)
    assert [reader.feed(piece) for piece in ("Clo", "ves", " and", " mace", " [", "9", "]", ". So", " ")] == [
        *("Clo", "ves", " and", " mace", "", "", "", ". So", "")
    ]
