"""What a Runnable reads and writes as a node: found out once, then values are passed in and taken out by it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.errors import ContractError, InputError, NodeError, ResourceError
from ragweave.orchestrator.interop import is_compiled, kind_of
from ragweave.orchestrator.interop.schemas import Field, Form, form_of
from ragweave.orchestrator.interop.values import fitted, outward
from ragweave.orchestrator.node import Read, Write
from ragweave.orchestrator.types import JSON, STR, Type, list_of, parse_type
from ragweave.orchestrator.values import Answer, Message

if TYPE_CHECKING:
    from ragweave.orchestrator.blobs import Blobs
    from ragweave.orchestrator.resources import Resources

_ANSWER = Type("Answer")
_MESSAGE = Type("Message")
_MESSAGES = list_of(_MESSAGE)
_NAMES = {list_of(Type("Document")): "documents", _MESSAGES: "messages"}
_UNKNOWN = Field(JSON, False)


class Terms:
    """The reads and writes of a Runnable, which are given or are those that it tells of itself.

    Raises ResourceError for a type that is none, and for a Runnable that does not say what it takes.
    """

    def __init__(self, runnable: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        self.runnable = runnable
        kind = kind_of(runnable)
        self.kind = "nodes" if kind == "tools" else kind  # a tool as a node takes an object like any other
        self._given = Form({}, JSON) if inputs and self.kind != "nodes" else _form(runnable, "inputs", inputs)
        self._gives = _form(runnable, "outputs", outputs)
        plain = not (inputs or outputs) and self.kind == "nodes"
        self.agent = plain and _talks(self._given) and _talks(self._gives)
        self.talks = self.agent or (self.kind == "models" and not inputs)
        self.reads = {name: Read(_parsed(name, word)) for name, word in inputs.items()} or self._told_reads()
        self._declared = {name: Write(_parsed(name, word)) for name, word in outputs.items()}
        self.writes = self._declared or self._told_writes()

    @property
    def emits(self) -> bool:
        """What becomes an answer is streamed; a text on the way to one is not."""
        if not any(write.type == _ANSWER for write in self.writes.values()):
            return False
        return self.agent or (self._gives.whole and self._gives.type in (STR, _MESSAGE))

    def _told_reads(self) -> dict[str, Read]:
        if self.talks:
            return {"question": Read(STR), "history": Read(_MESSAGES, required=False)}
        if self.kind == "retrievers":
            return {"question": Read(STR)}
        if self.kind == "prompts":
            from ragweave.orchestrator.interop.prompt import variables_of

            return {name: Read(one.type, one.required) for name, one in variables_of(self.runnable, {}).items()}
        if self._given.whole:
            return {"input": Read(self._given.type)}
        if set(self._given.fields) == {"root"}:  # an object of which LangChain knows nothing
            raise _silent(self.runnable, "inputs", "")
        return {name: Read(field.type, field.required) for name, field in self._given.fields.items()}

    def _told_writes(self) -> dict[str, Write]:
        if self.agent:
            return {"answer": Write(_ANSWER), "messages": Write(_MESSAGES)}
        if not self._gives.whole:
            return {name: Write(field.type, field.required) for name, field in self._gives.fields.items()}
        if self._gives.type == _MESSAGE:
            return {"answer": Write(_ANSWER), "message": Write(_MESSAGE)}
        return {_NAMES.get(self._gives.type, "output"): Write(self._gives.type)}

    async def give(self, state: Mapping[str, Any], resources: Resources | None) -> Any:
        """What the Runnable is called with."""
        if self.talks:
            messages = await outward([*(state.get("history") or ()), Message.of("user", state["question"])], resources)
            return {"messages": messages} if self.agent else messages
        if self.kind == "prompts":
            from ragweave.orchestrator.interop.prompt import text_of

            return {
                name: await outward(value, resources) if self.reads[name].type == _MESSAGES else text_of(value)
                for name, value in state.items()
            }
        given = await outward({name: self._text(name, value) for name, value in state.items()}, resources)
        if self._given.whole and len(self.reads) == 1:
            return given[next(iter(self.reads))]
        model = _model(self.runnable)
        return given if model is None else model.model_validate(given)

    def _text(self, name: str, value: Any) -> Any:
        """What takes a text is given that of an answer or a message, which would be a message of LangChain."""
        wanted = self._given.type if self._given.whole else self._given.fields.get(name, _UNKNOWN).type
        return value.text if wanted == STR and isinstance(value, (Answer, Message)) else value

    def take(self, output: Any, blobs: Blobs | None) -> dict[str, Any]:
        """What is written to the state. Raises ContractError for an output that is not what was said."""
        try:
            if self.agent:
                return self._spoken(output, blobs)
            if self._gives.whole and not isinstance(output, Mapping):
                if len(self._declared) > 1:
                    names, came = ", ".join(self.writes), type(output).__name__
                    raise ContractError(f"wanted is an object with {names}, and {came} came")
                return {name: fitted(output, write.type, blobs) for name, write in self.writes.items()}
            if len(self.writes) == 1 and not self._is_object(output):
                return {name: fitted(output, write.type, blobs) for name, write in self.writes.items()}
            return self._fields(output, blobs)
        except (ContractError, InputError) as error:
            raise ContractError(f"{self.runnable.get_name()!r}: {error.message}") from None

    def _is_object(self, output: Any) -> bool:
        """True if the one thing that is written is a field of what came, and not the whole of it."""
        if not isinstance(output, Mapping):
            return False
        name, write = next(iter(self.writes.items()))
        return (not self._gives.whole and not self._declared) or (name in output and write.type.word != "map")

    def _fields(self, output: Any, blobs: Blobs | None) -> dict[str, Any]:
        if not isinstance(output, Mapping):
            raise ContractError(f"wanted is an object with {', '.join(self.writes)}, and {type(output).__name__} came")
        missing = [name for name, write in self.writes.items() if write.certain and name not in output]
        if missing:
            there = ", ".join(map(str, output)) or "nothing"
            raise ContractError(f"{missing[0]!r} is missing in what came; there is: {there}")
        return {name: fitted(output[name], write.type, blobs) for name, write in self.writes.items() if name in output}

    def _spoken(self, output: Mapping[str, Any], blobs: Blobs | None) -> dict[str, Any]:
        """What an agent said after the last question: before that stands what it was told, or remembers."""
        messages: Sequence[Message] = fitted(output.get("messages"), _MESSAGES, blobs)
        asked = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
        said = messages[asked + 1 :]
        if not said:
            raise ContractError("the agent said nothing")
        return {"answer": fitted(output["messages"][-1], _ANSWER, blobs), "messages": list(said)}


def _talks(form: Form) -> bool:
    """True for an object of messages, which may have further fields that need not be there."""
    wanted = [name for name, field in form.fields.items() if field.required]
    return form.fields.get("messages", _UNKNOWN).type == _MESSAGES and set(wanted) <= {"messages"}


def _parsed(name: str, word: str) -> Type:
    try:
        return parse_type(word)
    except ValueError as error:
        raise ResourceError(f"{name!r}: {error}") from None


def _form(runnable: Any, setting: str, declared: Mapping[str, str]) -> Form:
    try:
        return form_of(runnable.get_input_jsonschema() if setting == "inputs" else runnable.get_output_jsonschema())
    except NodeError:
        raise
    except Exception as error:  # each Runnable makes its schema in its own way
        if declared:  # a graph of LangGraph takes and gives objects, whatever it can say of them
            return Form(dict.fromkeys(declared, _UNKNOWN) if is_compiled(runnable) else {}, JSON)
        raise _silent(runnable, setting, f": {type(error).__name__}: {error}") from None


def _silent(runnable: Any, setting: str, why: str) -> ResourceError:
    what = "is to be given" if setting == "inputs" else "gives"
    return ResourceError(
        f"{runnable.get_name()!r} does not say what it {what}{why}",
        hint=f'say it: {{"type": …, "{setting}": {{"question": "str"}}}}',
    )


def _model(runnable: Any) -> Any | None:
    """The pydantic model that a function takes, which LangChain does not make of an object."""
    from pydantic import BaseModel

    with contextlib.suppress(Exception):  # some Runnables cannot tell
        kind = runnable.InputType
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind_of(runnable) in ("nodes", "tools"):
            return kind
    return None
