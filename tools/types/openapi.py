"""`type: openapi`."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from pydantic import Field, PositiveInt, PrivateAttr, SecretStr

from ragweave.orchestrator import sources
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolSpec
from ragweave.orchestrator.errors import ResourceError, ToolError, did_you_mean
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.bridge import wait_for
from ragweave.tools.egress import Browser, Egress
from ragweave.tools.egress.addresses import refusal
from ragweave.tools.egress.fetch import checked_headers
from ragweave.tools.openapi.document import MAX_BYTES, Document, read_document
from ragweave.tools.openapi.operations import (
    IDEMPOTENT,
    Found,
    Operation,
    Reading,
    Unusable,
    chosen,
    find_operations,
    fingerprint,
    server_fault,
    short_name,
)  # fmt: skip
from ragweave.tools.openapi.requests import request_of

if TYPE_CHECKING:
    from ragweave.tools.egress import Fetched

_LONGEST_NAME = 64
"""Characters of a tool's name that providers of models take."""
_SHORT = 1_000
"""Characters of the content of an error that a model is shown."""
_READABLE = re.compile(r"text/.*|application/(.*\+)?(json|xml|x-ndjson|yaml|x-yaml|problem\+json)|")
_READING = ("GET", "HEAD")
_LOCAL = ("127.0.0.1", "::1")


