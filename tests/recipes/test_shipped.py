"""The shipped graphs, as they are: short, right, and run without a model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from ragweave.cli.creating import create
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.recipes import FOLDER
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Document
from ragweave.retrievers.embedders.minilm import MiniLM
from ragweave.retrievers.indexes.indexing import build_index

RECIPES = sorted(FOLDER.glob("*.yaml"))
RAN = {
    "agent": ("What do 3 records of 19.90 cost?", "That is 59.7.", ["think#1", "act#1", "think#2"]),
    "plan_and_execute": (
        "How many months lie between 1955 and 2031?",
        "Between 1955 and 2031 lie 76 years, which are 912 months.",
        ["work#1/think#1", "work#1/act#1", "work#1/think#2", "work#1", "note#1", "plan#2"],
    ),
    "reflection": (
        "Why do leaves turn red in autumn?",
        "The green fades, and the leaf makes a red pigment, anthocyanin.",
        ["draft#1", "critique#1", "revise#1", "critique#2"],
    ),
    "router": ("How much are 4 tickets at 12.50?", "That is 50.", ["prices#1/think#1", "prices#1/act#1"]),
}


def load(file: Path) -> Graph:
    return Graph.load(file, store=MemoryStore())


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_each_fits_on_a_screen_and_is_right(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 43
    graph = load(file)
    assert (graph.check(), graph.name) == ((), file.stem)
    assert len(graph.draw().splitlines()) > 5


def test_there_are_five() -> None:
    assert {file.stem for file in RECIPES} == {*RAN, "multi_hop"}


@pytest.mark.parametrize("name", RAN)
def test_each_runs_as_it_is(name: str, tmp_path: Path) -> None:
    question, answer, paths = RAN[name]
    folder = tmp_path / "recipes"  # the router keeps what it has learned beside its file
    shutil.copytree(FOLDER, folder)
    events = list(load(folder / f"{name}.yaml").stream_sync(question=question))
    assert str(events[-1].data["result"]["answer"]) == answer
    assert set(paths) <= {event.path for event in events if event.kind == "finished"}


@pytest.mark.parametrize("name", RAN)
def test_a_copy_is_a_graph_of_ones_own(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(tmp_path / "mine", name)
    question, answer, _ = RAN[name]
    assert f'  ragweave ask graph.yaml "{question}"' in capsys.readouterr().out
    text = (tmp_path / "mine" / "graph.yaml").read_text()
    assert "settings:" not in text
    graph = load(tmp_path / "mine" / "graph.yaml")
    assert (graph.check(), str(graph.run(question=question)["answer"])) == ((), answer)
    prompts = {path.name for path in (tmp_path / "mine" / "prompts").iterdir()}
    assert prompts == {Path(one).name for one in re.findall(r"prompts/\w+\.md", text)}


def test_questions_of_several_passages_are_answered_offline_with_citations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAT_MODEL", raising=False)
    create(tmp_path / "mine", "multi_hop")
    build_index(tmp_path / "mine" / "pages", tmp_path / "mine" / ".ragweave" / "pages", MiniLM())
    graph = load(tmp_path / "mine" / "graph.yaml")
    result = graph.run(question="Who taught the first captain of the Patient Ox?")
    answer = result["answer"]
    assert "Tobias Lune" in answer.text
    assert {citation.source for citation in answer.citations} == {"patient-ox.md", "silas-wren.md"}


@pytest.mark.parametrize("reason", ["It leaves out the pigment.", ""])
def test_a_critique_that_finds_nothing_ends_the_rounds(reason: str) -> None:
    good = {"criterion_1": {"reason": reason, "met": not reason}, "criterion_2": {"reason": "", "met": True}}
    judged = json.dumps({**good, "missing": []})
    model: dict[str, Any] = {
        "type": "scripted",
        "replies": [{"when": "criterion", "text": judged}, "One.", "Two.", "Three.", "Four."],
    }
    graph = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        models={"chat": model},
        nodes={"explain": {"type": "reflection", "model": "chat", "rubric": ["It is right."], "max_rounds": 1}},
        edges=["start -> explain -> end"],
    )
    assert str(graph.run(question="Why?")["answer"]) == ("Three." if reason else "One.")


def test_documents_in_the_state_have_to_hold_the_answer_of_a_reflection() -> None:
    graph = Graph(
        inputs={"question": "str", "documents": "list[Document]"},
        outputs=["answer"],
        nodes={
            "explain": {"type": "reflection", "model": "extractive", "prompt": "answer_with_citations", "max_rounds": 1}
        },
        edges=["start -> explain -> end"],
    )
    kettle = Document(id="k", text="The kettle takes two litres.", source="kettle.md")
    answer = graph.run(question="How much does the kettle take?", documents=[kettle])["answer"]
    assert (answer.text, [one.source for one in answer.citations]) == (
        "The kettle takes two litres. [1]",
        ["kettle.md"],
    )
