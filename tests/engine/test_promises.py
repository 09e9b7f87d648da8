"""A resource that does not do what its kind promises is told in our words: who, what came, what is wanted."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np
import pytest

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest, Embedder, Reranker, Retriever
from ragweave.orchestrator.errors import ContractError, GraphError, PluginError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document, Message
from tests.engine.steps import N, build

ONE = Document(id="1", text="one")
REQUEST = ChatRequest(messages=[Message.of("user", "hi")])


class Said(TypedDict):
    said: str


# --- when the class is defined ---


def plain_search() -> None:
    class Bad(Retriever):
        def search(self, query: str, top_k: int) -> list[Document]:  # type: ignore[override]
            return []


def plain_score() -> None:
    class Bad(Reranker):
        def score(self, question: str, documents: Sequence[Document]) -> list[float]:  # type: ignore[override]
            return []


def returning_stream() -> None:
    class Bad(ChatModel):
        async def stream(self, request: ChatRequest) -> ChatChunk:  # type: ignore[override]
            return ChatChunk(text="hi")


def plain_stream() -> None:
    class Bad(ChatModel):
        def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:  # type: ignore[override]
            yield ChatChunk(text="hi")


def async_embed() -> None:
    class Bad(Embedder):
        async def embed(self, texts: Sequence[str]) -> np.ndarray:  # type: ignore[override]
            return np.zeros((0, 2), "float32")


def incomplete() -> None:
    class Bad(ChatModel, type="t_incomplete"):
        async def straem(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
            yield ChatChunk(text="hi")


@pytest.mark.parametrize(
    ("define", "said"),
    [
        (plain_search, "Bad.search is a plain `def`, but is awaited; write `async def search`"),
        (plain_score, "Bad.score is a plain `def`, but is awaited; write `async def score`"),
        (returning_stream, "Bad.stream is an `async def` without `yield`: it gives one result, not a stream; yield"),
        (plain_stream, "Bad.stream yields, but is not async; write `async def`"),
        (async_embed, "Bad.embed is async, but is called from worker threads; write `def`"),
        (incomplete, "Bad is registered as 't_incomplete', but has no stream, which all models have"),
    ],
)
def test_what_can_never_work_is_refused_with_its_class(define: Callable[[], None], said: str) -> None:
    with registry.scope(), pytest.raises(PluginError) as caught:
        define()
    assert str(caught.value).startswith(said)


async def test_a_plain_function_that_gives_something_to_await_is_fine() -> None:
    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def around(self: Any, *args: Any, **keywords: Any) -> Any:
            return method(self, *args, **keywords)

        return around

    class Wrapped(Retriever):
        @noted
        async def search(self, query: str, top_k: int) -> list[Document]:
            return [ONE]

    class Says(Retriever):
        def search(self, query: str, top_k: int) -> Awaitable[list[Document]]:  # type: ignore[override]
            found: Awaitable[list[Document]] = Wrapped().search(query, top_k=top_k)
            return found

    assert await Wrapped().search("x", 1) == [ONE]
    assert await Says().search(query="x", top_k=1) == [ONE]


# --- when it is called ---


def searching(found: Any) -> Retriever:
    class Shelf(Retriever):
        async def search(self, query: str, top_k: int) -> list[Document]:
            return found  # type: ignore[no-any-return]

    return Shelf()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "Shelf.search returned None; wanted is a list of Document"),
        ("text", "Shelf.search returned str 'text'; wanted is a list of Document"),
        ([ONE, "two"], "Shelf.search returned str 'two' as item 1; wanted is a list of Document"),
    ],
)
async def test_a_search_gives_documents(found: Any, said: str) -> None:
    with pytest.raises(ContractError) as caught:
        await searching(found).search("x", 1)
    assert str(caught.value) == said
    assert await searching((ONE,)).search("x", 1) == [ONE]


def scoring(scores: Any) -> Reranker:
    class Judge(Reranker):
        async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
            return scores  # type: ignore[no-any-return]

    return Judge()


@pytest.mark.parametrize(
    ("scores", "came"),
    [
        ([1.0], "1 scores"),
        ([1.0, 2.0, 3.0], "3 scores"),
        (None, "None"),
        ("high", "str 'high'"),
        ([1.0, float("nan")], "nan as score 1"),
    ],
)
async def test_a_reranker_gives_one_number_for_each_document(scores: Any, came: str) -> None:
    with pytest.raises(ContractError) as caught:
        await scoring(scores).score("x", [ONE, ONE])
    assert str(caught.value) == f"Judge.score returned {came}; wanted is a list of 2 numbers, one for each document"


async def test_scores_may_be_an_array() -> None:
    scores = await scoring(np.array([0.5, 0.25], "float32")).score("x", [ONE, ONE])
    assert scores == [0.5, 0.25]
    assert {type(score) for score in scores} == {float}


def embedding(vectors: Any) -> Embedder:
    class Ones(Embedder):
        identity: ClassVar[str] = "ones"
        dimension: ClassVar[int] = 3

        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return vectors  # type: ignore[no-any-return]

    return Ones()


@pytest.mark.parametrize(
    ("vectors", "came"),
    [
        (np.ones((2, 4), "float32"), "an array of shape (2, 4); wanted is"),
        (np.ones((1, 3), "float32"), "an array of shape (1, 3); wanted is"),
        (np.ones(3, "float32"), "an array of shape (3,); wanted is"),
        (np.ones((2, 3), "int64"), "an array of int64; wanted is"),
        ([[1.0, 0.0, 0.0]] * 2, "list [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]; wanted is a numpy array,"),
    ],
)
def test_an_embedder_gives_a_row_for_each_text(vectors: Any, came: str) -> None:
    with pytest.raises(ContractError) as caught:
        embedding(vectors).embed(["a", "b"])
    wanted = "float32 of shape (2, 3): a row for each text, as long as `dimension` says"
    assert str(caught.value) == f"Ones.embed returned {came} {wanted}"


def test_vectors_of_double_precision_become_float32() -> None:
    assert embedding(np.ones((2, 3))).embed(["a", "b"]).dtype == np.float32


async def test_a_stream_gives_chunks_and_is_closed_by_who_leaves_it() -> None:
    closed = []

    class Words(ChatModel):
        async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
            try:
                yield ChatChunk(text="a")
                yield "b"  # type: ignore[misc]
            finally:
                closed.append(True)

    chunks: Any = Words().stream(REQUEST)
    assert (await anext(chunks)).text == "a"
    with pytest.raises(ContractError) as caught:
        await anext(chunks)
    assert str(caught.value) == "Words.stream yielded str 'b'; wanted is ChatChunk(text=…)"
    await chunks.aclose()
    assert closed == [True]

    class Listed(ChatModel):
        def stream(self, request: ChatRequest) -> Any:
            return ["a"]

    with pytest.raises(
        ContractError, match=r"Listed.stream returned list \['a'\]; wanted is an async iterator of Chat"
    ):
        Listed().stream(REQUEST)


async def test_in_a_graph_the_resource_is_named_and_the_failure_is_its_nodes() -> None:
    async def looks(n: int, ctx: Context) -> N:
        return {"n": len(await (await ctx.retriever("shelf")).search("x", n))}

    graph = build({"a": {"type": looks, "retry": 2}}, "start -> a -> end", retrievers={"shelf": searching([5])})
    with pytest.raises(RunError) as caught:
        await graph.arun(n=1)
    assert caught.value.path == "a#1"
    expected = "retrievers.shelf: Shelf.search returned int 5 as item 0; wanted is a list of Document"
    assert str(caught.value.__cause__) == expected


# --- objects and classes given in Python ---


class Parrot(ChatModel):
    """Says one word; counts how often it was opened and closed."""

    word: str = "hi"
    opened: int = 0
    closed: int = 0

    def open(self, resources: Resources) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        yield ChatChunk(text=self.word)


def speaking(model: Any) -> Graph:
    async def speak(ctx: Context) -> Said:
        return {"said": "".join([chunk.text async for chunk in (await ctx.model("m")).stream(REQUEST)])}

    return build({"a": speak}, "start -> a -> end", inputs={}, outputs=["said"], models={"m": model})


async def test_a_model_may_be_an_object_a_class_or_a_class_with_settings() -> None:
    for model, said in [(Parrot(word="ho"), "ho"), (Parrot, "hi"), ({"type": Parrot, "word": "hey"}, "hey")]:
        assert (await speaking(model).arun())["said"] == said
    with pytest.raises(GraphError, match=r"models.m: unknown setting 'wrd'; did you mean 'word'\?"):
        speaking({"type": Parrot, "wrd": "hey"})
    with pytest.raises(GraphError, match=r"models.m: expected one of the models, found .*; Shelf is one of the retrie"):
        speaking(searching([]))


async def test_an_object_is_opened_by_the_first_graph_that_uses_it_and_closed_with_the_last() -> None:
    parrot = Parrot()
    first, second, idle = speaking(parrot), speaking(parrot), speaking(parrot)
    assert parrot.opened == 0
    for graph in (first, second, first):
        await graph.arun()
    assert (parrot.opened, parrot.closed) == (1, 0)
    await idle.aclose()
    await first.aclose()
    assert parrot.closed == 0
    await second.aclose()
    assert (parrot.opened, parrot.closed) == (1, 1)


async def test_a_graph_in_a_graph_closes_what_it_opened() -> None:
    parrot = Parrot()
    inner = speaking(parrot)
    async with build({"g": inner}, "start -> g -> end", inputs={}, outputs=["said"]) as outer:
        assert (await outer.arun())["said"] == "hi"
    assert (parrot.opened, parrot.closed) == (1, 1)
    assert (await inner.arun())["said"] == "hi"  # and may be used on
