"""Exact arithmetic with units, for what a language model should not do in its head.

`Calculator().calculate("15% of 1,240")` is 186, not about 186: numbers are fractions, and a result that had to be
rounded says so. Units are converted and checked: `3 cups in ml` works, `3 cups in kg` is refused with the place.
"""

from __future__ import annotations

from ragweave.tools.calculator.calculator import Calculation, Calculator

__all__ = ["Calculation", "Calculator"]
