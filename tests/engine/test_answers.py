"""Answers are held against the whole JSON schema of what was asked; who asks what nobody can answer fails at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.schemas import fault_of, in_words, unusable
from ragweave.orchestrator.values import Ask, Failure
from tests.engine.steps import R, build, events, finished


class Told(TypedDict):
    told: Any


def asking(schema: Mapping[str, Any], question: str = "How much?") -> Graph:
    async def asks(n: int, ctx: Context) -> Told | Ask:
        if not ctx.answers:
            return Ask(question=question, schema=schema)
        return {"told": ctx.answers[-1]}

    return build({"a": asks}, "start -> a -> end", outputs=["told"])


MONEY = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0},
        "day": {"type": "string", "format": "date"},
        "to": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}$"}, "minItems": 1},
    },
    "required": ["amount"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "answer", "said"),
    [
        (MONEY, {"amount": -3}, "a#1: amount: -3 is less than the minimum of 0; asked was: How much.; give a map of"),
        (MONEY, {"amount": 1, "to": ["DE", "us"]}, r"a#1: to.1: 'us' does not match '\^\[A-Z\]\{2\}\$'"),
        (MONEY, {"amount": 1, "day": "tomorrow"}, "a#1: day: 'tomorrow' is not a 'date'"),
        (MONEY, {}, "'amount' is a required property.*give a map of amount, day .optional., to .optional."),
        (MONEY, {"amount": 1, "sum": 2}, r"Additional properties are not allowed \('sum' was unexpected\)"),
        (MONEY, 7, "a#1: 7 is not of type object"),
        ({"type": "integer", "maximum": 9}, 10, "10 is greater than the maximum of 9"),
        ({"type": "integer"}, 1.5, "1.5 is not of type integer; asked was: How much.; give a whole number"),
        ({"type": "integer"}, True, "True is not of type integer"),
        ({"enum": [1, 2]}, True, "True is not one of 1, 2; .*give one of 1, 2"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "y", "give true or false, or null"),
        ({"$defs": {"x": {"type": "string"}}, "$ref": "#/$defs/x"}, 3, "3 is not of type 'string'"),
        ({}, {1, 2}, r"a#1: \{1, 2\} cannot be an answer: .*; give JSON values"),
        ({}, float("nan"), "a#1: nan cannot be an answer"),
    ],
)
async def test_a_wrong_answer_is_told_with_its_place_its_value_and_what_was_asked(
    schema: Mapping[str, Any], answer: Any, said: str
) -> None:
    graph = asking(schema)
    parked = await graph.arun(n=1)
    before = await events(graph)
    with pytest.raises(InputError, match=said):
        await graph.aresume(parked.run_id, answers={"a#1": answer})
    assert await events(graph) == before
    assert [record.status for record in await graph.runs()] == ["parked"]


async def test_an_answer_is_plain_json_wherever_the_run_is_kept() -> None:
    graph = asking({"type": "array"})
    parked = await graph.arun(n=1)
    done = await graph.aresume(parked.run_id, answers={"a#1": (1, Failure(node="x", type="Y"))})
    assert done["told"] == [1, {"node": "x", "type": "Y", "message": ""}]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "it is not a JSON schema: type: 'objekt' is not valid"),
        ({"type": "string", "pattern": "(["}, r"pattern: '\(\[' is not a 'regex'"),
        ({"properties": {"x": {"$ref": "#/$defs/y"}}}, r"its \$ref '#/\$defs/y' points to nothing in it"),
        ({"$ref": "https://example.com/schema.json"}, "points to nothing in it"),
        ({"$ref": "#"}, r"its \$ref goes round in a circle"),
        ({"type": "string", "enum": []}, "its enum is empty"),
        ({"const": {1, 2}}, "it is no JSON: Object of type set"),
        ({"minimum": float("nan")}, "it is no JSON"),
    ],
)
async def test_an_ask_that_nobody_can_answer_fails_its_node_at_once(schema: Mapping[str, Any], said: str) -> None:
    graph = asking(schema)
    with pytest.raises(
        RunError, match=f"failed at a#1: .*asks 'How much.' with a schema that cannot be used: .*{said}"
    ):
        await graph.arun(n=1)
    assert not any(event.kind == "asked" for event in await events(graph))


async def test_the_failure_of_an_ask_may_be_handled() -> None:
    async def asks(n: int) -> R | Ask:
        return Ask(question="Which?", schema={"type": "objekt"})

    async def other(error: Failure) -> R:
        return {"r": error.message}

    graph = build(
        {"a": {"type": asks, "on_error": "b"}, "b": other}, "start -> a -> end", "b -> end", outputs=["r"],
        state={"r": {"type": "str", "merge": "first"}},
    )  # fmt: skip
    result = await graph.arun(n=1)
    assert "it is not a JSON schema" in result["r"]
    assert await finished(graph) == ["a#1", "b#1"]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "2026-11-21"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null"])
            | st.just(["integer", "null"]),
            "enum": st.lists(JSONS, min_size=1, max_size=3),
            "minimum": st.integers(-2, 2),
            "maxLength": st.integers(0, 2),
            "format": st.just("date"),
            "required": st.just(["a"]),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
        },
    ),
    max_leaves=4,
)


@given(SCHEMAS, JSONS)
def test_what_is_accepted_is_what_the_schema_accepts(schema: dict[str, Any], value: Any) -> None:
    assert unusable(schema) == ""
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert (fault_of(value, schema) == "") == validator.is_valid(value)
    assert in_words(schema)
