"""What is wrong with a prompt is told at its place in the prompt's file, once, whether or not a node uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.graph import read_file
from ragweave.orchestrator.language.load import load_data
from ragweave.orchestrator.resources import Resources

GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
prompts:
  short: texts/short.md
nodes:
  a: {type: generator, model: extractive, prompt: short}
  b: {type: generator, model: extractive, prompt: short, writes: {answer: more}}
  c: {type: reply, text: Hi.}
edges:
  - start -> a -> b -> c -> end
"""
UNUSED = GRAPH.replace("generator, model: extractive, prompt: short", "reply, text: Hello.")
PROMPT = """\
---
variables:
  question: str
---
## system
Be brief.
## user
{{ question }}
  and {{ qestion }}, {% include "x" %}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above a graph, as the working directory."""
    (tmp_path / "qa" / "texts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "qa"


def errors_of(folder: Path, text: str) -> list[Problem]:
    """The errors of this text as a graph in the folder."""
    (folder / "graph.yaml").write_text(text, encoding="utf-8")
    spec, problems, environ = read_file(Path("qa/graph.yaml"))
    checked = check(spec, problems, Resources(spec.resources.values(), folder=spec.folder, environ=environ))
    return [problem for problem in checked.problems if problem.severity == "error"]


def test_faults_of_a_prompt_file_are_told_once_at_their_places_in_it(folder: Path) -> None:
    (folder / "texts/short.md").write_text(PROMPT, encoding="utf-8")
    unknown, refused = errors_of(folder, GRAPH)
    assert str(unknown) == "qa/texts/short.md:9:10  RW130  unknown variable 'qestion'; did you mean 'question'?"
    assert refused.place == "qa/texts/short.md:9:25"
    assert refused.message.startswith("a prompt cannot use `include`")


def test_problems_of_the_graph_come_before_those_of_its_files(folder: Path) -> None:
    (folder / "texts/short.md").write_text(PROMPT.replace(', {% include "x" %}', ""), encoding="utf-8")
    found = errors_of(folder, GRAPH.replace("text: Hi.", "txet: Hi."))
    assert [problem.place for problem in found] == ["qa/graph.yaml:9:20", "qa/texts/short.md:9:10"]


def test_a_prompt_that_no_node_uses_is_checked_too(folder: Path) -> None:
    (folder / "texts/short.md").write_text("Say {{ word }}", encoding="utf-8")
    unused = UNUSED
    assert [str(problem) for problem in errors_of(folder, unused)] == [
        "qa/texts/short.md:1:8  RW130  unknown variable 'word'; declare it under variables"
    ]
    (folder / "texts/short.md").write_text("Say it.", encoding="utf-8")
    assert errors_of(folder, unused) == []


def test_a_prompt_file_that_is_not_there_is_one_problem_where_it_is_named(folder: Path) -> None:
    (folder / "texts/shorter.md").write_text("Hi", encoding="utf-8")
    assert [str(problem) for problem in errors_of(folder, GRAPH)] == [
        (
            "qa/graph.yaml:5:10  RW130  prompts.short: prompt file 'texts/short.md' does not exist; "
            "did you mean 'texts/shorter.md'?"
        )
    ]


def test_a_variable_of_the_environment_that_is_not_set_keeps_the_prompt_unread(folder: Path) -> None:
    assert errors_of(folder, UNUSED.replace("short: texts/short.md", "short: {file: '${env:NO_SUCH_FILE}'}")) == []


def test_a_prompt_of_python_has_no_place() -> None:
    data = {
        "prompts": {"short": {"text": "Hi\nand {{ nmae }}", "variables": {"name": "str"}}},
        "nodes": {"a": {"type": "reply", "text": "x"}},
        "edges": ["start -> a -> end"],
    }
    spec, problems = load_data(data)
    found = check(spec, problems, Resources(spec.resources.values())).problems
    assert [str(one) for one in found if one.severity == "error"] == [
        "graph  RW130  prompts.short: variable 'name' is declared but used nowhere; use it or delete it",
        "graph  RW130  prompts.short: line 2 of the text: unknown variable 'nmae'; did you mean 'name'?",
    ]
