"""A run goes on with the version of its graph with which it was begun, whatever has become of the files."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.result import Result
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.versions import edition_of, version_of
from tests.surviving import kinds
from tests.surviving.kinds import GRAPH


def write(folder: Path, text: str = GRAPH, name: str = "letters.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def load(file: Path) -> Graph:
    return Graph.load(file, store=DurableStore(SqliteDatabase(file.parent / "runs.sqlite")))


def parked(file: Path) -> Result:
    with load(file) as graph:
        result = graph.run()
    assert result.status == "parked"
    return result


def yes(result: Result) -> dict[str, bool]:
    return dict.fromkeys(result.asks, True)


def test_a_run_goes_on_with_the_file_with_which_it_was_begun(tmp_path: Path) -> None:
    file = write(tmp_path)
    begun = parked(file)
    write(tmp_path, GRAPH.replace("hello", "goodbye").replace("{type: tell}", "{type: tell, retry: 2}"))
    with load(file) as graph:
        result = graph.resume(begun.run_id, answers=yes(begun))
        assert result["said"] == "hello: True"
        assert kinds.CALLS == ["hello"]
        assert graph.resume(graph.run().run_id, answers=yes(begun))["said"] == "goodbye: True"


def test_a_node_that_is_gone_from_the_file_still_runs_for_the_old_run(tmp_path: Path) -> None:
    file = write(tmp_path)
    begun = parked(file)
    write(tmp_path, GRAPH.replace("confirm: {type: confirm}", "ask: {type: confirm}").replace("-> confirm", "-> ask"))
    with load(file) as graph:
        assert graph.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"


def test_a_prompt_and_an_inner_graph_are_those_of_the_run(tmp_path: Path) -> None:
    outer = """\
schema: ragweave/v1
name: outer
inputs: {question: str}
outputs: [said, answer]
prompts: {mine: prompts/mine.md}
nodes:
  inner: {type: graph, path: parts/letters.yaml}
  answer: {type: generator, model: extractive, prompt: mine}
