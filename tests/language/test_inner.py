"""What is wrong with a file that a graph names is told with the place in that file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import Fix, GraphError, Problem
from ragweave.orchestrator.graph import Graph, read_file
from ragweave.orchestrator.resources import Resources
from tests.language.reading import places

OUTER = """\
schema: ragweave/v1
inputs: {question: str}
nodes:
  first: {type: graph, path: parts/research.yaml}
edges:
  - start -> first -> end
"""
WRONG = """\
schema: ragweave/v1
inputs: {question: strin}
nodes:
  a: {type: reply, txt: x}
  b: {type: reply, text: x, colour: red}
edges:
  - start -> a -> b -> c -> end
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a folder `parts`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    return tmp_path


def checked(text: str, file: str = "outer.yaml") -> list[Problem]:
    """The problems of this text as a file of the working directory."""
    Path(file).write_text(text, encoding="utf-8")
    spec, problems, environ = read_file(Path(file))
    return check(spec, problems, Resources(spec.resources.values(), folder=spec.folder, environ=environ)).problems


def test_the_problems_of_an_inner_graph_are_told_at_its_path(folder: Path) -> None:
    (folder / "parts/research.yaml").write_text(WRONG, encoding="utf-8")
    [problem] = checked(OUTER)
    assert places([problem]) == ["4:30 RW128"]
    assert problem.message == (
        "nodes.first.path: this graph has 4 problems: "
        "parts/research.yaml:2:20 RW110 inputs.question: unknown type 'strin'; did you mean 'str'?; "
        "parts/research.yaml:4:20 RW103 nodes.a: unknown setting 'txt'; did you mean 'text'?; "
        "parts/research.yaml:5:29 RW103 nodes.b: unknown setting 'colour'; "
        "its settings are text, confidence, and those of every node; and 1 more"
    )


def test_the_only_problem_of_a_graph_in_a_graph_in_a_graph_is_told_with_its_place(folder: Path) -> None:
    (folder / "parts/research.yaml").write_text(OUTER.replace("parts/research", "deep"), encoding="utf-8")
    (folder / "parts/deep.yaml").write_text(WRONG.replace("strin", "str").replace(" -> c", ""), encoding="utf-8")
    [problem] = checked(OUTER)
    assert problem.message.startswith(
        "nodes.first.path: this graph has a problem: parts/research.yaml:4:30 RW128 nodes.first.path: "
        "this graph has 2 problems: parts/deep.yaml:4:20 RW103 "
    )


def test_a_misspelt_path_is_repaired(folder: Path) -> None:
    (folder / "parts/research.yaml").write_text(WRONG, encoding="utf-8")
    (folder / "parts/notes.yaml").write_text(WRONG, encoding="utf-8")
    [problem] = checked(OUTER.replace("research", "reserch"))
    assert str(problem) == (
        "outer.yaml:4:30  RW128  nodes.first.path: the file 'parts/reserch.yaml' does not exist; "
        "did you mean 'research.yaml'?"
    )
    assert problem.fix == Fix(4, 30, "parts/reserch.yaml", "parts/research.yaml")


def test_without_a_near_name_all_files_there_are_listed_the_nearest_first(folder: Path) -> None:
    for name in ("qa", "summary", "serve", "notes.txt"):
        (folder / "parts" / (name if "." in name else f"{name}.yaml")).write_text(WRONG, encoding="utf-8")
    [problem] = checked(OUTER.replace("research", "zero"))
    assert problem.message.endswith("does not exist; there is: serve.yaml, summary.yaml, qa.yaml")
    assert problem.fix is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cookbok.yaml", "the file does not exist; did you mean 'cookbook.yaml'?"),
        ("xyz.yaml", "the file does not exist; there is: cookbook.yaml"),
        ("nowhere/xyz.yaml", "the file does not exist: there is no folder 'nowhere'"),
        ("parts/xyz.yaml", "the file does not exist"),
        ("parts", "the file cannot be read: Is a directory"),
    ],
)
def test_a_graph_file_that_is_not_there(folder: Path, name: str, said: str) -> None:
    (folder / "cookbook.yaml").write_text(WRONG, encoding="utf-8")
    with pytest.raises(GraphError) as caught:
        Graph.load(name)
    assert [(problem.code, problem.message) for problem in caught.value.problems] == [("RW129", said)]
