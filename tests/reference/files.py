"""Sketches as graph files, and the node type that plays their nodes: what a call does is decided from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node, Read, Signature, Write
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, list_of, parse_type
from tests.reference.sketch import Sketch, Step

TEXTS = parse_type("list[str]")
FAILURE = Type("Failure")


class Stage(Protocol):
    """Decides what the calls of a run do."""

    async def call(self, name: str, seen: dict[str, Any]) -> dict[str, Any]:
        """What this call writes; it may wait, and it may raise."""


STAGE: ContextVar[Stage] = ContextVar("stage")


class Probe(Node):
    """Plays a node of a sketch."""

    me: str
    needs: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    may_give: tuple[str, ...] = ()
    holds: bool = False
    """Writes `hold_<name>`, on which its conditions depend."""

    def signature(self, resources: Resources) -> Signature:
        """The keys of the settings, all of them lists of text."""
        reads = {key: Read(_type(key)) for key in self.needs}
        reads.update({key: Read(_type(key), False) for key in self.likes})
        writes = {key: Write(TEXTS) for key in self.gives}
        writes.update({key: Write(TEXTS, False) for key in self.may_give})
        if self.holds:
            writes[f"hold_{self.me}"] = Write(list_of(Type("bool")))
        return Signature(reads, writes)

    async def __call__(self, **state: Any) -> None:
        return await STAGE.get().call(self.me, state)  # type: ignore[return-value]


class ProbeInContext(Probe):
    """The same with a Context, which the engine calls on another path."""

    async def __call__(self, ctx: Context, **state: Any) -> None:  # type: ignore[override]
        assert ctx.node == self.me
        return await STAGE.get().call(self.me, state)  # type: ignore[return-value]


def _type(key: str) -> Type:
    return FAILURE if key == "error" else TEXTS


@contextmanager
def probes() -> Iterator[None]:
    """While this is open, `type: probe` and `type: probe_in_context` are known."""
    with registry.scope():
        registry.add("nodes", "probe", Probe)
        registry.add("nodes", "probe_in_context", ProbeInContext)
        yield


def file_of(sketch: Sketch) -> str:
    """The graph file of a sketch."""
    lines = ["schema: ragweave/v1", "name: sketch", "limits: {deadline: 60}"]
    if sketch.inputs:
        lines.append("inputs:")
        lines += [f"  {key}: list[str]" for key in sketch.inputs]
    if sketch.outputs:
        lines.append(f"outputs: {_list(sketch.outputs)}")
    state = [f"  {key}: {{merge: {'first' if key == 'error' else 'extend'}}}" for key in sorted(sketch.merges)]
    state += [f"  {key}: {{type: 'list[str]', accumulate: true}}" for key in sorted(sketch.logs)]
    lines += ["state:", *state] if state else []
    lines += ["nodes:", *(_node(name, step) for name, step in sketch.steps.items()), "edges:"]
    lines.append(f"  - start -> {', '.join(sketch.start)}")
    for name, step in sketch.steps.items():
        lines += _edges(name, step)
    return "\n".join(lines) + "\n"


def _node(name: str, step: Step) -> str:
    settings = [f"type: {'probe_in_context' if sum(map(ord, name)) % 3 == 0 else 'probe'}", f"me: {name}"]
    for word, keys in (("needs", step.reads), ("likes", step.wants), ("gives", step.writes), ("may_give", step.maybe)):
        if keys:
            settings.append(f"{word}: {_list(keys)}")
    if len(step.ways) > 1:
        settings.append("holds: true")
    if step.on_error is not None:
        settings.append(f"on_error: {step.on_error}")
    return f"  {name}: {{{', '.join(settings)}}}"


def _edges(name: str, step: Step) -> list[str]:
    if step.plain:
        return [f"  - {name} -> {', '.join(way.targets)}" for way in step.ways if way.targets]
    lines = [f"  - from: {name}", "    routes:"]
    for number, way in enumerate(step.ways):
        parts = []
        if number < len(step.ways) - 1 and not way.free:
            asked = "".join(f" && {_asks(key)}" for key in way.asks)
            parts.append(f"when: '{f'hold_{name}[{number}]'}{asked}'")
        parts.append(f"to: {_list(way.targets) if len(way.targets) != 1 else way.targets[0]}")
        if way.bound is not None:
            parts.append(f"max_iterations: {way.bound}")
        lines.append(f"      - {{{', '.join(parts)}}}")
    return lines


def _asks(key: str) -> str:
    return 'error.node != ""' if key == "error" else f"size({key}) >= 0"


def _list(words: Iterable[str]) -> str:
    return f"[{', '.join(words)}]"
