"""What types there are, with settings, reads, writes and an example: for `ragweave nodes` and for the schema."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import PluginError, did_you_mean
from ragweave.orchestrator.language.policies import seconds
from ragweave.orchestrator.language.reasons import told
from ragweave.orchestrator.language.settings import used_resources
from ragweave.orchestrator.node import Node, Signature, node_type
from ragweave.orchestrator.types import list_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a type. `kind` says what it takes, such as `int > 0`; `default` is YAML, empty if required."""

    name: str
    kind: str
    default: str = ""
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """A registered type. `fault` is set, and all else is empty, if its code cannot be imported."""

    kind: str
    name: str
    summary: str = ""
    text: str = ""
    """The docstring after its first paragraph."""
    settings: tuple[Setting, ...] = ()
    reads: Mapping[str, str] = field(default_factory=dict)
    """The state keys that it reads, with their types; `?` after a type if the key may be absent."""
    writes: Mapping[str, str] = field(default_factory=dict)
    """The state keys that it writes; `?` after a type if the key may be absent."""
    by_settings: bool = False
    """True if its settings decide what it reads and writes; then `reads` and `writes` are those of `example`, and empty
    where the example needs a file to say so."""
    effects: str = "none"
    idempotent: bool = False
    example: str = ""
    fault: str = ""


def catalogue(kind: str = "nodes") -> list[TypeEntry]:
    """Every type of a kind, in the order of the names. Imports all of them."""
    return [describe(kind, name) for name in registry.names(kind)]


def describe(kind: str, name: str) -> TypeEntry:
    """A type by name. Raises PluginError with the candidates for an unknown one."""
    if name not in registry.names(kind):
        raise PluginError(f"there is no {kind.rstrip('s')} type {name!r}{did_you_mean(name, registry.names(kind))}")
    try:
        thing = registry.find(kind, name)
    except Exception as error:  # a plugin may raise anything while it is imported
        return TypeEntry(kind, name, fault=told(error))
    if kind == "nodes" and callable(thing) and not isinstance(thing, type):
        thing = node_type(thing)
    summary, text = _docstring(thing)
    entry = TypeEntry(kind, name, summary, text, tuple(settings_of(thing)))
    if not (isinstance(thing, type) and issubclass(thing, Node)):
        return entry
    by_settings = thing.signature is not Node.signature
    signature = _signature_of_example(thing) if by_settings else thing.declared
    reads = {key: f"{read.type}{'' if read.required else '?'}" for key, read in signature.reads.items()}
    rule = _of_example(thing, lambda node: node.each()) if thing.each is not Node.each else None
    if rule is not None:
        reads = {rule.over: str(list_of(signature.reads[rule.as_].type)), **reads}
        del reads[rule.as_]
    return TypeEntry(
        kind,
        name,
        summary,
        text,
        entry.settings,
        reads,
        {key: f"{write.type}{'' if write.certain else '?'}" for key, write in signature.writes.items()},
        by_settings,
        thing.effects if isinstance(thing.effects, str) else "by settings",
        bool(thing.idempotent),
        thing.example or _example(name, entry.settings),
    )


def _signature_of_example(kind: type[Node]) -> Signature:
    """What the example of a type reads and writes; nothing where that cannot be said without a file that it names."""
    from ragweave.orchestrator.resources import Resources

    return _of_example(kind, lambda node: node.signature(Resources((), environ={}))) or Signature()


def _of_example(kind: type[Node], ask: Callable[[Node], T]) -> T | None:
    """What the node of a type's example says of itself; None where it cannot be made, or cannot say it."""
    import yaml

    names = {info.alias or name for name, info in kind.model_fields.items()}
    try:
        ((_, entry),) = yaml.safe_load(kind.example).items()
        return ask(kind.model_validate({key: value for key, value in entry.items() if key in names}))
    except Exception:  # the code of a plugin may raise anything, and its type can be described without this
        return None


