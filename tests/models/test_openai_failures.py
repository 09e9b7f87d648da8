"""The endpoint client against a real server that fails in every way, and what a person then reads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from email.utils import formatdate

import pytest

from ragweave.orchestrator.errors import ModelError, ResourceError, is_transient
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.resources import Resources
from tests.support.asking import ASK, ask, connected, failure, text_of
from tests.support.openai_server import OpenAIServer, Reply


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


async def test_too_many_requests_are_repeated_after_the_pause_that_the_server_asks_for(pauses: list[float]) -> None:
    with OpenAIServer([Reply(status=429, headers={"Retry-After": "1"}, body={}), Reply("Now.")]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Now."
    assert pauses == [1.0]


async def test_a_pause_given_as_a_date_or_in_milliseconds_is_kept_too(pauses: list[float]) -> None:
    date = formatdate(time.time() + 50, usegmt=True)
    replies = [
        Reply(status=503, headers={"retry-after-ms": "150"}, body={}),
        Reply(status=429, headers={"Retry-After": date}, body={}),
        Reply("Now."),
    ]
    with OpenAIServer(replies) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Now."
    assert pauses[0] == 0.15
    assert 5 < pauses[1] <= 50


async def test_a_pause_of_minutes_is_left_to_the_caller() -> None:
    error = await failure(Reply(status=429, headers={"Retry-After": "900"}, body={}), max_retries=5)
    assert error.transient
    assert error.retry_after == 900


async def test_a_failing_server_is_asked_again_with_growing_pauses(pauses: list[float]) -> None:
    with OpenAIServer([Reply(status=500, body={}), Reply(close_after=0), Reply("Fine.")]) as server:
        async with connected(server) as model:
            assert text_of(await ask(model)) == "Fine."
    assert 0.375 <= pauses[0] <= 0.625
    assert 0.75 <= pauses[1] <= 1.25


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
    with OpenAIServer([Reply(hang=True)]) as server:
        async with connected(server, read_timeout="300ms", max_retries=2) as model:
            with pytest.raises(ModelError, match=r"sent nothing for 0\.3 s") as caught:
                await ask(model)
    assert caught.value.transient
    assert len(server.requests) == 1, "who hangs once would hang again"


async def test_slow_tokens_are_no_hang() -> None:
    words = "one two three four five six seven eight nine"
    with OpenAIServer([Reply(words, pace=0.25)]) as server:
        async with connected(server, read_timeout=2) as model:
            assert text_of(await ask(model)) == words


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
    with OpenAIServer([Reply("one two three", hang_after=2)]) as server:
        async with connected(server) as model:
            task = asyncio.create_task(ask(model))
            await server.asked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.is_left()


async def test_leaving_the_stream_early_closes_its_connection() -> None:
    with OpenAIServer([Reply("one two three", hang_after=2)]) as server:
        async with connected(server) as model:
            async with contextlib.aclosing(model.stream(ASK)) as chunks:
                async for _ in chunks:
                    break
            await server.is_left()


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
