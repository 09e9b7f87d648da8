"""Which calls a budget counts, and what becomes of a failure beyond the call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import BudgetExceeded, RunError
from ragweave.orchestrator.graph import Graph
from tests.engine.metered import FEW, PROMPT, Watched, chat, loaded, metered_types

HELD = FEW + 1 + 20
"""Of a call with one word and max_tokens: 20; it uses 11."""


@pytest.fixture(autouse=True)
def _types() -> Iterator[None]:
    yield from metered_types()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def with_inner(folder: Path, inner: str, outer: str, *, outputs: str = "[answer]") -> Graph:
    """A graph whose node g runs another one."""
    head = "schema: ragweave/v1\ninputs: {question: str}\noutputs: [answer]\nmodels: {chat: {type: metered}}\n"
    (folder / "inner.yaml").write_text(head + PROMPT + inner)
    return loaded(folder, outer, outputs=outputs)


NODE = "{type: generator, model: chat, prompt: p, max_tokens: 20%s}"
TWICE = """\
edges:
  - start -> g
  - {from: g, routes: [{when: "true", to: g, max_iterations: 1}, {to: end}]}
"""


async def test_a_call_counts_for_every_scope_around_it(tmp_path: Path, watched: Watched) -> None:
    node = NODE % ", budget: {max_tokens: 900}"
    graph = with_inner(
        tmp_path,
        f"budget: {{max_tokens: 1000}}\nnodes: {{a: {node}}}\nedges: [start -> a -> end]\n",
        "budget: {max_tokens: 5000}\nnodes: {g: {type: graph, path: inner.yaml, budget: {max_tokens: 4000}}}\n"
        + TWICE.replace('when: "true", ', ""),
    )
    await graph.arun(question="one")
    spent = {one.scope: one.spent.tokens for one in watched.books[-1].accounts}
    # The file's budget is of each visit; those of nodes are of all their visits in the run.
    assert spent == {"": 22, "g": 22, "g#1/": 11, "g/a": 22, "g#2/": 11}


async def test_each_visit_of_a_graph_has_the_budget_of_its_file(tmp_path: Path) -> None:
    inner = f"budget: {{max_tokens: {HELD}}}\nnodes: {{a: {NODE % ''}}}\nedges: [start -> a -> end]\n"
    outer = "nodes: {g: {type: graph, path: inner.yaml}}\n" + TWICE.replace('when: "true", ', "")
    assert (await with_inner(tmp_path, inner, outer).arun(question="one"))["answer"]


async def test_a_node_in_a_graph_has_its_budget_over_all_visits_of_that_graph(tmp_path: Path) -> None:
    inner = f"nodes: {{a: {NODE % f', budget: {{max_tokens: {HELD}}}'}}}\nedges: [start -> a -> end]\n"
    outer = "nodes: {g: {type: graph, path: inner.yaml}}\n" + TWICE.replace('when: "true", ', "")
    with pytest.raises(RunError, match="node 'g/a'") as caught:
        await with_inner(tmp_path, inner, outer).arun(question="one")
    assert caught.value.path == "g#2/a#1"


def graph_of(folder: Path, node: str, budget: int, *, more: str = "", model: str = "") -> Graph:
    models = f"models: {{chat: {{type: metered{model}}}, other: {{type: metered}}}}\n"
    return loaded(
        folder,
        f"{models}budget: {{max_tokens: {budget}{more}}}\nnodes: {{a: {NODE % node}}}\nedges: [start -> a -> end]\n",
    )


async def test_every_attempt_counts(tmp_path: Path, watched: Watched) -> None:
    graph = graph_of(tmp_path, ", retry: 2", HELD * 2, model=", fails: after")
    with pytest.raises(RunError) as caught:
        await graph.arun(question="one")
    assert isinstance(caught.value.__cause__, BudgetExceeded)  # and that is no reason for another attempt
    assert (len(chat(graph).asked), watched.account().spent.tokens) == (2, HELD * 2)


async def test_what_did_not_fit_has_its_fallback(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, ", fallback: {type: reply, text: No money.}", HELD - 1)
    result = await graph.arun(question="one")
    assert result["answer"].text == "No money."
    assert [(one.did, one.path) for one in result.exceeded] == [("stop", "a#1")]


async def test_the_losers_of_a_race_count_in_full(tmp_path: Path, watched: Watched) -> None:
    graph = graph_of(tmp_path, ", race: {model: other}", HELD * 2, model=", pause: 1")
    await graph.arun(question="one")
    assert watched.account().spent.tokens == HELD + 11
    watched.settled()


async def test_a_failure_for_want_of_budget_is_one_as_any_other(tmp_path: Path) -> None:
    text = f"""\