def settings_of(thing: Any) -> list[Setting]:
    """The settings of a class, in the order in which it declares them, and then those that all of its kind have; none
    for what is no pydantic model."""
    if not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return []
    texts, uses = descriptions(thing), used_resources(thing)
    found = []
    contract = next((parent for parent in thing.__mro__ if vars(parent).get("kind")), None)
    of_all = contract.model_fields if contract is not None and issubclass(contract, BaseModel) else {}
    for name, info in sorted(thing.model_fields.items(), key=lambda field: field[0] in of_all):
        key = info.alias or name
        kind = _naming(thing, name, uses[name]) if name in uses else _kind(thing, name, info.annotation)
        default = (
            "" if info.is_required() else _default(info.get_default(call_default_factory=False), info.default_factory)
        )
        found.append(Setting(key, kind, default, info.is_required(), texts.get(name, "")))
    return found


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What each field says of itself: its `Field(description=…)`, else the string that stands below it in the class."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if parent in (BaseModel, object) or "__annotations__" not in vars(parent):
            continue
        found.update(_strings_below(parent))
    for name, info in model.model_fields.items():
        if info.description:
            found[name] = info.description
    return {name: " ".join(text.split()) for name, text in found.items() if name in model.model_fields}


def property_schemas(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a model: `properties`, `required` and `$defs`; of fields that have none, nothing is said."""
    try:
        return model.model_json_schema(by_alias=True, mode="validation")
    except Exception:  # a field of a type that pydantic cannot describe
        keys = [info.alias or name for name, info in model.model_fields.items()]
        required = [info.alias or name for name, info in model.model_fields.items() if info.is_required()]
        return {"type": "object", "properties": {key: {} for key in keys}, "required": required}


def _strings_below(model: type[Any]) -> dict[str, str]:
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    except (OSError, TypeError, SyntaxError):  # a class made at run time has no source
        return {}
    found = {}
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for statement, below in pairwise(statements):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            found[statement.target.id] = below.value.value
    return found


def _docstring(thing: Any) -> tuple[str, str]:
    text = inspect.cleandoc(thing.__doc__) if getattr(thing, "__doc__", None) else ""
    first, _, rest = text.partition("\n\n")
    return " ".join(first.split()), rest.strip()


def _kind(model: type[BaseModel], name: str, annotation: Any) -> str:
    info = model.model_fields[name]
    if annotation is SecretStr or SecretStr in typing.get_args(annotation):
        return "map of secret text" if typing.get_origin(annotation) in (dict, Mapping) else "secret text"
    if any(getattr(mark, "func", None) is seconds for mark in info.metadata):
        return "duration"
    schema = property_schemas(model)
    return words_of(schema.get("properties", {}).get(info.alias or name, {}), schema.get("$defs", {})) or "any"


def _naming(model: type[BaseModel], name: str, used: str) -> str:
    """What a setting takes that names resources: one, several, or several with a value each."""
    origin = typing.get_origin(model.model_fields[name].annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"map of names of {used} to values"
    return f"names of {used}" if isinstance(origin, type) else f"name of one of {used}"


def words_of(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a JSON schema admits, in a few words: `int > 0`, `fast | slow`, `list[str]`."""
    if "$ref" in schema:
        return words_of(definitions.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), definitions)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    arms = schema.get("anyOf") or schema.get("oneOf")
    if arms:
        return " | ".join(
            dict.fromkeys(words_of(arm, definitions) or "any" for arm in arms if arm.get("type") != "null")
        )
    kind = schema.get("type", "")
    if kind == "array":
        return f"list[{words_of(schema.get('items', {}), definitions) or 'any'}]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"map[{words_of(inner, definitions) or 'any'}]" if isinstance(inner, dict) else "map"
    word = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}.get(kind, kind)
    signs = (("exclusiveMinimum", ">"), ("minimum", ">="), ("exclusiveMaximum", "<"), ("maximum", "<="))
    limits = " and ".join(f"{sign} {schema[key]:g}" for key, sign in signs if key in schema)
    return f"{word} {limits}".strip()


def _default(value: Any, factory: Any) -> str:
    if factory is not None or value is PydanticUndefined:
        return {list: "[]", dict: "{}", tuple: "[]"}.get(factory, "")
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value and value.strip() == value and "\n" not in value else repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_default(item, None) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_default(item, None)}" for key, item in value.items()) + "}"
    return str(value)


def _example(name: str, settings: tuple[Setting, ...]) -> str:
    required = [f"{setting.name}: …" for setting in settings if setting.required]
    return f"{name}: {{{', '.join([f'type: {name}', *required])}}}"
