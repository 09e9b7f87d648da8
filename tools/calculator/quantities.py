"""Numbers with units, and what can be done with them: exact fractions, bounded in size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.calculator.units import Dimensions, Unit, multiplied, unit_named

MOST_BITS = 4096
"""Of a numerator or a denominator; 1,233 digits."""
ROUNDED = Context(prec=50, Emax=100_000, Emin=-100_000)
"""What is not rational has 50 digits."""
CLOSE = Fraction(1, 10**12)
"""Rounded numbers that differ by less, relatively, are equal."""

_BASE = {"length": "m", "mass": "kg", "time": "s", "temperature": "K", "information": "byte", "angle": "deg"}
_SUPER = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in base units, its dimensions, and the units that it is shown in.

    `scale` marks a temperature such as 20 °C, whose number is that of the scale: it can be converted, compared and
    averaged, and two can be subtracted, but twice 20 °C means nothing.
    """

    number: Fraction
    dimensions: Dimensions = ()
    exact: bool = True
    shown: Dimensions = ()
    scale: str = ""
    percent: bool = False
    notes: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """A number without a unit."""
        return not self.dimensions and not self.scale


def of_unit(unit: Unit, number: Fraction = Fraction(1)) -> Quantity:
    """So many of a unit."""
    notes = (unit.note,) if unit.note else ()
    if unit.zero is not None:
        return Quantity(number, unit.dimensions, shown=((unit.symbol, 1),), scale=unit.symbol, notes=notes)
    shown = ((unit.symbol, 1),)
    return Quantity(sized(number * unit.factor), unit.dimensions, unit.exact, shown, notes=notes)


def sized(number: Fraction) -> Fraction:
    """The number, if it is not too large. Raises ToolError."""
    if number.numerator.bit_length() > MOST_BITS or number.denominator.bit_length() > MOST_BITS:
        raise ToolError("the result is too large: it would have more than 1,233 digits")
    return number


def words(quantity: Quantity) -> str:
    """What kind of quantity it is: "a length", "a plain number"."""
    if quantity.plain:
        return "a plain number"
    named = {
        "m": "a length", "kg": "a mass", "s": "a time", "K": "a temperature", "m³": "a volume", "m²": "an area",
        "byte": "an amount of data", "deg": "an angle",
    }  # fmt: skip
    unit = unit_text(tuple((_BASE[name], power) for name, power in quantity.dimensions))
    return named.get(unit, f"a quantity in {unit}")


def unit_text(shown: Dimensions) -> str:
    """Units as people write them: km/h, m², kg·m/s²."""

    def part(name: str, power: int) -> str:
        return name if power == 1 else f"{name}{str(power).translate(_SUPER)}"

    above = "·".join(part(name, power) for name, power in shown if power > 0)
    below = [part(name, -power) for name, power in shown if power < 0]
    if not above and below:
        return "·".join(part(name, power) for name, power in shown)
    return "/".join([above, *below])


def factor_of(shown: Dimensions) -> tuple[Fraction, bool]:
    """What one of these units is in base units, and whether that is exact."""
    factor, exact = Fraction(1), True
    for name, power in shown:
        unit = unit_named(name)
        assert unit is not None
        factor *= unit.factor**power
        exact = exact and unit.exact
    return factor, exact


def absolute(quantity: Quantity) -> Quantity:
    """A temperature of a scale in kelvin; anything else as it is."""
    if not quantity.scale:
        return quantity
    unit = unit_named(quantity.scale)
    assert unit is not None
    assert unit.zero is not None
    return replace(quantity, number=quantity.number * unit.factor + unit.zero, shown=(("K", 1),), scale="")


def _alike(left: Quantity, right: Quantity, doing: str) -> None:
    if left.dimensions != right.dimensions:
        raise ToolError(f"{words(left)} and {words(right)} cannot be {doing}")


def add(left: Quantity, right: Quantity, sign: int = 1) -> Quantity:
    """left + right, or left - right with sign -1."""
    doing = "added" if sign == 1 else "subtracted"
    _alike(left, right, doing)
    notes, exact = _both(left, right), left.exact and right.exact
    if left.scale or right.scale:
        return _add_temperatures(left, right, sign)
    if left.percent != right.percent and not (right.percent and left.number == 1):
        # Pocket calculators make 220 of 200 + 10%, arithmetic 200.1. For 1 - 20% both give 0.8.
        raise ToolError("a percentage and a plain number cannot be " + doing,
                        hint="write 200 * (1 + 10%) for a change by 10%, or 200 + 0.1 for the number")  # fmt: skip
    number = sized(left.number + sign * right.number)
    percent = left.percent and right.percent
    return Quantity(number, left.dimensions, exact, left.shown or right.shown, percent=percent, notes=notes)


