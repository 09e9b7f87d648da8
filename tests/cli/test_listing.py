"""`ragweave nodes`, `explain`, `schema` and `draw`: what there is, what it means, and what it looks like."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.cli.running import GRAPH, on_terminal, ragweave


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def test_nodes_lists_every_type_with_a_sentence() -> None:
    done = ragweave("nodes")
    assert done.returncode == 0
    table, _, more = done.stdout.partition("\n\n")
    for name in ("decomposer", "generator", "graph", "reply", "reranker", "retriever"):
        assert re.search(rf"^{name} +[A-Z].+", table, re.MULTILINE), name
    assert "ragweave nodes models" in more
    assert all(len(line) <= 120 for line in done.stdout.splitlines())


def test_nodes_says_all_about_one() -> None:
    text = ragweave("nodes", "retriever").stdout
    assert text.startswith("retriever  nodes\n")
    assert re.search(r"^  top_k +int > 0 +default 10 +\S", text, re.MULTILINE)
    assert re.search(r"^  question +str$", text, re.MULTILINE)
    assert re.search(r"^  query +str +where it is there$", text, re.MULTILINE)
    assert re.search(r"^Writes\n  documents +list\[Document\]$", text, re.MULTILINE)
    assert "retry" in text
    assert "type: retriever" in text


def test_nodes_says_what_a_type_reads_whose_settings_decide() -> None:
    text = ragweave("nodes", "generator").stdout
    assert "What its settings say; those of the example:" in text
    assert re.search(r"^  history +list\[Message\] +where it is there$", text, re.MULTILINE)
    assert re.search(r"^Writes\n  answer +Answer$", text, re.MULTILINE)
    unknown = ragweave("nodes", "graph").stdout  # its example names a file that is not there
    assert "What its settings say.\n" in unknown
    assert "\nWrites\n" not in unknown


def test_nodes_shows_kinds_of_resources_and_their_types() -> None:
    assert re.search(r"^openai +\S", ragweave("nodes", "models").stdout, re.MULTILINE)
    assert ragweave("nodes", "minilm").stdout.startswith("minilm  embedders\n")


@pytest.mark.parametrize(("name", "meant"), [("generatr", "generator"), ("hybird", "hybrid"), ("model", "models")])
def test_a_misspelt_type_is_recognised(name: str, meant: str) -> None:
    done = ragweave("nodes", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: there is no type {name!r}; did you mean {meant!r}?\n"


def test_nodes_as_json() -> None:
    entries = json.loads(ragweave("nodes", "--format", "json").stdout)
    assert {entry["name"] for entry in entries} >= {"generator", "retriever"}
    one = json.loads(ragweave("nodes", "retriever", "--format", "json").stdout)
    assert one["writes"] == {"documents": "list[Document]"}
    assert {setting["name"] for setting in one["settings"]} >= {"retriever", "top_k"}


def test_a_plugins_types_are_listed_too(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from typing import TypedDict\nfrom ragweave import node\nclass Out(TypedDict):\n    loud: str\n"
        "@node\ndef shout(question: str) -> Out:\n    '''Say it louder.'''\n    return {'loud': question.upper()}\n"
    )
    done = ragweave("nodes", "--plugin", "mine.py", cwd=folder)
    assert re.search(r"^shout +Say it louder\.$", done.stdout, re.MULTILINE)


def test_explain_shows_wrong_and_right() -> None:
    done = ragweave("explain", "RW103")
    assert done.returncode == 0
    assert done.stdout.startswith("RW103: unknown setting\n")
    assert "\nWrong:\n" in done.stdout
    assert "\nRight:\n" in done.stdout
    assert ragweave("explain", "rw103").stdout == done.stdout


def test_explain_alone_lists_all_codes() -> None:
    lines = ragweave("explain").stdout.splitlines()
    assert len(lines) > 30
    assert all(re.match(r"RW\d{3}  \S|       \S", line) for line in lines)


def test_an_unknown_code_is_said() -> None:
    done = ragweave("explain", "RW1O3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: there is no problem code 'RW1O3'; did you mean 'RW103'?\n"
    assert "`ragweave explain` lists them" in ragweave("explain", "nonsense").stderr


def test_schema_is_printed_or_written(folder: Path) -> None:
    printed = ragweave("schema").stdout
    assert json.loads(printed)["$schema"].startswith("https://json-schema.org/")
    done = ragweave("schema", "--output", "ragweave.schema.json", cwd=folder)
    assert done.stdout.startswith("wrote ragweave.schema.json (")
    assert (folder / "ragweave.schema.json").read_text(encoding="utf-8") == printed


def test_draw_shows_text_on_the_terminal_and_takes_the_style_from_the_file(folder: Path) -> None:
    assert "│ answer: generator │" in ragweave("draw", "graph.yaml", cwd=folder).stdout
    assert ragweave("draw", "graph.yaml", "--format", "mermaid", cwd=folder).stdout.startswith("flowchart TD\n")
    for name in ("graph.svg", "graph.mmd", "graph.md", "graph.txt"):
        assert ragweave("draw", "graph.yaml", "-o", name, cwd=folder).returncode == 0
    assert ElementTree.fromstring((folder / "graph.svg").read_text()).tag.endswith("svg")
    assert (folder / "graph.mmd").read_text().startswith("flowchart TD\n")
    assert (folder / "graph.md").read_text().startswith("```mermaid\nflowchart TD\n")
    assert (folder / "graph.txt").read_text() == ragweave("draw", "graph.yaml", cwd=folder).stdout


def test_draw_says_when_a_graph_is_wider_than_the_terminal(folder: Path) -> None:
    seen = on_terminal("draw", "graph.yaml", cwd=folder, columns=40, env={"NO_COLOR": "1"})
    assert "less -S" not in seen.raw
    text = GRAPH.replace(
        "  retrieve:", "  a_name_that_is_long_enough_for_two_terminals: {type: reply, text: Hi.}\n  retrieve:"
    )
    text = text.replace("start ->", "start -> a_name_that_is_long_enough_for_two_terminals ->")
    (folder / "graph.yaml").write_text(text)
    seen = on_terminal("draw", "graph.yaml", cwd=folder, columns=40, env={"NO_COLOR": "1"})
    assert "less -S" in seen.raw.replace("\n", " ")


@pytest.mark.parametrize("output", ["/proc/graph.svg", "graph.yaml/graph.svg", "nowhere/graph.svg"])
def test_a_place_that_cannot_be_written_is_said(folder: Path, output: str) -> None:
    done = ragweave("draw", "graph.yaml", "--output", output, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: '{output}': [a-z ]+\n", done.stderr)


def test_a_graph_with_mistakes_is_not_drawn(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("generator, model", "generator, modle"))
    done = ragweave("draw", "graph.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "did you mean 'model'?" in done.stderr


def test_a_table_fits_the_terminal_and_splits_no_word_of_a_setting() -> None:
    seen = on_terminal("nodes", "transformers", columns=90, env={"NO_COLOR": "1"})
    lines = seen.raw.splitlines()
    assert max(map(len, lines)) <= 90
    words = ("text-classification", "zero-shot-classification", "text2text-generation", "bfloat16", "cuda:1")
    assert all(re.search(rf" {word}\b", seen.raw) for word in words)
    (task,) = [line for line in lines if line.startswith("  task ")]
    assert task.index("required") < 60
