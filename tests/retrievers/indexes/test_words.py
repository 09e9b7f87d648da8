"""Search by words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.retrievers.indexes import words
from ragweave.retrievers.indexes.words import Postings

PASSAGES = [
    ("Garam Masala", "Grind the spices."),
    ("Lamb Biriyani", "Layer rice and lamb with garam masala. Use masala again."),
    ("Crème brûlée", "Don't boil the cream."),
    ("", "Garam, or warm, and masala, or mix."),
]


def segment(passages: Sequence[tuple[str, str]]) -> dict[str, Postings]:
    """Passages as an index has them: titles in the text and in a field of their own."""
    return {
        "text": Postings.of(f"{title}\n{text}" for title, text in passages),
        "title": Postings.of(title for title, _ in passages),
    }


@pytest.fixture
def index() -> words.Words:
    return words.Words([segment(PASSAGES)])


def test_stems_are_folded_and_without_stop_words() -> None:
    assert words.stems("What are the Crème-brûlées' spices?") == ["creme", "brule", "spice"]
    assert words.stems("") == words.stems("¿?! the and of") == []
    assert words.stems("don't") == []


def test_the_best_passages_come_first(index: words.Words) -> None:
    rows, scores = index.search("garam masalas", 10)
    assert set(rows) == {0, 1, 3}
    assert scores == sorted(scores, reverse=True)
    assert index.search("CREME", 10)[0] == [2]
    assert len(index) == 4


def test_titles_count_more_if_asked(index: words.Words) -> None:
    rows, _ = index.search("garam masala", 10, title_boost=2.0)
    assert rows[0] == 0


@pytest.mark.parametrize("query", ["", "the", "xylophone", "AND OR NOT (", '"', "text:rice*", "\ud800"])
def test_queries_that_mean_nothing_find_nothing_and_no_syntax_is_read(index: words.Words, query: str) -> None:
    assert set(index.search(query, 10)[0]) <= {1}
    assert index.search("rice", 0) == ([], [])


@given(st.text())
def test_any_text_can_be_stemmed(text: str) -> None:
    assert all(stem and stem == stem.lower() for stem in words.stems(text))


def test_rare_words_weigh_more(index: words.Words) -> None:
    assert index.rarity("xylophon") > index.rarity("rice") > index.rarity("masala") > 0


@given(st.lists(st.text(alphabet="abc ", max_size=12), max_size=12), st.data())
def test_scores_do_not_depend_on_how_an_index_came_about(texts: list[str], data: st.DataObject) -> None:
    """In one piece, in several, put together, or with others that are gone again."""
    query = data.draw(st.text(alphabet="abc ", max_size=12))
    whole = segment([("", text) for text in texts])
    cut = data.draw(st.integers(0, len(texts)))
    pieces = [segment([("", text) for text in some]) for some in (texts[:cut], texts[cut:])]
    more = segment([("", text) for text in ["abc", *texts[:cut], "b c", *texts[cut:]]])
    rows = np.asarray([row + 1 + (row >= cut) for row in range(len(texts))], dtype=np.int64)
    merged = {
        name: Postings.merged([(piece[name], np.arange(len(piece[name].lengths))) for piece in pieces])
        for name in whole
    }
    left = {name: Postings.merged([(more[name], rows)]) for name in whole}
    expected = words.Words([whole]).scores(query, 0.5)
    for other in ([pieces[0], pieces[1]], [merged], [left]):
        found = words.Words(other).scores(query, 0.5)
        if expected is None:
            assert found is None
        else:
            assert found is not None
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert all(np.array_equal(*both) for name in whole for both in zip(whole[name], merged[name], strict=True))
    assert all(np.array_equal(*both) for name in whole for both in zip(whole[name], left[name], strict=True))


def test_scores_are_those_of_bm25(index: words.Words) -> None:
    rows, scores = index.search("masala", 10)
    count, holding = 4, 3
    lengths = [len(words.stems(f"{title} {text}")) for title, text in PASSAGES]
    mean = sum(lengths) / count
    rarity = math.log(1 + (count - holding + 0.5) / (holding + 0.5))
    often = [1, 2, 0, 1]
    expected = [
        rarity * 2.2 * held / (held + 1.2 * (0.25 + 0.75 * length / mean))
        for held, length in zip(often, lengths, strict=True)
    ]
    assert dict(zip(rows, scores, strict=True)) == pytest.approx({0: expected[0], 1: expected[1], 3: expected[3]})


@given(st.lists(st.floats(0, 2, width=16), max_size=30), st.integers(1, 12))
def test_the_best_are_those_of_a_sort(scores: list[float], limit: int) -> None:
    ordered = sorted((row for row, score in enumerate(scores) if score > 0), key=lambda row: (-scores[row], row))
    assert words.best(np.asarray(scores, dtype=np.float32), limit).tolist() == ordered[:limit]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("东京大学", ["东京", "京大", "大学"]),
        ("在Tokyo的大学", ["在", "tokyo", "的大", "大学"]),
        ("茶", ["茶"]),
        ("ラーメン", ["ラー", "ーメ", "メン"]),
        ("มะม่วง", ["มะ", "ะม", "ม", "ว", "วง"]),
        ("Crème brûlée", ["creme", "brule"]),
    ],
)
def test_scripts_without_spaces_are_indexed_by_pairs_of_characters(text: str, expected: list[str]) -> None:
    assert words.stems(text) == expected


def test_a_question_finds_a_text_that_has_no_spaces() -> None:
    index = words.Words([segment([("", "明治维新之后，东京成为首都。"), ("", "京都的大学很古老。")])])
    assert index.search("首都是东京吗？", 10)[0] == [0]


@given(st.data())
def test_a_large_index_scores_as_a_small_one(data: st.DataObject) -> None:
    texts = st.lists(st.sampled_from(["rice", "lamb", "garam", "masala", "spice", "boil"]), max_size=9).map(" ".join)
    segments = data.draw(st.lists(st.lists(st.tuples(texts, texts), min_size=1, max_size=5), min_size=1, max_size=3))
    made = [segment(passages) for passages in segments]
    query, boost = data.draw(texts), data.draw(st.sampled_from([0.0, 0.3]))
    small, large = words.Words(made), words.Words(made)
    large._is_small = False
    expected, found = large.scores(query, boost), small.scores(query, boost)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_allclose(found, expected, rtol=1e-6)
