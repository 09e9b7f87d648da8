"""Images, sounds and files are kept with the runs that name them: found by whoever goes on, and gone with the last."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest

from ragweave import Graph, RunError
from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.node import node
from ragweave.orchestrator.stores import RunRecord, Store
from ragweave.orchestrator.values import BlobPart, Message, TextPart
from tests.stores.support import bytes_of, contents, store_of
from tests.support.openai_server import OpenAIServer, Reply

PNG = b"\x89PNG\r\n\x1a\n" + random.Random(5).randbytes(5000)
SHA = hashlib.sha256(PNG).hexdigest()
PROMPT = {"text": "{{ question }}", "variables": {"question": "str", "pictures": "list[Part]?"}}


def album(url: str, key: str, store: Store, durability: str = "async") -> Graph:
    return Graph(
        inputs={"question": "str", "pictures": {"type": "list[Part]", "default": []}},
        outputs=["answer"],
        models={"chat": {"type": "openai", "model": "test-model", "base_url": url, "api_key": key}},
        prompts={"ask": PROMPT},
        nodes={"answer": {"type": "generator", "model": "chat", "prompt": "ask"}},
        edges=["start -> answer -> end"],
        durability=durability,
        store=store,
    )


def pictures_in(request: Any) -> list[bytes]:
    (message,) = request.json["messages"]
    urls = [part["image_url"]["url"] for part in message["content"] if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(",")[2]) for url in urls]


@pytest.mark.parametrize("durability", ["async", "sync", "exit"])
@pytest.mark.parametrize("key", [None, secrets.token_hex(32)], ids=["plain", "encrypted"])
async def test_a_failed_run_goes_on_in_another_process_with_its_picture(
    tmp_path: Path, key: str | None, durability: str
) -> None:
    file = tmp_path / "runs.sqlite"
    with OpenAIServer([Reply(status=400), Reply("A cat.")]) as server:
        async with album(server.url, server.key, store_of(file, key), durability) as graph:
            with pytest.raises(RunError) as failed:
                await graph.arun(question="What is this?", pictures=[graph.attach(PNG, name="cat.png")])
        assert (PNG[100:164] in bytes_of(tmp_path)) == (key is None)
        async with album(server.url, server.key, store_of(file, key), durability) as graph:
            result = await graph.aresume(failed.value.run_id)
    assert str(result["answer"]) == "A cat."
    assert [pictures_in(request) for request in server.requests] == [[PNG], [PNG]]


KILLED = """
import sys
from pathlib import Path
from tests.stores.support import store_of
from tests.stores.test_blobs import PNG, album
graph = album(sys.argv[2], sys.argv[3], store_of(Path(sys.argv[1])))
graph.run(question="What is this?", pictures=[graph.attach(PNG)])
"""


def is_journaled(file: Path) -> bool:
    """True once the beginning of the only run of a file is in it."""

    async def found() -> bool:
        store = store_of(file)
        try:
            return any([await store.events(record.run_id) for record in await store.runs()])
        finally:
            await store.close()

    return asyncio.run(found())


def test_a_killed_run_goes_on_with_its_picture(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    with OpenAIServer([Reply(hang=True), Reply("A cat.")]) as server:
        # A process of its own, so that nothing of it is left but the file.
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(file), server.url, server.key])
        try:
            until = time.monotonic() + 120
            while not (server.requests and is_journaled(file)) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
        assert server.requests
        graph = album(server.url, server.key, store_of(file))
        (crashed,) = asyncio.run(store_of(file).crashed())
        result = graph.resume(crashed.run_id)
        graph.close()
    assert str(result["answer"]) == "A cat."
    assert pictures_in(server.requests[1]) == [PNG]


async def test_bytes_that_memory_has_dropped_are_found_where_the_run_is_kept(tmp_path: Path) -> None:
    with OpenAIServer([Reply("A cat.")]) as server:
        async with album(server.url, server.key, store_of(tmp_path / "runs.sqlite")) as graph:
            picture = graph.attach(PNG)
            await graph.arun(question="First?", pictures=[picture])
            graph.blobs.clear()
            await graph.arun(question="Again?", pictures=[picture])
    assert pictures_in(server.requests[1]) == [PNG]


def blob_rows(file: Path) -> list[int]:
    """How often each stored blob is referred to, from rows that are not compressed."""
    rows = contents(file)
    uses = dict(rows["uses"])
    return [uses[number] for number, _, _, body in rows["stored"] if body[5:6] == b"B" or PNG in body]


Write = Callable[[Store, str, Any], Any]


async def write(store: Store, run_id: str, value: Any, *, tenant: str = "", data: bytes | None = PNG) -> None:
    """A run that ended with one value."""
    await store.begin(RunRecord(run_id, f"thread of {run_id}", tenant=tenant))
    append = store.writer(run_id, lambda digest: data if digest == SHA else None)
    append(("run_started", "", "", 0, {"inputs": value}, None, 0, -1, 0, 1.0))
    await store.end(run_id, "done")


PART = BlobPart(type="image", blob=SHA, media_type="image/png")


async def test_a_picture_of_many_runs_is_stored_once_and_goes_with_the_last_of_them(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    store = store_of(file)
    values = [
        PART,
        [PART] * 3,
        Message(role="user", parts=[TextPart(text="Look:" * 100), PART]),
        {"deep": [{"a": PART}]},
    ]
    for number, value in enumerate(values):
        await write(store, f"r{number}", value)
    assert len(blob_rows(file)) == 1
    for number in range(len(values)):
        assert store.blob(SHA) == PNG
        await store.delete(run_id=f"r{number}")
    assert store.blob(SHA) is None
    assert PNG[100:164] not in bytes_of(tmp_path)
    assert contents(file)["stored"] == []
    await store.close()


async def test_a_picture_is_of_one_tenant(tmp_path: Path) -> None:
    store = store_of(tmp_path / "runs.sqlite")
    await write(store, "a", PART, tenant="ada")
    await write(store, "b", PART, tenant="bob", data=None)  # who knows the hash has not got the bytes
    assert store.blob(SHA, "ada") == PNG
    assert store.blob(SHA, "bob") is None
    assert store.blob(SHA) is None
    await write(store, "c", PART, tenant="bob")
    await store.delete(tenant="ada")
    assert (store.blob(SHA, "ada"), store.blob(SHA, "bob")) == (None, PNG)
    await store.close()


async def test_another_run_that_takes_over_a_value_keeps_its_picture_too(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    store = store_of(file)
    await write(store, "old", [PART])
    await store.close()
    store = store_of(file)  # another process: the bytes are in the store alone, the value is plain JSON
    (event,) = await store.events("old")
    await write(store, "fork", event.data["inputs"], data=None)
    await store.delete(run_id="old")
    assert store.blob(SHA) == PNG
    await store.delete(run_id="fork")
    assert store.blob(SHA) is None
    await store.close()


async def test_a_run_that_goes_on_names_its_picture_without_reading_it_again(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    store = store_of(file)
    await write(store, "r", [PART])
    await store.close()
    store = store_of(file)
    await store.take("r")
    (event,) = await store.events("r")
    read: list[str] = []
    append = store.writer("r", read.append)
    append(("finished", "", "n", 1, {"x": event.data["inputs"]}, None, 0, -1, 0, 1.0))
    await store.end("r", "done")
    assert read == []
    assert blob_rows(file) == [2]
    await store.delete(run_id="r")
    assert contents(file)["stored"] == []
    await store.close()


class Drawn(TypedDict):
    picture: Message


async def test_a_cached_result_brings_its_picture_to_other_processes(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    drawn: list[str] = []

    def painter(store: Store) -> Graph:
        @node
        def draw(wish: str) -> Drawn:
            drawn.append(wish)
            return {"picture": Message(role="user", parts=[graph.attach(PNG)])}

        graph = Graph(
            inputs={"wish": "str"}, outputs=["picture"], nodes={"draw": {"type": draw, "cache": {"ttl": "1h"}}},
            edges=["start -> draw -> end"], store=store,
        )  # fmt: skip
        return graph

    async with painter(store_of(file)) as graph:
        first = await graph.arun(wish="a cat")
    async with painter(store_of(file)) as graph:
        second = await graph.arun(wish="a cat")
        assert drawn == ["a cat"]
        assert second["picture"] == first["picture"]
        await graph.store.delete(run_id=first.run_id)
        assert graph.store.blob(SHA) == PNG
        await graph.store.delete(run_id=second.run_id)
        assert graph.store.blob(SHA) is None


@pytest.mark.parametrize("value", [{"blob": SHA}, {"blob": "0" * 64, "type": "image"}, {"blob": 5}, {"blob": "x" * 64}])
async def test_what_only_looks_like_a_picture_comes_back_as_it_was(tmp_path: Path, value: Any) -> None:
    store = store_of(tmp_path / "runs.sqlite")
    await write(store, "r", [value, value])
    (event,) = await store.events("r")
    assert event.data["inputs"] == [value, value]
    await store.delete(run_id="r")
    assert contents(tmp_path / "runs.sqlite")["stored"] == []
    await store.close()


async def test_a_damaged_picture_is_told_and_never_given(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "runs.sqlite"
    store = store_of(file)
    await write(store, "r", PART)
    await store.close()
    connection = sqlite3.connect(file)
    connection.execute("UPDATE stored SET body = substr(body, 1, 200) || x'00' || substr(body, 202)")
    connection.commit()
    connection.close()
    store = store_of(file)
    with pytest.raises(JournalError, match="damaged"):
        store.blob(SHA)
    await store.close()
