"""Tools both ways: those of LangChain in a graph, and those of ours in an agent of LangChain."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, InjectedToolCallId, StructuredTool, ToolException
from langchain_core.tools import tool as their_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as OldModel
from pydantic.v1 import Field as OldField

from ragweave import Context, Graph, tool
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import GraphError, InputError, PluginError, ResourceError, ToolError
from ragweave.orchestrator.interop import for_langchain, register
from ragweave.orchestrator.interop.langchain_tool import LangChainTool
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.values import ToolCall
from ragweave.tools.calculator.calculator import Calculator
from tests.interop.things import speaker

CALLED: list[Any] = []


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    """What a test registers is gone after it."""
    CALLED.clear()
    with registry.scope():
        yield


class Place(BaseModel):
    city: str = Field(description="A city.")
    days: int = Field(1, ge=1)


class OldPlace(OldModel):
    city: str = OldField(description="A city.")
    days: int = 1


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "A city."}, "days": {"type": "integer", "default": 1}},
    "required": ["city"],
}


def forecast(city: str, days: int = 1) -> str:
    CALLED.append((city, days))
    if city == "Nowhere":
        raise ToolException("there is no such city")
    if city == "Hell":
        raise ValueError("too hot")
    return f"{city}: {21 + days} degrees"


async def aforecast(city: str, days: int = 1) -> str:
    return forecast(city, days)


WRONG = (
    "error: the arguments are wrong: city: it is missing; expected string; "
    "town: there is no such argument; there is: city, days"
)


def weather(schema: Any = Place, **more: Any) -> StructuredTool:
    functions = more.pop("functions", {"func": forecast})
    return StructuredTool.from_function(
        **functions, name="weather", description="The weather.", args_schema=schema, infer_schema=False, **more
    )


def asked(tools: dict[str, Any], *calls: tuple[str, dict[str, Any]], **more: Any) -> list[str]:
    """What a model reads of calls that it asks for."""
    listed = [ToolCall(id=f"c{at}", name=name, arguments=given) for at, (name, given) in enumerate(calls)]
    model = Scripted(replies=[{"tool_calls": [one.model_dump() for one in listed]}, "Done."])
    more.setdefault("approval", [{"allow": "*", "from": "tool"}])
    graph = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        models={"chat": model},
        tools=tools,
        prompts={"ask": {"text": "{{ question }}", "variables": {"question": "str"}}},
        nodes={
            "think": {"type": "generator", "model": "chat", "prompt": "ask", "tools": list(tools)},
            "act": {"type": "tool_executor", "tools": list(tools)},
        },
        edges=[
            "start -> think",
            {"from": "think", "routes": [{"when": "size(tool_calls) > 0", "to": "act"}, {"to": "end"}]},
            {"from": "act", "routes": [{"to": "think", "max_iterations": 2}, {"to": "end"}]},
        ],
        **more,
    )
    with graph:
        result = graph.run(question="?")
        assert result.status == "done", result.asks
        asked.offered = model.requests[0].tools  # type: ignore[attr-defined]
    return [one.text for one in model.requests[-1].messages if one.role == "tool"]


@pytest.mark.parametrize("schema", [Place, OldPlace, SCHEMA], ids=["pydantic", "pydantic.v1", "json"])
@pytest.mark.parametrize("functions", [{"func": forecast}, {"coroutine": aforecast}], ids=["sync", "async"])
def test_a_tool_is_called_by_a_graph(schema: Any, functions: dict[str, Any]) -> None:
    told = asked(
        {"sky": weather(schema, functions=functions)},
        ("sky", {"city": "Bonn", "days": 2}),
        ("sky", {"city": "Bonn"}),
        ("sky", {"town": "Bonn"}),
        ("sky", {"city": "Nowhere"}),
        ("sky", {"city": "Hell"}),
    )
    assert told == [
        "Bonn: 23 degrees",
        "Bonn: 22 degrees",
        WRONG,
        "error: there is no such city",
        "error: ValueError: too hot",
    ]
    (offered,) = asked.offered  # type: ignore[attr-defined]
    assert (offered["name"], offered["description"]) == ("sky", "The weather.")
    assert offered["parameters"]["properties"]["city"]["description"] == "A city."
    assert offered["parameters"]["required"] == ["city"]


def test_an_error_that_a_tool_hands_to_its_model_is_one() -> None:
    handled = weather(handle_tool_error=True, handle_validation_error="say a city")
    assert asked({"sky": handled}, ("sky", {"city": "Nowhere"})) == ["error: there is no such city"]
    loose = weather({"type": "object", "properties": {"city": {}}})
    with pytest.raises(ToolError):
        asyncio.run(LangChainTool.of(weather()).call("", {"city": 3}, Context()))
    assert asked({"sky": loose}, ("sky", {"city": 3})) == ["3: 22 degrees"]


def test_content_is_read_and_the_artifact_is_not() -> None:
    @their_tool(response_format="content_and_artifact")
    def look(what: str) -> tuple[Any, Any]:
        """Look something up."""
        if what == "blocks":
            return [{"type": "text", "text": "one"}, {"type": "image", "url": "x"}, "two"], object()
        return {"found": what}, object()

    told = asked({"look": look}, ("look", {"what": "tea"}), ("look", {"what": "blocks"}))
    assert json.loads(told[0]) == {"found": "tea"}
    assert told[1] == "one\n[image]\ntwo"


def test_a_call_counts_as_an_effect_unless_its_author_says_less() -> None:
    assert LangChainTool.of(weather()).specs()[0].effects == "external"
    said = LangChainTool.of(weather(), effects="read", timeout="5s")
    assert (said.specs()[0].effects, said.timeout) == ("read", 5.0)

    async def slow(city: str, days: int = 1) -> str:
        await asyncio.sleep(30)
        return ""

    late = weather(functions={"coroutine": slow})
    with pytest.raises(AssertionError, match="act#1"):  # parked: it may have been done
        asked({"sky": LangChainTool.of(late, timeout=0.1)}, ("sky", {"city": "Bonn"}))
    told = asked({"sky": LangChainTool.of(late, timeout=0.1, effects="read")}, ("sky", {"city": "Bonn"}))
    assert told == ["error: it took longer than 0.1 s"]


def test_approval_and_the_list_of_the_graph_hold() -> None:
    rules = [{"deny": "sky", "when": 'arguments.city == "Rome"'}, {"allow": "*", "from": "tool"}]
    told = asked({"sky": weather()}, ("sky", {"city": "Rome"}), ("weather", {"city": "Bonn"}), approval=rules)
    assert "it is not allowed" in told[0]
    assert "there is no tool 'weather'" in told[1]
    assert CALLED == []


def test_a_tool_knows_whose_run_it_is_in_and_its_own_call() -> None:
    @their_tool
    def whose(n: int, call: Annotated[str, InjectedToolCallId], config: RunnableConfig) -> str:
        """Whose."""
        return f"{config['metadata']['ragweave_path']} {len(call)}"

    assert asked({"whose": whose}, ("whose", {"n": 1})) == ["act#1[0] 32"]


def test_a_tool_that_only_an_agent_can_call_is_refused() -> None:
    @their_tool
    def remember(text: str, runtime: ToolRuntime) -> str:
        """Remember."""
        return text

    with pytest.raises((GraphError, ResourceError), match="is given runtime by an agent of LangChain"):
        asked({"remember": remember}, ("remember", {"text": "a"}))


def test_a_graph_and_a_function_are_tools_as_they_stand() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    inner = Graph(
        name="echo", description="Echoes.", inputs={"text": "str"}, outputs=["answer"],
        nodes={"say": {"type": "reply", "text": "You said {text}"}}, edges=["start -> say -> end"],
    )  # fmt: skip
    told = asked({"add": add, "echo": inner.as_tool()}, ("add", {"a": 1, "b": 2}), ("echo", {"text": "hi"}))
    assert told == ["3", "You said hi"]


def test_a_tool_where_no_tool_belongs_is_refused() -> None:
    with pytest.raises(GraphError, match="StructuredTool is one of the tools"):
        Graph(models={"chat": weather()}, nodes={"a": {"type": "reply", "text": "x"}}, edges=["start -> a -> end"])


PLUGIN = """
from langchain_core.tools import tool
from ragweave.orchestrator.interop import for_langchain, register

