"""What graphs write beside themselves: kept out of version control, and for its owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.localdata import make_file, make_folder

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
