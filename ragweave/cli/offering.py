"""The commands that offer a graph to other programs, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragweave.cli.failures import guarded
from ragweave.cli.past import Plugins


@guarded
def mcp(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="A graph file.", show_default=False)],
    port: Annotated[
        int | None, typer.Option(help="Serve at http://HOST:PORT/mcp; without it, over the standard streams.")
    ] = None,
    host: Annotated[str, typer.Option(help="Whom to listen for: only this machine by default.")] = "127.0.0.1",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen for others too, although nobody is asked who they are.")
    ] = False,
    plugin: Plugins = None,
) -> int:
    """Serve a graph as a tool, by the Model Context Protocol."""
    from ragweave.cli.serving import serve

    return serve(graph, host, port, plugin or [], insecure=insecure)


COMMANDS = (mcp,)
