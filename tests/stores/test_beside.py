"""What graphs write beside themselves: kept out of version control, and for its owner alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.localdata import make_file, make_folder
from ragweave.orchestrator.stores import RunRecord
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase

CHAT = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
memories: {history: {type: window, file: .ragweave/talks/history.sqlite}}
nodes:
  answer: {type: reply, text: "You said: {question}"}
  remember: {type: remember, memory: history}
edges: [start -> answer -> remember -> end]
"""


def test_runs_and_conversations_beside_a_graph_are_private_and_not_for_git(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(CHAT)
    with Graph.load(tmp_path / "chat.yaml") as graph:
        graph.run(question="Hello?", thread_id="t")
        folder = tmp_path / ".ragweave"
        written = {file for file in folder.rglob("*") if file.is_file()} - {folder / ".gitignore"}
        assert {folder / "runs.sqlite", folder / "talks/history.sqlite"} <= written
        assert {file.stat().st_mode & 0o077 for file in written} == {0}
    assert (folder / ".gitignore").read_text() == "*\n"


def test_who_opened_a_file_to_others_or_a_folder_to_git_is_not_overruled(tmp_path: Path) -> None:
    folder = tmp_path / ".ragweave"
    folder.mkdir()
    (folder / ".gitignore").write_text("")
    file = folder / "runs.sqlite"
    file.write_bytes(b"kept")
    file.chmod(0o664)
    make_file(file)
    assert file.stat().st_mode & 0o777 == 0o664
    assert file.read_bytes() == b"kept"
    assert (folder / ".gitignore").read_text() == ""


def test_other_folders_are_not_hidden_from_git(tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "runs")
    assert not list(tmp_path.rglob(".gitignore"))


def test_a_file_in_the_place_of_the_folder_is_told_with_ways_out(tmp_path: Path) -> None:
    (tmp_path / "chat.yaml").write_text(CHAT)
    (tmp_path / ".ragweave").write_text("not a folder")
    with pytest.raises(JournalError, match=r"cannot be kept in .*; check the folder, name another file"):
        Graph.load(tmp_path / "chat.yaml").run(question="Hello?")


async def test_a_store_that_begins_to_write_keeps_its_hold_on_a_file_that_it_reads(tmp_path: Path) -> None:
    """Its locks are those of the process: nothing in it may open and close the file beside SQLite."""
    file = tmp_path / "runs.sqlite"
    await _ran(DurableStore(SqliteDatabase(file)), "first", close=True)
    store = DurableStore(SqliteDatabase(file))
    assert len(await store.runs()) == 1  # reads, and then writes
    await _ran(store, "second")
    look = (
        "import sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1])\n"
        "print(connection.execute('SELECT count(*) FROM runs').fetchone()[0])\nconnection.close()"
    )
    seen = []
    for name in ("third", "fourth"):  # another process comes and goes, and must not think itself the last
        await _ran(store, name)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", look, str(file)], capture_output=True, text=True, check=True
        )
        seen.append(int(done.stdout))
    assert seen == [3, 4]
    await store.close()


async def _ran(store: DurableStore, run_id: str, *, close: bool = False) -> None:
    await store.begin(RunRecord(run_id))
    store.writer(run_id)(("run_started", "", "", 0, {"inputs": {}}, None, 0, -1, 0, 1.0))
    await store.end(run_id, "done")
    if close:
        await store.close()
