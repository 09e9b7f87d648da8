"""The example chat servers, each started and talked to."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypedDict

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.graph import Graph
from tests.conventions.documents import blocks
from tests.conventions.sources import ROOT
from tests.examples.servers import FOUR, WARRANTY, free_port, indexed, served, started


class Said(TypedDict):
    answer: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, indexed."""
    return indexed(tmp_path_factory.mktemp("embed"))


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as (kind, data)."""
    kind = ""
    async for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


async def test_fastapi_streams_tokens_and_the_answer_with_its_sources(folder: Path) -> None:
    with served(folder, "fastapi_sse") as address:
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:

            async def ask(**turn: Any) -> list[tuple[str, dict[str, Any]]]:
                async with client.stream("POST", "/chat", json=turn) as reply:
                    assert reply.headers["content-type"].startswith("text/event-stream")
                    return [event async for event in events(reply.aiter_lines())]

            got = await ask(question=WARRANTY, thread_id="ann")
            tokens = "".join(data["text"] for kind, data in got if kind == "token")
            assert got[-1][0] == "answer"
            assert FOUR in got[-1][1]["text"]
            assert FOUR in tokens
            assert [(one["source"], one["line"]) for one in got[-1][1]["sources"]] == [("warranty.md", 3)]
            got = await ask(question="Who is the king of Spain?")
            assert got[-1][1]["text"] == "I do not know. Please write to help@lamps.example."
            assert got[-1][1]["sources"] == []
            got = await ask(question=WARRANTY, overrides={"top_k": 0})
            wrong = {"kind": "error", "text": "override 'top_k': expected more than 0, found 0"}
            assert got == [("error", wrong)]
            several = await asyncio.gather(*(ask(question=WARRANTY, thread_id=f"t{at}") for at in range(8)))
            assert all(FOUR in got[-1][1]["text"] for got in several)


async def test_a_websocket_is_a_conversation(folder: Path) -> None:
    port = free_port()
    with started(folder, ["websocket.py", str(port)], r"(listening)"):
        async with asyncio.timeout(240), connect(f"ws://127.0.0.1:{port}") as client:
            await client.send(WARRANTY)
            got = [json.loads(await client.recv())]
            while got[-1]["kind"] != "answer":
                got.append(json.loads(await client.recv()))
            assert FOUR in "".join(one.get("text", "") for one in got if one["kind"] == "token")
            assert FOUR in got[-1]["text"]
            for _ in range(3):  # faster than answers come: the newest question is answered in any case
                await client.send("What does delivery cost?")
            while "4.90" not in got[-1].get("text", "") or got[-1]["kind"] != "answer":
                got.append(json.loads(await asyncio.wait_for(client.recv(), 120)))


async def test_the_server_of_the_guide_runs_as_it_is_printed(tmp_path: Path) -> None:
    for block in blocks((ROOT / "docs/chatbots.md").read_text(encoding="utf-8")):
        if "file" in block.marks:
            (tmp_path / block.marks["file"]).parent.mkdir(exist_ok=True)
            (tmp_path / block.marks["file"]).write_text(block.text, encoding="utf-8")
    index = [sys.executable, "-m", "ragweave", "index", "bot.yaml"]
    await asyncio.to_thread(subprocess.run, index, cwd=tmp_path, check=True, capture_output=True)
    with served(tmp_path, "server") as address:
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            reply = await client.post("/chat", params={"question": "Who brings a floor lamp?"})
    told = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
    assert "Floor lamps are brought by a carrier" in "".join(one["text"] for one in told if one["kind"] == "token")
    assert [one["source"] for one in told[-1]["sources"]] == ["delivery.md"]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  # what is waited for sets no event
            await asyncio.sleep(0.01)


def example(name: str, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of an example, in front of this graph."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples/embed" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "graph", graph)
    return module


def endless(gone: list[int]) -> Graph:
    """A graph that speaks until it is stopped: quickly, or with pauses longer than the test."""

    async def say(question: str, ctx: Context) -> Said:
        try:
            while True:
                await ctx.emit("word ")
                await asyncio.sleep(0.01 if len(question) % 2 else 30)
        finally:
            gone.append(1)

    nodes, edges = {"say": say}, ["start -> say -> end"]
    return Graph(inputs={"question": "str"}, outputs=["answer"], nodes=nodes, edges=edges, turns="interrupt")


@pytest.mark.parametrize("manners", ["goodbye", "none"])
async def test_a_socket_that_closes_ends_its_runs(manners: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[int] = []
    graph = endless(gone)
    module = example("websocket", graph, monkeypatch)
    async with serve(module.talk, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        clients = [await connect(f"ws://127.0.0.1:{port}") for _ in range(20)]
        tasks = len(asyncio.all_tasks())
        for at, client in enumerate(clients):
            await client.send("x" * (1 + at))
            assert json.loads(await client.recv())["kind"] == "token"
        assert len(graph._active) == 20
        for client in clients:
            if manners == "none":
                client.transport.abort()
            else:
                await client.close()
        await until(lambda: not graph._active and len(asyncio.all_tasks()) <= tasks)
    assert len(gone) == 20
    assert {record.status for record in await graph.runs()} == {"cancelled"}


async def test_nothing_is_left_of_clients_that_go_away(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[int] = []
    graph = endless(gone)
    module = example("fastapi_sse", graph, monkeypatch)
    monkeypatch.setattr(module.gc, "freeze", lambda: None)  # it would hold for all tests that follow
    server = uvicorn.Server(uvicorn.Config(module.app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    tasks = len(asyncio.all_tasks())
    port = server.servers[0].sockets[0].getsockname()[1]

    async def leave(at: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps({"question": "x" * (1 + at)}).encode()
        head = (
            f"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readuntil(b"event: token")
        writer.close()

    await asyncio.gather(*(leave(at) for at in range(40)))
    await until(lambda: not graph._active and len(asyncio.all_tasks()) <= tasks)
    assert len(gone) == 40
    assert {record.status for record in await graph.runs()} == {"cancelled"}
    server.should_exit = True
    await serving
