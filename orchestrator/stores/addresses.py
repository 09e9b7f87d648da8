"""What may be shown of the address of a database, which holds a password."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from ragweave.orchestrator.errors import JournalError

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]*)(:\d+)?")


class Address(NamedTuple):
    """What messages may show of an address, and what they may not."""

    shown: str
    secrets: tuple[str, ...]
    """The longest first."""


def read_address(dsn: str) -> Address:
    """Both of `postgresql://user:password@host:5432/database`. Raises JournalError for what is no such address."""
    try:
        parts = urlsplit(dsn)
        given = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
        servers = parts.netloc.rpartition("@")[2]
        known = parts.scheme in ("postgresql", "postgres") and all(map(_SERVER.fullmatch, servers.split(",")))
        if not known or parts.fragment or "@" in parts.path:  # then a password holds a character that divides
            raise ValueError
    except ValueError:
        # Not a word of it in the message: a password may stand anywhere.
        raise JournalError(
            "the address of the store 'postgres' cannot be read",
            hint="write it as postgresql://user:password@host:5432/database, with %40 for an @ in the password",
        ) from None
    place = servers or ",".join(given.get("host", ()))
    passwords = {parts.password or "", unquote(parts.password or ""), *given.get("password", ())}
    secrets = sorted((one for one in passwords if one), key=len, reverse=True)
    return Address(f"postgresql://{place}{unquote(parts.path)}", tuple(secrets))
