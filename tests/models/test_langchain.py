"""LangChain's chat models as models of a graph, tried with its own fake ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, InputError, ModelError, ResourceError
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message, TextPart, ToolCall, Usage
from tests.support.asking import ASK, ask, text_of
from tests.support.listening import Listening

pytest.importorskip("langchain", reason="the extra 'langchain' is not installed")

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda

from ragweave.orchestrator.models.langchain import LangChain

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
COUNTED = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, "input_token_details": {"cache_read": 5}}


class Provider(BaseChatModel):
    """A chat model as provider packages write them: it keeps what it was sent, streams, binds tools and schemas."""

    pieces: list[Any] = []
    sent: list[Any] = []
    options: list[Any] = []
    temperature: float | None = None
    max_output_tokens: int | None = None
    error: Any = None

    @property
    def _llm_type(self) -> str:
        return "provider"

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        self._note(messages, options)
        whole = self.pieces[0]
        for piece in self.pieces[1:]:
            whole += piece
        return ChatResult(generations=[ChatGeneration(message=AIMessage(**whole.model_dump(exclude={"type"})))])

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **options: Any
    ) -> Iterator[ChatGenerationChunk]:
        self._note(messages, {**options, "stop": stop})
        for piece in self.pieces:
            yield ChatGenerationChunk(message=piece)
        if self.error is not None:
            raise self.error

    def _note(self, messages: list[BaseMessage], options: dict[str, Any]) -> None:
        self.sent.append(messages)
        self.options.append({**options, "temperature": self.temperature, "limit": self.max_output_tokens})

    def bind_tools(self, tools: Sequence[Any], **options: Any) -> Any:
        return self.bind(tools=list(tools))

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **options: Any) -> Any:
        def read(message: AIMessage) -> Any:
            return {"raw": message, "parsed": json.loads(str(message.content)), "parsing_error": None}

        return self.bind(schema=schema) | RunnableLambda(read)


def said(*texts: str) -> list[AIMessageChunk]:
    last = AIMessageChunk(content="", usage_metadata=COUNTED, response_metadata={"finish_reason": "stop"})
    return [*(AIMessageChunk(content=text) for text in texts), last]


async def test_langchains_own_fake_streams_word_by_word() -> None:
    model = LangChain.of(GenericFakeChatModel(messages=iter([AIMessage("Cloves and mace.")])))
    assert [chunk.text for chunk in await ask(model)] == ["Cloves", " ", "and", " ", "mace.", ""]


async def test_a_model_that_does_not_stream_gives_text_tool_calls_and_usage_at_once() -> None:
    call = {"name": "find", "args": {"q": "spice"}, "id": "a", "type": "tool_call"}
    message = AIMessage("Look:", tool_calls=[call], usage_metadata=COUNTED)
    chunks = await ask(LangChain.of(FakeMessagesListChatModel(responses=[message])))
    assert text_of(chunks) == "Look:"
    assert chunks[-1].tool_calls == (ToolCall(id="a", name="find", arguments={"q": "spice"}),)
    assert chunks[-1].finish == "tool_calls"
    assert chunks[-1].usage == Usage(calls=1, input_tokens=7, output_tokens=3, cached_tokens=5)


async def test_a_conversation_with_tools_arrives_as_langchains_messages() -> None:
    provider = Provider(pieces=said("Done."))
    turn = Message(
        role="assistant", parts=(TextPart(text="Look:"),), tool_calls=(ToolCall(id="a", name="f", arguments={"n": 1}),)
    )
    result = Message(role="tool", parts=(TextPart(text="mace"),), tool_call_id="a")
    tools = [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
    await ask(LangChain.of(provider), ChatRequest([*ASK.messages, turn, result], tools=tools, stop=("END",)))
    system, user, assistant, tool = provider.sent[0]
    assert (system.type, system.content, user.type, user.content) == ("system", "Be brief.", "human", "Hi?")
    assert assistant.tool_calls == [{"name": "f", "args": {"n": 1}, "id": "a", "type": "tool_call"}]
    assert (tool.type, tool.content, tool.tool_call_id) == ("tool", "mace", "a")
    assert provider.options[0]["tools"] == tools
    assert provider.options[0]["stop"] == ["END"]


async def test_settings_of_a_request_do_not_change_the_object() -> None:
    provider = Provider(pieces=said("Done."), temperature=0.7)
    model = LangChain.of(provider, stop=["STOP"])
    await ask(model, ChatRequest(ASK.messages, temperature=0.0, max_tokens=9, seed=3))
    await ask(model)
    first, second = provider.options
    assert (first["temperature"], first["limit"], first["seed"], first["stop"]) == (0.0, 9, 3, ["STOP"])
    assert (second["temperature"], second["limit"]) == (0.7, None)


async def test_content_in_blocks_is_read_without_thoughts() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Cloves.", "index": 1}]
    assert text_of(await ask(LangChain.of(Provider(pieces=[AIMessageChunk(content=blocks)])))) == "Cloves."


async def test_parts_are_sent_as_standard_blocks_unless_the_profile_says_that_the_model_reads_none() -> None:
    resources = Resources()
    part = resources.blobs.attach(b"\x89PNG\r\n\x1a\n...", name="cat.png")
    request = ChatRequest([Message(role="user", parts=(part, TextPart(text="What?")))])
    provider = Provider(pieces=said("A cat."))
    model = LangChain.of(provider)
    model.open(resources)
    await ask(model, request)
    assert provider.sent[0][0].content == [
        {"type": "image", "base64": "iVBORw0KGgouLi4=", "mime_type": "image/png"},
        {"type": "text", "text": "What?"},
    ]
    blind = Provider(pieces=said("?"), profile={"image_inputs": False})
    with pytest.raises(InputError, match=r"the image 'cat.png', but model 'Provider' reads text, audio, file"):
        await ask(LangChain.of(blind), request)


async def test_structured_output_is_langchains_where_the_model_has_it() -> None:
    provider = Provider(pieces=said('{"city": "Oslo"}'))
    ctx = Listening()
    model = LangChain.of(provider)
    assert model.structures()
    assert await structured(ctx, model, ASK, SCHEMA) == {"city": "Oslo"}
    assert provider.options[0]["schema"]["properties"] == SCHEMA["properties"]
    assert ctx.used == Usage(calls=1, input_tokens=7, output_tokens=3, cached_tokens=5)


async def test_structured_output_is_asked_for_in_words_elsewhere() -> None:
    model = LangChain.of(GenericFakeChatModel(messages=iter([AIMessage("nonsense"), AIMessage('{"city": "Oslo"}')])))
    assert not model.structures()
    assert await structured(Listening(), model, ASK, SCHEMA) == {"city": "Oslo"}


class Busy(Exception):
    status_code = 429


class Denied(Exception):
    status_code = 401


@pytest.mark.parametrize(
    ("error", "transient", "kind"),
    [
        (Busy("slow down"), True, ModelError),
        (TimeoutError("late"), True, ModelError),
        (Denied("no"), False, EndpointUnusable),
        (KeyError("x"), False, ModelError),
    ],
)
async def test_a_providers_error_is_a_model_error(error: Exception, transient: bool, kind: type[ModelError]) -> None:
    with pytest.raises(ModelError, match=f"model 'Provider' failed: {type(error).__name__}") as caught:
        await ask(LangChain.of(Provider(pieces=said("half"), error=error)))
    assert caught.value.transient == transient
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("pieces", "what"),
    [
        (
            [AIMessageChunk(content="", response_metadata={"finish_reason": "length"})],
            "before the end of its first word",
        ),
        (
            [AIMessageChunk(content="x", response_metadata={"stop_reason": "refusal"})],
            "the provider withheld the reply",
        ),
        ([AIMessageChunk(content="")], "gave an empty reply"),
        (
            [AIMessageChunk(content="", tool_call_chunks=[{"name": "f", "args": "{q: 1", "id": "a", "index": 0}])],
            "called the tool 'f' with arguments that are not a JSON object: '{q: 1'",
        ),
    ],
)
async def test_what_is_no_whole_reply_is_an_error(pieces: list[AIMessageChunk], what: str) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(LangChain.of(Provider(pieces=pieces)))
    assert what in str(caught.value)


async def test_a_reply_cut_off_in_its_text_says_so() -> None:
    model = LangChain.of(
        Provider(pieces=[AIMessageChunk(content="Half", response_metadata={"stop_reason": "max_tokens"})])
    )
    assert (await ask(model))[-1].finish == "length"


async def test_tools_for_a_model_that_takes_none_are_an_error() -> None:
    model = LangChain.of(GenericFakeChatModel(messages=iter([])))
    with pytest.raises(ModelError, match="cannot be given tools: GenericFakeChatModel"):
        await ask(model, ChatRequest(ASK.messages, tools=[{"name": "f"}]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("anthropic:claude-x", "not installed.*; pip install langchain-anthropic$"),
        ("nonsense", "Unable to infer model provider"),
    ],
)
def test_a_model_that_cannot_be_made_says_what_to_install(name: str, said: str) -> None:
    if name.startswith("anthropic") and _installed("langchain_anthropic"):
        pytest.skip("langchain-anthropic is installed")
    with pytest.raises(ResourceError, match=said):
        LangChain(model=name, api_key="sk-secret-123").open(Resources())


def _installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def test_a_graph_answers_with_an_object_of_langchain() -> None:
    graph = Graph(
        inputs={"question": "str"},
        outputs=["answer"],
        models={"chat": {"type": "langchain", "model": "openai:unused"}},
        prompts={"plain": {"text": "{{ question }}", "variables": {"question": "str"}}},
        nodes={"answer": {"type": "generator", "model": "chat", "prompt": "plain"}},
        edges=["start -> answer -> end"],
    )
    graph.resources.put("models", "chat", LangChain.of(Provider(pieces=said("Oslo."))))
    with graph:
        result = graph.run(question="Where?")
    assert str(result["answer"]) == "Oslo."
    assert result.usage.input_tokens == 7


def test_langchain_is_imported_when_a_model_is_made_and_not_before() -> None:
    code = (
        "import sys; from ragweave import Graph; g = Graph(inputs={'q': 'str'}, outputs=['answer'], "
        "models={'chat': {'type': 'langchain', 'model': 'openai:x'}}, "
        "prompts={'p': {'text': '{{ q }}', 'variables': {'q': 'str'}}}, "
        "nodes={'a': {'type': 'generator', 'model': 'chat', 'prompt': 'p'}}, edges=['start -> a -> end']); "
        "print([m for m in sys.modules if m.startswith('langchain')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
