"""`ragweave runs`, `show`, `replay`, `fork` and `diff`: recorded runs on the command line."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ragweave.cli.listing_runs import duration, shortened, span_of
from ragweave.orchestrator.graph import Graph
from tests.cli.running import on_terminal, ragweave
from tests.engine.steps import build, idle
from tests.journals.support import durable

GRAPH = """\
schema: ragweave/v1
name: desk
inputs: {question: str, times: {type: int, default: 1}}
outputs: [answer]
models:
  chat:
    type: scripted
    repeat: true
    replies: [{text: "Four minutes.", usage: {calls: 1, input_tokens: 1200, output_tokens: 45}}]
prompts:
  listen: {type: template, file: listen.md}
nodes:
  draft:  {type: generator, model: chat, prompt: listen, writes: {answer: draft}}
  echo:   {type: reply, text: "{question} x{times}", writes: {answer: echo}}
  answer: {type: reply, text: "{echo}: {draft}", interrupt: INTERRUPT}
edges:
  - start -> draft, echo -> answer -> end
"""
PROMPT = """\
---
name: listen
version: 1
description: Listens.
variables:
  question: {type: str, description: What is said.}
---
## user
Answer {{ question }}.
"""


class Done(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


Call = Callable[..., Done]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command in the folder, within this process; that no traceback can leave it is part of every call."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> Done:
        from ragweave.cli import failures

        monkeypatch.setattr(sys, "argv", ["ragweave", *arguments])
        capsys.readouterr()
        status = failures._status()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        assert "fault of ragweave" not in told.err
        return Done(status, told.out, told.err)

    return called


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph file."""
    (tmp_path / "listen.md").write_text(PROMPT)
    path = tmp_path / "desk.yaml"
    path.write_text(GRAPH.replace(", interrupt: INTERRUPT", ""))
    return path


def ran(path: Path, *questions: str, **more: str) -> list[str]:
    """The ids of runs with these questions."""
    with Graph.load(path) as graph:
        return [graph.run(question=question, **more).run_id for question in questions]  # type: ignore[arg-type]


def test_runs_are_listed_newest_first_and_chosen(call: Call, graph: Path) -> None:
    assert "no runs are kept in the store of 'desk.yaml'" in call("runs").err
    one, two = ran(graph, "a", "b", thread_id="t 1")
    (three,) = ran(graph, "c")
    status, out, _ = call("runs")
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split() == ["run", "status", "graph", "thread", "begun", "took"]
    assert [line.split()[0] for line in lines[1:]] == [three, two, one]
    assert [line.split()[0] for line in call("runs", "--thread", "t 1").out.splitlines()[1:]] == [two, one]
    assert call("runs", "--limit", "1").out.splitlines()[1].split()[:3] == [three, "done", "desk"]
    assert call("runs", "--graph", "desk.yaml").out == out
    assert call("runs", "--store", ".ragweave/runs.sqlite").out == out
    assert "no runs are kept" in call("runs", "--status", "failed").err
    assert call("runs", "--status", "failing").status == 2
    assert call("runs", "--values").status == 2


def test_parked_runs_are_listed_with_what_they_ask(call: Call, graph: Path) -> None:
    graph.write_text(GRAPH.replace("INTERRUPT", "Send it?"))
    with Graph.load(graph) as loaded:
        parked = loaded.run(question="a", thread_id="t")
    out = call("runs", "--waiting").out
    assert f"{parked.run_id}  desk, thread t, for" in out
    assert "answer#1  Send it?" in out
    assert "answer: " in out
    assert "answer#1 asks: Send it?" in call("replay", "last").out
    shown = call("show").out
    assert "parked" in shown
    assert "asks" in shown


def test_exports_tell_what_was_done_and_not_what_was_said(call: Call, graph: Path) -> None:
    ran(graph, "my secret question")
    (line,) = call("runs", "--jsonl").out.splitlines()
    run = json.loads(line)
    assert "secret question" not in line
    assert {event["kind"] for event in run["events"]} == {"run_started", "used", "finished", "run_done"}
    assert "my secret question" in call("runs", "--jsonl", "--values").out


