"""The cheapest, the fastest, and by weight."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.models.composed.cheapest_of import CheapestOf
from ragweave.orchestrator.models.composed.fastest_of import FastestOf
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.values import Message
from tests.support.composing import ASK, DOWN, ask, asking, pool, says, told

PRICES = """\
currency: EUR
models:
  reader: {input: 1, output: 20}
  writer: {input: 4, output: 2}
  free: {input: 0, output: 0}
"""


def made(kind: str, given: dict[str, Any], **settings: Any) -> Any:
    declared = {"chat": {"type": kind, "models": list(given), **settings}}
    return pool(declared, given).get("models", "chat")


def cheapest(folder: Path, models: dict[str, Any], text: str = PRICES) -> CheapestOf:
    (folder / "prices.yaml").write_text(text)
    declared = {"chat": {"type": "cheapest_of", "models": list(models), "prices": "prices.yaml"}}
    model = pool(declared, models, folder=folder).get("models", "chat")
    assert isinstance(model, CheapestOf)
    return model


async def test_the_cheapest_depends_on_how_much_is_read_and_written(tmp_path: Path) -> None:
    model = cheapest(tmp_path, {"reader": says("Reader."), "writer": says("Writer.")})
    assert await told(model, asking("Why?")) == "Writer."
    assert await told(model, asking("word " * 10_000)) == "Reader."
    assert await told(model, asking("word " * 400, max_tokens=10)) == "Reader."


async def test_how_long_replies_are_is_learnt(tmp_path: Path) -> None:
    short = {"text": "No.", "usage": {"calls": 1, "input_tokens": 2000, "output_tokens": 1}}
    model = cheapest(tmp_path, {"reader": says(short), "writer": says(short)})
    request = asking("word " * 800)  # 1,000 tokens, so that 300 tokens of reply decide at first
    first = model.order(request, model.members)
    assert [member.name for member in first] == ["writer", "reader"]
    for _ in range(20):
        await ask(model, request)
    assert [member.name for member in model.order(request, model.members)] == ["reader", "writer"]


async def test_the_tokenizer_of_a_model_counts_where_it_has_one(tmp_path: Path) -> None:
    class Counting(Scripted):
        def count_tokens(self, text: str) -> int:
            return 100_000

    model = cheapest(tmp_path, {"reader": Counting(replies=["a"]), "writer": says("b")})
    costs = {member.name: model.estimate(asking("x"), member) for member in model.members}
    assert f"{costs['reader']:.3f}" == "0.106"


async def test_the_next_cheapest_answers_for_one_that_fails(tmp_path: Path) -> None:
    model = cheapest(tmp_path, {"reader": says("Reader."), "free": says(DOWN), "writer": says("Writer.")})
    assert await told(model) == "Writer."


def test_extractive_is_free_without_a_price(tmp_path: Path) -> None:
    model = cheapest(tmp_path, {"reader": says("x"), "quotes": Extractive(embedder=None)})
    assert [member.name for member in model.order(ASK, model.members)] == ["quotes", "reader"]


def test_a_model_without_a_price_is_named_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"prices\.yaml has no price of 'raeder'.*did you mean 'reader'\?; a model"):
        cheapest(tmp_path, {"raeder": says("x")}, PRICES)
    with pytest.raises(ResourceError, match="there are no prices to choose by; set prices: to a price file"):
        pool({"chat": {"type": "cheapest_of", "models": ["a"]}}, {"a": says("x")}).get("models", "chat")
    with pytest.raises(ResourceError, match=r"models\.chat: prices\.yaml:1:11: 'currency' is 'euros'"):
        cheapest(tmp_path, {"free": says("x")}, PRICES.replace("EUR", "euros"))


def test_a_wrong_price_file_is_found_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PRICES.replace("20", "much"))
    with pytest.raises(ResourceError, match=r"p\.yaml:3:30: reader\.output: expected a number of at least 0"):
        CheapestOf(models=["a"], prices="p.yaml").check_files(tmp_path)


def test_a_model_made_of_others_has_no_price_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    declared: dict[str, dict[str, Any]] = {
        "both": {"type": "first_of", "models": ["reader"]},
        "chat": {"type": "cheapest_of", "models": ["both"], "prices": "prices.yaml"},
    }
    with pytest.raises(ResourceError, match="'both' is made of other models and has no price of its own; name those"):
        pool(declared, {"reader": says("x")}, folder=tmp_path).get("models", "chat")


async def test_the_model_that_began_soonest_is_asked_next_time(leaping: None) -> None:
    slow, quick = says({"text": "Slow.", "delay": 0.05}), says("Quick.")
    model = made("fastest_of", {"slow": slow, "quick": quick})
    assert [await told(model) for _ in range(5)] == ["Slow.", "Quick.", "Quick.", "Quick.", "Quick."]
    assert isinstance(model, FastestOf)
    assert model.pace("slow") == pytest.approx(0.05)
    assert model.pace("quick") == 0.0


async def test_a_model_that_was_not_asked_for_long_gets_another_chance(leaping: None) -> None:
    better = says({"text": "a", "delay": 0.05}, "a", "a", "a", "a")
    model = made("fastest_of", {"better": better, "other": says({"text": "b", "delay": 0.02})}, remeasure="100ms")
    assert [await told(model) for _ in range(3)] == ["a", "b", "b"]
    await asyncio.sleep(0.1)
    said = [await told(model) for _ in range(4)]
    assert said[0] == "a"


async def test_with_a_hedge_who_speaks_first_answers_and_the_other_call_ends(leaping: None) -> None:
    ended: list[str] = []

    class Slow(Scripted):
        async def stream(self, request: ChatRequest) -> Any:
            try:
                async for chunk in super().stream(request):
                    yield chunk
            finally:
                ended.append("slow")

    model = made(
        "fastest_of", {"slow": Slow(replies=[{"text": "Slow.", "delay": 9}]), "quick": says("Quick.")}, hedge=0.03
    )
    started = time.monotonic()
    chunks = await ask(model)
    assert "".join(chunk.text for chunk in chunks) == "Quick."
    assert time.monotonic() - started == pytest.approx(0.03)
    assert ended == ["slow"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.calls == 2
    assert model.pace("slow") == pytest.approx(0.03)


async def test_a_hedge_is_not_used_where_the_first_is_quick_enough(leaping: None) -> None:
    spare = says("Spare.")
    model = made("fastest_of", {"main": says({"text": "Main.", "pace": 0.02}), "spare": spare}, hedge="1s")
    assert await told(model) == "Main."
    assert spare.requests == []


async def test_a_hedged_failure_gives_way_at_once_and_all_failing_is_an_error(leaping: None) -> None:
    model = made("fastest_of", {"a": says(DOWN), "b": says({"text": "B.", "delay": 0.05})}, hedge="5s")
    started = time.monotonic()
    assert await told(model) == "B."
    assert time.monotonic() - started == pytest.approx(0.05)
    with pytest.raises(ModelError, match="none of the models answered: a: overloaded; b: overloaded"):
        await ask(made("fastest_of", {"a": says(DOWN), "b": says(DOWN)}, hedge="10ms"))


async def test_leaving_a_hedged_reply_early_leaves_nothing_running() -> None:
    model = made(
        "fastest_of", {"a": says({"text": "x y z", "pace": 1.0, "delay": 0.05}), "b": says({"delay": 9})}, hedge=0.01
    )
    async with aclosing(model.stream(ASK)) as chunks:
        assert (await anext(chunks)).text == "x"


async def test_calls_are_shared_by_weight() -> None:
    model = made("weighted", {"main": says("a"), "spare": says("b")}, models={"main": 9, "spare": 1}, seed=1)
    counts = Counter([await told(model) for _ in range(1000)])
    assert 870 <= counts["a"] <= 930


async def test_a_conversation_stays_with_its_model() -> None:
    model = made("weighted", {"x": says("x"), "y": says("y")}, models={"x": 1, "y": 1}, per="thread")
    by_thread = {
        thread: {await told(model, ChatRequest([Message.of("user", "Hi")], thread=str(thread))) for _ in range(5)}
        for thread in range(30)
    }
    assert all(len(said) == 1 for said in by_thread.values())
    assert set().union(*by_thread.values()) == {"x", "y"}


async def test_the_others_answer_for_one_that_fails() -> None:
    model = made("weighted", {"a": says(DOWN), "b": says("b")}, models={"a": 99, "b": 1})
    assert {await told(model) for _ in range(5)} == {"b"}


@pytest.mark.parametrize(
    ("weights", "said"),
    [({}, "it takes one model at least"), ({"a": 0}, "more than 0, found 0"), ({"a": -1}, "more than 0, found -1")],
)
def test_a_weight_is_more_than_nothing(weights: dict[str, Any], said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        made("weighted", {"a": says("x")}, models=weights)
