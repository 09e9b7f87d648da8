"""Of what was deleted, no byte is left in the files; what is others' is whole."""

from __future__ import annotations

import json
import random
import secrets
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.blobs import Blobs
from ragweave.orchestrator.stores import RunRecord, Store
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Message, TextPart
from tests.stores.support import bytes_of, contents, store_of

OWNERS = [("acme", "ada", "t1"), ("acme", "ada", "t2"), ("acme", "bob", "t1"), ("globex", "ada", "t1")]
"""Tenant, user and thread of the runs: ids of users and threads are used again by others."""


def words(owner: tuple[str, str, str], length: int) -> str:
    """A text of one owner that does not compress, so that each word of it would be found in the files."""
    numbers = random.Random("/".join(owner) + str(length))
    return " ".join(f"{'-'.join(owner)}:{numbers.getrandbits(128):032x}" for _ in range(length))


def values(owner: tuple[str, str, str], picture: str) -> dict[str, Any]:
    return {
        "short": words(owner, 1),
        "long": words(owner, 30),
        "squeezed": "-".join(owner) * 2000,
        "list": [f"{number} {words(owner, 9)}" for number in range(100)],
        "said": Message(role="user", parts=[TextPart(text=words(owner, 12))]),
        "shared": "what all of them say " * 100,
        "picture": {"type": "image", "blob": picture},
    }


async def fill(store: Store) -> dict[tuple[str, str, str], bytes]:
    """Runs of everybody, with pictures, files of their graphs and cached results; gives the pictures."""
    pictures, blobs = {}, Blobs()
    for owner in OWNERS:
        tenant, user, thread = owner
        pictures[owner] = random.Random(str(owner)).randbytes(9000)
        picture = blobs.put(pictures[owner])
        for number in range(3):
            run = f"{'-'.join(owner)}-{number}"
            await store.begin(RunRecord(run, thread, "g", user=user, tenant=tenant), bundle=words(owner, 40))
            append = store.writer(run, blobs.get)
            append(("run_started", "", "", 0, {"inputs": values(owner, picture)}, None, 0, -1, 0, 1.0))
            append(("finished", "", "n", 1, values(owner, picture), None, 0, 0, 1, 2.0))
            await store.cache(f"key of {run}", values(owner, picture), 1000.0, run_id=run, tenant=tenant)
            await store.end(run, "done")
    return pictures


DELETIONS: dict[str, tuple[dict[str, str], list[int]]] = {
    "thread of a user": ({"thread_id": "t1", "user": "ada", "tenant": "acme"}, [0]),
    "thread of a tenant": ({"thread_id": "t1", "tenant": "acme"}, [0, 2]),
    "user": ({"user": "ada", "tenant": "acme"}, [0, 1]),
    "tenant": ({"tenant": "acme"}, [0, 1, 2]),
    "other tenant": ({"tenant": "globex"}, [3]),
}
"""What is given to `delete`, and whose runs it removes."""


def traces(kept: bytes, owner: tuple[str, str, str], picture: bytes) -> list[str]:
    """What can be found of an owner in bytes."""
    found = ["its name"] if "-".join(owner).encode() in kept else []
    for length in (1, 9, 12, 30, 40):
        secret = words(owner, length).split(":")
        found += [word for word in secret if word[:32].encode() in kept and len(word) >= 32]
    return found + [f"picture at {at}" for at in range(0, 9000, 500) if picture[at : at + 24] in kept]


@pytest.mark.parametrize("name", DELETIONS)
@pytest.mark.parametrize("key", [None, secrets.token_hex(32)], ids=["plain", "encrypted"])
@pytest.mark.parametrize("reopened", [False, True], ids=["going", "reopened"])
async def test_of_what_was_deleted_no_byte_is_left(tmp_path: Path, name: str, key: str | None, reopened: bool) -> None:
    what, numbers = DELETIONS[name]
    file = tmp_path / "runs.sqlite"
    store = store_of(file, key)
    pictures = await fill(store)
    if reopened:
        await store.close()
        store = store_of(file, key)
    gone, left = [OWNERS[at] for at in numbers], [one for at, one in enumerate(OWNERS) if at not in numbers]
    if key is None and reopened:
        before = bytes_of(tmp_path)
        assert all(traces(before, owner, pictures[owner]) for owner in OWNERS)
    names = {row[2] for row in contents(file)["stored"]}
    removed = await store.delete(**what)
    assert (removed.runs, removed.cached) == (3 * len(gone), 3 * len(gone))
    kept = bytes_of(tmp_path)
    for owner in gone:
        assert traces(kept, owner, pictures[owner]) == []
    lost = names - {row[2] for row in contents(file)["stored"]}
    assert len(lost) > 100
    assert not any(hash_ in kept for hash_ in lost), "what a value was called tells that it was there"
    for owner in left:
        await whole(store, owner, pictures[owner])
    await store.close()
    kept = bytes_of(tmp_path)
    for owner in gone:
        assert traces(kept, owner, pictures[owner]) == []
    assert sqlite3.connect(file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def whole(store: DurableStore, owner: tuple[str, str, str], picture: bytes) -> None:
    """Everything of an owner is as it was."""
    digest = Blobs().put(picture)
    given = values(owner, digest)
    plain = {**given, "said": given["said"].model_dump(mode="json")}
    for number in range(3):
        run = f"{'-'.join(owner)}-{number}"
        started, finished = await store.events(run)
        assert json.dumps(started.data["inputs"]) == json.dumps(dict(finished.data)) == json.dumps(plain)
        assert await store.bundle(run) == words(owner, 40)
        assert await store.cached(f"key of {run}", owner[0]) == plain
    assert store.blob(digest, owner[0]) == picture


async def test_the_last_tenant_leaves_an_empty_file(tmp_path: Path) -> None:
    store = store_of(tmp_path / "runs.sqlite")
    await fill(store)
    full = len(bytes_of(tmp_path))
    for tenant in ("acme", "globex"):
        await store.delete(tenant=tenant)
    left = contents(tmp_path / "runs.sqlite")
    assert {table for table, rows in left.items() if rows} <= {"facts", "sqlite_sequence"}
    assert len(bytes_of(tmp_path)) < full / 4
    await store.close()


@pytest.mark.parametrize("name", DELETIONS)
async def test_memory_removes_the_same_runs(name: str) -> None:
    what, numbers = DELETIONS[name]
    store = MemoryStore()
    await fill(store)
    assert (await store.delete(**what)).runs == 3 * len(numbers)
    left = {(run.tenant, run.user, run.thread_id) for run in await store.runs()}
    assert left == {owner for at, owner in enumerate(OWNERS) if at not in numbers}
