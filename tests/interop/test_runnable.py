"""A graph as a Runnable: alone, in chains, in batches, with configs, and what its streams add up to."""

from __future__ import annotations

import asyncio
import functools
import operator
import subprocess
import sys
from typing import Any, TypedDict

import pytest

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document as TheirDocument
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict as TheirDict

from ragweave import Answer, Context, Document, Graph, RagweaveError, RunError
from ragweave.orchestrator.errors import InputError, OutputError
from ragweave.orchestrator.values import Ask, Message
from tests.interop.things import TEXTS, shelf, speaker


class Said(TypedDict):
    answer: Answer


class Text(TypedDict):
    text: str


def echo(question: str) -> Text:
    return {"text": question.upper()}


def desk(*replies: str) -> Graph:
    """Finds one passage and lets a model answer."""
    return Graph(
        name="desk",
        inputs={"question": "str", "history": {"type": "list[Message]", "default": []}},
        outputs=["answer", "documents"],
        retrievers={"notes": shelf()},
        models={"chat": speaker(*replies)},
        nodes={
            "find": {"type": "retriever", "retriever": "notes", "top_k": 1},
            "say": {"type": "generator", "model": "chat"},
        },
        edges=["start -> find -> say -> end"],
    )


def plain(node: Any = echo, **more: Any) -> Graph:
    return Graph(
        name="plain",
        inputs={"question": "str"},
        outputs=["text"],
        nodes={"x": {"type": node, **more}},
        edges=["start -> x -> end"],
    )


def whole(chunks: list[Any]) -> Any:
    return functools.reduce(operator.add, chunks)


def test_outputs_are_what_langchain_knows() -> None:
    outputs = desk("Under the mat [1].").as_runnable().invoke({"question": "where is the key"})
    assert isinstance(outputs["answer"], AIMessage)
    assert outputs["answer"].text == "Under the mat [1]."
    assert outputs["answer"].response_metadata["citations"][0]["source"] == "0.md"
    (document,) = outputs["documents"]
    assert isinstance(document, TheirDocument)
    assert (document.page_content, document.metadata["source"]) == (TEXTS[0], "0.md")


async def test_a_graph_stands_in_a_chain_and_streams_through_it() -> None:
    chain = (
        RunnableLambda(str.lower)
        | desk("Under the mat.", "Under the mat.").as_runnable(output="answer")
        | StrOutputParser()
    )
    assert await chain.ainvoke("WHERE IS THE KEY") == "Under the mat."
    assert [chunk async for chunk in chain.astream("WHERE IS THE KEY")] == ["Under", " the", " mat.", ""]
    prompted = PromptTemplate.from_template("where is the {thing}") | plain().as_runnable(output="text")
    assert prompted.invoke({"thing": "key"}) == "WHERE IS THE KEY"
    both = RunnablePassthrough.assign(loud=plain().as_runnable(output="text"))
    assert both.invoke({"question": "a"}) == {"question": "a", "loud": "A"}


async def test_chunks_add_up_to_the_outputs() -> None:
    graph = desk(*["Under the mat [1]."] * 2).as_runnable()
    chunks = [chunk async for chunk in graph.astream({"question": "where is the key"})]
    assert [chunk["answer"].text for chunk in chunks[:-1]] == ["Under", " the", " mat", " [1]."]
    outputs = await graph.ainvoke({"question": "where is the key"})
    assert whole(chunks)["answer"].text == outputs["answer"].text
    assert whole(chunks)["answer"].response_metadata == outputs["answer"].response_metadata
    assert whole(chunks)["documents"] == outputs["documents"]
    assert whole(list(desk("a b").as_runnable().stream("where is the key")))["answer"].text == "a b"


tries: list[int] = []


async def unsure(question: str, ctx: Context) -> Said:
    await ctx.emit("Perhaps")
    tries.append(1)
    if len(tries) < 2:
        raise ConnectionError
    return {"answer": Answer(text="Perhaps not")}


async def fickle(question: str, ctx: Context) -> Said:
    await ctx.emit("Yes")
    return {"answer": Answer(text="No")}


def spoken(node: Any, **more: Any) -> Graph:
    return Graph(
        inputs={"question": "str"}, outputs=["answer"], nodes={"x": {"type": node, **more}}, edges=["start -> x -> end"]
    )


def test_text_that_may_be_taken_back_is_streamed_when_it_is_certain() -> None:
    tries.clear()
    chunks = list(spoken(unsure, retry=1).as_runnable().stream("?"))
    assert [chunk["answer"].text for chunk in chunks] == ["Perhaps not"]
    loop = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        nodes={"say": unsure, "again": {"type": echo, "writes": {"text": "more"}}},
        edges=[
            "start -> say -> again",
            {"from": "again", "routes": [{"when": "more == 'AGAIN'", "to": "say", "max_iterations": 1}, {"to": "end"}]},
        ],
    )
    assert [chunk["answer"].text for chunk in loop.as_runnable().stream("again")] == ["Perhaps not"]


