"""The Messages API client against a real server, and what it makes of what servers send."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, InputError, ModelError, ResourceError
from ragweave.orchestrator.models.anthropic import Anthropic
from ragweave.orchestrator.models.messages_api import MessageReader
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import BlobPart, Message, TextPart, ToolCall, Usage
from tests.support.anthropic_server import AnthropicServer, error, event, events
from tests.support.asking import ASK, ask, connected, text_of
from tests.support.openai_server import Reply

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"q": "spice", "n": [1, 2]}}
PNG = b"\x89PNG\r\n\x1a\n and so on"


async def failure(*replies: Reply, request: ChatRequest = ASK, **settings: Any) -> ModelError:
    with AnthropicServer(replies or [Reply()]) as server:
        async with connected(server, Anthropic, **{"max_retries": 0, **settings}) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model, request)
    return caught.value


async def test_a_reply_is_streamed_and_the_system_text_stands_apart() -> None:
    with AnthropicServer([Reply("Cloves and mace.", pace=0.02)]) as server:
        async with connected(server, Anthropic) as model:
            chunks = await ask(model)
    assert [chunk.text for chunk in chunks] == ["Cloves", " and", " mace.", ""]
    assert chunks[-1].finish == "stop"
    assert server.requests[0].json == {
        "model": "test-model",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi?"}]}],
        "max_tokens": 4096,
        "stream": True,
    }
    assert server.requests[0].headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in server.requests[0].headers


async def test_what_came_from_a_cache_or_went_into_it_counts_as_input() -> None:
    with AnthropicServer() as server:
        async with connected(server, Anthropic) as model:
            usage = (await ask(model))[-1].usage
    assert usage == Usage(calls=1, input_tokens=7 + 2 + 30, output_tokens=3, cached_tokens=30)


async def test_settings_of_the_request_override_those_of_the_model() -> None:
    settings: dict[str, Any] = {"temperature": 0.7, "max_tokens": 50, "stop": ["END"], "extra": {"top_k": 5}}
    with AnthropicServer() as server:
        async with connected(server, Anthropic, **settings) as model:
            await ask(model)
            await ask(model, ChatRequest(ASK.messages, temperature=0.0, max_tokens=9, stop=("STOP",), seed=3))
    first, second = (request.json for request in server.requests)
    assert (first["temperature"], first["max_tokens"], first["stop_sequences"], first["top_k"]) == (0.7, 50, ["END"], 5)
    assert (second["temperature"], second["max_tokens"], second["stop_sequences"]) == (0.0, 9, ["STOP"])
    assert "seed" not in second


async def test_tools_are_offered_called_and_answered() -> None:
    tools = [
        {"name": "find", "description": "Find it.", "parameters": SCHEMA},
        {"type": "function", "function": {"name": "now"}},
    ]
    second = {"type": "tool_use", "id": "toolu_2", "name": "now"}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    with AnthropicServer([Reply("Let me look.", tool_calls=[thought, CALL, second]), Reply("Done.")]) as server:
        async with connected(server, Anthropic) as model:
            last = (await ask(model, ChatRequest(ASK.messages, tools=tools)))[-1]
            turn = Message(role="assistant", parts=(TextPart(text="Let me look."),), tool_calls=tuple(last.tool_calls))
            results = [
                Message(role="tool", parts=(TextPart(text=text),), tool_call_id=call.id)
                for call, text in zip(last.tool_calls, ["mace", ""], strict=True)
            ]
            await ask(model, ChatRequest([*ASK.messages, turn, *results], tools=tools))
    assert last.finish == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in last.tool_calls] == [
        ("toolu_1", "find", CALL["input"]),
        ("toolu_2", "now", {}),
    ]
    sent = server.requests[1].json
    assert sent["tools"] == [
        {"name": "find", "description": "Find it.", "input_schema": SCHEMA},
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"] == [
        thought,
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "toolu_1", "name": "find", "input": CALL["input"]},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ]
    assert sent["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "mace"}]},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": []},
    ]


async def test_a_memo_of_another_server_is_not_sent() -> None:
    turn = Message(role="assistant", tool_calls=(ToolCall(id="a", name="find", memo="CpsB=="),))
    result = Message(role="tool", tool_call_id="a", parts=(TextPart(text="x"),))
    with AnthropicServer() as server:
        async with connected(server, Anthropic) as model:
            await ask(model, ChatRequest([*ASK.messages, turn, result]))
    assert [block["type"] for block in server.requests[0].json["messages"][1]["content"]] == ["tool_use"]


async def test_images_and_documents_are_sent_as_blocks_and_a_sound_is_refused_before_the_call() -> None:
    resources = Resources()
    image = resources.blobs.attach(PNG, name="cat.png")
    document = resources.blobs.attach(b"%PDF-1.7", name="menu.pdf")
    sound = resources.blobs.attach(b"RIFF1234WAVE", name="purr.wav")
    with AnthropicServer() as server:
        async with connected(server, Anthropic, resources) as model:
            await ask(model, ChatRequest([Message(role="user", parts=(image, document, TextPart(text="What?")))]))
            with pytest.raises(
                InputError, match=r"the audio 'purr.wav', but model 'test-model' reads text, image, file"
            ):
                await ask(model, ChatRequest([Message(role="user", parts=(sound,))]))
    assert len(server.requests) == 1
    first, second, text = server.requests[0].json["messages"][0]["content"]
    assert first["type"] == "image"
    assert first["source"]["media_type"] == "image/png"
    assert first["source"]["data"].startswith("iVBORw0KGgo")
    assert (second["type"], second["title"], second["source"]["media_type"]) == (
        "document",
        "menu.pdf",
        "application/pdf",
    )
    assert text == {"type": "text", "text": "What?"}


async def test_a_kind_of_file_that_the_format_cannot_carry_is_named() -> None:
    resources = Resources()
    part = resources.blobs.attach(b"a,b\n1,2\n", name="table.csv")
    with AnthropicServer() as server:
        async with connected(server, Anthropic, resources) as model:
            with pytest.raises(
                InputError, match=r"the file 'table.csv' is text/csv, which the Messages API cannot carry"
            ):
                await ask(model, ChatRequest([Message(role="user", parts=(part,))]))
    assert not server.requests


async def test_json_is_asked_for_as_an_output_format_with_closed_objects() -> None:
    with AnthropicServer([Reply('{"city": "Oslo"}')]) as server:
        async with connected(server, Anthropic) as model:
            assert json.loads(text_of(await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA)))) == {
                "city": "Oslo"
            }
            assert model.structures()
    form = server.requests[0].json["output_config"]["format"]
    assert form == {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}


async def test_a_server_without_output_formats_is_made_to_call_a_tool_whose_arguments_are_the_reply() -> None:
    answer = {"type": "tool_use", "id": "t", "name": "answer", "input": {"city": "Oslo"}}
    with AnthropicServer([Reply(tool_calls=[answer])], forms=["tool_choice"]) as server:
        async with connected(server, Anthropic) as model:
            chunks = await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA))
            await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA))
    assert json.loads(text_of(chunks)) == {"city": "Oslo"}
    assert (chunks[-1].tool_calls, chunks[-1].finish) == ((), "stop")
    assert ["output_config" in request.json for request in server.requests] == [True, False, False]
    assert server.requests[1].json["tool_choice"] == {"type": "tool", "name": "answer"}


async def test_a_server_without_either_is_told_the_schema_in_words_within_the_same_call() -> None:
    with AnthropicServer([Reply('{"city": "Oslo"}')], forms=[]) as server:
        async with connected(server, Anthropic) as model:
            assert text_of(await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA))) == '{"city": "Oslo"}'
            assert not model.structures()
    assert len(server.requests) == 3
    said = server.requests[2].json["messages"][0]["content"][-1]["text"]
    assert json.dumps(SCHEMA) in said
    assert "output_config" not in server.requests[2].json
    assert "tools" not in server.requests[2].json


async def test_a_wrong_key_is_named_by_its_setting_and_never_shown() -> None:
    error = await failure(api_key="sk-ant-wrong-987654")
    assert isinstance(error, EndpointUnusable)
    assert "refused the key (401): invalid x-api-key: ***; check the setting 'api_key'" in str(error)


async def test_a_wrong_model_is_answered_with_the_servers_own_names() -> None:
    error = await failure(model="test-modell")
    assert "has no model 'test-modell' (404): model: test-modell; did you mean 'test-model'?" in str(error)


def test_anthropic_itself_needs_a_key() -> None:
    with pytest.raises(ResourceError, match="ANTHROPIC_API_KEY"):
        Anthropic(model="claude").open(Resources())


@pytest.mark.parametrize("url", ["", "/messages"])
async def test_an_address_may_be_given_with_the_function(url: str) -> None:
    with AnthropicServer() as server:
        async with connected(server, Anthropic, base_url=server.url + url) as model:
            assert text_of(await ask(model)) == "Hello there."


async def test_an_overloaded_server_is_asked_again_after_the_pause_that_it_asks_for(pauses: list[float]) -> None:
    replies = [
        error(529, "overloaded_error", "Overloaded", retry_after="0.2"),
        error(429, "rate_limit_error", "Slow down", retry_after="0"),
        Reply("Now."),
    ]
    with AnthropicServer(replies) as server:
        async with connected(server, Anthropic) as model:
            assert text_of(await ask(model)) == "Now."
    assert pauses == [0.2, 0.0]


@pytest.mark.parametrize(
    ("reply", "said", "transient"),
    [
        (error(529, "overloaded_error", "Overloaded"), "the server is overloaded (529): Overloaded", True),
        (error(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "prompt is too long", False),
        (error(413, "request_too_large", "Request exceeds 32 MB"), "prompt is too long (413)", False),
        (error(400, "invalid_request_error", "Your credit balance is too low"), "credit of this key", False),
        (error(400, "invalid_request_error", "temperature: range: 0..1"), "refused the request (400): temp", False),
        (Reply("", finish="refusal"), "withheld the reply (the model refused)", False),
        (Reply(""), "gave an empty reply", True),
        (Reply("", finish="max_tokens"), "cut off (max_tokens: 4096) before the end of its first word", False),
        (Reply(tool_calls=[CALL], finish="max_tokens"), "before the end of its tool calls", False),
        (Reply(raw=event({"type": "error", "error": {"type": "overloaded_error", "message": "x"}})), "error: x", True),
        (Reply(raw=event({"type": "error", "error": {"type": "invalid_request_error", "message": "y"}})), ": y", False),
        (Reply(raw=event({"type": "content_block_delta", "index": 0})), "not of the Messages format", False),
        (Reply("half a reply", done=False, close_after=4), "in mid-reply, after 4 characters", True),
        (Reply(body="<html>Welcome</html>"), "answered with a web page", False),
    ],
)
async def test_every_failure_is_a_line_that_says_what_to_do(reply: Reply, said: str, transient: bool) -> None:
    error = await failure(reply)
    assert said in str(error)
    assert error.transient == transient


async def test_an_error_in_mid_stream_is_not_repeated() -> None:
    broken = [*events(Reply("one two"))[:4], event({"type": "error", "error": {"type": "api_error"}})]
    with AnthropicServer([Reply(raw=broken, pace=0.02), Reply("Whole.")]) as server:
        async with connected(server, Anthropic) as model:
            with pytest.raises(ModelError, match="reported an error") as caught:
                await ask(model)
    assert caught.value.transient
    assert len(server.requests) == 1


async def test_a_server_that_hangs_is_given_up_after_the_read_timeout() -> None:
    assert "sent nothing for 0.2 s" in str(await failure(Reply(hang=True), read_timeout="200ms", max_retries=2))


async def test_a_cancelled_call_closes_its_connection() -> None:
    with AnthropicServer([Reply("one two three", hang_after=3)]) as server:
        async with connected(server, Anthropic) as model:
            task = asyncio.create_task(ask(model))
            await server.asked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.is_left()


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    with AnthropicServer([Reply("All at once.", tool_calls=[CALL], whole=True)]) as server:
        async with connected(server, Anthropic) as model:
            chunks = await ask(model)
    assert text_of(chunks) == "All at once."
    assert chunks[-1].tool_calls == (ToolCall(id="toolu_1", name="find", arguments=CALL["input"]),)


async def test_a_conversation_without_a_turn_is_refused() -> None:
    with AnthropicServer() as server:
        async with connected(server, Anthropic) as model:
            with pytest.raises(InputError, match="no message of the user"):
                await ask(model, ChatRequest([Message.of("system", "Be brief.")]))


async def test_bytes_that_are_not_here_are_named_before_the_call() -> None:
    part = BlobPart(type="image", blob="a" * 64, media_type="image/png", name="cat.png")
    with AnthropicServer() as server:
        async with connected(server, Anthropic, Resources()) as model:
            with pytest.raises(InputError, match=r"the bytes of 'cat.png' are not here"):
                await ask(model, ChatRequest([Message(role="user", parts=(part,))]))
    assert not server.requests


WHOLE = b"".join(events(Reply("Où? Là – 你好.", tool_calls=[CALL])))


def reader(streamed: bool = True) -> MessageReader:
    return MessageReader(server="http://x", model="m", max_tokens=None, streamed=streamed, redacted=str)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_the_reply_does_not_depend_on_how_its_bytes_are_cut(places: list[int]) -> None:
    reply, edges = reader(), sorted({0, *places, len(WHOLE)})
    pieces = [WHOLE[start:end] for start, end in pairwise(edges)]
    text = "".join(reply.feed(piece) for piece in pieces) + reply.end()
    assert text == "Où? Là – 你好."
    assert reply.finish().tool_calls[0].arguments == CALL["input"]


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1))
def test_a_stream_that_is_cut_anywhere_is_a_part_of_the_text_and_an_error(place: int) -> None:
    reply = reader()
    text = reply.feed(WHOLE[:place]) + reply.end()
    assert "Où? Là – 你好.".startswith(text)
    if not reply.done and b"message_delta" not in WHOLE[:place]:
        with pytest.raises(ModelError):
            reply.finish()


SMALL = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
JSON = SMALL | st.lists(SMALL, max_size=2) | st.dictionaries(st.text(max_size=3), SMALL, max_size=2)
KINDS = ["message_start", "content_block_start", "content_block_delta", "message_delta", "message", "error", "other"]
NAMES = ["message", "index", "content_block", "delta", "usage", "content", "error", "stop_reason"]
FIELDS = ["type", "text", "partial_json", "usage", "input_tokens", "id", "name", "input", "thinking"]
WORDS = st.sampled_from(["text", "tool_use", "thinking", "text_delta", "input_json_delta", "thinking_delta"])
INNER = JSON | st.dictionaries(st.sampled_from(FIELDS), JSON | WORDS)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), INNER)), max_size=4),
    st.booleans(),
)
def test_whatever_a_server_sends_is_a_reply_or_a_model_error(objects: list[Any], streamed: bool) -> None:
    sent = [{"type": kind, **fields} for kind, fields in objects]
    reply = reader(streamed)
    try:
        for entry in sent:
            reply.feed(event(entry) if streamed else json.dumps(entry).encode())
        reply.end()
        reply.finish()
    except ModelError:
        pass