def test_exports_hide_the_values_of_variables_that_the_graph_names(
    call: Call, graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = graph.read_text().replace("Four minutes.", "${env:DESK_KEY}")
    graph.write_text(text)
    monkeypatch.setenv("DESK_KEY", "sk-four-minutes")
    ran(graph, "is sk-four-minutes right?")
    out = call("runs", "--jsonl", "--values").out
    assert "sk-four-minutes" not in out
    assert "is <secret DESK_KEY> right?" in out
    graph.unlink()
    assert "sk-four-minutes" not in call("runs", "--jsonl", "--values").out


def test_runs_whose_secrets_nobody_can_tell_are_left_out(call: Call, graph: Path, tmp_path: Path) -> None:
    (one,) = ran(graph, "a")
    with build({"a": idle}, "start -> a -> end", store=durable(tmp_path / ".ragweave")) as made:
        other = made.run(n=1).run_id
    done = call("runs", "--jsonl", "--values")
    assert (done.status, [json.loads(line)["run_id"] for line in done.out.splitlines()]) == (1, [one])
    assert f"run {other!r} is left out: without its graph nobody can tell its secrets" in done.err
    assert len(call("runs", "--jsonl").out.splitlines()) == 2


def test_a_run_is_drawn_with_time_tokens_and_what_it_waited_for(call: Call, graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    out = call("show", run).out
    lines = out.splitlines()
    assert lines[0].startswith(f"{run}  done  desk, ")
    draft, echo, answer = lines[2:5]
    assert "1,200 in, 45 out" in draft
    assert "█" in answer
    assert "ms" in echo
    assert "1,200 tokens in, 45 out" in lines[6]
    assert "the run waited for these" in lines[7]
    assert call("show", run[:8]).out == call("show", "last").out == call("show").out == out


def test_one_call_is_shown_with_values_before_and_after(call: Call, graph: Path) -> None:
    ran(graph, "How long? " * 200)
    out = call("show", "--node", "draft").out
    assert out.startswith("draft#1  generator  done")
    assert "before\n  question: How long? How long?" in out
    assert "… (1,999 characters)" in out
    assert "after\n  draft: " in out
    assert "tokens   1,200 tokens in, 45 out" in out
    assert "the run has no call 'drat'; did you mean 'draft#1'?" in call("show", "--node", "drat").err


def test_what_is_shown_is_there_as_json(call: Call, graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    data = json.loads(call("show", run, "--json").out)
    assert (data["run_id"], data["status"], data["critical"][-1]) == (run, "done", "answer#1")
    calls = {one["path"]: one for one in data["calls"]}
    assert calls["draft#1"]["reads"] == {"question": "How long?"}
    assert calls["draft#1"]["usage"]["input_tokens"] == 1200
    assert json.loads(call("show", run, "--node", "echo", "--json").out)["writes"]["echo"]["text"] == "How long? x1"


def test_replay_gives_the_outputs_with_no_call(call: Call, graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    done = call("replay", run)
    assert (done.status, done.out) == (0, "How long? x1: Four minutes.\n")
    assert done.err == f"run {run} (done): 3 calls from its journal, none made again; no difference\n"
    data = json.loads(call("replay", run, "--json").out)
    assert (data["differences"], data["state"]["times"]) == ([], 1)


def test_a_fork_goes_on_with_other_values_and_is_told_apart(call: Call, graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    done = call("fork", run, "--from", "echo", "--set", "times=3", "--set", "question=Really?")
    assert (done.status, done.out) == (0, "Really? x3: Four minutes.\n")
    out = call("diff", run).out
    assert "they part at echo#1, which was given something else" in out
    assert "  times\n    a  1\n    b  3\n  question\n    a  How long?\n    b  Really?\n" in out
    assert "1,200 tokens in, 45 out reused" in out
    shown = call("show").out
    assert f"fork of {run} from echo#1, with " in shown
    assert "question = Really?" in shown
    assert "reused" in shown
    assert f"fork of {run}@echo#1" in call("runs").out
    anew = json.loads(call("fork", run, "--set", "question=What else?", "--json").out)
    assert anew["outputs"]["answer"]["text"] == "What else? x1: Four minutes."
    data = json.loads(call("diff", run, anew["run_id"], "--json").out)
    assert (data["same"], data["first"]["what"], data["only_a"]) == (False, "inputs", [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "no run 'nobody' is kept in"),
        (("fork", "last", "--from", "ansr#1"), "the run has no call 'ansr#1'; did you mean 'answer#1'?"),
        (("fork", "last", "--from", "echo", "--set", "tims=1"), "has no key 'tims'; did you mean 'times'?"),
        (("fork", "last", "--from", "echo", "--set", "times=many"), "'times' must be int, not 'many'"),
        (("fork", "last", "--from", "echo", "--set", "times"), "--set is KEY=VALUE, found 'times'"),
        (("fork", "last", "--set", "quesion=a"), "'desk' has no input 'quesion'; did you mean 'question'?"),
        (("diff", "last"), "both are run"),
        (("show", "--store", "nowhere.sqlite"), "there is no store 'nowhere.sqlite'"),
        (("show", "--graph", "dsk.yaml"), "the file does not exist; did you mean 'desk.yaml'?"),
    ],
)
def test_what_cannot_be_is_one_line(call: Call, graph: Path, arguments: tuple[str, ...], said: str) -> None:
    ran(graph, "How long?")
    done = call(*arguments)
    assert done.status == 1
    assert said in done.err
    assert len(done.err.splitlines()) <= 2


def test_a_run_that_is_misspelt_or_meant_by_several_is_told_with_candidates(call: Call, graph: Path) -> None:
    one, two = ran(graph, "a", "b")
    assert f"no run '{one}0' is kept" in call("show", f"{one}0").err
    assert "did you mean" in call("show", f"{one}0").err
    many = call("show", one[:6]).err
    assert "2 runs begin with" in many
    assert one in many
    assert two in many
    assert f"the newest are {two}, {one}" in call("show", "???").err


def test_damaged_journals_are_one_line_and_leave_the_others_readable(call: Call, graph: Path, tmp_path: Path) -> None:
    one, two = ran(graph, "a", "b")
    with sqlite3.connect(tmp_path / ".ragweave/runs.sqlite") as database:
        database.execute("UPDATE segments SET body = zeroblob(20) WHERE id = (SELECT min(id) FROM segments)")
    for arguments in (("show", one), ("replay", one), ("fork", one), ("diff", one, two)):
        done = call(*arguments)
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert "damaged" in done.err
        assert len(done.err.splitlines()) == 1
    done = call("runs", "--jsonl")
    assert (done.status, [json.loads(line)["run_id"] for line in done.out.splitlines()]) == (1, [two])
    assert call("show", two).status == 0
    assert call("runs").status == 0


def test_a_fork_is_streamed_on_a_terminal(graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    seen = on_terminal("fork", run, "--from", "echo", "--set", "times=2", cwd=graph.parent)
    assert seen.status == 0
    assert "How long? x2: Four minutes." in seen.raw
    drawn = on_terminal("show", cwd=graph.parent, columns=60)
    assert max(map(len, drawn.raw.splitlines())) < 120  # with the letters that colour it


def test_the_command_itself(graph: Path) -> None:
    (run,) = ran(graph, "How long?")
    done = ragweave("replay", cwd=graph.parent)
    assert (done.returncode, done.stdout) == (0, "How long? x1: Four minutes.\n")
    assert run in done.stderr


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "0.4 ms"), (0.5, "500.0 ms"), (1.924, "1.92 s"), (192, "3 min 12 s"), (-1, "0.0 ms")],
)
def test_times_are_read_easily(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (42, "42 s"), (3600, "1 h"), (3725, "1 h 2 min"), (90000, "1 d 1 h")]
)
def test_long_times_have_two_units(seconds: float, said: str) -> None:
    assert span_of(seconds) == said


def test_values_are_shortened_to_one_line() -> None:
    assert shortened("a\nb\x1b[31m", 10) == "a b[31m"
    assert shortened({"a": [1, 2]}, 40) == '{ "a": [ 1, 2 ] }'
    assert shortened("x" * 1200, 5) == "xxxx… (1,200 characters)"
