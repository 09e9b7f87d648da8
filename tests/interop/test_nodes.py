"""Runnables as nodes of a graph: what they read and write, their text, tokens and config, and how they fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import interrupt

from ragweave import Graph, GraphError, RunError
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import ContractError, ModelError, PluginError
from ragweave.orchestrator.interop import register
from ragweave.orchestrator.nodes.runnable import runnable_node
from ragweave.orchestrator.values import Answer, Message
from tests.interop.things import shelf, speaker


def alone(node: Any, outputs: list[str], **inputs: str) -> Graph:
    return Graph(inputs=inputs or {"question": "str"}, outputs=outputs, nodes={"x": node}, edges=["start -> x -> end"])


def signature(node: Any) -> tuple[dict[str, str], dict[str, str]]:
    """What a Runnable reads and writes; `?` if it need not be there."""
    from ragweave.orchestrator.resources import Resources

    reads, writes, *_ = runnable_node(node)().signature(Resources())
    return (
        {name: f"{read.type}{'' if read.required else '?'}" for name, read in reads.items()},
        {name: f"{write.type}{'' if write.certain else '?'}" for name, write in writes.items()},
    )


def length(text: str) -> int:
    return len(text)


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


BOTH = RunnableLambda(lambda both: both["a"] + both["b"])
PROMPT = ChatPromptTemplate(
    [("system", "Be {tone}."), MessagesPlaceholder("history", optional=True), ("user", "{question}")]
)
PROMPTED = {"tone": "json", "question": "str", "history": "list[Message]?"}
TALK = {"question": "str", "history": "list[Message]?"}


@pytest.mark.parametrize(
    ("thing", "reads", "writes"),
    [
        (speaker, TALK, {"answer": "Answer", "message": "Message"}),
        (lambda: create_agent(speaker(), tools=[add]), TALK, {"answer": "Answer", "messages": "list[Message]"}),
        (shelf, {"question": "str"}, {"documents": "list[Document]"}),
        (lambda: PROMPT, PROMPTED, {"messages": "list[Message]"}),
        (
            lambda: PROMPT | speaker() | StrOutputParser(),
            {"tone": "str", "question": "str", "history": "list[Message]?"},
            {"output": "str"},
        ),
        (lambda: RunnableLambda(length), {"input": "str"}, {"output": "int"}),
        (lambda: BOTH, {"a": "json", "b": "json"}, {"output": "json"}),
        (
            lambda: RunnableParallel(n=RunnableLambda(length), same=RunnablePassthrough()),
            {"input": "str"},
            {"n": "int", "same": "json"},
        ),
        (lambda: add, {"a": "int", "b": "int?"}, {"output": "json"}),
    ],
)
def test_a_runnable_says_what_it_reads_and_writes(thing: Any, reads: Any, writes: Any) -> None:
    assert signature(thing()) == (reads, writes)


def test_a_chain_reads_what_its_prompt_wants_and_writes_where_it_is_told_to() -> None:
    model = speaker("Sous le paillasson.")
    graph = Graph(
        inputs={"question": "str"},
        outputs=["french"],
        nodes={
            "find": shelf(),
            "say": {
                "type": ChatPromptTemplate([("user", "{text} in French?")]) | model | StrOutputParser(),
                "reads": {"text": "question"},
                "writes": {"output": "french"},
            },
        },
        edges=["start -> find -> say -> end"],
    )
    assert graph.run(question="Under the mat")["french"] == "Sous le paillasson."
    assert model.asked[0][0].text == "Under the mat in French?"


def test_a_chat_model_answers_streams_and_is_counted() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    graph = alone(speaker(AIMessage("under the mat", usage_metadata=usage)), ["answer", "message"])
    events = list(graph.stream_sync(question="Where is the key?"))
    assert [event.text for event in events if event.kind == "token"] == ["under", " the", " mat"]
    result = events[-1].data["result"]
    assert result["answer"] == Answer(text="under the mat")
    assert result["message"] == Message.of("assistant", "under the mat")
    assert (result.usage.calls, result.usage.input_tokens, result.usage.output_tokens) == (1, 7, 3)


def test_tokens_of_a_model_deep_inside_are_counted() -> None:
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
    model = speaker(AIMessage("a", usage_metadata=usage))
    chain = RunnableLambda(length) | RunnableLambda(str) | model | StrOutputParser()
    result = alone(chain, ["output"], input="str").run(input="x")
    assert (result.usage.calls, result.usage.input_tokens, result.usage.output_tokens) == (1, 7, 3)


def test_a_text_on_the_way_is_not_streamed_and_one_that_is_an_answer_is() -> None:
    for outputs, wanted in (({"query": "str"}, 0), ({"query": "Answer"}, 2)):
        node = {"type": speaker("a b") | StrOutputParser(), "inputs": {"question": "str"}, "outputs": outputs}
        events = list(alone(node, ["query"]).stream_sync(question="?"))
        assert sum(event.kind == "token" for event in events) == wanted


def test_an_agent_calls_its_tool_and_answers() -> None:
    call = AIMessage("Let me see.", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "1", "type": "tool_call"}])
    graph = alone(create_agent(speaker(call, "It is 3."), tools=[add]), ["answer", "messages"])
    events = list(graph.stream_sync(question="1 and 2?"))
    result = events[-1].data["result"]
    assert str(result["answer"]) == "It is 3."
    assert [(message.role, message.text) for message in result["messages"]] == [
        ("assistant", "Let me see."),
        ("tool", "3"),
        ("assistant", "It is 3."),
    ]
    assert result["messages"][0].tool_calls[0].arguments == {"a": 1}
    kinds = [event.kind for event in events if event.kind in ("token", "reset")]
    assert kinds.index("reset") > 0
    last = len(events) - [event.kind for event in reversed(events)].index("reset")
    assert "".join(event.text for event in events[last:]) == "It is 3."
    assert result.usage.calls == 2


def test_an_agent_is_told_the_history_and_its_thread() -> None:
    model = speaker("Hello.", "Again.")
    graph = alone(create_agent(model, tools=[], checkpointer=InMemorySaver()), ["answer", "messages"])
    for question in ("I am Ann", "Who am I?"):
        result = graph.run(question=question, thread_id="ann")
    assert [message.text for message in model.asked[1]] == ["I am Ann", "Hello.", "Who am I?"]
    assert [message.text for message in result["messages"]] == ["Again."]

    told = speaker("Yes.")
    told_graph = alone(create_agent(told, tools=[]), ["answer"], question="str", history="list[Message]")
    told_graph.run(question="Well?", history=[Message.of("user", "Hi"), Message.of("assistant", "Hello")])
    assert [message.text for message in told.asked[0]] == ["Hi", "Hello", "Well?"]


def test_an_agent_that_waits_for_a_person_says_so() -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        return str(interrupt(f"pay {amount}?"))

    call = AIMessage("", tool_calls=[{"name": "pay", "args": {"amount": 3}, "id": "1", "type": "tool_call"}])
    agent = create_agent(speaker(call), tools=[pay], checkpointer=InMemorySaver())
    with pytest.raises(RunError, match=r"waits for a person: pay 3\?"):
        alone(agent, ["answer"]).run(question="Pay!", thread_id="1")


def test_a_function_sees_the_run_in_its_config() -> None:
    seen: list[RunnableConfig] = []

    def look(text: str, config: RunnableConfig) -> str:
        seen.append(config)
        return text

    result = alone(RunnableLambda(look), ["output"], input="str").run(input="a", thread_id="t1", user="ann")
    known = seen[0]["configurable"]
    assert (known["thread_id"], known["user"]) == ("t1", "ann")
    assert seen[0]["metadata"]["ragweave_run_id"] == result.run_id
    assert seen[0]["metadata"]["ragweave_path"] == "x#1"


class Order(BaseModel):
    item: str
    count: int = 1


class Total(TypedDict):
    total: int


def test_a_function_of_a_model_is_given_one() -> None:
    def price(order: Order) -> Total:
        return {"total": len(order.item) * order.count}

    graph = alone(
        RunnableLambda(price).with_types(input_type=Order, output_type=Total), ["total"], item="str", count="int"
    )
    assert graph.run(item="key", count=2)["total"] == 6


def test_what_a_runnable_gives_is_held_against_what_it_said() -> None:
    node = {"type": RunnableLambda(lambda x: 3), "inputs": {"question": "str"}, "outputs": {"answer": "str"}}
    graph = alone(node, ["answer"])
    with pytest.raises(RunError, match="wanted is a str, and 3 came") as caught:
        graph.run(question="?")
    assert isinstance(caught.value.__cause__, ContractError)
    node = {"type": RunnableLambda(lambda x: {"a": 1}), "inputs": {"q": "str"}, "outputs": {"a": "int", "b": "int"}}
    with pytest.raises(RunError, match="'b' is missing in what came; there is: a"):
        alone(node, ["a"], q="str").run(q="?")


def test_a_runnable_that_does_not_say_what_it_takes_is_refused_by_the_check() -> None:
    with pytest.raises(GraphError, match="does not say what it is to be given; say it"):
        alone(RunnablePassthrough.assign(n=lambda x: 1), ["n"])
    with pytest.raises(GraphError, match="unknown type 'string'; did you mean 'str'"):
        alone({"type": RunnableLambda(length), "inputs": {"question": "string"}}, ["output"])


class Busy(Exception):
    status_code = 429


def test_a_busy_server_is_asked_again_and_other_errors_are_not() -> None:
    tried = []

    def ask(text: str) -> str:
        tried.append(text)
        if text == "bad":
            raise ZeroDivisionError
        if len(tried) < 3:
            raise Busy("later")
        return "done"

    graph = alone({"type": RunnableLambda(ask), "retry": 2, "timeout": "9s"}, ["output"], input="str")
    assert graph.run(input="a")["output"] == "done"
    tried.clear()
    with pytest.raises(RunError) as caught:
        graph.run(input="bad")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert tried == ["bad"]
    graph = alone(RunnableLambda(ask), ["output"], input="str")
    tried.clear()
    with pytest.raises(RunError) as caught:
        graph.run(input="a")
    assert isinstance(caught.value.__cause__, ModelError)


async def test_a_run_that_is_cancelled_cancels_the_runnable() -> None:
    begun, ended = asyncio.Event(), []

    async def slow(text: str) -> str:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(text)
        return text

    graph = alone(RunnableLambda(slow), ["output"], input="str")
    running = asyncio.ensure_future(graph.arun(input="a"))
    await asyncio.wait_for(begun.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["a"]


def test_effects_are_those_that_are_said() -> None:
    kind = runnable_node(RunnableLambda(length), effects="external")
    with pytest.raises(GraphError, match="cache is refused: the node has effects"):
        alone({"type": kind, "cache": {"ttl": "1m"}}, ["output"], input="str")


def test_a_runnable_can_be_a_fallback() -> None:
    def fail(text: str) -> int:
        raise ValueError(text)

    for other in (RunnableLambda(length), {"type": RunnableLambda(length)}, [RunnableLambda(length)]):
        node = {"type": RunnableLambda(fail), "fallback": other}
        assert alone(node, ["output"], input="str").run(input="four")["output"] == 4


PLUGIN = """
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from ragweave.orchestrator.interop import register
from tests.interop.things import shelf, speaker

