"""Tools that end the program, give what JSON has no word for, or say of themselves what there is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from ragweave import Graph, tool
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import PluginError
from ragweave.orchestrator.values import ToolCall, ToolResult


def results(*functions: Callable[..., Any]) -> list[ToolResult]:
    names = [function.__name__ for function in functions]
    graph = Graph(
        inputs={"tool_calls": "list[ToolCall]"},
        outputs=["tool_results"],
        nodes={"act": {"type": "tool_executor", "tools": names}},
        edges=["start -> act -> end"],
    )
    return list(graph.run(tool_calls=[ToolCall(id=name, name=name, arguments={}) for name in names])["tool_results"])


def test_a_tool_that_ends_the_program_is_one_that_fails() -> None:
    with registry.scope():

        @tool
        async def leaves() -> str:
            """Leave."""
            sys.exit(3)

        @tool
        def quits() -> str:
            """Quit."""
            raise SystemExit

        @tool
        def stays() -> str:
            """Stay."""
            return "here"

        left, quitted, stayed = results(leaves, quits, stays)
    assert left.error == "SystemExit: 3"
    assert quitted.error.startswith("SystemExit")
    assert stayed.content == "here"


def test_bytes_and_sets_are_told_in_words() -> None:
    with registry.scope():

        @tool
        def text() -> bytes:
            """Text."""
            return "Grüße".encode()

        @tool
        def picture() -> bytes:
            """Picture."""
            return b"\xff\x00" * 600

        @tool
        def colours() -> dict[str, set[str]]:
            """Colours."""
            return {"of": {"red", "blue"}}

        told = [one.content for one in results(text, picture, colours)]
    assert told == ["Grüße", "1,200 bytes that are no text", '{"of": ["blue", "red"]}']


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"effects": "reads"}, r"the tool 'look' cannot have the effects 'reads'; did you mean 'read'\?"),
        ({"effect": "read"}, r"@tool has no setting 'effect'; did you mean 'effects'\?"),
        ({"retries": 3}, r"@tool has no setting 'retries'; there is: description, effects,"),
    ],
)
def test_a_tool_says_of_itself_what_there_is(settings: dict[str, Any], said: str) -> None:
    def look() -> str:
        """Look."""
        return ""

    with registry.scope(), pytest.raises(PluginError, match=said):
        tool(**settings)(look)
