"""Runs are looked at, and forked, by the version with which they were begun; changed code does not keep them shut."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.node import node_type
from tests.surviving import kinds
from tests.surviving.kinds import GRAPH
from tests.surviving.test_versions import load, parked, write, yes


class Text(TypedDict):
    text: str


def define(word: str) -> None:
    """The node type `mine`, which writes this word."""

    def mine() -> Text:
        kinds.CALLS.append(word)
        return {"text": word}

    registry._added["nodes"].pop("mine", None)
    node_type(mine, name="mine")


def test_a_run_of_an_older_file_is_replayed_and_forked_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path)
    begun = parked(file)
    write(tmp_path, GRAPH.replace("  write:", "  draft:").replace("-> write", "-> draft").replace("hello", "bye"))
    with load(file) as graph:
        graph.resume(begun.run_id, answers=yes(begun))
        assert graph.replay(begun.run_id).outputs == {"said": "hello: True"}
        fork = graph.fork(begun.run_id, at="confirm#1", set={"text": "hey"})
        assert fork.status == "parked"
        assert graph.resume(fork.run_id, answers=yes(fork))["said"] == "hey: True"
    assert kinds.CALLS == ["hello"]


def test_a_run_of_changed_code_can_be_looked_at_and_forked_but_not_resumed(tmp_path: Path) -> None:
    define("one")
    file = write(tmp_path, GRAPH.replace("{type: say, what: hello}", "{type: mine}"))
    begun, waits = parked(file), parked(file)
    with load(file) as graph:
        graph.resume(begun.run_id, answers=yes(begun))
    define("two")
    with load(file) as graph:
        assert graph.replay(begun.run_id).outputs == {"said": "one: True"}
        with pytest.raises(JournalError, match=r"the code of 'nodes\.mine'"):
            graph.resume(waits.run_id, answers=yes(waits))
        fork = graph.fork(begun.run_id, at="write#1")
        assert graph.resume(fork.run_id, answers=yes(fork))["said"] == "two: True"
    assert kinds.CALLS == ["one", "one", "two"]
