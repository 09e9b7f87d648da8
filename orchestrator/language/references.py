"""References to the environment in settings, and secrets that stand in the file instead of one."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from ragweave.orchestrator.language.environment import REFERENCE, references
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Place

_LOOKS = re.compile(r"\$\{[^}]*\}?|\$[A-Z_][A-Z0-9_]*\b")
_WHOLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}?")
_SECRET = re.compile(
    r"(?:.*[_-])?(?:api_?key|password|passwd|token|secret|authorization|cookie|credentials)|(?:secret|private)_key|x-api-key",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"(?:max|min|num|top|stop|eos|bos|pad)_.*", re.IGNORECASE)


def check_references(report: Report, settings: Mapping[str, Any], place: Place, *, strict: bool) -> None:
    """Say which `$`-expressions are no reference. `strict` where a `$` has no other meaning (a resource's settings)."""
    for where, text in texts(settings, place):
        if "$" not in text:
            continue
        rest = REFERENCE.sub(lambda match: " " * len(match[0]), text)
        for match in _LOOKS.finditer(rest):
            found = match[0]
            if not (strict or found == text or found.startswith("${env")):
                continue
            if found.startswith("$") and not found.startswith("${") and found != text:
                continue
            name = _WHOLE.fullmatch(found)
            new = f"${{env:{name[1]}{name[2] or ''}}}" if name is not None and name[1] != "env" else None
            hint = f"write {new}" if new else "write ${env:NAME} or ${env:NAME:-default}"
            mark = report.within(report.spec.value_mark(*where), text, match.start())
            message = f"{path(where)}: {found!r} is no reference to the environment; {hint}"
            report.at(mark, "RW302", message, old=found, new=new)


def check_missing(
    report: Report, settings: Mapping[str, Any], place: Place, environ: Mapping[str, str], *, needed: bool
) -> set[str]:
    """Say which variables are not set, at the values that need them; gives the settings that cannot be resolved.

    An error where the value is `needed` to check the graph, else a warning.
    """
    unresolved = set()
    for key, value in settings.items():
        for where, text in texts({key: value}, place):
            for name, default in references(text):
                if default is not None or name in environ:
                    continue
                unresolved.add(key)
                hint = f"export it, or give a default: ${{env:{name}:-…}}"
                message = f"{path(where)}: the environment variable {name!r} is not set; {hint}"
                mark = report.within(report.spec.value_mark(*where), text, max(text.find(f"${{env:{name}"), 0))
                report.at(mark, "RW301", message, severity="error" if needed else "warning")
    return unresolved


def check_secrets(report: Report, settings: Mapping[str, Any], place: Place, model: Any) -> None:
    """Warn of secrets that stand in the file itself."""
    hidden = secret_fields(model)
    for where, text in texts(settings, place):
        inside = [str(part) for part in where[len(place) :] if isinstance(part, str)]
        spare = any(default for _, default in references(text))  # a default stands in the file like any other value
        if not text or (not spare and (REFERENCE.search(text) or text.startswith("$"))):
            continue
        if (len(inside) == 1 and inside[0] in hidden) or is_secret(inside[-1]):
            variable = re.sub(r"\W+", "_", inside[-1]).upper()
            message = (
                f"{path(where)}: a secret stands in the file; put it into the environment and write ${{env:{variable}}}"
            )
            report.value(where, "RW303", message, severity="warning")


def is_secret(name: str) -> bool:
    """True if a setting of this name holds a secret."""
    return _SECRET.fullmatch(name) is not None and _HARMLESS.fullmatch(name) is None


def secret_fields(model: Any) -> frozenset[str]:
    """The settings of a class whose type says that they are secret."""
    known = _secrets.get(model)
    if known is None:
        fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
        known = frozenset(name for name, info in fields.items() if _holds_secret(info.annotation) or is_secret(name))
        _secrets[model] = known
    return known


def texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Every text in a setting, at any depth, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*place, str(key)))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from texts(item, (*place, index))


_secrets: dict[Any, frozenset[str]] = {}


def _holds_secret(annotation: Any) -> bool:
    return annotation in (SecretStr, SecretBytes) or any(_holds_secret(arm) for arm in typing.get_args(annotation))
