"""`interrupt`: a person is asked before the call (R14, R19). What he sees is what he approves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import InputError, NodeError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.running.state import origin_bit
from ragweave.orchestrator.stores.durable import DurableStore
from ragweave.orchestrator.stores.memory import MemoryStore
from ragweave.orchestrator.stores.sqlite import SqliteDatabase
from ragweave.orchestrator.types import value_models
from ragweave.orchestrator.values import Ask, Document, Failure
from tests.engine.steps import Calls, N, R, ask, build, events, finished, routes, status


class Paid(TypedDict):
    paid: str


class Desk:
    """A node with an effect, which counts itself and keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

        def pay(order: str, amount: float) -> Paid:
            self.calls.append((order, amount))
            return {"paid": f"{amount:g} for {order}"}

        self.pay = node_type(pay, effects="write")

    def graph(self, interrupt: Any, **more: Any) -> Graph:
        return build(
            {"pay": {"type": self.pay, "interrupt": interrupt, **more.pop("policies", {})}, **more.pop("nodes", {})},
            *more.pop("edges", ["start -> pay -> end"]),
            inputs={"order": "str", "amount": "float"},
            outputs=more.pop("outputs", ["paid"]),
            **more,
        )


GIVEN: Mapping[str, Any] = {"order": "A17", "amount": 40.0}


@pytest.mark.parametrize(
    ("interrupt", "question"),
    [
        (True, "Shall 'pay' go on?\norder: A17\namount: 40.0"),
        ("Send this refund?", "Send this refund?\norder: A17\namount: 40.0"),
        ("Send {amount} for {order}?", "Send 40.0 for A17?"),
        ("Send {amount}, {{please}}?", "Send 40.0, {please}?\norder: A17"),
        ({"question": "Send it?", "edit": ["amount"]}, "Send it?\norder: A17\namount: 40.0"),
    ],
)
async def test_the_question_shows_what_the_call_would_get(interrupt: Any, question: str) -> None:
    desk = Desk()
    graph = desk.graph(interrupt)
    parked = await graph.arun(**GIVEN)
    assert {path: one.question for path, one in parked.asks.items()} == {"pay#1": question}
    assert not desk.calls
    assert [event.kind for event in await events(graph)] == ["run_started", "asked", "run_parked"]
    done = await graph.aresume(parked.run_id, answers={"pay#1": True})
    assert (done["paid"], desk.calls) == ("40 for A17", [("A17", 40.0)])
    told = [event.kind for event in await events(graph)]
    assert told.index("answered") < told.index("effect_started")


async def test_the_question_may_name_keys_that_the_node_does_not_read() -> None:
    desk = Desk()
    graph = build(
        {"pay": {"type": desk.pay, "interrupt": "Send {amount} to {customer}?", "reads": {"order": "number"}}},
        "start -> pay -> end",
        inputs={"number": "str", "amount": "float", "customer": "str"},
        outputs=["paid"],
    )
    parked = await graph.arun(number="A17", amount=40.0, customer="Ann")
    assert parked.asks["pay#1"].question == "Send 40.0 to Ann?\nnumber: A17"


async def test_no_line_of_a_value_can_pass_for_another_value() -> None:
    desk = Desk()
    parked = await desk.graph(True).arun(order="A17\namount: 1.0", amount=40.0)
    assert parked.asks["pay#1"].question.splitlines()[1:] == ["order: A17", "    amount: 1.0", "amount: 40.0"]
    parked = await desk.graph(True).arun(order="x" * 5000, amount=1.0)
    assert parked.asks["pay#1"].question.splitlines()[1] == f"order: {'x' * 2000}… (5,000 characters)"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (False, "a person said no"),
        ({"approved": False}, "a person said no"),
        ({"approved": False, "reason": "too much"}, "a person said no: too much"),
    ],
)
async def test_a_no_fails_the_node_which_on_error_may_route(answer: Any, said: str) -> None:
    desk = Desk()
    graph = desk.graph(True)
    parked = await graph.arun(**GIVEN)
    with pytest.raises(RunError, match=f"failed at pay#1: {said}$"):
        await graph.aresume(parked.run_id, answers={"pay#1": answer})
    with pytest.raises(RunError, match=f"failed at pay#1: {said}$"):  # it stays a no
        await graph.aresume(parked.run_id)

    async def sorry(error: Failure) -> Paid:
        return {"paid": f"{error.type}: {error.message}"}

    graph = desk.graph(
        "Send?", policies={"on_error": "sorry"}, nodes={"sorry": sorry},
        edges=["start -> pay -> end", "sorry -> end"],
    )  # fmt: skip
    parked = await graph.arun(**GIVEN)
    done = await graph.aresume(parked.run_id, answers={"pay#1": answer})
    assert (done["paid"], desk.calls) == (f"Denied: {said}", [])


