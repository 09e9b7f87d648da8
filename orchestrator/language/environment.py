"""`${env:NAME}` and `${env:NAME:-default}` in settings, and the `.env` file beside a graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import ResourceError

REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Every (name, default) that a setting refers to, at any depth; the default is None where there is none."""
    if isinstance(value, str):
        for match in REFERENCE.finditer(value):
            yield match[1], match[2]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def missing(value: Any, environ: Mapping[str, str]) -> list[str]:
    """The variables that a setting needs and that are not set, each once."""
    return list(dict.fromkeys(name for name, default in references(value) if default is None and name not in environ))


def resolve(value: Any, environ: Mapping[str, str], where: str) -> Any:
    """The setting with its references replaced. An empty variable counts as set, unless there is a default.

    Raises ResourceError that names `where` and every variable that is missing.
    """
    absent = missing(value, environ)
    if absent:
        raise ResourceError(
            f"{where}: the environment variable{'s' if len(absent) > 1 else ''} {', '.join(absent)} "
            f"{'are' if len(absent) > 1 else 'is'} not set",
            hint=f"export {absent[0]}=…, or put it into a .env file beside the graph",
        )
    return _replace(value, environ)


def _replace(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: environ.get(match[1]) or match[2] or "", value)
    if isinstance(value, Mapping):
        return {key: _replace(item, environ) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace(item, environ) for item in value]
    return value


def read_dotenv(folder: Path) -> dict[str, str]:
    """What a `.env` file in this folder sets; empty if there is none."""
    path = folder / ".env"
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # only where there is a file to read

    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}
