"""What the checker leaves alone, what it tells together, and what it does not tell because something else is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.load import load_data, load_text
from ragweave.orchestrator.resources import Resources
from tests.checker.kinds import assess, lookup, write

GRAPHS = sorted((Path(__file__).parent / "graphs").glob("*.yaml"))


def problems_of(text: str) -> list[Problem]:
    """What is wrong with a graph file."""
    spec, problems = load_text("schema: ragweave/v1\n" + text, file="graph.yaml")
    return check(spec, problems, Resources(spec.resources.values(), environ={})).problems


def told(text: str) -> list[str]:
    """The errors of a graph file, as `line:column code`."""
    return [f"{one.line}:{one.column} {one.code}" for one in problems_of(text) if one.severity == "error"]


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_sound_graphs_are_left_alone(path: Path) -> None:
    spec, problems = load_text(path.read_text(encoding="utf-8"), file=path.name)
    checked = check(spec, problems, Resources(spec.resources.values(), environ={}))
    assert checked.problems == []
    assert checked.ok
    assert set(checked.nodes) == set(spec.nodes)
    assert checked.shape is not None
    assert len(checked.conditions) == sum(
        route.when is not None for exits in spec.exits.values() for route in exits.routes
    )


def test_independent_faults_are_told_together_in_the_order_of_the_file() -> None:
    assert told("""
inputs: {question: str}
outputs: [answr]
nodes:
  a: {type: lookup}
  b: {type: lookup, timeout: soon}
  c: {type: write}
  d: {type: assess}
edges:
  - start -> a, b -> c -> d
  - from: d
    routes:
      - {when: verdict.pased, to: c, max_iterations: 2}
      - {to: end}
""") == ["4:11 RW201", "7:30 RW106", "8:3 RW205", "14:24 RW423"]


def test_a_node_of_unknown_type_makes_no_other_problems() -> None:
    assert told("""
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lokup}
  b: {type: write}
edges:
  - start -> a -> b -> end
""") == ["6:13 RW111"]


def test_a_wrong_setting_does_not_hide_what_its_node_reads_and_writes() -> None:
    assert told("""
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: search, retries: 2}
  b: {type: write}
edges:
  - start -> a -> b -> end
""") == ["6:3 RW201", "6:21 RW103"]


def test_a_misspelt_node_in_an_edge_makes_no_other_problems() -> None:
    assert told("""
inputs: {question: str}
outputs: [answer]
nodes:
  find: {type: lookup}
  answer: {type: write}
edges:
  - start -> fnid -> answer -> end
""") == ["9:14 RW114"]


def test_an_unreadable_edge_keeps_the_shape_out_of_it() -> None:
    assert told("""
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write}
edges:
  - start -> a -> -> b -> end
""") == ["9:19 RW113"]


def test_an_input_without_a_type_is_still_an_input() -> None:
    assert told("""
inputs: {question: strr}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write}
  c: {type: refuse}
edges:
  - start -> a
  - from: a
    routes:
      - {when: question != "", to: b}
      - {to: c}
  - b, c -> end
""") == ["3:20 RW110"]


def test_one_missing_key_is_one_problem_for_all_who_read_it() -> None:
    [problem] = [
        one
        for one in problems_of("""
inputs: {question: str}
outputs: [answer, documents]
nodes:
  s: {type: rate}
  a: {type: lookup}
  b: {type: write}
  c: {type: write}
edges:
  - start -> s
  - from: s
    routes:
      - {when: attempts > 1, to: a}
      - {to: b}
  - a -> b -> c -> end
""")
        if one.severity == "error"
    ]
    assert problem.line == 8
    assert "documents may be unwritten at b (s may go to b) and so at 'c' and 'end'" in problem.message


def test_graphs_in_python_have_problems_without_places() -> None:
    spec, problems = load_data(
        {
            "inputs": {"question": "str"},
            "outputs": ["answer"],
            "nodes": {"a": lookup, "b": write, "c": assess},
            "edges": ["start -> a, b -> c -> end"],
        }
    )
    [problem] = check(spec, problems, Resources()).problems[:1]
    assert problem.code == "RW202"
    assert problem.line == 0
    assert problem.message.startswith("documents may be unwritten at b (only a writes it, and no way leads from there)")


def test_an_int_key_may_be_read_as_a_float_and_any_as_json() -> None:
    assert (
        told("""
inputs: {question: str}
outputs: [answer]
state:
  attempts: float
nodes:
  r: {type: rate}
  a: {type: reply, text: "{attempts} {question}"}
edges:
  - start -> r -> a -> end
""")
        == []
    )


def test_writers_on_different_routes_need_no_merge() -> None:
    assert (
        told("""
inputs: {question: str}
outputs: [answer]
nodes:
  r: {type: rate}
  a: {type: lookup}
  b: {type: lookup}
  c: {type: write}
