"""A program that reads damaged and forged journals, in a process that may import, run and write nothing.

`python -m tests.stores.forging FOLDER WHAT STEP [ADDRESS]` tries every STEP-th damage of one kind and ends with their
number: on a SQLite file, or in the PostgreSQL of this address. What was neither a JournalError nor a right answer is
printed, and is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypedDict

from ragweave.orchestrator.errors import InputError, JournalError, RagweaveError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.ownloop import OwnLoop
from ragweave.orchestrator.stores.postgres import PostgresDatabase
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.stores.waiting import waiting
from ragweave.orchestrator.values import BlobPart, Document
from tests.stores.damages import COLUMNS, DAMAGES, Damage, sql_of

try:
    import asyncpg
except ImportError:  # only the tests of a server need it
    asyncpg = None

LIMIT = 20.0
"""Seconds for one damage: what takes longer hangs."""
DRIVER = "ragweave postgres"
"""The thread of the driver, which talks to the server and reads no row that was stored."""
SHA = "77c3d9ae3e8b7a1b1b0b7a8f0a9a4c4a7a6cdb4a58ed8ad5d2d1bb31dd3b9f9e"


class Found(TypedDict):
    documents: list[Document]


class Summed(TypedDict):
    summary: str


class Agreed(TypedDict):
    agreed: str


@node
def find(question: str) -> Found:
    return {"documents": [Document(id=f"d{n}", text=f"{question} {n} " * 40) for n in range(3)]}


@node
def sum_up(documents: list[Document]) -> Summed:
    return {"summary": " ".join(document.id for document in documents)}


@node
def sign(summary: str) -> Agreed:
    return {"agreed": summary}


def graph_on(file: Path) -> Graph:
    inner = Graph(
        name="inner", inputs={"documents": "list[Document]"}, outputs=["summary"], nodes={"sum_up": sum_up},
        edges=["start -> sum_up -> end"],
    )  # fmt: skip
    return Graph(
        name="outer", inputs={"question": "str", "picture": {"type": "json", "default": None}}, outputs=["agreed"],
        nodes={"find": find, "inside": inner, "sign": {"type": sign, "interrupt": "Sign it?"}},
        edges=["start -> find -> inside -> sign -> end"], store=DurableStore(SqliteDatabase(file)),
    )  # fmt: skip


async def make(file: Path) -> None:
    """Runs of two tenants: parked, done and cached ones, with a picture and the files of a graph."""
    graph = graph_on(file)
    data = random.Random(1).randbytes(600)
    picture = BlobPart(type="image", blob=graph.blobs.put(data))
    for tenant in ("", "bob"):
        parked = await graph.arun(question="What?", picture=picture, tenant=tenant, thread_id="t", user="ada")
        await graph.store.adopt(parked.run_id, "v", json.dumps({"files": {"graph.yaml": "x" * 300}}))
        done = await graph.arun(question="Why?", tenant=tenant)
        await graph.aresume(done.run_id, answers=dict.fromkeys(done.asks, True))
        await graph.store.cache("key", {"said": "text " * 100}, 3600.0, run_id=done.run_id, tenant=tenant)
    await graph.aclose()


# --- trying ---


class Refused(Exception):
    """Something was imported, run, written or reached for."""


class Hangs(BaseException):
    """A damage takes too long."""


armed = False
_REFUSED = (
    "import", "exec", "compile", "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "pickle.", "marshal.", "ctypes.", "shutil.", "os.remove", "os.rename", "os.chmod", "os.link", "code.__new__",
)  # fmt: skip
seen: list[str] = []
home = ""
"""Where the store's own file lies."""


