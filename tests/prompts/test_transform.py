"""State keys computed by expressions and templates, alone and in a graph."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import ConditionError, GraphError, InputError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Read
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import JSON
from ragweave.orchestrator.values import Answer, Document
from ragweave.prompts.transform import Transform

DOCUMENTS = [Document(id="a", text="A", score=0.9, offsets=(1, 2)), Document(id="b", text="B", score=0.1)]

GRAPH = """
schema: ragweave/v1
inputs: {name: str, numbers: "list[int]"}
outputs: [greeting, count, n]
state: {n: {type: int, default: 0}}
nodes:
  shape: {type: transform, set: {count: size(numbers), n: n + 1}, text: {greeting: "Hello {{ name }}"}}
edges:
  - start -> shape
  - from: shape
    routes:
      - {when: n < 3, to: shape, max_iterations: 9}
      - {to: end}
"""


def given(node: Transform, **state: Any) -> Any:
    return node(ctx=Context(), **state)


def types(node: Transform) -> dict[str, str]:
    return {key: str(write.type) for key, write in node.signature(Resources()).writes.items()}


@pytest.mark.parametrize(
    ("expression", "state", "value", "kind"),
    [
        ("size(documents)", {"documents": DOCUMENTS}, 2, "int"),
        ("answer.text + '!'", {"answer": Answer(text="Yes")}, "Yes!", "str"),
        ("n > 1 && n < 5", {"n": 3}, True, "bool"),
        ("double(n) / 2.0", {"n": 3}, 1.5, "float"),
        ("documents.map(d, d.title + d.id)", {"documents": DOCUMENTS}, ["a", "b"], "list[json]"),
        ("['x', question]", {"question": "y"}, ["x", "y"], "list[json]"),
        ("{'z': 1, 'a': [n]}", {"n": 3}, {"a": [3], "z": 1}, "map[json]"),
        ("data", {"data": {"b": {"d": 1, "c": None}}}, {"b": {"c": None, "d": 1}}, "json"),
    ],
)
def test_an_expression_gives_a_value_of_a_type(expression: str, state: dict[str, Any], value: Any, kind: str) -> None:
    node = Transform(set={"x": expression})
    assert given(node, **state) == {"x": value}
    assert types(node) == {"x": kind}
    assert node.signature(Resources()).reads == {key: Read(JSON) for key in state}


def test_maps_are_in_one_order_whatever_cel_makes_of_them() -> None:
    found = given(Transform(set={"x": "{'z': 1, 'a': {'y': 1, 'b': 2}}"}))["x"]
    assert list(found) == ["a", "z"]
    assert list(found["a"]) == ["b", "y"]


def test_a_template_gives_a_text() -> None:
    node = Transform(text={"x": "{% for d in documents %}{{ loop.index }}={{ d.text }} {% endfor %}of {{ who }}"})
    assert set(node.signature(Resources()).reads) == {"documents", "who"}
    assert given(node, documents=DOCUMENTS, who="{{ me }}") == {"x": "1=A 2=B of {{ me }}"}
    assert types(node) == {"x": "str"}


def test_declared_types_make_values_of_maps() -> None:
    node = Transform(set={"best": "documents.filter(d, d.score > 0.5)"}, types={"best": "list[Document]"})
    assert types(node) == {"best": "list[Document]"}
    assert given(node, documents=DOCUMENTS) == {"best": DOCUMENTS[:1]}
    with pytest.raises(InputError, match=r"'x' gives no list\[int\] for 'y'"):
        given(Transform(set={"y": "x"}, types={"y": "list[int]"}), x=["a"])


def test_all_is_computed_on_the_state_before() -> None:
    assert given(Transform(set={"a": "b", "b": "a"}), a=1, b=2) == {"a": 2, "b": 1}


def test_what_fails_fails_the_node() -> None:
    with pytest.raises(ConditionError, match=r"the expression 'x\[3\]' failed: .*index=3.*guard it"):
        given(Transform(set={"y": "x[3]"}), x=[1])
    with pytest.raises(InputError, match=r"text\.y cannot be rendered: an Answer has no 'txt'"):
        given(Transform(text={"y": "{{ a.txt }}"}), a=Answer(text=""))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there is nothing to do"),
        ({"set": {"x": "1"}, "text": {"x": "1"}}, "'x' is in 'set' and in 'text'"),
        ({"set": {"X": "1"}}, "'X' is no name of a state key"),
        ({"set": {"x": "a = b"}}, "'=='"),
        ({"set": {"x": "a and b"}}, "'&&'"),
        ({"set": {"x": "size(a"}}, "cannot be read"),
        ({"set": {"x": "siz(a)"}}, "no function 'siz'.*did you mean 'size'"),
        ({"set": {"x": "timestamp(a)"}}, r"gives a timestamp.*string\(timestamp\(a\)\)"),
        ({"text": {"x": "{{ a"}}, "expected|unexpected"),
        ({"text": {"x": "{{ a.__class__ }}"}}, "__class__"),
        ({"text": {"x": "{{ range(9) }}"}}, "a call"),
        ({"set": {"x": "1"}, "types": {"y": "int"}}, "no key 'y' in 'set'"),
        ({"set": {"x": "1"}, "types": {"x": "strr"}}, "unknown type 'strr'"),
        ({"set": {"x": "1"}, "types": {"x": "str"}}, "'x' is str, but '1' gives int"),
    ],
)
def test_what_cannot_work_is_refused_with_the_way_out(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Transform(**settings)


async def test_in_a_graph_keys_are_inferred_and_a_loop_counts() -> None:
    graph = Graph.parse(GRAPH)
    result = await graph.arun(name="Ada", numbers=[1, 2])
    assert result.outputs == {"greeting": "Hello Ada", "count": 2, "n": 3}
    assert {key: str(graph.plan.keys[key]) for key in ("greeting", "count")} == {"greeting": "str", "count": "int"}


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("size(numbers)", "siz(numbers)", ":7:41 ", "no function 'siz'"),
        ("size(numbers)", "size(numbes)", "", "'numbes', which 'shape' reads, is never written"),
        ("{{ name }}", "{{ nam }}", "", "'nam', which 'shape' reads, is never written"),
        ("{{ name }}", "{{ name ", ":7:84 ", "nodes.shape.text.greeting"),
    ],
)
def test_faults_are_found_when_the_graph_is_loaded(old: str, new: str, place: str, message: str) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.parse(GRAPH.replace(old, new))
    assert message in str(caught.value)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ name | shout }} and {{ age }}", ["unknown filter 'shout'"]),
        ("{% if name is big %}{{ age }}{% endif %}", ["unknown test 'big'"]),
        ("{{ name | shout(age, first=1) }} {{ name | loud }}", ["unknown filter 'shout'", "unknown filter 'loud'"]),
    ],
)
def test_an_unknown_filter_is_one_fault_and_takes_no_variable_away(template: str, said: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Transform(text={"greeting": template})
    message = caught.value.errors()[0]["msg"].removeprefix("Value error, ")
    assert [fault for fault in message.split("; ") if fault.startswith("unknown")] == said
