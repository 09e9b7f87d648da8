"""Files as inputs: `@path` in the commands, where an input is a part or a message."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, environment, ragweave
from tests.support.openai_server import OpenAIServer, Reply

PNG = b"\x89PNG\r\n\x1a\n a picture of a "
GRAPH = """\
schema: ragweave/v1
name: looking
inputs: {KEY: TYPE}
outputs: [seen]
nodes:
  look: {type: look, reads: {given: KEY}}
edges: [start -> look -> end]
"""
LOOK = """\
from typing import Any, TypedDict
from ragweave import Message, node

class Seen(TypedDict):
    seen: str

def said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(said, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={said(item)}" for key, item in value.items())
    if isinstance(value, Message):
        return f"{value.role}({said(value.parts)})"
    return f"{value.type}:{value.name}" if value.type != "text" else value.text

@node(name="look")
def look(given: Any) -> Seen:
    return {"seen": said(given)}
"""
VISION = """\
schema: ragweave/v1
name: vision
inputs: {question: str, picture: Part}
outputs: [answer]
models:
  chat: {MODEL}
prompts:
  ask:
    type: template
    text: |
      ---
      name: ask
      version: 1
      description: Asks about a picture.
      variables:
        question: {type: str, description: What is asked.}
        picture: {type: Part, description: What is looked at.}
      ---
      ## user
      {{ question }}
nodes:
  answer: {type: generator, model: chat, prompt: ask}
edges: [start -> answer -> end]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "look.py").write_text(LOOK)
    (tmp_path / "files").mkdir()
    for name in ("cat.png", "dog.png"):
        (tmp_path / "files" / name).write_bytes(PNG + name.encode())
    return tmp_path