def watch(event: str, args: tuple[Any, ...]) -> None:
    if not armed or threading.current_thread().name == DRIVER:
        return
    opens = event == "open" and bool(args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    writes = (opens or event == "os.mkdir") and not str(args[0]).startswith(home)
    if writes or event.startswith(_REFUSED):
        seen.append(f"{event} {args[0]!r:.80}")
        raise Refused(seen[-1])


@contextlib.contextmanager
def watched() -> Iterator[None]:
    global armed
    armed = True
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        armed = False


def _alarm(*_: object) -> None:
    raise Hangs


class Unswept(PostgresDatabase):
    """Gives no room back: that reads no row, and takes most of the time."""

    def shrink(self, *, thorough: bool = False) -> int:
        return 0


class Server:
    """Damaged rows in a schema of a PostgreSQL server, whose tables have lost their rules."""

    def __init__(self, address: str) -> None:
        self.address, self.schema = address, f"forged_{os.getpid()}"
        self.loop = OwnLoop()
        self.database().close()
        self.loop.do(self._free_of_rules())

    def database(self) -> PostgresDatabase:
        """The schema, opened: connections are made before anything is refused."""
        database = Unswept(self.address, schema=self.schema)
        database.open()
        with database.reading():
            return database

    def store_of(self, damaged: sqlite3.Connection) -> DurableStore | None:
        """A store on the rows of a file; None if the server does not take them."""
        try:
            tables = {table: damaged.execute(f"SELECT * FROM {table}").fetchall() for table in COLUMNS}
            columns = {
                table: [column for _, column, *_ in damaged.execute(f"PRAGMA table_info({table})")] for table in COLUMNS
            }
            self.loop.do(self._fill(tables, columns))
        except (sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, TypeError, OverflowError):
            return None
        return DurableStore(self.database())

    async def _free_of_rules(self) -> None:
        self.connection = await asyncpg.connect(self.address, server_settings={"search_path": self.schema})
        for table in COLUMNS:
            rules = "SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype IN ('p', 'u')"
            for (rule,) in await self.connection.fetch(rules, table):
                await self.connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {rule}")
            nullable = "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attnotnull"
            for (column,) in await self.connection.fetch(nullable, table):
                await self.connection.execute(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
        # What the statements of the store need to find a row that is there already; NULLs are never equal.
        for table, key in (("stored", "tenant, hash"), ("cached", "tenant, key"), ("tenants", "name")):
            await self.connection.execute(f"CREATE UNIQUE INDEX ON {table} ({key})")

    async def _fill(self, tables: dict[str, list[Any]], columns: dict[str, list[str]]) -> None:
        async with self.connection.transaction():
            await self.connection.execute(f"TRUNCATE {', '.join(COLUMNS)}")
            for table, rows in tables.items():
                await self.connection.copy_records_to_table(table, records=rows, columns=columns[table])
                if table in ("runs", "stored", "tenants"):
                    last = f"SELECT greatest(max(id), 1) FROM {table}"
                    await self.connection.execute(f"SELECT setval('{table}_id_seq', ({last}))")


class Corpus:
    """Tries damages on copies of one file, or on its rows in a server."""

    def __init__(self, folder: Path, step: int, server: Server | None = None) -> None:
        global home
        self.step, self.count = 1, 0
        self.file, home = folder / "runs.sqlite", str(folder)
        asyncio.run(make(self.file))
        self.good = sqlite3.connect(":memory:")
        original = sqlite3.connect(self.file)
        original.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # What an attacker writes need not keep to the rules of the tables.
        original.execute("PRAGMA writable_schema = ON")
        original.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE type = 'table'")
        original.commit()
        original.backup(self.good)
        original.close()
        self.graph = graph_on(self.file)
        self.server = server
        self.runs = [run for (run,) in self.good.execute("SELECT run FROM runs ORDER BY id")]
        self.tried = 0
        self.failures: list[str] = []
        self.outcomes: dict[str, int] = {}
        self.loop = asyncio.new_event_loop()
        # What is loaded when it is first needed is loaded now: by good runs, and by runs with common damages.
        import ragweave.orchestrator.language.reasons
        import ragweave.orchestrator.running.answers
        import ragweave.orchestrator.running.overrides  # noqa: F401

        for sql in ("", "UPDATE runs SET status = 5", "UPDATE segments SET body = x'00'", "DELETE FROM stored"):
            self.attempt("warming", sql_of(sql), arm=False)
        assert not self.failures, self.failures
        self.tried, self.outcomes, self.step = 0, {}, step
        sys.addaudithook(watch)
        signal.signal(signal.SIGALRM, _alarm)

    def attempt(self, name: str, damage: Damage, *, arm: bool = True) -> None:
        """Do a damage, and everything that can be done with runs; of many damages each so many-th."""
        self.count += 1
        if self.count % self.step:
            return
        store = self._damaged(damage)
        if store is None:
            return
        self.tried += 1
        self.graph._store = store  # the graph stays: to make one loads and compiles things
        for title, use in uses(self.graph, store, self.runs):
            try:
                with watched() if arm else contextlib.nullcontext():
                    self.loop.run_until_complete(use())
            except (JournalError, InputError) as error:
                self.outcomes[type(error).__name__] = self.outcomes.get(type(error).__name__, 0) + 1
            except RunError as error:
                if not isinstance(error.__cause__, (RagweaveError, type(None))):
                    self.failures.append(f"{name}: {title}: {error!r} of {error.__cause__!r}")
            except (Exception, Refused, Hangs) as error:
                self.failures.append(f"{name}: {title}: {type(error).__name__}: {error}"[:400])
            else:
                self.outcomes["fine"] = self.outcomes.get("fine", 0) + 1
            if seen:
                self.failures.append(f"{name}: {title}: {seen.pop()}")
                seen.clear()
        self.loop.run_until_complete(store.close())

    def _damaged(self, damage: Damage) -> DurableStore | None:
        """A store on rows with a damage; None if the database does not take them."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink(missing_ok=True)
        copy = sqlite3.connect(self.file)
        self.good.backup(copy)
        try:
            damage(copy)
            copy.commit()
            if self.server is not None:
                return self.server.store_of(copy)
        except sqlite3.ProgrammingError:  # closed, for it replaced the file
            if self.server is not None:
                return None
        except (sqlite3.IntegrityError, OverflowError):
            return None
        finally:
            copy.close()
        return DurableStore(SqliteDatabase(self.file))


def uses(graph: Graph, store: DurableStore, runs: list[str]) -> list[tuple[str, Callable[[], Awaitable[object]]]]:
    """Everything that reads, goes on with or removes a run; what changes most comes last."""
    first, second, third, last = runs
    return [
        ("record", lambda: store.record(first)),
        ("events", lambda: store.events(first)),
        ("events of another", lambda: store.events(last)),
        ("bundle", lambda: store.bundle(first)),
        ("runs", store.runs),
        ("runs of a thread", lambda: store.runs(thread_id="t", tenant="", status="parked")),
        ("crashed", store.crashed),
        ("waiting", lambda: waiting(store)),
        ("cached", lambda: store.cached("key")),
        ("blob", lambda: asyncio.to_thread(store.blob, SHA)),
        ("resume", lambda: graph.aresume(first, answers={"sign#1": True}, on="current")),
        ("cache", lambda: store.cache("key", {"said": "new"}, 60.0, run_id=third)),
        ("adopt", lambda: store.adopt(third, "w", "files")),
        ("delete a run", lambda: store.delete(run_id=second)),
        ("gc", store.gc),
        ("delete a thread", lambda: store.delete(thread_id="t", tenant="bob")),
        ("delete a tenant", lambda: store.delete(tenant="")),
    ]


def main() -> None:
    folder, what, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    corpus = Corpus(folder, step, Server(sys.argv[4]) if sys.argv[4:] else None)
    began = time.monotonic()
    DAMAGES[what](corpus)
    for failure in corpus.failures[:40]:
        print(failure)
    seconds = time.monotonic() - began
    print(f"{what}: {corpus.tried} damages, {corpus.outcomes}, {len(corpus.failures)} failures, {seconds:.1f} s")
    sys.exit(bool(corpus.failures))


if __name__ == "__main__":
    main()
