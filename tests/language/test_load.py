"""A graph file becomes a Spec; the same graph built in Python becomes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.language.load import edges_are_sound, load_data, load_text, shape_of
from ragweave.orchestrator.language.spec import KeySpec, Mark, RouteSpec, Spec
from ragweave.orchestrator.types import Type
from tests.language.reading import opened
from tests.language.samples import Say

GRAPH = """\
schema: ragweave/v1
name: cookbook
version: "2"
description: Answers.
inputs:
  question: str
  limit: {type: int, default: 3, description: How many.}
outputs: [answer]
state:
  documents: {merge: rrf}
  log: {type: "list[str]", accumulate: true}
  seen:
  note: str
defaults: {retry: 1, timeout: 30s}
models:
  chat: {type: remote, url: x}
prompts:
  short: short.md
  long: {type: template, text: Hi.}
limits: {deadline: 1m30s}
durability: sync
nodes:
  find: {type: find, retriever: shelf, map: {over: queries, as: query}, on_error: sorry}
  say: {type: say, text: x, cache: 10m, fallback: {text: y}}
  grade: {type: say, text: x}
  sorry: {type: say, text: x}
edges:
  - start -> find -> say -> grade
  - from: grade
    routes:
      - {when: question == "", to: [sorry, end]}
      - {to: find, max_iterations: 2}
      - {to: end}
  - sorry -> end
