"""The model that says what it was told to."""

from __future__ import annotations

import time
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.scripted import Scripted, ScriptedReply
from ragweave.orchestrator.values import Message, ToolCall, Usage


async def ask(model: Scripted, question: str = "Hi?") -> list[ChatChunk]:
    return [chunk async for chunk in model.stream(ChatRequest([Message.of("user", question)]))]


def text_of(chunks: list[ChatChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_replies_are_used_in_turn_and_streamed_by_words() -> None:
    model = Scripted(replies=["One two.", "Three."])
    first = await ask(model)
    assert [chunk.text for chunk in first] == ["One", " two.", ""]
    assert first[-1].usage == Usage(calls=1, input_tokens=1, output_tokens=2)
    assert text_of(await ask(model)) == "Three."
    assert [request.messages[0].text for request in model.requests] == ["Hi?", "Hi?"]


async def test_a_script_that_ran_out_says_how_long_it_was() -> None:
    model = Scripted(replies=["One."])
    await ask(model)
    with pytest.raises(ModelError, match=r"given 1 reply and this is request 2, 'Hi\?'"):
        await ask(model)


async def test_repeat_starts_again() -> None:
    model = Scripted(replies=["a", "b"], repeat=True)
    assert [text_of(await ask(model)) for _ in range(3)] == ["a", "b", "a"]


async def test_a_reply_may_be_chosen_by_what_is_asked() -> None:
    why, x = ScriptedReply(when="/how|why/", text="Because."), ScriptedReply(when="x?", text="X.")
    model = Scripted(replies=[why, x, "So."])
    asked = ["why", "X?", "x", "how"]
    assert [text_of(await ask(model, question)) for question in asked] == ["Because.", "X.", "So.", "Because."]


SUM = [
    {
        "after": "add",
        "when": "/add (?P<what>.*)/",
        "result": r"/= (?P<sum>\d+)/",
        "text": "{what} make {sum}, {{really}}.",
    },
    {"after": "add", "text": "It does not work."},
    {
        "when": r"/add (?P<one>\S+) and (?P<two>\S+)/",
        "tool_calls": [{"id": "a", "name": "add", "arguments": {"of": ["{one}", "{two}"], "as": {"note": "{one}!"}}}],
    },
    "I can only add.",
]


async def test_replies_read_what_was_asked_and_what_a_tool_gave() -> None:
    model = Scripted.model_validate({"replies": SUM})
    asked = Message.of("user", "Please add 2 and x3")
    (call,) = [one async for one in model.stream(ChatRequest([asked]))][-1].tool_calls
    assert call.arguments == {"of": [2, "x3"], "as": {"note": "2!"}}
    step = Message(role="assistant", tool_calls=(call,))

    async def told(result: str, *further: Message) -> str:
        given = Message.of("tool", result).model_copy(update={"tool_call_id": "a"})
        return text_of([one async for one in model.stream(ChatRequest([asked, step, given, *further]))])

    assert await told("so = 5") == "2 and x3 make 5, {really}."
    assert await told("error: x3 is no number") == "It does not work."
    assert await told("so = 5", Message.of("user", "And now?")) == "I can only add."  # it does not end with a result


async def test_a_reply_may_read_what_was_said_before() -> None:
    reply = {"when": "again", "before": r"/number (?P<number>\d+)/", "text": "It is {number}."}
    model = Scripted.model_validate({"replies": [reply, "Which one?"], "repeat": True})

    async def told(*said: str) -> str:
        roles: tuple[Literal["assistant", "user"], ...] = ("assistant", "user")
        messages = [Message.of("system", "number 0")]
        messages += [Message.of(roles[(len(said) - at) % 2], text) for at, text in enumerate(said)]
        return text_of([one async for one in model.stream(ChatRequest(messages))])

    assert await told("number 7", "ok", "number 8?", "I see.", "again") == "It is 8."
    assert await told("hi", "the number 9", "again") == "It is 9."
    assert await told("again, number 5") == "Which one?"  # neither this message nor the prompt came before


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"result": "5", "text": "Five."}, "'result' needs 'after'"),
        ({"when": "/(?P<one>.)/", "text": "{two}"}, r"\{two\} is no named group of its patterns; there are one"),
        ({"when": "/(?P<one>.)/", "text": "{one"}, r"write \{\{ and \}\}"),
        ({"after": "add", "result": "/(/", "text": ""}, "is not a pattern"),
    ],
)
def test_a_reply_that_cannot_be_filled_in_is_refused(reply: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Scripted.model_validate({"replies": [reply]})


async def test_without_named_groups_braces_are_braces() -> None:
    model = Scripted(replies=[ScriptedReply(when="/h(.)/", text='{"json": {1}}')])
    assert text_of(await ask(model, "hi")) == '{"json": {1}}'


async def test_a_reply_may_be_given_as_yaml_would_give_it() -> None:
    reply = {
        "chunks": ["a", "b"],
        "tool_calls": [{"id": "1", "name": "find", "arguments": {"q": 1}}],
        "usage": {"calls": 1, "input_tokens": 5, "output_tokens": 6},
        "confidence": 0.5,
        "delay": "50ms",
    }
    started = time.monotonic()
    chunks = await ask(Scripted.model_validate({"replies": [reply]}))
    assert time.monotonic() - started >= 0.05
    assert [chunk.text for chunk in chunks] == ["a", "b", ""]
    assert chunks[-1] == ChatChunk(
        tool_calls=(ToolCall(id="1", name="find", arguments={"q": 1}),),
        usage=Usage(calls=1, input_tokens=5, output_tokens=6),
        finish="tool_calls",
        confidence=0.5,
    )


async def test_an_error_comes_after_the_text_before_it() -> None:
    model = Scripted(replies=[ScriptedReply(text="Half", error="broke off", transient=True, retry_after=2)])
    chunks = model.stream(ChatRequest([]))
    assert (await anext(chunks)).text == "Half"
    with pytest.raises(ModelError, match="broke off") as caught:
        await anext(chunks)
    assert (caught.value.transient, caught.value.retry_after) == (True, 2.0)


@given(st.text())
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(ScriptedReply(text=text).pieces()) == text
