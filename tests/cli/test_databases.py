"""`ragweave index` and `ragweave doctor` for indexes in databases; in this process, since a new one takes seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ragweave import Graph
from ragweave.cli.doctor import _indexes
from ragweave.cli.indexing import index_target
from ragweave.evals.kit.retriever.harness import WordVectors
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import RagweaveError
from tests.support.postgres import postgres_schema, postgres_server

__all__ = ["postgres_schema", "postgres_server"]

GRAPH = """\
schema: ragweave/v1
inputs: {{question: str, language: str}}
outputs: [documents]
retrievers:
  notes: {{{retriever}, documents: docs, fields: {{language: str}}}}
nodes:
  find: {{type: retriever, retriever: notes, where: {{language: "{{language}}"}}}}
edges: [start -> find -> end]
"""
CHROMA = "type: chroma, index: .ragweave/chroma, embedder: words_of_tests"
POSTGRES = 'type: pgvector, url: "${env:DATABASE_URL}", namespace: NAMESPACE, embedder: words_of_tests'


class WordsOfTests(WordVectors, type="words_of_tests"):
    """An embedder that graph files can name."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    registry.add("embedders", "words_of_tests", WordsOfTests)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tea.md").write_text("---\nlanguage: en\n---\n# Tea\n\nBlack tea steeps for four minutes.\n")
    (tmp_path / "docs/tee.md").write_text("---\nlanguage: de\n---\n# Tee\n\nSchwarzer Tee zieht vier Minuten.\n")
    return tmp_path


def findings(path: Path) -> list[tuple[str, str, str]]:
    with Graph.load(path) as graph:
        return [tuple(finding) for finding in _indexes(graph, path)]  # type: ignore[misc]


def indexed(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    index_target(path, None, None, [])
    return capsys.readouterr().out.rpartition(", ")[0]


def find(path: Path, language: str) -> list[str]:
    async def do() -> list[str]:
        async with Graph.load(path) as graph:
            return [one.source for one in (await graph.arun(question="tea", language=language))["documents"]]

    return asyncio.run(do())


def test_chroma(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("graph.yaml")
    path.write_text(GRAPH.format(retriever=CHROMA))
    assert findings(path) == [("fail", "index notes", "there is none yet: run `ragweave index graph.yaml`")]
    assert indexed(path, capsys) == (
        "docs -> .ragweave/chroma: 2 files (2 added), 2 passages, embedder kit/32, hnsw, by Chroma"
    )
    assert (folder / ".ragweave/.gitignore").read_text() == "*\n"
    ((state, about, text),) = findings(path)
    assert (state, about) == ("ok", "index notes")
    assert text.startswith(".ragweave/chroma is up to date with docs")
    assert find(path, "de") == ["tee.md"]
    (folder / "docs/tee.md").unlink()
    assert findings(path) == [("warn", "index notes", "stale (1 deleted): run `ragweave index graph.yaml`")]
    assert "1 deleted, 1 unchanged" in indexed(path, capsys)
    assert find(path, "de") == []


def test_pgvector(
    postgres_server: str, postgres_schema: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("graph.yaml")
    path.write_text(GRAPH.format(retriever=POSTGRES.replace("NAMESPACE", postgres_schema)))
    monkeypatch.setenv("DATABASE_URL", postgres_server)
    assert findings(path) == [("fail", "index notes", "there is none yet: run `ragweave index graph.yaml`")]
    assert indexed(path, capsys) == (
        "docs -> the index 'passages' in PostgreSQL: 2 files (2 added), 2 passages, embedder kit/32"
    )
    ((state, about, text),) = findings(path)
    assert (state, about) == ("ok", "index notes")
    assert text.startswith("the index 'passages' in PostgreSQL is up to date with docs")
    assert find(path, "en") == ["tea.md"]
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:s3cret@127.0.0.1:1/none")
    ((state, _, text),) = findings(path)
    assert state == "fail"
    assert "'postgresql://127.0.0.1:1/none' cannot be used" in text
    assert "s3cret" not in text
    with pytest.raises(RagweaveError, match="cannot be used"):
        index_target(path, None, None, [])
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(RagweaveError, match="DATABASE_URL"):
        index_target(path, None, None, [])


def test_a_wrong_filter_is_found_by_the_check(folder: Path) -> None:
    path = Path("graph.yaml")
    path.write_text(GRAPH.format(retriever=CHROMA).replace("where: {language:", "where: {langauge:"))
    with pytest.raises(RagweaveError, match=r"'langauge'; did you mean 'language'"):
        Graph.load(path)
