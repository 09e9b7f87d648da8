"""What questions ask, clause by clause; amounts and words as the extractive model sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.models.extraction.amounts import amounts, unit_kind
from ragweave.orchestrator.models.extraction.questions import alternatives, clauses, in_context
from ragweave.orchestrator.models.extraction.words import fold, related, stem, weight


def texts(question: str) -> list[str]:
    return [clause.text for clause in clauses(question)]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How long does kvass ferment?", ["How long does kvass ferment?"]),
        (
            "How strong is homemade kvass, and how long does it ferment?",
            ["How strong is homemade kvass", "how long does homemade kvass ferment?"],
        ),
        (
            "How many eggs and how much milk does the batter take?",
            ["How many eggs does the batter take?", "how much milk does the batter take?"],
        ),
        ("When was the wall built and why", ["When was the wall built", "why was the wall built"]),
        (
            "At what temperature do I dry beef jerky in an oven, and for how long?",
            ["At what temperature do I dry beef jerky in an oven", "for how long do I dry beef jerky in an oven?"],
        ),
        (
            "Which sauce is served with the lamb, and what sweetens it?",
            ["Which sauce is served with the lamb", "what sweetens the sauce served with the lamb?"],
        ),
        (
            "I have no starter yet. How many days until I have one?",
            ["How many days until I have the starter?"],
        ),
        ("It leaves me with egg whites. What can use them?", ["What can use the egg whites?"]),
    ],
)
def test_clauses_stand_alone(question: str, expected: list[str]) -> None:
    assert [text.rstrip("?") for text in texts(question)] == [text.rstrip("?") for text in expected]


@pytest.mark.parametrize(
    ("question", "sort", "kinds", "noun"),
    [
        ("How long does it rise?", "amount", ("duration",), ()),
        ("How many minutes does it bake?", "amount", ("duration",), ()),
        ("At what temperature?", "amount", ("temperature",), ()),
        ("How many grams of rice are in it?", "amount", ("mass",), ("rice",)),
        ("How strong is it?", "amount", ("percent",), ()),
        ("How many oranges does it take?", "count", (), ("orang",)),
        ("How much milk goes into the sauce?", "quantity", None, ("milk",)),
        ("When was it built?", "date", ("date", "duration"), ()),
        ("Who wrote it?", "person", (), ()),
        ("Where is it?", "place", (), ()),
        ("Why is it red?", "reason", (), ()),
        ("How do I make it?", "steps", (), ()),
        ("Which two spices are left out?", "thing", (), ("spice",)),
        ("What sweetens the sauce?", "thing", (), ()),
        ("Is it sweet?", "truth", (), ()),
        ("Tell me about the soup", "any", (), ()),
    ],
)
def test_a_question_word_says_what_sort_of_answer_is_wanted(
    question: str, sort: str, kinds: tuple[str, ...] | None, noun: tuple[str, ...]
) -> None:
    wanted = clauses(question)[0].wanted
    assert wanted.sort == sort
    assert kinds is None or wanted.kinds == kinds
    assert wanted.noun == noun


def test_how_many_things_are_asked_for() -> None:
    assert clauses("Which two spices are left out?")[0].count == 2
    assert clauses("Which spices are left out?")[0].count == 1


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Limoncini or arancini: which one is the dessert?", ("Limoncini", "arancini")),
        ("Which dough uses more yeast: the zopf or the pizza dough?", ("zopf", "pizza dough")),
        ("Which film came first, The Prairie King or Wild Bill?", ("Prairie King", "Wild Bill")),
        ("What is it, and how is it made?", ()),
        ("How long does it bake?", ()),
    ],
)
def test_comparisons_name_what_they_compare(question: str, expected: tuple[str, ...]) -> None:
    assert alternatives(question) == expected


def test_only_follow_ups_are_read_with_the_turn_before() -> None:
    assert in_context("And how long does it rest?", "What is zopf?") == "What is zopf? And how long does it rest?"
    assert in_context("How long does sourdough bread rest?", "What is zopf?") == "How long does sourdough bread rest?"
    assert in_context("And how long does it rest?", "") == "And how long does it rest?"


@given(st.text(max_size=300))
def test_every_text_has_clauses(text: str) -> None:
    found = clauses(text)
    assert found
    assert all(0.0 < value <= 1.0 for clause in found for value in clause.terms.values())


@pytest.mark.parametrize("piece", ["how ", "what and how ", " or ", ": ", "a or b, ", "that ", "the x that ", "it "])
def test_long_odd_questions_take_no_time(piece: str) -> None:
    clauses(piece * 5_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bake at 180˚C for 10 minutes", [("temperature", "180˚C"), ("duration", "10 minutes")]),
        ("in 200°C (350-360˚F)", [("temperature", "200°C"), ("temperature", "350-360˚F")]),
        ("at least three days and at most two weeks", [("duration", "three days"), ("duration", "two weeks")]),
        ("1.0%-2.5% alcohol", [("percent", "1.0%"), ("percent", "2.5%")]),
        ("1/2 Tbsp of salt, ½L milk", [("volume", "1/2 Tbsp"), ("volume", "½L")]),
        ("5-7 organic lemons", [("number", "5-7")]),
        ("born October 5, 1987", [("date", "October 5, 1987")]),
        ("You may march on", []),
        ("It costs $4 million", [("money", "$4 million")]),
        ("leave it overnight", [("duration", "overnight")]),
        ("1 pkg (7 g) of yeast", [("portion", "1 pkg"), ("mass", "7 g")]),
    ],
)  # fmt: skip
def test_amounts_are_found_by_their_units(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(amount.kind, amount.text) for amount in amounts(text)] == expected


def test_amounts_are_compared_by_value() -> None:
    values = [amounts(text)[0].value for text in ("30 min", "30 Min.", "30 mins", "40 min", "thirty min")]
    assert values[0] == values[1] == values[2]
    assert values[3] != values[0]
    assert amounts("three days")[0].value == amounts("3 days")[0].value


@given(st.text(alphabet="0123456789 ./-½ongtwehrmiuscd%°C$", max_size=80))
def test_amounts_stand_in_order_without_overlaps(text: str) -> None:
    end = 0
    for amount in amounts(text):
        assert end <= amount.start < amount.end
        assert text[amount.start : amount.end] == amount.text
        end = amount.end


def test_units_are_told_from_things() -> None:
    assert unit_kind("minutes") == "duration"
    assert unit_kind("Grams") == "mass"
    assert unit_kind("oranges") is None
    assert unit_kind("g") is None


@pytest.mark.parametrize(
    ("left", "right"),
    [("Crème", "creme"), ("frozen", "freeze"), ("lemons", "lemon"), ("two", "2"), ("l'orange", "orange")],
)
def test_forms_of_a_word_share_a_stem(left: str, right: str) -> None:
    assert stem(left) == stem(right)


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [("biryani", "biriyani", True), ("sweeten", "sweet", True), ("limoncini", "arancini", False)],
)
def test_spelling_variants_and_derived_forms_are_one_word(left: str, right: str, alike: bool) -> None:
    assert (related(stem(left), stem(right)) > 0) is alike


def test_words_weigh_what_they_say() -> None:
    assert weight(stem("the")) == 0.0
    assert 0.0 < weight(stem("start")) < weight(stem("saffron")) == 1.0


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
