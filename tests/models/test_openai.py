"""The endpoint client against a real server that behaves, and misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from typing import Any

import pytest

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.errors import InputError, ModelError, ResourceError, is_transient
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import BlobPart, Message, ToolCall, Usage
from tests.support.openai_server import OpenAIServer, Reply

ASK = ChatRequest([Message.of("system", "Be brief."), Message.of("user", "Hi?")])


@contextlib.asynccontextmanager
async def connected(server: OpenAIServer, **settings: Any) -> AsyncIterator[OpenAI]:
    model = OpenAI(**{"model": "test-model", "base_url": server.url, "api_key": server.key, **settings})
    try:
        yield model
    finally:
        await model.close()


async def ask(model: OpenAI, request: ChatRequest = ASK) -> list[ChatChunk]:
    return [chunk async for chunk in model.stream(request)]


async def failure(*replies: Reply, request: ChatRequest = ASK, **settings: Any) -> ModelError:
    """The error that a call meets with these replies, without retries."""
    with OpenAIServer(replies) as server:
        async with connected(server, **{"max_retries": 0, **settings}) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model, request)
    return caught.value


def text_of(chunks: Sequence[ChatChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_a_reply_is_streamed_as_it_arrives_and_ends_with_usage() -> None:
    with OpenAIServer([Reply("Cloves and mace.", pace=0.02)]) as server:
        async with connected(server) as model:
            chunks = await ask(model)
    assert [chunk.text for chunk in chunks] == ["Cloves", " and", " mace.", ""]
    assert chunks[-1].usage == Usage(calls=1, input_tokens=7, output_tokens=3)
    assert chunks[-1].finish == "stop"
    assert server.requests[0].json == {
        "model": "test-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_settings_of_the_request_override_those_of_the_model() -> None:
    settings = {"temperature": 0.7, "max_tokens": 50, "stop": ["END"], "seed": 1, "extra": {"top_p": 0.9}}
    with OpenAIServer() as server:
        async with connected(server, headers={"X-Team": "kitchen"}, **settings) as model:
            await ask(model)
            await ask(model, ChatRequest(ASK.messages, temperature=0.0, max_tokens=9, stop=("STOP",), seed=0))
    first, second = (request.json for request in server.requests)
    assert (first["temperature"], first["max_tokens"], first["stop"], first["seed"]) == (0.7, 50, ["END"], 1)
    assert (second["temperature"], second["max_tokens"], second["stop"], second["seed"]) == (0.0, 9, ["STOP"], 0)
    assert second["top_p"] == 0.9
    assert server.requests[0].headers["x-team"] == "kitchen"


async def test_a_response_schema_is_sent_as_a_strict_json_schema_where_it_is_one() -> None:
    strict = {
        "title": "My Reply",
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    with OpenAIServer() as server:
        async with connected(server) as model:
            for schema in (strict, loose):
                await ask(model, ChatRequest(ASK.messages, response_schema=schema))
    formats = [request.json["response_format"]["json_schema"] for request in server.requests]
    assert formats == [
        {"name": "My_Reply", "schema": strict, "strict": True},
        {"name": "reply", "schema": loose, "strict": False},
    ]


async def test_tool_calls_are_put_together_from_their_pieces() -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"q": "sp'}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"index": 0, "function": {"arguments": 'ice"}'}},
    ]
    with OpenAIServer([Reply(tool_calls=pieces, finish="tool_calls")]) as server:
        async with connected(server) as model:
            chunks = await ask(model, ChatRequest(ASK.messages, tools=[{"name": "find", "parameters": {}}]))
    assert chunks[-1].tool_calls == (
        ToolCall(id="a", name="find", arguments={"q": "spice"}),
        ToolCall(id="b", name="now", arguments={}),
    )
    assert server.requests[0].json["tools"] == [{"type": "function", "function": {"name": "find", "parameters": {}}}]


async def test_tool_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    pieces = [
        {"id": "a", "function": {"name": "find", "arguments": '{"q": 1}'}},
        {"id": "b", "function": {"name": "find", "arguments": {"q": 2}}},
    ]
    with OpenAIServer([Reply(tool_calls=pieces, finish="tool_calls")]) as server:
        async with connected(server) as model:
            chunks = await ask(model)
    assert [call.arguments for call in chunks[-1].tool_calls] == [{"q": 1}, {"q": 2}]


async def test_a_turn_with_tool_calls_and_results_is_sent_as_the_wire_wants_it() -> None:
    turns = [
        Message(role="assistant", tool_calls=(ToolCall(id="a", name="find", arguments={"q": "é"}),)),
        Message(role="tool", tool_call_id="a", parts=Message.of("tool", "42").parts),
    ]
    with OpenAIServer() as server:
        async with connected(server) as model:
            await ask(model, ChatRequest(turns))
    call = {"id": "a", "type": "function", "function": {"name": "find", "arguments": '{"q": "é"}'}}
    assert server.requests[0].json["messages"] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "42", "tool_call_id": "a"},
    ]


async def test_a_part_that_is_no_text_is_refused_by_name() -> None:
    image = Message(role="user", parts=(BlobPart(type="image", blob="abc", name="cat.png"),))
    with OpenAIServer() as server:
        async with connected(server) as model:
            with pytest.raises(InputError, match=r"image 'cat\.png'"):
                await ask(model, ChatRequest([image]))


async def test_a_server_that_does_not_know_stream_options_is_asked_without_them_from_then_on() -> None:
    with OpenAIServer(knows_stream_options=False) as server:
        async with connected(server, max_retries=0) as model:
            for _ in range(2):
                assert text_of(await ask(model)) == "Hello there."
    assert ["stream_options" in request.json for request in server.requests] == [True, False, False]


async def test_a_model_that_wants_max_completion_tokens_gets_them() -> None:
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with OpenAIServer([Reply(status=400, body={"error": {"message": message}}), Reply("Yes.")]) as server:
        async with connected(server, max_retries=0, max_tokens=5) as model:
            assert text_of(await ask(model)) == "Yes."
    assert server.requests[1].json["max_completion_tokens"] == 5
    assert "max_tokens" not in server.requests[1].json


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    with OpenAIServer([Reply("All at once.", whole=True)]) as server:
        async with connected(server) as model:
            chunks = await ask(model)
    assert [chunk.text for chunk in chunks] == ["All at once.", ""]
    assert chunks[-1].usage == Usage(calls=1, input_tokens=7, output_tokens=3)


async def test_connections_are_used_again() -> None:
    with OpenAIServer() as server:
        async with connected(server) as model:
            for _ in range(3):
                await ask(model)
    assert server.connections == 1


async def test_each_event_loop_has_its_own_connections_and_close_closes_them_all() -> None:
    with OpenAIServer() as server:
        async with connected(server) as model:
            other = asyncio.new_event_loop()
            thread = threading.Thread(target=other.run_forever, daemon=True)
            thread.start()
            future = asyncio.run_coroutine_threadsafe(ask(model), other)
            here = await ask(model)
            there = await asyncio.wrap_future(future)
            assert text_of(there) == text_of(here)
            assert server.connections == 2
            await model.close()
            await asyncio.sleep(0.1)
            assert server.open_connections == 0
            other.call_soon_threadsafe(other.stop)
            await asyncio.to_thread(thread.join)
            other.close()


async def test_a_wrong_key_is_named_by_its_setting_and_never_shown() -> None:
    with OpenAIServer() as server:
        async with connected(server, api_key="sk-wrong-9876543210") as model:
            with pytest.raises(ModelError) as caught:
                await ask(model)
    shown = str(caught.value)
    assert "refused the key (401)" in shown
    assert "'api_key' of model 'test-model'" in shown
    assert "9876543210" not in shown
    assert not is_transient(caught.value)
    assert len(server.requests) == 1


async def test_secrets_are_in_no_representation_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with OpenAIServer([Reply(status=400, body={"error": "bad key sk-test-1234567890 and hush-hush"})]) as server:
        async with connected(server, headers={"X-Secret": "hush-hush"}) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model)
            shown = f"{model!r} {model} {model.model_dump()} {caught.value} {caplog.text}"
    assert "400" in shown
    assert "1234567890" not in shown
    assert "hush-hush" not in shown


@pytest.mark.parametrize("key", ["sk-secret\nX-Evil: 1", "sk-secrét"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ValueError, match="line break or a letter beyond ASCII") as caught:
        OpenAI(model="m", api_key=key)
    assert "secr" not in str(caught.value)


async def test_white_space_around_a_key_is_not_part_of_it() -> None:
    with OpenAIServer() as server:
        async with connected(server, api_key=f"{server.key}\n") as model:
            assert text_of(await ask(model)) == "Hello there."


@pytest.mark.parametrize(
    "url", ["localhost:8080/v1", "ftp://example.com", "http://", "http://me:secret@example.com/v1"]
)
def test_a_base_url_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"base_url\n.*(is not an address|user or password)") as caught:
        OpenAI(model="m", base_url=url)
    assert "secret@" not in str(caught.value)


def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(ResourceError, match="'api_key' is not set"):
        OpenAI(model="gpt").open(Resources())


async def test_a_wrong_model_is_answered_with_the_servers_own_names() -> None:
    with OpenAIServer() as server:
        async with connected(server, model="test-modell") as model:
            with pytest.raises(ModelError, match=r"has no model 'test-modell' \(404\).*; did you mean 'test-model'\?"):
                await ask(model)
    assert len(server.requests) == 1


async def test_an_address_without_the_function_says_so() -> None:
    error = await failure(Reply(status=404, body={"detail": "Not Found"}))
    assert "/v1/chat/completions does not exist (404): Not Found" in str(error)


async def test_too_many_requests_are_repeated_after_the_pause_that_the_server_asks_for() -> None:
    with OpenAIServer([Reply(status=429, headers={"Retry-After": "1"}, body={}), Reply("Now.")]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Now."
    first, second = server.requests
    assert 1.0 <= second.at - first.at < 1.4


async def test_a_pause_given_as_a_date_or_in_milliseconds_is_kept_too() -> None:
    date = formatdate(time.time() + 2, usegmt=True)
    replies = [
        Reply(status=503, headers={"retry-after-ms": "150"}, body={}),
        Reply(status=429, headers={"Retry-After": date}, body={}),
        Reply("Now."),
    ]
    with OpenAIServer(replies) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Now."
    first, second, third = server.requests
    assert 0.15 <= second.at - first.at < 0.45
    assert 0.5 <= third.at - second.at < 2.2


async def test_a_pause_of_minutes_is_left_to_the_caller() -> None:
    error = await failure(Reply(status=429, headers={"Retry-After": "900"}, body={}), max_retries=5)
    assert error.transient
    assert error.retry_after == 900


async def test_a_failing_server_is_asked_again_with_growing_pauses() -> None:
    with OpenAIServer([Reply(status=500, body={}), Reply(close_after=0), Reply("Fine.")]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Fine."
    first, second, third = (request.at for request in server.requests)
    assert 0.3 < second - first < 0.9
    assert 0.7 < third - second < 1.6


async def test_retries_end() -> None:
    with OpenAIServer(
        [Reply(status=500, headers={"retry-after-ms": "1"}, body={"error": {"message": "boom"}})]
    ) as server:
        async with connected(server) as model:
            with pytest.raises(ModelError, match=r"the server failed \(500\): boom") as caught:
                await ask(model)
    assert len(server.requests) == 3
    assert caught.value.transient


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(status=429, body={"error": {"code": "insufficient_quota", "message": "pay"}}), "quota of this key"),
        (Reply(status=500, headers={"x-should-retry": "false"}, body={}), "the server failed"),
        (Reply(status=400, body={"error": {"code": "context_length_exceeded", "message": "x"}}), "prompt is too long"),
        (Reply(status=308, headers={"Location": "http://else.where/v1?key=s"}, body={}), "to http://else.where/v1 "),
        (Reply(status=422, body={"detail": [{"loc": ["body", "seed"]}]}), "refused the request"),
        (Reply(body="<html><body>Welcome!</body></html>"), "answered with a web page"),
        (Reply(raw=b"data: {broken\n\n"), "not a JSON object: '{broken'"),
        (Reply(raw=b'data: {"choices": {"a": 1}}\n\n'), "not of the Chat Completions format"),
        (Reply(raw=b'data: {"error": {"code": "invalid_prompt", "message": "no"}}\n\n'), "reported an error: no"),
        (Reply("A bad", finish="content_filter"), "content filter withheld the reply after 5 characters"),
    ],
)
async def test_what_will_not_pass_is_not_repeated(reply: Reply, said: str) -> None:
    with OpenAIServer([reply]) as server:
        async with connected(server) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model)
    assert said in str(caught.value)
    assert not caught.value.transient
    assert len(server.requests) == 1


async def test_an_empty_reply_is_an_error_that_may_pass() -> None:
    error = await failure(Reply(""))
    assert "gave an empty reply" in str(error)
    assert error.transient


async def test_a_reply_cut_off_at_its_limit_says_so_and_is_an_error_where_nothing_is_whole() -> None:
    with OpenAIServer([Reply("Half a", finish="length")]) as server:
        async with connected(server) as model:
            assert (await ask(model))[-1].finish == "length"
    error = await failure(Reply("", finish="length"), max_tokens=5)
    assert "cut off (max_tokens: 5)" in str(error)
    call = {"index": 0, "id": "a", "function": {"name": "find", "arguments": '{"q": '}}
    assert "its tool calls" in str(await failure(Reply(tool_calls=[call], finish="length")))


async def test_arguments_of_a_tool_call_that_are_no_json_are_shown() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "find", "arguments": "{q: 1}"}}
    error = await failure(Reply(tool_calls=[call], finish="tool_calls"))
    assert "the tool 'find' with arguments that are not a JSON object: '{q: 1}'" in str(error)


async def test_a_refused_connection_asks_whether_the_server_runs() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    model = OpenAI(model="m", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    with pytest.raises(ModelError, match=rf"127.0.0.1:{port}/v1 refused the connection; does the server run") as caught:
        await ask(model)
    await model.close()
    assert caught.value.transient


async def test_tls_spoken_to_a_plain_server_says_what_to_write() -> None:
    with OpenAIServer() as server:
        url = server.url.replace("http:", "https:")
        model = OpenAI(model="m", base_url=url, api_key="k", max_retries=0)
        with pytest.raises(ModelError, match="write http://"):
            await ask(model)
        await model.close()


async def test_a_server_that_hangs_is_given_up_after_the_read_timeout() -> None:
    started = time.monotonic()
    error = await failure(Reply(hang=True), read_timeout="300ms", max_retries=2)
    assert "sent nothing for 0.3 s" in str(error)
    assert error.transient
    assert time.monotonic() - started < 1.5


async def test_slow_tokens_are_no_hang() -> None:
    with OpenAIServer([Reply("one two three four", pace=0.15)]) as server:
        async with connected(server, read_timeout=0.4) as model:
            assert text_of(await ask(model)) == "one two three four"


async def test_a_connection_lost_in_mid_reply_is_a_transient_error_and_not_repeated() -> None:
    received: list[str] = []

    async def receive(model: OpenAI) -> None:
        async for chunk in model.stream(ASK):
            received.append(chunk.text)  # noqa: PERF401 - what came before the error counts

    with OpenAIServer([Reply("one two three", close_after=3)]) as server:
        async with connected(server) as model:
            with pytest.raises(ModelError, match="in mid-reply, after 7 characters") as caught:
                await receive(model)
    assert received == ["one", " two"]
    assert caught.value.transient
    assert len(server.requests) == 1


async def test_a_stream_that_ends_without_an_end_is_broken_off() -> None:
    with OpenAIServer([Reply(raw=b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n')]) as server:
        async with connected(server) as model:
            with pytest.raises(ModelError, match="in mid-reply, after 4 characters"):
                await ask(model)


async def test_an_error_inside_the_stream_is_repeated_only_before_the_first_text() -> None:
    overloaded = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
    text = b'data: {"choices": [{"delta": {"content": "half"}}]}\n\n'
    with OpenAIServer([Reply(raw=overloaded), Reply("Whole.")]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Whole."
    error = await failure(Reply(chunks=["half"], raw=text + overloaded))
    assert "reported an error: overloaded" in str(error)
    assert error.transient


@pytest.mark.parametrize("ending", [b"data: [DONE]\n", b"", b"data: [DONE]\n\ndata: ignored\n\n"])
async def test_an_ending_that_is_not_quite_right_does_no_harm(ending: bytes) -> None:
    text = b'data:{"choices": [{"delta": {"content": "ok"}, "finish_reason": "stop"}]}'
    with OpenAIServer([Reply(raw=b"\xef\xbb\xbf: hi\n\n" + text + b"\r\n\r\ndata: \n\n" + ending)]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "ok"


async def test_a_cancelled_call_closes_its_connection() -> None:
    with OpenAIServer([Reply("one two three four five six", pace=0.2)]) as server:
        async with connected(server) as model:
            task = asyncio.create_task(ask(model))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.left.wait, 1)


async def test_leaving_the_stream_early_closes_its_connection() -> None:
    with OpenAIServer([Reply("one two three four five six", pace=0.1)]) as server:
        async with connected(server) as model:
            async with contextlib.aclosing(model.stream(ASK)) as chunks:
                async for _ in chunks:
                    break
            assert await asyncio.to_thread(server.left.wait, 1)


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with OpenAIServer() as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Hello there."


async def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "nonsense://here")
    model = OpenAI(model="m", base_url="http://models.example/v1")
    with pytest.raises(ResourceError, match="HTTP_PROXY"):
        await ask(model)