@tool
def sky(city: str) -> str:
    "The weather of a city."
    return f"{city}: rain"

register("sky", sky, effects="read", timeout="5s")
"""
YAML = """
schema: ragweave/v1
inputs: {question: str}
outputs: [tool_results]
models: {chat: {type: scripted, replies: [{tool_calls: [{id: a, name: weather, arguments: {city: Bonn}}]}]}}
tools: {weather: {type: sky, max_result: 7}}
prompts: {ask: {text: "{{ question }}", variables: {question: str}}}
nodes:
  think: {type: generator, model: chat, prompt: ask, tools: [weather]}
  act: {type: tool_executor, tools: [weather]}
edges: [start -> think -> act -> end]
"""


def test_a_plugin_gives_a_yaml_file_a_tool(tmp_path: Path) -> None:
    (tmp_path / "sky_plugin.py").write_text(PLUGIN)
    (tmp_path / "g.yaml").write_text(YAML)
    graph = Graph.load(tmp_path / "g.yaml", plugins=["sky_plugin.py"])
    with graph:
        assert graph.run(question="?")["tool_results"][0].content == "Bonn: r… (cut: 7 of 10 characters)"
        built = graph.resources.get("tools", "weather")
    assert (built.effects, built.timeout, type(built).__doc__) == ("read", 5.0, "The weather of a city.")
    with pytest.raises(PluginError, match="a tool takes no 'effect'; did you mean 'effects'"):
        register("other", weather(), effect="read")
    register("as_node", weather(), kind="nodes")
    assert "as_node" in registry.names("nodes")


# --- the other way ---


with registry.scope():  # other tests have a tool of this name

    @tool(effects="external", timeout=0.5, max_result=30)
    async def refund(order: int, note: str = "", *, ctx: Context) -> dict[str, Any]:
        """Pay an order back.

        Args:
            order: The number on the bill.
        """
        CALLED.append((order, ctx.user, ctx.tenant, ctx.thread_id, ctx.key))
        if order == 3:
            raise ToolError("order 3 is paid back already", hint="ask for the next")
        if order == 4:
            raise OSError("no line")
        if order == 5:
            await asyncio.sleep(20)
        return {"order": order, "note": note}


def ours(thing: Any = refund) -> Any:
    (found,) = for_langchain(thing)
    return found


def test_a_function_of_ours_is_a_tool_of_theirs() -> None:
    found = ours()
    assert isinstance(found, BaseTool)
    assert convert_to_openai_tool(found)["function"] == {
        "name": "refund",
        "description": "Pay an order back.",
        "parameters": {
            "type": "object",
            "properties": {
                "order": {"type": "integer", "description": "The number on the bill."},
                "note": {"type": "string", "default": ""},
            },
            "required": ["order"],
            "additionalProperties": False,
        },
    }
    assert found.metadata == {"effects": "external", "idempotent": False}
    assert found.invoke({"order": 1}) == '{"order": 1, "note": ""}'


async def test_a_call_is_guarded_as_in_a_graph(leaping: None) -> None:
    found = ours()
    config = {"configurable": {"user": "ann", "tenant": "acme", "thread_id": "t"}}
    began = time.monotonic()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"order": "x"}, 'the arguments are wrong: order: expected integer, found "x"'),
        ({"order": 1, "nte": "a"}, "nte: there is no such argument; did you mean 'note'?"),
        ({"order": 3}, "order 3 is paid back already; ask for the next"),
        ({"order": 4}, "OSError: no line"),
        ({"order": 5}, "it took longer than 0.5 s"),
        ({"order": 6, "note": "a" * 100}, '{"order": 6, "note": "aaaaaaaa… (cut: 30 of 124 characters)'),
    ]
    for given, said in cases:
        message = await found.ainvoke({"type": "tool_call", "id": "7", "name": "refund", "args": given}, config)
        assert isinstance(message, ToolMessage)
        assert said in message.content
        assert message.status == ("success" if given["order"] == 6 else "error")
    assert time.monotonic() - began == pytest.approx(0.5)
    assert message.artifact == {"order": 6, "note": "a" * 100}
    assert [one[:4] for one in CALLED] == [(number, "ann", "acme", "t") for number in (3, 4, 5, 6)]
    assert len({one[4] for one in CALLED}) == 4  # no call is taken for another


def test_all_tools_of_a_resource_of_a_graph_are_given(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("of rye")
    (tmp_path / "g.yaml").write_text("""
