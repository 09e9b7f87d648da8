"""What a graph file says of its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.errors import GraphError, JournalError, ResourceError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.memory import MemoryStore

GRAPH = """schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
{store}
nodes:
  answer: {type: reply, text: "{question}!"}
edges: [start -> answer -> end]
"""


def written(folder: Path, store: str = "") -> Path:
    file = folder / "graph.yaml"
    file.write_text(GRAPH.replace("{store}", store))
    return file


async def test_a_graph_of_a_file_keeps_its_runs_beside_it(tmp_path: Path) -> None:
    file = written(tmp_path)
    async with Graph.load(file) as graph:
        assert not (tmp_path / ".ragweave").exists()  # nothing is made before the first run
        run_id = (await graph.arun(question="a")).run_id
    async with Graph.load(file) as graph:
        assert [record.run_id for record in await graph.runs()] == [run_id]
    assert (tmp_path / ".ragweave" / "runs.sqlite").is_file()


async def test_a_graph_without_a_file_keeps_them_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with Graph.parse(GRAPH.replace("{store}", "")) as graph:
        await graph.arun(question="a")
        assert isinstance(graph.store, MemoryStore)
    async with Graph.load(written(tmp_path, "store: {type: memory}")) as graph:
        await graph.arun(question="a")
        assert isinstance(graph.store, MemoryStore)
    assert not (tmp_path / ".ragweave").exists()


async def test_the_environment_says_where_if_the_graph_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_server: str
) -> None:
    monkeypatch.setenv("RAGWEAVE_STORE", "memory")
    async with Graph.load(written(tmp_path)) as graph:
        assert isinstance(graph.store, MemoryStore)
    monkeypatch.setenv("RAGWEAVE_STORE", str(tmp_path / "elsewhere.sqlite"))
    async with Graph.load(written(tmp_path)) as graph:
        await graph.arun(question="a")
    assert (tmp_path / "elsewhere.sqlite").is_file()
    monkeypatch.setenv("RAGWEAVE_STORE", postgres_server)
    async with Graph.load(written(tmp_path)) as graph:
        run_id = (await graph.arun(question="a")).run_id
        assert await graph.store.record(run_id) is not None
    async with Graph.load(written(tmp_path, "store: {type: sqlite, path: own.db}")) as graph:
        await graph.arun(question="a")
    assert (tmp_path / "own.db").is_file()  # what the graph says comes first


async def test_another_file_and_another_time_to_keep(tmp_path: Path) -> None:
    async with Graph.load(written(tmp_path, "store: {type: sqlite, path: here/r.db, keep: 7d, full: true}")) as graph:
        await graph.arun(question="a")
        assert isinstance(graph.store, DurableStore)
        assert graph.store.keep_days == 7.0
    assert (tmp_path / "here" / "r.db").is_file()


async def test_a_database_that_is_named_by_the_environment(
    tmp_path: Path, postgres_server: str, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f'store: {{type: postgres, url: "${{env:RUNS_URL}}", namespace: {postgres_schema}}}'
    monkeypatch.setenv("RUNS_URL", postgres_server)
    for expected in (1, 2):
        async with Graph.load(written(tmp_path, store)) as graph:
            await graph.arun(question="a")
            assert len(await graph.runs()) == expected
    monkeypatch.delenv("RUNS_URL")
    async with Graph.load(written(tmp_path, store)) as graph:
        with pytest.raises(ResourceError, match="RUNS_URL"):
            await graph.arun(question="a")


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("store: {type: sqlit}", "graph.yaml:4:15  RW111  store: unknown store type 'sqlit'; did you mean 'sqlite'?"),
        ("store: {type: sqlite, pth: a}", "graph.yaml:4:23  RW103  store: unknown setting 'pth'; did you mean 'path'?"),
        ("store: {type: sqlite, keep: soon}", "graph.yaml:4:29  RW106  store.keep: 'soon' is not a duration"),
        ("store: sqlite", "graph.yaml:4:8  RW105  store: expected a map, found 'sqlite'"),
        ("store: {path: a}", "graph.yaml:4:1  RW122  store: 'type' is missing"),
        ("store: {type: postgres}", "graph.yaml:4:1  RW107  store: the setting 'url' is required"),
    ],
)
def test_what_is_wrong_with_it_is_told_at_its_place(tmp_path: Path, store: str, problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.load(written(tmp_path, store))
    assert len(caught.value.problems) == 1
    assert problem in str(caught.value)


async def test_a_folder_that_cannot_be_made_is_told_with_the_way_out(tmp_path: Path) -> None:
    file = written(tmp_path)
    (tmp_path / ".ragweave").write_text("in the way")
    async with Graph.load(file) as graph:
        with pytest.raises(JournalError, match=r"cannot be kept in .*runs\.sqlite.*store: \{type: memory\}"):
            await graph.arun(question="a")
