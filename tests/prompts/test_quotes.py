"""The words of a passage that carry a statement."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.values import Citation, Document
from ragweave.prompts.marks import MarkReader
from ragweave.prompts.quotes import citations, statements

SPICES = """\
## Garam masala

A warm mix of spices, ground fresh. Cloves and mace are left out,
unless it is meant for biriyani. It keeps for a month.

- Roast the cumin first.
- Grind the coriander last, with 2 tbsp. of rice.

| spice | grams |
|---|---|
| cardamom | 20 |
"""
GARAM = Document(id="g", text=SPICES, title="Garam masala", source="spices.md", line=10)
TEA = Document(id="t", text="Tea is made with cardamom. Milk comes last.", title="Tea", source="tea.md", line=1)


def cited(text: str, *documents: Document) -> tuple[Citation, ...]:
    reader = MarkReader(len(documents))
    shown = reader.feed(text) + reader.end()
    return citations(shown, reader.marks, documents)


@pytest.mark.parametrize(
    ("answer", "quote", "line"),
    [
        (
            "Mace and cloves are left out [1].",
            "Cloves and mace are left out,\nunless it is meant for biriyani.",
            12,
        ),
        ("Mace and cloves are left out. [1]", "Cloves and mace are left out,\nunless it is meant for biriyani.", 12),
        ("[1] says that it keeps for a month.", "It keeps for a month.", 13),
        ("You roast cumin first. [1] Then wait.", "Roast the cumin first.", 15),
        ("Coriander is ground last, with rice [1].", "Grind the coriander last, with 2 tbsp. of rice.", 16),
        ("- Spices: fresh, warm [1]\n- Cardamom: 20 g", "A warm mix of spices, ground fresh.", 12),
        ("It takes 20 grams of cardamom [1].", "| cardamom | 20 |", 20),
    ],
)
def test_the_quote_is_the_part_that_says_it_with_its_own_line(answer: str, quote: str, line: int) -> None:
    (citation,) = cited(answer, GARAM)
    assert citation == Citation(
        number=1, document="g", quote=quote, title="Garam masala", source="spices.md", line=line
    )
    assert quote in GARAM.text


def test_two_marks_of_a_sentence_stand_for_their_own_clauses() -> None:
    first, second = cited("Cloves are left out [1], and milk comes last [2].", GARAM, TEA)
    assert first.quote.startswith("Cloves and mace")
    assert (second.quote, second.line) == ("Milk comes last.", 1)


def test_one_number_may_stand_for_several_quotes_and_each_is_cited_once() -> None:
    found = cited("It keeps for a month [1]. Roast the cumin [1]. It keeps for a month [1].", GARAM)
    assert [(citation.number, citation.quote) for citation in found] == [
        (1, "It keeps for a month."),
        (1, "Roast the cumin first."),
    ]


def test_marks_together_stand_for_the_same_words() -> None:
    first, second = cited("Cardamom is used [1][2].", GARAM, TEA)
    assert (first.quote, second.quote) == ("| cardamom | 20 |", "Tea is made with cardamom.")


def test_where_nothing_fits_there_is_no_quote_but_the_passage() -> None:
    (citation,) = cited("Quarks have colour [1].", GARAM)
    assert (citation.quote, citation.line) == ("", 10)


def test_a_passage_without_a_line_has_none() -> None:
    (citation,) = cited("Milk comes last [1].", Document(id="x", text=TEA.text))
    assert (citation.quote, citation.line) == ("Milk comes last.", None)


def test_scripts_without_spaces_are_compared_too() -> None:
    passage = Document(id="c", text="茶は中国から来た。牛乳は最後に入れる。", line=3)
    (citation,) = cited("牛乳は最後です [1]。", passage)
    assert citation.quote == "牛乳は最後に入れる。"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("One. Two [1]. Three.", [("Two", "Two")]),
        ("One. Two. [1] Three.", [("Two", "Two")]),
        (
            "One [1][2], and two [3].",
            [("One , and two", "One"), ("One , and two", "One"), ("One , and two", "and two")],
        ),
        ("[1] One. Two.", [("One", "One")]),
        ("One.\n\n[1] Two. Three.", [("Two", "Two")]),
        ("One.\n- [1] Two.\n- Three [1]", [("Two", "Two"), ("Three", "Three")]),
        ("One.\n\nTwo. [1]\n\nThree.", [("Two", "Two")]),
        ("One. Two\n[1]\n", [("Two", "Two")]),
        ("[1]", [("", "")]),
        ("Dr. Who took 2.5 g of it [1].", [("Dr. Who took 2.5 g of it", "Dr. Who took 2.5 g of it")]),
    ],
)
def test_a_mark_stands_for_the_sentence_before_it_or_opens_one(answer: str, expected: list[tuple[str, str]]) -> None:
    reader = MarkReader(3)
    shown = reader.feed(answer) + reader.end()
    assert statements(shown, reader.marks) == expected


def test_thousands_of_marks_take_no_time() -> None:
    started = time.process_time()
    assert len(cited("Cloves " + "[1]" * 3000 + " are out [1]." * 300, GARAM)) <= 2
    assert time.process_time() - started < 20


@given(
    st.lists(st.sampled_from(["Cloves", " are", " out", ".", " [1]", "[2]", "\n", "\n\n", "- ", " mace", "? "])).map(
        "".join
    )
)
def test_a_quote_is_always_a_part_of_its_passage_and_the_line_is_where_it_stands(answer: str) -> None:
    reader = MarkReader(2)
    shown = reader.feed(answer) + reader.end()
    assert len(statements(shown, reader.marks)) == len(reader.marks)
    for citation in citations(shown, reader.marks, (GARAM, TEA)):
        document = (GARAM, TEA)[citation.number - 1]
        assert citation.document == document.id
        assert citation.quote in document.text
        assert document.line is not None
        assert citation.line is not None
        if citation.quote:
            lines = document.text.split("\n")
            assert lines[citation.line - document.line].find(citation.quote.split("\n")[0]) >= 0
