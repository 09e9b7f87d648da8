"""`ragweave resume`: processes that are killed, answers from the command line, files that were edited meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from tests.cli.running import COMMAND, environment, on_terminal, ragweave, started, wait_until

PLUGIN = '''
import asyncio
import os
from pathlib import Path
from typing import TypedDict

from ragweave import Answer, Ask, Context, node


class Text(TypedDict):
    text: str


class Agreed(TypedDict):
    agreed: bool


class Said(TypedDict):
    answer: Answer


def log(word: str) -> None:
    with Path("log.txt").open("a") as file:
        file.write(word + "\\n")


@node
async def draft(question: str) -> Text:
    """Writes something."""
    log("draft")
    return {"text": f"Re: {question}"}


@node
async def wait() -> None:
    """Waits while there is a file that says so."""
    log("wait")
    while Path("hold").exists():
        await asyncio.sleep(0.02)


@node
async def confirm(text: str, ctx: Context) -> Agreed | Ask:
    """Asks whether to send it."""
    if not ctx.answers:
        return Ask(question=f"Send {text!r}?", schema={"type": "boolean"})
    return {"agreed": ctx.answers[0]}


@node
async def send(text: str) -> Said:
    """Says what was written."""
    log("send")
    return {"answer": Answer(text=text)}
'''
GRAPH = """\
schema: ragweave/v1
name: letters
inputs: {question: str}
outputs: [answer]
nodes:
  draft: {type: draft}
  wait: {type: wait}
  send: {type: send}
edges: [start -> draft -> wait -> send -> end]
"""
ASKING = GRAPH.replace("  wait: {type: wait}", "  confirm: {type: confirm}").replace("-> wait", "-> confirm")
BOTH = """\
schema: ragweave/v1
name: letters
inputs: {question: str}
outputs: [answer]
nodes:
  draft: {type: draft}
  a: {type: confirm, writes: {agreed: a}}
  b: {type: confirm, writes: {agreed: b}}
  send: {type: send}
edges:
  - start -> draft -> a, b -> send -> end
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steps.py").write_text(PLUGIN)
    (tmp_path / "pyproject.toml").write_text('[tool.ragweave]\nplugins = ["steps"]\n')
    (tmp_path / "letters.yaml").write_text(GRAPH)
    return tmp_path


def log(folder: Path) -> list[str]:
    file = folder / "log.txt"
    return file.read_text().split() if file.exists() else []


def killed(folder: Path) -> str:
    """Start a run, kill its process in the middle of it, and give the run's id."""
    (folder / "hold").touch()
    before, _ = journal(folder)
    with started("run", "letters.yaml", "--question", "Tea?", cwd=folder) as process:
        wait_until(lambda: journal(folder)[0] != before and "draft" in journal(folder)[1])
        process.send_signal(signal.SIGKILL)
        process.wait()
    (folder / "hold").unlink()
    return newest(folder)


def journal(folder: Path) -> tuple[str, list[str]]:
    """The newest run of the folder, and the nodes that have finished in it."""

    async def look() -> tuple[str, list[str]]:
        store = DurableStore(SqliteDatabase(folder / ".ragweave" / "runs.sqlite"))
        runs = await store.runs(limit=1)
        events = await store.events(runs[0].run_id) if runs else []
        await store.close()
        return runs[0].run_id if runs else "", [event.node for event in events if event.kind == "finished"]

    return asyncio.run(look())


def newest(folder: Path) -> str:
    return journal(folder)[0]


def test_a_killed_run_goes_on_and_repeats_nothing(folder: Path) -> None:
    run_id = killed(folder)
    assert log(folder) == ["draft", "wait"]
    done = ragweave("resume", run_id[:6], cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr
    assert log(folder) == ["draft", "wait", "wait", "send"]
    again = ragweave("resume", "last", cwd=folder)
    assert again.returncode == 1
    assert again.stderr == f"error: run {run_id!r} is done: there is nothing to resume\n"


def test_after_the_file_was_edited_the_old_version_runs(folder: Path) -> None:
    run_id = killed(folder)
    (folder / "letters.yaml").write_text(GRAPH.replace("send: {type: send}", "send: {type: reply, text: new}"))
    done = ragweave("resume", run_id, cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr
    assert ragweave("run", "letters.yaml", "--question", "Tea?", cwd=folder).stdout == "new\n"


def test_without_a_name_every_broken_off_run_goes_on(folder: Path) -> None:
    runs = [killed(folder), killed(folder)]
    done = ragweave("resume", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = [(one["run_id"], one["status"]) for one in json.loads(done.stdout)["runs"]]
    assert found == [(run, "done") for run in runs]
    assert ragweave("resume", cwd=folder).stdout == "no run was broken off\n"
    assert log(folder).count("draft") == 2


def test_of_two_processes_that_resume_a_run_one_gets_it(folder: Path) -> None:
    run_id = killed(folder)
    (folder / "hold").touch()
    processes = [
        subprocess.Popen(
            [*COMMAND, "resume", run_id], cwd=folder, env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        wait_until(lambda: any(process.poll() is not None for process in processes), timeout=240)
        (folder / "hold").unlink()
        ended = [(*process.communicate(timeout=240), process.returncode) for process in processes]
    finally:
        for process in processes:
            process.kill()
    outs = sorted(ended, key=lambda one: one[2])
    assert [one[2] for one in outs] == [0, 1]
    assert outs[0][0] == "Re: Tea?\n"
    assert f"run {run_id!r} goes on in process" in outs[1][1]
    assert log(folder) == ["draft", "wait", "wait", "send"]


def parked(folder: Path, text: str = ASKING) -> str:
    (folder / "letters.yaml").write_text(text)
    done = ragweave("run", "letters.yaml", "--question", "Tea?", cwd=folder)
    assert done.returncode == 1
    return newest(folder)


def test_an_open_question_is_answered_from_the_command_line(folder: Path) -> None:
    parked(folder)
    unasked = ragweave("resume", "last", cwd=folder)
    assert unasked.returncode == 1
    assert "confirm#1 asks: Send 'Re: Tea?'? [y/n]" in unasked.stderr
    wrong = ragweave("resume", "last", "--answer", "perhaps", cwd=folder)
    told = "'perhaps' is no answer to 'confirm#1', which asks: Send 'Re: Tea?'?; type y or yes, or n or no"
    assert wrong.stderr == f"error: {told}\n"
    done = ragweave("resume", "last", "--answer", "yes", "--by", "bo", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr
    assert log(folder) == ["draft", "send"]
    assert "bo answered: true" in ragweave("show", "last", "--node", "confirm#1", cwd=folder).stdout


def test_the_command_that_is_suggested_names_the_plugins_that_were_given(folder: Path) -> None:
    (folder / "pyproject.toml").unlink()
    (folder / "letters.yaml").write_text(ASKING)
    asked = ragweave("run", "letters.yaml", "--question", "Tea?", "--plugin", "steps.py", cwd=folder)
    suggested = f"ragweave resume {newest(folder)} --plugin steps.py"
    assert suggested in asked.stderr
    done = ragweave(*suggested.split()[1:], "--answer", "yes", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr


def test_several_questions_are_answered_by_path_in_any_order(folder: Path) -> None:
    run_id = parked(folder, BOTH)
    alone = ragweave("resume", run_id, "--answer", "yes", cwd=folder)
    assert alone.stderr == "error: --answer 'yes' is no PATH=VALUE of an open question; there is: a#1, b#1\n"
    one = ragweave("resume", run_id, "--answer", "b#1=no", cwd=folder)
    assert one.returncode == 1
    assert "a#1 asks" in one.stderr
    assert "b#1 asks" not in one.stderr
    done = ragweave("resume", run_id, "--answer", "a#1=yes", "--json", cwd=folder)
    assert json.loads(done.stdout)["status"] == "done", done.stderr


def test_a_person_is_asked_on_a_terminal(folder: Path) -> None:
    parked(folder)
    seen = on_terminal("resume", "last", cwd=folder, typed=[("[y/n] ", "y\n")], env={"NO_COLOR": "1"})
    assert seen.status == 0
    assert seen.raw.rstrip().endswith("Re: Tea?")


def test_from_elsewhere_the_graph_is_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    run_id = parked(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    lost = ragweave("resume", run_id, cwd=elsewhere)
    assert lost.returncode == 1
    assert "no runs are kept in this folder; name the graph, --graph GRAPH" in lost.stderr
    done = ragweave("resume", run_id, "--answer", "yes", "--graph", folder / "letters.yaml", cwd=elsewhere)
    assert done.stdout == "Re: Tea?\n", done.stderr


def test_runs_that_are_not_there_are_told(folder: Path) -> None:
    parked(folder)
    parked(folder)
    done = ragweave("resume", "zz", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no run 'zz' is kept in '.ragweave/runs.sqlite'")


def test_changed_code_is_named_and_current_is_the_way_out(folder: Path) -> None:
    run_id = parked(folder)
    text = (folder / "steps.py").read_text()
    (folder / "steps.py").write_text(text.replace('f"Re: {question}"', 'f"About: {question}"'))
    done = ragweave("resume", run_id, "--answer", "yes", cwd=folder)
    assert done.returncode == 1
    assert "the code of 'nodes.draft' (steps:draft) has changed" in done.stderr
    assert "node 'draft' has changed" in done.stderr
    done = ragweave("resume", run_id, "--answer", "yes", "--current", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr


def test_a_comment_in_a_plugin_changes_nothing(folder: Path) -> None:
    run_id = parked(folder)
    text = (folder / "steps.py").read_text()
    (folder / "steps.py").write_text("# A comment.\n\n" + text.replace("asyncio.sleep(0.02)", "asyncio.sleep(0.03)"))
    done = ragweave("resume", run_id, "--answer", "yes", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr


def test_chat_gives_the_answer_that_it_still_owes(folder: Path) -> None:
    (folder / "hold").touch()
    command = [*COMMAND, "chat", "letters.yaml", "--thread", "t"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    with process:
        process.stdin.write("Tea?\n")
        process.stdin.flush()
        wait_until(lambda: "wait" in log(folder))
        wait_until(lambda: "draft" in journal(folder)[1])
        os.kill(process.pid, signal.SIGKILL)
    (folder / "hold").unlink()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        input="Milk?\n",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.stderr == "going on with what was broken off: Tea?\n"
    assert done.stdout == "Re: Tea?\n\nRe: Milk?\n\n"
    assert log(folder).count("draft") == 2


def test_a_run_whose_file_is_gone_goes_on_from_what_it_has_kept(folder: Path) -> None:
    parked(folder)
    (folder / "letters.yaml").unlink()
    done = ragweave("resume", "last", "--answer", "yes", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "Re: Tea?\n"), done.stderr
    assert done.stderr == "'letters.yaml' is not there any more: the graph is read as the run has kept it\n"
