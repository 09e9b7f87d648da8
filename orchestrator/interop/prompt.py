"""A prompt of LangChain as a prompt of a graph."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, PrivateAttr

from ragweave.orchestrator.contracts import Resource
from ragweave.orchestrator.errors import InputError, ResourceError, a, did_you_mean
from ragweave.orchestrator.interop.values import ours, theirs
from ragweave.orchestrator.types import JSON, STR, Type, list_of, parse_type
from ragweave.orchestrator.values import Answer, Document, Message, Value

if TYPE_CHECKING:
    from langchain_core.prompts import BasePromptTemplate

MESSAGES = list_of(Type("Message"))
_OWN = {"question": STR, "query": STR, "text": STR, "documents": list_of(Type("Document"))}
"""The types of variables that have the name of a key of ragweave's own nodes."""


class Variable(NamedTuple):
    """A variable of a prompt."""

    type: Type
    required: bool = True


class LangChainPrompt(Resource):
    """Renders a prompt that the program made, such as a ChatPromptTemplate.

    A placeholder takes messages, `documents` takes documents, which are written as numbered passages so that a model
    can cite them, `question` a text; any other variable takes anything. `of(prompt, variables={"context":
    "list[Document]"})` says otherwise.
    """

    kind: ClassVar[str] = "prompts"
    given: ClassVar[Any] = None
    """The prompt of a registered type."""
    typed: ClassVar[Mapping[str, str]] = {}
    """The types of its variables, where they are not what their names say."""
    abstention: ClassVar[str] = ""
    version: ClassVar[str] = ""
    _prompt: BasePromptTemplate[Any] | None = PrivateAttr(None)
    _types: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, prompt: BasePromptTemplate[Any], *, variables: Mapping[str, str] | None = None) -> LangChainPrompt:
        """A resource that renders this prompt. Raises ResourceError for a variable or a type that is none."""
        made = cls()
        made._prompt, made._types = prompt, dict(variables or {})
        _ = made.variables
        return made

    @property
    def prompt(self) -> BasePromptTemplate[Any]:
        """The object of LangChain."""
        prompt: BasePromptTemplate[Any] = self._prompt or self.given
        return prompt

    @property
    def name(self) -> str:
        """Of the prompt."""
        return self.type_name or self.prompt.get_name()

    @property
    def label(self) -> str:
        """The name, for messages."""
        return self.name

    @property
    def digest(self) -> str:
        """Names what it renders: two prompts with one digest render alike."""
        declared = sorted((self._types or self.typed).items())
        return hashlib.sha256(f"{self.prompt!r}{declared}".encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def variables(self) -> Mapping[str, Variable]:
        """By name, what the prompt wants to be given; those that it has been given by `partial` are left out."""
        return variables_of(self.prompt, self._types or self.typed)

    def render(self, **values: Any) -> list[Message]:
        """The messages. Raises InputError for a missing or unknown variable."""
        known = self.variables
        for name in values:
            if name not in known:
                raise InputError(f"prompt {self.label!r} has no variable {name!r}{did_you_mean(name, known)}")
        for name, variable in known.items():
            if variable.required and values.get(name) is None:
                raise InputError(f"prompt {self.label!r} needs {name!r} ({variable.type}), which is not given")
        return messages_of(self.prompt, {name: value for name, value in values.items() if value is not None})


def variables_of(prompt: BasePromptTemplate[Any], typed: Mapping[str, str]) -> dict[str, Variable]:
    """The variables of a prompt, with types. Raises ResourceError for a type in `typed` that is none."""
    optional = list(getattr(prompt, "optional_variables", ()))
    names = {**dict.fromkeys(prompt.input_variables, True), **dict.fromkeys(optional, False)}
    for name, word in typed.items():
        if name not in names:
            raise ResourceError(f"the prompt has no variable {name!r}{did_you_mean(name, names)}")
        try:
            parse_type(word)
        except ValueError as error:
            raise ResourceError(f"variable {name!r} of the prompt: {error}") from None
    placeholders = {name for name, kind in (prompt.input_types or {}).items() if "Message" in str(kind)}
    found = {}
    for name, required in names.items():
        kind = MESSAGES if name in placeholders else _OWN.get(name, JSON)
        found[name] = Variable(parse_type(typed[name]) if name in typed else kind, required)
    return found


def messages_of(prompt: BasePromptTemplate[Any], values: Mapping[str, Any]) -> list[Message]:
    """What a prompt renders to. Raises InputError with the reason of LangChain if it cannot."""
    placeholders = {name for name, kind in (prompt.input_types or {}).items() if "Message" in str(kind)}
    given = {name: theirs(value) if name in placeholders else text_of(value) for name, value in values.items()}
    try:
        rendered = prompt.invoke(given)
    except (KeyError, ValueError, TypeError) as error:
        said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise InputError(f"the prompt cannot be rendered: {said}") from None
    messages = ours(rendered)
    assert isinstance(messages, list), a(type(messages).__name__)
    return messages


def text_of(value: Any) -> str:
    """A value as the text that stands for it in a prompt: documents as numbered passages, messages line by line."""
    if isinstance(value, str):
        return value
    if isinstance(value, (Answer, Message)):
        return value.text
    if isinstance(value, Document):
        return _passage(value)
    if isinstance(value, Sequence) and value and all(isinstance(one, Document) for one in value):
        return "\n\n".join(f"[{number}] {_passage(one)}" for number, one in enumerate(value, 1))
    if isinstance(value, Sequence) and value and all(isinstance(one, Message) for one in value):
        return "\n".join(f"{one.role}: {one.text}" for one in value)
    if isinstance(value, (Mapping, Sequence, Value)):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return str(value)


def _passage(document: Document) -> str:
    return f"{document.title}\n{document.text}" if document.title else document.text


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
