"""What a budget has changed in a run, where it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import ragweave

GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
models:
  chat: {type: scripted, replies: [On the left.], repeat: true}
prompts: {plain: {text: "{{ question }}", variables: {question: str}}}
budget: {max_tokens: 150, on_exceed: [partial_answer, stop]}
nodes:
  first: {type: generator, model: chat, prompt: plain, max_tokens: 40}
  second: {type: generator, model: chat, prompt: plain, max_tokens: 70}
edges: [start -> first -> second -> end]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.yaml").write_text(GRAPH)
    return tmp_path


def test_a_line_says_what_a_budget_has_changed(folder: Path) -> None:
    done = ragweave("run", "g.yaml", "--question", "Where?", "--explain", cwd=folder)
    assert done.stdout == "On the left.\n"
    assert "budget: second#1: the call was not made (max_tokens of graph 'g')" in done.stderr
    assert "budget: the run: graph 'g' ended with what it had: answer (max_tokens of graph 'g')" in done.stderr


def test_json_and_the_timeline_have_it(folder: Path) -> None:
    done = ragweave("run", "g.yaml", "--question", "Where?", "--format", "json", cwd=folder)
    said = json.loads(done.stdout)
    assert [(one["did"], one["path"]) for one in said["exceeded"]] == [("stop", "second#1"), ("partial_answer", "")]
    drawn = ragweave("show", said["run_id"], cwd=folder).stdout
    assert "budget: second#1: the call was not made (max_tokens of graph 'g')" in drawn
    assert "budget" in ragweave("show", said["run_id"], "--node", "second#1", cwd=folder).stdout
    shown = json.loads(ragweave("show", said["run_id"], "--json", cwd=folder).stdout)
    assert shown["exceeded"] == said["exceeded"]


def test_a_run_that_has_to_stop_says_what_is_left_and_the_way_out(folder: Path) -> None:
    (folder / "g.yaml").write_text(GRAPH.replace("partial_answer, stop", "stop"))
    done = ragweave("run", "g.yaml", "--question", "Where?", cwd=folder)
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "second#1: the budget of graph 'g' (max_tokens: 150) has no room: 4 are spent" in said
    assert "Traceback" not in done.stderr
