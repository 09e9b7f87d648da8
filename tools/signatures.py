"""What a model is told of a Python function that it may call, and how it is called with what the model gave."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import PluginError, ToolError
from ragweave.tools.docstrings import read_docstring


class Callee(NamedTuple):
    """A function as a tool calls it."""

    function: Callable[..., Any]
    arguments: type[BaseModel]
    """Its parameters, but for its Context."""
    context: str
    """The parameter that gets the Context; empty if it has none."""
    description: str
    parameters: Mapping[str, Any]
    """JSON schema of the arguments."""
    manner: Literal["streamed", "awaited", "plain"]
    """Whether it is an async generator, another async function, or neither."""

    async def call(self, arguments: Mapping[str, Any], ctx: Context, *owner: Any) -> Any:
        """What it returns; of an async generator, its pieces, which are streamed, as one text.

        A plain function runs in a worker thread. `owner` is the object whose method it is. Raises ToolError for
        arguments that its types do not take, and where it wants to end the program.
        """
        try:
            read = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolError(_told(error)) from None
        values = dict(read.__dict__)
        if self.context:
            values[self.context] = ctx
        try:
            if self.manner == "streamed":
                return await _streamed(self.function(*owner, **values), ctx)
            if self.manner == "awaited":
                return await self.function(*owner, **values)
            return await asyncio.to_thread(self.function, *owner, **values)
        except SystemExit as error:  # in a task it would end the event loop, and with it all that waits
            raise ToolError(f"SystemExit: {error}") from error


def read_function(function: Callable[..., Any], name: str, *, method: bool = False) -> Callee:
    """What to tell of a function, and how to call it. Raises PluginError for a parameter without a type, or of one
    that JSON cannot say."""
    hints = _hints(function, name)
    parameters = dict(inspect.signature(function).parameters)
    if method:
        parameters.pop(next(iter(parameters)))
    context = next((one for one in parameters if hints.get(one) is Context), "")
    said, of_parameters = read_docstring(function.__doc__, parameters)
    fields = {
        one.name: _field(name, one, hints, of_parameters.get(one.name, ""))
        for one in parameters.values()
        if one.name != context
    }
    try:
        made = create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)  # type: ignore[call-overload]
        schema = made.model_json_schema()
    except (PydanticUserError, TypeError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise PluginError(f"the tool {name!r} has parameters that JSON cannot say: {first}") from None
    streamed, awaited = inspect.isasyncgenfunction(function), inspect.iscoroutinefunction(function)
    manner: Literal["streamed", "awaited", "plain"] = "streamed" if streamed else "awaited" if awaited else "plain"
    return Callee(function, made, context, said, _plain(schema), manner)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise PluginError(f"the types of the tool {name!r} cannot be read: {error}") from None


def _field(name: str, parameter: inspect.Parameter, hints: Mapping[str, Any], said: str) -> tuple[Any, FieldInfo]:
    where = f"the parameter {parameter.name!r} of the tool {name!r}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise PluginError(f"{where} cannot be given by name", hint="name each argument, and give it a type")
    if parameter.name not in hints:
        raise PluginError(f"{where} has no type", hint=f"write `{parameter.name}: str`, or what it is")
    if parameter.name.startswith("_"):
        raise PluginError(f"{where} begins with an underscore", hint="give it another name")
    default = ... if parameter.default is parameter.empty else parameter.default
    made: FieldInfo = Field(default, description=said) if said else Field(default)
    return hints[parameter.name], made


async def _streamed(pieces: AsyncIterator[Any], ctx: Context) -> str:
    found: list[str] = []
    async for piece in pieces:
        found.append(str(piece))
        await ctx.tell("tool_output", text=found[-1])
    return "".join(found)


def _plain(schema: Any) -> Any:
    """A schema without pydantic's titles, which only repeat the names."""
    if isinstance(schema, dict):
        return {
            key: {name: _plain(one) for name, one in value.items()} if key in ("properties", "$defs") else _plain(value)
            for key, value in schema.items()
            if not (key == "title" and isinstance(value, str))
        }
    return [_plain(one) for one in schema] if isinstance(schema, list) else schema


def _told(error: ValidationError) -> str:
    """What is wrong with arguments, each by its name."""
    faults = (
        f"{'.'.join(map(str, one['loc'])) or 'the arguments'}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in error.errors()[:5]
    )
    return "; ".join(faults)
