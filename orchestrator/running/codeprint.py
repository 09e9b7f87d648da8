"""What functions and classes do, as far as their own code says: equal prints mean equal code."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from pydantic import BaseModel

from ragweave.orchestrator.running.cache import code_of

_OWN = "ragweave"
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SIMPLE = (str, bytes, int, float, bool, type(None))


def digest(value: Any) -> str:
    """A SHA-256 of a value as JSON; what is no JSON counts by its class, and a function by its code."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=True, default=_named)
    return hashlib.sha256(text.encode()).hexdigest()


def is_foreign(thing: Any) -> bool:
    """True for what a program or a plugin defines: its code may change while runs are parked."""
    return _top(thing) not in (_OWN, "builtins", "")


def code_print(thing: Any) -> str:
    """The print of a function, a class, or the class of an object.

    It covers what its code names in the same package or module, and so on from there: helper functions, bases,
    constants. Comments, formatting and other packages do not count; of an installed package only the thing itself does.
    """
    thing = thing.func if isinstance(thing, functools.partial) else thing
    if not isinstance(thing, (type, FunctionType)):
        inner = getattr(thing, "__func__", None) or getattr(thing, "__wrapped__", None)
        thing = inner if isinstance(inner, FunctionType) else type(thing)
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [thing]
    installed = _is_installed(thing)
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen or _top(one) != _top(thing):
            continue
        seen.add(id(one))
        if isinstance(one, type):
            mine: list[Any] = []
            found.append([one.__qualname__, _class(one, mine)])
            waiting += [other for other in mine if not installed or other.__qualname__.startswith(one.__qualname__)]
        elif installed:
            found.append([one.__qualname__, code_of(one)])
        else:
            found.append([one.__qualname__, code_of(one), _named_by(one, waiting)])
    return digest(found)


def _class(made: type, waiting: list[Any]) -> dict[str, Any]:
    """What a class itself says; its functions and bases wait for their turn."""
    said: dict[str, Any] = {}
    for name, value in vars(made).items():
        if name == "__annotations__" and isinstance(value, Mapping):
            said[name] = {field: _ADDRESS.sub("", str(kind)) for field, kind in value.items()}
        if name.startswith(("__pydantic", "_abc", "model_")) or (name.startswith("__") and name != "__call__"):
            continue
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if isinstance(function, FunctionType):
            waiting.append(function)
        elif isinstance(function, _SIMPLE):
            said[name] = repr(function)
    if issubclass(made, BaseModel):
        said["fields"] = {name: _default(info.get_default()) for name, info in made.model_fields.items()}
    waiting.extend(made.__mro__[1:])
    return said


def _named_by(function: FunctionType, waiting: list[Any]) -> dict[str, Any]:
    """The constants that a function names in its module; functions and classes wait for their turn."""
    constants = {}
    for name in sorted(set(_names(function.__code__))):
        value = function.__globals__.get(name)
        if isinstance(value, (FunctionType, type)):
            waiting.append(value)
        elif name in function.__globals__ and isinstance(value, _SIMPLE):
            constants[name] = repr(value)
    return constants


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _names(one)


def _default(value: Any) -> Any:
    return repr(value) if isinstance(value, _SIMPLE) else _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON as far as it is; what a model holds that is none stays as it is."""
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_ADDRESS.sub("", repr(item)) for item in value)
    return value


def _is_installed(thing: Any) -> bool:
    file = getattr(sys.modules.get(str(thing.__module__)), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _named(value: Any) -> Any:
    if isinstance(value, FunctionType) or (isinstance(value, type) and is_foreign(value)):
        return code_print(value)
    made = value if isinstance(value, type) else type(value)
    return f"{made.__module__}.{made.__qualname__}"


def _top(thing: Any) -> str:
    module = getattr(thing, "__module__", None) or type(thing).__module__
    top = str(module).partition(".")[0]
    return "" if top in sys.stdlib_module_names and top != "__main__" else top
