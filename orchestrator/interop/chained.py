"""A graph as a Runnable of LangChain, which chains with others and tells their callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForChainRun
from langchain_core.callbacks.manager import adispatch_custom_event
from langchain_core.documents import Document as TheirDocument
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage
from langchain_core.runnables import ConfigurableFieldSpec, Runnable, RunnableConfig
from langchain_core.runnables.config import get_config_list
from langchain_core.runnables.utils import AddableDict
from langchain_core.utils.pydantic import create_model_v2
from pydantic import BaseModel

from ragweave.orchestrator.errors import ContractError, InputError, OutputError, RagweaveError, closest
from ragweave.orchestrator.interop.spoken import speakers
from ragweave.orchestrator.interop.values import about, outward, shaped, theirs
from ragweave.orchestrator.running.bridge import iterate, wait_for
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.types import JSON, Type, annotation_of
from ragweave.orchestrator.values import Answer

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph, Result
    from ragweave.orchestrator.language.spec import KeySpec

AT_ONCE = 16
"""Runs of a batch at the same time, unless its config says otherwise."""
_TOLD = ("started", "token", "reset", "finished", "retry", "fallback", "skipped", "cached")


class GraphRunnable(Runnable[Any, Any]):
    """Runs a graph: a dict of its inputs in (or the one input that it needs), a dict of its outputs out, or `output`.

    Documents and messages are LangChain's on both sides, an Answer is an AIMessage with `citations` and `confidence` in
    its `response_metadata`. Of a config, `configurable` may have `thread_id`, `user`, `deadline` and what the graph
    lets its callers override; `max_concurrency` is that of a batch; callbacks, tags and metadata reach the Runnables
    inside.

    Chunks of a stream add up to what `invoke` gives. `astream_events` also has an event for each step of the graph,
    such as `ragweave.started`. Raises RunError, InputError, and RagweaveError if the run is parked.
    """

    def __init__(self, graph: Graph, output: str = "") -> None:
        self.graph = graph
        self.output = output
        self.name = graph.name

    def __repr__(self) -> str:
        return f"{self.graph!r}.as_runnable({f'output={self.output!r}' if self.output else ''})"

    # --- what it takes and gives ---

    @property
    def InputType(self) -> Any:  # noqa: N802
        """A dict of the inputs."""
        return dict[str, Any]

    @property
    def OutputType(self) -> Any:  # noqa: N802
        """A dict of the outputs, or the type of the one."""
        return self._type_of(self.output) if self.output else dict[str, Any]

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What `configurable` may have."""
        return [
            ConfigurableFieldSpec(
                id="thread_id", annotation=str, description="The conversation that a run belongs to."
            ),
            ConfigurableFieldSpec(id="user", annotation=str, description="For whom a run is."),
            ConfigurableFieldSpec(id="tenant", annotation=str, description="Whose data a run works on."),
            ConfigurableFieldSpec(id="deadline", annotation=str, description="Seconds, or a text such as 30s."),
            *(ConfigurableFieldSpec(id=name, annotation=Any) for name in self.graph.overrides),
        ]

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """The inputs, with types and defaults."""
        fields = {
            name: (_given(key), key.default if key.has_default else ...)
            for name, key in self.graph.plan.spec.inputs.items()
        }
        return create_model_v2(self.get_name("Input"), field_definitions=fields)

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """The outputs, with types."""
        if self.output:
            return create_model_v2(self.get_name("Output"), root=self._type_of(self.output))
        fields = {name: (self._type_of(name), ...) for name in self.graph.plan.spec.outputs}
        return create_model_v2(self.get_name("Output"), field_definitions=fields)

    def _type_of(self, output: str) -> Any:
        return _annotation(self.graph.plan.keys.get(output, JSON))

    # --- one run ---

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """One run, waited for."""
        return wait_for(self.ainvoke(input, config, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """One run."""
        return await self._acall_with_config(self._run, input, config, **kwargs)

    async def _run(self, given: Any, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig) -> Any:
        result = await self.graph.arun(self.inputs(given), **self.options(config))
        outputs = await self.outputs(result)
        return outputs[self.output] if self.output else outputs

    # --- streams ---

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        """The chunks of one run as they come."""
        return iterate(self.astream(input, config, **kwargs))

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        """The chunks of one run as they come: text of the answer while it is written, then the rest of the outputs.

        Text that might still be replaced (in a loop, of a node with retries or a fallback) comes when it is certain.
        """

        async def one() -> AsyncIterator[Any]:
            yield input

        chunks: Any = self._atransform_stream_with_config(one(), self._stream, config, **kwargs)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def _stream(
        self, inputs: AsyncIterator[Any], run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
    ) -> AsyncIterator[Any]:
        given = await anext(inputs)
        spoken = speakers(self.graph.plan)
        said: dict[str, str] = {}
        taken_back = ""
        result: Result | None = None
        async with aclosing(self.graph.stream(self.inputs(given), **self.options(config))) as events:
            async for event in events:
                if run_manager.handlers and event.kind in _TOLD:
                    await adispatch_custom_event(f"ragweave.{event.kind}", _told(event), config=config)
                key = spoken.get(event.node) if not event.frame else None
                if event.kind == "token" and key is not None and self.output in ("", key):
                    said[key] = said.get(key, "") + event.text
                    yield self._chunk({key: self._piece(key, event.text)})
                elif event.kind == "reset" and key in said:
                    taken_back = event.node
                result = event.data.get("result", result)
        assert result is not None
        outputs = await self.outputs(result)
        rest = {}
        for name, value in outputs.items():
            whole = result.outputs[name]
            text = said.get(name, "")
            if taken_back or (text and not str(whole).startswith(text)):
                raise RagweaveError(
                    f"the run {result.run_id!r} came to another {name!r} than it had begun to stream",
                    hint="graph.stream says what is taken back; invoke gives the outputs whole",
                )
            if isinstance(whole, Answer):
                value = AIMessageChunk(
                    content=whole.text[len(text) :], response_metadata=about(whole), chunk_position="last"
                )
            elif text:
                value = whole[len(text) :]
            if self.output in ("", name) and not (text and value == ""):
                rest[name] = value
        if rest:
            yield self._chunk(rest)

    def _piece(self, key: str, text: str) -> Any:
        return AIMessageChunk(content=text) if self.graph.plan.keys.get(key, JSON).word == "Answer" else text

    def _chunk(self, outputs: Mapping[str, Any]) -> Any:
        return outputs[self.output] if self.output else AddableDict(outputs)

    # --- many runs ---

    def batch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[Any]:
        """Many runs, `max_concurrency` of them at the same time (16 unless the config says otherwise)."""
        return wait_for(self.abatch(inputs, config, return_exceptions=return_exceptions, **kwargs))

    async def abatch(
        self, inputs: list[Any], config: Any = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[Any]:
        """`batch` for async callers."""
        if not inputs:
            return []
        configs: Sequence[RunnableConfig] = get_config_list(config, len(inputs))
        limited = [
            RunnableConfig(**{**one, "max_concurrency": one.get("max_concurrency") or AT_ONCE}) for one in configs
        ]
        return await super().abatch(inputs, limited, return_exceptions=return_exceptions, **kwargs)

    # --- between the two ---

    def inputs(self, given: Any) -> dict[str, Any]:
        """What the graph is run with; other keys of a dict are left out. Raises InputError for one that is misspelt,
        and for what the graph cannot be run with."""
        declared = self.graph.plan.spec.inputs
        if not isinstance(given, Mapping):
            needed = [name for name, key in declared.items() if not key.has_default] or list(declared)
            if len(needed) != 1:
                names = ", ".join(needed) or "nothing"
                raise InputError(f"{self.name!r} takes {names}, not {given!r}", hint="give a dict of inputs")
            given = {needed[0]: given}
        taken = {}
        left = [name for name in declared if name not in given]
        for name, value in given.items():
            # The state of a chain may hold what is not for this graph; what is misspelt is told by `check_inputs`.
            if name not in declared and closest(str(name), left) is None:
                continue
            kind = declared[name].type if name in declared else None
            try:
                taken[str(name)] = shaped(value, kind or JSON, self.graph.blobs)
            except ContractError as error:
                raise InputError(f"input {name!r}: {error.message}") from None
        return taken

    def options(self, config: RunnableConfig) -> dict[str, Any]:
        """What a config says of the run."""
        known = config.get("configurable") or {}
        options: dict[str, Any] = {name: str(known.get(name) or "") for name in ("thread_id", "user", "tenant")}
        options["deadline"] = known.get("deadline")
        overrides = {name: known[name] for name in self.graph.overrides if name in known}
        return {**options, "overrides": overrides} if overrides else options

    async def outputs(self, result: Result) -> dict[str, Any]:
        """The outputs of a run as LangChain has them. Raises RagweaveError if it is parked."""
        if result.status == "parked":
            asks = "; ".join(f"{path} asks {ask.question!r}" for path, ask in result.asks.items())
            raise RagweaveError(
                f"run {result.run_id!r} of {self.name!r} waits for a person: {asks}",
                hint="go on with graph.resume(run_id, answers={path: answer})",
            )
        if self.output and self.output not in result.outputs:
            raise OutputError(f"the run {result.run_id!r} gave no {self.output!r}")
        outputs: dict[str, Any] = await outward(dict(result.outputs), self.graph.resources)
        return outputs


def _told(event: Event) -> dict[str, Any]:
    return {"path": event.path, "node": event.node, **theirs(dict(event.data))}


def _given(key: KeySpec) -> Any:
    """What a caller gives for an input."""
    if not key.choices:
        return _annotation(key.type or JSON)
    texts: Any = Literal.__getitem__(key.choices)
    return list[texts] if key.type is not None and key.type.item else texts


def _annotation(kind: Type) -> Any:
    if kind.word == "list":
        return list[_annotation(kind.item or JSON)]  # type: ignore[misc]
    if kind.word == "map":
        return dict[str, _annotation(kind.item or JSON)]  # type: ignore[misc]
    own: Mapping[str, Any] = {"Document": TheirDocument, "Message": AnyMessage, "Answer": AIMessage, "json": Any}
    return own.get(kind.word) or annotation_of(kind)
