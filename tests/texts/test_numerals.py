"""Numbers in one form, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.texts.numerals import measures, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("45 minutes, 1,000 people", {"45": "45", "1000": "1,000"}),
        ("2.50, 2,5 and 2½", {"5/2": "2.50"}),
        ("1 1/2 cups, ¾ spoon, 2/3", {"3/2": "1 1/2", "3/4": "¾", "2/3": "2/3"}),
        ("thirty-two", {"32": "thirty-two"}),
        ("Sixteen, seventy", {"16": "Sixteen", "70": "seventy"}),
        ("two hundred and five", {"205": "two hundred and five"}),
        ("three thousand two hundred", {"3200": "three thousand two hundred"}),
        ("five and six", {"5": "five and six", "6": "five and six"}),
        ("twenty to thirty", {"20": "twenty", "30": "thirty"}),
        ("10-15", {"10": "10", "15": "15"}),
        ("3 million, two billion", {"3000000": "3 million", "2000000000": "two billion"}),
        ("3 dozen eggs, a dozen", {"36": "3 dozen", "12": "dozen"}),
        ("on 21.11.2026, 1/2/2026", {"21.11.2026": "21.11.2026", "1": "1", "2": "2", "2026": "2026"}),
        ("one of them, hundreds, half, someone, attend", {}),
        ("1/0", {"1": "1/0"}),
    ],
)
def test_numbers_have_one_form(text: str, found: dict[str, str]) -> None:
    assert numbers(text) == found


def test_what_is_held_against_is_read_loosely() -> None:
    assert set(numbers("one half, 1/2, 3 million", loosely=True)) == {"1", "1/2", "2", "3000000", "3"}


@given(st.text("0123456789.,/½ -onetwhudrd", max_size=40))
def test_what_is_found_in_a_text_is_found_loosely_too(text: str) -> None:
    assert numbers(text).keys() <= numbers(text, loosely=True).keys()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("200 degrees for 45 min", {"200": {"degrees"}, "45": {"minutes"}}),
        ("350°F, 180 °C", {"350": {"degrees"}, "180": {"degrees"}}),
        ("a 45-minute walk, forty-five hours", {"45": {"minutes", "hours"}}),
        ("1/2 cup, ½ cup, 2.5 kg, 50%", {"1/2": {"cups"}, "5/2": {"kilograms"}, "50": {"percent"}}),
        ("2-3 minutes", {"2": {""}, "3": {"minutes"}}),
        ("10 grapes, 10 g, 5 minced cloves, 5 cmx", {"10": {"", "grams"}, "5": {""}}),
        ("Press 3. Minutes pass.", {"3": {""}}),
    ],
)
def test_numbers_have_the_unit_that_stands_behind_them(text: str, found: dict[str, set[str]]) -> None:
    assert measures(text) == found