def shout(text: str) -> str:
    return text.upper()

register("shout", RunnableLambda(shout), inputs={"answer": "Answer"}, outputs={"answer": "Answer"})
register("notes", shelf())
register("parrot", speaker("Under the mat [1]."))
register("terse", ChatPromptTemplate([("system", "Be terse."), ("user", "{documents} {question}")]))
"""
YAML = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
retrievers: {notes: {type: notes}}
models: {chat: {type: parrot}}
prompts: {terse: {type: terse}}
nodes:
  find:  {type: retriever, retriever: notes, top_k: 1}
  say:   {type: generator, model: chat, prompt: terse}
  shout: {type: shout}
edges: [start -> find -> say -> shout -> end]
"""


def test_a_plugin_gives_a_yaml_file_types_of_langchain(tmp_path: Path) -> None:
    (tmp_path / "lang_plugin.py").write_text(PLUGIN)
    (tmp_path / "g.yaml").write_text(YAML)
    with registry.scope():
        graph = Graph.load(tmp_path / "g.yaml", plugins=["lang_plugin.py"])
        assert str(graph.run(question="where is the key")["answer"]) == "UNDER THE MAT [1]."


def test_what_is_not_of_langchain_is_not_registered() -> None:
    with pytest.raises(PluginError, match="register functions with @node"):
        register("shout", length)
    with pytest.raises(PluginError, match="cannot be registered under models"):
        register("shout", RunnableLambda(length), kind="models")
    with pytest.raises(PluginError, match="takes no inputs"):
        register("notes", shelf(), inputs={"a": "str"})


