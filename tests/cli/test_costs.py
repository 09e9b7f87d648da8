"""What a run cost, where it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import ragweave

GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
prices: prices.yaml
models:
  chat: {type: scripted, replies: [On the left.], repeat: true}
  other: {type: scripted, replies: [On the left.], repeat: true}
prompts: {plain: {text: "{{ question }}", variables: {question: str}}}
nodes:
  first: {type: generator, model: chat, prompt: plain}
  second: {type: generator, model: SECOND, prompt: plain}
edges: [start -> first -> second -> end]
"""
PRICES = "currency: USD\nmodels: {chat: {input: 1000, output: 2000}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prices.yaml").write_text(PRICES)
    (tmp_path / "priced.yaml").write_text(GRAPH.replace("SECOND", "chat"))
    (tmp_path / "partly.yaml").write_text(GRAPH.replace("SECOND", "other"))
    return tmp_path


def test_each_node_and_the_run_show_what_they_cost(folder: Path) -> None:
    done = ragweave("run", "priced.yaml", "--question", "Where?", "--explain", cwd=folder)
    assert done.stderr.count("1 in, 3 out, 0.007 USD") == 2
    assert "2 in, 6 out, 0.014 USD" in done.stderr


def test_a_cost_that_is_not_all_known_says_so(folder: Path) -> None:
    done = ragweave("run", "partly.yaml", "--question", "Where?", "--explain", cwd=folder)
    assert "2 in, 6 out, more than 0.007 USD" in done.stderr
    assert "prices.yaml has no price of 'other': what runs with that model cost is not known" in done.stderr


def test_json_has_the_cost_or_null(folder: Path) -> None:
    usage = [
        json.loads(ragweave("run", name, "--question", "Where?", "--format", "json", cwd=folder).stdout)["usage"]
        for name in ("priced.yaml", "partly.yaml")
    ]
    assert usage[0] == {"calls": 2, "input_tokens": 2, "output_tokens": 6, "cost": 0.014, "currency": "USD"}
    assert usage[1]["cost"] is None


def test_a_line_of_the_price_file_is_named_by_the_check(folder: Path) -> None:
    (folder / "prices.yaml").write_text(PRICES.replace("2000", "free"))
    done = ragweave("check", "priced.yaml", cwd=folder)
    assert done.returncode == 1
    assert (
        "priced.yaml:4:9  RW311  prices: prices.yaml:2:38: chat.output: expected a number of at least 0" in done.stdout
    )
