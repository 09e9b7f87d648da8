"""Runs as data for others: nothing that was said is in it, and never a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.journals.redact import Export, secrets_of
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.stores import RunRecord
from tests.journals.support import durable

GRAPH = """\
schema: ragweave/v1
name: desk
inputs: {question: str, notes: {type: "map[str]", default: {}}}
outputs: [answer]
models:
  chat: {type: scripted, replies: ["${env:SAID}"]}
nodes:
  retrieve: {type: reply, text: "It is {question}"}
edges: [start -> retrieve -> end]
"""


async def exported(folder: Path, export: Export, **inputs: Any) -> dict[str, Any]:
    graph = Graph.parse(GRAPH.replace("${env:SAID}", "hello"), store=durable(folder))
    async with graph:
        result = await graph.arun(inputs, thread_id="42", user="ada@example.org")
        record = await graph.store.record(result.run_id)
        assert record is not None
        return export.run(record, await graph.store.events(result.run_id))


async def test_texts_become_their_lengths_and_people_numbers(tmp_path: Path) -> None:
    given: dict[str, Any] = {"question": "My number is 12345", "notes": {"ada@example.org": "is ill"}}
    line = await exported(tmp_path, Export(), **given)
    text = json.dumps(line)
    for said in ("number", "ada", "example", "ill", "It is"):
        assert said not in text
    assert (line["graph"], line["status"], line["thread"], line["user"]) == ("desk", "done", "thread 1", "user 1")
    started, finished, done = line["events"]
    assert started["data"]["inputs"] == {"question": "<text of 18>", "notes": {"<key 1 of 15>": "<text of 6>"}}
    assert (finished["kind"], finished["path"], finished["route"]) == ("finished", "retrieve#1", 0)
    assert finished["data"]["answer"] == {"text": "<text of 24>", "citations": [], "confidence": 1.0}
    assert done["data"]["outputs"].keys() == {"answer"}


async def test_with_values_only_secrets_are_hidden(tmp_path: Path) -> None:
    export = Export(values=True, secrets={"sk-12345": "KEY", "sk-12345-long": "OTHER"})
    line = await exported(tmp_path, export, question="sk-12345-long, sk-12345", notes={"sk-12345": "x"})
    started = line["events"][0]["data"]["inputs"]
    assert started == {"question": "<secret OTHER>, <secret KEY>", "notes": {"<secret KEY>": "x"}}
    assert (line["thread"], line["user"]) == ("42", "ada@example.org")
    assert "sk-12345" not in json.dumps(line)


def test_secrets_are_the_values_of_all_variables_that_a_graph_names() -> None:
    graph = Graph.parse(GRAPH)
    environ = {"SAID": "the secret", "OTHER": "not named"}
    assert secrets_of([graph.plan.spec], environ) == {"the secret": "SAID"}
    assert secrets_of([graph.plan.spec], {"SAID": "no"}) == {}


TEXTS = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x4FFF), min_size=1)
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["run_started", "entered", "finished", "item", "asked", "answered", "forked", "run_done"]), VALUES
)
def test_no_letter_of_a_value_is_left(kind: str, value: Any) -> None:
    name = {"run_started": "inputs", "entered": "inputs", "run_done": "outputs", "forked": "set", "asked": "ask"}
    wrapped = {"key": value} if kind in ("run_started", "entered", "run_done", "forked") else value
    event = Event(kind, "", "a", 1, {name.get(kind, "answer"): wrapped, "path": "a#1"})
    text = json.dumps(Export().run(RunRecord("r"), [event]), ensure_ascii=False)
    assert not any("\u4e00" <= letter <= "\u4fff" for letter in text)
