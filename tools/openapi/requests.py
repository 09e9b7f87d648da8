"""A call of an operation as one HTTP request."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.openapi.operations import FORM, PARTS, Operation
from ragweave.tools.openapi.parameters import Parameter, in_header, in_path, in_query, scalar

_TEMPLATE = re.compile(r"\{([^{}]*)\}")


class Request(NamedTuple):
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


def request_of(operation: Operation, base: str, arguments: Mapping[str, Any], *, key: str = "") -> Request:
    """The request of a call; `base` is the address that its path is below, `key` that of the call.

    Raises ToolError for an argument that would make it the request of another operation.
    """
    by_place: dict[str, list[tuple[str, Parameter, Any]]] = {"path": [], "query": [], "header": [], "cookie": []}
    for name, one in operation.parameters.items():
        if arguments.get(name) is not None:
            by_place[one.place].append((name, one, arguments[name]))
    try:
        path = _path(operation.path, by_place["path"])
        query = "&".join(part for _, one, value in by_place["query"] for part in in_query(one, value))
        headers = {one.name.lower(): in_header(one, value) for _, one, value in by_place["header"]}
        crumbs = [part for _, one, value in by_place["cookie"] for part in in_query(one, value)]
        body = _body(operation, arguments, headers)
    except UnicodeEncodeError:
        raise ToolError("an argument holds half of a pair of surrogates, which is no character") from None
    if crumbs:
        headers["cookie"] = "; ".join(crumbs)
    if key and operation.takes_key:
        headers[operation.takes_key.lower()] = key
    return Request(operation.method, f"{base.rstrip('/')}{path}{'?' if query else ''}{query}", headers, body)


def _path(template: str, values: list[tuple[str, Parameter, Any]]) -> str:
    texts = {}
    for name, one, value in values:
        text = in_path(one, value)
        plain = _plain(text)
        # Servers decode a path before they choose what to do, and some do it twice: none of these may lead elsewhere.
        if not plain or re.search(r"[/\\]", plain):
            raise ToolError(f"{name}: {'an empty text' if not plain else 'a slash'} cannot stand in a path")
        texts[one.name] = text
    path = _TEMPLATE.sub(lambda match: texts.get(match[1], ""), template)
    for part in path.split("/"):
        if _plain(part) in (".", ".."):
            names = ", ".join(name for name, _, _ in values)
            raise ToolError(f"{names}: {_plain(part)!r} cannot stand in a path")
    return quote(path, safe="/%:@!$&'()*+,;=~")


def _plain(text: str) -> str:
    for _ in range(8):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text


def _body(operation: Operation, arguments: Mapping[str, Any], headers: dict[str, str]) -> bytes | None:
    body = operation.body
    if body is None or operation.body_argument not in arguments:
        return None
    value = arguments[operation.body_argument]
    headers["content-type"] = body.media_type
    if body.media_type == FORM:
        return "&".join(part for one, item in _fields(body.fields, value) for part in in_query(one, item)).encode()
    if body.media_type == PARTS:
        boundary = secrets.token_hex(16)
        headers["content-type"] = f"{PARTS}; boundary={boundary}"
        return _parts(boundary, _fields(body.fields, value))
    if body.media_type == "text/plain":
        headers["content-type"] = "text/plain; charset=utf-8"
        return scalar(value).encode()
    return json.dumps(value, ensure_ascii=False).encode()


def _fields(known: Mapping[str, Parameter], value: Any) -> list[tuple[Parameter, Any]]:
    if not isinstance(value, Mapping):
        raise ToolError(f"body: a form has fields, and this is {type(value).__name__}")
    usual = Parameter("", "query", "form", True)
    return [(known.get(name, usual._replace(name=name)), item) for name, item in value.items() if item is not None]


def _parts(boundary: str, fields: list[tuple[Parameter, Any]]) -> bytes:
    lines = []
    for one, item in fields:
        name = quote(one.name, safe=" ")  # with quotes and ends of lines, a name would become a header
        for each in item if isinstance(item, list) else [item]:
            lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", scalar(each)]
    return "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
