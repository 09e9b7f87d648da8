"""Passages: exact offsets, whole short documents, and cuts where a reader would cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import PASSAGE_TOKENS, Chunks, Way, labels, passages, windows
from ragweave.retrievers.sourcetext import Place, SourceText
from ragweave.retrievers.units import sentences

LINES = st.sampled_from(
    [
        "# A",
        "## B",
        "### C",
        "Title",
        "=====",
        "-----",
        "- item one",
        "  more of it",
        "2. second",
        "```",
        "~~~",
        "",
        "   ",
    ]
) | st.text(max_size=80)
TEXTS = (
    st.lists(LINES, max_size=60).map("\n".join) | st.text(max_size=500) | st.lists(LINES, max_size=20).map("\r\n".join)
)


def source(text: str, title: str = "Doc") -> SourceText:
    return SourceText("a.md", text, 0, title)


@given(TEXTS, st.integers(16, 120))
def test_offsets_are_exact_and_no_text_is_lost(text: str, size: int) -> None:
    found = passages(source(text), Chunks(tokens=size))
    end = 0
    for passage in found:
        assert passage.offsets is not None
        start, stop = passage.offsets
        assert text[start:stop] == passage.text
        assert passage.text == passage.text.strip() != ""
        assert text[end:start].strip() == ""
        assert passage.line == text.count("\n", 0, start) + 1
        end = stop
    assert text[end:].strip() == ""
    assert len({passage.id for passage in found}) == len(found)


@given(TEXTS, st.integers(16, 120))
def test_no_passage_is_much_larger_than_asked(text: str, size: int) -> None:
    for passage in passages(source(text), Chunks(tokens=size)):
        assert estimate_tokens(passage.text) <= size * 5 // 4 + 1


@given(TEXTS)
def test_ids_are_stable_and_windows_hold_all_words(text: str) -> None:
    found = passages(source(text))
    assert [passage.id for passage in found] == [passage.id for passage in passages(source(text))]
    for passage in found:
        parts = windows(passage, 40)
        assert all(part.startswith("Doc") for part in parts)
        joined = "".join(part.partition("\n")[2] for part in parts)
        assert "".join(joined.split()) == "".join(passage.text.split())


@given(TEXTS)
def test_sentences_cover_the_text(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())


def test_a_short_document_is_one_passage() -> None:
    text = "# Zopf\n\nBraid it.\n\n## Ingredients\n\n- flour\n- butter\n\n## Directions\n\n1. Knead.\n2. Bake.\n"
    (passage,) = passages(source(text, "Zopf"))
    assert passage.text == text.strip()
    assert passage.title == "Zopf"
    assert passage.line == 1


def test_a_long_document_is_cut_at_headings_and_says_where_it_stands() -> None:
    filler = "The dough rests and grows in the warm kitchen. " * 30
    text = f"# Bread\n\nAbout bread.\n\n## Knead\n\n{filler}\n\n## Bake\n\n{filler}\n"
    first, second = passages(source(text, "Bread"))
    assert first.title == "Bread"
    assert second.text.startswith("## Bake")
    assert second.title == "Bread > Bake"


def test_sentences_and_items_are_not_cut() -> None:
    items = "\n".join(f"- item {number} takes a spoon of sugar and a pinch of salt" for number in range(60))
    prose = " ".join(f"Sentence number {number} is about bread." for number in range(120))
    for text, start, end in ((items, "- item", "salt"), (prose, "Sentence", "bread.")):
        found = passages(source(text), Chunks(tokens=100))
        assert len(found) > 3
        assert all(passage.text.startswith(start) and passage.text.endswith(end) for passage in found)


def test_code_is_kept_together() -> None:
    code = "```python\n# not a heading\n\n- not an item\nx = 1\n```"
    prose = "Words about code, many of them. " * 12
    found = passages(source(f"{prose}\n\n{code}\n\n{prose}"), Chunks(tokens=110))
    assert any(code in passage.text for passage in found)
    assert {passage.title for passage in found} == {"Doc"}


def test_a_word_without_end_is_cut_by_force() -> None:
    found = passages(source("x" * 50_000))
    assert len(found) > 10
    assert all(estimate_tokens(passage.text) <= PASSAGE_TOKENS * 5 // 4 for passage in found)


def test_underlined_headings_count() -> None:
    filler = "Words to fill the page with. " * 40
    found = passages(source(f"Intro\n=====\n\n{filler}\n\nUsage\n-----\n\n{filler}"), Chunks(tokens=200))
    assert {passage.title for passage in found} == {"Doc > Intro", "Doc > Intro > Usage"}


def test_labels_are_the_words_of_the_front_matter() -> None:
    metadata = {
        "title": "Soup",
        "tags": ["spicy", "thai food", 3],
        "author": "ann",
        "date": "2021-03-04",
        "url": "https://a.b/c",
        "draft": True,
        "rating": "5/10",
    }
    assert labels(Document(id="1", text="x", metadata=metadata)) == "spicy, thai food, ann"


WAYS: list[Way] = ["auto", "heading", "sentence", "tokens", "whole"]


@given(TEXTS, st.sampled_from(WAYS), st.integers(16, 80), st.integers(0, 60))
def test_every_way_of_cutting_keeps_offsets_and_all_text(text: str, way: Way, size: int, overlap: int) -> None:
    covered = last = 0
    for passage in passages(source(text), Chunks(way, size, overlap)):
        assert passage.offsets is not None
        start, end = passage.offsets
        assert text[start:end] == passage.text == passage.text.strip() != ""
        assert passage.line == text.count("\n", 0, start) + 1
        assert start >= last
        assert text[covered:start].strip() == ""
        covered, last = max(covered, end), start
    assert text[covered:].strip() == ""


MANUAL = (
    "# Tea\n\nTea is hot.\n\n## Green\n\nTwo minutes. At 70 degrees.\n\n## Black\n\nFour minutes. At 100 degrees.\n"
)


def test_by_heading_each_section_is_a_passage() -> None:
    found = passages(source(MANUAL, "Manual"), Chunks("heading"))
    assert [passage.title for passage in found] == ["Manual > Tea", "Manual > Tea > Green", "Manual > Tea > Black"]
    assert found[1].text == "## Green\n\nTwo minutes. At 70 degrees."


def test_whole_is_one_passage_however_long() -> None:
    (passage,) = passages(source("Tea is hot. " * 2000), Chunks("whole", 16))
    assert passage.offsets == (0, 23_999)


def test_sentences_are_joined_and_repeated_in_the_next_passage() -> None:
    text = " ".join(f"Sentence number {number} is about tea." for number in range(40))
    found = passages(source(text), Chunks("sentence", 48, 16))
    assert len(found) > 5
    for before, after in itertools.pairwise(found):
        assert before.text.startswith("Sentence")
        assert before.text.endswith("tea.")
        assert before.offsets is not None
        assert after.offsets is not None
        repeated = text[after.offsets[0] : before.offsets[1]]
        assert 0 < estimate_tokens(repeated) <= 16
        assert before.text.endswith(repeated)
        assert after.text.startswith(repeated)


def test_by_tokens_every_passage_is_of_one_size() -> None:
    text = " ".join(f"word{number}" for number in range(500))
    found = passages(source(text), Chunks("tokens", 64, 16))
    assert {estimate_tokens(passage.text) for passage in found[:-1]} <= {64, 65}
    for before, after in itertools.pairwise(found):
        assert before.offsets is not None
        assert after.offsets is not None
        repeated = text[after.offsets[0] : before.offsets[1]]
        assert 14 <= estimate_tokens(repeated) <= 18


def test_part_of_a_table_has_the_columns_in_its_title_and_in_its_vectors() -> None:
    table = "| Region | Amount |\n| --- | --- |\n" + "".join(f"| Region {row} | {row * 7} |\n" for row in range(80))
    text = f"# Sales\n\nAll of them.\n\n{table}\n## After\n\nThe end."
    found = passages(source(text, "Report"), Chunks(tokens=200))
    assert found[0].title == "Report > Sales"
    assert found[1].title == "Report > Sales > Region | Amount"
    assert found[1].text.startswith("| Region ")
    (whole,) = passages(source(text, "Report"), Chunks("whole"))
    assert [part.split("\n")[1] for part in windows(whole, 120)[1:-1]] == ["Region | Amount"] * (
        len(windows(whole, 120)) - 2
    )


def test_records_are_cut_for_themselves() -> None:
    text = "a: 1\n\nb: 2\n\n"
    places = (Place(0, {"record": 1}, is_document=True), Place(6, {"record": 2}, is_document=True))
    cut = SourceText("a.json", text, title="Data", headings=(), places=places, is_original=False)
    for way in WAYS:
        assert [passage.text for passage in passages(cut, Chunks(way))] == ["a: 1", "b: 2"]
