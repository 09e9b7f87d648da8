"""Passages: exact offsets, whole short documents, and cuts where a reader would cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import PASSAGE_TOKENS, Chunks, labels, passages, windows
from ragweave.retrievers.sourcetext import SourceText
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
