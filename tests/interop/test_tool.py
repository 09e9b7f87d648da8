"""A graph as a tool: called directly, by a message, and by an agent."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import StructuredTool, ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool

from ragweave import Graph
from ragweave.orchestrator.errors import InputError
from tests.interop.things import TEXTS, shelf, speaker


class Text(TypedDict):
    text: str


def notes(*replies: str, **more: Any) -> Graph:
    return Graph(
        name="notes",
        description="Answers from the notes of the house.",
        inputs={
            "question": {"type": "str", "description": "A whole question."},
            "tags": {"type": "list[str]", "default": []},
        },
        outputs=["answer", "documents"],
        retrievers={"notes": shelf()},
        models={"chat": speaker(*replies)},
        nodes={
            "find": {"type": "retriever", "retriever": "notes", "top_k": 1},
            "say": {"type": "generator", "model": "chat"},
        },
        edges=["start -> find -> say -> end"],
    )


def test_a_model_is_told_the_inputs() -> None:
    tool = notes().as_tool()
    assert isinstance(tool, StructuredTool)
    assert convert_to_openai_tool(tool)["function"] == {
        "name": "notes",
        "description": "Answers from the notes of the house.",
        "parameters": {
            "type": "object",
            "properties": {
                "question": {"type": "string", "description": "A whole question."},
                "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            },
            "required": ["question"],
        },
    }
    named = notes().as_tool(name="house", description="Ask.")
    assert (named.name, named.description) == ("house", "Ask.")


async def test_a_call_gives_text_with_sources_and_the_outputs_beside_it() -> None:
    tool = notes("Under the mat [1].", "Under the mat [1].").as_tool(output="answer")
    wanted = "Under the mat [1].\n\n[1] Note 0"
    assert await tool.ainvoke({"question": "where is the key"}) == wanted
    message = await tool.ainvoke(
        {"type": "tool_call", "id": "7", "name": "notes", "args": {"question": "where is the key"}}
    )
    assert isinstance(message, ToolMessage)
    assert (message.content, message.tool_call_id) == (wanted, "7")
    assert message.artifact["documents"][0].page_content == TEXTS[0]


def test_several_outputs_are_all_told() -> None:
    told = notes("So.").as_tool().invoke({"question": "where is the key"})
    assert told == f"answer:\nSo.\n\ndocuments:\n[1] Note 0\n{TEXTS[0]}"


def test_an_agent_uses_a_graph() -> None:
    call = AIMessage(
        "", tool_calls=[{"name": "notes", "args": {"question": "the key"}, "id": "1", "type": "tool_call"}]
    )
    model = speaker(call, "It is under the mat.")
    agent: Any = create_agent(model, tools=[notes("Under the mat [1].").as_tool(output="answer")])
    state = agent.invoke({"messages": [("user", "Where is my key?")]})
    assert state["messages"][-1].text == "It is under the mat."
    assert model.asked[1][-1].text == "Under the mat [1].\n\n[1] Note 0"


def test_a_failure_can_be_told_to_the_model() -> None:
    def fail(question: str) -> Text:
        raise ConnectionError("the line is dead")

    graph = Graph(
        inputs={"question": "str"},
        outputs=["text"],
        nodes={"x": fail},
        edges=["start -> x -> end"],
        description="Calls.",
    )
    tool = graph.as_tool()
    with pytest.raises(ToolException, match="the line is dead"):
        tool.invoke({"question": "a"})
    with pytest.raises(ToolException, match="needs the input 'question'"):
        tool.invoke({})
    tool.handle_tool_error = True
    assert "the line is dead" in tool.invoke({"question": "a"})


async def test_a_call_belongs_to_the_thread_of_its_agent() -> None:
    seen = []

    from ragweave import Context

    def look(question: str, ctx: Context) -> Text:
        seen.append(ctx.thread_id)
        return {"text": question}

    graph = Graph(inputs={"question": "str"}, outputs=["text"], nodes={"x": look}, edges=["start -> x -> end"])
    tool = graph.as_tool(description="Looks.")
    assert await tool.ainvoke({"question": "a"}, {"configurable": {"thread_id": "ann"}}) == "a"
    assert seen == ["ann"]


def test_what_cannot_be_a_tool_says_why() -> None:
    graph = Graph(inputs={"config": "str"}, nodes={"x": {"type": "reply", "text": "x"}}, edges=["start -> x -> end"])
    with pytest.raises(InputError, match="a tool needs a description"):
        graph.as_tool()
    with pytest.raises(InputError, match="cannot have an argument 'config'; rename the input"):
        graph.as_tool(description="x")
