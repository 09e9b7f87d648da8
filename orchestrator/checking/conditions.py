"""What is wrong with a `when`, in words, at the character at fault: the part of the checker that speaks CEL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ragweave.orchestrator.checking.condition import Condition, ConditionSyntax, compile_condition, read_keys
from ragweave.orchestrator.errors import a, did_you_mean
from ragweave.orchestrator.language.report import surely
from ragweave.orchestrator.language.spec import Mark
from ragweave.orchestrator.types import Type, type_of, value_models

FUNCTIONS = (
    "size", "has", "contains", "startsWith", "endsWith", "matches", "all", "exists", "exists_one", "filter", "map",
    "int", "double", "string", "bool",
)  # fmt: skip
CONSTANTS = {"True": "true", "False": "false", "None": "null"}
WORDS = {"and": "&&", "or": "||", "not": "!", "is": "=="}
_SHOWN = {"double": "float", "string": "str", "null_type": "null"}
_BOUND = re.compile(r"\.(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,")
_ITEM_FIELD = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\[[^\[\]]*\]\.([A-Za-z_]\w*)(?!\s*\()")
_BOUND_OVER = re.compile(
    r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.(?:all|exists|exists_one|filter|map)\s*\(\s*([A-Za-z_]\w*)\s*,"
)
_OVERLOAD = re.compile(r"no matching overload for '(.*?)' applied to '\((.*)\)'")


class Trouble(NamedTuple):
    """A fault of a condition: `offset` points into its text; `old` becomes `new` there, if that surely repairs it."""

    code: str
    message: str
    offset: int
    old: str = ""
    new: str = ""


class Conditions:
    """Compiles the conditions of one graph; equal ones are compiled once."""

    def __init__(self, keys: Mapping[str, Type]) -> None:
        self.keys = keys
        self._known: dict[str, Condition | Trouble] = {}

    def compile(self, text: str) -> Condition | Trouble:
        """The condition over all state keys, or what is wrong with it."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._compile(text)
        return known

    def _compile(self, text: str) -> Condition | Trouble:
        names = names_in(text)
        roots = {name.split(".")[0] for name, _ in names}
        try:
            condition = compile_condition(text, {key: kind for key, kind in self.keys.items() if key in roots})
        except ConditionSyntax as error:
            return self._trouble(text, names, error)
        return self._unknown_item_field(text) or condition

    def _trouble(self, text: str, names: list[tuple[str, int]], error: ConditionSyntax) -> Trouble:
        offset = _offset(text, error.line, error.column)
        message = error.message
        if message.startswith("undeclared reference to "):
            return self._undeclared(text, names, message.split("'")[1], offset)
        overload = _OVERLOAD.search(message)
        if overload is not None:
            return _mismatch(text, overload[1], overload[2].split(", "), offset)
        if message.startswith("the condition gives "):
            kind = message.split()[3].rstrip(",")
            shown = _an(_SHOWN.get(kind, kind))
            return Trouble("RW424", f"the condition {text!r} is {shown}, not true or false; compare it", 0)
        return _syntax(text, message, offset)

    def _undeclared(self, text: str, names: list[tuple[str, int]], missing: str, offset: int) -> Trouble:
        at = next((place for name, place in names if name == missing), None)
        if at is None:
            called = re.compile(rf"{re.escape(missing.rpartition('.')[2])}\s*\(").search(text)
            return Trouble(
                "RW422",
                f"there is no function {missing!r} in a condition{did_you_mean(missing, FUNCTIONS)}",
                called.start() if called else offset,
            )
        root, *fields = missing.split(".")
        if root in CONSTANTS:
            return Trouble(
                "RW422", f"{root!r} is written {CONSTANTS[root]!r} in a condition", at, root, CONSTANTS[root]
            )
        if root not in self.keys:
            return Trouble(
                "RW422", f"there is no state key {root!r}{did_you_mean(root, self.keys)}", at, *_fix(root, self.keys)
            )
        return self._unknown_field(root, fields, self.keys[root], at) or Trouble(
            "RW422", f"{missing!r} is not known here", at
        )

    def _unknown_field(self, path: str, fields: list[str], kind: Type, at: int) -> Trouble | None:
        """Walk along the fields of value models; the first that does not exist is the fault."""
        for name in fields:
            model = value_models().get(kind.word)
            if model is None:
                return None
            if name not in model.model_fields:
                return Trouble(
                    "RW423",
                    f"{kind.word} has no field {name!r}{did_you_mean(name, model.model_fields)}",
                    at + len(path) + 1,
                    *_fix(name, model.model_fields),
                )
            kind = _field_type(model, name)
            path = f"{path}.{name}"
        model = value_models().get(kind.word)
        if model is None:
            return None
        shown = ", ".join(f"{path}.{name}" for name in model.model_fields)
        return Trouble("RW423", f"{path!r} is {a(kind.word)}; a condition reads its fields: {shown}", at)

    def _unknown_item_field(self, text: str) -> Trouble | None:
        """A field of an item of a list, which CEL does not check: `docs[0].scor`, `docs.all(d, d.scor > 1.0)`."""
        for match in _ITEM_FIELD.finditer(text):
            kind = self._item_type(match[1])
            if kind is not None and kind.word in value_models():
                trouble = self._unknown_field("", [match[2]], kind, match.start(2) - 1)
                if (
                    trouble is not None
                    and trouble.old + trouble.message
                    and match[2] not in value_models()[kind.word].model_fields
                ):
                    return trouble
        for match in _BOUND_OVER.finditer(text):
            kind = self._item_type(match[1])
            if kind is None or kind.word not in value_models():
                continue
            for name, at in read_keys(text[match.end() :]):
                root, *fields = name.split(".")
                if root == match[2] and fields and fields[0] not in value_models()[kind.word].model_fields:
                    return self._unknown_field(root, fields[:1], kind, match.end() + at)
        return None

    def _item_type(self, path: str) -> Type | None:
        """The type of an item of the list that a dotted name means."""
        root, *fields = path.split(".")
        kind = self.keys.get(root)
        for name in fields:
            model = value_models().get(kind.word) if kind else None
            if model is None or name not in model.model_fields:
                return None
            kind = _field_type(model, name)
        return kind.item if kind else None


