"""A condition that compares a key with a text that the key never is, is told; any other is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import Fix, Problem
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import Signature, Write, node_type, read_signature
from ragweave.orchestrator.types import Type, texts_of


class Sorted(TypedDict):
    label: Literal["refund", "hours", "other"]
    others: list[Literal["refund", "hours"]]


class Sorts(TypedDict):
    label: Literal["refund", "complaint"] | None


class Told(TypedDict):
    label: Literal["refund", "hours"]


class MayTell(TypedDict):
    label: NotRequired[Literal["refund", "hours"]]


class Guessed(TypedDict):
    label: str


class Greeted(TypedDict):
    greeting: str


def sort(question: str) -> Sorted:
    raise NotImplementedError


def sort_otherwise(question: str) -> Sorts:
    raise NotImplementedError


def sort_both(question: str) -> Told:
    raise NotImplementedError


def may_sort(question: str) -> MayTell:
    raise NotImplementedError


def guess(question: str) -> Guessed:
    raise NotImplementedError


def greet() -> Greeted:
    raise NotImplementedError


def joined(values: Sequence[str]) -> str:
    return "+".join(values)


@pytest.fixture(autouse=True)
def _kinds() -> None:
    for function in (sort, sort_otherwise, sort_both, guess, greet):
        registry.add("nodes", function.__name__, node_type(function))
    registry.add("merges", "joined", joined)


MAPPED = {"node": "{type: sort, map: {over: questions, as: question}}", "inputs": 'questions: "list[str]"'}


def warned(
    condition: str, *, node: str = "{type: sort}", more: str = "", inputs: str = "question: str"
) -> list[Problem]:
    """The warnings of a graph that has one condition behind a node `s`."""
    text = f"""
schema: ragweave/v1
inputs: {{{inputs}}}
outputs: [greeting]
{more}
nodes:
  s: {node}
  a: {{type: greet}}
  b: {{type: greet}}
edges:
  - start -> s
  - from: s
    routes:
      - when: {condition}
        to: a
      - to: b
  - a, b -> end
"""
    return [problem for problem in Graph.parse(text).check() if problem.code == "RW425"]


@pytest.mark.parametrize(
    ("condition", "message", "column", "fix"),
    [
        ("label == 'refnd'", "'label' is never 'refnd'; did you mean 'refund'?", 25, "refund"),
        ('label != "refnd"', "'label' is never 'refnd'; did you mean 'refund'?", 25, "refund"),
        ("question == '' || ('refnd' == label)", "'label' is never 'refnd'", 35, "refund"),
        ("label == 'joke'", "'label' is never 'joke'; there is: hours, other, refund", 25, None),
        ("label in ['hours', 'refnd']", "'label' is never 'refnd'", 35, "refund"),
        ("\"'hour' in others\"", "'others' never has 'hour'; did you mean 'hours'?", 17, "hours"),
        ("\"'other' in others\"", "'others' never has 'other'; there is: hours, refund", 17, None),
        ("'label == ''refnd'''", "'label' is never 'refnd'", 27, "refund"),
        ("'size(question) > 3 ? label == \"refnd\" : false'", "'label' is never 'refnd'", 47, "refund"),
        ("label == 'hour' && label == 'hours'", "'label' is never 'hour'", 25, "hours"),
    ],
)
def test_a_text_that_never_comes_is_told_at_its_place(condition: str, message: str, column: int, fix: str) -> None:
    (problem,) = warned(condition)
    assert problem.message.startswith(message)
    assert problem.severity == "warning"
    assert (problem.line, problem.column) == (14, column)
    assert (problem.fix.new if problem.fix else None) == fix
    if problem.fix:
        assert problem.fix == Fix(14, column, problem.fix.old, fix)


@pytest.mark.parametrize(
    "condition",
    [
        "label == 'refund' || label in ['hours', 'other']",
        "\"'hours' in others\"",
        "label + 's' == 'refunds'",
        "\"'a ' + label == 'a refund'\"",
        "label == 'ref' + 'und'",
        "label.startsWith('ref')",
        "label.contains('refnd') && question == 'refnd'",
        "label == r'refnd'",
        "label > 'a'",
        "others.exists(label, label == 'refnd')",
        "question == \"label == 'refnd'\"",
    ],
)
def test_other_conditions_are_left_alone(condition: str) -> None:
    assert warned(condition) == []


@pytest.mark.parametrize(
    ("condition", "settings", "count"),
    [
        ("label == 'complaint'", {"node": "{type: sort}"}, 1),
        ("label == 'complaint'", {"node": "{type: sort_both, fallback: {type: sort_otherwise}}"}, 0),
        ("label == 'hourz'", {"node": "{type: sort_both, fallback: {type: sort_otherwise}}"}, 1),
        ("label == 'complaint'", {"node": "{type: sort_both, fallback: {type: guess}}"}, 0),
        ("label == 'refnd'", {"node": "{type: sort_both, fallback: {type: guess}}"}, 0),
        ("label == 'complaint'", {"node": "{type: guess}"}, 0),
        ("label == 'complaint'", {"more": "state: {label: {default: complaint}}"}, 0),
        ("label == 'complaint'", {"more": "state: {label: {default: mixed}}"}, 1),
        ("label == 'refund+hours'", {"more": "state: {label: {merge: joined}}"}, 0),
        ("label == 'complaint'", {"inputs": "question: str, label: str"}, 0),
        (
            "\"'refnd' in label\"",
            {"node": "{type: sort, map: {over: qs, as: question}}", "inputs": 'qs: "list[str]"'},
            1,
        ),
        ("mood == 'refnd'", {"node": "{type: sort, writes: {label: mood}}"}, 1),
    ],
)
def test_only_what_all_writers_say_counts(condition: str, settings: dict[str, str], count: int) -> None:
    assert len(warned(condition, **settings)) == count


def test_an_inner_graph_hands_on_what_its_outputs_can_be(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [label]\nnodes: {s: {type: sort}}\n"
        "edges: [start -> s -> end]\n"
    )
    inner = str(tmp_path / "inner.yaml")
    (problem,) = warned("label == 'refnd'", node=f"{{type: graph, path: {inner!r}}}")
    assert "did you mean 'refund'?" in problem.message


def test_a_return_type_says_which_texts_there_are() -> None:
    signature, _ = read_signature(may_sort, owner="may_sort", method=False)
    assert signature.writes == {"label": Write(Type("str"), False, frozenset({"refund", "hours"}))}
    assert texts_of(Literal["a", "b"] | None) == texts_of(list[Literal["a", "b"]]) == frozenset("ab")
    for open_to_any in (str, list[str], Literal["a"] | str, Literal["a", 1], dict[str, Literal["a"]], list):
        assert texts_of(open_to_any) is None
    assert Signature().remarks == ()