def look(folder: Path, kind: str, *arguments: str, key: str = "picture") -> subprocess.CompletedProcess[str]:
    """A finished `ragweave run` of a graph that says what it was given."""
    (folder / "graph.yaml").write_text(GRAPH.replace("KEY", key).replace("TYPE", json.dumps(kind)))
    return ragweave("run", "graph.yaml", "--plugin", "look.py", *arguments, cwd=folder)


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        ("Part", ["--picture", "@files/cat.png"], "image:cat.png"),
        ("Part", ["--json", '{"picture": "@files/cat.png"}'], "image:cat.png"),
        ("list[Part]", ["--picture=@files/cat.png"], "image:cat.png"),
        ("list[Part]", ["--picture", "@files/cat.png", "--picture", "@files/dog.png"], "image:cat.png image:dog.png"),
        ("list[Part]", ["--picture", '["@files/dog.png", "@files/cat.png"]'], "image:dog.png image:cat.png"),
        ("map[Part]", ["--picture", '{"a": "@files/dog.png"}'], "a=image:dog.png"),
        ("Message", ["--picture", "@look.py"], "user(file:look.py)"),
        (
            "list[Message]",
            ["--picture", '[{"role": "user", "parts": [{"type": "text", "text": "See"}, "@files/cat.png"]}]'],
            "user(See image:cat.png)",
        ),
    ],
)
def test_a_file_is_an_at_and_its_path(folder: Path, kind: str, arguments: list[str], said: str) -> None:
    done = look(folder, kind, *arguments)
    assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (
            "Part",
            ["--picture", "@files/cow.png"],
            "error: 'files/cow.png' cannot be attached: No such file or directory",
        ),
        ("Part", ["--picture", "@files"], "error: 'files' cannot be attached: Is a directory"),
        ("Part", ["--picture", "@empty"], "error: 'empty' cannot be attached: it is empty"),
        ("Part", ["--picture", "@large"], "error: 'large' has 20,971,521 bytes; at most 20,971,520 can be attached"),
        ("Part", ["--picture", "@/dev/zero"], "error: a blob of 20,971,521 bytes is too large"),
        ("Part", ["--picture", "cat.png"], "error: the input 'picture' takes a file, not 'cat.png'; a file is @PATH"),
        ("Part", ["--picture", "@"], "error: the input 'picture' takes a file, not '@'; a file is @PATH"),
        ("Part", ["--picture", "@look.py", "--picture", "@look.py"], "error: the input 'picture' is given twice"),
        ("list[Part]", ["--picture", '["cat.png"]'], "error: the input 'picture' takes a file, not 'cat.png'"),
        ("Part", [], "error: 'looking' needs the input 'picture' (Part); ragweave run graph.yaml --picture @FILE"),
    ],
)
def test_what_is_no_file_is_told_in_one_line(folder: Path, kind: str, arguments: list[str], said: str) -> None:
    (folder / "empty").touch()
    with (folder / "large").open("wb") as file:
        file.truncate((20 << 20) + 1)
    done = look(folder, kind, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_text_that_starts_with_an_at_stays_a_text(folder: Path) -> None:
    (folder / "graph.yaml").write_text(
        "schema: ragweave/v1\nname: hi\ninputs: {name: str}\noutputs: [answer]\n"
        'nodes: {hi: {type: reply, text: "Hi {name}"}}\nedges: [start -> hi -> end]\n'
    )
    done = ragweave("run", "graph.yaml", "--name", "@look.py", cwd=folder)
    assert done.stdout == "Hi @look.py\n"


def test_rows_of_a_batch_name_files_beside_their_file(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("KEY", "picture").replace("TYPE", '"list[Part]"'))
    rows = [["@cat.png", "@dog.png"], "@cat.png", ["@cat.png", "@cow.png"], "@dog.png"]
    (folder / "files/in.jsonl").write_text("".join(json.dumps({"picture": row}) + "\n" for row in rows))
    done = ragweave("batch", "graph.yaml", "files/in.jsonl", "out.jsonl", "--plugin", "look.py", cwd=folder)
    assert done.returncode == 1
    lines = sorted(
        (json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()),
        key=lambda line: int(line["row"]),
    )
    seen = [line["outputs"]["seen"] if "outputs" in line else line["error"]["message"] for line in lines]
    assert seen == [
        "image:cat.png image:dog.png",
        "image:cat.png",
        "'files/cow.png' cannot be attached: No such file or directory",
        "image:dog.png",
    ]


def test_bytes_are_held_while_a_row_has_them_and_no_longer(folder: Path) -> None:
    from ragweave import Graph
    from ragweave.cli.batching import _Files

    graph = Graph.parse(VISION.replace("MODEL", "type: extractive"))
    files = _Files(graph, folder)
    row = {"picture": "@files/cat.png", "question": "@files/dog.png"}
    with files.attached(row) as first:
        with files.attached(row) as second:
            assert second["question"] == "@files/dog.png"
            assert first["picture"].blob == second["picture"].blob
        assert first["picture"].blob in graph.blobs
    assert first["picture"].blob not in graph.blobs


def test_a_picture_goes_with_a_question_and_with_each_turn_of_a_chat(folder: Path) -> None:
    with OpenAIServer([Reply("A cat."), Reply("Yes."), Reply("No.")]) as server:
        model = f"type: openai, model: test-model, base_url: '{server.url}', api_key: {server.key}"
        (folder / "graph.yaml").write_text(VISION.replace("MODEL", model))
        given = ("graph.yaml", "--input", "picture=@files/cat.png")
        done = ragweave("ask", *given, "What is it?", cwd=folder)
        assert (done.returncode, done.stdout) == (0, "A cat.\n"), done.stderr
        command = [*COMMAND, "chat", *given]
        talk = subprocess.run(
            command, cwd=folder, env=environment(), input="One?\nTwo?\n", capture_output=True, text=True, check=False
        )
        assert (talk.returncode, talk.stdout) == (0, "Yes.\n\nNo.\n\n"), talk.stderr
    kinds = [[part["type"] for part in request.json["messages"][-1]["content"]] for request in server.requests]
    assert kinds == [["image_url", "text"]] * 3 or kinds == [["text", "image_url"]] * 3


def test_a_model_that_reads_text_alone_refuses_a_picture_in_one_line(folder: Path) -> None:
    (folder / "graph.yaml").write_text(VISION.replace("MODEL", "type: extractive"))
    done = ragweave("run", "graph.yaml", "--question", "What?", "--picture", "@files/cat.png", cwd=folder)
    assert done.returncode == 1
    assert "the image 'cat.png', but model 'extractive' reads text" in done.stderr
