"""The values that nodes exchange: frozen, JSON-able, every text with the place that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_PLACES = ("page", "slide", "sheet", "cell", "chapter", "message", "record", "line")
"""What loaders keep in a passage's metadata of where it stands."""


class Value(BaseModel):
    """What state may hold besides plain JSON: frozen, without undeclared fields, compared by content."""

    # Validators are built at their first use: a graph that needs no documents does not wait for theirs.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, ser_json_inf_nan="constants")


class Document(Value):
    """A passage of a source, with what a reader needs to find it there."""

    id: str
    """Unique in its index and stable while the passage does not change."""
    text: str
    title: str = ""
    source: str = ""
    """The file, relative to the indexed folder, or the address it was read from."""
    offsets: tuple[int, int] | None = None
    """Start and end of `text` in the source, in characters."""
    line: int | None = None
    """The line of the source on which the passage starts, from 1."""
    metadata: Mapping[str, Any] = Field(default_factory=dict)
    score: float = 0.0
    """How well the passage fits the query that found it; comparable within one search only."""

    @property
    def place(self) -> str:
        """Where the passage stands in a source that has no lines of its own: `page 4`, `slides 2-3`, `sheet Sales`."""
        if self.line is not None:
            return ""
        for key in _PLACES:
            first, last = self.metadata.get(key), self.metadata.get(f"last_{key}")
            if isinstance(first, (int, str)) and not isinstance(first, bool):
                return f"{key}s {first}-{last}" if isinstance(last, int) else f"{key} {first}"
        return ""


class Citation(Value):
    """Where a statement of an answer stands in its sources."""

    number: int
    """The mark in the answer's text: 2 for `[2]`."""
    document: str
    """The id of the passage."""
    quote: str = ""
    """The words of the source that carry the statement."""
    title: str = ""
    source: str = ""
    line: int | None = None
    """The line of the source on which the quote (or else the passage) starts, from 1."""
    place: str = ""
    """Where the passage stands in a source that has no lines: `page 4`, `sheet Sales`."""


class Answer(Value):
    """What a generator says, with its sources. `str(answer)` is the text."""

    text: str
    citations: tuple[Citation, ...] = ()
    confidence: float = 1.0
    """From 0 to 1; 0 means that the sources do not say, and that the text says so."""

    def __str__(self) -> str:
        return self.text


class TextPart(Value):
    """A piece of text in a message."""

    type: Literal["text"] = "text"
    text: str


class BlobPart(Value):
    """An image, a sound or a file in a message: by the hash of its bytes, never the bytes."""

    type: Literal["image", "audio", "file"]
    blob: str
    """SHA-256 of the bytes, in hexadecimal; `graph.attach` makes a part of a file."""
    media_type: str = "application/octet-stream"
    name: str = ""

    @property
    def label(self) -> str:
        """The name, else the start of the hash: for messages to people."""
        return self.name or self.blob[:12]


Part = Annotated[TextPart | BlobPart, Field(discriminator="type")]


class ToolCall(Value):
    """A model's wish to call a tool."""

    id: str = Field(description="By which its result is told from those of other calls.")
    name: str = Field(description="Of the tool.")
    arguments: Mapping[str, Any] = Field(default_factory=dict, description="Of the call, by name.")
    memo: str = Field("", description="What the server wants back with this call when the conversation goes on.")


class ToolResult(Value):
    """What a tool gave back for the call `id`; `error` is set if it failed."""

    id: str
    name: str
    content: str = ""
    error: str = ""


class Message(Value):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @classmethod
    def of(cls, role: Literal["system", "user", "assistant", "tool"], text: str) -> Message:
        """A message of one text part."""
        return cls(role=role, parts=(TextPart(text=text),))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


class Verdict(Value):
    """What a check found. `missing` names what an answer lacks, `spans` where text is at fault."""

    passed: bool
    action: str = "allow"
    reasons: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


class Usage(Value):
    """Calls, tokens and money that a run, a node or a call has used; values add up with `+`."""

    calls: int = Field(0, description="Calls of models.")
    input_tokens: int = Field(0, description="Tokens that models read.")
    output_tokens: int = Field(0, description="Tokens that models wrote.")
    cached_tokens: int = Field(0, description="Of the input tokens, those that the endpoint had in its cache.")
    priced: int = Field(0, description="Of the calls, those whose cost is known.")
    spent: Decimal = Field(Decimal(0), description="What those calls cost together, exactly.")
    currency: str = Field("", description="Of `spent`.")

    @property
    def cost(self) -> Decimal | None:
        """What all calls cost together, in `currency`; None if that of one is not known."""
        return self.spent if self.priced == self.calls else None

    def __add__(self, other: Usage) -> Usage:
        # Money of another currency cannot be added: those calls count as calls of unknown cost.
        same = not self.currency or not other.currency or self.currency == other.currency
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            priced=self.priced + (other.priced if same else 0),
            spent=self.spent + (other.spent if same else 0),
            currency=self.currency or other.currency,
        )

    def since(self, before: Usage) -> Usage:
        """What was used after `before`, an earlier state of the same count."""
        return Usage(
            calls=self.calls - before.calls,
            input_tokens=self.input_tokens - before.input_tokens,
            output_tokens=self.output_tokens - before.output_tokens,
            cached_tokens=self.cached_tokens - before.cached_tokens,
            priced=self.priced - before.priced,
            spent=self.spent - before.spent,
            currency=self.currency,
        )


class Failure(Value):
    """What an `on_error` node reads as `error`."""

    node: str
    """The path of the call that failed."""
    type: str
    """The class of the error, such as `TimeoutError`."""
    message: str = ""
    """The words of the error, without its class; empty if it has none."""

    def __str__(self) -> str:
        return self.message or self.type


class Ask(Value):
    """What a node returns to park its run until a person answers. `schema` is JSON schema of the answer (a text, if
    none is given) and is read as `ask.answer_schema`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    question: str
    answer_schema: Mapping[str, Any] = Field(default_factory=lambda: {"type": "string"}, alias="schema")
    approval: bool = Field(False, repr=False)
    """True if it is asked before the call, by `interrupt`, and not by the node."""

    if TYPE_CHECKING:  # pydantic's own plugin and others disagree on whether the field or its alias is to be given

        def __init__(self, *, question: str, schema: Mapping[str, Any] = ..., approval: bool = ...) -> None: ...
