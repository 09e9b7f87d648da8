"""A chat model of LangChain: any provider that its `init_chat_model` reaches, or an object that the program made."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field, PositiveInt, PrivateAttr, SecretStr, model_validator

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import EndpointUnusable, MissingExtra, ModelError, NodeError
from ragweave.orchestrator.interop import providers
from ragweave.orchestrator.interop.values import theirs
from ragweave.orchestrator.models.parts import encoded, refuse_parts
from ragweave.orchestrator.models.reading import cut_off, one_line
from ragweave.orchestrator.models.schemas import told
from ragweave.orchestrator.values import ToolCall, Usage

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage

    from ragweave.orchestrator.resources import Resources

_KINDS = ("text", "image", "audio", "file")
_PROFILE = {"image": "image_inputs", "audio": "audio_inputs", "file": "pdf_inputs"}
_FIELDS = {
    "temperature": ("temperature",),
    "max_tokens": ("max_tokens", "max_output_tokens", "num_predict"),
    "seed": ("seed",),
}
"""What providers call a setting, the usual name first."""
_LENGTH = ("length", "max_tokens", "model_length", "max_output_tokens")
_WITHHELD = ("content_filter", "safety", "refusal", "prohibited_content", "blocklist", "recitation")


class LangChain(ChatModel, type="langchain"):
    """A chat model by LangChain: `model: "anthropic:claude-sonnet-4-5"`, with the provider's package installed.

    In Python, `LangChain.of(chat)` makes one of a chat model object.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    model: str = Field(min_length=1, description="Provider and model, such as openai:gpt-4.1 or ollama:llama3.2.")
    api_key: SecretStr | None = Field(
        None, description="The key; without it, the provider's own variable. Never shown."
    )
    base_url: str = Field("", description="The address of the server, if it is not the provider's.")
    temperature: float | None = Field(None, ge=0, description="0 for the likeliest words, more for variety.")
    max_tokens: PositiveInt | None = Field(None, description="The longest reply, in tokens.")
    stop: list[str] = Field([], description="Texts that end a reply.")
    takes: list[Literal["text", "image", "audio", "file"]] = Field(
        [], description="The kinds of parts that the model reads; without it, what LangChain knows of the model."
    )
    extra: dict[str, Any] = Field({}, description="Further arguments of init_chat_model.")

    _chat: BaseChatModel | None = PrivateAttr(None)
    _resources: Resources | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, settings: Any) -> Any:
        if not isinstance(settings, Mapping):
            return settings
        return {name: value for name, value in settings.items() if name == "model" or value != ""}

    @classmethod
    def of(cls, chat: BaseChatModel, **settings: Any) -> LangChain:
        """A model that asks this object of LangChain."""
        name = getattr(chat, "model_name", "") or getattr(chat, "model", "") or type(chat).__name__
        made = cls(**{"model": str(name), **settings})
        made._chat = chat
        return made

    def open(self, resources: Resources) -> None:
        """Make the chat model. Raises MissingExtra or ResourceError that says which package to install."""
        self._resources = resources
        self._made()

    def structures(self) -> bool:
        """True if the chat model can be bound to a schema."""
        return _binds(self._made())

    def calls_tools(self) -> bool:
        """True if the chat model can be bound to tools."""
        return _binds(self._made())

    def reads(self) -> Collection[str]:
        """The kinds of parts that the model reads: `takes`, else those of LangChain's profile of it, else all."""
        if self.takes:
            return self.takes
        profile = getattr(self._made(), "profile", None) or {}
        return [kind for kind in _KINDS if profile.get(_PROFILE.get(kind, ""), True)]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply in pieces. Raises ModelError, transient where the provider's error may pass."""
        chat = self._made()
        refuse_parts(request.messages, self.reads(), self.model)
        blobs = await encoded(request.messages, self._resources)
        schema = request.response_schema
        native = schema is not None and schema.get("type") == "object" and _binds(chat) and not request.tools
        messages = request.messages
        if schema is not None and not native:
            messages = told(messages, schema, tools=bool(request.tools))
        chat, options = self._tuned(chat, request)
        try:
            sent = [theirs(message, blobs) for message in messages]
            if native:
                yield _whole_json(await _bound(chat, schema or {}).ainvoke(sent, **options))
                return
            bound = chat.bind_tools([dict(tool) for tool in request.tools]) if request.tools else chat
            whole: Any = None
            async with contextlib.aclosing(bound.astream(sent, **options)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    whole = chunk if whole is None else whole + chunk
                    if text := text_of_message(chunk):
                        yield ChatChunk(text=text)
        except NodeError:
            raise
        except NotImplementedError as error:
            raise ModelError(f"model {self.model!r} cannot be given tools: {type(chat).__name__}") from error
        except Exception as error:
            raise self._failure(error) from error
        yield self._last(whole, request)

    def _made(self) -> BaseChatModel:
        if self._chat is None:
            self._chat = self._make()
        return self._chat

    def _make(self) -> BaseChatModel:
        try:
            from langchain.chat_models import init_chat_model
        except ImportError:
            raise MissingExtra("the model type 'langchain'", "langchain", "langchain") from None
        given: dict[str, Any] = dict(self.extra)
        for name in ("temperature", "max_tokens"):
            if getattr(self, name) is not None:
                given[name] = getattr(self, name)
        if self.base_url:
            given["base_url"] = self.base_url
        if self.api_key is not None:
            given["api_key"] = self.api_key.get_secret_value()
        what = f"model {self.model!r}"
        chat: BaseChatModel = providers.made(what, lambda: init_chat_model(self.model, **given), self.api_key)
        return chat

    def _tuned(self, chat: BaseChatModel, request: ChatRequest) -> tuple[BaseChatModel, dict[str, Any]]:
        """The chat model with the request's own settings, and what has to be said at the call."""
        options: dict[str, Any] = {}
        if stop := [*request.stop] or self.stop:
            options["stop"] = stop
        fields = type(chat).model_fields
        update = {}
        for name, names in _FIELDS.items():
            value = getattr(request, name)
            if value is None:
                continue
            field = next((field for field in names if field in fields), None)
            if field is not None:
                update[field] = value
            else:
                options[name] = value
        return (chat.model_copy(update=update) if update else chat), options

    def _last(self, whole: Any, request: ChatRequest) -> ChatChunk:
        if whole is None:
            raise ModelError(f"model {self.model!r} gave an empty reply", transient=True)
        finish = _finish(whole)
        wrong = _wrong_calls(whole)
        if finish == "content_filter":
            raise ModelError(f"model {self.model!r}: the provider withheld the reply", hint="reword the prompt")
        if finish == "length" and (wrong or whole.tool_calls or not text_of_message(whole)):
            limit = request.max_tokens or self.max_tokens
            raise cut_off(self.model, limit, "its tool calls" if wrong or whole.tool_calls else "its first word")
        if wrong:
            raise ModelError(
                f"model {self.model!r} called the tool {wrong[0].get('name')!r} with arguments that are not a JSON "
                f"object: {one_line(str(wrong[0].get('args')))!r}",
                transient=True,
            )
        calls = tuple(
            ToolCall(id=call.get("id") or f"call_{position}", name=call["name"], arguments=call["args"])
            for position, call in enumerate(whole.tool_calls)
        )
        if not calls and not text_of_message(whole):
            raise ModelError(f"model {self.model!r} gave an empty reply", transient=True)
        return ChatChunk(tool_calls=calls, usage=usage_of(whole), finish="tool_calls" if calls else finish)

    def _failure(self, error: Exception) -> ModelError:
        """A provider's error, told apart by its HTTP status if it has one."""
        failed = providers.failure(f"model {self.model!r}", error, self.api_key)
        if providers.status_of(error) in (401, 403):
            return EndpointUnusable(failed.message, hint=f"check the setting 'api_key' of model {self.model!r}")
        return failed


def _binds(chat: BaseChatModel) -> bool:
    from langchain_core.language_models.chat_models import BaseChatModel

    return type(chat).bind_tools is not BaseChatModel.bind_tools


def _bound(chat: BaseChatModel, schema: Mapping[str, Any]) -> Any:
    return chat.with_structured_output({"title": "reply", "description": "The answer.", **schema}, include_raw=True)


def _whole_json(answer: Any) -> ChatChunk:
    """A structured reply as text; what LangChain could not read is passed on as it was said."""
    raw = answer["raw"]
    parsed = answer["parsed"]
    text = json.dumps(parsed, ensure_ascii=False) if parsed is not None else text_of_message(raw)
    return ChatChunk(text=text, usage=usage_of(raw), finish="length" if _finish(raw) == "length" else "stop")


def text_of_message(message: Any) -> str:
    """The text of a message or a piece of one; thoughts and tool calls are other kinds of blocks."""
    content = message.content
    if isinstance(content, str):
        return content
    blocks: Sequence[Any] = content
    return "".join(
        block if isinstance(block, str) else str(block.get("text") or "")
        for block in blocks
        if isinstance(block, str) or block.get("type") in ("text", "text_delta")
    )


def _wrong_calls(message: Any) -> list[Any]:
    """Calls whose arguments are no JSON object; of pieces, LangChain mends what is broken off, which may be wrong."""
    wrong = list(getattr(message, "invalid_tool_calls", None) or ())
    for call in getattr(message, "tool_call_chunks", None) or ():
        try:
            whole = isinstance(json.loads(call["args"] or "{}"), dict)
        except (ValueError, RecursionError):
            whole = False
        if not whole:
            wrong.append(call)
    return wrong


def _finish(message: AIMessage) -> str:
    said = message.response_metadata
    word = said.get("finish_reason") or said.get("stop_reason") or said.get("done_reason") or "stop"
    word = str(word).lower()
    return "length" if word in _LENGTH else "content_filter" if word in _WITHHELD else "stop"


def usage_of(message: AIMessage) -> Usage:
    """What the call has used that gave this message."""
    counted: Mapping[str, Any] = message.usage_metadata or {}
    details = counted.get("input_token_details") or {}
    return Usage(
        calls=1,
        input_tokens=counted.get("input_tokens", 0),
        output_tokens=counted.get("output_tokens", 0),
        cached_tokens=details.get("cache_read", 0) or 0,
    )
