"""What a store keeps is there when its process is not: each test reads with a store that was opened later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragweave.evals.kit.store.harness import (
    LONG,
    MakeStore,
    Stores,
    as_written,
    begun,
    data_of,
    ended,
    ids,
    on_stores,
    plain,
    same,
    step,
)
from ragweave.orchestrator.errors import JournalError, RunTaken
from ragweave.orchestrator.stores import Durability, RunRecord
from ragweave.orchestrator.values import Document, Message, TextPart


class Colour(StrEnum):
    """A text of a class of its own."""

    RED = "red"


def nested(depth: int, value: Any) -> Any:
    """A value in so many lists and maps."""
    for number in range(depth):
        value = [value] if number % 2 else {"in": value}
    return value


DOCUMENT = Document(id="d1", text=LONG, title="Garam masala", metadata={"pages": [1, 2], "c": None})
VALUES: Mapping[str, Any] = {
    "nothing": [None, "", [], {}, [[]], [{}], {"": ""}, {"": []}, [None], 0, 0.0, -0.0, False, True],
    "numbers": [1, 1.0, -1, 2**53 + 1, -(2**63), 2**64, 10**300, 10**4000, 1e308, 5e-324, 0.1, 1e22],
    "no numbers": [float("nan"), float("inf"), float("-inf"), {"deep": [float("nan")] * 40}],
    "texts": ["\0", "\x7f", "a\nb\r\n", "\u2028", "日本 🍜 é e\u0301", '"\\', "\ufeff", "null", "1", "true"],
    "halves of characters": ["\ud800", "\udfff\ud800", "x\ud83d", {"\udc00": "\udc00"}, "\ud800" * 500],
    "like our own": [
        ["x"], {"l": [["x"]]}, {"c": [["x"]]}, {"d": {"x": ["y"]}}, {"l": [["x"]] * 200}, {"d": {"x": ["y" * 300]}},
        {"l": "AAAAAAAAAAAAAAAAAAAAAA"}, "AAAAAAAAAAAAAAAAAAAAAA", ["AAAAAAAAAAAAAAAAAAAAAA"],
        {"$ref": "#"}, {"__class__": "os.system"}, {"__reduce__": ["x"]}, {"py/object": "os.system"}, "J[1]",
        'S{"l":[]}', {"text": "t", "type": "text"}, {"role": "user", "parts": []},
    ],
    "long lists": [list(range(5000)), [str(number) for number in range(3000)], [LONG] * 100,
                   [[number] for number in range(1500)], [{"n": number, "said": LONG} for number in range(99)]],
    "deep": [nested(99, LONG), nested(90, [LONG, LONG]), nested(60, list(range(100)))],
    "wide": {f"key {number}": f"{number} {LONG}" if number % 3 else number for number in range(300)},
    "long texts": [LONG * 50, "é" * 5000, "\0" * 5000, LONG, LONG[:255], LONG[:256], LONG[:257]],
    "of a class": [DOCUMENT, [DOCUMENT, DOCUMENT], {"d": DOCUMENT}, Message(role="user", parts=(TextPart(text=LONG),)),
                   Colour.RED, {"c": [Colour.RED]}, (1, (2, LONG)), MappingProxyType({"a": MappingProxyType({})})],
}  # fmt: skip
"""Values of every kind, some of which look like what a store may write itself."""


@pytest.mark.parametrize("kind", VALUES)
@on_stores
async def test_values_come_back_as_they_were(stores: Stores, kind: str) -> None:
    value = VALUES[kind]
    items = list(value.values()) if isinstance(value, Mapping) else value
    await ended(stores(), "run", step(1, value=value), *(step(2, item=item, again=[item]) for item in items))
    found = await data_of(await stores.reopened(), "run")
    assert same(found, [{"value": plain(value)}, *({"item": plain(item), "again": [plain(item)]} for item in items)])


_texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(["l", "c", "d", LONG, "A" * 22, "\ud800"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(_texts, inner, max_size=4)
        | st.builds(lambda value, times: [value] * times, inner, st.integers(30, 70))
    ),
    max_leaves=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(values=st.lists(_values, min_size=1, max_size=12))
def test_any_json_comes_back_as_it_was(make_store: MakeStore, values: list[Any]) -> None:
    async def kept() -> None:
        stores = Stores(make_store)
        try:
            store = await ended(stores(), "run", *(step(value=value) for value in values))
            found = await data_of(store, "run")
            assert same(found, [{"value": value} for value in values])
            await store.delete(run_id="run")
        finally:
            await stores.close()

    asyncio.run(kept())


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), b"bytes", {1: "a key that is no text"}, nested(5, {(): 1}), nested(5000, 1), 10**5000],
    ids=["set", "object", "bytes", "key", "deep key", "too deep", "too large"],
)
@on_stores
async def test_a_value_that_cannot_be_kept_is_told_at_once(stores: Stores, value: Any) -> None:
    store = await begun(stores(), "run", step(1, said=LONG))
    write = store.writer("run")
    with pytest.raises(JournalError, match=r"'node'.*'odd'"):
        write(step(2, odd=value))
    write(step(3, said=LONG))
    await store.end("run", "done")
    assert await data_of(store, "run") == [{"said": LONG}, {"said": LONG}]


@on_stores
async def test_a_list_that_grows_is_kept_at_each_length(stores: Stores) -> None:
    store = stores()
    turns: list[str] = []
    lengths = [0, 1, 31, 32, 33, 64, 65, 1023, 1024, 1025, 1100]
    await store.begin(RunRecord("run"))
    write = store.writer("run")
    for length in lengths:
        turns = [*turns, *(f"turn {number} {LONG[:300]}" for number in range(len(turns), length))]
        write(step(turns=turns))
    await store.end("run", "done")
    found = await data_of(await stores.reopened(), "run")
    assert [len(one["turns"]) for one in found] == lengths
    assert all(one["turns"] == turns[: len(one["turns"])] for one in found)


@on_stores
async def test_what_was_flushed_is_there_for_others(stores: Stores) -> None:
    one, other = stores(), stores()
    written = [step(number, said=f"{number} {LONG}") for number in range(5)]
    await one.begin(RunRecord("run", thread_id="t", tenant="acme", user="ann", graph="g", version="v", parent="p@n#1"))
    write = one.writer("run")
    for number, event in enumerate(written):
        write(event)
        await one.flush("run", safe=number % 2 == 0)
        assert as_written(await other.events("run"), written[: number + 1])
    record, mine = await other.record("run"), await one.record("run")
    assert record == mine
    assert record is not None
    assert record.status == "running"
    await one.end("run", "parked")
    assert [found.status for found in await other.runs()] == ["parked"]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@on_stores
async def test_what_ended_is_there_however_it_was_written(stores: Stores, durability: Durability) -> None:
    store = stores()
    await store.begin(RunRecord("run"), "", durability)
    write = store.writer("run")
    for number in range(3):
        write(step(number, said=LONG))
    await store.flush("run", safe=True)
    assert len(await stores().events("run")) == 3
    for number in range(3):
        write(step(number, said=LONG))
    await store.end("run", "parked")
    store = await stores.reopened()
    assert len(await store.events("run")) == 6
    await store.take("run", durability)
    write = store.writer("run")
    write(step(9, said=f"{LONG}!"))
    await store.end("run", "done")
    found = await data_of(await stores.reopened(), "run")
    assert found == [{"said": LONG}] * 6 + [{"said": f"{LONG}!"}]


@on_stores
async def test_closing_keeps_what_was_written(stores: Stores) -> None:
    store = stores()
    await store.begin(RunRecord("run"))
    write = store.writer("run")
    written = [step(number, said=LONG) for number in range(50)]
    for event in written:
        write(event)
    await store.cache("key", {"answer": LONG}, 100, run_id="run", tenant="acme")
    store = await stores.reopened()
    assert as_written(await store.events("run"), written)
    assert dict(await store.cached("key", "acme") or {}) == {"answer": LONG}
    assert await store.cached("key") is None


@on_stores
async def test_the_files_of_the_graph_are_kept(stores: Stores) -> None:
    store = stores()
    files = json.dumps({"graph.yaml": f"schema: ragweave/v1\n# {LONG}\n\ud800", "prompts/a.md": "Ü"})
    for run in ("one", "two"):
        await ended(store, run, bundle=files)
    await ended(store, "of no files")
    store = await stores.reopened()
    assert [await store.bundle(run) for run in ("one", "two", "of no files", "unknown")] == [files, files, "", ""]
    await store.delete(run_id="one")
    assert await store.bundle("two") == files


@on_stores
async def test_a_run_is_adopted_by_another_version_and_its_files(stores: Stores) -> None:
    store = stores()
    for run in ("one", "two"):
        await ended(store, run, step(said=LONG), bundle=f"old {LONG}", version="old", status="parked")
    await store.adopt("one", "new", f"new {LONG}")
    store = await stores.reopened()
    assert [record.version for record in await store.runs()] == ["new", "old"]
    assert [await store.bundle(run) for run in ("one", "two")] == [f"new {LONG}", f"old {LONG}"]
    await store.adopt("two", "new", f"new {LONG}")
    await store.delete(run_id="one")
    assert await store.bundle("two") == f"new {LONG}"
    await store.adopt("two", "none", "")
    assert await store.bundle("two") == ""
    assert await data_of(store, "two") == [{"said": LONG}]
    with pytest.raises(JournalError, match="nothing"):
        await store.adopt("nothing", "new", "")
    await store.take("two")
    with pytest.raises(RunTaken):
        await stores().adopt("two", "new", "")
    await store.end("two", "done")


@on_stores
async def test_a_run_has_one_beginning(stores: Stores) -> None:
    store = await begun(stores(), "run", step(a=1))
    with pytest.raises(JournalError, match="run"):
        await store.begin(RunRecord("run"))
    await store.end("run", "done")
    with pytest.raises(JournalError):
        await ended(stores(), "run", step(a=2))
    assert await data_of(await stores.reopened(), "run") == [{"a": 1}]
    assert ids(await stores().runs()) == ["run"]


@on_stores
async def test_a_run_that_cannot_be_written_does_no_harm_to_others(stores: Stores) -> None:
    store = await ended(stores(), "there already", step(a=1))
    told: list[str] = []
    others = [f"run {number}" for number in range(5)]
    for run in ["there already", *others]:  # what the first one brings, the others leave out
        await store.begin(RunRecord(run))
        store.watch(run, told.append)
        store.writer(run)(step(said=LONG, own=run))
    flushed = await asyncio.gather(*map(store.flush, [*others, "there already"]), return_exceptions=True)
    assert [type(one) for one in flushed[:-1]] == [type(None)] * 5
    assert isinstance(flushed[-1], JournalError)
    assert len(told) == 1
    for run in others:
        await store.end(run, "done")
    store = await stores.reopened()
    for run in others:
        assert await data_of(store, run) == [{"said": LONG, "own": run}]
    assert await data_of(store, "there already") == [{"a": 1}]


@pytest.mark.parametrize("name", ["run_id", "thread_id", "tenant", "user", "graph", "version", "parent"])
@on_stores
async def test_a_name_that_cannot_be_kept_is_refused(stores: Stores, name: str) -> None:
    store = await begun(stores(), "run")
    for odd in ("\ud800", "a\0b"):
        record = RunRecord("odd")
        setattr(record, name, odd)
        with pytest.raises(JournalError, match=name):
            await store.begin(record)
    await store.end("run", "done")
    assert ids(await store.runs()) == ["run"]