class OpenApi(Tool, type="openapi"):
    """The operations of an HTTP interface that an OpenAPI 3 document describes.

    What the document says is not trusted: only the operations that are listed can be called, a call counts as an effect
    unless `read_only` names it, requests go to one host and to nothing of the inside, and keys only to an address that
    you name.
    """

    document: str = Field(min_length=1, description="The document: a file, relative to the graph file, or https://….")
    operations: list[str] = Field(
        min_length=1, description="What is offered: names, `GET /orders/*`, or patterns; * is any characters."
    )
    read_only: list[str] = Field(
        [], description="Those of them, GET or HEAD, of which you know that they change nothing."
    )
    base_url: str = Field("", description="The address that the paths are below, in place of the document's servers.")
    headers: dict[str, SecretStr] = Field({}, description="What is sent with each request, such as a key.")
    query: dict[str, SecretStr] = Field({}, description="The same, for keys that stand in the address.")
    allow_private: list[str] = Field(
        [], description="Addresses of the inside that may be reached, with their ports: `10.0.0.5:8080`."
    )
    pinned: str = Field("", description="The hash of what the document says; `ragweave doctor` shows it.")
    max_bytes: PositiveInt = Field(1_000_000, description="Bytes of an answer that are read.")

    _offered: dict[str, tuple[Operation, str]] = PrivateAttr({})
    _lines: dict[str, Found] = PrivateAttr({})
    _left_out: list[str] = PrivateAttr([])

    def check_settings(self) -> None:
        """Raise ResourceError for addresses that are none, and for keys that would be sent in the open."""
        for setting in ("base_url", *(["document"] if self._is_far else [])):
            url = getattr(self, setting)
            if url and (wrong := server_fault(url)) and not (setting == "document" and "query" in wrong):
                raise ResourceError(f"{setting}: {url!r} cannot be asked: {wrong}")
        if self._is_far and not self.document.startswith("https://") and not _named(self.document):
            raise ResourceError(f"document: {self.document!r} can be changed on its way", hint="give an https address")
        self._egress(self.base_url or "https://example.org")
        try:
            checked_headers({name: value.get_secret_value() for name, value in self.headers.items()})
        except ToolError as error:
            raise ResourceError(f"headers: {error.message}") from None

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError for a document that is missing or wrong, and for operations that it does not have."""
        if not self._is_far:
            self._read(self._local(folder))

    def open(self, resources: Resources) -> None:
        """Read the document. Raises ResourceError."""
        self.check_settings()
        document = wait_for(self._fetched()) if self._is_far else self._local(resources.folder)
        self._read(document)
        if self.pinned and self.pinned != self.fingerprint():
            raise ResourceError(
                f"{self.document} says otherwise than when it was pinned",
                hint="leave `pinned` out, look at what `ragweave doctor` shows of it, and pin it anew",
            )
        for left_out in self._left_out:
            resources.say_once(f"{self._declared_as or 'openapi'}: left out is {left_out}")

    def fingerprint(self) -> str:
        """The hash of names, descriptions, schemas and requests of the operations that are offered."""
        return fingerprint([one for one, _ in self._offered.values()])

    def specs(self) -> Sequence[ToolSpec]:
        """The operations that are offered."""
        return tuple(
            ToolSpec(
                one.description,
                one.schema,
                name,
                "read" if self._only_reads(one) else "external",
                one.method in IDEMPOTENT,
            )
            for name, (one, _) in self._offered.items()
        )

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """What the server answers. Raises ToolError with the status where that is 400 or more."""
        operation, base = self._offered[name]
        key = ctx.key if ctx.run_id else uuid.uuid4().hex  # outside a run, no two calls have a name
        request = request_of(operation, base, arguments, key=hashlib.sha256(key.encode()).hexdigest()[:32])
        headers = dict(request.headers) | {"accept": "application/json, text/*;q=0.9, */*;q=0.1"}
        for given, value in self.headers.items():
            low, text = given.lower(), value.get_secret_value()
            headers[low] = f"{headers[low]}; {text}" if low == "cookie" and low in headers else text
        url = request.url
        for given, value in self.query.items():
            url += f"{'&' if '?' in url else '?'}{quote(given, safe='')}={quote(value.get_secret_value(), safe='')}"
        try:
            found = await Browser(self._egress(base)).fetch(url, request.method, headers=headers, body=request.body)
        except ToolError as error:
            said = self._without_keys(error.message)
            if said == error.message:
                raise
            raise type(error)(said, hint=error.hint, transient=error.transient) from None
        return self._told(found)

    def _told(self, found: Fetched) -> str:
        text = self._without_keys(found.text)
        if not _READABLE.fullmatch(found.content_type):
            text = f"[{found.content_type}, which cannot be shown here]"
        try:
            status = f"{found.status} {HTTPStatus(found.status).phrase}"
        except ValueError:
            status = str(found.status)
        if found.status >= 400:
            short = text if len(text) <= _SHORT else f"{text[:_SHORT]}…"
            raise ToolError(f"the server answered {status}{f': {short}' if short.strip() else ''}")
        if not text.strip():
            return f"done ({status})"
        return f"{text}\n(the rest was cut)" if found.truncated else text

    def _without_keys(self, text: str) -> str:
        for value in (*self.headers.values(), *self.query.values()):
            for secret in (value.get_secret_value(), value.get_secret_value().rpartition(" ")[2]):
                if len(secret) >= 6:
                    text = text.replace(secret, "***")
        return text

    @property
    def _is_far(self) -> bool:
        return self.document.startswith(("https://", "http://"))

    def _local(self, folder: Path) -> Document:
        path = folder / Path(self.document).expanduser()
        try:
            return read_document(sources.read_bytes(path), self.document)
        except (OSError, ValueError):
            near = sorted(one.name for one in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
            raise ResourceError(f"there is no document {self.document!r}{did_you_mean(path.name, near)}") from None

    async def _fetched(self) -> Document:
        policy = self._egress(self.document, max_bytes=MAX_BYTES, methods=("GET",))
        try:
            found = await Browser(policy).fetch(self.document)
        except ToolError as error:
            raise ResourceError(f"the document cannot be fetched: {error.message}", hint=error.hint) from None
        if found.status != 200 or found.truncated:
            why = "is too large" if found.truncated else f"is not there: the server answered {found.status}"
            raise ResourceError(f"the document {self.document!r} {why}")
        return read_document(found.text.encode(), self.document)

    def _read(self, document: Document) -> None:
        given = [*(("header", name) for name in self.headers), *(("query", name) for name in self.query)]
        reading = Reading(document, given)
        found = chosen(document, find_operations(document), self.operations)
        offered: dict[str, tuple[Operation, str]] = {}
        left_out = []
        most = max(_LONGEST_NAME - len(self._declared_as.partition(".")[2]) - 1, 16)
        for one in found.values():
            try:
                operation = reading.read(one)
            except Unusable as error:
                if any("*" not in pattern and one.fits(pattern) for pattern in self.operations):
                    raise
                left_out.append(str(error))
                continue
            offered[short_name(operation.name, most)] = (operation, self._base(document, operation))
        if not offered:
            raise ResourceError(f"no operation can be offered: {left_out[0]}")
        self._lines = {one.name: found[one.name] for one, _ in offered.values()}
        self._offered, self._left_out = offered, left_out
        self._check_read_only()

    def _check_read_only(self) -> None:
        for pattern in self.read_only:
            meant = [one for one in self._lines.values() if one.fits(pattern)]
            if not meant:
                known = did_you_mean(pattern, self._lines)
                raise ResourceError(f"read_only: no operation is offered as {pattern!r}{known}")
            if all(one.method not in _READING for one in meant):
                raise ResourceError(
                    f"read_only: {meant[0].name!r} is a {meant[0].method}", hint="only GET and HEAD can be such"
                )

    def _base(self, document: Document, operation: Operation) -> str:
        """Where an operation is. Raises ResourceError where the document says so by itself, and may not."""
        if self.base_url:
            return self.base_url
        url = operation.server
        if self._is_far:
            url = urljoin(self.document, url)
        if not urlsplit(url).scheme:
            where = f"{url!r} alone" if url else "nothing"
            raise ResourceError(f"{document.shown} says {where} of where {operation.name!r} is", hint="write base_url")
        if wrong := server_fault(url):
            raise ResourceError(f"{document.shown}: {operation.name!r} is at {url!r}: {wrong}", hint="write base_url")
        if self._is_far and _origin(url) != _origin(self.document):
            raise ResourceError(
                f"{self.document} says that requests go to another server, {url!r}",
                hint=f"if that is right, write base_url: {url}",
            )
        if not self._is_far and (self.headers or self.query):
            raise ResourceError(
                f"headers and query would be sent to where {document.shown} says, {url!r}",
                hint=f"if that is right, write base_url: {url}",
            )
        return url

    def _egress(self, url: str, **more: Any) -> Egress:
        """What may be asked: the host of one address. Raises ResourceError."""
        parts = urlsplit(url)
        host, port = (parts.hostname or ""), parts.port or (443 if parts.scheme == "https" else 80)
        named = _named(url) if url in (self.base_url, self.document) else ()  # by the author, not by a document
        own = [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in named]
        if parts.scheme == "http" and (self.headers or self.query) and not own and not self.allow_private:
            raise ResourceError(f"headers and query would be sent to {url!r} in the open", hint="give an https address")
        settings = {
            "methods": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            "content_types": ("*",),
            "max_bytes": self.max_bytes,
            **more,
        }
        try:
            return Egress(
                hosts=(host,),
                ports=(port,),
                timeout=self.timeout,
                allow_private=(*own, *self.allow_private),
                **settings,
            )
        except ValueError as error:
            said = "; ".join(one["msg"].removeprefix("Value error, ") for one in getattr(error, "errors", list)())
            raise ResourceError(f"{url!r} cannot be asked: {said or error}") from None

    def _only_reads(self, one: Operation) -> bool:
        found = self._lines[one.name]
        return one.method in _READING and any(found.fits(pattern) for pattern in self.read_only)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _named(url: str) -> tuple[str, ...]:
    """The addresses of the inside that an address of the author names by writing them."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return _LOCAL
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return ()
    return (address,) if refusal(address) is not None else ()
