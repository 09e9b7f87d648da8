"""What pydantic finds wrong, on one line and without its own words' tail."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.language.reasons import reason_of, told


class Spice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    grams: int = Field(default=1, ge=0)
    key: SecretStr | None = None

    @field_validator("name")
    @classmethod
    def _no_salt(cls, value: str) -> str:
        if value == "salt":
            raise ValueError("salt is\nno spice")
        return value


def error_of(data: Any, kind: Any = Spice) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(data)
    return caught.value


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        ({"name": 3}, Spice, "name: expected text, found 3"),
        ({}, Spice, "'name' is missing"),
        ({"name": "a", "colour": "red"}, Spice, "unknown key 'colour'"),
        ({"name": "a", "grams": -1}, Spice, "grams: expected at least 0, found -1"),
        ({"name": "salt"}, Spice, "name: salt is no spice"),
        ([{"name": "a"}, {"grams": "x"}], list[Spice], "[1]: 'name' is missing; [1].grams: expected a whole number"),
        (["a", "b", "c", "d"], list[int], "[0]: expected a whole number, found 'a'; [1]: expected a whole number"),
        ("many", int, "expected a whole number, found 'many'"),
        ("x" * 500, int, "expected a whole number, found 'xxx"),
    ],
)
def test_a_fault_is_said_in_our_words(data: Any, kind: Any, said: str) -> None:
    found = reason_of(error_of(data, kind))
    assert found.startswith(said)
    assert "\n" not in found
    assert "type=" not in found
    assert len(found) < 200


def test_further_faults_are_counted() -> None:
    assert reason_of(error_of(["a", "b", "c", "d"], list[int])).endswith(" (and 2 more)")


def test_it_stands_somewhere_and_secrets_are_not_shown() -> None:
    error = error_of({"name": "a", "key": 12345})
    assert "12345" not in reason_of(error, secrets=["key"], at=("models", "chat"))
    assert reason_of(error, secrets=["key"], at=("models", "chat")).startswith("models.chat.key: ")


def test_other_errors_are_one_line_too() -> None:
    assert told(ValueError("one\n two")) == "ValueError: one two"
    assert told(ValueError()) == "ValueError"
    assert told(InputError("no tea", hint="buy some")) == "no tea; buy some"
    assert told(error_of({})) == "ValidationError: 'name' is missing"


def test_an_input_of_a_run_says_what_is_wrong_inside_of_it() -> None:
    graph = Graph.parse(
        "schema: ragweave/v1\ninputs: {counts: 'list[int]'}\noutputs: [answer]\n"
        "nodes: {a: {type: reply, text: '{counts}'}}\nedges: [start -> a -> end]\n"
    )
    with pytest.raises(InputError) as caught:
        graph.run(counts=[1, "x"])
    assert str(caught.value) == (
        "input 'counts' must be list[int], not [1, 'x']: [1]: expected a whole number, found 'x'"
    )
    with pytest.raises(InputError) as caught:
        graph.run(counts="many")
    assert str(caught.value) == "input 'counts' must be list[int], not 'many'"
    graph.close()