def names_in(text: str) -> list[tuple[str, int]]:
    """The dotted names that a condition takes from state, with their offsets; the variables of `all` are left out."""
    bound = set(_BOUND.findall(text))
    return [(name, at) for name, at in read_keys(text) if name.split(".")[0] not in bound]


def place_in(source: str, mark: Mark, value: str, offset: int) -> Mark:
    """Where character `offset` of a YAML scalar stands in the file, for any style of quoting and folding."""
    if not mark.line:
        return mark
    lines = source.split("\n")
    rest = "\n".join([lines[mark.line - 1][mark.column - 1 :], *lines[mark.line :]]) if mark.line <= len(lines) else ""
    at = 0
    quote = rest[:1] if rest[:1] in ("'", '"') else ""
    if quote:
        at = 1
    elif rest[:1] in ("|", ">"):
        at = rest.find("\n") + 1
        at += len(rest[at:]) - len(rest[at:].lstrip())
    for character in value[:offset]:
        at = _after(rest, at, character, quote)
    if offset and value[offset - 1 : offset].isspace():
        at += len(rest[at:]) - len(rest[at:].lstrip())
    line = rest.count("\n", 0, at)
    column = at - rest.rfind("\n", 0, at) if line else mark.column + at
    return Mark(mark.line + line, column)


def _after(rest: str, at: int, character: str, quote: str) -> int:
    """The place behind the spelling of one character of a scalar."""
    if character.isspace():
        end = at
        while end < len(rest) and rest[end].isspace() and (rest[end] == "\n" or "\n" in rest[at:end] or end == at):
            end += 1
        return max(end, at + 1)
    while at < len(rest) and rest[at] != character and (rest[at].isspace() or (quote == '"' and rest[at] == "\\")):
        at += 1
    return at + (2 if quote == "'" and character == "'" else 1)


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return min(sum(len(before) + 1 for before in lines[: line - 1]) + column - 1, len(text))


def _field_type(model: type, name: str) -> Type:
    try:
        return type_of(model.model_fields[name].annotation)  # type: ignore[attr-defined]
    except TypeError:
        return Type("json")


def _fix(name: str, candidates: Mapping[str, object]) -> tuple[str, str]:
    near = surely(name, list(candidates))
    return (name, near) if near is not None else ("", "")


def _syntax(text: str, message: str, offset: int) -> Trouble:
    """Bad syntax, with the way out for habits from other languages."""
    single = re.search(r"(?<![=!<>])=(?!=)", _without_strings(text))
    if single is not None:
        return Trouble(
            "RW421", f"the condition {text!r} compares with '=='; '=' alone means nothing", single.start(), "=", "=="
        )
    word = re.search(r"\b(and|or|not|is)\b", _without_strings(text))
    if word is not None:
        message = f"{word[1]!r} is written {WORDS[word[1]]!r} in a condition"
        plain = word[1] in ("and", "or")  # an unquoted ! would be a tag of YAML
        return Trouble("RW421", message, word.start(), *((word[1], WORDS[word[1]]) if plain else ()))
    reason = message.removeprefix("Syntax error: ").replace("<EOF>", "end of the condition")
    return Trouble("RW421", f"the condition {text!r} cannot be read: {reason}", offset)


def _without_strings(text: str) -> str:
    return re.sub(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", lambda match: " " * len(match[0]), text)


def _mismatch(text: str, function: str, kinds: list[str], offset: int) -> Trouble:
    """Operands that do not go together; a whole number beside a float is what happens most."""
    operator = function.strip("_").removeprefix("@")
    shown = [_SHOWN.get(kind, kind) for kind in kinds]
    if len(kinds) == 2 and set(kinds) == {"double", "int"}:
        behind = re.compile(rf"{re.escape(operator)}\s*(-?\d+)(?![\d.])").match(text, offset)
        if kinds[1] == "int" and behind is not None:
            number = behind[1]
            return Trouble(
                "RW424",
                f"a float is compared with the whole number {number}; write '{operator} {number}.0'",
                behind.start(1),
                number,
                f"{number}.0",
            )
        return Trouble(
            "RW424",
            f"'{operator}' cannot take {shown[0]} and {shown[1]}; make them one type: double(…) of the int, "
            "or a number without a point beside an int and with one beside a float",
            offset,
        )
    if "null_type" in kinds:
        return Trouble(
            "RW424", f"{a(shown[0])} is never null; state keys that a condition may read always have a value", offset
        )
    if len(shown) == 1:
        return Trouble("RW424", f"{operator!r} cannot take {_an(shown[0])}", text.rfind(operator, 0, offset + 1))
    return Trouble("RW424", f"{operator!r} cannot take {' and '.join(shown)}; both sides must have one type", offset)


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