schema: ragweave/v1
tools: {desk: {type: files, root: notes}}
nodes: {act: {type: tool_executor, tools: [desk]}, say: {type: reply, text: x}}
inputs: {tool_calls: "list[ToolCall]"}
edges: [start -> act -> say -> end]
""")
    with Graph.load(tmp_path / "g.yaml") as graph:
        found = {one.name: one for one in graph.resources.get("tools", "desk").as_langchain()}
        assert {"desk_list", "desk_read", "desk_search"} <= set(found)
        assert "of rye" in found["desk_read"].invoke({"path": "a.md"})
        told = found["desk_read"].invoke(
            {"type": "tool_call", "id": "1", "name": "desk_read", "args": {"path": "../x"}}
        )
        assert told.status == "error"


def test_all_kinds_of_tools_are_given_together() -> None:
    graph = Graph(
        name="echo", description="Echoes.", inputs={"text": "str"}, outputs=["answer"],
        nodes={"say": {"type": "reply", "text": "You said {text}"}}, edges=["start -> say -> end"],
    )  # fmt: skip
    found = for_langchain(refund, Calculator(), graph, weather())
    assert [one.name for one in found] == ["refund", "calculator", "echo", "weather"]
    assert found[1].invoke({"expression": "3 * 19.90"}) == "59.7"
    with pytest.raises(InputError, match="is no tool; give a function with @tool"):
        for_langchain(len)


def test_an_argument_that_langchain_has_taken_is_refused() -> None:
    @tool
    def odd(config: str) -> str:
        """Odd."""
        return config

    with pytest.raises(InputError, match="cannot have an argument 'config'"):
        ours(odd)


def test_an_agent_of_langchain_uses_tools_of_ours() -> None:
    calls = [{"name": "refund", "args": {"order": number}, "id": str(number), "type": "tool_call"} for number in (1, 3)]
    model = speaker(AIMessage("", tool_calls=calls), "Order 1 is paid back.")
    agent: Any = create_agent(model, tools=[ours()])
    state = agent.invoke({"messages": [("user", "Pay 1 and 3 back.")]})
    assert state["messages"][-1].text == "Order 1 is paid back."
    told = {one.tool_call_id: one.text for one in model.asked[1] if isinstance(one, ToolMessage)}
    assert told == {"1": '{"order": 1, "note": ""}', "3": "order 3 is paid back already; ask for the next"}


def test_a_tool_goes_round_and_comes_back() -> None:
    again = LangChainTool.of(ours(), effects="external", idempotent=True)
    assert asked({"pay": again}, ("pay", {"order": 1}), ("pay", {"order": 3})) == [
        '{"order": 1, "note": ""}',
        "error: order 3 is paid back already; ask for the next",
    ]


def test_a_tool_may_still_be_a_node() -> None:
    node = {"type": weather(), "outputs": {"said": "str"}}
    graph = Graph(inputs={"city": "str"}, outputs=["said"], nodes={"x": node}, edges=["start -> x -> end"])
    assert graph.run(city="Bonn")["said"] == "Bonn: 22 degrees"
