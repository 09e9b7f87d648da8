"""A generator and a tool executor in a bounded loop: what a model asks for is called, and it reads what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ragweave import Context, Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import ToolError
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.tools.function import tool

CALLED: list[str] = []


@pytest.fixture(autouse=True)
def tools() -> Iterator[None]:
    """Some tools, for the time of a test."""
    CALLED.clear()
    with registry.scope():

        @tool(effects="read")
        async def weather(city: str, days: int = 1) -> dict[str, Any]:
            """The weather of a city."""
            CALLED.append(f"weather {city}")
            if city == "Nowhere":
                raise ToolError("there is no such city", hint="name a city")
            return {"city": city, "degrees": 21, "days": days}

        @tool(timeout=0.2)
        async def stuck() -> str:
            """Never comes back."""
            await asyncio.sleep(600)
            return ""

        @tool
        def broken(text: str) -> str:
            """Fails."""
            raise ValueError(f"no {text}")

        @tool(effects="external")
        async def refund(order: int, ctx: Context) -> str:
            """Pay an order back."""
            CALLED.append(f"refund {order} {ctx.key.partition(':')[2]}")
            return f"order {order} is paid back"

        yield


def graph(replies: str, tools: str = "weather, stuck, broken, refund", rounds: int = 3) -> Graph:
    return Graph.parse(f"""
schema: ragweave/v1
name: agent
inputs: {{question: str}}
outputs: [answer]
models:
  chat:
    type: scripted
    replies:
{replies}
prompts: {{ask: {{text: "{{{{ question }}}}", variables: {{question: str}}}}}}
approval: [{{allow: "*", from: [tool]}}]
nodes:
  think: {{type: generator, model: chat, prompt: ask, tools: [{tools}]}}
  act: {{type: tool_executor, tools: [{tools}]}}
  give_up: {{type: reply, text: "I could not find out."}}
edges:
  - start -> think
  - from: think
    routes:
      - {{when: size(tool_calls) > 0, to: act}}
      - {{to: end}}
  - from: act
    routes:
      - {{to: think, max_iterations: {rounds}}}
      - {{to: give_up}}
  - give_up -> end