models: {{chat: {{type: metered}}}}
nodes:
  a: {NODE % f", budget: {{max_tokens: {HELD - 1}}}, on_error: sorry"}
  sorry: {{type: reply, text: Sorry.}}
edges: [start -> a -> end, sorry -> end]
"""
    result = await loaded(tmp_path, text).arun(question="one")
    assert result["answer"].text == "Sorry."


DRAFTS = f"""\
models: {{chat: {{type: metered}}}}
budget: {{max_tokens: %d, on_exceed: [partial_answer, stop]}}
nodes:
  draft: {NODE % ""}
  better: {NODE % ", writes: {answer: better}"}
edges: [start -> draft -> better -> end]
"""


async def test_a_graph_ends_with_the_outputs_that_are_written(tmp_path: Path, watched: Watched) -> None:
    graph = loaded(tmp_path, DRAFTS % HELD, outputs="[answer, better]")
    result = await graph.arun(question="one")
    assert (result.status, list(result.outputs)) == ("done", ["answer"])
    assert [(one.did, one.path) for one in result.exceeded] == [("stop", "better#1"), ("partial_answer", "")]
    replay = await graph.areplay(result.run_id)
    assert (replay.differences, list(replay.outputs)) == ((), ["answer"])
    watched.settled()
    fork = await graph.afork(result.run_id, "better#1")
    assert list(fork.outputs) == ["answer"]
    assert watched.account().spent.tokens == 11  # what was used before the fork's point


async def test_without_any_output_it_fails(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no room"):
        await loaded(tmp_path, DRAFTS % (HELD - 40), outputs="[answer, better]").arun(question="one")


async def test_a_graph_in_a_graph_ends_early_if_all_its_outputs_are_there(tmp_path: Path) -> None:
    nodes = f"nodes:\n  a: {NODE % ''}\n  b: {NODE % ', writes: {answer: more}'}\nedges: [start -> a -> b -> end]\n"
    outer = "nodes: {g: {type: graph, path: inner.yaml}}\nedges: [start -> g -> end]\n"
    inner = f"budget: {{max_tokens: {HELD}, on_exceed: [partial_answer]}}\n{nodes}"
    graph = with_inner(tmp_path, inner, outer)
    result = await graph.arun(question="one")
    assert len(result["answer"].text.split()) == 10
    assert [(one.did, one.path) for one in result.exceeded] == [("stop", "g#1/b#1"), ("partial_answer", "g#1/")]
    assert (await graph.areplay(result.run_id)).differences == ()
    events = [event.kind for event in await graph.store.events(result.run_id)]
    assert events.count("ended") == 1
    # Forked elsewhere its end is kept, forked inside what it had left open is due again.
    assert (await graph.afork(result.run_id, "g#1/b#1"))["answer"] == result["answer"]


async def test_a_result_that_a_budget_has_changed_is_not_cached(tmp_path: Path) -> None:
    more = ", on_exceed: [partial_answer]"
    graph = graph_of(tmp_path, ", cache: 1h", HELD + 100, more=more, model=", length: 500")
    text = (tmp_path / "shop.yaml").read_text().replace("max_tokens: 20,", "max_tokens: 200,")
    graph = Graph.parse(text)
    for _ in range(2):
        assert (await graph.arun(question="one")).exceeded
    assert len(chat(graph).asked) == 2
