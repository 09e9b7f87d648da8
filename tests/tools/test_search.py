"""The tool `search`: a model asks a retriever, and sees what its user may see."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator.values import Message

GRAPH = """
schema: ragweave/v1
name: asker
inputs: {question: str}
outputs: [answer]
retrievers:
  notes: {type: hybrid, index: notes, weight: 0, fields: {team: str}, access: {tenant: team}}
tools:
  look: {type: search, retriever: notes, about: what the teams wrote, top_k: 3}
models:
  chat:
    type: scripted
    replies:
      - {tool_calls: [{id: a, name: look, arguments: {query: bread}}]}
      - Read.
prompts: {ask: {text: "{{ question }}", variables: {question: str}}}
nodes:
  think: {type: generator, model: chat, prompt: ask, tools: [look]}
  act: {type: tool_executor, tools: [look]}
edges:
  - start -> think
  - from: think
    routes: [{when: size(tool_calls) > 0, to: act}, {to: end}]
  - from: act
    routes: [{to: think, max_iterations: 2}, {to: end}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from ragweave.retrievers.indexes.indexing import build_index

    for name, team in (("north", "north"), ("south", "south")):
        front = f"---\nteam: {team}\n---\n# Bread of the {name}\n\n"
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / f"{name}.md").write_text(f"{front}The {name} bakes bread of rye.\n")
    build_index(tmp_path / "docs", tmp_path / "notes", None, fields={"team": "str"})
    (tmp_path / "asker.yaml").write_text(GRAPH)
    return tmp_path


def read(graph: Graph, **run: Any) -> list[Message]:
    asyncio.run(graph.arun(question="?", **run))
    return [one for one in graph.resources.get("models", "chat").requests[-1].messages if one.role == "tool"]


def test_a_model_finds_what_its_tenant_may_see(folder: Path) -> None:
    graph = Graph.load(folder / "asker.yaml")
    (found,) = read(graph, tenant="north")
    assert found.text.startswith("[1] Bread of the north (north.md, line ")
    assert "rye" in found.text
    assert "south" not in found.text
    offered = graph.resources.get("models", "chat").requests[0].tools[0]
    assert (offered["name"], "what the teams wrote" in offered["description"]) == ("look", True)


def test_without_a_tenant_it_is_told_so(folder: Path) -> None:
    (told,) = read(Graph.load(folder / "asker.yaml"))
    assert told.text.startswith("error: ")
    assert "pass tenant= to the run" in told.text