"""


def load(text: str) -> Spec:
    spec, problems = load_text(text)
    assert not problems, [str(problem) for problem in problems]
    return spec


def test_what_a_file_says_is_in_its_spec() -> None:
    spec = load(GRAPH)
    assert (spec.name, spec.version, spec.description, spec.durability, spec.deadline) == (
        "cookbook", "2", "Answers.", "sync", 90.0,
    )  # fmt: skip
    assert spec.inputs == {
        "question": KeySpec("question", Type("str"), mark=Mark(6, 3)),
        "limit": KeySpec("limit", Type("int"), 3, True, description="How many.", mark=Mark(7, 3)),
    }
    assert spec.outputs == ("answer",)
    assert spec.state["documents"] == KeySpec("documents", merge="rrf", mark=Mark(10, 3))
    assert spec.state["log"].accumulate
    assert spec.state["seen"] == KeySpec("seen", mark=Mark(12, 3))
    assert spec.state["note"].type == Type("str")
    assert (spec.defaults.retry, spec.defaults.timeout) == (1, 30.0)
    assert spec.resources["models", "chat"].settings == {"url": "x"}
    assert spec.resources["prompts", "short"].settings == {"file": "short.md"}
    assert spec.resources["prompts", "short"].type == "template"
    assert list(spec.nodes) == ["find", "say", "grade", "sorry"]
    find = spec.nodes["find"]
    assert (find.type, find.settings, find.policies.on_error) == ("find", {"retriever": "shelf"}, "sorry")
    say = spec.nodes["say"].policies
    assert say.cache is not None
    assert (say.cache.ttl, say.fallback) == (600.0, ({"text": "y"},))


def test_ways_on_know_their_places_and_the_order_of_their_edges() -> None:
    spec = load(GRAPH)
    grade = spec.exits["grade"]
    assert (grade.plain, grade.mark) == (False, Mark(29, 5))
    assert grade.routes == (
        RouteSpec(
            ("sorry", "end"), 'question == ""', None, ("edges", 1, "routes", 0), (Mark(31, 37), Mark(31, 44)), (3, 4)
        ),
        RouteSpec(("find",), None, 2, ("edges", 1, "routes", 1), (Mark(32, 14),), (5,)),
        RouteSpec(("end",), None, None, ("edges", 1, "routes", 2), (Mark(33, 14),), (6,)),
    )
    assert spec.exits["start"].routes == (
        RouteSpec(("find",), place=("edges", 0), target_marks=(Mark(28, 14),), orders=(0,)),
    )
    assert spec.exits["start"].plain


def test_plain_edges_of_a_node_are_one_route_wherever_they_stand() -> None:
    spec = load(
        "schema: ragweave/v1\nnodes: {a: {type: say}, b: {type: say}, c: {type: say}}\n"
        "edges:\n  - start -> a -> b, c\n  - b, c -> end\n  - a -> end\n"
    )
    [route] = spec.exits["a"].routes
    assert route.targets == ("b", "c", "end")
    assert route.orders == (1, 2, 5)


def test_the_shape_has_on_error_as_the_last_route() -> None:
    shape = shape_of(load(GRAPH))
    assert shape.names == ("start", "end", "find", "say", "grade", "sorry")
    error = shape.routes[2][-1]
    assert error.error
    [edge] = error.edges
    assert shape.edges[edge].target == 5
    assert edge == len(shape.edges) - 1
    assert [shape.edges[edge].target for edge in shape.out[4]] == [5, 1, 2, 1]
    assert [route.bound for route in shape.routes[4]] == [None, 2, None]


def test_the_name_of_a_graph_is_that_of_its_file_unless_it_says_otherwise() -> None:
    assert load_text("{}", file="some/cookbook.yaml")[0].name == "cookbook"
    assert load_text("{}", file="My Graph.yaml")[0].name == "graph"
    assert load_text("{name: soup}", file="cookbook.yaml")[0].name == "soup"


def test_a_deadline_of_nothing_is_none() -> None:
    assert load("schema: ragweave/v1\nlimits: {deadline: }\nnodes: {}\nedges: []\n").deadline is None
    assert load("schema: ragweave/v1\nnodes: {}\nedges: []\n").deadline == 600.0


def shout(question: str) -> None:
    """Shout."""


def test_a_graph_of_python_may_hold_functions_classes_and_nodes() -> None:
    ready = Say(text="x")
    spec, problems = load_data(
        {
            "inputs": {"question": str, "names": list[str], "limit": {"type": int, "default": 3}},
            "nodes": {
                "a": shout,
                "b": Say,
                "c": ready,
                "d": {"type": shout, "retry": 2},
                "e": {"type": Say, "text": "x"},
                "f": {"type": "say", "text": "x"},
            },
            "edges": ["start -> a, b, c", "a, b, c -> d -> e -> f -> end"],
        }
    )
    assert not problems
    assert spec.inputs["names"].type == Type("list", Type("str"))
    assert [spec.nodes[name].implementation for name in "abcdef"] == [shout, Say, ready, shout, Say, None]
    assert [spec.nodes[name].type for name in "abcdef"] == ["shout", "Say", "Say", "shout", "Say", "say"]
    assert spec.nodes["d"].policies.retry == 2
    assert spec.nodes["e"].settings == {"text": "x"}


def test_problems_of_a_graph_of_python_have_no_position() -> None:
    _, problems = load_data({"nodes": {"a": {"type": "say"}}, "edges": ["start -> b -> end"], "input": {}})
    assert sorted(str(problem) for problem in problems) == [
        "graph  RW104  unknown key 'input'; did you mean 'inputs'?",
        "graph  RW114  edges: there is no node 'b'; there is: a, end, start",
    ]
    assert not any(problem.fix for problem in problems)


def test_the_same_edge_twice_is_found_without_positions() -> None:
    _, problems = load_data({"nodes": {"a": shout}, "edges": ["start -> a", "start -> a -> end"]})
    assert [problem.code for problem in problems] == ["RW115"]


@pytest.mark.parametrize(
    ("edges", "sound"),
    [
        ("start -> a -> end", True),
        ("start -> a, a -> end", True),
        ("start -> answr -> end", False),
        ("start => a -> end", False),
        ("a -> start", False),
        ("start -> aa -> end", True),
    ],
)
def test_edges_are_sound_if_none_is_left_out(edges: str, sound: bool) -> None:
    _, problems = load_text(f"schema: ragweave/v1\nnodes: {{a: {{type: say, text: x}}}}\nedges: ['{edges}']\n")
    assert edges_are_sound(problems) is sound


def test_a_misspelt_node_stands_for_the_one_that_was_meant() -> None:
    spec, problems = load_text(
        "schema: ragweave/v1\nnodes: {answer: {type: say, on_error: sory}, sorry: {type: say}}\n"
        "edges: [start -> anser -> end, sorry -> end]\n"
    )
    assert [problem.code for problem in problems] == ["RW114", "RW114"]
    assert spec.exits["start"].routes[0].targets == ("answer",)
    assert spec.nodes["answer"].policies.on_error == "sorry"


def test_positions_in_quoted_chains_count_from_the_quote() -> None:
    text = "schema: ragweave/v1\nnodes: {a: {type: say}}\nedges: [\"start -> aa\", 'a -> edn']\n"
    _, problems = load_text(text)
    assert [(problem.line, problem.column) for problem in problems] == [(3, 19), (3, 30)]


def test_names_in_folded_chains_are_placed_at_the_start_of_the_text() -> None:
    text = "schema: ragweave/v1\nnodes: {a: {type: say}}\nedges:\n  - >-\n    start ->\n    aa -> end\n"
    _, problems = load_text(text)
    assert [(problem.line, problem.column) for problem in problems] == [(4, 5)]


def test_relative_paths_start_in_the_folder_of_the_file(tmp_path: Path) -> None:
    spec, _ = load_text(GRAPH, file=str(tmp_path / "x.yaml"), folder=tmp_path)
    assert spec.folder == tmp_path
    assert spec.resources["models", "chat"].folder == tmp_path


WORDS = st.sampled_from(["type", "to", "when", "from", "routes", "a", "text", "over", "as"])
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text("aé:-$>{ ,", max_size=4)
    | st.sampled_from(["start", "end", "say", "a -> b", "list[str]", "10m", "${env:X}", "rrf", "question"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
VALID = yaml.safe_load(GRAPH)


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [place]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places_in(item, (*place, key))
    return found


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    if isinstance(value, dict):
        return {key: replaced(item, place[1:], new) if key == place[0] else item for key, item in value.items()}
    return [replaced(item, place[1:], new) if key == place[0] else item for key, item in enumerate(value)]


@given(st.sampled_from(places_in(VALID)), junk)
def test_whatever_stands_anywhere_gives_problems_and_raises_nothing(place: tuple[Any, ...], new: Any) -> None:
    from tests.language import samples

    samples.register()
    data = replaced(VALID, place, new)
    spec, _, problems = opened(yaml.safe_dump(data, sort_keys=False))
    shape_of(spec)
    for problem in problems:
        assert problem.line >= 1
        assert problem.column >= 1
    if isinstance(data, dict):
        shape_of(load_data(data)[0])