def test_an_agent_is_heard_when_it_has_its_answer() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    call = AIMessage("Let me see.", tool_calls=[{"name": "look", "args": {}, "id": "1", "type": "tool_call"}])
    agent = create_agent(speaker(call, "It is there."), tools=[look])
    chunks = list(spoken(agent).as_runnable().stream("?"))
    assert [chunk["answer"].text for chunk in chunks] == ["It is there."]


async def test_within_a_graph_of_langgraph_the_tokens_of_an_agent_are_told() -> None:
    class State(TheirDict, total=False):
        question: str
        answer: Any

    builder = StateGraph(State)
    builder.add_node("ours", spoken(create_agent(speaker("It is there."), tools=[])).as_runnable())
    builder.add_edge(START, "ours")
    builder.add_edge("ours", END)
    outer = builder.compile()
    events: list[Any] = [event async for event in outer.astream_events({"question": "?"}, version="v2")]
    told = [event["data"]["text"] for event in events if event["name"] == "ragweave.token"]
    assert told == ["It", " is", " there."]


def test_a_stream_that_turns_out_wrong_ends_with_an_error() -> None:
    chunks = spoken(fickle).as_runnable().stream("?")
    assert next(chunks)["answer"].text == "Yes"
    with pytest.raises(RagweaveError, match="came to another 'answer' than it had begun to stream"):
        next(chunks)
    assert spoken(fickle).as_runnable().invoke("?")["answer"].text == "No"


def test_inputs_are_taken_from_langchain() -> None:
    def read(question: str, documents: list[Document], history: list[Message]) -> Text:
        return {"text": f"{question}/{documents[0].source}/{history[0].role}"}

    graph = Graph(
        inputs={"question": "str", "documents": "list[Document]", "history": "list[Message]"},
        outputs=["text"],
        nodes={"x": read},
        edges=["start -> x -> end"],
    )
    given = {"documents": [TheirDocument("a", metadata={"source": "b"})], "history": [HumanMessage("Hi")]}
    assert graph.as_runnable(output="text").invoke({"question": AIMessage("q"), **given}) == "q/b/user"
    with pytest.raises(InputError, match="takes question, documents, history, not 'q'; give a dict"):
        graph.as_runnable().invoke("q")
    assert plain().as_runnable(output="text").invoke({"question": "a", "of_others": object()}) == "A"
    with pytest.raises(InputError, match="has no input 'qestion'; did you mean 'question'"):
        graph.as_runnable().invoke({"qestion": "q"})


def test_schemas_say_what_it_takes_and_gives() -> None:
    runnable = desk().as_runnable()
    taken = runnable.get_input_jsonschema()
    assert taken["required"] == ["question"]
    assert taken["properties"]["question"]["type"] == "string"
    given = runnable.get_output_jsonschema()
    assert set(given["properties"]) == {"answer", "documents"}
    assert given["properties"]["documents"]["items"]["$ref"].endswith("/Document")
    assert runnable.get_name() == "desk"
    with pytest.raises(OutputError, match="'desk' has no output 'anser'; did you mean 'answer'"):
        desk().as_runnable(output="anser")


