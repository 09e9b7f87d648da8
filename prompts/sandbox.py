"""Templates that are checked, then rendered in Jinja2's sandbox with a bounded result.

Imported when a prompt is first checked or rendered: Jinja2 takes 20 to 45 ms to load.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel

from ragweave.orchestrator.errors import InputError, a
from ragweave.orchestrator.types import Type
from ragweave.prompts.syntax import FILTERS, TESTS, TemplateCheck

MAX_LENGTH = 1_000_000

# A line of tags only leaves no empty line behind. Jinja2's own `trim_blocks` would also join a line that ends in a tag
# with the next one.
_TAG_LINE = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\})+)[ \t]*\n", re.MULTILINE)


def check_template(
    text: str, variables: Mapping[str, Type], complain: Callable[[int, str], None], *, first_line: int = 1
) -> set[str]:
    """The variables that a template uses; its faults go to `complain` with their line, from `first_line`."""
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        complain(first_line + error.lineno - 1, _readable(error.message or "this is no template"))
        return set(variables)
    except (ValueError, OverflowError, RecursionError) as error:
        complain(first_line, f"this template cannot be read: {error}")
        return set(variables)
    check = TemplateCheck(variables, lambda line, message: complain(first_line + line - 1, message))
    check.check(tree)
    return check.used


def names(text: str) -> list[str]:
    """The variables that a template takes from outside, in alphabetical order; none for a text that is no template."""
    from jinja2.meta import find_undeclared_variables  # only what infers its variables needs it

    environment = _environment()
    try:
        tree = environment.parse(text)
        # An unknown filter or test is a fault of its own, and takes no variable away.
        for used in tree.find_all(nodes.Filter):
            used.name = used.name if used.name in environment.filters else "default"
        for tested in tree.find_all(nodes.Test):
            tested.name = tested.name if tested.name in environment.tests else "defined"
        return sorted(find_undeclared_variables(tree))
    except (TemplateSyntaxError, ValueError, OverflowError, RecursionError):
        return []


def compiled(text: str) -> Template:
    """A template that was checked before, ready to render."""
    return _environment().from_string(_TAG_LINE.sub(r"\1", text))


def rendered(template: Template, values: Mapping[str, Any], where: str) -> str:
    """The text, its ends stripped. Raises InputError, naming `where`, for a missing field or too long a text."""
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(values):
            length += len(piece)
            if length > MAX_LENGTH:
                raise InputError(f"{where} is longer than {MAX_LENGTH:,} characters", hint="pass fewer documents")
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        raise InputError(f"{where} cannot be rendered: {error}") from None
    return "".join(pieces).strip()


class _Environment(ImmutableSandboxedEnvironment):
    """Names mean fields and keys only, never methods."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, BaseModel):
            model = type(obj)
            if attribute in model.model_fields or isinstance(getattr(model, attribute, None), property):
                return getattr(obj, attribute)
        elif isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
        elif isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self.undefined(f"{_shown(obj)} has no {attribute!r}")

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, (str, Sequence)) and isinstance(argument, (int, slice)):
            try:
                return obj[argument]
            except LookupError:
                return self.undefined(f"{_shown(obj)} has no item {argument!r}")
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        return self.undefined(f"{_shown(obj)} has no item {argument!r}")


@cache
def _environment() -> _Environment:
    environment = _Environment(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=_printed,
        auto_reload=False,
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS if name != "tojson"} | {"tojson": _json}
    environment.tests = {name: environment.tests[name] for name in TESTS}
    return environment


def _printed(value: Any) -> Any:
    return "" if value is None else value


def _json(value: Any) -> str:
    """JSON as a person would write it: letters of any script as they are, and no HTML escapes."""
    return json.dumps(value, ensure_ascii=False, default=lambda item: item.model_dump(mode="json"))


def _shown(value: Any) -> str:
    name = type(value).__name__
    keys = f" (it has {', '.join(map(repr, list(value)[:8]))})" if isinstance(value, Mapping) else ""
    return {"dict": "the map", "list": "the list", "tuple": "the list", "str": "the text"}.get(name, a(name)) + keys


def _readable(message: str) -> str:
    """Jinja2's messages, where they need a word more."""
    if message.startswith("Encountered unknown tag"):
        tag = message.split(".", maxsplit=1)[0].removeprefix("Encountered ")
        return f"{tag}; there are `if` and `for`"
    return message[:1].lower() + message[1:]
