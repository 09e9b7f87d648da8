"""`ragweave run`: inputs from flags, JSON and pipes, and the table of `--explain`."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, environment, ragweave
from tests.cli.running import GRAPH as NOTES

GRAPH = """\
schema: ragweave/v1
name: desk
inputs: {text: str, times: {type: int, default: 1}, loud: {type: bool, default: false}}
outputs: [answer]
models:
  chat:
    type: scripted
    repeat: true
    replies: [{text: "I see.", usage: {calls: 1, input_tokens: 12, output_tokens: 3}}]
prompts:
  listen: {type: template, file: listen.md}
nodes:
  think: {type: generator, model: chat, prompt: listen, writes: {answer: draft}}
  say: {type: reply, text: "{text} x{times} {loud}: {draft}"}
  hide: {type: reply, text: "hidden"}
edges:
  - start -> think
  - from: think
    routes:
      - {when: times > 2, to: hide}
      - {to: say}
  - say, hide -> end
"""
PROMPT = """\
---
name: listen
version: 1
description: Listens.
variables:
  text: {type: str, description: What is said.}
---
## user
Listen to {{ text }}.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "listen.md").write_text(PROMPT)
    return tmp_path


def piped(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished command, with this text piped in."""
    command = [*COMMAND, "run", "graph.yaml", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), input=text, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--text", "hello"), "hello x1 false: I see.\n"),
        (("--text=hello", "--times=2"), "hello x2 false: I see.\n"),
        (("--text", "--times", "--loud"), "--times x1 true: I see.\n"),
        (("--loud", "--text", "7", "--times", "2"), "7 x2 true: I see.\n"),
        (("--json", '{"text": "hi", "times": 2}'), "hi x2 false: I see.\n"),
        (("--json", '{"text": "hi", "times": 2}', "--text", "ho"), "ho x2 false: I see.\n"),
    ],
)
def test_inputs_are_options_or_json(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ragweave("run", "graph.yaml", *arguments, cwd=folder)
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ('{"text": "from a pipe", "times": 2}', (), "from a pipe x2 false: I see.\n"),
        ("plain words\n", (), "plain words\n x1 false: I see.\n"),
        ('{"text": "a"}', ("--json", "-", "--times", "2"), "a x2 false: I see.\n"),
        ("not looked at", ("--text", "b"), "b x1 false: I see.\n"),
    ],
)
def test_inputs_are_piped_in(folder: Path, text: str, arguments: tuple[str, ...], said: str) -> None:
    done = piped(folder, text, *arguments)
    assert (done.stdout, done.stderr, done.returncode) == (said, "", 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "'desk' needs the input 'text' (str); ragweave run graph.yaml --text …"),
        (("--txt", "a"), "'desk' has no input 'txt'; did you mean 'text'?; inputs: --text (str), --times (int)"),
        (("hello",), "'hello' belongs to no input; inputs: --text (str)"),
        (("--text",), "--text needs a value (str)"),
        (("--text", "a", "--text", "b"), "the input 'text' is given twice"),
        (("--text", "a", "--times", "many"), "input 'times' must be int"),
        (("--json", "{"), "--json is not JSON: "),
        (("--json", "[1]"), "--json holds no JSON object with the inputs as keys"),
    ],
)
def test_wrong_inputs_are_told_with_those_there_are(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ragweave("run", "graph.yaml", *arguments, cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_inputs_are_looked_at_before_an_index_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(
        NOTES.replace("{question: str}", "{question: str, n: {type: int, default: 1}}")
    )
    for command in (["run", "graph.yaml", "--question", "a", "--n", "x"], ["ask", "graph.yaml", "a", "--input", "n=x"]):
        done = ragweave(*command, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "error: input 'n' must be int, not 'x'\n")


def test_an_input_with_the_name_of_an_option_is_given_as_json(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("{text: str,", "{text: str, user: str,"))
    done = ragweave("run", "graph.yaml", "--text", "a", "--user", "ada", cwd=folder)
    assert done.stderr.endswith("""needs the input 'user' (str); ragweave run graph.yaml --json '{"user": "…"}'\n""")
    done = ragweave("run", "graph.yaml", "--text", "a", "--json", '{"user": "ada"}', cwd=folder)
    assert done.returncode == 0


def test_explain_shows_each_node_with_time_and_tokens(folder: Path) -> None:
    done = ragweave("run", "graph.yaml", "--text", "hello", "--explain", cwd=folder)
    assert done.stdout == "hello x1 false: I see.\n"
    lines = [re.sub(r"[\d.,]+ m?s", "TIME", line) for line in done.stderr.splitlines()]
    assert [" ".join(line.split()) for line in lines if line] == [
        "node time tokens",
        "think#1 TIME 12 in, 3 out",
        "hide#0 skipped",
        "say#1 TIME",
        "in all TIME 12 in, 3 out done",
    ]


def test_explain_also_shows_a_run_that_fails(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("replies: [{", "replies: [{error: no luck, "))
    done = ragweave("run", "graph.yaml", "--text", "hello", "--explain", cwd=folder)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "no luck" in done.stderr
    assert re.search(r"think#1 +….*\nin all .*failed\n", done.stderr)


def test_results_are_json_for_programs(folder: Path) -> None:
    done = ragweave("run", "graph.yaml", "--text", "hello", "--format", "json", "--thread", "7", cwd=folder)
    data = json.loads(done.stdout)
    assert (data["status"], data["thread_id"]) == ("done", "7")
    assert data["outputs"]["answer"]["text"] == "hello x1 false: I see."
    assert data["usage"]["input_tokens"] == 12


def test_an_output_that_json_has_no_form_for_is_named_and_shown_as_text(tmp_path: Path) -> None:
    text = (
        "schema: ragweave/v1\nname: odd\noutputs: [found]\nnodes:\n  odd: {type: odd}\nedges: [start -> odd -> end]\n"
    )
    (tmp_path / "graph.yaml").write_text(text)
    (tmp_path / "odd.py").write_text(
        "from typing import Any, TypedDict\nfrom ragweave import node\n"
        "class Found(TypedDict):\n    found: Any\n"
        "@node(name='odd')\ndef odd() -> Found:\n    return {'found': {'score': float('nan'), 'seen': {1}}}\n"
    )
    done = ragweave("run", "graph.yaml", "--plugin", "odd.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "what 'odd' gives for 'found' cannot be kept in the journal: it holds a set" in done.stderr
    (tmp_path / "graph.yaml").write_text(text + "store: {type: memory}\n")
    done = ragweave("run", "graph.yaml", "--plugin", "odd.py", "--format", "json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: outputs.found.score is nan, which JSON has no form for; leave --format json")
    done = ragweave("run", "graph.yaml", "--plugin", "odd.py", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["seen"]) == (0, "{1}")
