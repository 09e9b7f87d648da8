"""Sixty-four branches at once, with replies of any length, failures, timeouts and cancels: no budget is ever passed,
and nothing stays held."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import RunError
from ragweave.orchestrator.graph import Graph
from tests.engine.metered import Metered, Watched, metered_types

BRANCHES = 64


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def branches(budget: str, node: str, model: Metered) -> Graph:
    """A graph of that many nodes side by side, each of which may fail without harm."""
    nodes = "".join(
        f"  a{at}: {{type: generator, model: chat, prompt: p, writes: {{answer: k{at}}}, on_error: sorry{node}}}\n"
        for at in range(BRANCHES)
    )
    names = ", ".join(f"a{at}" for at in range(BRANCHES))
    graph = Graph.parse(f"""\
schema: ragweave/v1
inputs: {{question: str}}
outputs: [answer]
budget: {budget}
models: {{chat: {{type: metered}}}}
prompts: {{p: {{text: "{{{{ question }}}}", variables: {{question: str}}}}}}
nodes:
{nodes}  sorry: {{type: reply, text: Sorry.}}
  done: {{type: reply, text: Done.}}
edges:
  - start -> {names} -> done -> end
  - sorry -> done
""")
    graph.resources.put("models", "chat", model)
    return graph


BUDGETS = st.tuples(
    st.sampled_from([1_000, 4_000, 10_000, 100_000]),
    st.sampled_from(["[stop]", "[partial_answer]", "[partial_answer, stop]"]),
    st.sampled_from(
        ["", ", max_tokens: 30", ", max_tokens: 30, retry: 1", ", timeout: 0.01", ", budget: {max_tokens: 150}"]
    ),
    st.integers(1, 10**6),
    st.sampled_from([None, None, 0.002]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BUDGETS)
def test_no_budget_is_passed(watched: Watched, case: tuple[int, str, str, int, float | None]) -> None:
    most, ways, node, seed, cancel = case
    watched.books.clear()
    watched.most.clear()
    graph = branches(f"{{max_tokens: {most}, on_exceed: {ways}}}", node, Metered(length=100, jitter=seed))

    async def run() -> None:
        task = asyncio.ensure_future(graph.arun(question="one two three"))
        if cancel is not None:
            await asyncio.sleep(cancel)
            task.cancel()
        with contextlib.suppress(RunError, asyncio.CancelledError):
            await asyncio.wait_for(task, 60)  # nobody waits for ever

    asyncio.run(run())
    assert watched.most.get("", 0) <= most
    assert all(spent <= 150 for scope, spent in watched.most.items() if scope)
    watched.settled()


async def test_what_the_branches_come_to_does_not_depend_on_timing(watched: Watched) -> None:
    async def spent(pause: float) -> tuple[int, int]:
        graph = branches("{max_tokens: 3_000, on_exceed: [stop]}", "", Metered(length=40, pause=pause))
        result = await graph.arun(question="one two three")
        return watched.account().spent.tokens, len(result.exceeded)

    assert await spent(0.0) == await spent(0.0005)


async def test_the_first_to_wait_is_the_first_to_be_served(watched: Watched) -> None:
    model = Metered(length=40, pause=0.0005)
    await branches("{max_tokens: 60_000}", ", max_tokens: 100", model).arun(question="one two three")
    assert len(model.asked) == BRANCHES
    assert watched.most[""] <= 60_000
