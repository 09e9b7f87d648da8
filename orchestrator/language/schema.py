"""JSON schema of graph files, for editors: made of the classes that read them, so that it says the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ragweave.orchestrator import registry
from ragweave.orchestrator.approvals import ACTIONS, UNTRUSTED
from ragweave.orchestrator.language.catalogue import TypeEntry, catalogue, descriptions, property_schemas
from ragweave.orchestrator.language.load import DURABILITY, SCHEMA, SECTIONS
from ragweave.orchestrator.language.members import INHERITED
from ragweave.orchestrator.language.policies import NodePolicies
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.types import SCALARS, value_models

_ID = "^[a-z][a-z0-9_]*$"
_NAMES = r"[a-z][a-z0-9_]*(\s*,\s*[a-z][a-z0-9_]*)*"
_TEXTS = {
    "models": "Language models, by name.",
    "embedders": "What turns texts into vectors, by name.",
    "retrievers": "What finds passages, by name.",
    "rerankers": "What scores passages, by name.",
    "tools": "What an agent may do, by name.",
    "memories": "What outlives a run, by name.",
    "checks": "What guardrails look for in texts, by name.",
    "prompts": "What is said to language models, by name: a file, or a template's settings.",
}

Json = dict[str, Any]
_TARGET: Json = {"type": "string", "pattern": r"^\s*[a-z][a-z0-9_]*\s*\.\s*[A-Za-z_][A-Za-z0-9_]*\s*$"}
_PLACE: Json = {"type": "string", "pattern": r"^\s*[a-z][a-z0-9_]*\s*(\.|->)\s*[A-Za-z_][A-Za-z0-9_]*\s*$"}


def graph_schema() -> Json:
    """JSON schema (draft 2020-12) of a graph file over everything that is registered now, plugins included."""
    definitions: Json = {
        "reference": {
            "type": "string",
            "pattern": r"\$\{env:[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}",
            "description": "A variable of the environment: ${env:NAME} or ${env:NAME:-default}.",
        },
        "type": _type_words(),
        "merge": {"enum": registry.names("merges"), "description": "How the values of parallel writers become one."},
        "edge": _edge(),
        **{f"policy.{name}": policy for name, policy in _policies().items()},
    }
    for kind in ("nodes", *SECTIONS, "stores"):
        definitions.update(_kind(kind))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ragweave graph",
        "description": "A graph of ragweave: nodes over typed state, joined by edges.",
        "type": "object",
        "properties": _properties(),
        "required": ["schema", "nodes", "edges"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _key_forms() -> tuple[Json, Json]:
    """An input and a state key, where a type alone does not do."""
    key = {"type": {"$ref": "#/$defs/type"}, "default": {}, "description": {"type": "string"}}
    choices = {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "minItems": 1,
        "uniqueItems": True,
        "description": "The only texts that it may be, or have if it is a list.",
    }
    given = _object({**key, "choices": choices}, "An input at length.", required=["type"])
    state = _object(
        {
            **key,
            "merge": {"$ref": "#/$defs/merge"},
            "accumulate": {"type": "boolean", "description": "A list to which every write adds; nothing is replaced."},
        },
        "What cannot be inferred of a state key.",
    )
    return given, state


def _approval() -> Json:
    tools = {
        "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
    }
    when = {"type": "string", "description": "A condition on the call: arguments.amount <= 20."}
    named = {**tools, "description": "Arguments whose values have to stand in the user's own words."}
    origins = {
        "anyOf": [{"enum": [*UNTRUSTED]}, {"type": "array", "items": {"enum": [*UNTRUSTED]}, "minItems": 1}],
        "description": "Whose words may lead to such a call without a person.",
    }
    rules = [
        _object(
            {action: tools, "when": when, "named": named, "from": origins},
            f"{action.capitalize()} calls of these tools.",
            required=[action],
        )
        for action in ACTIONS
    ]
    return {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": rules},
        "description": "What becomes of calls of tools: the first rule that fits decides; what none fits is denied.",
    }


def _properties() -> Json:
    at_length, state = _key_forms()
    defaults = {name: {"$ref": f"#/$defs/policy.{name}"} for name in ("retry", "timeout", "cache")}
    deadline = {"anyOf": [{"$ref": "#/$defs/policy.timeout"}, {"type": "null"}]}
    found: Json = {
        "schema": {"const": SCHEMA, "description": "The version of the language."},
        "name": {"type": "string", "minLength": 1, "description": "The graph's name; without it, that of the file."},
        "version": {"type": "string", "description": "The version of this graph, for people."},
        "description": {"type": "string", "description": "What the graph does, in a sentence."},
        "inputs": _names({"anyOf": [{"$ref": "#/$defs/type"}, at_length]}, "What a run is given, by name, with types."),
        "outputs": {
            "type": "array",
            "items": {"type": "string", "pattern": _ID},
            "uniqueItems": True,
            "description": "The state keys that a run gives.",
        },
        "state": _names(
            {"anyOf": [{"$ref": "#/$defs/type"}, state, {"type": "null"}]}, "Of state keys, what cannot be inferred."
        ),
        "defaults": _object(defaults, "Policies of every node that says nothing else and can take them."),
        "limits": _object(
            {"deadline": {**deadline, "description": "The longest that a run may take."}}, "Limits of a run."
        ),
        "budget": {"$ref": "#/$defs/policy.budget", "description": "What a run of this graph may use."},
        "prices": {"type": "string", "minLength": 1, "description": "A file that says what models cost."},
        "overrides": _names(
            {"anyOf": [_TARGET, {"type": "array", "items": _TARGET, "minItems": 1}]},
            "The settings that a call may give anew, by name: NODE.SETTING.",
        ),
        "settings": _names(
            {"anyOf": [_PLACE, {"type": "array", "items": _PLACE, "minItems": 1}]},
            "Of a graph that is a node type: where its settings go, NODE.SETTING or NODE -> NODE.",
        ),
        "approval": _approval(),
        "store": {"$ref": "#/$defs/stores", "description": "Where runs are kept; beside the graph if it does not say."},
        "durability": {
            "enum": list(DURABILITY),
            "description": "When a step is on disk: async (default), sync, or at exit.",
        },
    }
    for section in SECTIONS:
        entry: Json = {"$ref": f"#/$defs/{section}"}
        if section == "prompts":
            entry = {"anyOf": [{"type": "string", "description": "A prompt file."}, entry]}
        found[section] = _names(entry, _TEXTS[section])
    found["nodes"] = _names({"$ref": "#/$defs/nodes"}, "The steps of the graph, by name.")
    found["nodes"]["propertyNames"]["not"] = {"enum": ["start", "end"]}
    found["edges"] = {
        "type": "array",
        "items": {"$ref": "#/$defs/edge"},
        "description": "The ways from start to end: chains of arrows, or one node's routes.",
    }
    return found


def _kind(kind: str) -> Json:
    """The definitions of a kind: one that chooses by `type`, and one for each type."""
    entries = [entry for entry in catalogue(kind) if not entry.fault]
    chosen: Json = {
        "type": "object",
        "properties": {"type": {"anyOf": [_constant(entry) for entry in entries]} if entries else False},
        "required": ["type"],
    }
    if entries:
        chosen["allOf"] = [
            {
                "if": {"properties": {"type": {"const": entry.name}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{kind}.{entry.name}"},
            }
            for entry in entries
        ]
    if kind == "prompts":  # a template may go without its type
        chosen["required"] = []
        chosen["if"] = {"not": {"required": ["type"]}}
        chosen["then"] = {"$ref": "#/$defs/prompts.template"}
    found: Json = {kind: chosen}
    for entry in entries:
        settings, required, inner = _settings(kind, entry.name)
        found.update(inner)
        name = f"{kind}.{entry.name}"
        typed: Json = {"type": _constant(entry), **settings}
        if kind == "nodes":
            same = {policy: {"$ref": f"#/$defs/policy.{policy}"} for policy in INHERITED}
            found[f"same.{entry.name}"] = _object({**settings, **same}, f"The same {entry.name} with other settings.")
            typed |= {policy: {"$ref": f"#/$defs/policy.{policy}"} for policy in NodePolicies.model_fields}
            typed |= _members(entry.name)
        found[name] = _object(typed, _explained(entry), required=required)
    return found


def _members(name: str) -> Json:
    """`fallback` and `race` of a type: the same with other settings, or another type."""
    one: Json = {
        "if": {"required": ["type"]},
        "then": {"$ref": "#/$defs/nodes"},
        "else": {"$ref": f"#/$defs/same.{name}"},
    }
    texts = descriptions(NodePolicies)
    either = [{"type": "object", **one}, {"type": "array", "items": {"type": "object", **one}}]
    return {policy: {"anyOf": either, "description": texts[policy]} for policy in ("fallback", "race")}


def _settings(kind: str, name: str) -> tuple[Json, list[str], Json]:
    """The properties of a type, the required ones, and the definitions that they refer to."""
    thing = registry.get(kind, name)
    if kind == "nodes" and not isinstance(thing, type):
        thing = node_type(thing)
    if not (isinstance(thing, type) and issubclass(thing, BaseModel)):
        return {}, [], {}
    schema = property_schemas(thing)
    texts = descriptions(thing)
    texts = {info.alias or field: texts[field] for field, info in thing.model_fields.items() if field in texts}
    prefix = f"{kind}.{name}."
    inner = {f"{prefix}{key}": _moved(value, prefix) for key, value in schema.get("$defs", {}).items()}
    found = {}
    for key, value in schema.get("properties", {}).items():
        moved = _moved(value, prefix)
        moved.pop("title", None)
        text = {"description": texts[key]} if key in texts else {}
        plain = moved.get("type") == "string" and not {"enum", "pattern", "format", "minLength", "maxLength"} & set(
            moved
        )
        found[key] = (
            {**moved, **text} if plain or not moved else {"anyOf": [moved, {"$ref": "#/$defs/reference"}], **text}
        )
        if "default" in moved:
            found[key]["default"] = moved.pop("default") if found[key] is not moved else moved["default"]
    return found, list(schema.get("required", [])), inner


def _policies() -> Json:
    """The policies by name, with their short forms."""
    schema = property_schemas(NodePolicies)
    inner = schema.get("$defs", {})
    texts = descriptions(NodePolicies)

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return inlined(inner[value["$ref"].rsplit("/", 1)[-1]])
            return {key: inlined(item) for key, item in value.items() if key != "title" or isinstance(item, dict)}
        return [inlined(item) for item in value] if isinstance(value, list) else value

    found: Json = {}
    for name, value in schema["properties"].items():
        found[name] = {**inlined(value), "description": texts[name]}
    short = [found["timeout"] | {"description": "How long a result may be reused, such as 10m."}, {"const": True}]
    found["cache"]["anyOf"] = [*short, *found["cache"]["anyOf"]]
    asked = {"type": "string", "description": "The question; {amount} stands for the state key of that name."}
    found["interrupt"]["anyOf"] = [{"type": "boolean"}, asked, *found["interrupt"]["anyOf"]]
    return found


def _edge() -> Json:
    name = {"type": "string", "pattern": _ID}
    route = _object(
        {
            "when": {"type": "string", "minLength": 1, "description": "A CEL condition over the state."},
            "to": {"anyOf": [name, {"type": "array", "items": name, "minItems": 1}], "description": "Where it leads."},
            "max_iterations": {
                "type": "integer",
                "minimum": 1,
                "description": "How often it may go back to its loop's start.",
            },
        },
        "A way on; of a node's routes the first whose condition holds is taken.",
        required=["to"],
    )
    routes = {"type": "array", "items": route, "minItems": 1, "description": "The ways on; the last has no condition."}
    chain = {
        "type": "string",
        "pattern": rf"^\s*{_NAMES}(\s*->\s*{_NAMES})+\s*$",
        "description": "A chain, such as a -> b -> c, a -> b, c or b, c -> d.",
    }
    block = _object(
        {"from": {**name, "description": "The node."}, "routes": routes},
        "A node's routes.",
        required=["from", "routes"],
    )
    return {"anyOf": [chain, block]}


def _type_words() -> Json:
    words = [*SCALARS, "json", "list", "map", *value_models()]
    return {
        "anyOf": [{"enum": words}, {"type": "string", "pattern": r"^\s*(list|map)\s*\[.+\]\s*$"}],
        "description": "A type: str, int, float, bool, json, list[T], map[T], or a value model such as Document.",
    }


def _constant(entry: TypeEntry) -> Json:
    return {"const": entry.name, "description": entry.summary}


def _explained(entry: TypeEntry) -> str:
    parts = [entry.summary, entry.text]
    parts += [f"Example: {entry.example}"] if entry.example else []
    return "\n\n".join(part for part in parts if part)


def _object(properties: Mapping[str, Any], text: str, *, required: list[str] | None = None) -> Json:
    found: Json = {"type": "object", "description": text, "properties": dict(properties), "additionalProperties": False}
    return found | ({"required": required} if required else {})


def _names(entry: Json, text: str) -> Json:
    return {"type": "object", "description": text, "propertyNames": {"pattern": _ID}, "additionalProperties": entry}


def _moved(value: Any, prefix: str) -> Any:
    """A schema whose references point to its own definitions in the whole."""
    if isinstance(value, dict):
        return {
            key: item.replace("#/$defs/", f"#/$defs/{prefix}")
            if key == "$ref" and isinstance(item, str)
            else _moved(item, prefix)
            for key, item in value.items()
        }
    return [_moved(item, prefix) for item in value] if isinstance(value, list) else value
