"""Connections to judged addresses only. Imported at the first fetch: httpcore takes 0.05 s to load."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

import httpcore

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.egress.addresses import refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host name, best first. Raises OSError if it has none."""


async def by_system(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to a host if all of its addresses are public or opened by name, and to one of the addresses that were
    judged: what the resolver says a moment later does not matter. TLS is still made for the name of the host."""

    def __init__(self, ports: Iterable[int], private: frozenset[tuple[str, int]], resolve: Resolve = by_system) -> None:
        self._ports = frozenset(ports)
        self._private = private
        self._resolve = resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  the name is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first judged address that answers. Raises ToolError if one of them is of the inside."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._judged(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"the name {host} was not resolved in time") from None
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            peer = stream.get_extra_info("server_addr")
            if peer is None or ip_address(str(peer[0])) != ip_address(address):
                await stream.aclose()
                raise ToolError(f"{host!r} is not reached: the connection went elsewhere")
            return stream
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  as above
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never."""
        raise ToolError("sockets of this machine are not reached")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _judged(self, host: str, port: int) -> list[str]:
        name = host.strip("[]")
        try:
            addresses: Sequence[str] = [str(ip_address(name))]
        except ValueError:
            try:
                addresses = await self._resolve(name, port)
            except (OSError, UnicodeError):
                raise ToolError(f"the host {host!r} has no address", hint="check its spelling") from None
        for address in addresses:
            why = refusal(address)
            if why is not None and (address, port) not in self._private:
                # Not the address itself: a model must not learn what the names of the inside stand for.
                raise ToolError(f"{host!r} is not reached: its address is not of the public internet ({why})")
            if why is None and port not in self._ports:
                raise ToolError(f"port {port} of {host!r} is not open")
        return list(addresses)
