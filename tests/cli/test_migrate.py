"""`ragweave migrate` and `ragweave gc`: what they say, move and remove."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.graph import Graph
from tests.cli.running import on_terminal, ragweave

PLUGIN = '''
from typing import TypedDict

from ragweave import Ask, Context, node


class Agreed(TypedDict):
    agreed: bool


@node
async def confirm(question: str, ctx: Context) -> Agreed | Ask:
    """Asks."""
    if not ctx.answers:
        return Ask(question=question, schema={"type": "boolean"})
    return {"agreed": ctx.answers[0]}
'''
GRAPH = """\
schema: ragweave/v1
name: letters
inputs: {question: str}
outputs: [answer]
memories: {history: {type: window}}
nodes:
  recall: {type: recall, memory: history}
  confirm: {type: confirm}
  answer: {type: reply, text: "{question} Fine."}
  remember: {type: remember, memory: history}
edges: [start -> recall -> confirm -> answer -> remember -> end]
"""
OTHER = GRAPH.replace("recall: {type: recall", "before: {type: recall").replace("-> recall", "-> before")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "steps.py").write_text(PLUGIN)
    (tmp_path / "pyproject.toml").write_text('[tool.ragweave]\nplugins = ["steps"]\n')
    (tmp_path / "letters.yaml").write_text(GRAPH)
    return tmp_path


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """The types of the plugin are those of one test."""
    with registry.scope():
        yield
    sys.modules.pop("steps", None)


def begun(folder: Path, *threads: str, user: str = "", tenant: str = "", done: bool = False) -> list[str]:
    """Runs of these threads, each parked or answered."""

    async def run() -> list[str]:
        async with Graph.load(folder / "letters.yaml", plugins=["steps"]) as graph:
            found = []
            for thread in threads:
                result = await graph.arun(question=f"Is it {thread}?", thread_id=thread, user=user, tenant=tenant)
                if done:
                    result = await graph.aresume(result.run_id, answers={"confirm#1": True})
                found.append(result.run_id)
            return found

    return asyncio.run(run())


def held(folder: Path, text: str) -> bool:
    """True if a text stands anywhere in the files beside the graph."""
    return any(text.encode() in file.read_bytes() for file in (folder / ".ragweave").iterdir() if file.is_file())


def test_a_check_names_what_would_break_and_moves_nothing(folder: Path) -> None:
    one, two = begun(folder, "a", "")
    (folder / "new.yaml").write_text(OTHER)
    done = ragweave("migrate", "--check", "new.yaml", "--graph", "letters.yaml", cwd=folder)
    assert done.returncode == 1
    assert done.stdout == (
        f"breaks   {one}  parked     thread a\n"
        "         node 'recall#1' ran and is gone\n"
        f"breaks   {two}  parked\n"
        "         node 'recall#1' ran and is gone\n"
        "\n"
        "2 runs stay on their version\n"
    )
    (folder / "new.yaml").write_text(GRAPH.replace("Fine.", "Good."))
    done = ragweave("migrate", "--check", "new.yaml", "--graph", "letters.yaml", "--json", cwd=folder)
    assert done.returncode == 0
    assert [run["fate"] for run in json.loads(done.stdout)["runs"]] == ["fits", "fits"]
    assert ragweave("resume", one, "--answer", "y", cwd=folder).stdout == "Is it a? Fine.\n"


def test_runs_that_fit_are_moved_and_the_others_stay(folder: Path) -> None:
    (moved,) = begun(folder, "a")
    (folder / "letters.yaml").write_text(OTHER)
    (other,) = begun(folder, "b")
    (folder / "letters.yaml").write_text(GRAPH.replace("Fine.", "Good."))
    done = ragweave("migrate", "letters.yaml", cwd=folder)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["moved", moved, "parked", "thread", "a"]
    assert done.stdout.splitlines()[-1] == "1 run moved; 1 run stays on its version"
    assert ragweave("resume", moved, "--answer", "y", cwd=folder).stdout == "Is it a? Good.\n"
    assert ragweave("resume", other, "--answer", "y", cwd=folder).stdout == "Is it b? Fine.\n"


def test_that_no_run_is_meant_is_told_with_those_that_wait(folder: Path) -> None:
    begun(folder, "a")
    (folder / "cards.yaml").write_text(GRAPH.replace("name: letters", "name: cards"))
    done = ragweave("migrate", "cards.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no run of 'cards' waits; what waits: 1 run of 'letters'; name their file with --graph\n"


def test_a_conversation_is_deleted_with_what_is_remembered_of_it(folder: Path) -> None:
    begun(folder, "secret-one", "two", done=True)
    refused = ragweave("gc", "--thread", "secret-one", cwd=folder)
    assert refused.returncode == 1
    assert "nobody is at a terminal to agree; say so with --yes" in refused.stderr
    assert held(folder, "secret-one")
    done = ragweave("gc", "--thread", "secret-one", "--yes", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    removed = json.loads(done.stdout)
    assert (removed["runs"], removed["turns"]) == (1, 1)
    assert not held(folder, "secret-one")
    with sqlite3.connect(folder / ".ragweave" / "memory.sqlite") as rows:
        assert [thread for (thread,) in rows.execute("SELECT thread FROM turns")] == ["two"]


def test_one_user_or_one_tenant_of_several(folder: Path) -> None:
    begun(folder, "t", user="ada", done=True)
    begun(folder, "t", user="bob", done=True)
    begun(folder, "t", tenant="acme", done=True)
    done = ragweave("gc", "--thread", "t", "--user", "ada", "--yes", "--json", cwd=folder)
    assert (json.loads(done.stdout)["runs"], json.loads(done.stdout)["turns"]) == (1, 1), done.stderr
    done = ragweave("gc", "--tenant", "acme", "--yes", cwd=folder)
    assert done.stdout.startswith("removed 1 run, "), done.stderr
    assert ", 1 remembered turn; " in done.stdout
    with sqlite3.connect(folder / ".ragweave" / "memory.sqlite") as rows:
        assert rows.execute("SELECT tenant, user FROM turns").fetchall() == [("", "bob")]


def test_on_a_terminal_the_person_decides(folder: Path) -> None:
    (run,) = begun(folder, "a")
    seen = on_terminal("gc", "--run", "last", cwd=folder, typed=[("[Y/n] ", "n\n")])
    assert seen.status == 1
    assert "nothing was deleted" in seen.raw
    seen = on_terminal("gc", "--run", "last", cwd=folder, typed=[("[Y/n] ", "y\n")])
    assert seen.status == 0
    assert f"Delete run {run} (1 run)" in " ".join(seen.raw.split())
    assert "removed 1 run, " in seen.raw


def test_without_a_name_only_what_is_old_goes(folder: Path) -> None:
    begun(folder, "a", done=True)
    assert ragweave("gc", cwd=folder).stdout.startswith("removed 0 runs, 0 values, 0 cached results; ")
    with sqlite3.connect(folder / ".ragweave" / "runs.sqlite") as rows:
        rows.execute("UPDATE runs SET changed = changed - 40 * 86400")
    assert ragweave("gc", cwd=folder).stdout.startswith("removed 1 run, ")
