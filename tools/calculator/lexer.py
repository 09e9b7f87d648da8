"""An expression of the calculator cut into tokens, each with its place."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from ragweave.orchestrator.errors import ToolError

LONGEST = 2000
"""Characters of an expression at most."""
LARGEST_EXPONENT = 1200
_VULGAR = {
    "½": Fraction(1, 2), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3), "¼": Fraction(1, 4), "¾": Fraction(3, 4),
    "⅕": Fraction(1, 5), "⅙": Fraction(1, 6), "⅛": Fraction(1, 8), "⅜": Fraction(3, 8), "⅝": Fraction(5, 8),
    "⅞": Fraction(7, 8),
}  # fmt: skip
_SIGNS = {
    "×": "*", "·": "*", "⋅": "*", "÷": "/", "−": "-", "–": "-", "**": "^", "≤": "<=", "≥": ">=", "≠": "!=", "<>": "!=",
    "==": "=", "²": "^2", "³": "^3",
}  # fmt: skip
_NUMBER = re.compile(r"(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+(?!\w))?", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d|,\d)(?:\.\d+)?", re.ASCII)
_NAME = re.compile(r"[^\W\d²³½⅓⅔¼¾⅕⅙⅛⅜⅝⅞][^\W²³]*|°[CF]?|℃|℉")
_SIGN = re.compile(r"\*\*|//|<=|>=|==|!=|<>|[-+*/^%!(),=<>×·⋅÷−–≤≥≠²³$€£¥₹¢√]")


class Token(NamedTuple):
    """A piece of an expression: a `number`, a `name`, a `sign` or the `end`; its place counts from 1."""

    kind: str
    text: str
    place: int
    value: Fraction = Fraction(0)
    spaced: bool = False
    """A space, or the begin, stands before it."""


def fault(message: str, place: int, *, hint: str = "") -> ToolError:
    """What is wrong at a place of the expression."""
    return ToolError(f"{message} (character {place})", hint=hint)


def tokens_of(expression: str) -> list[Token]:
    """The tokens, with an end. Raises ToolError."""
    if len(expression) > LONGEST:
        raise ToolError(f"an expression may have {LONGEST:,} characters, and this has {len(expression):,}")
    found: list[Token] = []
    calls = _Calls()
    at = 0
    while at < len(expression):
        if expression[at].isspace():
            at += 1
            continue
        spaced = at == 0 or expression[at - 1].isspace()
        token, at = _next(expression, at, spaced, calls)
        if token.text == "(":
            calls.open(bool(found) and found[-1].kind == "name")
        elif token.text == ")":
            calls.close()
        elif token.text == ",":
            calls.comma(expression, token.place)
        found.append(token)
    return [*found, Token("end", "", len(expression) + 1, spaced=True)]


def _next(expression: str, at: int, spaced: bool, calls: _Calls) -> tuple[Token, int]:
    """The token at an index, and the index after it."""
    if match := None if calls.inside else _GROUPED.match(expression, at):
        return Token("number", match[0], at + 1, Fraction(match[0].replace(",", "")), spaced), match.end()
    if match := _NUMBER.match(expression, at):
        return Token("number", match[0], at + 1, _value(match[0], at + 1), spaced), match.end()
    if expression[at] in _VULGAR:
        return Token("number", expression[at], at + 1, _VULGAR[expression[at]], spaced), at + 1
    if match := _NAME.match(expression, at):
        return Token("name", match[0], at + 1, spaced=spaced), match.end()
    if match := _SIGN.match(expression, at):
        return Token("sign", _SIGNS.get(match[0], match[0]), at + 1, spaced=spaced), match.end()
    raise fault(f"{expression[at]!r} means nothing here", at + 1)


def _value(text: str, place: int) -> Fraction:
    digits, _, exponent = text.replace("_", "").lower().partition("e")
    if exponent and abs(int(exponent[:8])) > LARGEST_EXPONENT:
        raise fault(f"{text} is too large or too small; an exponent has at most {LARGEST_EXPONENT}", place)
    return Fraction(digits.rstrip(".") or "0") * Fraction(10) ** int(exponent or 0)


class _Calls:
    """Whether a comma parts arguments or groups digits: inside a function call it parts. A call that has both kinds,
    as in `sum(1,234, 5)`, is refused, since either reading could be meant."""

    def __init__(self) -> None:
        self._open: list[set[bool] | None] = []

    @property
    def inside(self) -> bool:
        return bool(self._open) and self._open[-1] is not None

    def open(self, call: bool) -> None:
        self._open.append(set() if call or self.inside else None)

    def close(self) -> None:
        if self._open:
            self._open.pop()

    def comma(self, expression: str, place: int) -> None:
        if not self.inside:
            raise fault("a comma groups three digits (1,234) or parts the arguments of a function; here it does "
                        "neither", place, hint="decimals have a point: 1.5")  # fmt: skip
        seen = self._open[-1]
        assert seen is not None
        around = expression[max(place - 4, 0) : place + 4]
        seen.add(re.search(r"\d,\d{3}(?!\d)", around, re.ASCII) is not None)
        if len(seen) == 2:
            raise fault("a comma of these may group digits or part arguments", place,
                        hint="write numbers in a function without commas: sum(1234, 5)")  # fmt: skip
