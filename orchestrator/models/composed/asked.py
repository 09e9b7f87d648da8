"""When two requests ask the same: the key of a request, and what has to be equal where only the meaning is compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from ragweave.orchestrator.contracts import ChatRequest

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|without|except|cannot|nor|neither|un(?=able|less))\b|n['’]t\b", re.IGNORECASE
)
_MARK = "\x00question\x00"


def exact_key(request: ChatRequest, who: Sequence[str], identity: str) -> str:
    """Equal for requests that are equal in all that a model may heed, for the same people and the same model."""
    return _digest(["exact", list(who), identity, *_settings(request), _messages(request), request.question])


def group_key(request: ChatRequest, who: Sequence[str], identity: str, embedder: str) -> str:
    """Equal for requests that differ in nothing but the wording of their question; empty if they cannot be compared.

    The question has to stand in the last message of the user, in the very words of `request.question`.
    """
    question = request.question.strip()
    messages = _messages(request)
    last = next((at for at in reversed(range(len(messages))) if messages[at]["role"] == "user"), None)
    if not question or last is None:
        return ""
    text = json.dumps(messages[last], sort_keys=True)
    inside = json.dumps(question)[1:-1]
    if inside not in text:
        return ""
    others = [*messages[:last], text.replace(inside, _MARK), *messages[last + 1 :]]
    return _digest(["group", list(who), identity, embedder, *_settings(request), others])


def may_mean_the_same(one: str, other: str) -> bool:
    """False for questions with other numbers or another count of negations, which vectors hardly tell apart."""
    return Counter(_NUMBER.findall(one)) == Counter(_NUMBER.findall(other)) and len(_NEGATION.findall(one)) == len(
        _NEGATION.findall(other)
    )


def identity_of(resources: Resources, kind: str, name: str, seen: Sequence[str] = ()) -> Any:
    """What a resource is: its type and settings, without secrets, and those of the resources that it names."""
    from ragweave.orchestrator.language.names import names_in

    resource = resources.get(kind, name)
    if not isinstance(resource, BaseModel):
        return [type(resource).__module__, type(resource).__qualname__]
    settings = resource.model_dump(mode="json")  # a secret is dumped as stars
    mentioned = {
        f"{found.kind}.{found.name}" for found in names_in(type(resource), {**settings}) if found.kind != "prompts"
    }
    inner = {
        one: identity_of(resources, *one.split(".", 1), seen=(*seen, one))  # type: ignore[misc]
        for one in sorted(mentioned - set(seen))
        if resources.has(*one.split(".", 1))
    }
    return [type(resource).__module__, type(resource).__qualname__, settings, inner]


def digest_of(value: Any) -> str:
    """A hash of JSON data."""
    return _digest(value)


def _settings(request: ChatRequest) -> list[Any]:
    return [
        request.temperature,
        request.max_tokens,
        list(request.stop),
        request.seed,
        request.response_schema,
        [dict(tool) for tool in request.tools],
        [[document.id, document.title, document.text] for document in request.documents],
    ]


def _messages(request: ChatRequest) -> list[dict[str, Any]]:
    return [message.model_dump(mode="json") for message in request.messages]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return dict(value) if hasattr(value, "keys") else repr(value)
