"""`${env:NAME}` and `${env:NAME:-default}` in settings, and the `.env` file beside a graph."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ragweave.orchestrator.errors import GraphError, Problem, ResourceError

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
    """What a `.env` file in this folder sets; empty if there is none. Raises GraphError that names every line that
    cannot be read: a key that is passed over would be missed only when it is used."""
    path = folder / ".env"
    if not path.is_file():
        return {}
    from dotenv.parser import parse_stream  # only where there is a file to read

    file = _near(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise GraphError([Problem("RW306", f"the file cannot be read: {error.strerror}", file)]) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise GraphError([Problem("RW306", "this line is not UTF-8; save the file as UTF-8", file, line, 1)]) from None
    found: dict[str, str] = {}
    problems = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            statement = binding.original.string
            blank = len(statement) - len(statement.lstrip())
            line = binding.original.line + len(re.findall(r"\r\n|\r|\n", statement[:blank]))
            problems.append(Problem("RW306", _fault(statement[blank:]), file, line, 1))
        elif binding.key is not None and binding.value is not None:
            found[binding.key] = binding.value
    if problems:
        raise GraphError(problems)
    return found


_STATEMENT = re.compile(r"(?:export[ \t]+)?(?P<name>'[^'\n]*'|[^=#\s]*)[ \t]*(?P<equals>=?)[ \t]*(?P<value>[\s\S]*)")
_CLOSED = {"'": re.compile(r"'(?:\\.|[^'\\])*'", re.DOTALL), '"': re.compile(r'"(?:\\.|[^"\\])*"', re.DOTALL)}


def _fault(statement: str) -> str:
    """What is wrong with a statement of a `.env` file; its value may be a secret and is not shown."""
    match = _STATEMENT.match(statement)
    assert match is not None
    name, value = match["name"].strip("'"), match["value"]
    whose = f"the value of {name!r}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else "the value"
    if not match["equals"]:
        return "this line has no '=' behind a name; write NAME=value, or # before a comment"
    if not name:
        return "this line has no name before its '='; write NAME=value"
    quote = _CLOSED.get(value[:1])
    if quote is not None and quote.match(value) is None:
        return f"{whose} begins with {value[0]} and does not end with it; close the quote, or write it without"
    if quote is not None:
        return f"{whose} goes on behind its closing {value[0]}; write a quote inside a value as \\{value[0]}"
    return f"{whose} cannot be read; write NAME=value"


def _near(path: Path) -> str:
    """The path as it is shortest to read."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.resolve().relative_to(Path.cwd()))
    return str(path)
