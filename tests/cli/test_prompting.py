"""A graph that asks: what a person sees and types at a terminal, and how to leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.cli.prompting import parsed
from tests.cli.running import Seen, on_terminal, ragweave

PLUGIN = '''
import json
from pathlib import Path
from typing import TypedDict

from ragweave import Answer, Ask, Context, node


class Said(TypedDict):
    answer: Answer


@node
async def confirm(question: str, ctx: Context) -> Said | Ask:
    """Ask whether, and how."""
    if not ctx.answers:
        return Ask(question=question, schema=json.loads(Path("schema.json").read_text()))
    return {"answer": Answer(text=f"It was {ctx.answers[-1]!r}.")}
'''
GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
nodes: {confirm: {type: confirm}}
edges: [start -> confirm -> end]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "asks.py").write_text(PLUGIN)
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "schema.json").write_text('{"type": "boolean"}')
    return tmp_path


def asked(folder: Path, *typed: tuple[str, str], question: str = "Delete it?", **options: Any) -> Seen:
    command = ("ask", "graph.yaml", question, "--plugin", "asks.py")
    return on_terminal(*command, cwd=folder, typed=typed, env={"NO_COLOR": "1"}, **options)


@pytest.mark.parametrize(("word", "value"), [("y", True), ("NO", False)])
def test_yes_and_no_are_understood(folder: Path, word: str, value: bool) -> None:
    seen = asked(folder, ("[y/n] ", f"{word}\n"))
    assert seen.status == 0
    assert seen.raw.endswith(f"Delete it? [y/n] {word}\nIt was {value}.\n")


def test_what_is_neither_yes_nor_no_is_asked_again(folder: Path) -> None:
    seen = asked(folder, ("[y/n] ", "maybe\n"), ("n or no\nDelete it? [y/n] ", "\n"), ("''", "no\n"))
    assert seen.status == 0
    assert "'maybe' is no answer to this: type y or yes, or n or no\nDelete it? [y/n] " in seen.raw
    assert seen.raw.endswith("It was False.\n")


@pytest.mark.parametrize(
    ("schema", "wrong", "said", "right", "value"),
    [
        ('{"enum": ["card", "cash"]}', "gold", "type one of card, cash", "Cash", "'cash'"),
        ('{"type": "integer"}', "1.5", "type a whole number", "12", "12"),
        ('{"type": "integer", "maximum": 9}', "12", "12 is greater than the maximum of 9", "8", "8"),
    ],
)
def test_other_types_say_what_they_take(
    folder: Path, schema: str, wrong: str, said: str, right: str, value: str
) -> None:
    (folder / "schema.json").write_text(schema)
    seen = asked(folder, ("] ", f"{wrong}\n"), (f"{said}\nDelete it? [", f"{right}\n"))
    assert seen.status == 0, seen.raw
    assert seen.raw.endswith(f"It was {value}.\n")


def test_the_prompt_stands_on_a_line_of_its_own(folder: Path) -> None:
    (folder / "schema.json").write_text('{"type": "string"}')
    seen = asked(folder, ("name? ", "Ann\n"), question="Two lines:\nwhat is the name? ")
    assert seen.status == 0
    before, _, after = seen.raw.partition("Two lines:\nwhat is the name? Ann\n")
    assert before.endswith("\r\x1b[J"), "the status was not taken away"
    assert after == "It was 'Ann'.\n"


def test_ctrl_c_at_a_question_leaves_at_once(folder: Path) -> None:
    seen = asked(folder, ("[y/n] ", "\x03"))
    assert seen.status == 130
    assert "nothing was answered; the run waits: ragweave resume " in " ".join(seen.raw.split())
    assert seen.raw.endswith("\ninterrupted\n")


def test_ctrl_d_at_a_question_says_what_became_of_the_run(folder: Path) -> None:
    seen = asked(folder, ("[y/n] ", "\x04"))
    assert seen.status == 1
    said = " ".join(seen.raw.split())
    command = said.rpartition("nothing was answered; the run waits: ragweave ")[2].split()
    done = ragweave(*command, "--answer", "n", "--plugin", "asks.py", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "It was False.\n"), done.stderr


def test_a_run_that_is_not_kept_cannot_be_answered_later(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH + "store: {type: memory}\n")
    seen = asked(folder, ("[y/n] ", "\x04"))
    assert seen.status == 1
    assert " ".join(seen.raw.split()).endswith("this run is not kept; the same command asks again")


def test_without_a_terminal_the_question_is_said(folder: Path) -> None:
    done = ragweave("ask", "graph.yaml", "Delete it?", "--plugin", "asks.py", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    question, waits = done.stderr.splitlines()
    assert question == "confirm#1 asks: Delete it? [y/n]"
    said, _, command = waits.partition("; the run waits: ragweave ")
    assert said == "nobody is at a terminal to answer"
    done = ragweave(*command.replace("VALUE", "yes").split(), "--plugin", "asks.py", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "It was True.\n"), done.stderr


def test_a_missing_index_is_asked_for_until_it_is_yes_or_no(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs/tea.md").write_text("# Tea\n\nTea steeps four minutes.\n")
    (folder / "graph.yaml").write_text(
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [documents]\n"
        "retrievers: {docs: {type: hybrid, index: index, documents: docs, weight: 0}}\n"
        "nodes: {find: {type: retriever, retriever: docs}}\nedges: [start -> find -> end]\n"
    )
    seen = asked(folder, ("[Y/n] ", "maybe\n"), ("n or no\n", "n\n"))
    assert seen.status == 1
    assert "type y or yes, or n or no" in seen.raw
    assert not (folder / "index").exists()


APPROVAL = {
    "anyOf": [
        {"type": "boolean"},
        {"type": "object", "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}}},
    ]
}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "array"}, '["a"]', ["a"]),
        ({"enum": [1, 2, "Three"]}, "2", 2),
        ({"enum": [1, 2, "Three"]}, "three", "Three"),
        ({}, "12", "12"),
        (APPROVAL, "Y", True),
        (APPROVAL, '{"approved": false, "reason": "late"}', {"approved": False, "reason": "late"}),
        ({"anyOf": [{"enum": ["send", "hold"]}, {"type": "object"}]}, "Hold", "hold"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "soon", "soon"),
    ],
)
def test_an_answer_has_the_type_that_is_asked_for(schema: dict[str, Any], text: str, value: object) -> None:
    assert parsed(text, schema) == value


@given(text=st.text(max_size=12))
def test_only_yes_and_no_are_booleans(text: str) -> None:
    try:
        value = parsed(text, {"type": "boolean"})
    except ValueError:
        assert text.lower() not in ("y", "yes", "n", "no", "true", "false", "0", "1")
    else:
        assert value is (text.lower() in ("y", "yes", "true", "1"))
