"""The conformance cases C1 to C3 and C10 to C12 of the design, on the engine as users meet it."""

from __future__ import annotations

from typing import TypedDict

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import GraphError, NodeError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.values import Ask, Failure, Verdict
from tests.engine.steps import R, ask, build, finished, idle, routes


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
    monkeypatch.setattr("ragweave.orchestrator.running.wrappers.FIRST_PAUSE", 0.0)
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
