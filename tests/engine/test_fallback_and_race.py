"""`fallback`, `race` and `on_error` (R16, R17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, NodeError, RunError
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.values import Ask, Failure
from tests.engine.steps import N, R, ask, build, events, finished, idle, routes


class Say(Node):
    """Writes its text, or fails with it."""

    text: str = "main"
    broken: bool = False
    transient: bool = False

    async def __call__(self, ctx: Context) -> R:
        CALLS.append(ctx.path)
        await ctx.emit(self.text)
        if self.broken:
            raise NodeError(f"{self.text} is broken", transient=self.transient)
        return {"r": self.text}


CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)


def say(**more: Any) -> Any:
    return build({"a": {"type": Say, **more}}, "start -> a -> end", inputs={}, outputs=["r"])


async def test_a_fallback_is_the_same_node_with_other_settings() -> None:
    graph = say(broken=True, fallback=[{"text": "second"}, {"text": "third", "broken": False}])
    assert (await graph.arun())["r"] == "third"
    assert CALLS == ["a#1", "a#1/1", "a#1/2"]


async def test_that_a_fallback_was_needed_is_said_once_to_whoever_listens() -> None:
    graph = say(broken=True, fallback=[{"text": "second"}, {"text": "third", "broken": False}])
    said: list[str] = []
    graph.resources.notice = said.append
    await graph.arun()
    await graph.arun()
    assert said == [f"a: {text} is broken; its fallback is asked instead" for text in ("main", "second")]


@pytest.mark.parametrize("policy", ["fallback", "race"])
@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"type": one}])
async def test_what_may_be_a_node_in_python_may_be_a_fallback_or_race_as_it_is(
    policy: str, wrap: Callable[[Any], Any]
) -> None:
    async def function() -> R:
        return {"r": "function"}

    inner = build({"a": Say(text="inner")}, "start -> a -> end", inputs={}, outputs=["r"])
    for given, expected in ((function, "function"), (Say(text="node"), "node"), (inner, "inner")):
        assert (await say(broken=True, **{policy: wrap(given)}).arun())["r"] == expected


async def test_what_stands_bare_may_be_mixed_with_settings() -> None:
    async def last() -> R:
        return {"r": "function"}

    graph = say(broken=True, fallback=[{"text": "second"}, Say(text="third", broken=True), last])
    assert (await graph.arun())["r"] == "function"
    assert CALLS == ["a#1", "a#1/1", "a#1/2"]


def test_settings_beside_a_node_and_words_in_place_of_one_are_refused() -> None:
    with pytest.raises(GraphError, match="setting 'text' stands beside a Node, which has its settings"):
        say(fallback={"type": Say(), "text": "b"})
    with pytest.raises(GraphError, match="fallback: expected other settings, a node with its type, or a list of these"):
        say(fallback="reply")


def test_a_graph_whose_fallback_has_effects_is_not_raced() -> None:
    class Pay(Say):
        effects = "external"

    inner = build({"a": {"type": Say, "fallback": Pay()}}, "start -> a -> end", inputs={}, outputs=["r"])
    outer = build({"a": {"type": Say, "fallback": inner}}, "start -> a -> end", inputs={}, outputs=["r"])
    with pytest.raises(GraphError, match="a node with effects cannot race"):
        say(race=outer)


async def test_a_fallback_inherits_retry_and_is_reached_after_the_last_attempt() -> None:
    graph = say(broken=True, transient=True, retry=1, fallback=[{"text": "second"}, {"broken": False}])
    await graph.arun()
    assert CALLS == ["a#1", "a#1", "a#1/1", "a#1/1", "a#1/2"]


async def test_a_fallback_is_reached_at_once_on_an_error_that_will_not_pass() -> None:
    graph = say(broken=True, retry=5, fallback={"broken": False})
    await graph.arun()
    assert CALLS == ["a#1", "a#1/1"]


async def test_if_all_fail_the_last_error_notes_those_before() -> None:
    graph = say(broken=True, fallback=[{"text": "second"}, {"text": "third"}])
    with pytest.raises(RunError, match="third is broken") as caught:
        await graph.arun()
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__notes__ == [
        "before that: main is broken",
        "before that: second is broken",
    ]


async def test_a_fallback_withdraws_what_was_streamed() -> None:
    graph = say(broken=True, fallback={"text": "second", "broken": False})
    told = [(event.kind, event.path, event.text) async for event in graph.stream()]
    assert told[2:6] == [
        ("token", "a#1", "main"),
        ("reset", "a#1", ""),
        ("fallback", "a#1", ""),
        ("token", "a#1/1", "second"),
    ]


async def test_an_ask_is_no_error_and_the_same_member_goes_on_with_the_answer() -> None:
    async def broken(n: int, ctx: Context) -> N:
        CALLS.append(ctx.path)
        raise NodeError("broken")

    async def asks(n: int, ctx: Context) -> N | Ask:
        CALLS.append(ctx.path)
        return {"n": ctx.answers[0]} if ctx.answers else ask("How many?", "integer")

    graph = build({"a": {"type": broken, "fallback": [{"type": asks}]}}, "start -> a -> end")
    parked = await graph.arun(n=1)
    assert list(parked.asks) == ["a#1/1"]
    result = await graph.aresume(parked.run_id, answers={"a#1/1": 7})
    assert result["n"] == 7
    assert CALLS == ["a#1", "a#1/1", "a#1/1"]


def racing(*members: Callable[..., Any], **more: Any) -> Any:
    first, *others = members
    node = {"type": first, "race": [{"type": one} for one in others], **more}
    return build({"a": node}, "start -> a -> end")


async def test_the_first_success_wins_and_the_others_are_cancelled() -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    async def slow(n: int) -> N:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return {"n": 0}

    async def quick(n: int) -> N:
        await started.wait()
        return {"n": 2}

    assert (await racing(slow, quick).arun(n=1))["n"] == 2
    assert cancelled.is_set()


async def test_a_failure_does_not_end_a_race() -> None:
    failed = asyncio.Event()

    async def broken(n: int) -> N:
        failed.set()
        raise NodeError("broken")

    async def slow(n: int) -> N:
        await failed.wait()
        await asyncio.sleep(0)
        return {"n": 3}

    assert (await racing(broken, slow).arun(n=1))["n"] == 3


async def test_a_race_that_nobody_wins_fails() -> None:
    async def one(n: int) -> N:
        raise NodeError("one")

    async def two(n: int) -> N:
        await asyncio.sleep(0)
        raise NodeError("two")

    with pytest.raises(RunError, match="two"):
        await racing(one, two).arun(n=1)


async def test_an_ask_neither_wins_nor_loses() -> None:
    asked = asyncio.Event()

    async def asks(n: int) -> N | Ask:
        asked.set()
        return ask("n?")

    async def slow(n: int) -> N:
        await asked.wait()
        await asyncio.sleep(0)
        return {"n": 4}

    graph = racing(asks, slow)
    result = await graph.arun(n=1)
    assert (result.status, result["n"]) == ("done", 4)


async def test_if_only_asks_are_left_the_run_parks_and_only_they_are_called_again() -> None:
    async def asks(n: int, ctx: Context) -> N | Ask:
        CALLS.append(ctx.path)
        return {"n": ctx.answers[0]} if ctx.answers else ask("n?", "integer")

    async def broken(n: int, ctx: Context) -> N:
        CALLS.append(ctx.path)
        raise NodeError("broken")

    graph = racing(broken, asks)
    parked = await graph.arun(n=1)
    assert parked.status == "parked"
    result = await graph.aresume(parked.run_id, answers={"a#1/1": 5})
    assert result["n"] == 5
    assert CALLS == ["a#1", "a#1/1", "a#1/1"]


async def test_the_tokens_of_losers_are_withdrawn_and_no_more_come() -> None:
    loser_emitted = asyncio.Event()

    async def loser(n: int, ctx: Context) -> N:
        await ctx.emit("L1")
        loser_emitted.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await ctx.emit("L2")
            raise
        return {"n": 0}

    async def winner(n: int, ctx: Context) -> N:
        await loser_emitted.wait()
        await ctx.emit("W")
        return {"n": 1}

    told = [(event.kind, event.path, event.text) async for event in racing(loser, winner).stream(n=1)]
    assert told[2:7] == [
        ("token", "a#1", "L1"),
        ("token", "a#1/1", "W"),
        ("token", "a#1", "L2"),
        ("reset", "a#1", ""),
        ("finished", "a#1", ""),
    ]


async def test_cancelling_a_race_cancels_all_of_it() -> None:
    ended: list[str] = []
    started = [asyncio.Event(), asyncio.Event()]

    def member(number: int) -> Callable[..., Any]:
        async def work(n: int) -> N:
            started[number].set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(str(number))
            return {"n": n}

        return work

    task = asyncio.ensure_future(racing(member(0), member(1)).arun(n=1))
    for event in started:
        await event.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["0", "1"]


async def test_on_error_is_taken_instead_of_the_other_edges() -> None:
    async def broken(n: int) -> N:
        raise ValueError("bad luck")

    async def repair(error: Failure) -> R:
        return {"r": f"{error.node} {error.type} {error.message}"}

    graph = build(
        {"a": {"type": broken, "on_error": "x"}, "b": idle, "x": repair},
        "start -> a -> b -> end",
        "x -> end",
        outputs=[],
    )
    seen = [event async for event in graph.stream(n=1)]
    assert [event.path for event in seen if event.kind == "finished"] == ["a#1", "x#1"]
    assert [event.node for event in seen if event.kind == "skipped"] == ["b"]
    (written,) = [event.data for event in seen if event.path == "x#1" and event.kind == "finished"]
    assert written == {"r": "a#1 ValueError bad luck"}


async def test_on_error_is_dead_when_the_node_succeeds() -> None:
    graph = build({"a": {"type": idle, "on_error": "x"}, "x": idle}, "start -> a -> end", "x -> end", outputs=[])
    await graph.arun(n=1)
    assert await finished(graph) == ["a#1"]


async def test_a_condition_that_fails_fails_its_node_which_then_wrote_nothing() -> None:
    async def write(n: int) -> N:
        return {"n": 0}

    async def repair(n: int, error: Failure) -> R:
        return {"r": f"{n} {error.type}"}

    graph = build(
        {"a": {"type": write, "on_error": "x"}, "x": repair, "b": idle},
        "start -> a",
        routes("a", ("10 / n > 1", "b"), (None, "b")),
        "b -> end",
        "x -> end",
        outputs=[],
    )
    await graph.arun(n=5)
    told = [event.data for event in await events(graph) if event.path == "x#1"]
    assert told == [{"r": "5 ConditionError"}]


async def test_on_error_in_a_loop_goes_round_again() -> None:
    async def flaky(n: int, ctx: Context) -> N:
        if ctx.visit < 3:
            raise NodeError(f"visit {ctx.visit}")
        return {"n": n + ctx.visit}

    graph = build(
        {"h": idle, "a": {"type": flaky, "on_error": "x"}, "x": idle},
        "start -> h -> a -> end",
        routes("x", (None, "h", 5), (None, "end")),
    )
    assert (await graph.arun(n=1))["n"] == 4
    assert await finished(graph) == ["h#1", "a#1", "x#1", "h#2", "a#2", "x#2", "h#3", "a#3"]


async def test_a_node_that_fails_after_it_streamed_withdraws_its_tokens() -> None:
    graph = build(
        {"a": {"type": Say, "broken": True, "on_error": "x"}, "x": idle},
        "start -> a -> end",
        "x -> end",
        inputs={},
        outputs=[],
    )
    told = [(event.kind, event.path) async for event in graph.stream()]
    assert told[2:5] == [("token", "a#1"), ("reset", "a#1"), ("finished", "a#1")]
