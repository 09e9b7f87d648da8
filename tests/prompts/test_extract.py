"""The node type `extract`: typed state keys from a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ragweave import Graph, GraphError, RunError
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import parse_type
from ragweave.orchestrator.values import Verdict
from ragweave.prompts.extract import Extract
from tests.support.listening import Listening

FIELDS = {"city": {"type": "str", "description": "Where the dinner is."}, "guests": "int", "wishes": "list[str]?"}


def context(*replies: str) -> tuple[Listening, Scripted]:
    resources, model = Resources(), Scripted(replies=list(replies))
    resources.put("models", "chat", model)
    return Listening(resources), model


async def test_each_field_is_a_key_and_what_the_text_does_not_say_is_left_out() -> None:
    node = Extract(model="chat", fields=FIELDS)
    ctx, model = context(
        '{"city": "Oslo", "guests": 3, "wishes": null}', '{"city": "Rome", "guests": 2, "wishes": ["no nuts"]}'
    )
    assert await node(ctx, text="Three of us, in Oslo.") == {"city": "Oslo", "guests": 3}
    assert await node(ctx, text="Two in Rome, no nuts.") == {"city": "Rome", "guests": 2, "wishes": ["no nuts"]}
    said = model.requests[0].messages[-1].text
    assert said.startswith("Three of us, in Oslo.")
    assert "Where the dinner is." in said
    assert model.requests[0].temperature == 0.0


def test_the_signature_is_that_of_the_prompt_and_the_fields() -> None:
    node = Extract(model="chat", fields=FIELDS)
    signature = node.signature(Resources())
    assert {name: (str(read.type), read.required) for name, read in signature.reads.items()} == {"text": ("str", True)}
    assert {name: (str(write.type), write.certain) for name, write in signature.writes.items()} == {
        "city": ("str", True),
        "guests": ("int", True),
        "wishes": ("list[str]", False),
    }


async def test_fields_may_be_value_models() -> None:
    ctx, _ = context('{"verdict": {"passed": true, "action": "allow", "reasons": [], "missing": [], "spans": []}}')
    found = await Extract(model="chat", fields={"verdict": "Verdict"})(ctx, text="Fine.")
    assert found == {"verdict": Verdict(passed=True)}


async def test_the_schema_of_fields_is_one_that_servers_keep_to_strictly() -> None:
    from ragweave.orchestrator.models.schemas import is_closed

    wanted = Extract(model="chat", fields=FIELDS).wanted
    assert is_closed(wanted)
    assert wanted["required"] == ["city", "guests", "wishes"]


async def test_a_schema_writes_what_satisfies_it_to_data() -> None:
    schema = {"type": "object", "properties": {"mood": {"enum": ["good", "bad"]}}, "required": ["mood"]}
    node = Extract(model="chat", json_schema=schema)
    ctx, _ = context('{"mood": "meh"}', '{"mood": "good"}')
    assert await node(ctx, text="Lovely.") == {"data": {"mood": "good"}}
    assert node.signature(Resources()).writes["data"].type == parse_type("map[json]")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "by either 'fields' or 'json_schema'"),
        ({"fields": {"a": "str"}, "json_schema": {"type": "object"}}, "by either 'fields' or 'json_schema'"),
        ({"fields": {"a": "strng"}}, "unknown type 'strng'; did you mean 'str'?"),
        ({"json_schema": {"type": "objekt"}}, "it is not a JSON schema: type: 'objekt' is not valid"),
        ({"json_schema": {"$ref": "#/$defs/x"}}, "its $ref '#/$defs/x' points to nothing in it"),
        ({"json_schema": {"items": {"$ref": "http://x/y"}}}, "its $ref 'http://x/y' points to nothing in it"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_when_the_graph_is_loaded(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph(
            inputs={"text": "str"},
            outputs=[],
            nodes={"e": {"type": "extract", **settings}},
            edges=["start -> e -> end"],
        )
    assert said in str(caught.value)


GRAPH = """
schema: ragweave/v1
inputs: {mail: str}
outputs: [answer]
models:
  chat: {type: scripted, replies: ['{"guests": 12, "city": "Oslo"}', '{"guests": 2, "city": "Rome"}']}
nodes:
  order: {type: extract, model: chat, fields: {guests: int, city: str}, reads: {text: mail}}
  large: {type: reply, text: "A hall in {city}."}
  small: {type: reply, text: "A table in {city}."}
edges:
  - start -> order
  - {from: order, routes: [{when: guests > 6, to: large}, {to: small}]}
  - large, small -> end
"""


def test_what_was_taken_is_typed_state_that_routes_and_nodes_read() -> None:
    graph = Graph.parse(GRAPH)
    assert [str(graph.run(mail="…")["answer"]) for _ in range(2)] == ["A hall in Oslo.", "A table in Rome."]


def test_a_route_on_a_field_that_is_not_taken_is_found_before_the_run() -> None:
    with pytest.raises(GraphError, match="guest"):
        Graph.parse(GRAPH.replace("guests > 6", "guest > 6"))


def test_without_a_model_that_can_write_the_run_says_what_to_do() -> None:
    text = GRAPH.replace("model: chat, ", "model: extractive, ")
    with pytest.raises(RunError, match="model 'extractive' quotes its sources and cannot write JSON; name a model"):
        Graph.parse(text).run(mail="…")


def test_the_example_is_a_node() -> None:
    assert json.dumps(Extract.example)
    graph = f"""
schema: ragweave/v1
inputs: {{text: str}}
outputs: [guests]
models: {{chat: {{type: scripted, replies: ['{{"city": "Oslo", "guests": 3, "wishes": []}}']}}}}
nodes:
  {Extract.example}
edges: [start -> order -> end]
"""
    assert Graph.parse(graph).run(text="…")["guests"] == 3
