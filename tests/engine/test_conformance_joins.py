"""The conformance cases C4 to C9 of the design, on the engine as users meet it."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError
from ragweave.orchestrator.graph import Graph
from tests.engine.steps import K, N, R, build, finished, idle, routes, writes


class Chosen(TypedDict):
    c: bool


def choosing(value: bool) -> object:
    async def choose() -> Chosen:
        return {"c": value}

    return choose


async def test_c4_a_join_waits_for_what_was_chosen() -> None:
    class X(TypedDict):
        x: str

    class Y(TypedDict):
        y: str

    async def a() -> X:
        return {"x": "x"}

    async def b() -> Y:
        return {"y": "y"}

    async def j(y: str, x: str = "none") -> R:
        return {"r": x + y}

    def four(choice: bool, join: object) -> Graph:
        return build(
            {"s": choosing(choice), "a": a, "b": b, "j": join},
            "start -> s",
            routes("s", ("c", ["a", "b"]), (None, "b")),
            "a, b -> j -> end",
            inputs={},
            outputs=["r"],
        )

    assert (await four(False, j).arun())["r"] == "noney"
    assert (await four(True, j).arun())["r"] == "xy"

    async def needs(x: str, y: str) -> R:
        return {"r": x + y}

    with pytest.raises(GraphError, match=r"may be unwritten at .*j.* \(.*s.* may go to .*b.* alone\)"):
        four(True, needs)


async def test_c5_two_ways_to_a_reader() -> None:
    async def reads(k: list[str]) -> R:
        return {"r": k[0]}

    class Both(TypedDict):
        c: bool
        x: str

    async def n0() -> Both:
        return {"c": True, "x": "x"}

    async def n1(x: str) -> None:
        return None

    with pytest.raises(GraphError, match="x"):
        build(
            {"n0": n0, "n1": n1, "n3": idle},
            "start -> n0, n1",
            routes("n0", ("c", "n1"), (None, "n3")),
            "n1, n3 -> end",
            inputs={},
            outputs=[],
        )
    for choice, value in ((True, "x"), (False, "y")):
        graph = build(
            {"a": idle, "b": choosing(choice), "c": idle, "x": writes("x"), "y": writes("y"), "j": reads},
            "start -> a -> b, c",
            routes("b", ("c", "x"), (None, "y")),
            "x, y, c -> j -> end",
            inputs={},
            outputs=["r"],
        )
        assert (await graph.arun())["r"] == value


async def test_c6_a_later_write_replaces_an_earlier_one() -> None:
    graph = build(
        {"s": writes("s"), "a": idle, "b": writes("b"), "b2": idle, "c": idle, "j": idle},
        "start -> s -> a, b, c",
        "b -> b2",
        "a, b2, c -> j -> end",
        inputs={},
        outputs=["k"],
    )
    assert (await graph.arun())["k"] == ["b"]


async def test_c7_three_writers_and_two_joins() -> None:
    def seven(**more: Any) -> Graph:
        async def n(k: list[str]) -> R:
            return {"r": " ".join(k)}

        return build(
            {"b": writes("b"), "c": writes("c"), "d": writes("d"), "j1": idle, "j2": idle, "n": n},
            "start -> b, c, d",
            "b, c -> j1",
            "c, d -> j2",
            "j1, j2 -> n -> end",
            inputs={},
            outputs=["r"],
            **more,
        )

    with pytest.raises(GraphError) as caught:
        seven()
    assert len(caught.value.problems) == 1
    assert "'n'" in str(caught.value) or " n " in str(caught.value)
    assert (await seven(state={"k": {"merge": "extend"}}).arun())["r"] == "b c d"


async def test_c8_the_writer_beside_a_loop_wins_over_what_came_before_both() -> None:
    class More(TypedDict):
        more: bool

    visits: list[int] = []

    async def h(ctx: Context) -> More:
        visits.append(ctx.visit)
        return {"more": True}

    graph = build(
        {"s": writes("s"), "h": h, "x": writes("x"), "j": idle},
        "start -> s -> h, x",
        routes("h", ("more", "h", 2), (None, "j")),
        "x -> j -> end",
        inputs={},
        outputs=["k"],
    )
    assert (await graph.arun())["k"] == ["x"]
    assert visits == [1, 2, 3]
    assert (await finished(graph))[-1] == "j#1"


async def test_c8_a_loop_that_writes_too() -> None:
    class More(TypedDict):
        more: bool
        k: list[str]

    async def h(ctx: Context) -> More:
        return {"more": True, "k": [f"h{ctx.visit}"]}

    def eight(**more: Any) -> Graph:
        return build(
            {"s": writes("s"), "h": h, "x": writes("x"), "j": idle},
            "start -> s -> h, x",
            routes("h", ("more", "h", 2), (None, "j")),
            "x -> j -> end",
            inputs={},
            outputs=["k"],
            **more,
        )

    with pytest.raises(GraphError, match="k"):
        eight()
    assert (await eight(state={"k": {"merge": "extend"}}).arun())["k"] == ["h3", "x"]


async def test_c9_a_writer_that_waits_for_another() -> None:
    async def j(k: list[str]) -> R:
        return {"r": k[0]}

    graph = build(
        {"u": writes("u"), "w": idle, "x": choosing(False), "v": writes("v"), "j": j},
        "start -> u, w",
        "u -> x, j",
        routes("x", ("c", "v"), (None, "end")),
        "w -> v -> j -> end",
        inputs={},
        outputs=["r"],
    )
    assert (await graph.arun())["r"] == "v"


async def test_a_write_of_the_iteration_before_is_replaced_by_one_of_this_iteration() -> None:
    """R11: on a back edge, what was written in the loop counts as its header's."""

    async def a(ctx: Context) -> K:
        return {"k": [f"a{ctx.visit}"]}

    async def j(k: list[str], ctx: Context) -> N:
        seen.append(k)
        return {"n": ctx.visit}

    seen: list[list[str]] = []
    graph = build(
        {"h": idle, "a": a, "b": idle, "j": j},
        "start -> h -> a, b -> j",
        routes("j", ("n < 3", "h", 5), (None, "end")),
        inputs={},
        outputs=["k"],
    )
    assert (await graph.arun())["k"] == ["a3"]
    assert seen == [["a1"], ["a2"], ["a3"]]
