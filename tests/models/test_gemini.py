"""The generateContent client against a real server, and what it makes of what servers send."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, InputError, ModelError, ResourceError
from ragweave.orchestrator.models.gemini import Gemini
from ragweave.orchestrator.models.generate_content import FOREIGN_SIGNATURE, ContentReader
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message, TextPart, ToolCall, Usage
from tests.support.asking import ASK, ask, connected, text_of
from tests.support.gemini_server import GeminiServer, error, event, events
from tests.support.openai_server import Reply

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = {"functionCall": {"name": "find", "args": {"q": "spice"}, "id": "fc-1"}, "thoughtSignature": "c2ln"}


async def failure(*replies: Reply, request: ChatRequest = ASK, **settings: Any) -> ModelError:
    with GeminiServer(replies or [Reply()]) as server:
        async with connected(server, Gemini, **{"max_retries": 0, **settings}) as model:
            with pytest.raises(ModelError) as caught:
                await ask(model, request)
    return caught.value


async def test_a_reply_is_streamed_and_the_system_text_stands_apart() -> None:
    with GeminiServer([Reply("Cloves and mace.", pace=0.02)]) as server:
        async with connected(server, Gemini) as model:
            chunks = await ask(model)
    assert [chunk.text for chunk in chunks] == ["Cloves", " and", " mace.", ""]
    assert chunks[-1].finish == "stop"
    assert chunks[-1].usage == Usage(calls=1, input_tokens=7, output_tokens=3 + 4, cached_tokens=5)
    assert server.requests[0].json == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi?"}]}],
    }
    assert "authorization" not in server.requests[0].headers
    assert server.key not in server.requests[0].path


async def test_settings_of_the_request_override_those_of_the_model() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    settings: dict[str, Any] = {"temperature": 0.7, "max_tokens": 50, "stop": ["END"], "seed": 1}
    with GeminiServer() as server:
        async with connected(server, Gemini, extra={"topK": 5, "safetySettings": safety}, **settings) as model:
            await ask(model)
            await ask(model, ChatRequest(ASK.messages, temperature=0.0, max_tokens=9, stop=("STOP",), seed=0))
    first, second = (request.json for request in server.requests)
    assert first["generationConfig"] == {
        "topK": 5, "temperature": 0.7, "maxOutputTokens": 50, "seed": 1, "stopSequences": ["END"],
    }  # fmt: skip
    assert second["generationConfig"] == {
        "topK": 5, "temperature": 0.0, "maxOutputTokens": 9, "seed": 0, "stopSequences": ["STOP"],
    }  # fmt: skip
    assert first["safetySettings"] == safety


async def test_tools_are_offered_called_and_answered_with_the_models_own_signature() -> None:
    tools = [
        {"name": "find", "description": "Find it.", "parameters": SCHEMA},
        {"type": "function", "function": {"name": "now"}},
    ]
    second = {"functionCall": {"name": "now"}}
    with GeminiServer([Reply("Let me look.", tool_calls=[CALL, second]), Reply("Done.")]) as server:
        async with connected(server, Gemini) as model:
            last = (await ask(model, ChatRequest(ASK.messages, tools=tools)))[-1]
            turn = Message(role="assistant", parts=(TextPart(text="Let me look."),), tool_calls=tuple(last.tool_calls))
            results = [
                Message(role="tool", parts=(TextPart(text=text),), tool_call_id=call.id)
                for call, text in zip(last.tool_calls, ['{"found": 2}', "noon"], strict=True)
            ]
            await ask(model, ChatRequest([*ASK.messages, turn, *results], tools=tools))
    assert last.finish == "tool_calls"
    assert [(call.id, call.name, call.arguments, call.memo) for call in last.tool_calls] == [
        ("fc-1", "find", {"q": "spice"}, "c2ln"),
        ("call_1", "now", {}, ""),
    ]
    sent = server.requests[1].json
    assert sent["tools"] == [
        {
            "functionDeclarations": [
                {"name": "find", "description": "Find it.", "parametersJsonSchema": SCHEMA},
                {"name": "now"},
            ]
        }
    ]
    assert sent["contents"][1:] == [
        {
            "role": "model",
            "parts": [{"text": "Let me look."}, CALL, {"functionCall": {"name": "now", "args": {}}}],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "find", "response": {"found": 2}, "id": "fc-1"}},
                {"functionResponse": {"name": "now", "response": {"result": "noon"}}},
            ],
        },
    ]


async def test_a_call_of_another_model_is_marked_as_foreign() -> None:
    turn = Message(role="assistant", tool_calls=(ToolCall(id="a", name="find"), ToolCall(id="b", name="find")))
    result = Message(role="tool", tool_call_id="a", parts=(TextPart(text="x"),))
    with GeminiServer() as server:
        async with connected(server, Gemini) as model:
            await ask(model, ChatRequest([*ASK.messages, turn, result]))
    first, second = server.requests[0].json["contents"][1]["parts"]
    assert first["thoughtSignature"] == FOREIGN_SIGNATURE
    assert "thoughtSignature" not in second


async def test_a_result_without_its_call_is_refused_by_name() -> None:
    with GeminiServer() as server:
        async with connected(server, Gemini) as model:
            with pytest.raises(InputError, match="answers the call 'x', which no message before it makes"):
                await ask(model, ChatRequest([*ASK.messages, Message(role="tool", tool_call_id="x")]))


async def test_images_sounds_and_files_are_sent_inline_unless_the_model_takes_none() -> None:
    resources = Resources()
    parts = [
        resources.blobs.attach(b"\x89PNG\r\n\x1a\n..."),
        resources.blobs.attach(b"RIFF1234WAVE"),
        resources.blobs.attach(b"%PDF-1.7"),
    ]
    request = ChatRequest([Message(role="user", parts=(*parts, TextPart(text="What?")))])
    with GeminiServer() as server:
        async with connected(server, Gemini, resources) as model:
            await ask(model, request)
        async with connected(server, Gemini, resources, takes=["text"]) as model:
            with pytest.raises(InputError, match="but model 'test-model' reads text; name a model that reads it"):
                await ask(model, request)
    sent = server.requests[0].json["contents"][0]["parts"]
    assert [part["inlineData"]["mimeType"] for part in sent[:3]] == ["image/png", "audio/wav", "application/pdf"]
    assert sent[0]["inlineData"]["data"] == "iVBORw0KGgouLi4="
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        (["responseMimeType", "responseJsonSchema"], [["responseJsonSchema", "responseMimeType"]]),
        (["responseMimeType"], [["responseJsonSchema", "responseMimeType"], ["responseMimeType"]]),
        ([], [["responseJsonSchema", "responseMimeType"], ["responseMimeType"], []]),
    ],
)
async def test_json_is_asked_for_as_the_server_can_be_asked(fields: list[str], asked: list[list[str]]) -> None:
    with GeminiServer([Reply('{"city": "Oslo"}')], fields=fields) as server:
        async with connected(server, Gemini) as model:
            assert text_of(await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA))) == '{"city": "Oslo"}'
            assert model.structures() == bool(fields)
            await ask(model, ChatRequest(ASK.messages, response_schema=SCHEMA))
    assert [sorted(request.json.get("generationConfig", {})) for request in server.requests] == [*asked, asked[-1]]
    told = json.dumps(SCHEMA) in server.requests[-1].json["contents"][0]["parts"][-1]["text"]
    assert told == (len(asked) > 1)


async def test_a_wrong_key_is_named_by_its_setting_and_never_shown() -> None:
    error = await failure(api_key="AIza-wrong-987654")
    assert isinstance(error, EndpointUnusable)
    assert "refused the key (400): API key not valid: ***. Pass a valid API key.; check the setting" in str(error)


@pytest.mark.parametrize("name", ["test-modell", "models/test-modell"])
async def test_a_wrong_model_is_answered_with_the_servers_own_names(name: str) -> None:
    assert f"has no model {name!r} (404)" in str(await failure(model=name))
    assert "did you mean 'test-model'?" in str(await failure(model=name))


async def test_a_model_may_be_named_with_its_collection() -> None:
    with GeminiServer() as server:
        async with connected(server, Gemini, model="models/test-model") as model:
            assert text_of(await ask(model)) == "Hello there."


def test_google_itself_needs_a_key() -> None:
    with pytest.raises(ResourceError, match="GEMINI_API_KEY"):
        Gemini(model="gemini-flash").open(Resources())


async def test_a_pause_that_stands_in_the_body_is_kept(pauses: list[float]) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]
    with GeminiServer([error(429, "RESOURCE_EXHAUSTED", "Quota exceeded", details), Reply("Now.")]) as server:
        async with connected(server, Gemini) as model:
            assert text_of(await ask(model)) == "Now."
    assert pauses == [0.3]


@pytest.mark.parametrize(
    ("reply", "said", "transient"),
    [
        (error(503, "UNAVAILABLE", "The model is overloaded."), "the server is overloaded (503)", True),
        (error(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum"), "prompt is too long", False),
        (error(400, "INVALID_ARGUMENT", "Bad topK"), "refused the request (400): Bad topK", False),
        (Reply(status=404, body="<html>"), "does not exist (404)", False),
        (Reply("A bad", finish="SAFETY"), "withheld the reply (SAFETY) after 5 characters", False),
        (Reply("", finish="MALFORMED_FUNCTION_CALL"), "broke off its reply (MALFORMED_FUNCTION_CALL)", True),
        (Reply("", finish="MAX_TOKENS"), "before the end of its first word", False),
        (Reply(""), "gave an empty reply", True),
        (Reply(raw=event({"promptFeedback": {"blockReason": "SAFETY"}})), "it blocked the prompt: SAFETY", False),
        (Reply(raw=event({"error": {"code": 503, "status": "UNAVAILABLE", "message": "x"}})), "error: x", True),
        (Reply(raw=event({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "y"}})), "error: y", False),
        (Reply(raw=event({"candidates": [1]})), "not of the generateContent format", False),
        (Reply("half a reply", close_after=1), "in mid-reply, after 4 characters", True),
        (Reply(body=[{"no": 1}]), "not a JSON object", False),
    ],
)
async def test_every_failure_is_a_line_that_says_what_to_do(reply: Reply, said: str, transient: bool) -> None:
    error = await failure(reply)
    assert said in str(error)
    assert error.transient == transient


async def test_thoughts_are_not_part_of_the_reply() -> None:
    thought = {"text": "Hmm, cloves?", "thought": True}
    with GeminiServer([Reply("Cloves.", tool_calls=[thought])]) as server:
        async with connected(server, Gemini) as model:
            assert text_of(await ask(model)) == "Cloves."


async def test_a_server_that_hangs_is_given_up_after_the_read_timeout() -> None:
    assert "sent nothing for 0.2 s" in str(await failure(Reply(hang=True), read_timeout="200ms"))


async def test_a_server_that_does_not_stream_is_read_all_the_same() -> None:
    with GeminiServer([Reply("All at once.", whole=True)]) as server:
        async with connected(server, Gemini) as model:
            assert text_of(await ask(model)) == "All at once."


WHOLE = b"".join(events(Reply("Où? Là – 你好.", tool_calls=[CALL])))


def reader(streamed: bool = True) -> ContentReader:
    return ContentReader(server="http://x", model="m", max_tokens=None, streamed=streamed, redacted=str)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_the_reply_does_not_depend_on_how_its_bytes_are_cut(places: list[int]) -> None:
    reply, edges = reader(), sorted({0, *places, len(WHOLE)})
    pieces = [WHOLE[start:end] for start, end in pairwise(edges)]
    text = "".join(reply.feed(piece) for piece in pieces) + reply.end()
    assert text == "Où? Là – 你好."
    assert reply.finish().tool_calls[0].arguments == {"q": "spice"}


@settings(deadline=None)
@given(st.integers(0, WHOLE.index(b"finishReason")))
def test_a_stream_that_is_cut_anywhere_is_a_part_of_the_text_and_an_error(place: int) -> None:
    reply = reader()
    text = reply.feed(WHOLE[:place]) + reply.end()
    assert "Où? Là – 你好.".startswith(text)
    with pytest.raises(ModelError, match="closed the connection"):
        reply.finish()


SMALL = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
JSON = SMALL | st.lists(SMALL, max_size=2) | st.dictionaries(st.text(max_size=3), SMALL, max_size=2)
PART = st.dictionaries(st.sampled_from(["text", "functionCall", "thought", "thoughtSignature"]), JSON)
CANDIDATE = st.fixed_dictionaries(
    {}, optional={"content": st.fixed_dictionaries({"parts": st.lists(PART, max_size=2) | JSON}), "finishReason": JSON}
)
PIECE = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(CANDIDATE | JSON, max_size=2) | JSON,
        "usageMetadata": st.dictionaries(st.sampled_from(["promptTokenCount", "thoughtsTokenCount"]), JSON),
        "promptFeedback": JSON,
        "error": JSON,
    },
)


@settings(deadline=None)
@given(st.lists(PIECE, max_size=3), st.booleans())
def test_whatever_a_server_sends_is_a_reply_or_a_model_error(pieces: list[Any], streamed: bool) -> None:
    reply = reader(streamed)
    try:
        for piece in pieces:
            reply.feed(event(piece) if streamed else json.dumps(piece).encode())
        reply.end()
        reply.finish()
    except ModelError:
        pass
