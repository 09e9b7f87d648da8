"""Nodes: a class whose fields are its YAML settings, or a function. Parameters are the keys read, the return type the
keys written."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import PluginError
from ragweave.orchestrator.language.policies import MapPolicy
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, texts_of, type_of
from ragweave.orchestrator.values import Ask

POLICIES = (
    "reads", "writes", "map", "retry", "timeout", "fallback", "race", "on_error", "cache", "budget", "interrupt",
)  # fmt: skip
RESERVED = (
    *POLICIES,
    "type",
    "with",
    "when",
    "if",
    "batch",
    "limit",
    "priority",
    "tags",
    "description",
    "name",
    "version",
)

Effects = Literal["none", "write", "external"]


class Read(NamedTuple):
    """A state key that a node reads. One that is not `required` is left out of the call when it is absent."""

    type: Type
    required: bool = True


class Write(NamedTuple):
    """A state key that a node writes; a write that is not `certain` may be absent from what it returns."""

    type: Type
    certain: bool = True
    values: frozenset[str] | None = None
    """The only texts that it can be, or of a list the only ones that can be in it; None if it can be any. A return
    type says so with `Literal`. The checker warns of a condition that compares the key with another text."""
    unless: str = ""
    """Of a write that is not certain: the list that the node writes too, and where that is empty it is certain."""


class Remark(NamedTuple):
    """What is doubtful, or wrong, about the settings of a node. `place` is the way to it from the settings:
    `("labels", "refund", 2)`."""

    message: str
    place: tuple[str | int, ...] = ()


class Signature(NamedTuple):
    """What a node reads and writes, by its own names."""

    reads: Mapping[str, Read] = MappingProxyType({})
    writes: Mapping[str, Write] = MappingProxyType({})
    remarks: tuple[Remark, ...] = ()
    """Each becomes a warning of the graph."""
    faults: tuple[Remark, ...] = ()
    """Each becomes a problem of the graph: what its resources cannot do, such as a filter by a field that is none."""


class Node(BaseModel):
    """A step of a graph. `class Shout(Node, type="shout")` registers it for `type: shout`.

    Fields are settings. `__call__` (sync or async) takes the state keys that it reads by name, and `ctx: Context` if
    it wants one; it returns a TypedDict of the keys that it writes, or None, or an `Ask`. A sync `__call__` runs in a
    worker thread unless the class says `inline = True` (for those that never block).
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    type_name: ClassVar[str] = ""
    effects: ClassVar[Effects] = "none"
    """What a call changes outside the run: nothing, data of the user's own (`write`), or the world (`external`)."""
    idempotent: ClassVar[bool] = False
    """True if calling twice with the same `ctx.key` is the same as calling once."""
    inline: ClassVar[bool] = False
    origin: ClassVar[str] = ""
    """Whose words the written text is: user, system, retrieved, tool, memory, model; empty for "of what was read"."""
    wants_context: ClassVar[bool] = False
    nested: ClassVar[bool] = False
    """True for the node that runs another graph."""
    withdraws: ClassVar[bool] = False
    """True if a call may take back by itself what it has streamed."""
    asks_models: ClassVar[bool] = True
    """False if the models that its settings name are never asked for a reply."""
    reserves: ClassVar[bool] = True
    """False if it asks models by itself, and not by `complete`: no budget of tokens or money can hold its calls."""
    keeps_labels: ClassVar[bool] = False
    """True of an effect that only keeps what it reads for later runs, which are told that it was kept."""
    calls_tools: ClassVar[bool] = False
    """True if it calls tools, which budgets count."""
    declared: ClassVar[Signature] = Signature()
    example: ClassVar[str] = ""
    """YAML of one node of this type, for `ragweave nodes TYPE`."""

    def __init_subclass__(cls, *, type: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if type is not None:
            cls.type_name = type

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        taken = sorted(set(cls.model_fields) & set(RESERVED))
        if taken:
            raise PluginError(
                f"node type {cls.type_name or cls.__name__!r} has a setting {taken[0]!r}, which every node has already",
                hint="rename the field",
            )
        if "__call__" in vars(cls):
            declares = cls.signature is Node.signature  # else its settings decide what it writes
            call = vars(cls)["__call__"]
            cls.declared, cls.wants_context = read_signature(call, owner=cls.__name__, method=True, strict=declares)
        if cls.type_name and "type_name" in vars(cls):
            registry.add("nodes", cls.type_name, cls)

    def signature(self, resources: Resources) -> Signature:
        """What this node reads and writes. Types whose signature depends on their settings override this."""
        return self.declared

    def each(self) -> MapPolicy | None:
        """For a node that works on the items of a list by itself: how, unless the graph says so by `map`."""
        return None

    async def effect_of(self, item: Any, ctx: Context) -> tuple[Effects, bool]:
        """What a call does, and whether doing it twice is doing it once. `item` is that of a map, else None. Of a type
        whose calls differ, `effects` is the most that one may do."""
        return self.effects, self.idempotent

    def cleared(self) -> Sequence[str]:
        """The origins of which its author says that what it writes is free, such as `retrieved`: see docs/trust.md."""
        return ()

    def warm_up(self, resources: Resources) -> None:
        """Do now what else the first call would have to wait for. Called in a worker thread by `Graph.warm_up`, when
        the resources are built that the settings name; a graph that is not warmed up never calls it."""

    def __call__(self, *args: Any, **state: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


F = TypeVar("F", bound=Callable[..., Any])


@overload
def node(function: F) -> F: ...
@overload
def node(
    *, name: str = "", effects: Effects = "none", idempotent: bool = False, inline: bool = False, origin: str = ""
) -> Callable[[F], F]: ...
def node(function: Any = None, *, name: str = "", **flags: Any) -> Any:
    """Make a function a node type, under its own name or `name`; it stays the function that it was.

    Its parameters are state keys (those with a default are optional), its return type a TypedDict or None.
    Raises TypeError where the signature does not say what is read or written.
    """
    if function is None:
        return lambda decorated: node_type(decorated, name=name or decorated.__name__, **flags) and decorated
    node_type(function, name=name or function.__name__)
    return function


def node_type(function: Callable[..., Any], *, name: str = "", **flags: Any) -> type[Node]:
    """The Node class of a function; made once. With a name, it is registered too."""
    made: type[Node] | None = getattr(function, "__ragweave_node__", None)
    if made is not None and not name:
        return made
    signature, wants_context = read_signature(function, owner=function.__name__, method=False)
    namespace: dict[str, Any] = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "__call__": _method(function),
        **{key: value for key, value in flags.items() if value},
    }
    annotations: dict[str, Any] = {}
    namespace["__annotations__"] = annotations
    made = types.new_class(function.__name__, (FunctionNode,), {}, lambda space: space.update(namespace))
    made.declared, made.wants_context, made.function = signature, wants_context, staticmethod(function)  # type: ignore[attr-defined]
    function.__ragweave_node__ = made  # type: ignore[attr-defined]
    if name:
        made.type_name = name
        registry.add("nodes", name, made)
    return made


class FunctionNode(Node):
    """A node made of a function; it has no settings."""

    function: ClassVar[Any] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """The signature was read from the function already."""


def read_signature(
    function: Callable[..., Any], *, owner: str, method: bool, strict: bool = True
) -> tuple[Signature, bool]:
    """What a function reads and writes, and whether it wants a Context. Raises TypeError that names the parameter.

    Unless `strict`, a return type that does not say what is written stands for nothing.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{owner}: a node returns once and does not yield; text is streamed by `await ctx.emit(text)`")
    hints = _hints(function)
    reads: dict[str, Read] = {}
    wants_context = False
    for position, parameter in enumerate(inspect.signature(function).parameters.values()):
        if method and position == 0:
            continue
        if hints.get(parameter.name) is Context:
            if parameter.name != "ctx":
                raise TypeError(f"{owner}: the Context parameter is called 'ctx', not {parameter.name!r}")
            wants_context = True
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise TypeError(f"{owner}: parameter {parameter.name!r} must be one that can be passed by name")
        if parameter.name not in hints:
            raise TypeError(f"{owner}: parameter {parameter.name!r} needs a type, such as {parameter.name}: str")
        try:
            kind = type_of(hints[parameter.name])
        except TypeError as error:
            raise TypeError(f"{owner}: parameter {parameter.name!r}: {error}") from None
        reads[parameter.name] = Read(kind, parameter.default is inspect.Parameter.empty)
    try:
        writes = _writes(hints.get("return", _MISSING), owner)
    except TypeError:
        if strict:
            raise
        writes = {}
    return Signature(reads, writes), wants_context


_MISSING: Any = object()


def _writes(returned: Any, owner: str) -> dict[str, Write]:
    if typing.get_origin(returned) in (typing.Union, types.UnionType):
        rest = [arm for arm in typing.get_args(returned) if arm not in (Ask, type(None))]
        returned = rest[0] if len(rest) == 1 else _MISSING if rest else None
    if returned in (None, type(None), Ask):
        return {}
    if not typing.is_typeddict(returned):
        shown = "nothing is declared" if returned is _MISSING else f"it is {getattr(returned, '__name__', returned)}"
        raise TypeError(
            f"{owner}: the return type must be a TypedDict of the state keys that it writes, or None; {shown}"
        )
    space = vars(sys.modules[returned.__module__]) if returned.__module__ in sys.modules else {}
    hints = _resolved(returned, space)
    writes = {}
    for key, annotation in hints.items():
        certain = key in returned.__required_keys__
        while typing.get_origin(annotation) in (typing.Required, typing.NotRequired):
            certain = typing.get_origin(annotation) is typing.Required
            annotation = typing.get_args(annotation)[0]
        try:
            writes[key] = Write(type_of(annotation), certain, texts_of(annotation))
        except TypeError as error:
            raise TypeError(f"{owner}: return key {key!r}: {error}") from None
    return writes


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return _resolved(inspect.unwrap(function), getattr(function, "__globals__", {}))


def _resolved(thing: Any, space: Mapping[str, Any]) -> dict[str, Any]:
    """Type hints as objects; names that only the defining function knows are looked up in the callers' frames."""
    known = {"Context": Context, "Ask": Ask}
    for _ in range(100):
        try:
            return typing.get_type_hints(thing, dict(space), known, include_extras=True)
        except NameError as error:
            name = getattr(error, "name", None)
            frame = sys._getframe(1)
            while frame is not None and name not in frame.f_locals:
                frame = frame.f_back  # type: ignore[assignment]
            if frame is None or name is None:
                raise TypeError(
                    f"{getattr(thing, '__qualname__', thing)}: the type {name!r} is not defined here"
                ) from None
            known[name] = frame.f_locals[name]
    raise TypeError(f"{thing}: too many unknown names in its types")


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def call_async(self: Any, **state: Any) -> Any:
            return await function(**state)

        return call_async

    def call(self: Any, **state: Any) -> Any:
        return function(**state)

    return call
