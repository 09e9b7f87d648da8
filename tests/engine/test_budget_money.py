"""Budgets of money, and what is tried where the next call does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import BudgetExceeded, GraphError, RunError
from ragweave.orchestrator.values import Document
from tests.engine.metered import FEW, Watched, chat, loaded, metered_types

PRICES = """\
currency: USD
models: # per million tokens: a dollar for a thousand words read, ten for a thousand said
  chat: {input: 1000, output: 10000}
  small: {input: 100, output: 1000}
  quoting: {input: 10, output: 10}
"""
ONE = """\
prices: prices.yaml
models: {chat: {type: metered}, small: {type: metered, length: 5}%s}
budget: {max_cost_usd: %s%s}
nodes: {a: {type: generator, model: chat, prompt: cite, max_tokens: 20}}
edges: [start -> a -> end]
"""
ASKED = '{question: str, documents: "list[Document]"}'


@pytest.fixture(autouse=True)
def _types(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "prices.yaml").write_text(PRICES)
    yield from metered_types()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def documents(count: int, words: int = 20) -> list[Document]:
    """Passages of so many words; in the prompt each has one more, its number."""
    return [Document(id=str(at), text=" ".join(["word"] * (words - 1))) for at in range(count)]


async def test_a_call_costs_what_its_tokens_cost(tmp_path: Path, watched: Watched) -> None:
    result = await loaded(tmp_path, ONE % ("", "1", ""), inputs=ASKED).arun(question="one", documents=documents(2))
    assert watched.account().spent.usd == result.usage.cost == Decimal("0.041") + Decimal("0.1")


async def test_a_call_that_may_cost_too_much_is_not_made(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % ("", "0.2", ""), inputs=ASKED)
    with pytest.raises(RunError) as caught:
        await graph.arun(question="one", documents=documents(2))
    assert isinstance(caught.value.__cause__, BudgetExceeded)
    assert "(max_cost_usd: 0.2) has no room: 0 USD are spent, and the next call may cost 0.321 USD" in str(caught.value)
    assert chat(graph).asked == []


async def test_the_lowest_documents_are_left_out(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % ("", "0.4", ", on_exceed: [fewer_documents, stop]"), inputs=ASKED)
    result = await graph.arun(question="one", documents=documents(20))
    [request] = chat(graph).asked
    kept = (400 - FEW - 1 - 200) // 20
    assert [one.id for one in request.documents] == [str(at) for at in range(kept)]
    assert f"[{kept}] word" in request.messages[-1].text
    assert f"[{kept + 1}] word" not in request.messages[-1].text
    [told] = result.exceeded
    assert str(told) == (f"a#1: it was asked with the first {kept} of 20 documents (max_cost_usd of graph 'shop')")


async def test_one_document_stays(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % ("", "0.29", ", on_exceed: [fewer_documents]"), inputs=ASKED)
    with pytest.raises(RunError, match="has no room"):
        await graph.arun(question="one", documents=documents(20))


async def test_a_cheaper_model_is_asked(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, ONE % ("", "0.2", ", on_exceed: [cheaper_model, stop]"), inputs=ASKED)
    result = await graph.arun(question="one", documents=documents(2))
    assert (len(chat(graph).asked), len(chat(graph, "small").asked)) == (0, 1)
    assert result.exceeded[0].said == "model 'small' was asked instead of 'chat'"
    assert watched.account().spent.usd == result.usage.cost == Decimal("0.0041") + Decimal("0.005")


async def test_the_order_of_on_exceed_is_the_order_of_what_is_tried(tmp_path: Path) -> None:
    for ways, did in (("fewer_documents, cheaper_model", 0), ("cheaper_model, fewer_documents", 1)):
        graph = loaded(tmp_path, ONE % ("", "0.31", f", on_exceed: [{ways}]"), inputs=ASKED)
        result = await graph.arun(question="one", documents=documents(5))
        assert [one.did for one in result.exceeded] == [("fewer_documents", "cheaper_model")[did]]


async def test_what_does_not_do_alone_is_tried_together(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % ("", "0.04", ", on_exceed: [fewer_documents, cheaper_model]"), inputs=ASKED)
    result = await graph.arun(question="one", documents=documents(20))
    assert [one.did for one in result.exceeded] == ["fewer_documents", "cheaper_model"]
    assert [one.model_dump() for one in chat(graph, "small").asked[0].documents] == [
        one.model_dump() for one in documents((400 - FEW - 1 - 200) // 20)
    ]


async def test_a_model_that_cannot_do_the_call_is_not_asked_for_less_money(tmp_path: Path) -> None:
    text = ONE % (", quoting: {type: extractive}", "0.2", ", on_exceed: [cheaper_model]")
    graph = loaded(tmp_path, text.replace("prompt: cite", "prompt: p, fields: {n: int}"))
    with pytest.raises(RunError):
        await graph.arun(question=" ".join(["one"] * 2000))


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(GraphError) as caught:
        loaded(folder, text, inputs=ASKED)
    return [f"{one.code} {one.message}" for one in caught.value.problems]


def test_a_model_without_a_price_is_found_before_the_run(tmp_path: Path) -> None:
    said = problems(tmp_path, (ONE % (", other: {type: metered}", "1", "")).replace("model: chat", "model: other"))
    assert said == ["RW312 budget.max_cost_usd: prices.yaml has no price of 'other', which 'a' asks"]


def test_prices_are_in_dollars(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES.replace("USD", "EUR"))
    assert problems(tmp_path, ONE % ("", "1", "")) == [
        "RW312 budget.max_cost_usd: the prices in prices.yaml are in EUR, not in USD"
    ]


def test_a_cheaper_model_has_to_be_there(tmp_path: Path) -> None:
    text = (ONE % ("", "1", ", on_exceed: [cheaper_model]")).replace("small: {type: metered, length: 5}", "")
    [said] = problems(tmp_path, text)
    assert said == "RW135 budget.on_exceed[0]: no model that the graph declares is cheaper than those it asks"


async def test_a_model_made_of_others_is_held_by_the_dearest(tmp_path: Path, watched: Watched) -> None:
    text = (ONE % (", both: {type: first_of, models: [small, chat]}", "1", "")).replace("model: chat", "model: both")
    result = await loaded(tmp_path, text, inputs=ASKED).arun(question="one", documents=documents(2))
    assert watched.account().spent.usd == result.usage.cost == Decimal("0.0041") + Decimal("0.005")
    text = text.replace("budget: {max_cost_usd: 1", "budget: {max_cost_usd: 0.3")
    with pytest.raises(RunError, match=r"may cost 0\.3331 USD"):
        await loaded(tmp_path, text, inputs=ASKED).arun(question="one", documents=documents(2))
