"""Fetching one URL by a policy: redirects, decompression and sizes are ours, so that nothing slips past."""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from ragweave.orchestrator.errors import Lost, ToolError
from ragweave.tools.egress.policy import Egress, Target

if TYPE_CHECKING:
    import httpcore

    from ragweave.tools.egress.guard import Resolve

READING = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive",
    "accept-encoding", "proxy-authorization", "proxy-connection", "forwarded", "x-forwarded-for", "x-forwarded-host",
})  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PIECE = 1 << 16
_MEMBER = b"\x1f"
"""What each part of gzip begins with."""
_CHARSETS = re.compile(
    r"(utf-?8|utf-?16|us-ascii|iso-8859-\d+|latin-?1|windows-\d+|cp\d+|shift_jis|euc-\w+|gb\w+|big5|koi8-\w)"
)


class Fetched(BaseModel):
    """What a server answered; a status of 400 and more is an answer, too."""

    model_config = ConfigDict(frozen=True)

    url: str
    """Of the last redirect."""
    status: int
    content_type: str
    text: str
    truncated: bool = False
    """The content was longer than `max_bytes`."""


class Browser:
    """Fetches what a policy allows, and nothing of the inside. Every fetch has connections of its own, so that no
    cookie and no login of one is there in the next. Proxies of the environment are not used: they would make the
    connection, and could be asked for any address."""

    def __init__(self, policy: Egress, *, resolve: Resolve | None = None) -> None:
        self.policy = policy
        self._resolve = resolve

    async def fetch(
        self, url: str, method: str = "GET", *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Fetched:
        """The answer of a server. `headers` and `body` go to the first origin only.

        Raises ToolError for what the policy refuses and what cannot be read; it is transient where the network failed,
        and Lost where a method that may change something had been sent by then.
        """
        import httpcore

        from ragweave.tools.egress.guard import GuardedNetwork, by_system

        policy, method = self.policy, method.upper()
        if method not in policy.methods:
            raise ToolError(f"{method!r} is not allowed", hint=f"there is: {', '.join(policy.methods)}")
        given = checked_headers(headers or {})
        target = policy.target(url)
        network = GuardedNetwork(policy.ports, policy.private, self._resolve or by_system)
        tls = await asyncio.to_thread(trusted)
        sent: list[str] = []
        try:
            async with (
                asyncio.timeout(policy.timeout),
                httpcore.AsyncConnectionPool(ssl_context=tls, network_backend=network) as pool,
            ):
                return await self._follow(pool, target, method, given, body, sent)
        except (TimeoutError, httpcore.TimeoutException):
            raise _lost(f"{target.host!r} did not answer within {policy.timeout:g} s", sent) from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _lost(f"{target.host!r} cannot be reached: {_told(error)}", sent) from None
        except ToolError as error:
            if not error.transient:
                raise
            raise _lost(error.message, sent) from None  # the answer was damaged

    async def _follow(
        self,
        pool: httpcore.AsyncConnectionPool,
        target: Target,
        method: str,
        given: dict[str, str],
        body: bytes | None,
        sent: list[str],
    ) -> Fetched:
        first, seen = target.origin, 0
        while True:
            same = target.origin == first
            asking = self._asked(pool, target, method, given if same else {}, body if same else None, sent)
            async with asking as response:
                location = _header(response, b"location")
                if response.status not in REDIRECTS or not location:
                    return await self._read(target, method, response)
            seen += 1
            if seen > self.policy.max_redirects:
                raise ToolError(f"more than {self.policy.max_redirects} redirects")
            following = self._redirected(target, location)
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), None
            if following.origin != target.origin and method not in ("GET", "HEAD"):
                raise ToolError(f"a {method} is not sent on to another server, {following.host!r}")
            target = following

    def _redirected(self, target: Target, location: str) -> Target:
        import httpx

        try:
            joined = str(target.url.join(location))
        except (httpx.InvalidURL, ValueError):
            raise ToolError(f"{target.host!r} redirects to what is no URL") from None
        try:
            following = self.policy.target(joined)
        except ToolError as error:
            raise ToolError(f"{target.host!r} redirects to where nothing is fetched: {error.message}") from None
        if target.scheme == "https" and following.scheme == "http":
            raise ToolError(f"{target.host!r} redirects from https to http, which is not followed")
        return following

    def _asked(
        self,
        pool: httpcore.AsyncConnectionPool,
        target: Target,
        method: str,
        given: dict[str, str],
        body: bytes | None,
        sent: list[str],
    ) -> Any:
        """The answer, as a context; `sent` gets the method when the first byte leaves."""
        import httpcore

        async def trace(event: str, _about: object) -> None:
            if event.endswith("send_request_headers.started"):
                sent.append(method)

        policy, url = self.policy, target.url
        headers = {"accept": "*/*", "user-agent": "ragweave", **given}
        for name, value in policy.headers.get(target.host, {}).items():
            if target.scheme == "https" or _is_open(policy, target):
                headers[name.lower()] = value.get_secret_value()
        headers |= {"host": url.netloc.decode("ascii"), "accept-encoding": "gzip, deflate"}
        wait = policy.timeout
        # In parts, so that nobody reads the text of the URL a second time and finds another host in it.
        where = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=url.raw_path)
        return pool.stream(
            method,
            where,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()],
            content=body,
            extensions={"timeout": {"connect": wait, "read": wait, "write": wait, "pool": wait}, "trace": trace},
        )

    async def _read(self, target: Target, method: str, response: httpcore.Response) -> Fetched:
        kind, _, parameters = _header(response, b"content-type").partition(";")
        kind = kind.strip().lower()
        content, truncated = b"", False
        if method != "HEAD" and response.status != 204:
            if not any(fnmatchcase(kind, pattern) for pattern in self.policy.content_types):
                raise ToolError(
                    f"{target.host!r} answered {response.status} with {kind or 'no kind of content'!r}: not read",
                    hint=f"there is: {', '.join(self.policy.content_types)}",
                )
            pieces = decompressed(response.aiter_stream(), _header(response, b"content-encoding"))
            content, truncated = await _capped(pieces, self.policy.max_bytes)
        charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters.lower())
        named = charset[1] if charset and _CHARSETS.fullmatch(charset[1]) else "utf-8"
        try:
            text = content.decode(named, "replace")
        except LookupError:
            text = content.decode("utf-8", "replace")
        url = str(target.url)
        return Fetched(url=url, status=response.status, content_type=kind, text=text, truncated=truncated)


