"""Reads and calculates an expression in one pass, by the binding power of its operators (V. Pratt, 1973)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from ragweave.orchestrator.errors import ToolError, did_you_mean
from ragweave.tools.calculator.functions import CONSTANTS, FUNCTIONS, OTHER_NAMES, factorial
from ragweave.tools.calculator.lexer import Token, fault, tokens_of
from ragweave.tools.calculator.quantities import (
    Quantity,
    add,
    compare,
    convert,
    modulo,
    multiply,
    of_unit,
    raise_to,
    words,
)
from ragweave.tools.calculator.units import CURRENCIES, MONTHS, Dimensions, Unit, multiplied, unit_named, units

DEEPEST = 40
COMPARISONS = ("<", "<=", "=", "!=", ">=", ">")
CONVERSIONS = ("in", "to", "as")
_BINDING = {
    **dict.fromkeys(COMPARISONS, 5), **dict.fromkeys(CONVERSIONS, 10), "+": 20, "-": 20, "*": 30, "/": 30, "//": 30,
    "%": 30, "mod": 30, "of": 30, "^": 50,
}  # fmt: skip
_UNARY, _POSTFIX = 40, 60
_MONEY = "numbers only: no table here knows what money is worth; leave the currency out, or look the rate up"


def evaluate(expression: str) -> Quantity | bool:
    """What an expression is worth; a comparison is True or False. Raises ToolError with the place."""
    return _Parser(tokens_of(expression)).whole()


@contextmanager
def _at(token: Token) -> Iterator[None]:
    """Faults of arithmetic get the place of the operator or function."""
    try:
        yield
    except ToolError as error:
        if "(character " in error.message:
            raise
        raise fault(error.message, token.place, hint=error.hint) from None


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _ahead(self, steps: int) -> Token:
        return self._tokens[min(self._at + steps, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._token
        self._at += token.kind != "end"
        return token

    def whole(self) -> Quantity | bool:
        if self._token.kind == "end":
            raise ToolError("the expression is empty", hint="write one, such as 15% of 80")
        left = self._expression(_BINDING["<"])
        if self._token.text not in COMPARISONS:
            self._end()
            return left
        sign = self._take()
        right = self._expression(_BINDING["<"])
        if self._token.text in COMPARISONS:
            raise fault("two comparisons in one expression", self._token.place, hint="compare two values at a time")
        self._end()
        with _at(sign):
            return compare(left, sign.text, right)

    def _end(self) -> None:
        token = self._token
        if token.kind == "end":
            return
        if token.text == ")":
            raise fault("a ')' too many", token.place)
        raise (
            self._unknown(token)
            if self._unknown_name(token)
            else fault(
                f"an operator is missing before {token.text!r}", token.place, hint="multiplication is written with *"
            )
        )

    def _expression(self, power: int) -> Quantity:
        self._depth += 1
        if self._depth > DEEPEST:
            raise fault(f"nested more than {DEEPEST} deep", self._token.place)
        left = self._operand()
        while (token := self._token).kind != "end":
            if token.text == "!" or token.text in ("^2", "^3") or (token.text == "%" and self._is_percent()):
                if power >= _POSTFIX:
                    break
                left = self._postfix(left, self._take())
            elif _BINDING.get(token.text, -1) > power and token.text not in COMPARISONS:
                left = self._infix(left, self._take())
            else:
                break
        self._depth -= 1
        return left

    def _is_percent(self) -> bool:
        """A % before an operand is a remainder, as in `7 % 3`."""
        following = self._ahead(1)
        word = following.kind == "name" and following.text not in (*CONVERSIONS, "of", "mod")
        return following.kind != "number" and following.text != "(" and not word

    def _postfix(self, left: Quantity, token: Token) -> Quantity:
        with _at(token):
            if token.text == "!":
                return factorial(left)
            if token.text == "%":
                if not left.plain or left.percent:
                    raise ToolError(f"{'a percentage' if left.percent else words(left)} cannot be a percentage")
                return replace(left, number=left.number / 100, percent=True)
            return raise_to(left, Quantity(Fraction(token.text[1])))

    def _infix(self, left: Quantity, token: Token) -> Quantity:
        sign = token.text
        if sign in CONVERSIONS:
            return self._converted(left, token)
        right = self._expression(_BINDING[sign] - 1 if sign == "^" else _BINDING[sign])
        with _at(token):
            match sign:
                case "+" | "-":
                    return add(left, right, 1 if sign == "+" else -1)
                case "*" | "of":
                    return multiply(left, right)
                case "/":
                    return multiply(left, right, -1)
                case "//":
                    quotient = multiply(left, right, -1)
                    if not quotient.plain:
                        raise ToolError(f"{words(left)} cannot be divided by {words(right)} without a rest")
                    return replace(quotient, number=Fraction(quotient.number // 1))
                case "^":
                    return raise_to(left, right)
                case _:
                    return modulo(left, right)

    def _operand(self) -> Quantity:
        token = self._take()
        match token.kind, token.text:
            case "number", _:
                return self._number(token)
            case "sign", "-":
                value = self._expression(_UNARY)
                return replace(value, number=-value.number)
            case "sign", "+":
                return self._expression(_UNARY)
            case "sign", "√":
                value = self._expression(_POSTFIX)
                with _at(token):
                    return FUNCTIONS["sqrt"].call([value])
            case "sign", "(":
                value = self._expression(0)
                self._close(token)
                return self._measured(value)
            case "name", _:
                return self._name(token)
            case "end", _:
                raise fault("the expression ends where a number is expected", token.place)
        if token.text in CURRENCIES:
            raise fault(f"{token.text!r} is money", token.place, hint=_MONEY)
        raise fault(f"a number is expected, not {token.text!r}", token.place)

    def _close(self, opened: Token) -> None:
        if self._token.text in COMPARISONS:
            raise fault("a comparison cannot stand in brackets", self._token.place)
        if self._token.text != ")":
            if self._token.kind == "end":
                raise fault("this '(' is never closed", opened.place)
            self._end()
        self._take()

    # Numbers and their units

    def _number(self, token: Token) -> Quantity:
        value = self._with_fraction(token)
        unit = self._unit_here()
        if unit is None:
            return Quantity(value)
        measured = self._measured(Quantity(value))
        while self._token.kind == "number" and not measured.scale:  # 5 ft 11 in, 2 h 30 min
            held = self._at
            more = self._with_fraction(self._take())
            smaller = self._unit_here()
            if smaller is None or smaller.dimensions != unit.dimensions or smaller.factor >= unit.factor:
                self._at = held
                break
            unit, measured = smaller, add(measured, self._measured(Quantity(more)))
        return measured

    def _with_fraction(self, token: Token) -> Fraction:
        """A number with the fraction that follows it: 1 1/2, 1½; and 1/2 where a unit follows: 1/2 cup."""
        value = token.value
        if self._token.kind == "number" and not self._token.text[0].isascii() and token.text.isdigit():
            return value + self._take().value
        before = self._tokens[self._at - 2].text if self._at > 1 else ""
        if (part := self._fraction(0)) is not None and self._token.spaced and token.text.isdigit():
            self._at += 3
            return value + part
        part = self._fraction(-1)
        if part is not None and before not in ("/", "//", "^", "%") and self._is_unit(self._ahead(2)):
            self._at += 2
            return part
        return value

    def _fraction(self, start: int) -> Fraction | None:
        """The fraction that is written, without spaces, from here on."""
        top, slash, bottom = (self._tokens[min(self._at + start + i, len(self._tokens) - 1)] for i in range(3))
        whole = top.text.isdigit() and bottom.text.isdigit() and slash.text == "/"
        if not whole or slash.spaced or bottom.spaced or bottom.value == 0:
            return None
        return top.value / bottom.value

    def _is_unit(self, token: Token) -> bool:
        return token.kind == "name" and token.text not in CONVERSIONS and unit_named(token.text) is not None

    def _unit_here(self) -> Unit | None:
        """The unit that the next token names. `in` is an inch where no unit follows it: 5 in in cm."""
        token = self._token
        if token.kind != "name":
            return None
        if token.text == "in":
            following = self._ahead(1)
            target = self._is_unit(following) or following.text == "%"
            return None if target else units()["in"]
        if token.text.lower() in CURRENCIES:
            raise fault(f"{token.text!r} is money", token.place, hint=_MONEY)
        if token.text in CONVERSIONS or token.text in _BINDING:
            return None
        return unit_named(token.text)

    def _measured(self, value: Quantity) -> Quantity:
        """The value with the unit that follows it, if one does: `5 kg`, `(2 + 3) m^2`."""
        unit = self._unit_here()
        if unit is None:
            return value
        token = self._take()
        with _at(token):
            if not value.plain or value.percent:
                raise ToolError(f"{words(value)} has a unit already")
            power = self._power()
            if unit.zero is not None:
                if power != 1:
                    raise ToolError("a temperature in °C or °F has no power")
                return replace(of_unit(unit, value.number), exact=value.exact)
            return multiply(value, raise_to(of_unit(unit), Quantity(Fraction(power))))

    def _power(self) -> int:
        """The power that a unit is raised to here: m^2, s^-1, m²."""
        if self._token.text in ("^2", "^3"):
            return int(self._take().text[1])
        if self._token.text != "^":
            return 1
        sign = -1 if self._ahead(1).text == "-" else 1
        number = self._ahead(1 if sign == 1 else 2)
        if not number.text.isdigit() or len(number.text) > 2:
            raise fault("the power of a unit is a small whole number", number.place)
        self._at += 2 if sign == 1 else 3
        return sign * int(number.text)

    def _converted(self, value: Quantity, token: Token) -> Quantity:
        if self._token.text == "%":
            self._take()
            with _at(token):
                return convert(value, (), "", percent=True)
        shown, sign, scale = Dimensions(), 1, ""
        while True:
            named = self._take()
            unit = unit_named(named.text) if named.kind == "name" else None
            if unit is None:
                raise self._no_unit(named)
            scale = unit.symbol if unit.zero is not None else scale
            shown = multiplied(shown, ((unit.symbol, 1),), sign * self._power())
            if self._token.text not in ("*", "/") or not self._is_unit(self._ahead(1)):
                break
            sign = 1 if self._take().text == "*" else -1
        with _at(token):
            if scale and shown != ((scale, 1),):
                raise ToolError(f"{scale} cannot be part of a product of units", hint="use K")
            return convert(value, shown, scale)

    # Names

    def _name(self, token: Token) -> Quantity:
        if self._token.text == "(" and (OTHER_NAMES.get(token.text.lower(), token.text.lower()) in FUNCTIONS):
            return self._call(token)
        if token.text in CONSTANTS and not self._token.text.startswith("("):
            return CONSTANTS[token.text]
        if token.text not in CONVERSIONS and (unit := unit_named(token.text)) is not None:
            with _at(token):
                power = self._power()
                return of_unit(unit) if power == 1 else raise_to(of_unit(unit), Quantity(Fraction(power)))
        raise self._unknown(token)

    def _call(self, token: Token) -> Quantity:
        name = OTHER_NAMES.get(token.text.lower(), token.text.lower())
        opened = self._take()
        values = []
        if self._token.text != ")":
            values.append(self._expression(0))
            while self._token.text == ",":
                self._take()
                values.append(self._expression(0))
        self._close(opened)
        function = FUNCTIONS[name]
        if len(values) < function.least or (function.most != -1 and len(values) > function.most):
            need = str(function.least) if function.most == function.least else f"{function.least} or more"
            if function.most > function.least:
                need = f"{function.least} or {function.most}"
            raise fault(f"{name} takes {need} values, not {len(values)}", token.place)
        with _at(token):
            return self._measured(function.call(values))

    def _unknown_name(self, token: Token) -> bool:
        known = self._is_unit(token) or token.text in CONSTANTS or token.text.lower() in FUNCTIONS
        return token.kind == "name" and token.text not in _BINDING and not known

    def _unknown(self, token: Token) -> ToolError:
        name = token.text
        if name.lower() in CURRENCIES:
            return fault(f"{name!r} is money", token.place, hint=_MONEY)
        if name.lower() in MONTHS:
            return fault(
                "a month has no fixed length", token.place, hint="use days or weeks, or the clock for calendar dates"
            )
        if name.lower() in ("of", "mod", *CONVERSIONS):
            return fault(f"a number is expected before {name!r}", token.place)
        candidates = {*FUNCTIONS, *OTHER_NAMES, *CONSTANTS, *units()} if len(name) > 2 else set[str]()
        return fault(f"{name!r} is neither a function nor a unit{did_you_mean(name, candidates)}", token.place)

    def _no_unit(self, token: Token) -> ToolError:
        if token.kind == "name":
            return self._unknown(token)
        if token.text in CURRENCIES:
            return fault(f"{token.text!r} is money", token.place, hint=_MONEY)
        return fault("a unit is expected, such as ml or km/h", token.place)
