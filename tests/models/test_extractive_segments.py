"""Markdown as the pieces that an answer may quote."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.models.extraction.segments import plain, segments, sentences


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Use approx. 20 g, e.g. flour. Stir.", ["Use approx. 20 g, e.g. flour.", "Stir."]),
        ("Dr. J. K. Smith wrote it. Read it.", ["Dr. J. K. Smith wrote it.", "Read it."]),
        ("Boil for 5 min. Then rest.", ["Boil for 5 min.", "Then rest."]),
        ("Boil for 5 min. or so.", ["Boil for 5 min. or so."]),
        ("It is 2.5 cm. Cut it.", ["It is 2.5 cm.", "Cut it."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Wait... and see. Good", ["Wait... and see.", "Good"]),
        ("今日は。明日は。", ["今日は。", "明日は。"]),
        ("tokenised text . With spaces .", ["tokenised text .", "With spaces ."]),
        ("", []),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_items_steps_and_paragraphs_know_their_headings_and_their_lead() -> None:
    text = (
        "# Cake\n\nSweet.\n\n## Ingredients\n\n- Dough:\n  - 1 egg\n  - 2 cups flour\n\n"
        "For the top:\n\n* icing\n\n## Steps\n\n1. Mix it. Rest it.\n2. Bake it.\n"
    )
    found = [(one.kind, one.text, one.headings, one.lead) for one in segments(text)]
    assert found == [
        ("sentence", "Sweet.", ("Cake",), ""),
        ("item", "1 egg", ("Cake", "Ingredients"), "Dough"),
        ("item", "2 cups flour", ("Cake", "Ingredients"), "Dough"),
        ("item", "icing", ("Cake", "Ingredients"), "For the top"),
        ("step", "Mix it.", ("Cake", "Steps"), ""),
        ("step", "Rest it.", ("Cake", "Steps"), ""),
        ("step", "Bake it.", ("Cake", "Steps"), ""),
    ]
    mixed = [one.block for one in segments(text) if one.kind == "step"]
    assert mixed[0] == mixed[1] != mixed[2]


def test_a_row_of_a_table_says_what_its_cells_are() -> None:
    text = "| Bread | Time |\n|---|:---:|\n| Rye | 30 min |\n| Oat | |\n"
    assert [(one.kind, one.text) for one in segments(text)] == [
        ("row", "Bread: Rye; Time: 30 min"),
        ("row", "Bread: Oat"),
    ]


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("100g fed [sourdough starter](/sourdough-starter) (levain)", "100g fed sourdough starter (levain)"),
        ("Bake **inside** the *maker* till `done`", "Bake inside the maker till done"),
        ("⏲️ Prep time: 10 min", "Prep time: 10 min"),
        ("![a cake](cake.png) Eat", "Eat"),
        ("line one\n  goes on", "line one goes on"),
        ("2 * 3 * 4 and snake_case_name", "2 * 3 * 4 and snake_case_name"),
        ("H<sub>2</sub>O &lt;", "H2O &lt;"),
        ("180 °C", "180 °C"),
    ],
)
def test_markup_is_not_quoted(markdown: str, words: str) -> None:
    assert plain(markdown) == words


def test_front_matter_headings_rules_and_code_are_no_segments() -> None:
    text = "---\ntitle: Cake\n---\n\nTitle\n=====\n\n***\n\n```\ncode here\n```\n\nText.\n"
    assert [(one.text, one.headings) for one in segments(text)] == [("Text.", ("Title",))]


LINES = (
    "# A\n", "## B c\n", "- item one\n", "  - nested. Two\n", "1. step\n", "\n", "Some text. More text!\n", "goes on\n",
    "| a | b |\n", "|---|---|\n", "> quote\n", "```\n", "---\n", "===\n", "Label:\n",
    "*x* [y](z)\n",
    "\t- tab\n", "é. 3 °C\n",
)  # fmt: skip
MARKDOWN = st.lists(st.sampled_from(LINES), max_size=25).map("".join)


@given(st.one_of(MARKDOWN, st.text(max_size=300)))
def test_segments_stand_in_order_without_overlaps_and_are_their_source_without_markup(text: str) -> None:
    end = 0
    for one in segments(text):
        assert end <= one.start < one.end <= len(text)
        assert one.text
        end = one.end
        if one.kind != "row":
            assert one.text == plain(text[one.start : one.end])


@given(st.text(max_size=300))
def test_sentences_cover_everything_but_white_space(text: str) -> None:
    spans = sentences(text)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    kept = "".join(text[start:end] for start, end in spans)
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)


@pytest.mark.parametrize("piece", ["[a](", "**", "`", "| a ", "- ", " ", "> ", "a. ", "one-", "1/2 "])
def test_long_odd_texts_take_no_time(piece: str) -> None:
    segments(piece * 3_000)
