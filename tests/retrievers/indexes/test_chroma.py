"""What is particular to the index 'chroma': other processes, other programs, damage, batches."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragweave.evals.kit.retriever.harness import WordVectors, found, passage
from ragweave.orchestrator.contracts import Embedder
from ragweave.orchestrator.errors import IndexUnusable, InputError, MissingExtra
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes import chromaplace, generations
from ragweave.retrievers.indexes.chroma import Chroma
from ragweave.retrievers.indexes.chromaplace import Place

ROOT = Path(__file__).resolve().parents[3]
OTHER = """
import asyncio, sys
from pathlib import Path
from ragweave.evals.kit.retriever.harness import WordVectors, passage
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes.chroma import Chroma

resources = Resources(folder=Path(sys.argv[1]))
resources.put("embedders", "given", WordVectors())
index = Chroma(index="index", embedder="given", fields={"year": "int"})
index.open(resources)
asyncio.run(index.add([passage("new", "of another process", year=2)]))
asyncio.run(index.delete(index.filter({"year": 0})))
"""


def made(folder: Path, embedder: Embedder | None = None, **settings: Any) -> Chroma:
    resources = Resources(folder=folder)
    resources.put("embedders", "given", embedder or WordVectors())
    index = Chroma(index="index", embedder="given", **{"fields": {"year": "int"}, **settings})
    index.open(resources)
    return index


async def test_what_another_process_writes_is_seen_at_once(tmp_path: Path) -> None:
    index = made(tmp_path)
    await index.add([passage(f"p{n}", f"number {n}", year=n) for n in range(20)])
    assert (await index.search("passage number 0", 1))[0].id == "p0"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER, str(tmp_path), cwd=ROOT)
    assert await other.wait() == 0
    # Chroma itself would go on with the vectors that it has in memory: the old passage, and not the new one.
    assert (await index.search("passage of another process", 1))[0].id == "new"
    assert "p0" not in await found(index)
    assert (await index.stats()).passages == 20
    await index.close()


async def test_a_collection_of_another_program_is_not_touched(tmp_path: Path) -> None:
    import chromadb
    from chromadb.config import Settings

    client: Any = chromadb.PersistentClient(tmp_path / "index", settings=Settings(anonymized_telemetry=False))
    theirs = client.create_collection("passages", embedding_function=None)
    theirs.add(ids=["theirs"], embeddings=[[1.0, 0.0]])
    client.close()
    index = made(tmp_path)
    with pytest.raises(IndexUnusable, match=r"'passages'.*another program.*another `collection`"):
        await index.add([passage("mine")])
    await index.close()
    beside = made(tmp_path, collection="own")
    await beside.add([passage("mine")])
    assert await found(beside) == ["mine"]
    await beside.close()
    client = chromadb.PersistentClient(tmp_path / "index", settings=Settings(anonymized_telemetry=False))
    assert client.get_collection("passages", embedding_function=None).get()["ids"] == ["theirs"]
    client.close()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("passages.head.json", b"{", "damaged"),
        ("passages.head.json", b"[]", "damaged"),
        ("passages.head.json", b'{"format": 99}', "format 99, this version reads 1"),
        ("chroma.sqlite3", b"nothing of a database" * 500, "cannot be used"),
    ],
)
async def test_a_damaged_index_is_told_in_a_line(tmp_path: Path, file: str, content: bytes, said: str) -> None:
    index = made(tmp_path)
    await index.add([passage("one")])
    await index.close()
    (tmp_path / "index" / file).write_bytes(content)
    with pytest.raises(IndexUnusable, match=said) as told:
        await found(made(tmp_path))
    assert "\n" not in str(told.value)
    assert told.value.hint


async def test_a_write_that_fails_in_its_middle_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "batch", 4)
    index = made(tmp_path)
    assert await index.add([passage(f"p{n}", "old", year=1) for n in range(10)]) == 10
    rows = index.rows_of([passage(f"p{n}", "new") for n in range(5, 15)])
    rows[-1] = rows[-1]._replace(vectors=np.ones((1, 7), dtype=np.float32))  # which Chroma refuses in the third batch
    with pytest.raises(IndexUnusable, match="dimension"):
        index._keep(rows)
    assert {one.text for one in await index.search("passage", 50)} == {"passage old"}
    assert await found(index, index.filter({"year": 1})) == sorted(f"p{n}" for n in range(10))
    await index.close()


async def test_what_its_graph_does_not_reach_is_found(tmp_path: Path) -> None:
    index = made(tmp_path)
    # So many that are alike have no neighbours but one another.
    await index.add([passage(f"p{n}", "the same", year=0) for n in range(2000)])
    others = [passage(f"o{n}", f"something else {n}", year=n + 1) for n in range(20)]
    for other in others:
        await index.add([other])
    for number, other in enumerate(others, start=1):
        assert await found(index, index.filter({"year": number})) == [other.id]
    assert len(await found(index, index.filter({"year": {">": 0}}))) == 20
    assert len(await index.search("passage the same", 3000)) == 2020
    await index.close()


async def test_a_long_list_of_values_is_asked_for(tmp_path: Path) -> None:
    index = made(tmp_path)
    await index.add([passage(f"p{n}", year=n) for n in range(40)])
    where = index.filter({"year": {"in": list(range(35, 70_000))}})
    assert await found(index, where) == [f"p{n}" for n in range(35, 40)]
    assert await index.delete(where) == 5
    await index.close()


async def test_one_process_at_a_time_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.retrievers.indexes.chromaplace._PATIENCE", 0.1)
    index = made(tmp_path)
    await index.add([passage("one")])
    with generations.writing(tmp_path / "index"):  # as another process does
        with pytest.raises(IndexUnusable, match="being written by another process"):
            await index.add([passage("two")])
        assert await found(index) == ["one"]
    assert await index.add([passage("two")]) == 1
    await index.close()
    with pytest.raises(IndexUnusable, match="closed"):
        await index.search("passage", 1)


async def test_what_cannot_be_opened_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = made(tmp_path)
    await index.add([passage("a", "text")])
    await index.close()
    monkeypatch.setattr(chromaplace, "_PATIENCE", 0.0)
    with generations.writing(tmp_path / "index"), pytest.raises(IndexUnusable, match="being written"):
        made(tmp_path, fields={"language": "str"})
    assert (tmp_path / "index").resolve() not in chromaplace._places


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tea.md").write_text("# Tea\n\nBlack tea.\n")
    resources = Resources(folder=tmp_path)
    resources.put("embedders", "given", WordVectors())
    with pytest.raises(InputError, match=r"'index'.*needs an embedder"):
        Chroma(index="index", embedder="given", documents="docs").fill(resources, None)
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'ragweave\[chroma\]'"):
        made(tmp_path)


async def test_it_reports_to_nobody_and_keeps_texts_once(tmp_path: Path) -> None:
    index = made(tmp_path)
    await index.add([passage("one", "of a secret garden")])
    head = json.loads((tmp_path / "index/passages.head.json").read_text())
    assert head["embedder"] == "kit/32"
    place = index._place
    assert place is not None
    assert place._client._system.settings.anonymized_telemetry is False
    record = place.collection("passages").get(include=["documents", "metadatas"])
    assert record["documents"] == [None]
    assert str(record).count("secret garden") == 1
    await index.close()
