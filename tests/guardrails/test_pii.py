"""Personal data: what is found, what is not, and that redaction can be undone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.pii.check import Pii
from ragweave.orchestrator.guardrails.pii.recognise import recognise
from ragweave.orchestrator.guardrails.pii.rules import KINDS
from ragweave.orchestrator.guardrails.screening import restore, screen

FOUND = {
    "Call 1-800-555-0199 or jo.o'brien@mail.example.co.uk.": [
        ("PHONE_NUMBER", "1-800-555-0199"),
        ("EMAIL_ADDRESS", "jo.o'brien@mail.example.co.uk"),
    ],
    "IBAN DE89 3704 0044 0532 0130 00, gb33bukb20201555555555": [
        ("IBAN_CODE", "DE89 3704 0044 0532 0130 00"),
        ("IBAN_CODE", "gb33bukb20201555555555"),
    ],
    "my card: 4111-1111-1111-1111, exp 12/29": [("CREDIT_CARD", "4111-1111-1111-1111")],
    "amex 3782 822463 10005": [("CREDIT_CARD", "3782 822463 10005")],
    "SSN 078-05-1120 and social security 078051120": [("US_SSN", "078-05-1120"), ("US_SSN", "078051120")],
    "server 10.2.3.4, ip 2001:db8::1": [("IP_ADDRESS", "10.2.3.4"), ("IP_ADDRESS", "2001:db8::1")],
    "mac 00:1B:44:11:3A:B7": [("MAC_ADDRESS", "00:1B:44:11:3A:B7")],
    "PESEL 44051401359; DNI 12345678Z": [("PL_PESEL", "44051401359"), ("ES_DNI", "12345678Z")],
    "codice fiscale RSSMRA85T10A562S": [("IT_FISCAL_CODE", "RSSMRA85T10A562S")],
    "Aadhaar 2341 2341 2346": [("IN_AADHAAR", "2341 2341 2346")],
    "pay 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2": [("BITCOIN_ADDRESS", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2")],
    "+41 (0)96 471 07 95 or 020 7946 0958 x12": [
        ("PHONE_NUMBER", "+41 (0)96 471 07 95"),
        ("PHONE_NUMBER", "020 7946 0958 x12"),
    ],
}
NONE = [
    "order 2024-1234567, 3,500,000 items and version 10.2.3.4",
    "the card 4111 1111 1111 1112 fails its check digit",
    "IBAN DE89 3704 0044 0532 0130 01 is mistyped",
    "pi is 3.14159265358979, ISBN 978-3-16-148410-0",
    "the 2019-2020 season, 1990-1995, 12:30:45, 2018-02-24 12:45:18",
    "write to me@home or a@b, not to x @ y",
    "population 8,336,817 and 1 234 567",
    "SSN 000-12-3456, 666-12-3456, 900-12-3456",
    "return to 94941 2505 Heatherleigh St",
]


@pytest.mark.parametrize("text", FOUND)
def test_what_is_found(text: str) -> None:
    assert [(one.label, text[one.begin : one.end]) for one in recognise(text)] == FOUND[text]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_personal_data(text: str) -> None:
    assert [(one.label, text[one.begin : one.end]) for one in recognise(text)] == []


@given(st.lists(st.sampled_from([*FOUND, *NONE, "\n", "and", "[EMAIL_ADDRESS]"]), max_size=6))
async def test_redaction_is_undone_to_the_same_text(parts: list[str]) -> None:
    text = " ".join(parts)
    screened = await screen({"pii": Pii()}, text, Subject())
    assert restore(screened.text, screened.hidden) == text
    assert not any(value in screened.text for value in screened.hidden.values() if len(value) > 8)


@given(st.text(max_size=200), st.sampled_from(list(FOUND)))
@example("9" * 200, "x")
def test_any_text_is_read(text: str, known: str) -> None:
    for place in recognise(f"{text} {known} {text}"):
        assert 0 <= place.begin < place.end <= 2 * len(text) + len(known) + 2


@pytest.mark.parametrize(
    "text", ["a@" * 5_000, "1 " * 5_000, "+1" * 5_000, "http://" * 2_000, "a." * 5_000, "0-" * 5_000]
)
def test_no_text_takes_long(text: str) -> None:
    recognise(text, KINDS)  # one that takes time without end would never return


SCORED = ("PHONE_NUMBER", "CREDIT_CARD", "DOMAIN_NAME", "EMAIL_ADDRESS", "US_SSN", "IBAN_CODE")
TEXTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pii" / "texts.jsonl"


@pytest.mark.skipif(not TEXTS.is_file(), reason="needs ../shared/data, which is not part of the repository")
async def test_made_letters_of_made_people() -> None:
    """Exact places in 625 texts that were made for it, and the same text when what was redacted is put back."""
    check, right, found, wanted = Pii(kinds=list(SCORED)), 0, 0, 0
    for line in TEXTS.read_text().splitlines():
        row = json.loads(line)
        gold = {(one["start"], one["end"], one["type"]) for one in row["spans"] if one["type"] in SCORED}
        places = {(one.begin, one.end, one.label) for one in await check.find(row["text"], Subject())}
        right, found, wanted = right + len(gold & places), found + len(places), wanted + len(gold)
        screened = await screen({"pii": check}, row["text"], Subject())
        assert restore(screened.text, screened.hidden) == row["text"]
    assert 2 * right / (found + wanted) >= 0.95
