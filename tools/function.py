"""`@tool`: a typed function as a tool; and tools that are methods of a class."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, get_args, overload

from pydantic import Field

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolEffects, ToolSpec
from ragweave.orchestrator.errors import PluginError, did_you_mean
from ragweave.orchestrator.language.policies import Duration
from ragweave.tools.signatures import Callee, read_function

F = TypeVar("F", bound=Callable[..., Any])
_SETTINGS = ("name", "description", "effects", "idempotent", "timeout", "max_result")


class FunctionTool(Tool):
    """A tool made of a function; its settings are those that every tool has."""

    callee: ClassVar[Callee]
    spec: ClassVar[ToolSpec]

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool."""
        return (self.spec,)

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """What the function gives. Raises ToolError for arguments that its types do not take, and what it raises."""
        return await self.callee.call(arguments, ctx)


class MethodTool(Tool):
    """Tools that are methods of a class, whose settings they share; with one method, it is one tool."""

    calls: ClassVar[Mapping[str, ToolEffects]] = {}
    """The methods that a model may call, and what each does."""

    def specs(self) -> Sequence[ToolSpec]:
        """A tool for each method, told as its docstring and its types say."""
        callees = _callees(type(self))
        return tuple(
            ToolSpec(one.description, one.parameters, name if len(callees) > 1 else "", self.calls[name])
            for name, one in callees.items()
        )

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        """What the method gives. Raises ToolError, and what it raises."""
        callees = _callees(type(self))
        return await callees[name or next(iter(callees))].call(arguments, ctx, self)


@functools.cache
def _callees(kind: type[MethodTool]) -> dict[str, Callee]:
    return {name: read_function(getattr(kind, name), name, method=True) for name in kind.calls}


@overload
def tool(function: F) -> F: ...
@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    effects: ToolEffects = "none",
    idempotent: bool = False,
    timeout: str | float | None = None,
    max_result: int | None = None,
) -> Callable[[F], F]: ...
def tool(function: Any = None, **settings: Any) -> Any:
    """Make a function a tool, `type: its_name` in a graph file; it stays the function that it was.

    A model is told its docstring and the types of its parameters; a parameter `ctx: Context` is not the model's. Say
    what a call does by `effects`: `none` computes, `read` looks something up, `write` changes data of the user's own,
    `external` the world. Raises PluginError for a parameter without a type, or of one that JSON cannot say.
    """
    for setting in settings:
        if setting not in _SETTINGS:
            raise PluginError(f"@tool has no setting {setting!r}{did_you_mean(setting, _SETTINGS)}")
    if function is None:
        return lambda decorated: tool_type(decorated, **settings) and decorated
    tool_type(function)
    return function


def tool_type(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    effects: ToolEffects = "none",
    idempotent: bool = False,
    timeout: str | float | None = None,
    max_result: int | None = None,
) -> type[FunctionTool]:
    """The Tool class of a function, registered under its name. Raises PluginError."""
    name = name or function.__name__
    known = get_args(ToolEffects)
    if effects not in known:
        raise PluginError(f"the tool {name!r} cannot have the effects {effects!r}{did_you_mean(str(effects), known)}")
    callee = read_function(function, name)
    said = description or callee.description
    namespace: dict[str, Any] = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": said or f"Call {name}.",
    }
    kinds: dict[str, Any] = {}
    for setting, value, kind in (("timeout", timeout, Duration), ("max_result", max_result, int)):
        if value is not None:
            kinds[setting] = kind
            said_of_it = FunctionTool.model_fields[setting].description
            namespace[setting] = Field(default=value, description=said_of_it, validate_default=True)
    namespace["__annotations__"] = kinds
    made: type[FunctionTool] = types.new_class(name, (FunctionTool,), {}, lambda space: space.update(namespace))
    made.callee = callee
    made.spec = ToolSpec(said, callee.parameters, effects=effects, idempotent=idempotent)
    made.type_name = name
    registry.add("tools", name, made)
    function.__ragweave_tool__ = made  # type: ignore[attr-defined]
    return made
