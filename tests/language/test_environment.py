"""The `.env` file beside a graph: what it sets, and every line of it that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import GraphError, Problem
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.language.environment import read_dotenv

GRAPH = """\
schema: ragweave/v1
outputs: [answer]
nodes: {hello: {type: reply, text: Hello.}}
edges: [start -> hello -> end]
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("A=1\nexport B='two # words' # said\n\n# C=3\nD=\n", {"A": "1", "B": "two # words", "D": ""}),
        ('\ufeffA=1\r\nB="x\ny"\r\n', {"A": "1", "B": "x\ny"}),
        ("A=${B}\nNAME_ONLY\n", {"A": "${B}"}),
    ],
)
def test_what_it_sets(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    assert read_dotenv(tmp_path) == found


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("A=1\n\n\nCHAT_API_KEY sk-secret\n", 4, "this line has no '=' behind a name; write NAME=value"),
        ("=sk-secret\n", 1, "this line has no name before its '='"),
        (
            'A=1\nCHAT_API_KEY="sk-secret\nB=2\n',
            2,
            "the value of 'CHAT_API_KEY' begins with \" and does not end with it",
        ),
        ("CHAT_API_KEY='sk-'secret\n", 1, "the value of 'CHAT_API_KEY' goes on behind its closing '"),
        ("sk-secret key=1\n", 1, "this line has no '=' behind a name"),
        ("A=1\nB='\n", 2, "the value of 'B' begins with '"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_its_value_is_not_shown(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    (tmp_path / ".env").write_text(text)
    with pytest.raises(GraphError) as caught:
        read_dotenv(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, Path(problem.file).name) == ("RW306", line, ".env")
    assert problem.message.startswith(said)
    assert "secret" not in str(caught.value)


def test_every_such_line_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A: 1\nB=2\nC: 3\n")
    (tmp_path / "graph.yaml").write_text(GRAPH)
    with pytest.raises(GraphError) as caught:
        Graph.load(tmp_path / "graph.yaml")
    assert [problem.line for problem in caught.value.problems] == [1, 3]


def test_a_file_in_another_encoding_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=1\nB=caf\xe9\n")
    with pytest.raises(GraphError, match=r"\.env:2:1  RW306  this line is not UTF-8"):
        read_dotenv(tmp_path)


@given(text=st.text(st.sampled_from("aA='\"\\ \n#$"), max_size=20))
def test_any_text_is_read_or_refused_with_its_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / ".env").write_text(text)
    problems: Sequence[Problem] = ()
    try:
        read_dotenv(folder)
    except GraphError as error:
        problems = error.problems
    lines = text.split("\n")
    assert all(lines[problem.line - 1].strip() for problem in problems)
