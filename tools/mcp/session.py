"""A session with an MCP server: opened once, used from any event loop, opened again when the server has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ragweave.orchestrator.errors import Lost, NodeError, ResourceError
from ragweave.orchestrator.running.bridge import elsewhere, wait_for

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, Tool

MOST_TOOLS = 1_000
"""More are not read: a server that lists without end would be listened to without end."""


class Session:
    """Calls of one server. The client lives on the loop of the sync bridge, in a task of its own, since what it opens
    has to be closed by the task that opened it."""

    def __init__(self, connect: Callable[[], Client], shown: str, seconds: float) -> None:
        """`shown` is the server in messages, `seconds` the longest that it may take to start."""
        self._connect, self._shown, self._seconds = connect, shown, seconds
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._opening = asyncio.Lock()

    def tools(self) -> list[Tool]:
        """What the server offers. Blocks, and must not be called on an event loop. Raises ResourceError."""
        return wait_for(self._tools())

    async def call(self, name: str, arguments: dict[str, Any], seconds: float) -> CallToolResult:
        """The result of a call. Raises NodeError where the server cannot be asked or refuses, and Lost where it was
        asked and no result came: it ended, took longer than `seconds`, or answered what nobody can read."""
        return await elsewhere(self._call(name, arguments, seconds))

    async def close(self) -> None:
        """End the session, and the server's process if it was started for it."""
        await elsewhere(self._close())

    async def _tools(self) -> list[Tool]:
        client, found, cursor = await self._opened(), [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if not cursor or len(found) >= MOST_TOOLS:
                return found

    async def _call(self, name: str, arguments: dict[str, Any], seconds: float) -> CallToolResult:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, PARSE_ERROR, REQUEST_TIMEOUT

        client = await self._opened()  # what fails here was not asked yet
        try:
            return await client.call_tool(name, arguments, read_timeout_seconds=seconds)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                await self._close()
                raise Lost(f"{self._shown} has ended; the next call starts it again") from None
            if error.code == REQUEST_TIMEOUT:
                raise Lost(f"{self._shown} did not answer within {seconds:g} s") from None
            if error.code == PARSE_ERROR:
                raise Lost(f"{self._shown} answered what cannot be read: {error}") from None
            raise NodeError(f"{self._shown}: {error}") from None
        except ValidationError:
            raise Lost(f"{self._shown} answered what is no result of a tool") from None
        except (OSError, RuntimeError) as error:
            await self._close()
            raise Lost(f"{self._shown} was lost: {_told(error)}") from None

    async def _opened(self) -> Client:
        async with self._opening:
            if self._task is None or self._task.done():
                ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
                self._leave = asyncio.Event()
                self._task = asyncio.create_task(self._live(ready))
                try:
                    async with asyncio.timeout(self._seconds):
                        self._client = await asyncio.shield(ready)
                except TimeoutError:
                    await self._close()
                    raise ResourceError(f"{self._shown} did not answer within {self._seconds:g} s") from None
                except BaseException:  # whoever comes next must not find it half open
                    await self._close()
                    raise
            assert self._client is not None
            return self._client

    async def _live(self, ready: asyncio.Future[Client]) -> None:
        """Hold the client open until it is to be left."""
        try:
            async with self._connect() as client:
                ready.set_result(client)
                await self._leave.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(ResourceError(f"{self._shown} cannot be reached: {_told(error)}"))
            elif not isinstance(error, Exception):
                raise

    async def _close(self) -> None:
        self._leave.set()
        task, self._task, self._client = self._task, None, None
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                done, _ = await asyncio.wait({task}, timeout=5)
                if not done:
                    task.cancel()
                    await asyncio.wait({task}, timeout=5)


def _told(error: BaseException) -> str:
    """What went wrong, of a group of errors the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


@contextlib.asynccontextmanager
async def by_http(url: str, headers: Mapping[str, str]) -> AsyncIterator[Any]:
    """The streams to an address, with these headers in each request."""
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    async with (
        create_mcp_http_client(headers=dict(headers)) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams
