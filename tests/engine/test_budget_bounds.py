"""The most that a call can use, known before it is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import GraphError, ResourceError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.language.policies import BudgetPolicy
from ragweave.orchestrator.models.composed.fastest_of import FastestOf
from ragweave.orchestrator.models.composed.first_of import FirstOf
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.budgets.accounts import Account, Amount, Bound
from ragweave.orchestrator.running.budgets.bounds import IMAGE, bound_of, tokens_of
from ragweave.orchestrator.values import BlobPart, Document, Message, ToolCall
from tests.engine.metered import Metered, chat, loaded, metered_types

ONE = ChatRequest(messages=[Message.of("user", "Wie heißt das?")])


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


class Odd(ChatModel):
    """Made of others, which it does not name."""

    def pricing(self) -> str:  # type: ignore[override]
        return "members"

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        yield ChatChunk()


def test_a_token_has_a_byte_at_least() -> None:
    assert tokens_of(Scripted(), ONE) == 64 + 16 + len("Wie heißt das?".encode())
    assert tokens_of(Metered(), ONE) == 64 + 16 + 3


def test_all_that_is_sent_counts() -> None:
    plain = tokens_of(Metered(), ONE)
    shown = Message(role="user", parts=(BlobPart(type="image", blob="0" * 64),))
    called = Message(role="assistant", tool_calls=(ToolCall(id="a", name="f", arguments={"x": "y" * 500}),))
    tools = ChatRequest(messages=ONE.messages, tools=[{"name": "f", "parameters": {}}])
    shaped = ChatRequest(messages=ONE.messages, response_schema={"type": "object", "title": "t" * 300})
    assert tokens_of(Metered(), ChatRequest(messages=[*ONE.messages, shown])) == plain + 16 + IMAGE
    assert tokens_of(Metered(), ChatRequest(messages=[*ONE.messages, called])) > plain + 500
    assert tokens_of(Metered(), tools) > plain + 600
    assert tokens_of(Metered(), shaped) > plain + 300


def test_models_made_of_others_are_held_for_all_that_may_be_asked() -> None:
    resources = Resources()
    for name in ("a", "b"):
        resources.put("models", name, Metered())
    first, both = FirstOf(models=["a", "b"]), FastestOf(models=["a", "b"], hedge=1)
    for model in (first, both):
        model.open(resources)
    one = tokens_of(Metered(), ONE)
    assert bound_of(first, ONE, resources, money=False).of(10) == Amount(2 * one + 10)
    assert bound_of(both, ONE, resources, money=False).of(10) == Amount(2 * one + 20)


def test_a_price_that_nobody_knows_is_an_error_at_the_call_too() -> None:
    for model in (Metered(), Odd()):
        with pytest.raises(ResourceError, match="a budget of dollars holds this call"):
            bound_of(model, ONE, Resources(), money=True)


COUNTS = st.integers(0, 10_000)


@given(st.integers(1, 10_000), COUNTS, COUNTS, st.integers(1, 3), st.integers(1, 5_000))
def test_what_there_is_room_for_fits(limit: int, spent: int, read: int, copies: int, most: int) -> None:
    account = Account("", "graph 'g'", BudgetPolicy(max_tokens=limit, max_cost_usd=limit / 1000))
    account.spent = Amount(min(spent, limit), Decimal(min(spent, limit)) / 1000)
    bound = Bound(read, copies, Decimal(read) / 1000, Decimal(copies) / 1000)
    room = account.room(bound, most)
    assert room <= most
    if room >= 0:
        assert not account.short(bound.of(room))
    if 0 <= room < most:
        assert account.short(bound.of(room + 1))


async def test_marks_of_passages_that_were_left_out_are_no_citations(tmp_path: Path) -> None:
    graph = loaded(
        tmp_path,
        """\
models: {chat: {type: scripted, replies: ["It is cold [1], and wet [3]."]}}
budget: {max_tokens: 700, on_exceed: [fewer_documents]}
nodes: {a: {type: generator, model: chat, prompt: cite, max_tokens: 100}}
edges: [start -> a -> end]
""",
        inputs='{question: str, documents: "list[Document]"}',
    )
    documents = [Document(id=str(at), text="It is cold and wet in the cellar. " * 5) for at in range(3)]
    answer = (await graph.arun(question="How is it?", documents=documents))["answer"]
    assert answer.text == "It is cold [1], and wet."
    assert [one.document for one in answer.citations] == ["0"]


async def test_a_judge_is_shown_fewer_documents(tmp_path: Path) -> None:
    graph = loaded(
        tmp_path,
        """\
models: {chat: {type: scripted, replies: ['{"criterion_1": {"reason": "", "met": true}, "missing": []}'], repeat: true}}
budget: {max_tokens: 9_000, on_exceed: [fewer_documents]}
nodes: {a: {type: judge, model: chat, relevant: false}}
edges: [start -> a -> end]
""",
        inputs='{question: str, answer: str, documents: "list[Document]"}',
        outputs="[verdict]",
    )
    documents = [Document(id=str(at), text="It is cold and wet in the cellar. " * 40) for at in range(9)]
    result = await graph.arun(question="How?", answer="It is cold.", documents=documents)
    [request] = graph.resources.get("models", "chat").requests
    assert 0 < len(request.documents) < 9
    assert [one.did for one in result.exceeded] == ["fewer_documents"]


def test_what_asks_models_by_itself_is_refused_under_a_budget_of_tokens() -> None:
    runnables = pytest.importorskip("langchain_core.runnables")
    chain = runnables.RunnableLambda(lambda question: question)
    parts: Any = {"inputs": {"question": "str"}, "outputs": ["output"], "edges": ["start -> a -> end"]}
    node = {"type": chain, "inputs": {"question": "str"}, "outputs": {"output": "str"}}
    with pytest.raises(GraphError, match="'a' asks models by itself, so nothing can be held for its calls"):
        Graph(nodes={"a": node}, budget={"max_tokens": 500}, **parts)
    assert Graph(nodes={"a": node}, budget={"max_seconds": 5}, **parts).run(question="Hi")["output"] == "Hi"


async def test_a_budget_does_not_stand_where_overrides_ask_another_model(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("currency: USD\nmodels: {chat: {input: 1, output: 1}}\n")
    text = """\
prices: prices.yaml
models: {chat: {type: metered}, other: {type: metered}}
overrides: {model: a.model}
budget: {max_cost_usd: 1}
nodes: {a: {type: generator, model: chat, prompt: p}}
edges: [start -> a -> end]
"""
    graph = loaded(tmp_path, text)
    await graph.arun(question="one")
    with pytest.raises(Exception, match=r"prices\.yaml has no price of 'other'"):
        await graph.arun(question="one", overrides={"model": "other"})
    assert chat(graph, "other").asked == []
