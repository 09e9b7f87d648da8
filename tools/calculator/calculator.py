"""The calculator: an expression in, an exact result out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ToolSpec
from ragweave.tools.calculator.parser import evaluate
from ragweave.tools.calculator.quantities import ROUNDED, Quantity, factor_of, to_decimal, unit_text
from ragweave.tools.function import MethodTool

_SHORT = 10**9
"""Fractions whose parts are below are shown as such, too."""
_WHOLE_DECIMALS = 40
_TOLD = (
    "Compute exactly: + - * / // ^ %, `15% of 80`, comparisons, functions such as sqrt, round, min, sum and average, "
    "and units with `in`. Use it for every computation."
)


class Calculation(BaseModel):
    """A result. `text` is what to tell a model: "7.5 km/h", "0.333333333333333 (rounded; exactly 1/3)", "true"."""

    model_config = ConfigDict(frozen=True)

    text: str
    value: str
    """The number in decimals, or `true` or `false`."""
    unit: str = ""
    exact: bool = True
    """False if something was rounded: the value then has the calculator's number of digits."""
    fraction: str = ""
    """The exact value `a/b`, where decimals cannot give it."""


class Calculator(MethodTool, type="calculator"):
    """Exact arithmetic: + - * / // ^ %, `15% of 80`, comparisons, functions, constants, and units with `in`.

    Numbers are fractions, so that 0.1 + 0.2 is 0.3; roots, logarithms and angles are rounded and say so. Whatever is
    asked, the answer comes within milliseconds: numbers have at most 1,233 digits, expressions 2,000 characters.
    """

    calls = {"calculate": "none"}

    digits: int = Field(15, ge=1, le=40, description="Digits that are shown of numbers that had to be rounded.")

    def specs(self) -> Sequence[ToolSpec]:
        """The one tool, told by what it can do."""
        (spec,) = super().specs()
        return (replace(spec, description=_TOLD),)

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> str:
        """The result as a text."""
        result: Calculation = await super().call(name, arguments, ctx)
        return result.text

    def calculate(self, expression: str) -> Calculation:
        """The result of an expression such as `round(1,234.5 * 12%, 2)`. Raises ToolError, which names the place.

        Args:
            expression: What to compute, such as `15% of 1,240`, `3 cups in ml` or `sqrt(2) > 1.4`.
        """
        result = evaluate(expression)
        if isinstance(result, bool):
            word = "true" if result else "false"
            return Calculation(text=word, value=word)
        return self._told(result)

    def _told(self, result: Quantity) -> Calculation:
        number, unit, exact = result.number, "", result.exact
        if result.percent:
            number, unit = number * 100, "%"
        elif result.scale:
            unit = result.scale
        elif result.dimensions:
            factor, known = factor_of(result.shown)
            number, unit, exact = number / factor, unit_text(result.shown), exact and known
        value, whole = self._decimals(number, exact)
        fraction = ""
        if exact and not whole and abs(number.numerator) < _SHORT and number.denominator < _SHORT:
            fraction = f"{number.numerator}/{number.denominator}"
        text = value if not unit else f"{value}{unit}" if unit == "%" else f"{value} {unit}"
        remarks = [] if whole else ["rounded", *([f"exactly {fraction}"] if fraction else [])]
        remarks += result.notes
        if remarks:
            text += f" ({'; '.join(remarks)})"
        return Calculation(text=text, value=value, unit=unit, exact=whole, fraction=fraction)

    def _decimals(self, number: Fraction, exact: bool) -> tuple[str, bool]:
        """The number in decimals, and whether they are all of it."""
        if exact and number.denominator == 1:
            return str(number.numerator), True
        if exact and (text := _terminating(number)) is not None:
            return text, True
        if number == 0:
            return "0", exact
        rounded = to_decimal(number)
        text = f"{rounded:.{self.digits}g}"
        mantissa, _, exponent = text.partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        if exponent and 0 < int(exponent) < 30:
            last = Decimal((0, (1,), int(exponent) - self.digits + 1))
            return f"{ROUNDED.quantize(rounded, last):f}", False
        return (f"{mantissa}e{int(exponent)}" if exponent else mantissa), False


def _terminating(number: Fraction) -> str | None:
    """All decimals of a number that has at most 40 of them."""
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places > _WHOLE_DECIMALS:
        return None
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    sign = "-" if number < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"
