"""Where the runs of a graph are kept whose file does not say it. Most graphs are such: this loads no settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragweave.orchestrator.stores import Store

RUNS = ".ragweave/runs.sqlite"
"""Where a graph that was loaded from a file keeps its runs, beside it."""
VARIABLE = "RAGWEAVE_STORE"


def store_beside(folder: Path, environ: Mapping[str, str]) -> Store:
    """The store that the environment variable RAGWEAVE_STORE names (`memory`, the address of a PostgreSQL database, or
    a file), else a file beside the graph."""
    said = environ.get(VARIABLE, "")
    if said == "memory":
        from ragweave.orchestrator.stores.memory import MemoryStore

        return MemoryStore()
    from ragweave.orchestrator.stores.durable import DurableStore

    if said.startswith(("postgres://", "postgresql://")):
        from ragweave.orchestrator.stores.postgres import PostgresDatabase

        return DurableStore(PostgresDatabase(said))
    from ragweave.orchestrator.stores.sqlite import SqliteDatabase

    return DurableStore(SqliteDatabase(folder / Path(said or RUNS).expanduser()))
