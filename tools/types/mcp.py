"""`type: mcp`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, SecretStr

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Tool, ToolSpec
from ragweave.orchestrator.errors import MissingExtra, ResourceError, ToolError, did_you_mean
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.bridge import wait_for

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

    from ragweave.tools.mcp.session import Session


class Mcp(Tool, type="mcp"):
    """The tools of an MCP server: a program that is started here, or an address.

    What a server says of its tools is not trusted: a call counts as an effect unless `read_only` names the tool, and
    with `pinned` the graph does not load any more when the server tells its tools otherwise than before.
    """

    command: list[str] = Field([], description="The program and its arguments; it talks over its standard streams.")
    url: str = Field("", description="The address of a server, https://… or http://localhost:….")
    env: dict[str, SecretStr] = Field({}, description="What the program finds in its environment beside the usual.")
    headers: dict[str, SecretStr] = Field({}, description="What is sent to the address with each request.")
    allow: list[str] = Field(["*"], min_length=1, description="The tools that are offered; * is any characters.")
    read_only: list[str] = Field([], description="The tools of which you know that they change nothing.")
    pinned: str = Field("", description="The hash of what the server says of its tools; `ragweave doctor` shows it.")
    start_timeout: Duration = Field(30.0, description="The longest that the server may take to start.")

    _session: Session | None = PrivateAttr(None)
    _specs: tuple[ToolSpec, ...] = PrivateAttr(())

    def check_settings(self) -> None:
        """Raise ResourceError unless one server is named, with settings that go with it."""
        if bool(self.command) == bool(self.url):
            raise ResourceError("a server is wanted: the command that starts it, or its url, not both")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ResourceError(f"the url {self.url!r} does not begin with https:// or http://")
        for setting, other in (("env", "command"), ("headers", "url")):
            if getattr(self, setting) and not getattr(self, other):
                raise ResourceError(f"{setting} goes with {other}, which is not given")

    def open(self, resources: Resources) -> None:
        """Start or reach the server, and read its tools. Raises ResourceError, MissingExtra."""
        self.check_settings()
        try:
            import mcp  # noqa: F401  # takes a second to import
        except ImportError:
            raise MissingExtra("tools of an MCP server", "mcp", "mcp") from None
        from ragweave.tools.mcp.session import Session

        folder = resources.folder
        session = Session(lambda: self._client(folder), self._shown, self.start_timeout)
        try:
            self._read(session)
        except BaseException:  # nobody closes what was never open
            wait_for(session.close())
            raise
        self._session = session

    def _read(self, session: Session) -> None:
        found = {one.name: one for one in session.tools()}
        for pattern in (*self.allow, *self.read_only):
            if not any(fnmatchcase(name, pattern) for name in found):
                raise ResourceError(f"{self._shown} has no tool {pattern!r}{did_you_mean(pattern, found)}")
        allowed = [one for name, one in sorted(found.items()) if _fits(name, self.allow)]
        self._specs = tuple(
            ToolSpec(
                one.description or one.title or one.name,
                one.input_schema,
                one.name,
                "read" if _fits(one.name, self.read_only) else "external",
            )
            for one in allowed
        )
        if self.pinned and self.pinned != self.fingerprint():
            raise ResourceError(
                f"{self._shown} tells its tools otherwise than when they were pinned",
                hint="leave `pinned` out and look at what `ragweave doctor GRAPH` shows of it; "
                f"to trust that, pin {self.fingerprint()}",
            )

    def fingerprint(self) -> str:
        """The hash of names, descriptions and schemas of the tools that are offered."""
        told = [[one.name, one.description, one.parameters] for one in self._specs]
        return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]

    async def close(self) -> None:
        """End the session, and the program."""
        if self._session is not None:
            await self._session.close()

    def specs(self) -> Sequence[ToolSpec]:
        """What the server offers of what is allowed."""
        return self._specs

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """The result as a text. Raises ToolError with what the server says where a call failed."""
        assert self._session is not None, "it is not open"
        result = await self._session.call(name, dict(arguments), self.timeout)
        text = _text(result)
        if result.is_error:
            raise ToolError(text or "the server says that it failed, and not why")
        return text

    def _client(self, folder: Path) -> Client:
        from mcp import Client, StdioServerParameters

        if self.command:
            env = {name: value.get_secret_value() for name, value in self.env.items()}
            return Client(StdioServerParameters(command=self.command[0], args=self.command[1:], env=env, cwd=folder))
        from ragweave.tools.mcp.session import by_http

        return Client(by_http(self.url, {name: value.get_secret_value() for name, value in self.headers.items()}))

    @property
    def _shown(self) -> str:
        return f"the MCP server {self.command[0] if self.command else self.url!r}"


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _text(result: CallToolResult) -> str:
    """The texts of a result; what is no text is named, not shown."""
    parts = []
    for block in result.content:
        if block.type == "text":
            parts.append(block.text)
        elif block.type in ("image", "audio"):
            parts.append(f"[{block.type} {block.mime_type}, which cannot be shown here]")
        else:
            parts.append(f"[{block.type}]")
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
