"""What a docstring says of a function and of its parameters, in the styles of Google, NumPy and Sphinx."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

_GOOGLE = re.compile(r"(?:Args|Arguments|Parameters)\s*:\s*$")
_NUMPY = re.compile(r"(?:Other )?Parameters\s*$")
_SECTION = re.compile(
    r"(?:Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|See Also|Warnings?|Attributes)\s*:?\s*$"
)
_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?::.*)?$")
_FIELD = re.compile(r":(?:param|parameter|arg|argument)\s+(?:[^:]*\s)?\*{0,2}(\w+)\s*:\s*(.*)")
_OTHER_FIELD = re.compile(r":(?:returns?|rtype|raises?|type|yields?)\b[^:]*:")


def read_docstring(text: str | None, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The description above the sections, as one text, and what is said of the parameters of these names."""
    lines = inspect.cleandoc(text or "").splitlines()
    known = set(names)
    said: list[str] = []
    parameters: dict[str, list[str]] = {}
    section, current, indent = "", "", 0
    for at, line in enumerate(lines):
        below = lines[at + 1].strip() if at + 1 < len(lines) else ""
        bare = line.strip()
        if field := _FIELD.match(bare):
            section, current, indent = "field", field[1], _indent(line)
            parameters[current] = [field[2]]
        elif _OTHER_FIELD.match(bare):
            section, current = "other", ""
        elif _SECTION.match(bare) and (bare.endswith(":") or _is_rule(below)) and not _indent(line):
            numpy = _is_rule(below) and _NUMPY.match(bare)
            section, current = "numpy" if numpy else "google" if _GOOGLE.match(bare) else "other", ""
        elif not section:
            said.append(bare)
        elif section in ("google", "numpy") and (entry := _entry(section, line, known, current, indent)):
            current, indent = entry[0], _indent(line)
            parameters[current] = [entry[1]]
        elif current and bare and not _is_rule(bare):
            parameters[current].append(bare)
    return "\n".join(said).strip(), {name: " ".join(told).strip() for name, told in parameters.items() if name in known}


def _entry(section: str, line: str, known: set[str], current: str, indent: int) -> tuple[str, str] | None:
    """The parameter that a line begins to tell of, and what it says of it."""
    match = (_NUMPY_ENTRY if section == "numpy" else _ENTRY).match(line.strip())
    if match is None or match[1] not in known or (current and _indent(line) > indent):
        return None
    return match[1], "" if section == "numpy" else match[2]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_rule(line: str) -> bool:
    """True for the line under a heading of NumPy's style."""
    return len(line) > 2 and set(line) == {"-"}
