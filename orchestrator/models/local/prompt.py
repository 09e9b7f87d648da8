"""What a local model reads: the messages in the form of its chat template, as tokens."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.models.parts import refuse_parts
from ragweave.orchestrator.models.reading import one_line
from ragweave.orchestrator.values import Message

PLAIN_STOP = "\nUser:"
"""Ends a reply where there is no template: a model that was trained on plain text would go on with the next turn."""
_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}


class Prompter:
    """Messages to tokens, by one tokenizer."""

    def __init__(self, tokenizer: Any, model: str) -> None:
        self.has_template = bool(getattr(tokenizer, "chat_template", None))
        self._tokenizer = tokenizer
        self._model = model
        self._lock = threading.Lock()
        """Tokenizers keep state while they work, and refuse a second thread."""
        marks = [mark for mark in map(str, tokenizer.all_special_tokens) if len(mark) > 1]
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        both = sorted({*marks, *(mark for mark in added if len(mark) > 1)}, key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, both))) if both else None

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a prompt. Raises ModelError if the chat template refuses the messages, InputError for parts
        that are no text."""
        refuse_parts(messages, (), self._model, "leave the part out of the message, or say in words what it shows")
        turns = [self._turn(message) for message in messages]
        text = self._templated(turns) if self.has_template else plain(turns)
        found = self._encode(text, marks=not self.has_template)
        if not found:
            raise ModelError(f"model {self._model!r}: there is nothing to read: the messages are empty")
        return found

    def count(self, text: str) -> int:
        """How many tokens a text makes."""
        sound = text.encode("utf-8", "replace").decode("utf-8")
        return len(self._encode(sound, marks=False))

    def _encode(self, text: str, *, marks: bool) -> list[int]:
        with self._lock:
            return list(self._tokenizer(text, add_special_tokens=marks, verbose=False)["input_ids"])

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens, without the marks of the template."""
        text = self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def _turn(self, message: Message) -> dict[str, Any]:
        turn: dict[str, Any] = {"role": message.role, "content": self._harmless(message.text)}
        if message.tool_calls:
            calls = [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]
            turn["tool_calls"] = [{"type": "function", "function": call} for call in calls]
        return turn

    def _harmless(self, text: str) -> str:
        """The text with the marks of the template taken apart: a document must not end the turn that it stands in."""
        text = text.encode("utf-8", "replace").decode("utf-8")  # half of a surrogate pair is no text to a tokenizer
        return self._marks.sub(lambda mark: f"{mark[0][0]} {mark[0][1:]}", text) if self._marks else text

    def _templated(self, turns: Sequence[Mapping[str, Any]]) -> str:
        from jinja2.exceptions import TemplateError

        failure: Exception | None = None
        for tried in (list(turns), folded(turns)):  # some templates know no system message, or want roles in turn
            try:
                return str(self._tokenizer.apply_chat_template(tried, tokenize=False, add_generation_prompt=True))
            except (TemplateError, TypeError, KeyError, ValueError) as error:
                failure = failure or error
        roles = ", ".join(str(turn["role"]) for turn in turns)
        raise ModelError(
            f"model {self._model!r}: its chat template refuses the messages ({roles}): {one_line(str(failure))}"
        )


def plain(turns: Sequence[Mapping[str, Any]]) -> str:
    """A conversation in plain words, for a model without a chat template."""
    said = [f"{_ROLES[turn['role']]}: {turn['content']}" for turn in turns]
    return "\n".join([*said, "Assistant:"])


def folded(turns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same conversation with system messages said by the user, and one turn where a role speaks twice."""
    result: list[dict[str, Any]] = []
    for turn in turns:
        turn = {**turn, "role": "user" if turn["role"] == "system" else turn["role"]}
        if result and result[-1]["role"] == turn["role"] and not turn.get("tool_calls"):
            result[-1]["content"] += "\n\n" + turn["content"]
        else:
            result.append(turn)
    return result