edges: [start -> inner -> answer -> end]
"""
    write(tmp_path, name="parts/letters.yaml")
    prompt = "---\nvariables: {question: str}\n---\n## user\n%s {{ question }}\n"
    write(tmp_path, prompt % "First:", "prompts/mine.md")
    file = write(tmp_path, outer, "outer.yaml")
    with load(file) as graph:
        begun = graph.run(question="Why?")
        bundle = json.loads(version_of(graph._edition).bundle)
    assert sorted(bundle["files"]) == ["outer.yaml", "parts/letters.yaml", "prompts/mine.md"]
    assert begun.status == "parked"
    write(tmp_path, prompt % "Second:", "prompts/mine.md")
    (tmp_path / "parts" / "letters.yaml").unlink()
    with load(write(tmp_path, GRAPH, "outer.yaml")) as graph:
        result = graph.resume(begun.run_id, answers=yes(begun))
        assert result["said"] == "hello: True"
        edition = next(iter(graph._versions.values()))
        prompt_then = edition.resources.get("prompts", "mine")
        assert "First:" in prompt_then.text


def test_what_is_kept_is_what_was_read_not_what_lies_there_at_the_first_run(tmp_path: Path) -> None:
    file = write(tmp_path)
    with load(file) as graph:
        write(tmp_path, GRAPH.replace("hello", "goodbye"))
        begun = graph.run()
    with load(file) as graph:
        assert graph.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"


def test_equal_files_are_one_version_wherever_they_lie(tmp_path: Path) -> None:
    one, two = (version_of(Graph.load(write(tmp_path / name))._edition) for name in ("a", "b"))
    assert one == two
    three = version_of(Graph.load(write(tmp_path / "c", GRAPH.replace("hello", "hi")))._edition)
    assert three.hash != one.hash


def test_the_version_of_an_edition_is_made_once(tmp_path: Path) -> None:
    graph = Graph.load(write(tmp_path))
    assert version_of(graph._edition) is version_of(graph._edition)


def test_a_graph_in_memory_makes_no_version(tmp_path: Path) -> None:
    with Graph.parse(GRAPH) as graph:
        graph.run()
        assert graph._edition.version is None


def test_a_secret_in_the_file_is_kept_nowhere_and_the_error_says_why(tmp_path: Path) -> None:
    text = GRAPH.replace("nodes:", "models: {far: {type: openai, model: m, api_key: sk-12345678}}\nnodes:")
    file = write(tmp_path, text)
    begun = parked(file)
    assert b"sk-12345678" not in (tmp_path / "runs.sqlite").read_bytes()
    with load(file) as graph:
        assert "sk-12345678" not in version_of(graph._edition).bundle
    write(tmp_path, text.replace("hello", "hi"))
    with load(file) as graph:
        with pytest.raises(JournalError) as caught:
            graph.resume(begun.run_id, answers=yes(begun))
        assert "a secret stands in" in str(caught.value)
        assert "node 'write' has changed" in str(caught.value)
        assert graph.resume(begun.run_id, answers=yes(begun), on="current")["said"] == "hello: True"


def test_a_changed_plugin_is_named_with_what_else_has_changed(tmp_path: Path) -> None:
    class Text(TypedDict):
        text: str

    file = write(tmp_path, GRAPH.replace("{type: say, what: hello}", "{type: mine}"))

    def mine() -> Text:
        return {"text": "one"}

    node_type(mine, name="mine")
    begun = parked(file)
    from ragweave.orchestrator import registry

    registry._added["nodes"].pop("mine")

    def changed() -> Text:
        return {"text": "two"}

    node_type(changed, name="mine")
    write(tmp_path, GRAPH.replace("{type: say, what: hello}", "{type: mine, retry: 1}"))
    with load(file) as graph, pytest.raises(JournalError) as caught:
        graph.resume(begun.run_id, answers=yes(begun))
    said = str(caught.value)
    assert "the code of 'nodes.mine'" in said
    assert "node 'write' has changed" in said
    assert 'on="current"' in said


def test_a_graph_of_python_has_a_version_by_its_code(tmp_path: Path) -> None:
    def graph(what: str, node: object = None) -> Graph:
        return Graph(
            name="letters",
            outputs=["said"],
            nodes={
                "write": node or {"type": "say", "what": what},
                "confirm": {"type": "confirm"},
                "send": {"type": "tell"},
            },
            edges=["start -> write -> confirm -> send -> end"],
            store=DurableStore(SqliteDatabase(tmp_path / "runs.sqlite")),
        )

    with graph("hello") as first:
        begun = first.run()
    with graph("hello") as second:
        assert version_of(second._edition) == version_of(first._edition)
        assert second.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"
        begun = second.run()
    with graph("goodbye") as third:
        with pytest.raises(JournalError, match=r"built in Python.*node 'write' has changed"):
            third.resume(begun.run_id, answers=yes(begun))
        assert third.resume(begun.run_id, answers=yes(begun), on="current")["said"] == "hello: True"


def test_resources_are_shared_with_the_graph_and_outlive_a_reload(tmp_path: Path) -> None:
    text = GRAPH.replace("nodes:", "memories: {turns: {type: window}}\nnodes:")
    file = write(tmp_path, text)
    begun, other = parked(file), parked(file)
    write(tmp_path, text.replace("hello", "goodbye"))
    with load(file) as graph:
        graph.warm_up()
        graph.resume(begun.run_id, answers=yes(begun))
        (edition,) = graph._versions.values()
        assert edition.resources.built("memories", "turns") is graph.resources.built("memories", "turns")
        write(tmp_path, text.replace("hello", "ciao"))
        graph.reload()
        assert not graph._versions
        assert graph.resume(other.run_id, answers=yes(other))["said"] == "hello: True"


def test_files_with_other_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    crlf = GRAPH.replace("\n", "\r\n").replace("hello", "h\u00e9llo \U0001f958")
    file = tmp_path / "letters.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + crlf.encode())
    begun = parked(file)
    write(tmp_path)
    with load(file) as graph:
        assert graph.resume(begun.run_id, answers=yes(begun))["said"] == "h\u00e9llo \U0001f958: True"


def test_the_files_are_stored_once_and_again_after_somebody_has_deleted_them(tmp_path: Path) -> None:
    file = write(tmp_path)

    async def main() -> None:
        async with load(file) as graph, load(file) as other:
            first, second = await graph.arun(), await graph.arun()
            with sqlite3.connect(tmp_path / "runs.sqlite") as rows:
                counted = "SELECT refs FROM uses NATURAL JOIN stored WHERE hash = (SELECT bundle FROM runs LIMIT 1)"
                assert rows.execute(counted).fetchall() == [(2,)]
            for one in (first, second):
                assert (await other.store.delete(run_id=one.run_id)).runs == 1
            third = await graph.arun()
            assert json.loads(await other.store.bundle(third.run_id))["files"]["letters.yaml"] == GRAPH

    asyncio.run(main())


def test_labels_and_prices_are_those_of_the_run(tmp_path: Path) -> None:
    text = """\
schema: ragweave/v1
name: sorter
inputs: {text: str}
outputs: [label]
prices: prices.yaml
nodes:
  sort: {type: classifier, labels_file: labels.yaml}
edges: [start -> sort -> end]
"""
    write(tmp_path, "currency: EUR\nmodels: {m: {input: 1, output: 2}}\n", "prices.yaml")
    write(tmp_path, "tea: [a cup of tea, green tea]\ncoffee: [an espresso, filter coffee]\n", "labels.yaml")
    bundle = version_of(Graph.load(write(tmp_path, text, "sorter.yaml"))._edition).bundle
    assert sorted(json.loads(bundle)["files"]) == ["labels.yaml", "prices.yaml", "sorter.yaml"]
    write(tmp_path, "milk: [a glass of milk, warm milk]\nwater: [still water, tap water]\n", "labels.yaml")
    (tmp_path / "prices.yaml").unlink()
    then = edition_of(bundle, tmp_path)
    assert then.checked.values["label"] == {"tea", "coffee", "other"}
    assert then.resources.prices is not None
    assert then.resources.prices.currency == "EUR"


def test_what_a_store_says_is_never_imported(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')\n")
    text = version_of(Graph.load(write(tmp_path))._edition).bundle
    forged = json.dumps({**json.loads(text), "plugins": ["evil.py"], "code": {"nodes.say": ["evil:Say", "00"]}})
    with pytest.raises(JournalError, match="has changed"):
        edition_of(forged, tmp_path)
    assert "evil" not in sys.modules


@pytest.mark.parametrize(
    "forged", ["", "{", "[]", "{}", '{"format": 1, "files": 5}', '{"format": 1, "entry": 3, "files": {"a": 1}}']
)
def test_a_bundle_that_is_none_is_told(tmp_path: Path, forged: str) -> None:
    with pytest.raises(JournalError, match="not kept"):
        edition_of(forged, tmp_path)
