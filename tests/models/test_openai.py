"""The endpoint client against a real server that behaves."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.values import BlobPart, Message, ToolCall, Usage
from tests.support.asking import ASK, ask, connected, text_of
from tests.support.openai_server import OpenAIServer, Reply


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
    settings: dict[str, Any] = {
        "temperature": 0.7,
        "max_tokens": 50,
        "stop": ["END"],
        "seed": 1,
        "extra": {"top_p": 0.9},
    }
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


async def test_a_part_whose_bytes_are_nowhere_is_refused_by_name() -> None:
    image = Message(role="user", parts=(BlobPart(type="image", blob="abc", name="cat.png"),))
    with OpenAIServer() as server:
        async with connected(server) as model:
            with pytest.raises(InputError, match=r"the bytes of the image 'cat.png' are not here"):
                await ask(model, ChatRequest([image]))
    assert not server.requests


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


async def test_text_that_is_no_unicode_is_sent_as_far_as_it_can_be() -> None:
    with OpenAIServer() as server:
        async with connected(server) as model:
            await ask(model, ChatRequest([Message.of("user", "caf\u00e9 \ud800!")]))
    assert server.requests[0].json["messages"][0]["content"] == "café ?!"


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
            async with asyncio.timeout(60):
                while server.open_connections:  # noqa: ASYNC110 - the server sees it in another thread
                    await asyncio.sleep(0.01)
            other.call_soon_threadsafe(other.stop)
            await asyncio.to_thread(thread.join)
            other.close()
