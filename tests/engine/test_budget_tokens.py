"""Budgets of tokens: held before a call, settled after it, and never passed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import BudgetExceeded, RunError
from tests.engine.metered import FEW, Watched, chat, loaded, metered_types


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


ONE = """\
models: {chat: {type: metered%s}}
budget: {max_tokens: %d%s}
nodes: {a: {type: generator, model: chat, prompt: p%s}}
edges: [start -> a -> end]
"""


async def test_a_call_is_settled_to_what_the_model_says_that_it_used(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, ONE % ("", 200, "", ""))
    result = await graph.arun(question="one two three")
    assert watched.account().spent.tokens == 3 + 10
    assert watched.most[""] == 200  # without max_tokens the reply may have all that is left
    assert (result.exceeded, chat(graph).asked[0].max_tokens) == ((), 200 - FEW - 3)


async def test_max_tokens_of_the_node_is_what_is_held(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, ONE % ("", 10_000, "", ", max_tokens: 50"))
    await graph.arun(question="one two three")
    assert watched.most[""] == FEW + 3 + 50
    assert chat(graph).asked[0].max_tokens == 50


async def test_without_max_tokens_a_call_does_not_hold_all_of_a_large_budget(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, ONE % ("", 100_000, "", ""))
    await graph.arun(question="one two three")
    assert watched.most[""] == FEW + 3 + 4096


async def test_a_call_that_does_not_fit_is_not_made(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % ("", 100, "", ", max_tokens: 50"))
    with pytest.raises(RunError) as caught:
        await graph.arun(question="one two three")
    error = caught.value.__cause__
    assert isinstance(error, BudgetExceeded)
    assert (error.limit, error.scope, error.transient) == ("max_tokens", "graph 'shop'", False)
    assert str(error) == (
        "the budget of graph 'shop' (max_tokens: 100) has no room: 0 are spent, and the next call may need 133; "
        "raise it, give the node a smaller max_tokens, or let on_exceed try more"
    )
    assert chat(graph).asked == []


async def test_a_reply_that_is_cut_at_what_was_held_is_an_error(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, ONE % (", length: 500", 200, "", ""))
    with pytest.raises(RunError, match="the reply was cut off at 117 tokens, which is what was held for it"):
        await graph.arun(question="one two three")
    assert watched.account().spent.tokens == 3 + 117


async def test_of_a_cut_reply_the_text_is_kept_where_the_budget_wants_it(tmp_path: Path) -> None:
    graph = loaded(tmp_path, ONE % (", length: 500", 200, ", on_exceed: [partial_answer]", ""))
    result = await graph.arun(question="one two three")
    assert len(result["answer"].text.split()) == 117
    [told] = result.exceeded
    assert (told.did, told.limit, told.path, told.scope) == ("partial_answer", "max_tokens", "a#1", "graph 'shop'")


async def test_a_reply_may_be_shorter_than_the_node_says_where_a_part_is_kept(tmp_path: Path) -> None:
    text = ONE % (", length: 500", 200, ", on_exceed: [partial_answer]", ", max_tokens: 300")
    result = await loaded(tmp_path, text).arun(question="one two three")
    assert len(result["answer"].text.split()) == 117


@pytest.mark.parametrize(
    ("model", "spent"),
    [
        (", tells: false", FEW + 3 + 50),  # nobody knows, so all that was held counts
        (", fails: before", 0),
        (", fails: after", FEW + 3 + 50),
    ],
)
async def test_what_is_not_known_is_not_nothing(tmp_path: Path, watched: Watched, model: str, spent: int) -> None:
    sorry = ", max_tokens: 50, fallback: {type: reply, text: Sorry.}"
    graph = loaded(tmp_path, ONE % (model, 10_000, "", sorry))
    await graph.arun(question="one two three")
    assert watched.account().spent.tokens == spent
    watched.settled()


MANY = """\
models: {chat: {type: metered, pause: 0.001}}
budget: {max_tokens: %d%s}
nodes:
  a: {type: generator, model: chat, prompt: p%s, map: {over: questions, as: question, max_concurrency: 64}}
edges: [start -> a -> end]
"""


async def test_calls_wait_for_what_is_held_for_others(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, MANY % (300, "", ", max_tokens: 20"), inputs='{questions: "list[str]"}')
    result = await graph.arun(questions=["one"] * 18)
    assert len(result["answer"]) == 18
    assert watched.account().spent.tokens == 18 * 11
    assert 200 < watched.most[""] <= 300
    watched.settled()


async def test_a_map_keeps_the_items_for_which_there_was_budget(tmp_path: Path, watched: Watched) -> None:
    text = MANY % (400, ", on_exceed: [partial_answer]", ", max_tokens: 20")
    graph = loaded(tmp_path, text, inputs='{questions: "list[str]"}')
    result = await graph.arun(questions=["one"] * 64)
    assert watched.account().spent.tokens <= 400
    assert len(result["answer"]) == watched.account().spent.tokens // 11 >= 27
    assert {one.did for one in result.exceeded} == {"stop"}


async def test_a_map_whose_items_do_not_all_fit_fails_where_it_has_to_stop(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, MANY % (400, "", ", max_tokens: 20"), inputs='{questions: "list[str]"}')
    with pytest.raises(RunError) as caught:
        await graph.arun(questions=["one"] * 64)
    assert isinstance(caught.value.__cause__, BudgetExceeded)
    watched.settled()
