"""Budgets of calls of tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import BudgetExceeded, GraphError, RunError
from tests.engine.metered import Watched, loaded, metered_types

AGENT = """\
models:
  chat:
    type: scripted
    replies:
      - tool_calls:
          - {id: a, name: calculator, arguments: {expression: 1 + 1}}
          - {id: b, name: calculator, arguments: {expression: 2 + 2}}
          - {id: c, name: calculator, arguments: {expression: 3 + 3}}
      - Two of them.
budget: {max_tool_calls: %d%s}
nodes:
  think: {type: generator, model: chat, prompt: p, tools: [calculator]}
  act: {type: tool_executor, tools: [calculator]}
  give_up: {type: reply, text: I could not.}
edges:
  - start -> think
  - {from: think, routes: [{when: size(tool_calls) > 0, to: act}, {to: end}]}
  - {from: act, routes: [{to: think, max_iterations: 3}, {to: give_up}]}
  - give_up -> end
"""


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


async def test_calls_are_counted_before_they_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch)
    result = await loaded(tmp_path, AGENT % (3, "")).arun(question="Sums?")
    assert (result["answer"].text, watched.account().spent.tool_calls) == ("Two of them.", 3)


async def test_a_call_too_many_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        await loaded(tmp_path, AGENT % (2, "")).arun(question="Sums?")
    assert isinstance(caught.value.__cause__, BudgetExceeded)
    assert "(max_tool_calls: 2) has no room: they are made" in str(caught.value)


async def test_a_model_is_told_that_no_more_may_be_called(tmp_path: Path) -> None:
    graph = loaded(tmp_path, (AGENT % (2, ", on_exceed: [partial_answer]")).replace("[answer]", "[answer, steps]"))
    result = await graph.arun(question="Sums?")
    assert result["answer"].text == "Two of them."
    results = [one.text for one in graph.resources.get("models", "chat").requests[-1].messages if one.role == "tool"]
    assert results[:2] == ["2", "4"]
    assert results[2].startswith("error: it was not called: the budget of graph 'shop' (max_tool_calls: 2)")
    assert [(one.did, one.limit, one.path) for one in result.exceeded] == [
        ("partial_answer", "max_tool_calls", "act#1[2]")
    ]


def test_there_has_to_be_something_to_count(tmp_path: Path) -> None:
    text = "budget: {max_tool_calls: 3}\nnodes: {a: {type: reply, text: Hi.}}\nedges: [start -> a -> end]\n"
    with pytest.raises(GraphError, match="RW135"):
        loaded(tmp_path, text.replace("type: reply", "type: reply"))