def _add_temperatures(left: Quantity, right: Quantity, sign: int) -> Quantity:
    if sign == 1 or not (left.scale and right.scale):
        raise ToolError("temperatures in °C and °F can be subtracted from one another, but not added",
                        hint="convert them first: (20 °C in K) + 5 K")  # fmt: skip
    difference = absolute(left).number - absolute(right).number
    return Quantity(difference, left.dimensions, left.exact and right.exact, (("K", 1),))


def _both(left: Quantity, right: Quantity) -> tuple[str, ...]:
    return tuple(dict.fromkeys(left.notes + right.notes))


def multiply(left: Quantity, right: Quantity, power: int = 1) -> Quantity:
    """left × right, or left / right with power -1."""
    if left.scale or right.scale:
        raise ToolError(
            "a temperature in °C or °F cannot be multiplied or divided", hint="convert it first: 20 °C in K"
        )
    if power == -1 and right.number == 0:
        raise ToolError("division by zero")
    dimensions = multiplied(left.dimensions, right.dimensions, power)
    shown = _simple(multiplied(left.shown, right.shown, power), dimensions)
    number = sized(left.number * right.number**power)
    # A part of a percentage is one. A multiple may be an amount: 8% * 200.
    percent = power == -1 and left.percent and right.plain and not right.percent
    return Quantity(number, dimensions, left.exact and right.exact, shown, percent=percent, notes=_both(left, right))


def _simple(shown: Dimensions, dimensions: Dimensions) -> Dimensions:
    """The units to show a product in: its own, or base units where two of them measure the same (cm·m)."""
    kinds = [name for symbol, _ in shown for name, _ in unit_named(symbol).dimensions]  # type: ignore[union-attr]
    if len(kinds) == len(set(kinds)) and dimensions:
        return shown
    return tuple((_BASE[name], power) for name, power in dimensions)


def raise_to(base: Quantity, exponent: Quantity) -> Quantity:
    """base to the power of a plain exponent; exact where the result is rational and that is easy to see."""
    if not exponent.plain:
        raise ToolError(f"an exponent must be a plain number, not {words(exponent)}")
    power = exponent.number
    if power.denominator == 1 and exponent.exact:
        return _whole_power(base, int(power))
    if not base.plain:
        return _root_of_units(base, power)
    if base.number < 0:
        raise ToolError("a negative number has no real power with a fraction as exponent")
    if base.number == 0:
        if power <= 0:
            raise ToolError("division by zero: zero to a negative power")
        return replace(base, percent=False)
    exact = exact_root(base.number, power.denominator) if exponent.exact and power.denominator <= 64 else None
    if exact is not None:
        return replace(_whole_power(Quantity(exact), power.numerator), exact=base.exact)
    logarithm = power * Fraction(ROUNDED.ln(to_decimal(base.number)))
    return rounded(exponential(logarithm))


def _whole_power(base: Quantity, power: int) -> Quantity:
    if base.scale:
        raise ToolError("a temperature in °C or °F has no power", hint="convert it first: 20 °C in K")
    if base.number == 0 and power < 0:
        raise ToolError("division by zero: zero to a negative power")
    if not base.plain and abs(power) > 12:
        raise ToolError("the power of a unit is at most 12")
    bits = max(base.number.numerator.bit_length(), base.number.denominator.bit_length())
    if abs(base.number) not in (0, 1) and (bits - 1) * abs(power) > MOST_BITS:  # judged before the work is done
        raise ToolError("the result is too large: it would have more than 1,233 digits")
    if abs(base.number) in (0, 1):
        power_number = base.number ** (power % 2 if base.number == -1 else min(power, 1) if power >= 0 else 1)
    else:
        power_number = base.number**power
    dimensions = multiplied((), base.dimensions, power)
    shown = _simple(multiplied((), base.shown, power), dimensions)
    return Quantity(sized(power_number), dimensions, base.exact, shown, notes=base.notes)


