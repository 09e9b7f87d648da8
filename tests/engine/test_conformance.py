"""The conformance cases C1 to C12 of the design, on the engine as users meet it."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, NodeError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask, Failure, Verdict
from tests.engine.steps import R, ask, build, finished, idle, routes, writes


class Judged(TypedDict):
    verdict: Verdict


class Answered(TypedDict):
    answer: str


def cookbook(*, grades: list[Verdict], screened: bool = True) -> Graph:
    """The graph of the design's section 2, with nodes that say what they are told to say."""

    async def screen(question: str) -> Judged:
        return {"verdict": Verdict(passed=screened)}

    async def answer(question: str) -> Answered:
        return {"answer": f"an answer to {question}"}

    async def grade(answer: str) -> Judged:
        return {"verdict": grades.pop(0)}

    async def refuse(question: str) -> Answered:
        return {"answer": "no"}

    async def remember(question: str, answer: str) -> None:
        return None

    plain = dict.fromkeys(("recall", "decompose", "retrieve", "rerank"), idle)
    return build(
        {**plain, "screen": screen, "answer": answer, "grade": grade, "refuse": refuse, "remember": remember},
        "start -> recall -> screen",
        routes("screen", ("verdict.passed", "decompose"), (None, "refuse")),
        "decompose -> retrieve -> rerank -> answer -> grade",
        routes(
            "grade",
            ("verdict.passed", "remember"),
            ("size(verdict.missing) > 0", "decompose", 2),
            (None, "refuse"),
        ),
        "refuse -> remember -> end",
        inputs={"question": "str"},
        outputs=["answer"],
    )


BODY = ["decompose", "retrieve", "rerank", "answer", "grade"]
LACKING = Verdict(passed=False, missing=("salt",))


def names(paths: list[str]) -> list[str]:
    return [path.split("#")[0] for path in paths]


async def test_c1_a_second_visit_passes() -> None:
    graph = cookbook(grades=[LACKING, Verdict(passed=True)])
    result = await graph.arun(question="q")
    paths = await finished(graph)
    assert names(paths) == ["recall", "screen", *BODY, *BODY, "remember"]
    assert paths[-2:] == ["grade#2", "remember#1"]
    assert result["answer"] == "an answer to q"


async def test_c1_never_passes() -> None:
    graph = cookbook(grades=[LACKING] * 3)
    result = await graph.arun(question="q")
    assert names(await finished(graph)) == ["recall", "screen", *BODY * 3, "refuse", "remember"]
    assert result["answer"] == "no"


async def test_c1_screened_out() -> None:
    graph = cookbook(grades=[], screened=False)
    seen = [event async for event in graph.stream(question="q")]
    assert [event.node for event in seen if event.kind == "finished"] == ["recall", "screen", "refuse", "remember"]
    assert {event.node for event in seen if event.kind == "skipped"} == set(BODY)


async def test_c2_a_bound_that_is_used_up() -> None:
    class Think(TypedDict):
        calls: bool

    async def think() -> Think:
        return {"calls": True}

    graph = build(
        {"think": think, "act": idle, "give_up": idle},
        "start -> think",
        routes("think", ("calls", "act"), (None, "end")),
        routes("act", (None, "think", 2), (None, "give_up")),
        "give_up -> end",
        inputs={},
        outputs=[],
    )
    await graph.arun()
    assert names(await finished(graph)) == [*["think", "act"] * 3, "give_up"]


async def test_c3_an_inner_loop_and_its_outer_one() -> None:
    class I(TypedDict):  # noqa: E742
        redo: bool
        up: bool
        out: bool

    class Again(TypedDict):
        again: bool

    async def i() -> I:
        return {"redo": True, "up": True, "out": False}

    async def m() -> Again:
        return {"again": False}

    graph = build(
        {"h": idle, "i": i, "m": m, "x": idle},
        "start -> h -> i",
        routes("i", ("redo", "i", 1), ("up", "h", 1), ("out", "x"), (None, "m")),
        routes("m", ("again", "h", 1), (None, "end")),
        "x -> end",
        inputs={},
        outputs=[],
    )
    seen = [event async for event in graph.stream()]
    assert names([event.path for event in seen if event.kind == "finished"]) == ["h", "i", "i", "h", "i", "i", "m"]
    last = [event.node for event in seen if event.kind in ("finished", "skipped")]
    assert last[-1] == "x"
    assert last.count("x") == 1


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


@pytest.mark.parametrize(
    ("nodes", "edges", "said"),
    [
        (
            "h a log",
            ["start -> h -> a, log", routes("a", ("n > 0", "h", 2), (None, "end")), "log -> end"],
            "fork at h leaves the loop",
        ),
        (
            "a b",
            ["start -> a, b", "a -> b", routes("b", ("n > 0", "a", 2), (None, "end"))],
            "loop entered from two places",
        ),
        ("a", ["start -> a", "a -> a", "a -> end"], "a back edge needs routes and max_iterations"),
    ],
)
def test_c10_shapes_that_are_refused(nodes: str, edges: list[object], said: str) -> None:
    with pytest.raises(GraphError) as caught:
        build(dict.fromkeys(nodes.split(), idle), *edges, outputs=[])
    assert said.rsplit("' ", maxsplit=1)[-1] in str(caught.value)


async def test_c11_on_error_beside_a_running_branch() -> None:
    order: list[str] = []

    async def a() -> None:
        raise NodeError("a broke")

    async def b() -> None:
        order.append("b")

    async def r(error: Failure) -> R:
        order.append("r")
        return {"r": error.message}

    async def j() -> None:
        order.append("j")

    graph = build(
        {"a": {"type": a, "on_error": "r"}, "b": b, "r": r, "j": j},
        "start -> a, b",
        "a, b, r -> j -> end",
        inputs={},
        outputs=[],
    )
    await graph.arun()
    assert order[-1] == "j"
    assert sorted(order) == ["b", "j", "r"]
    assert sorted(names(await finished(graph))) == ["a", "b", "j", "r"]


async def test_c12_a_parked_item_is_the_only_one_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragweave.orchestrator.wrappers.FIRST_PAUSE", 0.0)
    calls: list[str] = []
    keys: set[str] = set()

    async def work(item: str, ctx: Context) -> R | Ask:
        calls.append(item)
        if item == "q":
            keys.add(ctx.key)
            if not ctx.answers:
                return ask("May I?", "boolean")
            return {"r": f"q:{ctx.answers[-1]}"}
        if item == "r" and calls.count("r") <= 2:
            raise NodeError("busy", transient=True)
        return {"r": item}

    store = MemoryStore()

    def twelve() -> Graph:
        return build(
            {"m": {"type": work, "retry": 2, "map": {"over": "items", "as": "item"}}},
            "start -> m -> end",
            inputs={"items": "list[str]"},
            outputs=["r"],
            store=store,
        )

    parked = await twelve().arun(items=["p", "q", "r"])
    assert parked.status == "parked"
    assert list(parked.asks) == ["m#1[1]"]
    assert parked.asks["m#1[1]"].question == "May I?"
    assert sorted(calls) == ["p", "q", "r", "r", "r"]
    calls.clear()
    result = await twelve().aresume(parked.run_id, answers={"m#1[1]": True})
    assert calls == ["q"]
    assert len(keys) == 1
    assert keys == {f"{parked.run_id}:m#1[1]"}
    assert result["r"] == ["p", "q:True", "r"]
    assert result.status == "done"
