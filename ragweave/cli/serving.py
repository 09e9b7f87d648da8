"""`ragweave mcp`: a graph as a tool of whoever speaks the Model Context Protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ragweave.cli.graphs import open_graph
from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import note

_PACKAGES = ("mcp", "mcp_types", "uvicorn", "starlette")
"""What the extra brings."""
_HERE = ("127.0.0.1", "localhost", "::1")
"""Where requests of other hosts and origins are refused."""


def serve(path: Path, host: str, port: int | None, plugins: Sequence[str], *, insecure: bool) -> int:
    """Serve over the standard streams, or with a port at an address, until told to end. Raises RagweaveError."""
    from ragweave.orchestrator.errors import InputError, MissingExtra

    if port is not None and host not in _HERE and not insecure:
        raise InputError(
            f"at {host!r} everybody who reaches this machine could run the graph, at your cost",
            hint="put a server before it that asks who they are, or say --insecure",
        )
    graph = open_graph(path, plugins)
    graph.resources.notice = note  # standard output is the protocol's
    try:
        from ragweave.orchestrator.interop.mcp import serve_http, serve_stdio, server_of

        server_of(graph)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise  # not installing it would mend that
        raise MissingExtra("ragweave mcp", "mcp", "mcp") from None
    with unwinding():
        if port is None:
            asyncio.run(serve_stdio(graph))
        else:
            note(f"{graph.name} is served at http://{host}:{port}/mcp")
            asyncio.run(serve_http(graph, host, port))
    return 0
