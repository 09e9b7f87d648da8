"""What may be fetched, as settings, and the judgement of one URL by them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, SecretStr, field_validator

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.egress.addresses import is_metadata, refusal

if TYPE_CHECKING:
    import httpx

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

LONGEST_URL = 4000
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.{_LABEL}\.)?{_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A URL that the policy lets pass; the addresses of its host are still to be judged."""

    url: httpx.URL
    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is talked to: scheme, host and port."""
        return self.scheme, self.host, self.port


class Egress(BaseModel):
    """What a model may fetch. Nothing is allowed that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    hosts: tuple[str, ...] = Field(
        min_length=1,
        description="Who may be asked: `api.example.org`, `*.example.org` for all below it, `*` for any public host.",
    )
    methods: tuple[Method, ...] = Field(("GET",), description="What may be asked for.")
    ports: tuple[int, ...] = Field((80, 443), description="The ports that are reached.")
    headers: dict[str, dict[str, SecretStr]] = Field(
        {}, description="Headers such as keys, by the exact host that gets them; over https only."
    )
    content_types: tuple[str, ...] = Field(
        ("text/*", "application/json", "application/*+json", "application/xml", "application/*+xml"),
        description="The kinds of content that are read; `*` stands for a part of the name.",
    )
    max_bytes: PositiveInt = Field(1_000_000, description="Bytes of content that are read, after decompression.")
    max_redirects: int = Field(5, ge=0, le=20, description="Redirects that are followed; each is judged anew.")
    timeout: PositiveFloat = Field(20.0, description="Seconds for all of it, redirects included.")
    allow_private: tuple[str, ...] = Field(
        (),
        description="Addresses of the inside that may be reached all the same, each with its port: `127.0.0.1:8080`. "
        "Names and ranges are not taken, and metadata services of clouds never.",
    )

    @field_validator("hosts", "headers", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        if isinstance(value, dict):
            return {str(host).lower(): headers for host, headers in value.items()}
        return tuple(str(host).lower() for host in value) if isinstance(value, (list, tuple)) else value

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if host != "*" and not _PATTERN.fullmatch(host) and not _is_address(host):
                raise ValueError(f"{host!r} is no host: write `api.example.org`, `*.example.org` or `*`, without a "
                                 "scheme, a port or a path")  # fmt: skip
        return hosts

    @field_validator("ports")
    @classmethod
    def _check_ports(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        for port in ports:
            if not 0 < port < 65536:
                raise ValueError(f"{port} is no port: 1 to 65535")
        return ports

    @field_validator("allow_private")
    @classmethod
    def _check_private(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            address, port = split_address(entry)
            if not _is_address(address) or not 0 < port < 65536:
                raise ValueError(f"{entry!r} is no address with its port, such as 127.0.0.1:8080 or [::1]:8080")
            if is_metadata(address):
                raise ValueError(f"{entry!r} is link-local, where clouds hand out credentials; it stays closed")
            if refusal(address) is None:
                raise ValueError(f"{entry!r} is a public address; name it in `hosts` and its port in `ports`")
        return entries

    @property
    def private(self) -> frozenset[tuple[str, int]]:
        """The addresses of the inside that are open, with their ports."""
        return frozenset((str(ip_address(address)), port) for address, port in map(split_address, self.allow_private))

    def target(self, text: str) -> Target:
        """The URL, if the policy lets it pass. Raises ToolError, which says what is allowed."""
        import httpx  # takes 0.1 s to load

        if len(text) > LONGEST_URL:
            raise ToolError(f"a URL may have {LONGEST_URL:,} characters, and this has {len(text):,}")
        # Programs disagree on what these mean in a URL; whoever checks and whoever connects must not.
        if re.search(r"[\x00-\x20\x7f-\xa0\\]", text):
            raise ToolError(
                f"{text[:100]!r} holds spaces, control characters or backslashes; write them as %20 and so on"
            )
        try:
            url = httpx.URL(text)
            host = url.raw_host.decode("ascii").lower().rstrip(".")
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            raise ToolError(f"{text[:100]!r} is no URL: {error}") from None
        if url.scheme not in _DEFAULT_PORTS or not host:
            raise ToolError(
                f"{text[:100]!r} cannot be fetched", hint="give an address such as https://example.org/page"
            )
        if url.userinfo or "@" in url.netloc.decode("ascii", "replace"):
            raise ToolError("a URL with a user or a password is not fetched", hint="leave out what stands before the @")
        self._check_host(host)
        port = url.port or _DEFAULT_PORTS[url.scheme]
        if port not in self.ports and port not in {port for _, port in self.private}:
            raise ToolError(f"port {port} is not open", hint=f"open are: {', '.join(map(str, self.ports))}")
        return Target(url, url.scheme, host, port)

    def _check_host(self, host: str) -> None:
        last = host.rpartition(".")[2]
        if _NUMERIC.fullmatch(last) and not _is_address(host):
            # 2130706433, 0x7f.1, 0177.0.0.1: some resolvers read them as addresses, so they are no names.
            raise ToolError(f"{host!r} is an address in disguise", hint="write the name of the host")
        if not any(_matches(pattern, host) for pattern in self.hosts):
            raise ToolError(f"{host!r} is not among the hosts that may be asked", hint=f"there is: {self._shown}")

    @property
    def _shown(self) -> str:
        return ", ".join(self.hosts[:12]) + (", …" if len(self.hosts) > 12 else "")


def _matches(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    return (_is_address(pattern) and _is_address(host) and ip_address(pattern) == ip_address(host)) or pattern == host


def _is_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return not isinstance(address, IPv6Address) or address.scope_id is None


def split_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:80` and `[::1]:80` in two; the port is 0 where there is none."""
    address, _, port = text.rpartition(":")
    bare = address.removeprefix("[").removesuffix("]")
    if (":" in bare) != (address != bare) or not port.isascii() or not port.isdigit():
        return text, 0
    return bare, int(port[:6])
