"""Inputs that are one of a few texts: told when the file is read, when a run is given another, and to who calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator

from ragweave import Graph, GraphError
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.language.schema import graph_schema

TEXT = """
schema: ragweave/v1
inputs:
  style: {STYLE}
outputs: [answer]
nodes: {s: {type: reply, text: "{style}"}, a: {type: reply, text: Short.}}
edges:
  - start -> s
  - from: s
    routes:
      - when: style == 'short'
        to: a
      - to: end
  - a -> end
"""


def styled(style: str, **more: str) -> Graph:
    text = TEXT.replace("{STYLE}", "{" + style + "}")
    for old, new in more.items():
        text = text.replace(old, new)
    return Graph.parse(text)


def problem(style: str) -> str:
    with pytest.raises(GraphError) as caught:
        styled(style)
    return "\n".join(f"{one.line}:{one.column} {one.code} {one.message}" for one in caught.value.problems)


def test_a_run_is_given_one_of_the_choices_or_the_default() -> None:
    graph = styled("type: str, choices: [long, short], default: long")
    assert graph.run(style="short").text == "Short."
    assert graph.run().text == "long"
    with pytest.raises(InputError, match="input 'style' cannot be 'shrt'; did you mean 'short'"):
        graph.run(style="shrt")
    with pytest.raises(InputError, match="input 'style' cannot be 'huge'; there is: long, short"):
        graph.run(style="huge")
    with pytest.raises(InputError, match=r"row 1 \(from 0\): input 'style' cannot be 'huge'"):
        graph.batch([{}, {"style": "huge"}])


def test_a_list_has_only_choices() -> None:
    graph = styled("type: 'list[str]', choices: [long, short]", **{"style == 'short'": "\"'short' in style\""})
    assert graph.run(style=["long", "short"]).text == "Short."
    assert graph.run(style=[]).status == "done"
    with pytest.raises(InputError, match="input 'style' cannot be 'shrt'; did you mean 'short'"):
        graph.run(style=["long", "shrt"])


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("type: str, choices: [a, b], default: c", "4:48 RW106 inputs.style.default: 'c' is none of the choices"),
        ("type: str, choices: [a, b, a]", "4:38 RW101 inputs.style.choices: 'a' stands twice"),
        ("type: str, choices: []", "4:31 RW105 inputs.style.choices: expected a list of texts, found an empty list"),
        ("type: str, choices: a", "4:31 RW105 inputs.style.choices: expected a list of texts, found 'a'"),
        ("type: str, choices: [a, 2]", "quote it"),
        ("type: int, choices: [a]", "RW125 inputs.style.choices: choices are texts, so that the type is str"),
        ("type: str, chioces: [a]", "unknown key 'chioces'; did you mean 'choices'"),
    ],
)
def test_choices_that_make_no_sense(style: str, said: str) -> None:
    assert said in problem(style)


def test_conditions_are_held_against_the_choices() -> None:
    assert not styled("type: str, choices: [long, short]").check()
    (warned,) = styled("type: str, choices: [long, shorter]").check()
    assert (warned.code, warned.message) == ("RW425", "'style' is never 'short'; did you mean 'shorter'?")
    other = "{type: transform, text: {style: '{{ style }} and sweet'}}"
    graph = styled("type: str, choices: [long, shorter]", **{"{type: reply, text: Short.}": other})
    assert "RW425" not in [one.code for one in graph.check()], "another node may write what it likes"


def test_the_schema_knows_choices() -> None:
    validator = Draft202012Validator(graph_schema())

    def faults(style: Any) -> list[str]:
        data = {"schema": "ragweave/v1", "inputs": {"style": style}, "nodes": {}, "edges": []}
        return [str(error.json_path) for error in validator.iter_errors(data) if "style" in str(error.json_path)]

    assert not faults({"type": "str", "choices": ["a", "b"]})
    assert faults({"type": "str", "choices": []})
    assert faults({"type": "str", "choices": ["a", "a"]})


def test_in_python_a_literal_has_choices() -> None:
    def node(style: str, parts: list[str]) -> None:
        return None

    graph = Graph(
        inputs={"style": Literal["long", "short"], "parts": {"type": list[Literal["a", "b"]], "default": ["a"]}},
        outputs=["style"],
        nodes={"a": node},
        edges=["start -> a -> end"],
    )
    assert graph.run(style="long")["style"] == "long"
    for wrong in ({"style": "lnog"}, {"style": "long", "parts": ["c"]}):
        with pytest.raises(InputError, match=r"cannot be '(lnog|c)'"):
            graph.run(wrong)


def test_a_tool_and_a_runnable_say_the_choices() -> None:
    pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")
    graph = styled("type: str, choices: [long, short], default: long")
    schema: Any = graph.as_tool(description="Answers.").args_schema
    assert schema["properties"]["style"]["enum"] == ["long", "short"]
    shown = json.dumps(graph.as_runnable().get_input_jsonschema())
    assert '"enum": ["long", "short"]' in shown


def test_the_command_line_says_the_choices(tmp_path: Path) -> None:
    from tests.cli.running import ragweave

    (tmp_path / "graph.yaml").write_text(TEXT.replace("{STYLE}", "{type: str, choices: [long, short]}"))
    for arguments, said in (
        ((), "'graph' needs the input 'style' (long | short); ragweave run graph.yaml --style …"),
        (("--style",), "--style needs a value (long | short)"),
        (("--syle", "short"), "'graph' has no input 'syle'; did you mean 'style'?; inputs: --style (long | short)"),
        (("--style", "shrt"), "input 'style' cannot be 'shrt'; did you mean 'short'?"),
    ):
        done = ragweave("run", "graph.yaml", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
