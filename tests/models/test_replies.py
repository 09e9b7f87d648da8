"""Whole and structured replies: native where the model can, in words elsewhere, repaired once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.replies import complete, structured
from ragweave.orchestrator.models.schemas import MOST_VALUES, read_json, told
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.values import Message, TextPart, Usage
from tests.support.asking import ASK, connected
from tests.support.listening import Listening
from tests.support.openai_server import OpenAIServer, Reply

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "guests": {"type": "integer"}},
    "required": ["city", "guests"],
    "additionalProperties": False,
}
OSLO = {"city": "Oslo", "guests": 3}
RIGHT = json.dumps(OSLO)
WRONG = '{"city": "Oslo", "guests": "three"}'


async def asked(*replies: Any, **settings: Any) -> tuple[Any, Scripted, Listening]:
    model, ctx = Scripted(replies=list(replies)), Listening()
    value = await structured(ctx, model, ChatRequest(ASK.messages, **settings), SCHEMA, name="chat")
    return value, model, ctx


async def test_a_whole_reply_counts_its_usage_and_streams_if_it_is_to() -> None:
    ctx = Listening()
    reply = await complete(ctx, Scripted(replies=["Cloves and mace."]), ASK, emit=True)
    assert (reply.text, reply.finish) == ("Cloves and mace.", "stop")
    assert ctx.streamed == ["Cloves", " and", " mace."]
    assert ctx.used == reply.usage
    quiet = Listening()
    await complete(quiet, Scripted(replies=["Cloves."]), ASK)
    assert quiet.streamed == []


async def test_a_call_that_fails_counts_as_a_call() -> None:
    ctx = Listening()
    with pytest.raises(ModelError, match="overloaded"):
        await complete(ctx, Scripted(replies=[{"error": "overloaded"}]), ASK)
    assert ctx.used.calls == 1


class Halves:
    """Shows a text up to its last full stop, and the rest at the end."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        shown, stop, self._held = (self._held + piece).rpartition(".")
        return shown + stop

    def end(self) -> str:
        return self._held.upper()


async def test_with_a_reader_the_reply_and_what_is_streamed_are_what_it_makes_of_the_words() -> None:
    ctx = Listening()
    reply = await complete(ctx, Scripted(replies=["Cloves. And mace"]), ASK, emit=True, reader=Halves())
    assert ctx.streamed == ["Cloves.", " AND MACE"]
    assert reply.text == "Cloves. AND MACE"
    quiet = Listening()
    assert (await complete(quiet, Scripted(replies=["A. b"]), ASK, reader=Halves())).text == "A. B"
    assert quiet.streamed == []


async def test_what_a_chunk_says_of_its_cost_counts_though_the_run_ends_while_its_text_is_streamed() -> None:
    class Leaving(Listening):
        async def emit(self, text: str) -> None:
            raise asyncio.CancelledError

    class Telling(ChatModel, type="telling"):
        left: ClassVar[bool] = False

        async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
            try:
                yield ChatChunk("Cloves", usage=Usage(calls=1, input_tokens=40, output_tokens=1))
                yield ChatChunk(" and mace")
            finally:
                Telling.left = True

    ctx = Leaving()
    with pytest.raises(asyncio.CancelledError):
        await complete(ctx, Telling(), ASK, emit=True)
    assert ctx.used == Usage(calls=1, input_tokens=40, output_tokens=1)
    assert Telling.left


async def test_a_stream_that_cannot_be_closed_is_read_to_its_end() -> None:
    class Pieces(ChatModel, type="pieces"):
        def stream(self, request: ChatRequest) -> Any:
            return Ticking()

    class Ticking:
        def __init__(self) -> None:
            self.left = ["Cloves", " and", " mace"]

        def __aiter__(self) -> Ticking:
            return self

        async def __anext__(self) -> ChatChunk:
            if not self.left:
                raise StopAsyncIteration
            return ChatChunk(self.left.pop(0))

    assert (await complete(Listening(), Pieces(), ASK)).text == "Cloves and mace"


async def test_a_model_that_cannot_be_bound_is_told_the_schema_in_words() -> None:
    value, model, ctx = await asked(RIGHT)
    assert value == OSLO
    (request,) = model.requests
    assert request.response_schema is None
    assert json.dumps(SCHEMA) in request.messages[-1].text
    assert request.messages[-1].text.startswith("Hi?")
    assert [message.role for message in request.messages] == ["system", "user"]
    assert ctx.streamed == []


@pytest.mark.parametrize(
    "reply",
    [
        RIGHT,
        f"\n  {RIGHT}\n",
        f"```json\n{RIGHT}\n```",
        f"```\n{RIGHT}```",
        f"Here you are:\n```json\n{RIGHT}\n```\nAnything else?",
        f"The order [1] is {RIGHT} as you see {{so}}.",
        f'{{"draft": true}} was wrong, so: {RIGHT}',
        f"```json\n{WRONG}\n```\nNo, wait:\n```json\n{RIGHT}\n```",
    ],
)
async def test_json_is_found_in_a_fence_and_between_words(reply: str) -> None:
    value, model, _ = await asked(reply)
    assert value == OSLO
    assert len(model.requests) == 1


async def test_a_reply_that_does_not_fit_is_sent_back_once_with_what_is_wrong() -> None:
    value, model, ctx = await asked(WRONG, RIGHT)
    assert value == OSLO
    first, second = model.requests
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[:2] == first.messages
    assert second.messages[2].text == WRONG
    assert "guests: 'three' is not of type 'integer'" in second.messages[3].text
    assert ctx.used.calls == 2


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("I would rather not.", "it holds no JSON value"),
        ('{"city": "Oslo"}', "'guests' is a required property"),
        ("[1, 2]", "is not of type 'object'"),
        ('{"city": "Oslo", "guests": NaN}', "it holds no JSON value"),
        ('{"city": "Oslo", "guests": 3', "it holds no JSON value"),
    ],
)
async def test_a_reply_that_is_wrong_twice_is_an_error_that_may_pass_and_shows_what_was_said(
    reply: str, fault: str
) -> None:
    with pytest.raises(ModelError, match="model 'chat' wrote no JSON that satisfies the schema, asked twice") as caught:
        await asked("nonsense", reply)
    assert fault in str(caught.value)
    assert caught.value.transient


