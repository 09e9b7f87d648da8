"""One guarded call of a model: what it reads, and what it says, held back until it is checked."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.guards import Guards, Texts, joined
from ragweave.orchestrator.guardrails.holding import Held
from ragweave.orchestrator.values import Message, Part, TextPart, ToolCall, Verdict

if TYPE_CHECKING:
    from ragweave.orchestrator.models.replies import TextReader

Streaming = Callable[[ChatRequest], AsyncIterator[ChatChunk]]


class Speech:
    """A call of a model with a guard. The model reads tags in place of what was redacted, and the reader of its reply
    what they stand for; checks of the output see the tags."""

    def __init__(self, guards: Guards, ctx: Context | None) -> None:
        self._guards = guards
        self._ctx = ctx
        self._subject = Subject()
        self._hidden: Mapping[str, str] = {}

    async def stream(
        self,
        streaming: Streaming,
        request: ChatRequest,
        reader: TextReader | None = None,
        *,
        later: bool = False,
    ) -> AsyncIterator[ChatChunk]:
        """The reply as it may be shown, so far as it is decided. With a `reader`, of what that makes of it.

        `later` if the text is JSON whose value is checked by `value`. Calls of tools are checked as they come. Raises
        Blocked, after what stands before the place that is blocked.
        """
        from ragweave.orchestrator.models.replies import closing  # which imports this module where there are guards

        request = await self.read(request)
        voice = _Voice(self._guards, self._subject, self._hidden, plainly=later)
        verdicts: list[Verdict] = []
        last = ChatChunk()
        async with closing(streaming(request)) as chunks:
            async for chunk in chunks:
                piece = reader.feed(chunk.text) if reader is not None else chunk.text
                shown = await voice.feed(piece) if piece else ""
                calls, verdict = await self._calls(chunk.tool_calls)
                verdicts.append(verdict)
                last = replace(last, finish=chunk.finish or last.finish, confidence=_known(chunk, last))
                # How it ends is said with the last of it: until then nobody knows whether it will be let pass.
                yield replace(chunk, text=shown, tool_calls=calls if verdict.passed else (), finish="", confidence=None)
                if voice.blocked or not verdict.passed:
                    self._guards.settle("output", joined([voice.verdict, *verdicts]), self._ctx)
        shown = await voice.feed(reader.end()) if reader is not None else ""
        shown += await voice.end()
        if voice.blocked:
            yield ChatChunk(text=shown)
        self._guards.settle("output", joined([voice.verdict, *verdicts]), self._ctx)
        yield replace(last, text=shown)

    async def read(self, request: ChatRequest) -> ChatRequest:
        """The request as the model may read it: all that others than the author of the graph have written is checked,
        which is all but the system messages. Raises Blocked."""
        self._subject = Subject(request.question, request.documents)
        texts = Texts(self._guards.input, self._subject)
        messages = [one if one.role == "system" else await _message(one, texts) for one in request.messages]
        documents = []
        for document in request.documents:
            changed = {"title": await texts.text(document.title), "text": await texts.text(document.text)}
            same = changed == {"title": document.title, "text": document.text}
            documents.append(document if same else document.model_copy(update=changed))
        question = await texts.text(request.question)
        self._hidden = texts.hidden
        self._guards.settle("input", texts.verdict(), self._ctx)
        return replace(request, messages=messages, documents=documents, question=question)

    async def value(self, value: Any) -> Any:
        """A value that the reply is, all texts in it checked, with what their tags stand for. Raises Blocked."""
        texts = Texts(self._guards.output, self._subject, self._hidden)
        checked = await texts.value(value)
        self._guards.settle("output", texts.verdict(), self._ctx)
        if not self._hidden:
            return checked
        if isinstance(checked, dict) and isinstance(
            checked.get("tool_calls"), list
        ):  # of a model that is told its tools
            calls = [_argument(call, self._hidden) for call in checked["tool_calls"]]
            return {**_revealed(checked, Tags(self._hidden)), "tool_calls": calls}
        return _revealed(checked, Tags(self._hidden))

    async def _calls(self, calls: Sequence[ToolCall]) -> tuple[tuple[ToolCall, ...], Verdict]:
        texts = Texts(self._guards.output, self._subject, self._hidden)
        checked = [
            call.model_copy(update={"arguments": _argument(await texts.value(call.arguments), self._hidden)})
            for call in calls
        ]
        return tuple(checked), texts.verdict()


class Tags:
    """Puts what they stand for in the place of tags, in a text that comes in pieces."""

    def __init__(self, hidden: Mapping[str, str]) -> None:
        self._hidden = hidden
        self._tag = re.compile("|".join(map(re.escape, hidden))) if hidden else None
        self._longest = max(map(len, hidden), default=0)
        self._held = ""

    def feed(self, piece: str) -> str:
        """What is certain by now: all but the beginning of a tag at the end."""
        if self._tag is None:
            return piece
        text = self._held + piece
        begin = text.rfind("[", max(0, len(text) - self._longest))
        rest = text[begin:] if begin >= 0 else ""
        held = bool(rest) and any(len(rest) < len(tag) and tag.startswith(rest) for tag in self._hidden)
        self._held = rest if held else ""
        return self.whole(text[:begin] if held else text)

    def end(self) -> str:
        """What was held back."""
        rest, self._held = self._held, ""
        return rest

    def whole(self, text: str) -> str:
        """A whole text."""
        return text if self._tag is None else self._tag.sub(lambda tag: self._hidden[tag[0]], text)


class _Voice:
    """The text of a reply: held back until it is decided, then with what the tags of the input stand for."""

    def __init__(self, guards: Guards, subject: Subject, hidden: Mapping[str, str], *, plainly: bool) -> None:
        self._held = Held(guards.output, subject, hidden) if guards.output and not plainly else None
        self._tags = Tags({} if plainly else hidden)

    @property
    def verdict(self) -> Verdict:
        """Over what is decided."""
        return self._held.verdict if self._held is not None else Verdict(passed=True)

    @property
    def blocked(self) -> bool:
        """True once nothing more is shown."""
        return not self.verdict.passed

    async def feed(self, piece: str) -> str:
        shown = self._tags.feed(piece if self._held is None else await self._held.feed(piece))
        return shown + self._tags.end() if self.blocked else shown

    async def end(self) -> str:
        shown = "" if self._held is None else await self._held.end()
        return self._tags.feed(shown) + self._tags.end()


def _known(chunk: ChatChunk, last: ChatChunk) -> float | None:
    return last.confidence if chunk.confidence is None else chunk.confidence


async def _message(message: Message, texts: Texts) -> Message:
    parts: list[Part] = [
        TextPart(text=await texts.text(part.text)) if isinstance(part, TextPart) else part for part in message.parts
    ]
    calls = [
        call.model_copy(update={"arguments": await texts.value(call.arguments)}) if call.arguments else call
        for call in message.tool_calls
    ]
    return message.model_copy(update={"parts": tuple(parts), "tool_calls": tuple(calls)})


def _revealed(value: Any, tags: Tags) -> Any:
    if isinstance(value, str):
        return tags.whole(value)
    if isinstance(value, Mapping):
        return {key: _revealed(item, tags) for key, item in value.items()}
    return [_revealed(item, tags) for item in value] if isinstance(value, (list, tuple)) else value


def _argument(value: Any, hidden: Mapping[str, str]) -> Any:
    """An argument that is nothing but a tag is what that stands for; within a longer text, which may be an address that
    the model was talked into, it stays a tag."""
    if isinstance(value, str):
        return hidden.get(value, value)
    if isinstance(value, Mapping):
        return {key: _argument(item, hidden) for key, item in value.items()}
    return [_argument(item, hidden) for item in value] if isinstance(value, (list, tuple)) else value