def _root_of_units(base: Quantity, power: Fraction) -> Quantity:
    if base.scale or base.number < 0 or any(exponent * power % 1 for _, exponent in base.dimensions):
        raise ToolError(f"{words(base)} has no such root")
    dimensions = tuple((name, int(exponent * power)) for name, exponent in base.dimensions)
    number = raise_to(Quantity(base.number, exact=base.exact), Quantity(power))
    shown = tuple((_BASE[name], exponent) for name, exponent in dimensions)
    if all(exponent * power % 1 == 0 for _, exponent in base.shown):
        shown = tuple((name, int(exponent * power)) for name, exponent in base.shown)
    return replace(number, dimensions=dimensions, shown=shown, notes=base.notes)


def exact_root(number: Fraction, degree: int) -> Fraction | None:
    """The root of a number ≥ 0, if it is rational."""
    parts = []
    for part in (number.numerator, number.denominator):
        root = math.isqrt(part) if degree == 2 else _integer_root(part, degree)
        if root**degree != part:
            return None
        parts.append(root)
    return Fraction(parts[0], parts[1])


def _integer_root(number: int, degree: int) -> int:
    """The largest integer whose power is at most `number` (bisection)."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= number else (low, middle)
    return low


def to_decimal(number: Fraction) -> Decimal:
    """50 digits of a number."""
    return ROUNDED.divide(Decimal(number.numerator), Decimal(number.denominator))


def exponential(power: Fraction) -> Decimal:
    """e to a power. Raises ToolError where that is too large."""
    if abs(power) > 2800:  # e^2839 has 1,233 digits
        raise ToolError("the result is too large or too small: it would have more than 1,233 digits")
    return ROUNDED.exp(to_decimal(power))


def rounded(number: Decimal | float) -> Quantity:
    """A plain number that is not exact. Raises ToolError for what is no number."""
    if not math.isfinite(number):
        raise ToolError("the result is not a number")
    # A float has 15 digits that mean something, whatever its binary tail says.
    return Quantity(sized(Fraction(f"{number:.15g}" if isinstance(number, float) else number)), exact=False)


def modulo(left: Quantity, right: Quantity) -> Quantity:
    """The rest, with the sign of the right side as in Python."""
    _alike(left, right, "divided with a rest")
    if left.scale or right.scale:
        raise ToolError("a temperature in °C or °F cannot be divided", hint="convert it first: 20 °C in K")
    if right.number == 0:
        raise ToolError("division by zero")
    exact = left.exact and right.exact
    return Quantity(left.number % right.number, left.dimensions, exact, left.shown, notes=_both(left, right))


def compare(left: Quantity, sign: str, right: Quantity) -> bool:
    """Whether left sign right; rounded numbers are equal where they differ in the last digits only."""
    _alike(left, right, "compared")
    exact = left.exact and right.exact
    one, other = absolute(left).number, absolute(right).number
    if not exact and abs(one - other) <= CLOSE * max(abs(one), abs(other)):
        other = one
    outcomes = {"<": one < other, "<=": one <= other, "=": one == other, "!=": one != other, ">=": one >= other}
    return outcomes.get(sign, one > other)


def convert(quantity: Quantity, shown: Dimensions, scale: str, *, percent: bool = False) -> Quantity:
    """The same quantity in other units. Raises ToolError where they measure something else."""
    if percent:
        if not quantity.plain:
            raise ToolError(f"{words(quantity)} is no percentage")
        return replace(quantity, percent=True)
    dimensions = Dimensions()
    notes = list(quantity.notes)
    for name, power in shown:
        unit = unit_named(name)
        assert unit is not None
        dimensions = multiplied(dimensions, unit.dimensions, power)
        notes += [unit.note] if unit.note else []
    if dimensions != quantity.dimensions:
        target = replace(quantity, dimensions=dimensions, scale=scale)
        raise ToolError(f"{words(quantity)} cannot be converted into {unit_text(shown)}, {words(target)}")
    told = tuple(dict.fromkeys(notes))
    if scale:
        unit = unit_named(scale)
        assert unit is not None
        assert unit.zero is not None
        number = (absolute(quantity).number - unit.zero) / unit.factor
        return Quantity(number, dimensions, quantity.exact, shown, scale, notes=told)
    exact = quantity.exact and factor_of(shown)[1]
    return replace(absolute(quantity), shown=shown, exact=exact, notes=told)


def same_kind(values: Sequence[Quantity], doing: str) -> None:
    """Raises ToolError unless all are quantities of one kind, and percentages are not mixed with plain numbers."""
    for value in values[1:]:
        _alike(values[0], value, doing)
        if value.percent != values[0].percent:
            raise ToolError(f"percentages and plain numbers cannot be {doing} together", hint="write all in one way")
