"""What talking to a model's server takes: pooled clients, bodies of bounded size, and when to try again.

Imported at the first call of a model, not before: httpx takes 0.1 s to load.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from weakref import WeakKeyDictionary

import httpx

from ragweave.orchestrator.errors import EndpointUnusable, ModelError, ResourceError
from ragweave.orchestrator.models.reading import Unavailable

LONGEST_WAIT = 60.0
"""A server that asks for a longer pause than this (seconds) is not waited for; the error says how long it asked for."""
FIRST_WAIT, MOST_WAIT = 0.5, 8.0
CLOSE_TIMEOUT = 5.0
BODY_LIMIT = 1 << 20


class Clients:
    """One pooled client per event loop: a graph may run in several, and each has connections of its own."""

    def __init__(self, make: Callable[[], httpx.AsyncClient]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    def here(self) -> httpx.AsyncClient:
        """The client of the running loop, made at its first call."""
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            with self._lock:
                client = self._by_loop[loop] = self._make()
        return client

    async def close(self) -> None:
        """Close every client, each in its own loop; a loop that does not run any more took its connections with it."""
        here = asyncio.get_running_loop()
        with self._lock:
            clients = list(self._by_loop.items())
            self._by_loop.clear()
        for loop, client in clients:
            if loop is here:
                await client.aclose()
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(client.aclose(), loop)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.wrap_future(closing), CLOSE_TIMEOUT)


def tls_context(base_url: str) -> ssl.SSLContext:
    """Whom to trust: the system's authorities (loading them takes 20 to 100 ms), for plain http nobody."""
    if httpx.URL(base_url).scheme == "https":
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def make_client(base_url: str, *, tls: ssl.SSLContext, connect: float, read: float) -> httpx.AsyncClient:
    """A client for one server. It follows no redirects: they would carry the key elsewhere.

    Proxies are those of the environment; this machine's own addresses are reached directly, whatever it says.
    Raises ResourceError if the environment names a proxy that cannot be used.
    """
    try:
        return httpx.AsyncClient(
            verify=tls,
            timeout=httpx.Timeout(connect=connect, read=read, write=read, pool=None),
            limits=httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30.0),
            trust_env=not is_loopback(httpx.URL(base_url).host),
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ResourceError(
            f"the proxy settings of the environment cannot be used: {error}",
            hint="correct or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or add the host to NO_PROXY",
        ) from None


def is_loopback(host: str) -> bool:
    """True if a host means this machine."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def connection_error(error: httpx.HTTPError, server: str, *, connect: float, read: float) -> ModelError:
    """What a person should read when no answer came; `server` is the address as it may be shown."""
    if isinstance(error, httpx.ConnectTimeout):
        return Unavailable(f"{server} could not be reached within {connect:g} s", hint="check base_url and the network")
    if isinstance(error, httpx.TimeoutException):
        return ModelError(
            f"{server} sent nothing for {read:g} s",
            hint="raise read_timeout if the model is slow, or give the node a fallback",
            transient=True,
        )
    if isinstance(error, httpx.ConnectError):
        return _connect_error(error, server)
    if isinstance(error, httpx.ProxyError):
        return Unavailable(f"the proxy for {server} failed: {error}", hint="check HTTPS_PROXY and NO_PROXY")
    if isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError)):
        return Unavailable(f"{server} closed the connection before it said anything")
    return ModelError(f"the call of {server} failed: {type(error).__name__}: {error}")


def _connect_error(error: httpx.ConnectError, server: str) -> ModelError:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return EndpointUnusable(
            f"the certificate of {server} is not trusted here",
            hint="set SSL_CERT_FILE to your authority's certificates, or check base_url",
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text:
        return EndpointUnusable(f"{server} does not speak TLS", hint="write http:// instead of https:// in base_url")
    if re.search(r"getaddrinfo|not known|no address|name resolution|nodename", text, re.IGNORECASE):
        return Unavailable(
            f"the host of {server} has no address", hint="check the spelling of base_url and the network"
        )
    return Unavailable(f"{server} refused the connection", hint="does the server run, and is base_url its address?")


async def read_body(response: httpx.Response, limit: int = BODY_LIMIT) -> str:
    """The body as text, cut off after `limit` bytes."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= limit:
            break
    return bytes(body[:limit]).decode("utf-8", "replace")


def asked_wait(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """The seconds that a server asks to be left alone: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", value):
            return float(value) * scale
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def wait_before(attempt: int, asked: float | None) -> float:
    """The seconds to wait after attempt `attempt` (from 1): as long as the server asked, else growing, with jitter."""
    if asked is not None:
        return asked
    return float(min(MOST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25))