@cache
def trusted() -> ssl.SSLContext:
    """The authorities of the system (loading them takes 20 to 100 ms)."""
    import httpx

    return httpx.create_ssl_context()


async def decompressed(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The content in pieces of at most 64 KB, however much a compressed one holds. Raises ToolError."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        async for piece in pieces:
            yield piece
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):  # also "gzip, gzip", a bomb in a bomb
        raise ToolError(f"the content is encoded as {encoding[:40]!r}, which is not read")
    is_gzip = encoding != "deflate"
    reader: Any = None
    async for piece in pieces:
        if not piece or (reader is not None and reader.eof and not (is_gzip and piece[:1] == _MEMBER)):
            continue  # what stands behind the end is padding
        if reader is None or reader.eof:  # some servers leave the header of zlib out
            bits = 31 if is_gzip else 15 if piece[:1] in (b"\x78", b"\x58", b"\x18") else -15
            reader = zlib.decompressobj(bits)
        while True:
            try:
                made = reader.decompress(piece, _PIECE)
            except zlib.error:
                raise ToolError("the compressed content is damaged", transient=True) from None
            yield made
            piece = reader.unconsumed_tail
            if reader.eof:
                piece = reader.unused_data
                if not (is_gzip and piece[:1] == _MEMBER):
                    break
                reader = zlib.decompressobj(31)  # gzip may have several parts, one behind the other
            elif not piece and len(made) < _PIECE:
                break
    if reader is not None and not reader.eof:
        raise ToolError("the compressed content ends too early", transient=True)


async def _capped(pieces: AsyncIterator[bytes], limit: int) -> tuple[bytes, bool]:
    content = bytearray()
    async for piece in pieces:
        content += piece
        if len(content) > limit:
            return bytes(content[:limit]), True
    return bytes(content), False


def _lost(said: str, sent: list[str]) -> ToolError:
    """The error of a network that failed: by whether something may have been done by then."""
    return ToolError(said, transient=True) if READING.issuperset(sent) else Lost(said)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they are sent. Raises ToolError for one that would end and begin another, or that is ours to say."""
    found = {}
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ToolError(f"the header {name[:40]!r} cannot be sent")
        found[name.lower()] = value.encode("latin-1", "replace").decode("latin-1")
    return found


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _is_open(policy: Egress, target: Target) -> bool:
    return (target.host, target.port) in policy.private


def _told(error: Exception) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not trusted here"
    return text[:100] or type(error).__name__
