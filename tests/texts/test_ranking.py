"""Sentences that say most of a text, and summaries made of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.models.extraction.segments import segments
from ragweave.orchestrator.texts.ranking import centrality, choose, dot, summarise, vectors

STORY = (
    "The harbour of Lisk will be closed in March for repairs. Gulls were seen. "
    "During the repairs of the harbour in March, ferries to Lisk stop at Dorn. "
    "In March the harbour of Lisk will be closed, for it needs repairs. "
    "My aunt likes tea. Ferries from Dorn cost two crowns more."
)


def test_a_central_text_is_near_all_others() -> None:
    found = vectors(["bread and butter", "bread and jam", "butter on bread with jam", "a green bicycle"])
    ranks = centrality(found)
    assert max(ranks) == ranks[2] == 1.0
    assert ranks[3] == 0.0


def test_centrality_is_the_sum_of_cosines() -> None:
    found = vectors(["salt fish", "fish soup", "soup spoon", "fish spoon salt"])
    sums = [sum(dot(one, other) for other in found) - dot(one, one) for one in found]
    assert centrality(found) == pytest.approx([value / max(sums) for value in sums])


def test_what_says_the_same_again_is_not_chosen() -> None:
    texts = ["the harbour is closed in March", "in March the harbour is closed", "ferries stop at Dorn"]
    found = vectors(texts)
    assert choose([1.0, 0.99, 0.6], found, [6, 6, 4], 10) == [0, 2]


def test_where_nothing_fits_the_best_stands_alone() -> None:
    assert choose([0.2, 0.9], vectors(["a long one", "another"]), [9, 9], 5) == [1]
    assert choose([], [], [], 5) == []


def test_a_summary_says_the_main_thing_once() -> None:
    summary = summarise(STORY, 26)
    assert "closed in March" in summary
    assert "Dorn" in summary
    assert "needs repairs" not in summary
    assert "aunt" not in summary
    assert "Gulls" not in summary


def test_a_question_decides_what_is_kept() -> None:
    assert summarise(STORY, 8, question="What do ferries from Dorn cost?") == "Ferries from Dorn cost two crowns more."


def test_points_are_lines_and_markup_is_left_out() -> None:
    text = "# Tea\n\n- Boil **fresh** water\n- Warm the [pot](pot.md)\n\nPour it on."
    assert summarise(text, 50, form="points") == "- Boil fresh water\n- Warm the pot\n- Pour it on."
    assert summarise(text, 50) == "Boil fresh water. Warm the pot. Pour it on."


def test_a_text_without_sentences_is_shortened() -> None:
    assert summarise("## Only a heading here", 3) == "## Only a"


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(STORY.split(". ")), min_size=1, max_size=12), st.integers(1, 60))
def test_a_summary_is_sentences_of_the_text_in_its_order(parts: list[str], words: int) -> None:
    text = ". ".join(part.rstrip(".") for part in parts) + "."
    summary = summarise(text, words)
    sentences = [part.text for part in segments(text)]
    kept = [part.text for part in segments(summary)]
    place = 0
    for sentence in kept:
        place = sentences.index(sentence, place) + 1
    assert len(summary.split()) <= words or len(kept) == 1
    assert summarise(text, words) == summary
