"""A passage comes back as it was added: its text, its place, its metadata."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragweave.evals.kit.retriever.harness import Indexes, MakeIndex, WordVectors, as_kept, found, on_indexes, passage
from ragweave.orchestrator.contracts import Index
from ragweave.orchestrator.errors import NodeError
from ragweave.orchestrator.values import Document

_TEXTS = {
    "empty": "",
    "blank": " \n\t",
    "a byte of nothing": "passage \0 with \0\0",
    "half a character": "passage \ud83d and \udc00",
    "not latin": "passage 日本語 العربية e\u0301 ﬁ \ufeff\u202e",
    "emoji": "passage 👩‍👩‍👧‍👦 🍵",
    "line ends": "passage\r\na\rb\u2028c\x85d\n",
    "quotes": "passage \"a\" 'b' \\ \\0 \\u0000 %s $1 {x} <b>",
    "one long word": "passage " + "x" * 100_000,
    "long": "passage " + "The tea is green, and the water hot. " * 27_000,
    "many words": "passage " + " ".join(f"word{n}" for n in range(5_000)),
}
_METADATA: dict[str, Any] = {
    "nothing": None,
    "numbers": [0, 1, -1, 1.0, 0.1, 1e300, 2**53 + 1, -(2**63), 2**64],
    "truth": [True, False],
    "nested": {"a": [{"b": {"c": [None, "x", 1.5]}}], "": {}, "$where": 1, "a.b": 2},
    "empty": [[], {}, ""],
    "texts": ["日本", "\0", "\ud800", "\"'\\"],
    "odd \0 key \ud800": "x",
    "source": "in the metadata",
    "title": 7,
    "id": "other",
    "score": "high",
    "text": "t",
}


async def refused(index: Index, *documents: Document) -> bool:
    """Add passages that are not there; true if the index says that it cannot keep them."""
    try:
        await index.add(documents)
    except NodeError as error:
        return bool(str(error))
    return False


@on_indexes
async def test_every_field_of_a_passage_comes_back(indexes: Indexes) -> None:
    index = indexes()
    whole = Document(
        id="whole",
        text="passage one",
        title="A title",
        source="a/b c.md",
        offsets=(7, 18),
        line=3,
        metadata={"page": 4},
    )
    bare = Document(id="bare", text="passage two")
    await index.add([whole, bare])
    kept = {one.id: one for one in await index.search("passage", 10)}
    assert as_kept(kept["whole"]) == as_kept(whole)
    assert as_kept(kept["bare"]) == as_kept(bare)
    assert kept["whole"].place == whole.place


@on_indexes
async def test_odd_texts_come_back_or_are_refused(indexes: Indexes) -> None:
    index = indexes()
    known = ["plain"]
    await index.add([passage("plain")])
    for name, text in _TEXTS.items():
        odd = Document(id=name, text=text, title="a title", source=f"{name}.md")
        if await refused(index, odd):
            assert name in ("a byte of nothing", "half a character", "empty", "blank")
            continue
        known.append(name)
        kept = await index.search("title", 10, index.filter({"source": f"{name}.md"}))
        assert [as_kept(one) for one in kept] == [as_kept(odd)]
    assert (await index.stats()).passages == len(known)


@on_indexes
async def test_odd_titles_and_sources_come_back_or_are_refused(indexes: Indexes) -> None:
    index = indexes()
    for title in ("", "\ud800 \0", "t" * 50_000, "日本"):
        odd = Document(id="odd", text="passage one", title=title, source=title)
        other = Document(id="other", text="passage two", title=f"{title}!", source=f"{title}!")
        if await refused(index, odd, other):
            assert "\0" in title
            continue
        for field in ("title", "source"):
            kept = await index.search("passage", 10, index.filter({field: title}))
            assert [as_kept(one) for one in kept] == [as_kept(odd)]


@on_indexes
async def test_odd_ids_come_back_or_are_refused(indexes: Indexes) -> None:
    index = indexes()
    known = ["a", "b"]
    await index.add([passage(key) for key in known])
    for key in ("", " ", "a:b", "a#1", "0:a", "日本", "x" * 5000, "'; DROP TABLE x; --", "\0", "\ud800", "%00"):
        odd = Document(id=key, text="passage odd", source=f"{key}.md")
        if await refused(index, odd):
            assert "\0" in key or "\ud800" in key or not key.strip()
        else:
            known.append(key)
            assert await index.add([odd.model_copy(update={"text": "passage replaced"})]) == 0
            kept = await index.search("passage", 100, index.filter({"source": f"{key}.md"}))
            assert [(one.id, one.text) for one in kept] == [(key, "passage replaced")]
        assert await found(index) == sorted(known)


@on_indexes
async def test_metadata_comes_back_as_it_was(indexes: Indexes) -> None:
    index = indexes()
    odd = passage("odd", **_METADATA)
    await index.add([odd])
    (kept,) = await index.search("passage", 10)
    assert repr(dict(kept.metadata)) == repr(dict(odd.metadata))  # 1 is not 1.0, and True is no 1


_texts = st.text(max_size=20)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(many=st.lists(st.tuples(_texts, st.dictionaries(_texts, _json, max_size=3)), min_size=1, max_size=8))
def test_any_metadata_comes_back(make_index: MakeIndex, many: list[tuple[str, dict[str, Any]]]) -> None:
    documents = [
        Document(id=f"d{n}", text=f"passage {text}", source="all.md", metadata=metadata)
        for n, (text, metadata) in enumerate(many)
    ]

    async def do() -> None:
        index = make_index(WordVectors())
        try:
            await index.add(documents)
            kept = {one.id: one for one in await index.search("passage", 100)}
            for document in documents:
                assert as_kept(kept[document.id]) == as_kept(document)
            assert await index.delete(index.filter({"source": "all.md"})) == len(documents)
        finally:
            await index.close()

    asyncio.run(do())


@on_indexes
async def test_what_is_no_json_is_refused(indexes: Indexes) -> None:
    index = indexes()
    await index.add([passage("plain")])
    with pytest.raises(NodeError):
        await index.add([passage("new"), passage("odd", thing=object())])
    assert await found(index) == ["plain"]
