"""`ragweave chat`: turn after turn, with a memory or without, on a terminal and on a pipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.running import COMMAND, environment, on_terminal, ragweave

GRAPH = """\
schema: ragweave/v1
name: echo
inputs: {question: str}
outputs: [answer]
models:
  chat:
    type: scripted
    replies:
      - {when: /^first/, text: "One."}
      - {when: /^second/, text: "Two, after what came before."}
      - {when: /^line/, text: "Both lines."}
      - {when: /^slow/, chunks: [a b, c d], pace: 5}
      - {when: /^fail/, error: out of words}
memories:
  history: {type: window}
prompts:
  talk:
    type: template
    text: |
      ---
      name: talk
      version: 1
      description: Talks.
      variables:
        question: {type: str, description: What is asked.}
        history: {type: "list[Message]", required: false, description: What came before.}
      ---
      ## messages: history
      ## user
      {{ question }}
nodes:
  recall: {type: recall, memory: history}
  answer: {type: generator, model: chat, prompt: talk}
  remember: {type: remember, memory: history}
edges: [start -> recall -> answer -> remember -> end]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def piped(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The finished chat, with these lines piped in."""
    command = [*COMMAND, "chat", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(), input=text, capture_output=True, text=True, check=False, timeout=240
    )


def test_each_line_of_a_pipe_is_a_turn(folder: Path) -> None:
    done = piped(folder, "first\n\nsecond\n/quit\nfirst\n", "graph.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "One.\n\nTwo, after what came before.\n\n"


@pytest.mark.parametrize("text", ['"""\nline one\nline two\n"""\n', "line one\\\nline two\n"])
def test_a_question_may_have_several_lines(folder: Path, text: str) -> None:
    done = piped(folder, text, "graph.yaml")
    assert (done.stdout, done.stderr) == ("Both lines.\n\n", "")


def test_a_thread_is_gone_on_with_in_another_process(folder: Path) -> None:
    from ragweave import Graph

    for question in ("first", "second"):
        assert piped(folder, f"{question}\n", "graph.yaml", "--thread", "42").returncode == 0
    for other in (("--thread", "43"), ("--thread", "42", "--user", "ada")):
        assert piped(folder, "first\n", "graph.yaml", *other).returncode == 0
    graph = Graph.load(folder / "graph.yaml")

    def remembered(user: str) -> list[str]:
        for event in graph.stream_sync(question="line", thread_id="42", user=user):
            if (event.kind, event.node) == ("finished", "recall"):
                return [message.text for message in event.data["history"]]
        raise AssertionError

    assert remembered("") == ["first", "One.", "second", "Two, after what came before."]
    assert remembered("ada") == ["first", "One."]


def test_an_error_ends_a_pipe_and_not_a_terminal(folder: Path) -> None:
    done = piped(folder, "fail\nfirst\n", "graph.yaml")
    assert done.returncode == 1
    assert "out of words" in done.stderr
    assert done.stdout == ""
    typed = [("you> ", "fail\n"), ("out of words", ""), ("you> ", "first\n"), ("you> ", "/quit\n")]
    seen = on_terminal("chat", "graph.yaml", cwd=folder, typed=typed)
    assert seen.status == 0
    assert "Traceback" not in seen.raw


def test_a_terminal_is_told_how_to_leave_and_how_to_go_on(folder: Path) -> None:
    typed = [("you> ", "/help\n"), ("you> ", "/nothing\n"), ("you> ", "first\n"), ("you> ", "\x04")]
    seen = on_terminal("chat", "graph.yaml", "--thread", "t 1", "--user", "ada", cwd=folder, typed=typed)
    assert seen.status == 0
    assert "graph.yaml: ask away" in seen.raw
    assert "there is no /nothing" in seen.raw
    assert "to go on: ragweave chat graph.yaml --thread 't 1' --user ada" in seen.raw


def test_ctrl_c_ends_the_answer_and_not_the_chat(folder: Path) -> None:
    typed = [("you> ", "slow\n"), ("a b", "\x03"), ("you> ", "first\n")]
    # The echo of a letter tells that the line is being read: a signal just before that waits for the next key.
    typed += [("you> ", "zzz"), ("zzz", "\x03"), ("you> ", "/quit\n")]
    seen = on_terminal("chat", "graph.yaml", cwd=folder, typed=typed)
    assert seen.status == 0
    assert [word in seen.raw for word in ("stopped", "One.", "/quit leaves", "Traceback")] == [True, True, True, False]


def test_a_folder_of_documents_can_be_talked_with(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes/tea.md").write_text("# Tea\n\nBlack tea steeps for four minutes.\n")
    done = piped(folder, "How long does black tea steep?\n", "--docs", "notes", "--thread", "1")
    assert done.returncode == 0, done.stderr
    assert "four minutes" in done.stdout
    assert "notes/tea.md:3" in done.stdout
    assert (folder / "notes/.ragweave/memory.sqlite").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is nothing to talk with; ragweave chat GRAPH, or ragweave chat --docs FOLDER"),
        (("graph.yaml", "--docs", "notes"), "a graph or --docs, not both"),
        (("none.yaml",), "the file does not exist"),
        (("graph.yaml", "--input", "qestion=x"), "has no input 'qestion'; did you mean 'question'?"),
    ],
)
def test_what_cannot_start_says_why(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ragweave("chat", *arguments, cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
