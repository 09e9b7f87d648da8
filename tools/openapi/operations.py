"""The operations of a document: found by name, told to a model, and made into requests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.orchestrator.schemas import unusable
from ragweave.tools.openapi.document import Document, Located, Place, shown_of
from ragweave.tools.openapi.parameters import STYLES, Parameter
from ragweave.tools.openapi.schemas import Schemas, text_of

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
SENT = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""RFC 9110, section 9.2.2: twice is as good as once."""
_NOT_OURS = frozenset({"accept", "content-type", "authorization"})
"""Headers that a document cannot ask a model for: the specification says to ignore them."""
KEY = "idempotency-key"
_TEMPLATE = re.compile(r"\{([^{}]*)\}")
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"


class Found(NamedTuple):
    """An operation as it stands in a document, not yet read."""

    name: str
    """For a model: that of the document where it has one."""
    said: str
    """Its `operationId`; empty if it has none."""
    method: str
    path: str
    at: Located
    item: Located
    """The path item around it."""

    @property
    def line(self) -> str:
        """The operation as a request begins."""
        return f"{self.method} {self.path}"

    def fits(self, pattern: str) -> bool:
        """True if a pattern means this one: its name, its operationId, or `GET /orders/*`."""
        return any(fnmatchcase(one, pattern) for one in (self.name, self.said, self.line) if one)


class Body(NamedTuple):
    """What is sent as content."""

    media_type: str
    fields: Mapping[str, Parameter] = {}
    """How each field of a form is written; fields that are not here are written as usual."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that a model may call."""

    name: str
    method: str
    path: str
    description: str
    schema: Mapping[str, Any]
    """JSON schema of the arguments."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """By the name of the argument."""
    body: Body | None = None
    body_argument: str = ""
    server: str = ""
    takes_key: str = ""
    """The header in which it takes an idempotency key, which is not the model's."""


class Unusable(ResourceError):
    """An operation asks for what cannot be sent; the others of the document are not worse for it."""


def find_operations(document: Document) -> list[Found]:
    """Every operation of a document, in its order. Raises ResourceError for a document that says them wrongly."""
    top = Located(document.data, ())
    paths = document.map(document.at(top, "paths", {}), "paths")
    found = []
    for path in paths:
        here = Located(paths[path], ("paths", path))
        if not str(path).startswith("/"):
            if str(path).startswith("x-"):
                continue
            raise document.fault(here.place, "a path begins with /")
        item = document.followed(here)
        for method in document.map(item, "a path"):
            if method not in METHODS:
                continue
            at = Located(item.value[method], (*item.place, method))
            said = document.map(at, "an operation").get("operationId", "")
            if not isinstance(said, str):
                raise document.fault((*at.place, "operationId"), f"a name is a text, and this is {shown_of(said)}")
            found.append(Found(_name(said or f"{method}{path}"), said, method.upper(), str(path), at, item))
    if not found:
        raise document.fault(("paths",), "there is no operation")
    return found


def chosen(document: Document, found: Sequence[Found], patterns: Sequence[str]) -> dict[str, Found]:
    """The operations that patterns mean, by name. Raises ResourceError for a pattern that means none, and for two
    operations of one name."""
    for pattern in patterns:
        if not any(one.fits(pattern) for one in found):
            known = [one.line if " " in pattern else one.said or one.name for one in found]
            raise ResourceError(f"{document.shown} has no operation {pattern!r}{did_you_mean(pattern, known)}")
    listed: dict[str, Found] = {}
    for one in found:
        if any(one.fits(pattern) for pattern in patterns):
            other = listed.setdefault(one.name, one)
            if other is not one:
                message = f"{other.line} and {one.line} are both called {one.name!r}"
                raise document.fault(one.at.place, message, f"choose one of them, such as {one.line!r}")
    return listed


