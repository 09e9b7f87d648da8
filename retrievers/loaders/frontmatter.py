"""The YAML block at the top of a Markdown file, as plain JSON."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

MAX_FRONT_MATTER = 64 * 1024

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)(?:^)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_PLAIN_LINE = re.compile(r"^([A-Za-z][\w-]*):[ \t]*(.*?)[ \t]*$", re.MULTILINE)


def front_matter(text: str) -> tuple[dict[str, Any], int, str]:
    """The metadata, where the body starts, and what was wrong with it."""
    match = _FRONT_MATTER.match(text[: MAX_FRONT_MATTER + 16]) if text.startswith("---") else None
    if match is None:
        return {}, 0, ""
    block = match[1]
    try:
        loaded = yaml.load(block, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 2})" if mark is not None else ""
        plain = {key: value.strip("'\"") for key, value in _PLAIN_LINE.findall(block) if value}
        return plain, match.end(), f"its front matter is not valid YAML{where}; only its plain lines were read"
    if loaded is None:
        return {}, match.end(), ""
    if not isinstance(loaded, dict):
        return {}, 0, ""  # a document that begins with a rule, not with front matter
    return {str(key): plain_json(value) for key, value in loaded.items()}, match.end(), ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe, and without aliases, which can blow a few lines up to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(None, None, "aliases are not read", event.start_mark)
        return super().compose_node(parent, index)


def plain_json(value: Any) -> Any:
    """A value as JSON: dates as ISO 8601, what JSON does not have as text."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain_json(item) for item in value]
    return str(value)