async def test_choices_are_words_that_let_it_go_on_or_not() -> None:
    desk = Desk()
    graph = desk.graph({"choices": {"send": True, "hold": False, "escalate": False}})
    parked = await graph.arun(**GIVEN)
    assert parked.asks["pay#1"].answer_schema["anyOf"][0] == {"type": "string", "enum": ["send", "hold", "escalate"]}
    for wrong in (True, "true", {"choice": "sned"}, {"approved": True}):
        with pytest.raises(InputError, match="pay#1: "):
            await graph.aresume(parked.run_id, answers={"pay#1": wrong})
    with pytest.raises(RunError, match="a person chose 'escalate': over 30"):
        await graph.aresume(parked.run_id, answers={"pay#1": {"choice": "escalate", "reason": "over 30"}})
    parked = await graph.arun(**GIVEN)
    assert (await graph.aresume(parked.run_id, answers={"pay#1": "send"}))["paid"] == "40 for A17"


async def test_an_answer_may_change_what_this_call_gets_and_nothing_else() -> None:
    desk = Desk()

    async def note(order: str, amount: float, paid: str) -> R:
        return {"r": f"{paid}; asked for were {amount:g} for {order}"}

    graph = desk.graph({"edit": ["amount"]}, nodes={"note": note}, edges=["start -> pay -> note -> end"], outputs=["r"])
    parked = await graph.arun(**GIVEN)
    schema = parked.asks["pay#1"].answer_schema["anyOf"][1]["properties"]["values"]
    assert schema["properties"] == {"amount": {"type": "number", "default": 40.0}}
    for wrong in ({"amount": "x"}, {"order": "B"}, {"amount": None}):
        with pytest.raises(InputError, match="pay#1: values"):
            await graph.aresume(parked.run_id, answers={"pay#1": {"approved": True, "values": wrong}})
    done = await graph.aresume(parked.run_id, answers={"pay#1": {"approved": True, "values": {"amount": 25}}})
    assert done["r"] == "25 for A17; asked for were 40 for A17"
    assert desk.calls == [("A17", 25.0)]
    origin = next(event.origin for event in await events(graph) if event.path == "pay#1" and event.kind == "finished")
    assert origin & origin_bit("user")

    graph = desk.graph(True)  # without `edit` nothing can be changed
    parked = await graph.arun(**GIVEN)
    with pytest.raises(InputError, match=r"'values' was unexpected"):
        await graph.aresume(parked.run_id, answers={"pay#1": {"approved": True, "values": {"amount": 1}}})


@pytest.mark.parametrize("durable", [False, True])
async def test_documents_may_be_changed(durable: bool, tmp_path: Path) -> None:
    seen: list[list[Document]] = []

    async def tell(documents: list[Document]) -> R:
        seen.append(documents)
        return {"r": " ".join(one.text for one in documents)}

    store = DurableStore(SqliteDatabase(tmp_path / "runs.sqlite")) if durable else None
    graph = build(
        {"tell": {"type": tell, "interrupt": {"question": "Use these?", "edit": ["documents"]}}},
        "start -> tell -> end",
        inputs={"documents": "list[Document]"},
        outputs=["r"],
        store=store,
    )
    parked = await graph.arun(documents=[Document(id="a", text="one"), Document(id="b", text="two")])
    shown = parked.asks["tell#1"].answer_schema["anyOf"][1]["properties"]["values"]["properties"]["documents"]
    assert [one["id"] for one in shown["default"]] == ["a", "b"]
    strange = {"approved": True, "values": {"documents": [{"id": "b", "text": "two", "offsets": [1, 2.5]}]}}
    with pytest.raises(InputError, match=r"values\.documents\.0"):
        await graph.aresume(parked.run_id, answers={"tell#1": strange})
    fewer = {"approved": True, "values": {"documents": [{"id": "b", "text": "TWO"}]}}
    done = await graph.aresume(parked.run_id, answers={"tell#1": fewer})
    assert (done["r"], seen) == ("TWO", [[Document(id="b", text="TWO")]])
    await graph.aclose()