async def test_a_reply_that_was_cut_off_is_not_repaired_but_told() -> None:
    cut = {"text": '{"city": "Os', "finish": "length"}
    with pytest.raises(
        ModelError, match=r"model 'chat': the reply was cut off \(max_tokens: 5\) before the end of its"
    ):
        await asked(cut, RIGHT, max_tokens=5)


async def test_a_model_that_only_quotes_is_refused_before_it_is_called() -> None:
    with pytest.raises(ModelError, match="model 'quotes' quotes its sources and cannot write JSON; name a model"):
        await structured(Listening(), Extractive(), ASK, SCHEMA, name="quotes")


async def test_a_server_that_binds_replies_is_given_the_schema_and_no_words() -> None:
    with OpenAIServer([Reply(WRONG), Reply(RIGHT)]) as server:
        async with connected(server) as model:
            ctx = Listening()
            assert await structured(ctx, model, ASK, SCHEMA) == OSLO
    first, second = (request.json for request in server.requests)
    assert first["response_format"]["json_schema"]["strict"] is True
    assert second["response_format"] == first["response_format"]
    assert "JSON" not in first["messages"][-1]["content"]
    assert ctx.used == Usage(calls=2, input_tokens=14, output_tokens=6)


@pytest.mark.parametrize(
    ("formats", "forms", "structures"),
    [
        (["json_schema"], ["json_schema"], True),
        (["json_object"], ["json_schema", "json_object"], True),
        ([], ["json_schema", "json_object", None], False),
    ],
)
async def test_a_server_that_refuses_response_format_is_asked_another_way_within_the_same_call(
    formats: list[str], forms: list[str | None], structures: bool
) -> None:
    with OpenAIServer([Reply(RIGHT)], formats=formats) as server:
        async with connected(server) as model:
            assert await structured(Listening(), model, ASK, SCHEMA) == OSLO
            assert model.structures() is structures
            assert await structured(Listening(), model, ASK, SCHEMA) == OSLO
    sent = [(request.json.get("response_format") or {}).get("type") for request in server.requests]
    assert sent == [*forms, forms[-1]]
    for request in server.requests:
        said = json.dumps(SCHEMA) in request.json["messages"][-1]["content"]
        assert said == ((request.json.get("response_format") or {}).get("type") != "json_schema")


async def test_a_schema_that_a_server_refuses_does_not_count_against_others() -> None:
    invalid = {
        "error": {"message": "Invalid schema for response_format 'reply': In context=(), 'oneOf' is not permitted"}
    }
    with OpenAIServer([Reply(status=400, body=invalid), Reply(RIGHT)]) as server:
        async with connected(server) as model:
            assert await structured(Listening(), model, ASK, SCHEMA) == OSLO
            assert await structured(Listening(), model, ASK, SCHEMA) == OSLO
    sent = [request.json["response_format"]["type"] for request in server.requests]
    assert sent == ["json_schema", "json_object", "json_schema"]


async def test_other_refusals_are_no_reason_to_ask_in_another_way() -> None:
    with OpenAIServer([Reply(status=400, body={"error": {"message": "temperature is too high"}})]) as server:
        async with connected(server, OpenAI) as model:
            with pytest.raises(ModelError, match="temperature is too high"):
                await structured(Listening(), model, ASK, SCHEMA)
    assert len(server.requests) == 1


def test_the_schema_is_said_after_the_parts_of_the_last_message() -> None:
    assert [message.role for message in told([], SCHEMA)] == ["user"]
    assert [message.role for message in told([Message.of("assistant", "Hm.")], SCHEMA)] == ["assistant", "user"]
    (message,) = told([Message(role="user", parts=(TextPart(text="a"), TextPart(text="b")))], SCHEMA)
    assert message.text.startswith("ab\n\nReply with one JSON value")


def test_faults_are_named_by_their_place_three_at_most() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    value, fault = read_json('[{"n": "a"}, {"n": "b"}, {"n": "c"}, {"n": "d"}]', schema)
    assert len(value) == 4
    assert (
        fault
        == "0.n: 'a' is not of type 'integer'; 1.n: 'b' is not of type 'integer'; 2.n: 'c' is not of type 'integer'"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(JSON, st.sampled_from(["{}", "```json\n{}\n```", "\n{}\n\n"]))
def test_what_was_written_is_what_is_read(value: Any, frame: str) -> None:
    text = json.dumps(value)
    if "```" not in text:
        assert read_json(frame.replace("{}", text), {}) == (value, "")


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:`ab1\n ', max_size=60))
def test_any_text_is_a_value_or_a_fault(text: str) -> None:
    value, fault = read_json(text, {"type": "object"})
    assert bool(fault) != isinstance(value, dict)


def test_a_long_text_full_of_brackets_is_given_up_soon() -> None:
    assert read_json("[" * 100_000, SCHEMA) == (None, "it holds no JSON value")
    assert read_json("{" * MOST_VALUES + RIGHT, SCHEMA)[1]


def test_an_address_in_a_schema_is_never_read() -> None:
    with pytest.raises(Exception, match=r"http://127\.0\.0\.1:9"):
        read_json("{}", {"$ref": "http://127.0.0.1:9/schema.json"})
