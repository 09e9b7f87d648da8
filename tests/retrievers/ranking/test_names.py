"""Names in texts and titles, and the table that holds those of an index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.values import Document
from ragweave.retrievers.ranking.names import all_names, keys, keys_of_spans, names_in, plain_words, title_names
from ragweave.retrievers.ranking.nametable import NameTable


def table_of(passages: Sequence[tuple[str, str]]) -> NameTable:
    return NameTable.of(
        Document(id=text, title=title, text=text, metadata={"tags": [title, "music"]}) for title, text in passages
    )


PASSAGES = [
    ("Hello Love (song)", "“Hello Love” is a single by Hank Snow."),
    ("Hank Snow", "Snow moved to Nashville, Tennessee, in 1949."),
    ("Nashville, Tennessee", "Nashville is a city."),
    ("", "nothing in capitals here"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("It was sung by Hank Snow.", {"hank snow", "hank", "snow"}),
        ("They met at the Bank of England.", {"bank of england", "bank", "england"}),
        ("Featuring a trumpet.", set()),
        ("Snow fell. It was Snow who sang.", {"snow"}),
        ("He wrote for B. Reeves. The Band left.", {"b reeves", "reeves", "band"}),
        ("In March, the Limpopo's banks", {"march", "limpopo"}),
        ("on 3 May 1915 it was", {"3 may 1915", "3 may", "may 1915", "may"}),
        ("李明在北京工作。", set()),
        ("nothing in capitals", set()),
        ("", set()),
    ],
)
def test_names_are_runs_of_capitalised_words_and_their_parts(text: str, names: set[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Hello Love (song)", ["hello love"]),
        ("West Chicago, Illinois", ["west chicago illinois", "west chicago"]),
        ("The Police", ["police"]),
        ("Canon law", ["canon law"]),
        ("Guide > Install", ["guide install"]),
        ("1066", []),
        ("", []),
    ],
)
def test_titles_are_names_without_brackets_and_articles(title: str, names: list[str]) -> None:
    assert title_names(title) == names


def test_runs_of_a_questions_words_have_the_keys_of_names() -> None:
    words = plain_words("Who wrote the Bank of England's song?")
    made, spans = keys_of_spans(words, 8)
    spoken = {" ".join(words[start:end]): int(key) for key, (start, end) in zip(made, spans, strict=True)}
    assert spoken["bank of england"] == int(keys(["bank of england"])[0])
    assert not {"the bank of england", "bank of"} & spoken.keys()


@given(st.text(max_size=200), st.text(max_size=40))
def test_any_text_has_names(text: str, title: str) -> None:
    found = all_names(title, text)
    assert len(keys(found)) == len(found)
    assert all(name == name.lower() or name != name.lower().upper() for name in found)


def test_the_table_finds_holders_and_titles() -> None:
    table = table_of(PASSAGES)
    assert table.size == len(PASSAGES)
    asked = keys(["hank snow", "nashville", "tennessee", "nobody"])
    assert table.counts(asked).tolist() == [2, 2, 2, 0]
    held = table.holding(asked)
    assert list(zip(held.asked.tolist(), held.rows.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    titled = table.titled_by(asked)
    assert list(zip(titled.asked.tolist(), titled.rows.tolist(), strict=True)) == [(0, 1), (1, 2)]
    assert table.labelled_by(keys(["music"])).rows.tolist() == [0, 1, 2, 3]
    assert table.titles_of(2).tolist() == keys(["nashville tennessee", "nashville"]).tolist()
    assert table.names(3).tolist() == []


@pytest.mark.parametrize("passages", [[], [("", "")], [("", "no name"), ("Title", "")]])
def test_a_table_of_little_answers_too(passages: Sequence[tuple[str, str]]) -> None:
    table = table_of(passages)
    asked = keys(["hank snow", "other"])
    assert table.counts(asked).tolist() == [0, 0]
    assert len(table.holding(asked).rows) == len(table.titled_by(asked).rows) == 0
    assert len(table_of(passages).holding(keys([])).rows) == 0


def test_tables_join_as_if_they_had_been_made_of_all() -> None:
    first, second = table_of(PASSAGES[:3]), table_of(PASSAGES[3:])
    joined = NameTable.merged([(first, np.array([0, 2])), (second, np.array([0]))])
    whole = table_of([PASSAGES[0], PASSAGES[2], PASSAGES[3]])
    for made, expected in zip(joined, whole, strict=True):
        assert np.array_equal(made, expected)
    again = NameTable.named(whole.arrays("names"), "names")
    assert again.names(0).tolist() == whole.names(0).tolist()
    assert all(array.dtype == np.int32 for array in whole)