""")


def calls(*named: tuple[str, str]) -> str:
    listed = ", ".join(f"{{id: c{at}, name: {name}, arguments: {given}}}" for at, (name, given) in enumerate(named))
    return f"      - {{tool_calls: [{listed}]}}\n"


def test_a_tool_is_called_and_its_result_is_read() -> None:
    made = graph(calls(("weather", "{city: Oslo, days: 2}")) + "      - It is 21 degrees in Oslo.\n")
    result = made.run(question="How warm is it in Oslo?")
    assert str(result["answer"]) == "It is 21 degrees in Oslo."
    first, second = made.resources.get("models", "chat").requests
    assert [one["name"] for one in first.tools] == ["weather", "stuck", "broken", "refund"]
    assert first.tools[0]["parameters"]["required"] == ["city"]
    assert [(one.role, one.text) for one in second.messages] == [
        ("user", "How warm is it in Oslo?"),
        ("assistant", ""),
        ("tool", '{"city": "Oslo", "degrees": 21, "days": 2}'),
    ]
    assert second.messages[1].tool_calls[0].name == "weather"
    assert second.messages[2].tool_call_id == second.messages[1].tool_calls[0].id


@pytest.mark.parametrize(
    ("error", "idempotent", "asks"),
    [
        (ConnectionResetError("reset"), False, ["act#1[0]!"]),
        (TimeoutError("late"), False, ["act#1[0]!"]),
        (ConnectionRefusedError("refused"), False, []),
        (TimeoutError("late"), True, []),
    ],
)
def test_a_person_is_asked_only_about_what_may_have_happened(
    error: Exception, idempotent: bool, asks: list[str]
) -> None:
    @tool(effects="external", idempotent=idempotent)
    async def send(text: str) -> str:
        """Send a letter."""
        raise error

    made = graph(calls(("send", "{text: hello}")) + "      - Done.\n", tools="send")
    result = made.run(question="?")
    assert list(result.asks) == asks
    for ask in result.asks.values():
        assert ask.question.endswith('What now? It is send of {"text": "hello"}')
    if not asks:
        (told,) = [one.text for one in made.resources.get("models", "chat").requests[-1].messages if one.role == "tool"]
        assert told == f"error: {type(error).__name__}: {error}"


def test_of_calls_side_by_side_the_good_result_is_kept() -> None:
    wanted = calls(("weather", "{city: Oslo}"), ("stuck", "{}"), ("broken", "{text: luck}"))
    made = graph(wanted + "      - Fine.\n")
    assert str(made.run(question="?", deadline=120)["answer"]) == "Fine."
    read = [one.text for one in made.resources.get("models", "chat").requests[1].messages[2:]]
    assert read == [
        '{"city": "Oslo", "degrees": 21, "days": 1}',
        "error: it took longer than 0.2 s",
        "error: ValueError: no luck",
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("wether", "{city: Oslo}", "there is no tool 'wether'; did you mean 'weather'?"),
        ("weather", "{}", "the arguments are wrong: city: it is missing; expected string"),
        ("weather", "{city: 3}", "the arguments are wrong: city: expected string, found 3"),
        ("weather", '{city: Oslo, days: "2"}', 'the arguments are wrong: days: expected integer, found "2"'),
        ("weather", "{city: Oslo, day: 2}", "day: there is no such argument; did you mean 'days'?"),
        ("weather", "{city: Nowhere}", "there is no such city"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_to_the_model(name: str, arguments: str, said: str) -> None:
    made = graph(calls((name, arguments)) + "      - Well.\n")
    assert str(made.run(question="?")["answer"]) == "Well."
    (told,) = made.resources.get("models", "chat").requests[1].messages[2:]
    assert told.text.startswith("error: ")
    assert said in told.text


def test_a_tool_that_the_node_does_not_list_is_not_called() -> None:
    made = graph(calls(("refund", "{order: 7}")) + "      - No.\n", tools="weather")
    assert str(made.run(question="?")["answer"]) == "No."
    assert CALLED == []


def test_the_loop_ends_when_the_model_does_not() -> None:
    made = graph("".join(calls(("weather", "{city: Oslo}")) for _ in range(5)), rounds=3)
    assert str(made.run(question="?")["answer"]) == "I could not find out."
    assert CALLED == ["weather Oslo"] * 4


def test_an_effect_has_a_key_of_its_own_and_is_journaled_around_its_call() -> None:
    made = graph(calls(("refund", "{order: 7}"), ("refund", "{order: 8}")) + "      - Done.\n")
    result = made.run(question="?")
    assert sorted(CALLED) == ["refund 7 act#1[0]", "refund 8 act#1[1]"]
    events = asyncio.run(made.store.events(result.run_id))
    kinds = [event.kind for event in events if event.kind.startswith("effect")]
    assert sorted(kinds) == ["effect_finished"] * 2 + ["effect_started"] * 2


def test_calls_that_only_look_are_not_journaled_as_effects() -> None:
    made = graph(calls(("weather", "{city: Oslo}")) + "      - Warm.\n")
    result = made.run(question="?")
    assert not [one for one in asyncio.run(made.store.events(result.run_id)) if one.kind.startswith("effect")]


def test_the_calculator_is_a_tool() -> None:
    made = graph(calls(("calculator", '{expression: "0.1 + 0.2"}')) + "      - Three tenths.\n", tools="calculator")
    assert str(made.run(question="?")["answer"]) == "Three tenths."
    assert made.resources.get("models", "chat").requests[1].messages[2].text == "0.3"


def test_a_model_without_calls_of_its_own_is_told_the_tools_and_replies_with_json() -> None:
    class Plain(Scripted):
        """Says what it was told to, and knows no tools."""

        def calls_tools(self) -> bool:
            return False

    replies = [
        '{"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}',
        'Here it is: {"answer": "21 degrees."}',
    ]
    made = graph("      - x\n", tools="weather")
    model = Plain(replies=replies)
    made.resources.put("models", "chat", model)
    assert str(made.run(question="How warm?")["answer"]) == "21 degrees."
    first, second = model.requests
    assert first.tools == ()
    assert '"name": "weather"' in first.messages[0].text
    asked, result = second.messages[2:4]
    assert (asked.role, result.role) == ("assistant", "user")
    assert asked.text == '{"tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "call_1"}]}'
    assert result.text.startswith("Result of call_1, between the lines TEXT-")
    assert result.text.splitlines()[2] == '{"city": "Oslo", "degrees": 21, "days": 1}'
