"""Filters: an index lets exactly those passages through that the definition of filters does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragweave.evals.kit.retriever.harness import (
    ACCESS,
    FIELDS,
    Indexes,
    MakeIndex,
    WordVectors,
    forget,
    found,
    let_through,
    on_indexes,
    passage,
)
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.filters import OPERATORS
from ragweave.orchestrator.values import Document

_VALUES: Mapping[str, list[Any]] = {
    "language": ["de", "en", "", "DE", "d'e", "日本", "1", 1, 1.5, "x" * 3000],
    "year": [1999, 2020, -5, 0, "2020", " 2021 ", 2020.0, 2**53 - 1],
    "price": [1, 1.0, 2.5, -0.5, "2.5", "1e3", 0.1, 1e300],
    "draft": [True, False, "true", "False"],
    "day": ["2026-01-31", "2026-01-31T12:00:00+02:00", "2026-02-01", "1969-12-31T23:59:59Z", "0001-01-01"],
    "tags": [["fish"], ["fish", "tea"], "tea", [], ["a'b", "日本"], [1, "fish"], ["fish", "fish"]],
}
_WRONG: list[Any] = [
    None, [], {}, {"a": 1}, [None], "", "no", "nan", "inf", True, 10**30, [["fish"]], "2026-13-01", float("nan")
]  # fmt: skip
"""What some or all kinds cannot be read from."""
_ASKED: Mapping[str, list[Any]] = {
    "str": ["de", "DE", "", "1", "d'e", "日本", "x" * 3000, "unknown"],
    "int": [2020, 0, -5, 2**53 - 1],
    "float": [1, 2.5, -0.5, 0.1, 1e300],
    "bool": [True, False],
    "date": ["2026-01-31", "2026-01-31T10:00:00Z", "1969-12-31T23:59:59+00:00", date(2026, 2, 1), datetime(2026, 2, 1)],  # noqa: DTZ001
    "list[str]": ["fish", "tea", "a'b", "日本", "1", "fis", ""],
}


def _passages() -> list[Document]:
    found = [passage("bare")]
    for field in FIELDS:
        found += [passage(f"{field}-{n}", **{field: value}) for n, value in enumerate([*_VALUES[field], *_WRONG])]
    return found


def _filters(field: str) -> list[Mapping[str, Any]]:
    kind = FIELDS[field]
    wanted: list[Mapping[str, Any]] = []
    for operator in OPERATORS[kind]:
        if operator == "in":
            wanted += [{"in": _ASKED[kind]}, {"in": _ASKED[kind][:1]}, {"in": _ASKED[kind] * 200}]
        else:
            wanted += [{operator: value} for value in _ASKED[kind]]
    if "<" in OPERATORS[kind]:
        wanted += [{">=": _ASKED[kind][0], "<": _ASKED[kind][1]}, {">": _ASKED[kind][1], "<": _ASKED[kind][1]}]
    return wanted


@pytest.mark.parametrize("field", FIELDS)
@on_indexes
async def test_a_filter_lets_through_what_fulfils_it(indexes: Indexes, field: str) -> None:
    index = indexes()
    documents = [one for one in _passages() if one.id.startswith((field, "bare", "year", "tags"))]
    await index.add(documents)
    for wanted in _filters(field):
        where = index.filter({field: wanted})
        assert await found(index, where) == let_through(documents, where), wanted
    both = index.filter({field: _filters(field)[0], "year": {">=": 0}})
    assert await found(index, both) == let_through(documents, both)


@on_indexes
async def test_nothing_is_in_an_empty_list(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("one", language="de")])
    (condition,) = index.filter({"language": {"in": ["de"]}})
    assert await found(index, (condition._replace(value=()),)) == []


@on_indexes
async def test_sources_and_titles_can_be_filtered_by(indexes: Indexes) -> None:
    index = indexes()
    documents = [
        Document(id=f"{source}{title}", text="passage", source=source, title=title)
        for source in ("a.md", "b/a.md", "")
        for title in ("A", "a", "")
    ]
    await index.add(documents)
    for wanted in ("a.md", "", "A", {"in": ["a.md", "A"]}, "md"):
        for field in ("source", "title"):
            where = index.filter({field: wanted})
            assert await found(index, where) == let_through(documents, where)
    with pytest.raises(InputError, match=r"sourse.*did you mean 'source'"):
        index.filter({"sourse": "a.md"})


@on_indexes
async def test_a_filter_does_not_shorten_what_is_found(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage(f"p{n}", "about tea", year=n) for n in range(300)])
    rare = passage("rare", "of bread and of nothing that was asked for", year=1000)
    await index.add([rare])
    asked = "passage about tea"
    assert [one.id for one in await index.search(asked, 3, index.filter({"year": 1000}))] == ["rare"]
    assert len(await index.search(asked, 7, index.filter({"year": {">=": 290}}))) == 7
    assert len(await index.search(asked, 50, index.filter({"year": {">=": 290}}))) == 11


@on_indexes
async def test_without_a_tenant_or_a_user_nothing_is_shown(indexes: Indexes) -> None:
    index = indexes(**ACCESS)
    for tenant, user in (("", "ann"), ("acme", "")):
        with pytest.raises(InputError, match="pass"):
            index.allowed(tenant, user)


@on_indexes
async def test_a_passage_of_nobody_is_shown_to_nobody(indexes: Indexes) -> None:
    index = indexes(**ACCESS)
    await index.add(
        [
            passage("of nobody"),
            passage("of a tenant", owner="acme"),
            passage("of no tenant", seen_by=["ann"]),
            passage("of a list", owner=["acme"], seen_by=["ann"]),
            passage("of a person", owner="acme", seen_by="ann"),
            passage("of two", owner="acme", seen_by=["ann", "bob"]),
        ]
    )
    assert await found(index, index.allowed("acme", "ann")) == ["of a person", "of two"]
    assert await found(index, index.allowed("acme", "bob")) == ["of two"]
    assert await found(index, index.allowed("acme", "an")) == []
    assert await found(index, index.allowed("acm", "ann")) == []


_people = st.sampled_from(["ann", "bob", "cid"])
_owners = st.sampled_from(["acme", "beta"])
_metadata = st.fixed_dictionaries({}, optional={"owner": _owners, "seen_by": st.lists(_people, max_size=3)})
_steps = st.one_of(
    st.tuples(st.just("add"), st.lists(st.tuples(st.sampled_from("abcdef"), _metadata), min_size=1, max_size=4)),
    st.tuples(st.just("delete"), st.tuples(_owners, _people)),
    st.tuples(st.just("search"), st.tuples(_owners, _people)),
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_steps, min_size=1, max_size=8))
def test_whose_a_passage_is_decides_who_finds_it(make_index: MakeIndex, steps: list[tuple[str, Any]]) -> None:
    async def do() -> None:
        index = make_index(WordVectors(), **ACCESS)
        known: dict[str, Document] = {}
        try:
            for step, given_ in steps:
                if step == "add":
                    documents = [passage(key, **metadata) for key, metadata in given_]
                    new = len({one.id for one in documents} - known.keys())
                    assert await index.add(documents) == new
                    known |= {one.id: one for one in documents}
                    continue
                allowed = index.allowed(*given_)
                mine = let_through(known.values(), allowed)
                if step == "delete":
                    assert await index.delete(allowed) == len(mine)
                    known = {key: one for key, one in known.items() if key not in mine}
                else:
                    assert await found(index, allowed) == mine
            assert await found(index) == sorted(known)
            assert (await index.stats()).passages == len(known)
            await forget(index, known.values())
        finally:
            await index.close()

    asyncio.run(do())


def _values(field: str) -> st.SearchStrategy[Any]:
    return st.sampled_from([*_VALUES[field], *_WRONG])


def _wanted(field: str) -> st.SearchStrategy[Mapping[str, Any]]:
    kind = FIELDS[field]
    one = st.sampled_from(_ASKED[kind])
    return st.dictionaries(st.sampled_from(OPERATORS[kind]), one, min_size=1, max_size=2).map(
        lambda wanted: {key: [value] if key == "in" else value for key, value in wanted.items()}
    )


_documents = st.lists(st.fixed_dictionaries({}, optional={f: _values(f) for f in FIELDS}), min_size=1, max_size=12)
_where = st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _wanted(name) for name in names})
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(metadata=_documents, wheres=st.lists(_where, min_size=1, max_size=6))
def test_any_filter_over_any_metadata(
    make_index: MakeIndex, metadata: list[dict[str, Any]], wheres: list[Mapping[str, Any]]
) -> None:
    documents = [passage(f"p{n}", **one) for n, one in enumerate(metadata)]

    async def do() -> None:
        index = make_index(WordVectors(), fields=dict(FIELDS))
        try:
            await index.add(documents)
            for wanted in wheres:
                where = index.filter(wanted)
                assert await found(index, where) == let_through(documents, where)
            gone = index.filter(wheres[0])
            assert await index.delete(gone) == len(let_through(documents, gone))
            await forget(index, documents)
            assert await found(index) == []
        finally:
            await index.close()

    asyncio.run(do())