class Heard(BaseCallbackHandler):
    """What callbacks hear, and of whom."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **about: Any) -> None:
        self.told.append((about["name"], tuple(about["tags"] or ()), (about["metadata"] or {}).get("who")))

    def on_chain_end(self, outputs: Any, **about: Any) -> None:
        self.told.append(outputs)

    def on_chain_error(self, error: BaseException, **about: Any) -> None:
        self.told.append(type(error))


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke"])
def test_a_config_reaches_the_graph_and_the_runnables_inside(way: str) -> None:
    seen: list[RunnableConfig] = []

    def look(text: str, config: RunnableConfig) -> str:
        seen.append(config)
        return text

    graph = plain(RunnableLambda(look), reads={"input": "question"}, writes={"output": "text"}).as_runnable()
    heard = Heard()
    config: RunnableConfig = {
        "callbacks": [heard],
        "tags": ["t"],
        "metadata": {"who": "ann"},
        "configurable": {"thread_id": "42", "user": "ann"},
    }
    if way == "invoke":
        graph.invoke("a", config)
    elif way == "stream":
        list(graph.stream("a", config))
    else:
        asyncio.run(graph.ainvoke("a", config))
    assert ("plain", ("t",), "ann") in heard.told
    assert ("x", ("t",), "ann") in heard.told
    assert heard.told[-1] == {"text": "a"}
    known = seen[0]["configurable"]
    assert (known["thread_id"], known["user"]) == ("42", "ann")


def test_what_a_graph_lets_callers_override_is_configurable() -> None:
    graph = Graph(
        inputs={"question": "str"},
        outputs=["documents"],
        overrides={"how_many": "find.top_k"},
        retrievers={"notes": shelf()},
        nodes={"find": {"type": "retriever", "retriever": "notes", "top_k": 3}},
        edges=["start -> find -> end"],
    )
    runnable = graph.as_runnable(output="documents")
    assert [spec.id for spec in runnable.config_specs] == ["thread_id", "user", "tenant", "deadline", "how_many"]
    assert len(runnable.invoke("key")) == 3
    assert len(runnable.invoke("key", {"configurable": {"how_many": 1}})) == 1
    assert len(runnable.with_config(configurable={"how_many": 2}).invoke("key")) == 2


def test_a_failure_is_the_runs_own_and_callbacks_hear_of_it() -> None:
    def fail(question: str) -> Text:
        raise ZeroDivisionError

    heard = Heard()
    with pytest.raises(RunError):
        plain(fail).as_runnable().invoke("a", {"callbacks": [heard]})
    assert heard.told[-1] is RunError
    with pytest.raises(RunError, match="deadline"):
        plain(wait).as_runnable().invoke("for ever", {"configurable": {"deadline": 0.01}})


async def wait(question: str) -> Text:
    if question == "bad":
        raise ValueError(question)
    if question == "for ever":
        await asyncio.Event().wait()
    return {"text": question}


@pytest.mark.parametrize(("limit", "most"), [(2, 2), (None, 16)])
def test_a_batch_keeps_its_limit_and_its_order(limit: int | None, most: int) -> None:
    now = peak = 0
    all_in = asyncio.Event()

    async def meet(question: str) -> Text:
        nonlocal now, peak
        now += 1
        peak = max(peak, now)
        if now == most:
            all_in.set()
        await asyncio.wait_for(all_in.wait(), 60)
        await asyncio.sleep(0)
        now -= 1
        return {"text": question}

    config: RunnableConfig = {"max_concurrency": limit}
    runnable = plain(meet).as_runnable(output="text")
    assert runnable.batch([str(at) for at in range(20)], config) == [str(at) for at in range(20)]
    assert peak == most
    found = plain(wait).as_runnable(output="text").batch(["a", "bad"], config, return_exceptions=True)
    assert (found[0], type(found[1])) == ("a", RunError)


async def test_the_steps_of_a_graph_are_events() -> None:
    runnable = desk("Under the mat.").as_runnable()
    events: list[Any] = [event async for event in runnable.astream_events("where is the key", version="v2")]
    steps = [(event["name"], event["data"]["path"]) for event in events if event["event"] == "on_custom_event"]
    assert steps[0] == ("ragweave.started", "find#1")
    assert steps[-1] == ("ragweave.finished", "say#1")
    assert steps.count(("ragweave.token", "say#1")) == 3
    names = {event["name"] for event in events}
    assert {"desk", "VectorStoreRetriever", "Speaker"} <= names


async def test_leaving_a_stream_cancels_the_run() -> None:
    ended = []

    async def slow(question: str, ctx: Context) -> Said:
        await ctx.emit("Well")
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(question)
        return {"answer": Answer(text="Well")}

    chunks: Any = spoken(slow).as_runnable().astream("a")
    await anext(chunks)
    await chunks.aclose()
    assert ended == ["a"]


def test_a_run_that_waits_for_a_person_says_how_to_go_on() -> None:
    def ask(question: str) -> Text | Ask:
        return Ask(question="Really?")

    with pytest.raises(RagweaveError, match=r"waits for a person: x#1 asks 'Really\?'; go on with graph.resume"):
        plain(ask).as_runnable().invoke("a")


WITHOUT = """
import sys
sys.modules["langchain_core"] = None  # as if it were not there
from ragweave import Graph
from ragweave.orchestrator.errors import MissingExtra
graph = Graph(nodes={"a": {"type": "reply", "text": "x"}}, outputs=["answer"], edges=["start -> a -> end"])
graph.run()
for way in (graph.as_runnable, graph.as_tool):
    try:
        way()
    except MissingExtra as error:
        print(error)
"""


def test_without_langchain_graphs_run_and_the_error_says_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"graph.{way}() needs the package 'langchain-core', which is not installed; pip install 'ragweave[langchain]'"
        for way in ("as_runnable", "as_tool")
    ]
