"""Schemas of OpenAPI 3.0 and 3.1 as JSON Schema (draft 2020-12), for a model to read and its arguments to be held
against.

What differs: `nullable`, `exclusiveMinimum: true` and `readOnly` of 3.0 are turned into what JSON Schema says instead;
`allOf` of objects becomes one object, which can be closed to what it does not name; `oneOf` becomes `anyOf`, since its
arms are often told apart by a discriminator only. Patterns are told in words and never run: one of a stranger may
take for ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ragweave.orchestrator.errors import did_you_mean
from ragweave.tools.openapi.document import Document, Located, Place, shown_of

MOST_PARTS = 5_000
"""Schemas that the arguments of one operation may have inside; a model is told all of them."""
LONGEST_TEXT = 1_000

_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_KEPT = {
    "enum", "const", "default", "format", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "maxLength", "minLength", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "minContains",
    "maxContains", "dependentRequired", "contentMediaType", "contentEncoding",
}  # fmt: skip
_ONE = ("items", "contains", "additionalProperties", "unevaluatedItems", "not", "if", "then", "else")
_SAID = ("title", "description", "default", "example", "examples", "deprecated", "externalDocs", "xml", "discriminator")
_TOGETHER = ("anyOf", "oneOf")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)


def text_of(value: Any, most: int = LONGEST_TEXT) -> str:
    """A description as a model is told it: without what nobody sees, and not without end."""
    if not isinstance(value, str):
        return ""
    text = _INVISIBLE.sub("", value).strip()
    return text if len(text) <= most else f"{text[:most]}…"


class Schemas:
    """Schemas of one operation, with the definitions that they share."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.definitions: dict[str, Any] = {}
        self._names: dict[tuple[Place, bool], str] = {}
        self._waiting: list[tuple[str, Located, bool]] = []
        self._ending: set[str] = set()
        self._parts = 0

    def of(self, found: Located, *, open_: bool = False) -> Any:
        """The JSON schema; `open_` where objects take what they do not name, since others name it beside them.

        Raises ResourceError for what is no schema, and for references that never end."""
        schema = found.value
        if isinstance(schema, bool):
            return schema
        self._count(found)
        if isinstance(schema, Mapping) and "$ref" in schema:
            beside = {key: schema[key] for key in schema if key != "$ref"}
            if self.document.old or not beside.keys() - {"description", "title", "summary", "$comment"}:
                name = self._named(self.document.followed(found), open_)
                said = text_of(schema.get("description"))
                return {"$ref": f"#/$defs/{name}", **({"description": said} if said else {})}
        return self._made(self._flat(found, ()), open_)

    def whole(self, found: Located) -> tuple[dict[str, Located], frozenset[str], bool]:
        """The properties of an object that fields are sent of, those that are needed, and whether it is one."""
        flat = self._flat(found, ())
        properties = flat.get("properties", {})
        return properties, frozenset(flat.get("required", ())), flat.get("type", "object") == "object"

    def keys(self, found: Located) -> dict[str, Any]:
        """What is said of a value, references followed."""
        return self._flat(found, ()) if not isinstance(found.value, bool) else {}

    def _named(self, target: Located, open_: bool) -> str:
        key = (target.place, open_)
        if key not in self._names:
            wanted = re.sub(r"[^A-Za-z0-9_]+", "_", str(target.place[-1] if target.place else "document"))[:60]
            name = wanted = (wanted or "schema") + ("_open" if open_ else "")
            number = 1
            while name in self.definitions:
                number += 1
                name = f"{wanted}_{number}"
            self._names[key] = name
            self.definitions[name] = {}
            self._waiting.append((name, target, open_))
        return self._names[key]

    def complete(self) -> dict[str, Any]:
        """The definitions, once everything that names them was asked for. Raises ResourceError as `of` does, and for
        those that would be judged without end."""
        while self._waiting:
            name, target, open_ = self._waiting.pop()
            self.definitions[name] = self.of(target, open_=open_)
        for name in self.definitions:
            self._refuse_endless(name, ())
        return self.definitions

    def _refuse_endless(self, name: str, way: tuple[str, ...]) -> None:
        if name in self._ending:
            return
        if name in way:
            raise self.document.fault((), f"the schema {name!r} is made of itself, in a circle")
        for other in _same(self.definitions[name]):
            self._refuse_endless(other, (*way, name))
        self._ending.add(name)

    def _flat(self, found: Located, around: tuple[Place, ...]) -> dict[str, Any]:
        """A schema in the words of JSON Schema, without references and `allOf`: each key holds what is there, with
        its places."""
        beside = found
        found = self.document.followed(found)
        if found.place in around:
            raise self.document.fault(found.place, "the schema is made of itself, in a circle")
        if isinstance(found.value, bool):
            return {} if found.value else {"not": Located({}, found.place)}
        self._count(found)
        whole = self._keys(found)
        if beside is not found and not self.document.old:  # since 3.1, what stands beside a reference counts too
            rest = {key: value for key, value in beside.value.items() if key != "$ref"}
            whole = self._keys(Located(rest, beside.place))
            _merge(whole, self._flat(found, around))
            return whole
        for arm in whole.pop("allOf", ()):
            _merge(whole, self._flat(arm, (*around, found.place)))
        return whole

    def _keys(self, found: Located) -> dict[str, Any]:
        document, schema = self.document, self.document.map(found, "a schema")
        made: dict[str, Any] = {key: schema[key] for key in schema if key in _KEPT or key in ("title", "description")}
        for key in _ONE:
            if key in schema and not (key == "additionalProperties" and schema[key] is None):
                made[key] = Located(schema[key], (*found.place, key))
        for key in ("allOf", "anyOf", "oneOf", "prefixItems"):
            if key in schema:
                made[key] = document.list(Located(schema[key], (*found.place, key)), key)
        for key in ("properties", "dependentSchemas"):
            if key in schema:
                inside = Located(schema[key], (*found.place, key))
                entries = document.map(inside, key).items()
                made[key] = {str(name): Located(one, (*inside.place, name)) for name, one in entries}
        if "patternProperties" in schema:
            made.setdefault("additionalProperties", Located(True, found.place))
        if isinstance(schema.get("pattern"), str):
            made["pattern"] = schema["pattern"]
        if "required" in schema and not isinstance(schema["required"], bool):
            names = document.list(Located(schema["required"], (*found.place, "required")), "required")
            made["required"] = [self._name(one) for one in names]
        if "type" in schema:
            made["type"] = self._type(Located(schema["type"], (*found.place, "type")))
        _renewed(made, schema)
        self._without_what_only_answers(made)
        return made

    def _name(self, found: Located) -> str:
        if not isinstance(found.value, str):
            raise self.document.fault(found.place, f"a name is a text, and this is {shown_of(found.value)}")
        return found.value

    def _type(self, found: Located) -> Any:
        named = found.value if isinstance(found.value, list) else [found.value]
        for one in named:
            if one not in _TYPES:
                known = did_you_mean(str(one), _TYPES)
                raise self.document.fault(found.place, f"there is no type {shown_of(one)}{known}")
        return found.value if len(named) != 1 else named[0]

    def _without_what_only_answers(self, made: dict[str, Any]) -> None:
        """Leave out the properties that are `readOnly`, and need none of them."""
        left_out = set()
        for name, one in made.get("properties", {}).items():
            if isinstance(one.value, Mapping):
                meant = self.document.followed(one).value
                if isinstance(meant, Mapping) and (meant.get("readOnly") or one.value.get("readOnly")) is True:
                    left_out.add(name)
        if left_out:
            made["properties"] = {name: one for name, one in made["properties"].items() if name not in left_out}
            made["required"] = [name for name in made.get("required", ()) if name not in left_out]

    def _made(self, flat: dict[str, Any], open_: bool) -> dict[str, Any]:
        """The schema for a model, of one whose parts are still where they stand."""
        made: dict[str, Any] = {
            key: value for key, value in flat.items() if key in _KEPT or key in ("type", "required")
        }
        if not made.get("required", True):
            del made["required"]
        composed = any(key in flat for key in ("anyOf", "oneOf", "if", "dependentSchemas", "allOf"))
        shared = composed and ("properties" in flat or open_)
        for key in _ONE:
            if key in flat:
                made[key] = self.of(flat[key], open_=key in ("not", "if", "then", "else"))
        for key in ("anyOf", "oneOf", "prefixItems"):
            if key in flat:
                arms = [self.of(arm, open_=shared and key != "prefixItems") for arm in flat[key]]
                made["anyOf" if key == "oneOf" and "anyOf" not in made else key] = arms
        if "allOf" in flat:
            made["allOf"] = [self._made(arm, True) for arm in flat["allOf"]]
        if "dependentSchemas" in flat:
            made["dependentSchemas"] = {
                name: self.of(one, open_=True) for name, one in flat["dependentSchemas"].items()
            }
        if "properties" in flat:
            made["properties"] = {name: self.of(one) for name, one in flat["properties"].items()}
            made.setdefault("additionalProperties", shared or open_)
        if flat.get("nullable"):
            made = _or_null(made)
        said = text_of(flat.get("description")) or text_of(flat.get("title"), 200)
        if "pattern" in flat:
            said = f"{said} (pattern: {text_of(flat['pattern'], 200)})".strip()
        return {"description": said, **made} if said else made

    def _count(self, found: Located) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise self.document.fault(found.place, f"the arguments have more than {MOST_PARTS:,} parts")


