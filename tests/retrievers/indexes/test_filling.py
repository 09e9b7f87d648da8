"""Folders of documents into indexes in databases: only what changed, all or nothing, beside what programs added."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragweave.evals.kit.retriever.harness import REFUSED, WordVectors, found, passage
from ragweave.orchestrator.errors import IndexUnusable, InputError, ModelError, RagweaveError
from ragweave.orchestrator.resources import Resources
from ragweave.retrievers.indexes.chroma import Chroma
from ragweave.retrievers.indexes.filled import FilledIndex
from ragweave.retrievers.indexes.pgvector import PgVector
from tests.support.postgres import postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]

Make = Callable[..., FilledIndex]


@pytest.fixture(params=["chroma", "pgvector"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "tea.md").write_text("---\nlanguage: en\nyear: 2024\n---\n# Tea\n\npassage about tea.\n")
    (docs / "brot.md").write_text("---\nlanguage: de\nyear: soon\n---\n# Brot\n\npassage about bread.\n")
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 and then nothing")
    made = Resources(folder=tmp_path)
    made.put("embedders", "given", WordVectors())
    return made


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest) -> Make:
    """An index of this kind over the folder `docs`, which is not open."""

    def make(**settings: Any) -> FilledIndex:
        settings = {"documents": "docs", "embedder": "given", "fields": {"language": "str", "year": "int"}, **settings}
        if kind == "chroma":
            return Chroma(index="index", **settings)
        server, schema = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_schema"))
        return PgVector(url=server, namespace=schema, **settings)

    return make


async def opened(index: FilledIndex, resources: Resources) -> FilledIndex:
    index.open(resources)
    return index


async def held(index: FilledIndex, resources: Resources, **where: Any) -> list[str]:
    """The sources of the passages of an index, which is opened for it."""
    index.open(resources)
    try:
        passages = await index.search("passage", 100, index.filter(where))
        return sorted(one.source or one.id for one in passages)
    finally:
        await index.close()


async def test_a_folder_is_indexed_and_brought_up_to_date(make: Make, resources: Resources) -> None:
    docs = resources.folder / "docs"
    assert not make().exists(resources)
    with pytest.raises(IndexUnusable, match=r"never indexed.*ragweave index"):
        make().open(resources)
    progress: list[str] = []
    report = make().fill(resources, WordVectors(), lambda one: progress.append(one.phase))
    assert (report.added, report.changed, report.deleted, report.unchanged) == (2, 0, 0, 0)
    assert (report.chunks, report.vectors, report.embedder) == (2, 2, "kit/32")
    assert [one.source for one in report.skipped] == ["broken.pdf"]
    assert list(map(str, report.misfits)) == ["1 passage has no int in it, such as 'soon' in 'brot.md'"]
    assert list(dict.fromkeys(progress)) == ["read", "embed", "write"]
    assert make().exists(resources)
    assert await held(make(), resources) == ["brot.md", "tea.md"]
    assert await held(make(), resources, year={">": 2000}) == ["tea.md"]

    assert not any(make().changes(resources))
    (docs / "tea.md").write_text("# Tea\n\npassage about green tea.\n")
    (docs / "brot.md").unlink()
    (docs / "new.txt").write_text("A passage that is new.")
    assert make().changes(resources) == (1, 1, 1)
    report = make().fill(resources, WordVectors())
    assert (report.added, report.changed, report.deleted, report.unchanged) == (1, 1, 1, 0)
    assert await held(make(), resources) == ["new.txt", "tea.md"]
    report = make().fill(resources, WordVectors())
    assert (report.added, report.changed, report.deleted, report.unchanged, report.chunks) == (0, 0, 0, 2, 2)
    index = await opened(make(), resources)
    (tea,) = await index.search("passage", 9, index.filter({"source": "tea.md"}))
    assert (tea.title, tea.text, tea.line) == ("Tea", "# Tea\n\npassage about green tea.", 1)
    assert (await index.stats())[:5] == (2, 2, 2, "kit/32", 32)
    await index.close()


async def test_what_a_program_added_stays(make: Make, resources: Resources) -> None:
    index = await opened(make(documents=None), resources)
    await index.add([passage("by hand", language="en")])
    await index.close()
    assert make().exists(resources)
    make().fill(resources, WordVectors())
    (resources.folder / "docs/brot.md").unlink()
    make().fill(resources, WordVectors())
    assert await held(make(), resources) == ["b.md", "tea.md"]
    assert await held(make(), resources, language="en") == ["b.md", "tea.md"]
    # Cut otherwise: its documents are cut anew. By another model: everything is embedded anew.
    report = make(chunks="heading").fill(resources, WordVectors())
    assert "cut with other settings" in report.rebuilt
    assert (report.added, await held(make(), resources)) == (1, ["b.md", "tea.md"])
    other = WordVectors(named="other", length=48)
    report = make(chunks="heading").fill(resources, other)
    assert report.rebuilt == "it was built with the embedder kit/32"
    with pytest.raises(IndexUnusable, match="'other/48', but 'given' is 'kit/32'"):
        make().open(resources)
    resources.put("embedders", "given", other)
    assert await held(make(), resources) == ["b.md", "tea.md"]
    index = await opened(make(), resources)
    assert (await index.stats())[:5] == (2, 2, 2, "other/48", 48)
    await index.close()


async def test_a_search_that_is_open_sees_what_is_filled(make: Make, resources: Resources) -> None:
    make().fill(resources, WordVectors())
    index = await opened(make(), resources)
    assert len(await found(index)) == 2
    (resources.folder / "docs/new.md").write_text("A passage that is new.")
    make().fill(resources, WordVectors())
    assert len(await found(index)) == 3
    make().fill(resources, WordVectors(named="other"))
    with pytest.raises(IndexUnusable, match="'other/32'"):
        await index.search("passage", 3)
    await index.close()


async def test_what_cannot_be_embedded_changes_nothing(make: Make, resources: Resources) -> None:
    make().fill(resources, WordVectors())
    docs = resources.folder / "docs"
    (docs / "bad.md").write_text(f"# Bad\n\n{REFUSED}\n")
    (docs / "tea.md").unlink()
    with pytest.raises(ModelError):
        make().fill(resources, WordVectors())
    assert await held(make(), resources) == ["brot.md", "tea.md"]
    for file in docs.iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no documents found"):
        make().fill(resources, WordVectors())
    assert await held(make(), resources) == ["brot.md", "tea.md"]


async def test_an_index_without_documents_is_filled_by_programs_only(make: Make, resources: Resources) -> None:
    with pytest.raises(InputError, match=r"no documents to index.*documents: FOLDER"):
        make(documents=None).fill(resources, WordVectors())


def test_of_two_who_fill_one_is_told(make: Make, kind: str, resources: Resources) -> None:
    with make().filling(resources, WordVectors()) as first:
        if kind == "pgvector":  # the second one fills it meanwhile
            make().fill(resources, WordVectors())
            with pytest.raises(IndexUnusable, match="another process has written it meanwhile"):
                first.put({}, [], 0.0)
            return
    index = make()
    with index.filling(resources, WordVectors()):
        errors: list[RagweaveError] = []

        def fill() -> None:
            try:
                make().fill(resources, WordVectors())
            except RagweaveError as error:
                errors.append(error)

        other = threading.Thread(target=fill)
        other.start()
        other.join(0.2)
        assert other.is_alive()  # in one process they queue
    other.join()
    assert errors == []