def test_a_cached_result_is_that_of_the_same_runnable() -> None:
    calls = []

    def counted(text: str) -> str:
        calls.append(text)
        return text

    def shouted(text: str) -> str:
        return text.upper()

    chains = [RunnableLambda(counted) | RunnableLambda(str), RunnableLambda(shouted) | RunnableLambda(str)]
    graph = Graph(
        inputs={"input": "str"},
        outputs=["a", "b"],
        nodes={
            name: {"type": chain, "cache": {"ttl": "1m"}, "writes": {"output": name}}
            for name, chain in zip("ab", chains, strict=True)
        },
        edges=["start -> a -> b -> end"],
    )
    for _ in range(2):
        result = graph.run(input="x")
    assert (result["a"], result["b"], calls) == ("x", "X", ["x"])
    same, other = (runnable_node(RunnableLambda(lambda text: text + "!")) for _ in range(2))
    assert same.digest == other.digest
    assert same.digest != runnable_node(RunnableLambda(lambda text: text + "?")).digest


def test_graphs_in_functions_and_agents_in_graphs_do_not_wait_for_each_other() -> None:
    inner = alone(RunnableLambda(length), ["output"], input="str")

    def outer(text: str) -> int:
        return int(inner.as_runnable(output="output").invoke(text))

    assert alone(RunnableLambda(outer), ["output"], input="str").run(input="four", thread_id="a")["output"] == 4
    call = AIMessage("", tool_calls=[{"name": "size", "args": {"input": "four"}, "id": "1", "type": "tool_call"}])
    agent = create_agent(speaker(call, "4"), tools=[inner.as_tool(name="size", description="Counts letters.")])
    result = alone(agent, ["answer", "messages"]).run(question="?", thread_id="a")
    assert [message.text for message in result["messages"]] == ["", "4", "4"]


def test_a_prompt_as_a_node_gives_messages() -> None:
    graph = alone(PROMPT, ["messages"], tone="str", question="str", history="list[Message]")
    messages = graph.run(tone="kind", question="Well?", history=[Message.of("user", "Hi")])["messages"]
    assert [(one.role, one.text) for one in messages] == [("system", "Be kind."), ("user", "Hi"), ("user", "Well?")]
    assert isinstance(PROMPT.invoke({"tone": "a", "question": "b"}).to_messages()[-1], HumanMessage)
