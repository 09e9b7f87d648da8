"""The JSON schema of graph files agrees with what reads them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ragweave.orchestrator.codes import codes
from ragweave.orchestrator.codes import whole as framed
from ragweave.orchestrator.language.schema import graph_schema
from ragweave.orchestrator.language.yamltext import read
from tests.cli.running import ragweave
from tests.conventions.sources import ROOT
from tests.language.reading import whole

EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*/*.yaml")) if "\nschema:" in path.read_text("utf-8")]


def faults(text: str, schema: Any = None) -> list[str]:
    reading = read(text)
    assert reading.readable, reading.problems
    judge = validator() if schema is None else Draft202012Validator(schema)
    return [f"{error.json_path}: {error.message}" for error in judge.iter_errors(reading.data)]


@cache
def validator() -> Any:
    """Of the types that ragweave comes with, and of the samples."""
    return Draft202012Validator(graph_schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(graph_schema())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    """An editor is given the schema that is written where the graph lies, with the types of its plugins."""
    own = json.loads(ragweave("schema", cwd=path.parent).stdout) if (path.parent / "pyproject.toml").exists() else None
    assert not faults(path.read_text(encoding="utf-8"), own)


@pytest.mark.parametrize("code", [code for code in codes() if codes()[code].right])
def test_every_right_piece_is_valid(code: str) -> None:
    assert not faults(framed(codes()[code].right))


@pytest.mark.parametrize(
    "code",
    [
        "RW103",
        "RW104",
        "RW105",
        "RW106",
        "RW107",
        "RW108",
        "RW109",
        "RW110",
        "RW111",
        "RW112",
        "RW113",
        "RW119",
        "RW127",
    ],
)
def test_what_an_editor_can_see_is_invalid(code: str) -> None:
    assert faults(framed(codes()[code].wrong))


FULL = """\
inputs: {question: str, limit: {type: int, default: 3}}
state: {documents: {merge: rrf}, log: {type: "list[str]", accumulate: true}, seen: , note: str}
defaults: {retry: 1, timeout: 30s, cache: 10m}
limits: {deadline: 10m}
models: {chat: {type: remote, url: x, retries: "${env:RETRIES:-2}"}}
prompts: {short: short.md, long: {text: Hi.}}
nodes:
  find:
    type: find
    top_k: 3
    map: {over: queries, as: query, merge: rrf, max_concurrency: 2}
    reads: {query: question}
    on_error: greet
  greet:
    type: say
    text: Hello.
    mood: "${env:MOOD:-calm}"
    cache: {ttl: 10m}
    retry: 2
    timeout: 2.5
    fallback: [{text: Hi., times: 2, retry: 1}, {type: chat, model: chat}]
  other: {type: say, text: x, fallback: {mood: merry}, cache: true}
  third: {type: say, text: x, race: {text: y}}
edges:
  - start -> find, greet
  - from: find
    routes: [{when: size(documents) > 0, to: [greet, other]}, {to: find, max_iterations: 2}, {to: end}]
  - greet, other -> third -> end
"""


def test_everything_that_may_be_written_is_valid() -> None:
    assert not faults(whole(FULL))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("top_k: 3", "top_k: 0"),
        ("top_k: 3", "topk: 3"),
        ("text: Hi., times: 2", "txt: Hi."),
        ("model: chat}", "modle: chat}"),
        ("mood: merry", "mood: sad"),
        ("over: queries, ", ""),
        ("fallback: {mood: merry}", "fallback: {mood: merry, fallback: {mood: calm}}"),
        ("type: remote, ", "type: romete, "),
        ("url: x, ", ""),
        ("merge: rrf, max", "merge: 5, max"),
        ("start -> find", "start => find"),
        ("{to: end}", "{too: end}"),
        ("retry: 1, timeout: 30s", "map: {over: a, as: b}"),
        ("deadline: 10m", "deadlin: 10m"),
    ],
)
def test_what_is_wrong_anywhere_is_invalid(old: str, new: str) -> None:
    assert old in FULL
    assert faults(whole(FULL.replace(old, new, 1)))


def test_every_setting_and_policy_is_explained() -> None:
    definitions: dict[str, Any] = graph_schema()["$defs"]
    say = definitions["nodes.say"]
    assert say["description"] == "Say a text.\n\nNothing more.\n\nExample: greet: {type: say, text: Hello.}"
    assert say["required"] == ["text"]
    assert say["properties"]["text"]["description"] == "What is said."
    assert say["properties"]["times"]["description"] == "How often it is said."
    assert all(definitions[name].get("description") for name in definitions if name.startswith("policy."))
    scripted = [name for name in definitions if name.startswith("models.scripted")]
    keys = [(name, key, rule) for name in scripted for key, rule in definitions[name].get("properties", {}).items()]
    assert len(keys) > 15
    assert [(name, key) for name, key, rule in keys if not (rule.get("description") or rule.get("$ref"))] == []
    assert {"const": "say", "description": "Say a text."} in definitions["nodes"]["properties"]["type"]["anyOf"]
