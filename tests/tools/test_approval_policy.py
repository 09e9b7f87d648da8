"""`approval`: calls of tools that are allowed, asked about or denied, from the graph file to what the model reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.approvals import Rule, decide
from ragweave.orchestrator.errors import GraphError
from ragweave.tools.function import tool
from tests.tools.looping import looping

PAID: list[tuple[int, float]] = []
POLICY = """
  - {allow: look}
  - {allow: refund, when: arguments.amount <= 20}
  - {deny: refund, when: arguments.amount > 500}
  - {ask: refund}
"""


@pytest.fixture(autouse=True)
def tools() -> Iterator[None]:
    """Two tools, for the time of a test."""
    PAID.clear()
    with registry.scope():

        @tool(effects="external")
        async def refund(order: int, amount: float) -> str:
            """Pay an order back."""
            PAID.append((order, amount))
            return f"{amount:g} paid back"

        @tool(effects="read")
        async def look(order: int) -> str:
            """Look at an order."""
            return f"order {order}"

        @tool
        async def other() -> str:
            """Does nothing."""
            return "nothing"

        yield


def text_of(policy: str, *calls: str) -> str:
    listed = ", ".join(f"{{id: c{at}, {call}}}" for at, call in enumerate(calls))
    replies = f'[{{tool_calls: [{listed}]}}, "Done."]'
    return looping(replies, "[refund, look, other]", head=f"approval:{policy}", rounds=3)


def refund(amount: float, order: int = 7) -> str:
    return f"name: refund, arguments: {{order: {order}, amount: {amount}}}"


def read_by(graph: Graph) -> list[str]:
    """What the model read of its calls."""
    return [one.text for one in graph.resources.get("models", "chat").requests[-1].messages if one.role == "tool"]


def test_the_first_rule_that_fits_decides() -> None:
    graph = Graph.parse(text_of(POLICY, "name: look, arguments: {order: 7}", refund(15), refund(900), "name: other"))
    assert graph.run(question="?").status == "done"
    assert PAID == [(7, 15)]
    assert read_by(graph) == [
        "order 7",
        "15 paid back",
        "error: it is not allowed: a rule of the graph denies it",
        "error: it is not allowed: no rule of the graph allows it",
    ]


@pytest.mark.parametrize(
    ("answer", "paid", "read"),
    [
        (True, [(7, 30.0)], "30 paid back"),
        (False, [], "error: a person said no"),
        ({"approved": False, "reason": "ask Bo"}, [], "error: a person said no: ask Bo"),
        ({"approved": True}, [(7, 30.0)], "30 paid back"),
        ({"approved": True, "arguments": {"order": 7, "amount": 25}}, [(7, 25)], "25 paid back"),
        (
            {"approved": True, "arguments": {"order": 7, "amount": 900}},
            [],
            "error: it is not allowed: a rule of the graph denies it",
        ),
    ],
)
def test_a_person_is_asked_and_what_she_says_is_done(answer: Any, paid: list[Any], read: str) -> None:
    graph = Graph.parse(text_of(POLICY, refund(30), "name: look, arguments: {order: 7}"))
    parked = graph.run(question="?")
    assert parked.status == "parked"
    (path,) = parked.asks
    assert (path, parked.asks[path].question) == ("act#1[0]", "Call refund?\norder: 7\namount: 30")
    assert PAID == []
    assert graph.resume(parked.run_id, answers={path: answer}).status == "done"
    assert paid == PAID
    assert read_by(graph) == [read, "order 7"]


def test_several_calls_are_asked_about_at_once_and_answered_in_any_order() -> None:
    graph = Graph.parse(text_of(POLICY, refund(30, 1), refund(40, 2)))
    parked = graph.run(question="?")
    assert sorted(parked.asks) == ["act#1[0]", "act#1[1]"]
    parked = graph.resume(parked.run_id, answers={"act#1[1]": True})
    assert (PAID, list(parked.asks)) == ([(2, 40.0)], ["act#1[0]"])
    assert graph.resume(parked.run_id, answers={"act#1[0]": False}).status == "done"
    assert read_by(graph) == ["error: a person said no", "40 paid back"]


def test_a_wrong_call_bothers_nobody() -> None:
    graph = Graph.parse(text_of(POLICY, "name: refund, arguments: {order: 7}"))
    assert graph.run(question="?").status == "done"
    assert "amount: it is missing" in read_by(graph)[0]


def test_a_condition_that_cannot_be_judged_denies() -> None:
    graph = Graph.parse(
        text_of("\n  - {allow: look, when: arguments.vip == true}\n", "name: look, arguments: {order: 7}")
    )
    assert graph.run(question="?").status == "done"
    assert read_by(graph)[0].startswith("error: it is not allowed: no rule allows it: the condition")


@pytest.mark.parametrize(
    ("policy", "said", "line", "column"),
    [
        (" [{allow: refnd}]", "approval[0].allow: there is no tool 'refnd'; did you mean 'refund'?", 6, 20),
        (" [{ask: [look, refnd]}]", "there is no tool 'refnd'", 6, 25),
        (" [{allow: look, deny: refund}]", "allow and deny exclude one another", 6, 12),
        (' [{when: "true"}]', "one of allow, ask and deny is missing", 6, 12),
        (' [{ask: refund, when: "amount > 20"}]', "it speaks of arguments, such as arguments.amount", 6, 33),
        (" [{alow: look}]", "unknown key 'alow'; did you mean 'allow'?", 6, 13),
        (" {allow: look}", "approval: expected a list of rules", 6, 11),
    ],
)
def test_a_rule_that_cannot_be_kept_is_told_at_its_place(policy: str, said: str, line: int, column: int) -> None:
    with pytest.raises(GraphError) as caught:
        Graph.parse(text_of(policy, refund(1)))
    problem = caught.value.problems[0]
    assert said in problem.message
    assert (problem.line, problem.column) == (line, column)


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "ask", "deny"]), st.sampled_from(["*", "a", "b", "a*", "shop_*"]))),
    st.sampled_from(["a", "b", "ab", "shop_x", "c"]),
)
def test_what_no_rule_fits_is_denied_and_else_the_first_decides(listed: list[tuple[Any, str]], name: str) -> None:
    rules = [Rule(action, (pattern,)) for action, pattern in listed]
    fitting = {"*": True, "a": name == "a", "b": name == "b", "a*": name[0] == "a", "shop_*": name == "shop_x"}
    wanted = next((action for action, pattern in listed if fitting[pattern]), "deny")
    assert decide(rules, name, {}).action == wanted