def _renewed(made: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """What 3.0 says otherwise than JSON Schema; nobody says so in 3.1, where it would mean nothing."""
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(made.get(exclusive), bool) and made.pop(exclusive) and bound in made:
            made[exclusive] = made.pop(bound)
    if schema.get("nullable") is True:
        made["nullable"] = True


def _or_null(made: dict[str, Any]) -> dict[str, Any]:
    if "enum" in made and isinstance(made["enum"], list) and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
    kind = made.get("type")
    if kind is None:
        inside = {key: value for key, value in made.items() if key != "default"}
        return {"anyOf": [inside, {"type": "null"}]} if inside else made
    kinds = kind if isinstance(kind, list) else [kind]
    arms = ("anyOf", "oneOf", "allOf", "const", "not", "if")
    if any(key in made for key in arms):
        return {"anyOf": [made, {"type": "null"}]}
    return {**made, "type": kinds if "null" in kinds else [*kinds, "null"]}


def _merge(whole: dict[str, Any], arm: dict[str, Any]) -> None:
    """Put what one more schema asks into one that asks for other things. What cannot be said in one is said beside."""
    beside: dict[str, Any] = {}
    together = {"if", "then", "else", "contains", "minContains", "maxContains"}
    for key, value in arm.items():
        mine = whole.get(key)
        if key == "nullable":
            continue  # null has to be allowed by all
        if key not in whole and not (key in together and whole.keys() & together):
            whole[key] = value
        elif key == "properties":
            merged = dict(mine or {})
            for name, one in value.items():
                merged[name] = one if name not in merged else _both(merged[name], one)
            whole[key] = merged
        elif key == "required":
            whole[key] = list(dict.fromkeys([*(mine or ()), *value]))
        elif key == "allOf":
            whole[key] = [*(mine or ()), *value]
        elif key == "additionalProperties":
            if value.value is False:
                whole[key] = value
        elif key == "type" and {mine if isinstance(mine, str) else "", value if isinstance(value, str) else ""} == {
            "integer",
            "number",
        }:
            whole[key] = "integer"
        elif key not in _SAID and mine != value:
            beside[key] = value
    if beside:
        if beside.keys() & together:
            beside |= {key: arm[key] for key in arm if key in together}
        whole["allOf"] = [*whole.get("allOf", ()), beside]


def _both(one: Located, other: Located) -> Located:
    """Two schemas of one property, both of which hold."""
    if one.value == other.value:
        return one
    again = isinstance(one.value, Mapping) and one.place[-1:] == ("both",)
    arms = [*(one.value["allOf"] if again else [_pointed(one)]), _pointed(other)]
    return Located({"allOf": arms}, one.place if again else (*one.place, "both"))


def _pointed(one: Located) -> dict[str, Any]:
    """A reference to where something stands, so that it keeps its place."""
    parts = (str(part).replace("~", "~0").replace("/", "~1").replace("%", "%25") for part in one.place)
    return {"$ref": "#/" + "/".join(parts)}


def _same(schema: Any) -> Iterator[str]:
    """The definitions that judge the very value which this schema judges."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield str(schema["$ref"]).rpartition("/")[2]
    for key in ("allOf", "anyOf", "oneOf"):
        for arm in schema.get(key, ()):
            yield from _same(arm)
    for key in ("not", "if", "then", "else"):
        yield from _same(schema.get(key))
    for one in schema.get("dependentSchemas", {}).values():
        yield from _same(one)
