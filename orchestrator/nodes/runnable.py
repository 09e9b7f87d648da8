"""A Runnable of LangChain as a node: chains, functions, retrievers, prompts, chat models, tools, and agents."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field, PrivateAttr, computed_field

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.interop import is_compiled, kind_of
from ragweave.orchestrator.interop.terms import Terms
from ragweave.orchestrator.node import Effects, Node, Signature
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.cache import code_of

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

MAX_DEPTH = 50
_lock = threading.Lock()


class RunnableNode(Node):
    """Calls a Runnable. What it reads and writes is what the Runnable says of itself, in the words of ragweave.

    A chat model and an agent (an object with `messages`) read `question` and, where there is one, `history`; a
    retriever reads `question`, a prompt its variables; what takes an object, such as a tool or a chain that starts with
    a prompt, each of its fields; anything else `input`.

    A message is written as `answer` and `message`, what an agent says as `answer` and `messages`, documents as
    `documents`, a prompt's value as `messages`, an object with known fields field by field, anything else as `output`.
    `inputs` and `outputs` replace all that. What becomes an Answer is streamed.
    """

    runnable: ClassVar[Any] = None
    """What is called."""
    given: ClassVar[tuple[Mapping[str, str], Mapping[str, str]]] = ({}, {})
    """The inputs and outputs of the type, where the node gives none."""

    digest: ClassVar[str] = ""

    inputs: dict[str, str] = Field(
        {}, description="What it is given, by name, with types; where it takes one value, the one name."
    )
    outputs: dict[str, str] = Field({}, description="What it writes, by name, with types; one name takes what comes.")
    _terms: Terms | None = PrivateAttr(None)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def called(self) -> str:
        """Names what is called, so that a cached result is that of this Runnable and of no other."""
        return self.digest

    def signature(self, resources: Resources) -> Signature:
        """What is read and written. Raises ResourceError where the Runnable does not say."""
        terms = self._agreed()
        return Signature(terms.reads, terms.writes)

    async def __call__(self, *, ctx: Context, **state: Any) -> Mapping[str, Any]:
        """The keys that it writes. Raises what the Runnable raises, and ContractError if it gives something else."""
        from ragweave.orchestrator.interop.calling import called  # loads LangChain

        terms = self._agreed()
        output = await called(self.runnable, await terms.give(state, ctx.resources), ctx, emits=terms.emits)
        return terms.take(output, ctx.resources.blobs if ctx.resources is not None else None)

    def _agreed(self) -> Terms:
        if self._terms is None:
            inputs, outputs = self.given
            with _lock:  # LangChain builds its schemas at their first use, which no two threads may do
                self._terms = Terms(self.runnable, self.inputs or inputs, self.outputs or outputs)
        return self._terms


def digest_of(runnable: Runnable[Any, Any]) -> str:
    """Equal for Runnables that do the same, as far as they and the code of their functions say."""
    shown = repr(runnable)
    if " at 0x" in shown:  # an object that does not say what it is made of is like no other
        return uuid.uuid4().hex
    codes = [code_of(function) for function in _functions(runnable, 0)]
    return hashlib.sha256(f"{shown}{codes}".encode("utf-8", "surrogatepass")).hexdigest()


def _functions(thing: Any, depth: int) -> Iterator[Any]:
    """The functions in a Runnable and in those that it is made of."""
    for name in ("func", "afunc"):
        function = getattr(thing, name, None)
        if callable(function):
            yield function
    inside = [getattr(thing, "bound", None), *(getattr(thing, "steps", None) or ())]
    inside += (getattr(thing, "steps__", None) or {}).values()
    for one in inside:
        if depth < MAX_DEPTH and kind_of(one):
            yield from _functions(one, depth + 1)


def runnable_node(
    runnable: Runnable[Any, Any],
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    effects: Effects = "none",
    idempotent: bool = False,
) -> type[RunnableNode]:
    """The node type that calls this Runnable, for the places where a graph takes a type.

    `inputs` and `outputs` say what it is given and writes, where it does not say so itself. A Runnable whose calls
    change something, such as an agent with tools that write, says so by `effects`. Raises ResourceError for what is no
    Runnable.
    """
    kind = kind_of(runnable)
    if not kind:
        raise ResourceError(f"{runnable!r} is not a Runnable of LangChain")
    name = "".join(letter if letter.isalnum() else "_" for letter in runnable.get_name())
    about = getattr(runnable, "description", None) or f"Calls {runnable.get_name()}."
    made: Any = type(name, (RunnableNode,), {"__module__": __name__, "__doc__": about})
    made.runnable, made.given = runnable, (dict(inputs or {}), dict(outputs or {}))
    made.effects, made.idempotent = effects, idempotent
    made.origin = {"retrievers": "retrieved", "tools": "tool", "prompts": ""}.get(kind, "model")
    made.wants_context = True
    made.reserves = made.origin != "model" or kind == "tools"
    made.withdraws = is_compiled(runnable)  # what an agent says before it calls a tool is not its answer
    made.digest = digest_of(runnable)
    return cast("type[RunnableNode]", made)
