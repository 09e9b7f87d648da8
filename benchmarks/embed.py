"""Streaming to many chat windows at once: `python benchmarks/embed.py`.

The example `examples/embed/fastapi_sse.py` is served by uvicorn in a process of its own, over a graph whose model takes
200 ms to its first token and 50 ms to each further one. 200 clients talk to it over loopback; what is reported is how
much later than the model's own 200 ms their first token is there. Then 200 clients go away in the middle of an answer,
and the server is asked what of their runs is left.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

CLIENTS, ASKS = 200, 3
DELAY, PACE, WORDS = 0.2, 0.05, 40
GOAL = 0.05
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "embed"
GRAPH = f"""
schema: ragweave/v1
inputs: {{question: str}}
outputs: [answer]
models:
  chat:
    type: scripted
    replies: [{{when: "/./", text: "{"word " * WORDS}", delay: {DELAY}, pace: {PACE}}}]
nodes: {{answer: {{type: generator, model: chat, prompt: plain}}}}
prompts: {{plain: {{text: "{{{{ question }}}}", variables: {{question: str}}}}}}
edges: [start -> answer -> end]
"""
console = Console(width=120)


def serve() -> None:
    """Serve the example over this graph, with a way to ask what is going on."""
    sys.path.insert(0, str(EXAMPLE))
    import fastapi_sse
    import uvicorn

    from ragweave import Graph

    fastapi_sse.graph = Graph.parse(GRAPH)

    @fastapi_sse.app.get("/left")
    async def left() -> dict[str, int]:
        return {"tasks": len(asyncio.all_tasks()), "runs": len(Graph._active)}

    uvicorn.run(fastapi_sse.app, port=0, log_level="info", access_log=False)


async def talk(port: int, name: str, *, first_only: bool = False) -> float:
    """Ask once and read the answer, or go away after its first token; seconds to the first token."""
    body = json.dumps({"question": "Tell me a story.", "thread_id": name}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        begin = time.perf_counter()
        head = (
            f"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await reader.readuntil(b"event: token")
        first = time.perf_counter() - begin
        if not first_only:
            await ended(reader)
        return first
    finally:
        writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    """Read on until the answer has come, with as little work as can be: this process shares the machine."""
    tail = b""
    while b"event: answer" not in tail:
        piece = await reader.read(65536)
        if not piece:
            raise SystemExit(f"the server hung up: {tail!r}")
        tail = tail[-20:] + piece


async def visit(port: int, at: int, spread: float) -> list[float]:
    """One client: it comes some time within `spread` seconds, and asks again after short pauses."""
    took = []
    for turn in range(ASKS if spread else 1):
        await asyncio.sleep(random.uniform(0, spread if turn == 0 else 1))
        took.append(await talk(port, f"client {at}") - DELAY)
    return took


async def left(port: int) -> dict[str, int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /left HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    reply = await reader.read()
    writer.close()
    found: dict[str, int] = json.loads(reply.rpartition(b"\r\n")[2])
    return found


async def measure(port: int) -> bool:
    """Print the numbers; False if a goal is missed."""
    gc.disable()  # the clients' own pauses are not the server's
    await asyncio.gather(*(talk(port, f"warm {at}") for at in range(4)))
    before = await left(port)
    alone = [await talk(port, "alone") - DELAY for _ in range(5)]
    came = [one for row in await asyncio.gather(*(visit(port, at, 2.5) for at in range(CLIENTS))) for one in row]
    burst = [one for row in await asyncio.gather(*(visit(port, at, 0) for at in range(CLIENTS))) for one in row]
    await asyncio.gather(*(talk(port, f"gone {at}", first_only=True) for at in range(CLIENTS)))
    begin = time.perf_counter()
    while (after := await left(port))["runs"] or after["tasks"] > before["tasks"]:
        if time.perf_counter() - begin > 10:
            break
        await asyncio.sleep(0.02)
    table = Table("first token, above the model's own", "p50 ms", "p99 ms", "goal")
    for name, took, goal in (
        ("one client", alone, ""),
        (f"{CLIENTS} clients, each asking {ASKS} times", came, f"{GOAL * 1000:.0f}"),
        (f"{CLIENTS} clients in the same instant", burst, ""),
    ):
        took.sort()
        table.add_row(name, f"{took[len(took) // 2] * 1000:.1f}", f"{took[int(len(took) * 0.99)] * 1000:.1f}", goal)
    console.print(table)
    runs, tasks = after["runs"], max(after["tasks"] - before["tasks"], 0)
    waited = time.perf_counter() - begin
    console.print(f"after {CLIENTS} disconnects: {runs} runs and {tasks} tasks left, {waited:.2f} s later")
    came.sort()
    return came[int(len(came) * 0.99)] <= GOAL and not runs and not tasks


def main() -> None:
    """Start the server, measure, stop it."""
    if sys.argv[1:] == ["serve"]:
        serve()
        return
    command = [sys.executable, "-u", __file__, "serve"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = ""
            for line in server.stderr:
                said += line
                if "running on" in line:
                    break
            else:
                raise SystemExit(said)
            port = int(line.split("http://127.0.0.1:")[1].split()[0])
            good = asyncio.run(measure(port))
        finally:
            server.terminate()
    sys.exit(not good)


if __name__ == "__main__":
    main()
