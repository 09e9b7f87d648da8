"""What third parties implement: models, embedders, retrievers, rerankers and memories, as classes whose fields are
their YAML keys.

A resource is declared in a graph file under its kind (`models:`, `retrievers:`, …), built once per graph when it is
first used, shared by all runs and threads of that graph, and closed with it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, PrivateAttr

from ragweave.orchestrator import registry
from ragweave.orchestrator.access import Access
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.filters import OWN_FIELDS, FieldKind, Fields, Filter, filter_of
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.naming import Uses
from ragweave.orchestrator.promises import keep, refuse_incomplete
from ragweave.orchestrator.values import Document, Message, ToolCall, Usage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from langchain_core.tools import StructuredTool

    from ragweave.orchestrator.context import Context
    from ragweave.orchestrator.guardrails.guards import Guards
    from ragweave.orchestrator.interop.offered import EmbedderEmbeddings, PassageRetriever
    from ragweave.orchestrator.resources import Resources


ModelName = Annotated[str, Uses("models")]
EmbedderName = Annotated[str, Uses("embedders")]
RetrieverName = Annotated[str, Uses("retrievers")]
RerankerName = Annotated[str, Uses("rerankers")]
ToolName = Annotated[str, Uses("tools")]
MemoryName = Annotated[str, Uses("memories")]
PromptName = Annotated[str, Uses("prompts")]


class Resource(BaseModel):
    """What all kinds of resources share: settings as pydantic fields, `open` before the first use, `close` at the end.

    `class Mine(ChatModel, type="mine")` registers the class for `type: mine`. A class that cannot keep what its kind
    promises (`def search` where it is awaited) is a PluginError; a call that does not keep it is a ContractError.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True)

    kind: ClassVar[str] = ""
    type_name: ClassVar[str] = ""
    _declared_as: str = PrivateAttr("")
    """How a graph calls it, such as `models.chat`; for messages."""

    def __init_subclass__(cls, *, type: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type is not None:
            cls.type_name = type
        keep(cls)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.type_name and "type_name" in vars(cls):
            refuse_incomplete(cls)
            registry.add(cls.kind, cls.type_name, cls)

    def check_settings(self) -> None:
        """Raise ResourceError where settings do not go together. Called by the check of a graph, which opens nothing:
        must need no file and no network."""

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError where a file that the settings name is missing or of no use; paths start at `folder`.
        Called by the check of a graph: must be quick, load nothing heavy and reach for no network."""

    def open(self, resources: Resources) -> None:
        """Get ready: load files, find other resources by `resources.get(kind, name)`. Called once, in a worker thread.

        Paths in settings are relative to `resources.folder`. Raise ResourceError or IndexUnusable with the way out.
        """

    async def close(self) -> None:
        """Let go of connections and files. Called once; must not fail if `open` was never called."""


class Guarded(Resource):
    """A resource whose input and output can be held against checks, whoever calls it."""

    guard: dict[Literal["input", "output"], list[Annotated[str, Uses("checks")]]] = Field(
        default_factory=dict,
        description="Checks of what goes in, and of what comes out: {input: [pii], output: [links]}.",
    )
    _guards: Guards | None = PrivateAttr(None)
    """The checks themselves, once it is open."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of a chat model. `question` and `documents` say in plain what the messages were rendered from."""

    messages: Sequence[Message]
    question: str = ""
    documents: Sequence[Document] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    seed: int | None = None
    response_schema: Mapping[str, Any] | None = None
    """JSON schema that the reply must satisfy."""
    tools: Sequence[Mapping[str, Any]] = ()
    tenant: str = ""
    """Whom the call is made for, where one graph serves several: what is kept of it is kept apart."""
    user: str = ""
    """The person of that tenant."""
    thread: str = ""
    """The conversation that it belongs to."""


@dataclass(frozen=True, slots=True)
class ChatChunk:
    """A piece of a model's reply. `usage`, `finish` and `confidence` come with the last one, if at all."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage | None = None
    finish: str = ""
    confidence: float | None = None
    """How sure the model is that its sources hold the answer, 0 to 1; None if it cannot say."""


class ChatModel(Guarded):
    """A language model: messages in, a stream of text out."""

    kind: ClassVar[str] = "models"

    @abstractmethod
    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The reply in pieces as they arrive. Raises ModelError; leaving the iterator early ends the call."""

    def cites(self) -> bool:
        """True if the reply marks its sources with `[1]`, `[2]` … without being told to."""
        return False

    def follows_instructions(self) -> bool:
        """True if it does what messages say; false for one that only quotes the request's documents."""
        return True

    def structures(self) -> bool:
        """True if it keeps to `response_schema` by itself; false if the schema has to be said in the messages."""
        return False

    def calls_tools(self) -> bool:
        """True if it heeds `tools`; one that does not is told them in words, and calls them by JSON."""
        return False

    def count_tokens(self, text: str) -> int | None:
        """How many tokens its own tokenizer makes of a text; None if that cannot be known here. Must not block long."""
        return None

    def pricing(self) -> Literal["tokens", "free", "members"]:
        """What a call costs: by its tokens, nothing, or what the calls of other models cost that it makes."""
        return "tokens"


class Scope(NamedTuple):
    """Whose memory it is. None of the three has a default: what is kept for one is never shown to another."""

    tenant: str
    user: str
    thread: str


class Memory(Resource):
    """Keeps what was said, for later runs of the same scope.

    A kind implements what it can; what it cannot is an InputError. Every method may wait for a disk or a network, and
    none blocks the event loop.
    """

    kind: ClassVar[str] = "memories"

    @abstractmethod
    async def add(self, scope: Scope, messages: Sequence[Message], *, key: str) -> bool:
        """Keep the messages of one turn, after those that are there. False if that was done before with this `key`."""

    @abstractmethod
    async def history(self, scope: Scope) -> list[Message]:
        """What a run of this scope should see of earlier turns, the oldest message first."""

    @abstractmethod
    async def delete(self, scope: Scope) -> int:
        """Forget everything of this scope; the number of turns that were there."""


class Embedder(Resource):
    """Texts to vectors."""

    kind: ClassVar[str] = "embedders"

    cache: bool = Field(
        True, description="Keep vectors of indexed texts on this machine, by the hash of the text, for the next time."
    )

    @property
    @abstractmethod
    def identity(self) -> str:
        """Names the model and its version: vectors of different identities are never compared."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The length of a vector."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 of shape (len(texts), dimension), rows of length 1. Blocks; called from worker threads."""

    def embed_queries(self, texts: Sequence[str]) -> np.ndarray:
        """The same for questions, whose vectors are compared with those that `embed` gives: `embed` itself, unless the
        model was trained to tell questions from passages, by a prefix say."""
        return self.embed(texts)

    async def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question, for a caller on an event loop: the questions of all runs that wait are computed
        together by embedders that can."""
        vector: np.ndarray = (await asyncio.to_thread(self.embed_queries, [text]))[0]
        return vector

    def about(self) -> str:
        """What computes here and how exactly, for somebody who asks; empty if there is nothing to say."""
        return ""

    def as_langchain(self) -> EmbedderEmbeddings:
        """This embedder, once it is open, as embeddings of LangChain. Raises MissingExtra if it is not installed."""
        from ragweave.orchestrator.interop.offering import as_embeddings  # loads LangChain

        return as_embeddings(self)


class Retriever(Guarded):
    """Finds passages for a query."""

    kind: ClassVar[str] = "retrievers"

    @abstractmethod
    async def search(self, query: str, top_k: int) -> list[Document]:
        """Up to `top_k` passages, best first, with scores. Raises IndexUnusable."""

    def as_langchain(self, *, top_k: int = 10) -> PassageRetriever:
        """This retriever, once it is open, as one of LangChain. Raises MissingExtra if LangChain is not installed."""
        from ragweave.orchestrator.interop.offering import as_retriever  # loads LangChain

        return as_retriever(self, top_k)


class IndexStats(NamedTuple):
    """What an index holds."""

    passages: int
    documents: int
    """Sources that the passages are of."""
    vectors: int
    embedder: str | None
    """The identity of the embedder; None if there are no vectors."""
    dimension: int
    bytes: int | None
    """On disk; None where that is not known."""
    how: str
    """How vectors are searched, such as `exact` or `ivf 1264, 32 probed`."""


class Index(Retriever):
    """A retriever that holds its passages: they can be added, deleted, counted, and filtered by their metadata."""

    fields: dict[str, FieldKind] = Field(
        default_factory=dict, description="Fields of metadata that can be filtered by, and their kinds."
    )
    access: Access | None = Field(
        default=None, description="Fields that say whose a passage is: every search keeps to them by itself."
    )

    def check_settings(self) -> None:
        """Raise ResourceError for fields that every passage has by itself, or an access by fields that are none."""
        for name in self.fields.keys() & OWN_FIELDS.keys():
            raise ResourceError(f"fields.{name}: every passage has a {name}", hint="delete it from fields")
        if self.access is not None:
            self.access.check(self.fields)

    @abstractmethod
    async def search(self, query: str, top_k: int, where: Filter = ()) -> list[Document]:
        """Up to `top_k` passages that `where` lets through, best first, with scores. Raises IndexUnusable."""

    def filterable(self) -> Fields | None:
        """The fields that a search can filter by, beside `source` and `title`; None if by none at all."""
        return self.fields

    def filter(self, where: Mapping[str, Any]) -> Filter:
        """The filter that `where` says: `index.filter({"year": {">=": 2020}})`. Raises InputError."""
        return filter_of(where, self.fields)

    def allowed(self, tenant: str, user: str) -> Filter:
        """What every passage must fulfil that is shown to this user of this tenant. Raises InputError if `access` needs
        a tenant or a user, and there is none."""
        if self.access is None:
            return ()
        return self.access.demands(tenant, user, self._declared_as or type(self).type_name)

    @abstractmethod
    async def add(self, documents: Sequence[Document]) -> int:
        """Keep these passages as they are, each in place of one with the same id; how many are new.

        They are there for searches that begin after this returned, all or none of them.
        """

    @abstractmethod
    async def delete(self, where: Filter) -> int:
        """Forget every passage that `where` lets through; how many. Raises InputError for the empty filter."""

    @abstractmethod
    async def stats(self) -> IndexStats:
        """What the index holds now."""


class Reranker(Resource):
    """Scores passages against a question."""

    kind: ClassVar[str] = "rerankers"

    @abstractmethod
    async def score(self, question: str, documents: Sequence[Document]) -> list[float]:
        """One number a document, higher is better, in the order of `documents`."""


ToolEffects = Literal["none", "read", "write", "external"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it, and what a call of it does."""

    description: str
    parameters: Mapping[str, Any]
    """JSON schema of its arguments, an object."""
    name: str = ""
    """Among the tools of one resource; empty where the resource is one tool, which goes by the resource's name."""
    effects: ToolEffects = "none"
    """What a call does: it computes, it looks something up, it changes data of the user's own, or the world."""
    idempotent: bool = False
    """True if calling twice with the same `ctx.key` is the same as calling once."""


class Tool(Guarded):
    """What a model may call: one tool, or all those of a server."""

    kind: ClassVar[str] = "tools"

    timeout: Duration = Field(default=30.0, description="The longest that a call may take, such as 30s.")
    max_result: PositiveInt = Field(default=20_000, description="Characters of a result that a model is shown.")

    def as_langchain(self, name: str = "") -> list[StructuredTool]:
        """Its tools, once it is open, as those of LangChain. Raises MissingExtra if LangChain is not installed."""
        from ragweave.orchestrator.interop.offering import as_tools  # loads LangChain

        return as_tools(self, name)

    @abstractmethod
    def specs(self) -> Sequence[ToolSpec]:
        """What it offers. Called when it is open; the same each time."""

    @abstractmethod
    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """What a call gives: a text, or what is JSON. The arguments satisfy the schema of the tool of this `name`.

        Raises ToolError for what the model can do better, or should know.
        """
