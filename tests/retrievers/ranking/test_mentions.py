"""Names lead to the second passage that a question needs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.values import Document
from ragweave.retrievers.ranking.acquainted import Acquainted
from ragweave.retrievers.ranking.labels import dates_in
from ragweave.retrievers.ranking.mentions import Collection, Part, Weights, asked, boosts, vouch
from ragweave.retrievers.ranking.nametable import NameTable

PASSAGES = [
    ("Ed Wood (film)", "Ed Wood is a film about a director, made by Tim Burton in Hollywood."),
    ("Tim Burton", "Born in Burbank, he drew from the time he was small."),
    ("Burbank, California", "Burbank is a city."),
    ("Film directors", "Where they are born says little about what they direct."),
    ("Kew Gardens", "Plants are grown at Kew. Miss Ostrova counted the orchids."),
    ("Orchids", "The list was made by Ostrova."),
    ("Grey Gardens", "It was filmed by the Maysles brothers, before Tim Burton."),
]
ROWS = len(PASSAGES)
EVERY = np.arange(ROWS)


def table(passages: list[tuple[str, str]]) -> NameTable:
    return NameTable.of(Document(id=text, title=title, text=text) for title, text in passages)


def whole() -> list[Part]:
    return [Part(table(PASSAGES), 0)]


def ranked(
    scores: np.ndarray,
    question: str,
    parts: list[Part] | None = None,
    weights: Weights | None = None,
    mask: np.ndarray | None = None,
    sources: np.ndarray | None = None,
) -> np.ndarray:
    """The scores of all rows once names have been looked at; of rows that are not allowed they are 0."""
    parts = parts or whole()
    sources = EVERY if sources is None else sources
    weights = weights or Weights()
    names = asked(question, parts)
    rows = EVERY[: len(scores)] if mask is None else np.flatnonzero(mask)
    around = Collection(len(scores), mask, sources.__getitem__, lambda rows: np.zeros(len(rows)))
    rows, found = vouch(rows, scores[rows] + boosts(names, len(scores), weights)[rows], names, parts, around, weights)
    total = np.zeros(len(scores))
    total[rows] = found
    return total


def flat(**scores: float) -> np.ndarray:
    """0.1 for every row, and what is said of some: `r3=0.5`."""
    made = np.full(ROWS, 0.1)
    for row, score in scores.items():
        made[int(row[1:])] = score
    return made


def order(scores: np.ndarray) -> list[int]:
    return [int(row) for row in np.argsort(-scores, kind="stable")]


QUESTION = "Where was the director of Ed Wood born?"


def test_a_title_that_the_first_passage_names_comes_next() -> None:
    before = flat(r0=0.6, r3=0.2)
    after = ranked(before, QUESTION)
    assert order(before)[:2] == [0, 3]
    assert order(after)[:2] == [0, 1]


def test_titles_that_the_question_names_gain_and_the_longer_one_is_meant() -> None:
    parts = whole()
    found = asked("Is Ed Wood longer than Grey Gardens, with Tim Burton in it?", parts)
    assert sorted(found.rows[found.strengths > 0].tolist()) == [0, 1, 6]
    assert asked("who counted orchids", parts).strengths.max() < 1
    assert len(asked("", parts).rows) == len(asked("the of", parts).rows) == 0


def test_rare_names_lead_on_from_a_passage_that_the_question_names() -> None:
    scores = flat(r4=0.6, r3=0.2)
    only_shared = Weights(named=0, titled=0)
    assert ranked(scores, "Who listed what Kew Gardens grows?", weights=only_shared)[5] > 0.1
    assert ranked(scores, "Who listed what they grow?", weights=only_shared).tolist() == pytest.approx(scores.tolist())


def test_what_may_not_be_shown_neither_vouches_nor_gains() -> None:
    scores = flat(r0=0.6, r3=0.4)
    hidden = ranked(scores, QUESTION, mask=EVERY != 0)
    assert hidden[0] == 0
    assert hidden[1] == pytest.approx(0.1)
    assert ranked(scores, QUESTION, mask=EVERY != 1)[1] == 0


def test_passages_of_one_document_do_not_vouch_for_each_other_and_one_of_them_gains() -> None:
    parts = [Part(table([PASSAGES[0], PASSAGES[1], PASSAGES[1], PASSAGES[3]]), 0)]
    scores = np.array([0.6, 0.1, 0.2, 0.4])
    question = "Where was the director born?"
    after = ranked(scores, question, parts, sources=np.array([0, 1, 1, 2]))
    assert after[1] == pytest.approx(0.1)
    assert after[2] > 0.2
    alone = ranked(scores, question, parts, sources=np.zeros(4, np.int64))
    assert alone.tolist() == pytest.approx(scores.tolist())


def test_a_passage_that_nothing_found_comes_in_with_its_own_score() -> None:
    parts, weights = whole(), Weights()
    around = Collection(ROWS, None, EVERY.__getitem__, lambda rows: np.full(len(rows), 0.2))
    rows, scores = vouch(np.array([0, 3]), np.array([0.6, 0.4]), asked(QUESTION, parts), parts, around, weights)
    assert rows.tolist()[:3] == [0, 1, 3]
    assert 0.2 < scores[1] < 0.6


def test_labels_and_dates_of_metadata_gain_and_common_ones_little() -> None:
    news = [
        Document(id=str(number), text="Text.", metadata={"source": source, "date": day, "kind": "news"})
        for number, (source, day) in enumerate(
            [("The Verge", "2023-10-12"), ("Fortune", "2023-10-12"), ("Wired", "2021-01-01")]
        )
    ]
    parts = [Part(NameTable.of(news), 0)]
    gained = boosts(asked("What did The Verge say on October 12, 2023 in the News?", parts), 3, Weights())
    assert gained[0] > gained[1] > gained[2] == 0


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on October 12, 2023", ["date 2023-10-12"]),
        ("on 3rd of May 1915", ["date 1915-05-03"]),
        ("in Sep 2020 and 2021", ["date 2020-09", "date 2021"]),
        ("2024-02", ["date 2024-02"]),
        ("on 2024-02-30 at 12:00", ["date 2024-02-30"]),
        ("it may be 12 of 3000", []),
    ],
)
def test_dates_are_read_as_they_are_written(text: str, dates: list[str]) -> None:
    assert list(dates_in(text)) == dates


@given(
    st.lists(st.floats(0, 1), min_size=ROWS, max_size=ROWS),
    st.sets(st.integers(1, ROWS - 1), max_size=3),
    st.sampled_from([QUESTION, "kew gardens", "Tim Burton or Grey Gardens"]),
)
def test_parts_rank_as_the_whole_does_and_the_best_stays_the_best(
    scores: list[float], cuts: set[int], question: str
) -> None:
    edges = [0, *sorted(cuts), ROWS]
    parts = [Part(table(PASSAGES[first:last]), first) for first, last in pairwise(edges)]
    before = np.array(scores)
    together = ranked(before, question)
    assert ranked(before, question, parts) == pytest.approx(together)
    assert (together >= before - 1e-6).all()
    assert together.max() == pytest.approx(ranked(before, question, weights=Weights(titled=0, shared=0)).max())


def test_no_passages_no_links() -> None:
    assert ranked(np.zeros(0), "Ed Wood", [Part(table([]), 0)]).tolist() == []


NAMES = ("Ed Wood", "Tim Burton", "Burbank", "Kew Gardens", "Ostrova", "Grey Gardens", "Maysles", "Kew", "Wood")
SENTENCES = st.lists(st.sampled_from(NAMES), max_size=5).map(lambda names: " ".join(f"It saw {one}." for one in names))
TITLES = st.sampled_from(["", *NAMES, "Ed Wood (film)", "Burbank, California"])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_worked_out_once_is_what_each_query_would_find(data: st.DataObject) -> None:
    passages = data.draw(st.lists(st.tuples(TITLES, SENTENCES), min_size=1, max_size=12))
    size = len(passages)
    cut = data.draw(st.integers(0, size - 1))
    parts = [Part(table(passages[:cut]), 0)] * (cut > 0) + [Part(table(passages[cut:]), cut)]
    sources = np.cumsum(data.draw(st.lists(st.sampled_from([0, 1, 1]), min_size=size, max_size=size)))
    question = data.draw(SENTENCES)
    several = st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]), min_size=size, max_size=size)
    # Where two passages that vouch for others are equal in all, either may be the first.
    scores = np.array(data.draw(several)) * (1 - np.array(data.draw(st.permutations(range(size)))) / 1000)
    names = asked(question, parts)
    around = Collection(size, None, sources.__getitem__, lambda rows: np.zeros(len(rows)))
    _, expected = vouch(np.arange(size), scores, names, parts, around, Weights())
    found = Acquainted(parts, sources.__getitem__).vouch(scores, names, Weights())
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-9)