edges:
  - start -> r
  - from: r
    routes:
      - {when: attempts > 1, to: a}
      - {to: b}
  - a, b -> c -> end
""")
        == []
    )


def test_a_thousand_nodes_are_checked_in_no_time() -> None:
    names = [f"n{number}" for number in range(1000)]
    nodes = "".join(f"  {name}: {{type: probe, me: {name}, needs: [k], gives: [k]}}\n" for name in names)
    text = f"inputs:\n  k: list[str]\noutputs: [k]\nnodes:\n{nodes}edges:\n  - start -> {' -> '.join(names)} -> end\n"
    spec, problems = load_text("schema: ragweave/v1\n" + text)
    began = time.process_time()
    checked = check(spec, problems, Resources())
    assert checked.problems == []
    assert time.process_time() - began < 1.0


EDGES = """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write}
  c: {type: tell}
edges: """


@pytest.mark.parametrize(
    ("edges", "column", "quoted"),
    [
        ("[start -> a, c, b -> end]", 9, '"start -> a, c, b -> end"'),
        ("[start -> a -> b, c -> end]", 9, '"start -> a -> b, c -> end"'),
        ("[start -> a, b -> c -> end]", 9, '"start -> a, b -> c -> end"'),
        ("[start -> a, a -> b, c -> end]", 21, '"a -> b, c -> end"'),
    ],
)
def test_edges_that_yaml_split_at_a_comma_are_quoted(edges: str, column: int, quoted: str) -> None:
    problems = [one for one in problems_of(EDGES + edges + "\n") if one.code in ("RW113", "RW401", "RW402")]
    assert [(one.code, one.line, one.column) for one in problems] == [("RW113", 9, column)]
    assert problems[0].message.endswith(f"so this is read as {_split(quoted)}; quote it: {quoted}")
    assert problems[0].fix is not None
    assert problems[0].fix.new == quoted
    mended = edges.replace(problems[0].fix.old, quoted)
    assert not [one for one in problems_of(EDGES + mended + "\n") if one.code in ("RW113", "RW401", "RW402")]


def _split(quoted: str) -> str:
    return " and ".join(repr(part) for part in quoted.strip('"').split(", "))


@pytest.mark.parametrize(
    ("edges", "codes"),
    [
        ("[start -> a, a -> b, b -> c, c -> end]", []),  # sound as it is
        ('["start -> a", b -> end]', ["RW401", "RW401"]),  # quoted: no comma of YAML's
        ("[start -> a -> b, c -> b -> end]", ["RW401"]),  # joined, it is no better
        ("[start -> a, b, c -> a]", ["RW113"]),  # no reading is sound
        ("[start -> a -> b -> end]", ["RW401"]),
    ],
)
def test_edges_in_brackets_are_joined_only_where_that_is_surely_meant(edges: str, codes: list[str]) -> None:
    problems = [one for one in problems_of(EDGES + edges + "\n") if one.code in ("RW113", "RW401", "RW402")]
    assert [one.code for one in problems] == codes
    assert not any(one.fix for one in problems)


def test_a_bare_name_in_brackets_says_what_yaml_did() -> None:
    [problem] = [one for one in problems_of(EDGES + "[start -> a, b, c -> a]\n") if one.code == "RW113"]
    assert problem.message == (
        "edges[1]: an edge needs an arrow, such as b -> end; in [ ] YAML splits at each comma: "
        "an edge that has one needs quotes"
    )


def test_two_names_that_differ_and_stand_once_each_are_both_told_and_none_is_repaired() -> None:
    [problem] = [
        one
        for one in problems_of("""
inputs: {question: str}
outputs: [documents, draft]
nodes:
  a: {type: lookup}
  b: {type: write, writes: {answer: darft}}
edges:
  - start -> a -> b -> end
""")
        if one.severity == "error"
    ]
    assert str(problem) == (
        "graph.yaml:4:22  RW201  the output 'draft' is never written, and 'b' writes 'darft' on line 7, "
        "which nothing reads; did you mean 'darft'?"
    )
    assert problem.fix is None


@pytest.mark.parametrize(("kind", "said"), [("Answer", "an Answer"), ("Document", "a Document"), ("Usage", "a Usage")])
def test_what_a_thing_is_has_the_right_article(kind: str, said: str) -> None:
    [problem] = [
        one
        for one in problems_of(f"""
inputs: {{thing: {kind}}}
outputs: [answer]
nodes:
  a: {{type: refuse}}
  b: {{type: idle}}
edges:
  - start -> a
  - from: a
    routes:
      - {{when: thing == thing, to: b}}
      - {{to: end}}
  - b -> end
""")
        if one.severity == "error"
    ]
    assert f"'thing' is {said}; a condition reads its fields: thing." in problem.message
