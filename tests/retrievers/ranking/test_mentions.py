"""Names lead to the second passage that a question needs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.retrievers.ranking.mentions import Part, Weights, asked, vouch
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
DOCUMENTS = np.arange(ROWS)


def whole() -> list[Part]:
    return [Part(NameTable.of(PASSAGES), 0)]


def flat(**scores: float) -> np.ndarray:
    """0.1 for every row, and what is said of some: `r3=0.5`."""
    made = np.full(ROWS, 0.1)
    for row, score in scores.items():
        made[int(row[1:])] = score
    return made


def order(scores: np.ndarray) -> list[int]:
    return np.argsort(-scores, kind="stable").tolist()


def test_a_title_that_the_first_passage_names_comes_next() -> None:
    question = "Where was the director of Ed Wood born?"
    parts = whole()
    before = flat(r0=0.6, r3=0.2)
    after = vouch(before, asked(question, parts), parts, DOCUMENTS)
    assert order(before)[:2] == [0, 3]
    assert order(after)[:2] == [0, 1]
    assert before[1] == 0.1


def test_titles_that_the_question_names_gain_and_the_longer_one_is_meant() -> None:
    parts = whole()
    found = asked("Is Ed Wood longer than Grey Gardens, with Tim Burton in it?", parts)
    assert sorted(found.rows[found.strengths > 0].tolist()) == [0, 1, 6]
    assert asked("who counted orchids", parts).strengths.max() < 1
    assert len(asked("", parts).rows) == len(asked("the of", parts).rows) == 0


def test_rare_names_lead_on_from_a_passage_that_the_question_names() -> None:
    parts = whole()
    scores = flat(r4=0.6, r3=0.2)
    only_shared = Weights(named=0, titled=0, naming=0)
    named = vouch(scores, asked("Who listed what Kew Gardens grows?", parts), parts, DOCUMENTS, only_shared)
    assert named[5] > 0.1
    unnamed = vouch(scores, asked("Who listed what they grow?", parts), parts, DOCUMENTS, only_shared)
    assert unnamed.tolist() == scores.tolist()


def test_what_may_not_be_shown_neither_vouches_nor_gains() -> None:
    parts = whole()
    question = asked("Where was the director of Ed Wood born?", parts)
    scores = flat(r0=0.6, r3=0.4)
    hidden = vouch(scores, question, parts, DOCUMENTS, allowed=DOCUMENTS != 0)
    assert hidden[0] == 0
    assert hidden[1] == 0.1
    without = vouch(scores, question, parts, DOCUMENTS, allowed=DOCUMENTS != 1)
    assert without[1] == 0


def test_passages_of_one_document_do_not_vouch_for_each_other_and_one_of_them_gains() -> None:
    parts = [Part(NameTable.of([PASSAGES[0], PASSAGES[1], PASSAGES[1], PASSAGES[3]]), 0)]
    scores = np.array([0.6, 0.1, 0.2, 0.4])
    question = asked("Where was the director born?", parts)
    after = vouch(scores, question, parts, np.array([0, 1, 1, 2]))
    assert after[1] == 0.1
    assert after[2] > 0.2
    one = vouch(scores, question, parts, np.zeros(4, np.int64))
    assert one.tolist() == scores.tolist()


@given(
    st.lists(st.floats(0, 1), min_size=ROWS, max_size=ROWS),
    st.sets(st.integers(1, ROWS - 1), max_size=3),
    st.sampled_from(["Where was the director of Ed Wood born?", "kew gardens", "Tim Burton or Grey Gardens"]),
)
def test_parts_rank_as_the_whole_does_and_the_best_stays_the_best(
    scores: list[float], cuts: set[int], question: str
) -> None:
    edges = [0, *sorted(cuts), ROWS]
    parts = [Part(NameTable.of(PASSAGES[first:last]), first) for first, last in pairwise(edges)]
    given_ = np.array(scores)
    split = vouch(given_, asked(question, parts), parts, DOCUMENTS)
    together = vouch(given_, asked(question, whole()), whole(), DOCUMENTS)
    assert split == pytest.approx(together)
    assert (together >= given_).all()
    named = vouch(given_, asked(question, whole()), whole(), DOCUMENTS, Weights(titled=0, naming=0, shared=0))
    assert together.max() == pytest.approx(named.max())


def test_no_passages_no_links() -> None:
    parts = [Part(NameTable.of([]), 0)]
    assert vouch(np.zeros(0), asked("Ed Wood", parts), parts, np.zeros(0, np.int64)).tolist() == []
