"""A graph as an MCP server: one tool, whose arguments are the inputs and whose result the outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import InputError, RagweaveError
from ragweave.orchestrator.interop.telling import arguments_of, told
from ragweave.orchestrator.result import plain

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from ragweave.orchestrator.graph import Graph


def server_of(graph: Graph) -> Server[Any]:
    """The server, for any transport of the SDK. Raises InputError for a graph without a description.

    A run that fails, or that asks a person, is an error for the caller, who is told why; it ends when the caller goes.
    """
    from mcp import types
    from mcp.server.lowlevel import Server

    spec = graph.plan.spec
    if not spec.description:
        raise InputError(
            f"a server needs a description, by which a model knows when to call it, and {graph.name!r} has none",
            hint="write `description:` in the graph",
        )
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", graph.name)
    tool = types.Tool(name=name, description=spec.description, input_schema=arguments_of(graph))

    async def offered(ctx: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[tool])

    async def called(ctx: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        if params.name != name:
            return _failed(f"there is no tool {params.name!r}; there is: {name}")
        try:
            result = await graph.arun(dict(params.arguments or {}))
        except RagweaveError as error:
            return _failed(str(error))
        if result.status == "parked":
            questions = "; ".join(ask.question for ask in result.asks.values())
            await graph.cancel(result.run_id)
            return _failed(f"the run asks a person, and there is nobody here: {questions}")
        outputs = {key: plain(value) for key, value in result.outputs.items()}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=told(result.outputs))], structured_content=outputs
        )

    def _failed(said: str) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(type="text", text=said)], is_error=True)

    return Server(
        name, version=spec.version or "", instructions=spec.description, on_list_tools=offered, on_call_tool=called
    )


async def serve_stdio(graph: Graph) -> None:
    """Serve over this process's standard streams until they are closed."""
    from mcp.server.stdio import stdio_server

    server = server_of(graph)
    async with graph, stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def serve_http(graph: Graph, host: str, port: int) -> None:
    """Serve at http://HOST:PORT/mcp until the process is told to end."""
    import uvicorn

    app = server_of(graph).streamable_http_app(host=host)
    async with graph:
        await uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="info", access_log=False)).serve()