class Reading:
    """Makes operations of what stands in a document."""

    def __init__(self, document: Document, given: Sequence[tuple[str, str]] = ()) -> None:
        """`given` are the parameters that the author gives: place (`header`, `query`, `cookie`) and name."""
        self.document = document
        self._given = {(place, name.lower() if place == "header" else name) for place, name in given}

    def read(self, found: Found) -> Operation:
        """Raises ResourceError for what is wrong, Unusable for what cannot be sent."""
        try:
            return self._read(found)
        except RecursionError:
            raise self.document.fault(found.at.place, "its schemas are nested too deep") from None

    def _read(self, found: Found) -> Operation:
        if found.method not in SENT:
            raise self._unusable(found.at.place, f"{found.method} is not sent", f"there is: {', '.join(SENT)}")
        schemas = Schemas(self.document)
        properties: dict[str, Any] = {}
        required: list[str] = []
        parameters: dict[str, Parameter] = {}
        takes_key = ""
        for at in self._parameters(found):
            one, schema, needed = self._parameter(at, schemas)
            if one is None:
                continue
            if one.place == "header" and one.name.lower() == KEY:
                takes_key = one.name
                continue
            name = _argument(one.name, one.place, properties)
            properties[name], parameters[name] = schema, one
            required += [name] * needed
        self._check_path(found, parameters)
        body, name = self._body(found, schemas, properties, required)
        arguments: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            arguments["required"] = required
        if definitions := schemas.complete():
            arguments["$defs"] = definitions
        if wrong := unusable(arguments):
            raise self.document.fault(found.at.place, f"its arguments cannot be checked: {wrong}")
        said = self._said(found)
        return Operation(found.name, found.method, found.path, said, arguments, parameters, body, name,
                         self._server(found), takes_key)  # fmt: skip

    def _unusable(self, place: Place, message: str, hint: str = "") -> Unusable:
        fault = self.document.fault(place, message, hint)
        return Unusable(fault.message, hint=fault.hint)

    def _said(self, found: Found) -> str:
        operation = found.at.value
        texts = [text_of(operation.get("summary"), 200), text_of(operation.get("description"))]
        said = "\n".join(dict.fromkeys(text for text in texts if text)) or found.line
        return f"{said}\n(deprecated)" if operation.get("deprecated") is True else said

    def _parameters(self, found: Found) -> list[Located]:
        """Those of the path, then those of the operation, which replace the ones of the same name and place."""
        by_key: dict[tuple[str, str], Located] = {}
        for around in (found.item, found.at):
            listed = self.document.list(self.document.at(around, "parameters", []), "parameters")
            for entry in map(self.document.followed, listed):
                one = self.document.map(entry, "a parameter")
                name, place = one.get("name"), one.get("in")
                if not isinstance(name, str) or not name:
                    raise self.document.fault(entry.place, "a parameter has a name")
                if place not in STYLES:
                    known = did_you_mean(str(place), STYLES)
                    raise self.document.fault((*entry.place, "in"), f"{shown_of(place)} is no place{known}")
                by_key[str(place), name] = entry
        return list(by_key.values())

    def _parameter(self, at: Located, schemas: Schemas) -> tuple[Parameter | None, Any, bool]:
        """How it is written, its schema, and whether it is needed; None for one that is not the model's."""
        one = at.value
        place, name = str(one["in"]), str(one["name"])
        low = name.lower() if place == "header" else name
        if (place, low) in self._given or (place == "header" and low in _NOT_OURS):
            return None, None, False
        style = one.get("style", STYLES[place][0])
        if style not in STYLES[place]:
            known = did_you_mean(str(style), STYLES[place])
            raise self.document.fault((*at.place, "style"), f"no {place} has the style {shown_of(style)}{known}")
        explode = one.get("explode", style in ("form", "deepObject"))
        schema: Any = {}
        content = self.document.map(self.document.at(at, "content", {}), "content")
        as_json = bool(content)
        if as_json:
            media_type = next(iter(content))
            if not _is_json(str(media_type)):
                raise self._unusable((*at.place, "content"), f"a parameter of {shown_of(media_type)} is not written")
            inside = Located(content[media_type], (*at.place, "content", media_type))
            schema = schemas.of(self.document.at(inside, "schema", {}))
        elif "schema" in one:
            schema = schemas.of(self.document.at(at, "schema", {}))
        said = text_of(one.get("description"))
        if said and isinstance(schema, dict):
            schema = {**schema, "description": said}
        parameter = Parameter(name, place, style, explode is True, one.get("allowReserved") is True, as_json)
        return parameter, schema, one.get("required") is True or place == "path"

    def _check_path(self, found: Found, parameters: Mapping[str, Parameter]) -> None:
        told = {one.name for one in parameters.values() if one.place == "path"}
        for name in _TEMPLATE.findall(found.path):
            if name not in told:
                raise self.document.fault(
                    found.at.place, f"the path has {{{name}}}, which is no parameter{did_you_mean(name, told)}"
                )
        for name in told - set(_TEMPLATE.findall(found.path)):
            raise self.document.fault(found.at.place, f"the path parameter {name!r} does not stand in {found.path}")

    def _body(
        self, found: Found, schemas: Schemas, properties: dict[str, Any], required: list[str]
    ) -> tuple[Body | None, str]:
        if "requestBody" not in found.at.value:
            return None, ""
        at = self.document.followed(self.document.at(found.at, "requestBody", {}))
        content = self.document.at(at, "content", {})
        kinds = {str(kind).partition(";")[0].strip().lower(): kind for kind in self.document.map(content, "content")}
        kind = next((one for one in kinds if _is_json(one)), next((one for one in (FORM, PARTS) if one in kinds), ""))
        kind = kind or next((one for one in kinds if one in ("text/plain", "*/*", "text/*")), "")
        if not kind:
            raise self._unusable(content.place, f"its content ({', '.join(kinds) or 'of no kind'}) is not sent",
                                 f"there is: application/json, {FORM}, {PARTS}, text/plain")  # fmt: skip
        inside = Located(content.value[kinds[kind]], (*content.place, kinds[kind]))
        self.document.map(inside, "the content of a request")
        name = _argument("body", "content", properties)
        schema = self.document.at(inside, "schema", {})
        fields = self._fields(found, inside, schema, schemas, kind) if kind in (FORM, PARTS) else {}
        made = schemas.of(schema)
        if said := text_of(at.value.get("description")):
            made = {**made, "description": said} if isinstance(made, dict) else made
        properties[name] = made
        required += [name] * (at.value.get("required") is True)
        return Body({"*/*": "application/json", "text/*": "text/plain"}.get(kind, kind), fields), name

    def _fields(
        self, found: Found, inside: Located, schema: Located, schemas: Schemas, kind: str
    ) -> dict[str, Parameter]:
        """How the fields of a form are written. Raises Unusable for a file, and for what is no object."""
        told, _, is_object = schemas.whole(schema)
        if not is_object:
            raise self._unusable(schema.place, "a form is an object of its fields")
        encoding = self.document.map(self.document.at(inside, "encoding", {}), "encoding")
        fields = {}
        for name, one in told.items():
            flat = schemas.keys(one)
            items = flat.get("items")
            inner = schemas.keys(items) if isinstance(items, Located) else {}
            if any(each.get("format") == "binary" or "contentMediaType" in each for each in (flat, inner)):
                raise self._unusable(one.place, f"the field {name!r} is a file, which is not sent")
            said = self.document.map(Located(encoding.get(name, {}), (*inside.place, "encoding", name)), "an encoding")
            style = said.get("style", "form")
            if style not in STYLES["query"]:
                raise self.document.fault(
                    (*inside.place, "encoding", name), f"no field has the style {shown_of(style)}"
                )
            deep = flat.get("type") == "object" and "style" not in said
            explode = said.get("explode", style in ("form", "deepObject"))
            fields[name] = Parameter(name, "query", style, explode is True, False, deep)
        return fields

    def _server(self, found: Found) -> str:
        """Where the document says that an operation is, its variables filled in; empty if it does not say."""
        for around in (found.at, found.item, Located(self.document.data, ())):
            listed = self.document.list(self.document.at(around, "servers", []), "servers")
            if listed:
                server = self.document.map(listed[0], "a server")
                url = server.get("url", "")
                if not isinstance(url, str):
                    raise self.document.fault(listed[0].place, f"a url is a text, and this is {shown_of(url)}")
                variables = self.document.map(self.document.at(listed[0], "variables", {}), "variables")
                for name, one in variables.items():
                    default = one.get("default", "") if isinstance(one, Mapping) else ""
                    url = url.replace(f"{{{name}}}", str(default))
                return url
        return ""


