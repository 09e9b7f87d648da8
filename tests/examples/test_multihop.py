"""The example of questions that take several pages: by rules, and with a model in the same graph."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph, GraphError
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.retrievers.embedders.minilm import MiniLM
from ragweave.retrievers.indexes.indexing import build_index
from tests.examples.folders import EDGE, ROOT, copied, rows

FOLDER = ROOT / "examples" / "multihop"
WORLD = runpy.run_path(str(FOLDER / "world.py"))
SOME = slice(0, None, 3)
"""Every third question."""
FIVE, TEN = 12, 14
"""Of 14 questions, those with all of their pages among the first five and ten."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its index."""
    path = copied("multihop", tmp_path_factory.mktemp("multihop"))
    build_index(path / "pages", path / ".ragweave" / "pages", MiniLM())
    return path


async def ask(graph: Graph, question: str) -> tuple[list[str], dict[str, Any], list[list[str]]]:
    """The pages that were found, best first, the outputs, and the queries of each round."""
    pages: list[str] = []
    outputs: dict[str, Any] = {}
    rounds: list[list[str]] = []
    async for event in graph.stream(question=question):
        if event.kind == "finished" and event.node in ("decompose", "hop"):
            rounds.append(event.data["queries"])
            pages = [document.source for document in event.data.get("documents", ())]
        elif event.kind == "run_done":
            outputs = event.data["result"]
    return pages, outputs, rounds


def test_pages_and_questions_are_those_of_the_tables(tmp_path: Path) -> None:
    WORLD["write"](tmp_path)
    for path in (*(FOLDER / "pages").iterdir(), FOLDER / "questions.jsonl"):
        assert path.read_text("utf-8") == (tmp_path / path.relative_to(FOLDER)).read_text("utf-8"), path.name
    assert len(list((tmp_path / "pages").iterdir())) == len(list((FOLDER / "pages").iterdir()))


def test_questions_take_the_pages_that_hold_their_facts() -> None:
    asked = rows(FOLDER / "questions.jsonl")
    assert len({row["question"] for row in asked}) == len(asked) == 40
    assert {row["hops"] for row in asked} == {1, 2, 3, 4}
    for row in asked:
        texts = [(FOLDER / "pages" / name).read_text("utf-8") for name in row["gold_docs"]]
        if row["type"] == "bridge":
            assert row["answers"][0] in texts[-1]
            titles = [text.splitlines()[0].removeprefix("# ") for text in texts]
            assert all(name.lower() in text.lower() for name, text in zip(titles[1:], texts, strict=False))


async def test_pages_that_lead_to_one_another_are_found_by_rules(folder: Path) -> None:
    asked = rows(folder / "questions.jsonl")[SOME]
    five = ten = 0
    async with Graph.load(folder / "multihop.yaml") as graph:
        for row in asked:
            pages, _, rounds = await ask(graph, row["question"])
            assert len(rounds) <= 5
            five += set(row["gold_docs"]) <= set(pages[:5])
            ten += set(row["gold_docs"]) <= set(pages)
    assert five == pytest.approx(FIVE, abs=EDGE)
    assert ten == pytest.approx(TEN, abs=EDGE)


async def test_the_trail_says_which_page_led_on(folder: Path) -> None:
    async with Graph.load(folder / "multihop.yaml") as graph:
        pages, outputs, rounds = await ask(graph, "Who taught the first captain of the Patient Ox?")
    assert rounds[0] == ["Who taught the first captain of the Patient Ox?"]
    assert "Silas Wren taught" in rounds[1]
    assert {"patient-ox.md", "silas-wren.md"} <= set(pages[:3])
    assert "Patient Ox: Silas Wren taught" in outputs["trail"].splitlines()
    assert "taught by Tobias Lune" in outputs["answer"].text


async def test_a_model_asks_on_in_the_same_graph(folder: Path) -> None:
    asked = {"queries": [{"query": "Ada Merrow birthplace", "passage": 1}]}
    replies = ["captain of the Grey Heron", json.dumps(asked), '{"queries": []}', "She was born in Lisk. [2]"]
    async with Graph.load(folder / "multihop.yaml") as graph:
        graph.resources.put("models", "chat", Scripted(replies=replies))
        pages, outputs, rounds = await ask(graph, "Where was the captain of the Grey Heron born?")
    assert rounds == [
        ["Where was the captain of the Grey Heron born?", "captain of the Grey Heron"],
        ["Ada Merrow birthplace"],
        [],
    ]
    assert pages[:2] == ["grey-heron.md", "ada-merrow.md"]
    assert outputs["answer"].text == "She was born in Lisk. [2]"
    assert [citation.source for citation in outputs["answer"].citations] == ["ada-merrow.md"]


def test_a_retriever_that_merges_is_refused_by_the_checker(folder: Path) -> None:
    text = (folder / "multihop.yaml").read_text("utf-8").replace("as: query,", "as: query, merge: best,")
    (folder / "merged.yaml").write_text(text, "utf-8")
    with pytest.raises(GraphError, match="found"):
        Graph.load(folder / "merged.yaml")
