"""What several tests of stores need: a graph whose runs leave something of every kind behind, and a look at a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, TypedDict

from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.sealing import cipher_of
from ragweave.orchestrator.stores.sqlite import SqliteDatabase


class Said(TypedDict):
    said: str


calls: list[str] = []
"""What `say` was called with."""


@node(name="say_in_stores")
def say(text: str) -> Said:
    calls.append(text)
    return {"said": text.upper()}


def echo(store: DurableStore) -> Graph:
    """A graph of one node that says what it is told, louder."""
    return Graph(
        name="echo", inputs={"text": "str"}, outputs=["said"], nodes={"say": say}, edges=["start -> say -> end"],
        store=store,
    )  # fmt: skip


def store_of(file: Path, key: str | None = None) -> DurableStore:
    return DurableStore(SqliteDatabase(file), cipher=None if key is None else cipher_of(key))


def contents(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    connection = sqlite3.connect(file)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    connection.close()
    return found


def bytes_of(folder: Path) -> bytes:
    """Every byte of the files of a folder: the database, its log and its index."""
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