class Even(BaseModel):
    """A value that knows more of itself than its JSON schema says."""

    model_config = ConfigDict(frozen=True)

    number: int

    @field_validator("number")
    @classmethod
    def _check(cls, number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd")
        return number


async def test_a_change_that_its_type_does_not_allow_is_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(value_models(), "Even", Even)

    async def half(even: Even) -> N:
        return {"n": even.number // 2}

    graph = build(
        {"half": {"type": half, "interrupt": {"question": "Halve it?", "edit": ["even"]}}},
        "start -> half -> end",
        inputs={"even": "Even"},
    )
    result = await graph.arun(even=Even(number=2))
    assert result.asks["half#1"].question.startswith("Halve it?")
    for _ in range(2):
        wrong = {"approved": True, "values": {"even": {"number": 7}}}
        result = await graph.aresume(result.run_id, answers={"half#1": wrong})
        assert result.asks["half#1"].question.startswith("This change is not possible: values.number: 7 is odd.\nHalve")
    right = {"approved": True, "values": {"even": {"number": 8}}}
    assert (await graph.aresume(result.run_id, answers={"half#1": right}))["n"] == 4


async def test_one_question_is_for_all_items_of_a_map() -> None:
    calls = Calls()
    graph = build(
        {
            "each": {
                "type": calls.node("each"), "map": {"over": "numbers", "as": "n"},
                "interrupt": {"question": "All of {numbers}?", "edit": ["numbers"]},
            }
        },
        "start -> each -> end", inputs={"numbers": "list[int]"},
    )  # fmt: skip
    parked = await graph.arun(numbers=[1, 2, 3])
    assert {path: one.question for path, one in parked.asks.items()} == {"each#1": "All of 1, 2, 3?"}
    done = await graph.aresume(parked.run_id, answers={"each#1": {"approved": True, "values": {"numbers": [2, 3]}}})
    assert done["n"] == [3, 4]
    assert calls == {"each#1[0]": 1, "each#1[1]": 1}


async def test_what_the_node_itself_asks_comes_after_and_is_apart() -> None:
    heard: list[tuple[Any, ...]] = []

    async def careful(n: int, ctx: Context) -> N | Ask:
        heard.append(ctx.answers)
        return {"n": n + ctx.answers[-1]} if ctx.answers else ask("How many more?", "integer")

    graph = build({"a": {"type": careful, "interrupt": "Go on?"}}, "start -> a -> end")
    parked = await graph.arun(n=1)
    assert (heard, parked.asks["a#1"].question) == ([], "Go on?\nn: 1")
    parked = await graph.aresume(parked.run_id, answers={"a#1": True})
    assert (heard, parked.asks["a#1"].question) == ([()], "How many more?")
    done = await graph.aresume(parked.run_id, answers={"a#1": 5})
    assert (heard, done["n"]) == ([(), (5,)], 6)
    assert sum(event.kind == "asked" for event in await events(graph)) == 2


@pytest.mark.parametrize("inner", ["fallback", "race"])
async def test_it_is_outside_of_fallback_and_race(inner: str) -> None:
    calls = Calls()

    async def broken(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        raise NodeError("broken", transient=True)

    async def asks(n: int, ctx: Context) -> N | Ask:
        calls[ctx.path] += 1
        return {"n": n + ctx.answers[-1]} if ctx.answers else ask("How many?", "integer")

    graph = build({"a": {"type": broken, inner: [{"type": asks}], "interrupt": True}}, "start -> a -> end")
    parked = await graph.arun(n=1)
    assert (list(parked.asks), calls) == (["a#1"], {})
    parked = await graph.aresume(parked.run_id, answers={"a#1": True})
    assert (list(parked.asks), calls) == (["a#1/1"], {"a#1": 1, "a#1/1": 1})
    done = await graph.aresume(parked.run_id, answers={"a#1/1": 2})
    assert (done["n"], calls["a#1/1"]) == (3, 2)


async def test_of_a_race_the_first_that_has_its_answer_wins() -> None:
    async def one(n: int, ctx: Context) -> N | Ask:
        return {"n": n + ctx.answers[-1]} if ctx.answers else ask("How many?", "integer")

    graph = build({"a": {"type": one, "race": [{"type": one}]}}, "start -> a -> end")
    for path in ("a#1", "a#1/1"):
        parked = await graph.arun(n=1)
        assert list(parked.asks) == ["a#1", "a#1/1"]
        assert (await graph.aresume(parked.run_id, answers={path: 4}))["n"] == 5


async def test_a_result_that_is_kept_is_asked_about_all_the_same() -> None:
    calls = Calls()
    graph = build({"a": {"type": calls.node("a"), "cache": "1h", "interrupt": True}}, "start -> a -> end")
    for _ in range(2):
        parked = await graph.arun(n=1)
        assert (await graph.aresume(parked.run_id, answers={"a#1": True}))["n"] == 2
    assert calls == {"a#1": 1}


async def test_the_time_of_the_question_is_none_of_the_call(leaping: None) -> None:
    calls = Calls()
    graph = build({"a": {"type": calls.node("a"), "timeout": "100ms", "interrupt": True}}, "start -> a -> end")
    parked = await graph.arun(n=1)
    assert parked.status == "parked"
    assert (await graph.aresume(parked.run_id, answers={"a#1": True}))["n"] == 2


async def test_every_visit_asks() -> None:
    calls = Calls()
    graph = build(
        {"a": {"type": calls.node("a"), "interrupt": "Once more, from {n}?"}},
        "start -> a",
        routes("a", ("n < 5", "a", 2), (None, "end")),
    )
    result = await graph.arun(n=0)
    seen = []
    while result.status == "parked":
        ((path, one),) = result.asks.items()
        seen.append((path, one.question))
        result = await graph.aresume(result.run_id, answers={path: True})
    assert seen == [(f"a#{visit}", f"Once more, from {visit - 1}?") for visit in (1, 2, 3)]
    assert (result["n"], set(calls.values())) == (3, {1})


async def test_a_graph_as_a_node_is_asked_about_before_it_starts() -> None:
    calls = Calls()
    inner = build(
        {"b": {"type": calls.node("b"), "interrupt": True}, "c": calls.node("c")},
        "start -> b -> c -> end",
        name="inner",
    )
    graph = build({"g": {"type": inner, "interrupt": {"edit": ["n"]}}}, "start -> g -> end")
    parked = await graph.arun(n=1)
    assert list(parked.asks) == ["g#1"]
    parked = await graph.aresume(parked.run_id, answers={"g#1": {"approved": True, "values": {"n": 10}}})
    assert (list(parked.asks), calls) == (["g#1/b#1"], {})
    done = await graph.aresume(parked.run_id, answers={"g#1/b#1": True})
    assert (done["n"], calls) == (12, {"g#1/b#1": 1, "g#1/c#1": 1})
    assert await finished(graph) == ["g#1/b#1", "g#1/c#1", "g#1"]


async def test_a_yes_holds_when_the_call_fails_and_is_made_again() -> None:
    calls = Calls()

    async def shaky(n: int, ctx: Context) -> N:
        calls[ctx.path] += 1
        if calls[ctx.path] == 1:
            raise NodeError("busy")
        return {"n": n}

    graph = build({"a": {"type": shaky, "interrupt": True}}, "start -> a -> end")
    parked = await graph.arun(n=1)
    with pytest.raises(RunError, match="busy"):
        await graph.aresume(parked.run_id, answers={"a#1": True})
    assert (await graph.aresume(parked.run_id))["n"] == 1
    assert await status(graph) == "done"


def test_interrupt_false_asks_nothing() -> None:
    desk = Desk()
    assert desk.graph(False).run(**GIVEN).status == "done"


async def test_a_yes_to_the_call_and_an_answer_to_the_node_are_never_taken_for_each_other() -> None:
    """Also where the graph has changed between question and answer."""

    async def sure(n: int, ctx: Context) -> N | Ask:
        return {"n": n + len(ctx.answers)} if ctx.answers else ask("Sure?", "boolean")

    store = MemoryStore()
    asked = build({"a": {"type": sure, "interrupt": True}}, "start -> a -> end", store=store)
    plain = build({"a": sure}, "start -> a -> end", store=store)

    parked = await asked.arun(n=1)
    assert parked.asks["a#1"].approval
    parked = await plain.aresume(parked.run_id, answers={"a#1": True})
    assert (parked.asks["a#1"].question, parked.asks["a#1"].approval) == ("Sure?", False)
    assert (await plain.aresume(parked.run_id, answers={"a#1": True}))["n"] == 2

    parked = await plain.arun(n=1)
    parked = await asked.aresume(parked.run_id, answers={"a#1": True})
    assert (parked.asks["a#1"].question, parked.asks["a#1"].approval) == ("Shall 'a' go on?\nn: 1", True)
    assert [one.approval for one in await asked.waiting()] == [True]
    assert (await asked.aresume(parked.run_id, answers={"a#1": True}))["n"] == 2


async def test_a_node_cannot_give_its_question_out_as_that_of_interrupt() -> None:
    async def sly(n: int, ctx: Context) -> N | Ask:
        return {"n": n} if ctx.answers else Ask(question="Sure?", schema={"type": "boolean"}, approval=True)

    graph = build({"a": sly}, "start -> a -> end")
    parked = await graph.arun(n=1)
    assert not parked.asks["a#1"].approval
    assert (await graph.aresume(parked.run_id, answers={"a#1": True}))["n"] == 1
