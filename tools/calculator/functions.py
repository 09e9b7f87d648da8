"""The functions that the calculator knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import NamedTuple

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.calculator.quantities import (
    MOST_BITS,
    ROUNDED,
    Quantity,
    absolute,
    add,
    exponential,
    factor_of,
    modulo,
    multiply,
    raise_to,
    rounded,
    same_kind,
    sized,
    to_decimal,
    words,
)
from ragweave.tools.calculator.units import PI

MOST_PLACES = 100
LARGEST_FACTORIAL = 400
E = Fraction("2.71828182845904523536028747135266249775724709369995957496697")

CONSTANTS = {"pi": Quantity(PI, exact=False), "π": Quantity(PI, exact=False), "tau": Quantity(2 * PI, exact=False),
             "e": Quantity(E, exact=False)}  # fmt: skip

Values = Sequence[Quantity]


class Function(NamedTuple):
    """A function: how many arguments it takes (`most` -1 is any number), and what it does."""

    call: Callable[[Values], Quantity]
    least: int
    most: int


def rounding(how: Callable[[Fraction], int]) -> Callable[[Values], Quantity]:
    """A function that rounds to whole numbers, or to the places of its second argument, in the unit that is shown."""

    def call(values: Values) -> Quantity:
        value = values[0]
        places = whole(values[1], "the number of decimals") if len(values) > 1 else 0
        if abs(places) > MOST_PLACES:
            raise ToolError(f"the number of decimals is at most {MOST_PLACES}, not {places}")
        unit = Fraction(1) if value.scale else factor_of(value.shown)[0]
        step = Fraction(10) ** -places * (Fraction(1, 100) if value.percent else 1)
        return replace(value, number=how(value.number / unit / step) * step * unit)

    return call


def half_away(number: Fraction) -> int:
    """The nearest integer; halves go away from zero, as on an invoice."""
    nearest = math.floor(abs(number) + Fraction(1, 2))
    return nearest if number >= 0 else -nearest


def whole(value: Quantity, what: str) -> int:
    """An argument that must be an integer. Raises ToolError."""
    if not value.plain or value.number.denominator != 1:
        raise ToolError(f"{what} must be a whole number")
    return int(value.number)


def plain(value: Quantity, what: str) -> Fraction:
    """An argument that must have no unit. Raises ToolError."""
    if not value.plain:
        raise ToolError(f"{what} takes a plain number, not {words(value)}")
    return value.number


def factorial(value: Quantity) -> Quantity:
    """n! of a whole number up to 400."""
    number = whole(value, "what has a factorial")
    if not 0 <= number <= LARGEST_FACTORIAL:
        raise ToolError(f"a factorial is known from 0 to {LARGEST_FACTORIAL}, not of {number}")
    return Quantity(Fraction(math.factorial(number)))


def _logarithm(value: Quantity, what: str) -> Fraction:
    number = plain(value, what)
    if number <= 0:
        raise ToolError(f"{what} takes a number above zero")
    return Fraction(ROUNDED.ln(to_decimal(number)))


def _ln(values: Values) -> Quantity:
    if values[0].number == 1:
        return Quantity(Fraction(0), exact=values[0].exact)
    return Quantity(_logarithm(values[0], "ln"), exact=False)


def _log(values: Values) -> Quantity:
    return _log_of(values[0], values[1] if len(values) > 1 else Quantity(Fraction(10)))


def _log_of(value: Quantity, base: Quantity) -> Quantity:
    top, bottom = _logarithm(value, "log"), _logarithm(base, "the base of log")
    if bottom == 0:
        raise ToolError("the base of log must not be 1")
    near = half_away(top / bottom)
    small = abs(near) * max(base.number.numerator.bit_length(), base.number.denominator.bit_length()) <= MOST_BITS
    if value.exact and base.exact and small and base.number**near == value.number:
        return Quantity(Fraction(near))
    return Quantity(top / bottom, exact=False)


def _radians(value: Quantity, what: str) -> float:
    if value.dimensions == (("angle", 1),):
        return float(value.number % 360 * PI / 180)
    return float(plain(value, what) % (2 * PI))


def circular(what: str, of: Callable[[float], float]) -> Callable[[Values], Quantity]:
    """sin, cos or tan of an angle, or of a plain number of radians; 15 digits."""

    def call(values: Values) -> Quantity:
        result = of(_radians(values[0], what))
        if abs(result) > 1e15:
            raise ToolError(f"{what} is not defined there")
        return rounded(0.0 if abs(result) < 1e-15 else result)

    return call


def inverse(what: str, of: Callable[[float], float]) -> Callable[[Values], Quantity]:
    """asin, acos or atan: an angle in radians, as a plain number; 15 digits."""

    def call(values: Values) -> Quantity:
        number = plain(values[0], what)
        if what != "atan" and abs(number) > 1:
            raise ToolError(f"{what} takes a number from -1 to 1")
        return rounded(of(float(number)) if abs(number) < 10**300 else math.copysign(math.pi / 2, number))

    return call


def _sum(values: Values) -> Quantity:
    same_kind(values, "added")
    return reduce(add, values)


def _average(values: Values) -> Quantity:
    same_kind(values, "averaged")
    total = replace(values[0], number=sized(sum((_in_scale(value, values[0]) for value in values), Fraction(0))))
    exact = all(value.exact for value in values)
    return replace(total, number=sized(total.number / len(values)), exact=exact)


def _in_scale(value: Quantity, like: Quantity) -> Fraction:
    if value.scale != like.scale:
        raise ToolError("temperatures of two scales cannot be averaged", hint="convert them first: 68 °F in °C")
    return value.number


def _median(values: Values) -> Quantity:
    same_kind(values, "compared")
    ordered = sorted(values, key=lambda value: absolute(value).number)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else _average(ordered[middle - 1 : middle + 1])


def _variance(values: Values) -> Quantity:
    mean = _average(values)
    gaps = [add(value, mean, -1) for value in values]
    total = reduce(add, [multiply(gap, gap) for gap in gaps])
    return multiply(total, Quantity(Fraction(len(values) - 1)), -1)


def _extreme(pick: Callable[..., Quantity]) -> Callable[[Values], Quantity]:
    def call(values: Values) -> Quantity:
        same_kind(values, "compared")
        return pick(values, key=lambda value: absolute(value).number)

    return call


def _integers(of: Callable[..., int]) -> Callable[[Values], Quantity]:
    return lambda values: Quantity(sized(Fraction(of(*(whole(value, "an argument") for value in values)))))


def _root(values: Values) -> Quantity:
    degree = whole(values[1], "the degree of a root")
    if not 1 <= degree <= 64:
        raise ToolError("the degree of a root is from 1 to 64")
    if degree % 2 and values[0].plain and values[0].number < 0:
        positive = raise_to(replace(values[0], number=-values[0].number), Quantity(Fraction(1, degree)))
        return replace(positive, number=-positive.number)
    return raise_to(values[0], Quantity(Fraction(1, degree)))


def _sign(values: Values) -> Quantity:
    number = values[0].number
    return Quantity(Fraction((number > 0) - (number < 0)))


def _change(values: Values) -> Quantity:
    same_kind(values, "compared")
    old, new = (absolute(value) for value in values)
    if old.number == 0:
        raise ToolError("there is no relative change from zero")
    exact = old.exact and new.exact
    return Quantity(sized((new.number - old.number) / abs(old.number)), exact=exact, percent=True)


def _choose(values: Values) -> Quantity:
    n, k = (whole(value, "an argument") for value in values)
    if not (0 <= k <= n <= 5000):
        raise ToolError("choose(n, k) takes 0 ≤ k ≤ n ≤ 5000")
    return Quantity(sized(Fraction(math.comb(n, k))))


FUNCTIONS: dict[str, Function] = {
    "sqrt": Function(lambda v: _root([v[0], Quantity(Fraction(2))]), 1, 1),
    "cbrt": Function(lambda v: _root([v[0], Quantity(Fraction(3))]), 1, 1),
    "root": Function(_root, 2, 2),
    "pow": Function(lambda v: raise_to(v[0], v[1]), 2, 2),
    "abs": Function(lambda v: replace(v[0], number=abs(v[0].number)), 1, 1),
    "sign": Function(_sign, 1, 1),
    "round": Function(rounding(half_away), 1, 2),
    "floor": Function(rounding(math.floor), 1, 2),
    "ceil": Function(rounding(math.ceil), 1, 2),
    "trunc": Function(rounding(math.trunc), 1, 2),
    "min": Function(_extreme(min), 1, -1),
    "max": Function(_extreme(max), 1, -1),
    "sum": Function(_sum, 1, -1),
    "avg": Function(_average, 1, -1),
    "mean": Function(_average, 1, -1),
    "median": Function(_median, 1, -1),
    "variance": Function(_variance, 2, -1),
    "stdev": Function(lambda v: _root([_variance(v), Quantity(Fraction(2))]), 2, -1),
    "mod": Function(lambda v: modulo(v[0], v[1]), 2, 2),
    "gcd": Function(_integers(math.gcd), 2, -1),
    "lcm": Function(_integers(math.lcm), 2, -1),
    "choose": Function(_choose, 2, 2),
    "factorial": Function(lambda v: factorial(v[0]), 1, 1),
    "percent_change": Function(_change, 2, 2),
    "exp": Function(lambda v: rounded(exponential(plain(v[0], "exp"))), 1, 1),
    "ln": Function(_ln, 1, 1),
    "log": Function(_log, 1, 2),
    "log10": Function(lambda v: _log_of(v[0], Quantity(Fraction(10))), 1, 1),
    "log2": Function(lambda v: _log_of(v[0], Quantity(Fraction(2))), 1, 1),
    "sin": Function(circular("sin", math.sin), 1, 1),
    "cos": Function(circular("cos", math.cos), 1, 1),
    "tan": Function(circular("tan", math.tan), 1, 1),
    "asin": Function(inverse("asin", math.asin), 1, 1),
    "acos": Function(inverse("acos", math.acos), 1, 1),
    "atan": Function(inverse("atan", math.atan), 1, 1),
}
OTHER_NAMES = {"average": "avg", "ceiling": "ceil", "int": "trunc", "power": "pow", "std": "stdev", "comb": "choose"}