def fingerprint(operations: Sequence[Operation]) -> str:
    """The hash of what the document says of operations: what a model is told, and what is sent where."""
    import json

    told = [
        [one.name, one.method, one.path, one.description, one.schema, one.parameters, one.body, one.server]
        for one in sorted(operations, key=lambda one: one.name)
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def server_fault(url: str) -> str:
    """Why requests cannot be sent to an address; empty if they can."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in ("http", "https") or not host:
        return "it does not begin with https://HOST or http://HOST"
    if "@" in parts.netloc:
        return "it has a user or a password; give them as headers"
    if parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f-\xa0\\{}*]", url):
        return "it has a query, a variable or a character that does not belong there"
    return ""


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "operation"


def short_name(name: str, most: int) -> str:
    """A name that is cut to what providers of models take, and is still like no other."""
    if len(name) <= most:
        return name
    return f"{name[: most - 7]}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _argument(name: str, place: str, taken: Mapping[str, Any]) -> str:
    """The argument of a parameter: its name in the letters that providers of models take, and no other's."""
    wanted = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.")[:56] or place
    return next(one for one in _numbered(wanted, place) if one not in taken)


def _numbered(name: str, place: str) -> Iterator[str]:
    yield name
    yield f"{name}_{place}"[:64]
    number = 1
    while True:
        number += 1
        yield f"{name}_{number}"


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
