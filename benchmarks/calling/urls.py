"""URLs that lead to this machine or its network: asked for directly, by a redirect, and by a name that changes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from tables import Line

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.egress import Browser, Egress
from tests.tools.hostile_urls import HOSTILE, INSIDE

_watching: list[list[tuple[str, int]]] = []


async def urls() -> list[Line]:
    """How many of the hostile URLs made this process connect to an address of the inside."""
    reached = {"direct": 0, "by a redirect": 0, "by a second answer of the resolver": 0}
    async with _serving({}) as (victim, asked):
        browser = Browser(Egress(hosts=("*",), ports=(80, 443, victim), timeout=5), resolve=_resolver(INSIDE))
        for url in HOSTILE:
            reached["direct"] += await _reaches(browser, url.format(p=victim).replace("\\t", "\t"), set())
        pages = {f"/{at}": _ascii(url.format(p=victim)) for at, url in enumerate(HOSTILE)}
        pages["/again"] = f"http://flip.example.org:{victim}/"
        async with _serving(pages) as (web, _):
            policy = Egress(hosts=("*",), ports=(80, victim), allow_private=(f"127.0.0.1:{web}",), timeout=5)
            known = {("127.0.0.1", web)}
            browser = Browser(policy, resolve=_resolver(INSIDE))
            for at in range(len(HOSTILE)):
                reached["by a redirect"] += await _reaches(browser, f"http://127.0.0.1:{web}/{at}", known)
            for path in ("/", "/again"):  # a name that is allowed when it is judged, and leads elsewhere a moment later
                browser = Browser(policy, resolve=_resolver({"flip_example_org": ["127.0.0.1", "10.0.0.7"]}))
                flipped = await _reaches(browser, f"http://flip.example.org:{web}{path}", known)
                reached["by a second answer of the resolver"] += flipped
        seen = len(asked)
    said = f"{sum(reached.values())} of {len(HOSTILE)} URLs, direct and by redirect, and of a name that changes"
    met = len(HOSTILE) >= 40 and not any(reached.values()) and not seen
    told = tuple(f"hostile URLs that connected, {kind}: {count}" for kind, count in reached.items() if count)
    return [Line("hostile URLs that reach the inside", "0 of at least 40", said, met, told)]


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple):
        for seen in _watching:
            seen.append(args[1][:2])


sys.addaudithook(_audit)  # for as long as the process lives: a hook cannot be taken back


async def _reaches(browser: Browser, url: str, known: set[tuple[str, int]]) -> bool:
    """True if anything but the servers that are known was connected to."""
    seen: list[tuple[str, int]] = []
    _watching.append(seen)
    with suppress(ToolError):
        await browser.fetch(url)
    _watching.remove(seen)
    return bool(set(seen) - known)


def _ascii(url: str) -> str:
    return url.encode("ascii", "replace").decode().replace("\\t", "%09").replace("\t", "%09")


def _resolver(known: dict[str, Any]) -> Any:
    """Knows some names (`_` stands for a dot); each call takes the next answer of a list."""
    answers = {name.replace("_", "."): [one] if isinstance(one, str) else [*one] for name, one in known.items()}

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host not in answers:
            raise OSError(host)
        left = answers[host]
        return (left.pop(0) if len(left) > 1 else left[0]).split()

    return resolve


@asynccontextmanager
async def _serving(pages: dict[str, str]) -> AsyncIterator[tuple[int, list[str]]]:
    """The port of a server that redirects by path, and what it is asked."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = head.split(" ")[1]
        asked.append(path)
        status = f"302 Found\r\nLocation: {pages[path]}" if path in pages else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked
