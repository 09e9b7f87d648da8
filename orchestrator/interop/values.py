"""Documents, messages and answers as LangChain has them, and back."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ragweave.orchestrator.errors import ContractError, InputError, a
from ragweave.orchestrator.types import Type, instance_check
from ragweave.orchestrator.values import (
    Answer,
    BlobPart,
    Document,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    Value,
)  # fmt: skip

if TYPE_CHECKING:
    from langchain_core.documents import Document as TheirDocument
    from langchain_core.messages import AIMessage, BaseMessage

    from ragweave.orchestrator.blobs import Blobs
    from ragweave.orchestrator.resources import Resources

_REFERENCE = "ragweave:"
"""Starts the `file_id` of a block whose bytes stay with the graph."""
_ROLES: Mapping[str, Any] = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


# --- to LangChain ---


async def outward(value: Any, resources: Resources | None = None) -> Any:
    """A value of ragweave as LangChain has it, with the bytes of its images, sounds and files.

    Document, Message and ToolResult have their like; an Answer is an AIMessage with its citations in
    `response_metadata`; other values are their JSON. Raises InputError for bytes that are not there.
    """
    found = {part.blob: part for part in _blobs(value)}
    if not found or resources is None:
        return theirs(value)
    return theirs(value, await asyncio.to_thread(_encoded, found, resources))


def theirs(value: Any, blobs: Mapping[str, str] | None = None) -> Any:
    """The same; `blobs` are bytes in base64 by their hash. Those that it lacks are passed on as a reference to them,
    which `ours` understands."""
    if isinstance(value, Document):
        return _document(value)
    if isinstance(value, Message):
        return _message(value, blobs or {})
    if isinstance(value, Answer):
        return message_of_answer(value)
    if isinstance(value, ToolResult):
        from langchain_core.messages import ToolMessage

        status: Any = "error" if value.error else "success"
        return ToolMessage(value.error or value.content, tool_call_id=value.id, name=value.name, status=status)
    if isinstance(value, ToolCall):
        return {"type": "tool_call", "id": value.id, "name": value.name, "args": dict(value.arguments)}
    if isinstance(value, BlobPart):
        return _block(value, blobs or {})
    if isinstance(value, Value):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: theirs(item, blobs) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [theirs(item, blobs) for item in value]
    return value


def message_of_answer(answer: Answer) -> AIMessage:
    """An answer as a message; `response_metadata` has `citations` and `confidence`."""
    from langchain_core.messages import AIMessage

    return AIMessage(answer.text, response_metadata=about(answer))


def about(answer: Answer) -> dict[str, Any]:
    """What an answer has beside its text."""
    return {
        "citations": [citation.model_dump(mode="json") for citation in answer.citations],
        "confidence": answer.confidence,
    }


def _document(document: Document) -> TheirDocument:
    from langchain_core.documents import Document as TheirDocument

    own = {
        "title": document.title,
        "source": document.source,
        "line": document.line,
        "offsets": list(document.offsets) if document.offsets else None,
        "score": document.score or None,
    }
    metadata = {**document.metadata, **{name: value for name, value in own.items() if value not in (None, "")}}
    return TheirDocument(page_content=document.text, metadata=metadata, id=document.id)


def _message(message: Message, blobs: Mapping[str, str]) -> BaseMessage:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    content: Any = message.text
    if any(isinstance(part, BlobPart) for part in message.parts):
        content = [_block(part, blobs) for part in message.parts]
    if message.role == "system":
        return SystemMessage(content)
    if message.role == "tool":
        return ToolMessage(content, tool_call_id=message.tool_call_id)
    if message.role == "user":
        return HumanMessage(content)
    calls = [
        {"type": "tool_call", "id": call.id, "name": call.name, "args": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return AIMessage(content, tool_calls=calls)


def _block(part: Part, blobs: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    block: dict[str, Any] = {"type": part.type, "mime_type": part.media_type}
    if part.blob in blobs:
        block["base64"] = blobs[part.blob]
    else:
        block["file_id"] = _REFERENCE + part.blob
    named = part.name and (part.type == "file" or part.blob not in blobs)
    return {**block, "extras": {"filename": part.name}} if named else block


def _blobs(value: Any) -> Iterator[BlobPart]:
    if isinstance(value, BlobPart):
        yield value
    elif isinstance(value, Message):
        yield from (part for part in value.parts if isinstance(part, BlobPart))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _blobs(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _blobs(item)


def _encoded(parts: Mapping[str, BlobPart], resources: Resources) -> dict[str, str]:
    return {
        digest: base64.b64encode(resources.blob(digest, part.label)).decode("ascii") for digest, part in parts.items()
    }


# --- from LangChain ---


def ours(value: Any, blobs: Blobs | None = None) -> Any:
    """A value of LangChain as ragweave has it; bytes in messages are kept in `blobs`.

    Raises InputError for a message that cannot be kept: one with an address instead of bytes, or with a tool call that
    LangChain could not read. Raises ContractError for an object that is no JSON.
    """
    from langchain_core.documents import Document as TheirDocument
    from langchain_core.messages import BaseMessage
    from langchain_core.prompt_values import PromptValue

    if isinstance(value, TheirDocument):
        return document_of(value)
    if isinstance(value, BaseMessage):
        return message_of(value, blobs)
    if isinstance(value, PromptValue):
        return [message_of(message, blobs) for message in value.to_messages()]
    if value is None or isinstance(value, (str, int, float, bool, Value)):
        return value
    if isinstance(value, Mapping):
        return {str(key): ours(item, blobs) for key, item in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [ours(item, blobs) for item in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise ContractError(f"{a(type(value).__name__)} cannot be kept in the state: it is no JSON")


def shaped(value: Any, kind: Type, blobs: Blobs | None = None) -> Any:
    """The same, as near to this type as it comes: a message becomes its text or an Answer where one is wanted, a text
    a message."""
    if kind == _MESSAGES and isinstance(value, (list, tuple)) and any(map(_is_short, value)):
        value = [_whole(one) if _is_short(one) else one for one in value]
    made = ours(value, blobs)
    if kind.word == "str" and isinstance(made, (Message, Answer)):
        return made.text
    if kind.word == "str" and _are_messages(made):
        return made[-1].text
    if kind.word == "Answer" and not isinstance(made, Answer):
        return _answer(made[-1] if _are_messages(made) else made)
    if kind.word == "Message" and isinstance(made, str):
        return Message.of("user", made)
    if kind == _MESSAGES and not _are_messages(made):
        made = [Message.of("user", made)] if isinstance(made, str) else [made] if isinstance(made, Message) else made
    return made


def fitted(value: Any, kind: Type, blobs: Blobs | None = None) -> Any:
    """The same, as a value of this type. Raises ContractError that says what came instead."""
    made = shaped(value, kind, blobs)
    if not _is(made, kind):
        text = repr(value)
        shown = text if len(text) < 80 else f"{type(value).__name__} {text[:60]}…"
        raise ContractError(f"wanted is {a(kind)}, and {shown} came")
    return made


def document_of(document: TheirDocument) -> Document:
    """A document of LangChain. One without an id gets one made of its source and its text."""
    metadata = {str(name): plain(value) for name, value in document.metadata.items()}
    title, source = str(metadata.pop("title", "") or ""), str(metadata.pop("source", "") or "")
    score = metadata.pop("score", None)
    line = metadata.pop("line", None)
    offsets = metadata.pop("offsets", None)
    whole = hashlib.sha256(f"{source}\0{document.page_content}".encode("utf-8", "surrogatepass")).hexdigest()
    return Document(
        id=document.id or whole[:16],
        text=document.page_content,
        title=title,
        source=source,
        line=line if isinstance(line, int) else None,
        offsets=(offsets[0], offsets[1]) if isinstance(offsets, list) and len(offsets) == 2 else None,
        metadata=metadata,
        score=float(score) if isinstance(score, (int, float)) else 0.0,
    )


def message_of(message: BaseMessage, blobs: Blobs | None = None) -> Message:
    """A message of LangChain: text, images, sounds, files and tool calls. What a model thought is left out."""
    role = _ROLES.get(message.type.removesuffix("MessageChunk").lower())
    if role is None:
        raise InputError(f"a message of the kind {message.type!r} has no like here; there is: {', '.join(_ROLES)}")
    wrong = getattr(message, "invalid_tool_calls", None)
    if wrong:
        name, given = wrong[0].get("name"), wrong[0].get("args")
        raise InputError(f"the tool {name!r} was called with {given!r}, which is no JSON object")
    calls = [
        ToolCall(id=call["id"] or f"call_{at}", name=call["name"], arguments=call["args"])
        for at, call in enumerate(getattr(message, "tool_calls", None) or ())
    ]
    found: list[Part] = []
    if isinstance(message.content, str):
        found = [TextPart(text=message.content)] if message.content else []
    else:
        for block in message.content_blocks:
            part = _part(block, blobs)
            if part is not None:
                found.append(part)
    return Message(
        role=role,
        parts=tuple(found),
        tool_calls=tuple(calls),
        tool_call_id=getattr(message, "tool_call_id", ""),
    )


def _part(block: Any, blobs: Blobs | None) -> Part | None:
    kind = block.get("type")
    if kind in ("text", "text-plain"):
        return TextPart(text=block.get("text") or "")
    if kind not in ("image", "audio", "file", "video"):
        return None
    name = str((block.get("extras") or {}).get("filename") or "")
    media_type = block.get("mime_type") or ""
    reference = str(block.get("file_id") or "")
    if reference.startswith(_REFERENCE):
        known = "file" if kind == "video" else kind
        return BlobPart(type=known, blob=reference.removeprefix(_REFERENCE), media_type=media_type, name=name)
    if "base64" not in block:
        where = block.get("url") or reference or "nowhere"
        raise InputError(f"the {kind} {where!r} comes without its bytes", hint="fetch it, and pass it on as base64")
    if blobs is None:
        raise InputError(f"the {kind} has no place to be kept in: messages with bytes belong to a run of a graph")
    try:
        data = base64.b64decode(block["base64"], validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InputError(f"the {kind} is not base64: {error}") from None
    return blobs.attach(data, media_type=media_type, name=name)


def _answer(value: Any) -> Answer:
    if isinstance(value, Message):
        return Answer(text=value.text)
    if isinstance(value, str):
        return Answer(text=value)
    return Answer(text=json.dumps(value, ensure_ascii=False, default=str))


_MESSAGES = Type("list", Type("Message"))


def _is_short(value: Any) -> bool:
    """True for a message as LangChain lets one write it: `("user", "Hi")`, or a dict with `role` and `content`."""
    if isinstance(value, Mapping):
        return "content" in value
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(one, str) for one in value)


def _whole(value: Any) -> Any:
    from langchain_core.messages import convert_to_messages

    try:
        return convert_to_messages([value])[0]
    except (ValueError, NotImplementedError) as error:
        raise InputError(f"{value!r} is no message: {str(error).partition(chr(10))[0]}") from None


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Message) for one in value)


def _is(value: Any, kind: Type) -> bool:
    classes = instance_check(kind)
    if classes is None:
        return True
    if not isinstance(value, classes) or (isinstance(value, bool) and kind.word in ("int", "float")):
        return False
    item: Type | None = kind.item
    if item is None:
        return True
    inside: Any = value
    if kind.word == "map":
        return all(_is(one, item) for one in inside.values())
    return not isinstance(value, str) and all(_is(one, item) for one in inside)


def plain(value: Any) -> Any:
    """Metadata as JSON; what is none of it, such as a date, as a text."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple, set)) else str(value)
