"""The units that the calculator knows: a table, and how names are looked up in it.

Factors are exact by definition (international yard and pound of 1959, SI brochure, US customary volumes of 231 cubic
inches to the gallon); those of angles in radians alone are rounded.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

Dimensions = tuple[tuple[str, int], ...]
"""Powers of the base dimensions, sorted; () is a plain number."""

PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")


class Unit(NamedTuple):
    """A unit: how it is shown, what one of it is in base units, and of what dimensions."""

    symbol: str
    factor: Fraction
    dimensions: Dimensions
    note: str = ""
    """Said with a result, where the name means different things to different people."""
    exact: bool = True
    zero: Fraction | None = None
    """Of a temperature scale: its zero in kelvin."""


# symbol; other names; one of it in units above it (or a base unit); a note
_TABLE = """
m; metre meter metres meters; length
km; kilometre kilometer kilometres kilometers; 1000 m
dm; decimetre decimeter decimetres decimeters; 1/10 m
cm; centimetre centimeter centimetres centimeters; 1/100 m
mm; millimetre millimeter millimetres millimeters; 1/1000 m
µm; um μm micron microns micrometre micrometer micrometres micrometers; 1/1000000 m
nm; nanometre nanometer nanometres nanometers; 1/1000000000 m
in; inch inches; 0.0254 m
ft; foot feet; 12 in
yd; yard yards; 3 ft
mi; mile miles; 5280 ft
nmi; nautical_mile nautical_miles; 1852 m
kg; kilogram kilograms kilo kilos; mass
g; gram grams; 1/1000 kg
mg; milligram milligrams; 1/1000000 kg
µg; ug μg mcg microgram micrograms; 1/1000000000 kg
t; tonne tonnes; 1000 kg
lb; lbs pound pounds; 0.45359237 kg
oz; ounce ounces; 1/16 lb; an ounce of mass; fl_oz is the volume
st; stone stones; 14 lb
short_ton; ton tons short_tons; 2000 lb; a US ton of 2,000 lb; t is the metric one
long_ton; long_tons; 2240 lb
s; sec secs second seconds; time
ms; millisecond milliseconds; 1/1000 s
min; mins minute minutes; 60 s
h; hr hrs hour hours; 60 min
d; day days; 24 h
week; weeks wk; 7 d
year; years yr; 365.25 d; a year of 365.25 days
K; kelvin kelvins; temperature
l; L litre liter litres liters; 1/1000 m3
dl; dL decilitre deciliter decilitres deciliters; 1/10 l
cl; cL centilitre centiliter centilitres centiliters; 1/100 l
ml; mL cc millilitre milliliter millilitres milliliters; 1/1000 l
gal; gallon gallons; 231 in3; a US gallon
qt; quart quarts; 1/4 gal; a US quart
pt; pint pints; 1/8 gal; a US pint
cup; cups; 1/16 gal; a US cup
fl_oz; floz fluid_ounce fluid_ounces; 1/128 gal; a US fluid ounce
tbsp; tablespoon tablespoons; 1/256 gal; a US tablespoon
tsp; teaspoon teaspoons; 1/768 gal; a US teaspoon
metric_cup; metric_cups; 250 ml
metric_tbsp; metric_tablespoon metric_tablespoons; 15 ml
metric_tsp; metric_teaspoon metric_teaspoons; 5 ml
imperial_gal; imperial_gallon imperial_gallons; 4.54609 l
imperial_pt; imperial_pint imperial_pints; 1/8 imperial_gal
bbl; barrel barrels; 42 gal; an oil barrel
ha; hectare hectares; 10000 m2
acre; acres; 4840 yd2
mph; ; 1 mi h-1
kph; kmh; 1 km h-1
kn; knot knots; 1 nmi h-1
N; newton newtons; 1 kg m s-2
J; joule joules; 1 N m
kJ; kilojoule kilojoules; 1000 J
MJ; megajoule megajoules; 1000000 J
cal; calorie calories; 4.184 J; a thermochemical calorie; of food it is the kcal
kcal; kilocalorie kilocalories; 1000 cal
W; watt watts; 1 J s-1
kW; kilowatt kilowatts; 1000 W
MW; megawatt megawatts; 1000000 W
GW; gigawatt gigawatts; 1000000000 W
hp; horsepower; 550 ft lb 9.80665 m s-3; a mechanical horsepower
Wh; watt_hour watt_hours; 1 W h
kWh; kilowatt_hour kilowatt_hours; 1000 W h
MWh; megawatt_hour megawatt_hours; 1000000 W h
GWh; gigawatt_hour gigawatt_hours; 1000000000 W h
Pa; pascal pascals; 1 N m-2
hPa; hectopascal hectopascals mbar; 100 Pa
kPa; kilopascal kilopascals; 1000 Pa
bar; bars; 100000 Pa
atm; atmosphere atmospheres; 101325 Pa
psi; ; 1 lb 9.80665 m s-2 in-2
Hz; hertz; 1 s-1
kHz; kilohertz; 1000 Hz
MHz; megahertz; 1000000 Hz
GHz; gigahertz; 1000000000 Hz
rpm; ; 1/60 Hz
byte; bytes B; information
bit; bits; 1/8 byte
kB; kilobyte kilobytes KB; 1000 byte
MB; megabyte megabytes; 1000000 byte
GB; gigabyte gigabytes; 1000000000 byte
TB; terabyte terabytes; 1000000000000 byte
KiB; kibibyte kibibytes; 1024 byte
MiB; mebibyte mebibytes; 1024 KiB
GiB; gibibyte gibibytes; 1024 MiB
TiB; tebibyte tebibytes; 1024 GiB
kbit; kilobit kilobits; 1000 bit
Mbit; megabit megabits; 1000000 bit
Gbit; gigabit gigabits; 1000000000 bit
deg; degree degrees °; angle
turn; turns revolution revolutions; 360 deg
"""

_SCALES = (
    Unit("°C", Fraction(1), (("temperature", 1),), zero=Fraction("273.15")),
    Unit("°F", Fraction(5, 9), (("temperature", 1),), zero=Fraction("459.67") * Fraction(5, 9)),
)
_SCALE_NAMES = {
    "°C": ("celsius", "degC", "deg_C", "degrees_celsius", "℃"),
    "°F": ("fahrenheit", "degF", "deg_F", "degrees_fahrenheit", "℉"),
}
_RADIAN = Unit("rad", 180 / PI, (("angle", 1),), exact=False)

CURRENCIES = frozenset({
    "$", "€", "£", "¥", "₹", "¢", "usd", "eur", "gbp", "jpy", "chf", "cny", "inr", "aud", "cad", "sek", "nok", "dkk",
    "dollar", "dollars", "euro", "euros", "yen", "yuan", "rupee", "rupees", "franc", "francs", "cent", "cents",
})  # fmt: skip
"""Names of money, in lower case: no table can know what it is worth."""
MONTHS = frozenset({"month", "months"})


@cache
def units() -> dict[str, Unit]:
    """Every unit by each of its names."""
    found: dict[str, Unit] = {}
    for line in _TABLE.strip().splitlines():
        symbol, names, definition, *note = (part.strip() for part in line.split(";"))
        factor, dimensions = _defined(definition, found)
        unit = Unit(symbol, factor, dimensions, note[0] if note else "")
        found.update(dict.fromkeys([symbol, *names.split()], unit))
    for unit in _SCALES:
        found.update(dict.fromkeys([unit.symbol, *_SCALE_NAMES[unit.symbol]], unit))
    return found | dict.fromkeys(["rad", "radian", "radians"], _RADIAN)


def _defined(definition: str, known: dict[str, Unit]) -> tuple[Fraction, Dimensions]:
    """A factor and dimensions from words such as `1000 kg m s-2`; a single word is a base dimension of its own."""
    words = definition.split()
    if len(words) == 1:
        return Fraction(1), ((definition, 1),)
    factor, dimensions = Fraction(1), Dimensions()
    for word in words:
        if word[0].isdigit():
            factor *= Fraction(word)
            continue
        name = word.rstrip("-0123456789")
        power = int(word[len(name) :] or 1)
        factor *= known[name].factor ** power
        dimensions = multiplied(dimensions, known[name].dimensions, power)
    return factor, dimensions


@cache
def _lowered() -> dict[str, str]:
    """Names in lower case, where only one unit has them so written."""
    found: dict[str, set[str]] = {}
    for name, unit in units().items():
        found.setdefault(name.lower(), set()).add(unit.symbol)
    return {name: symbols.pop() for name, symbols in found.items() if len(symbols) == 1}


def unit_named(name: str) -> Unit | None:
    """The unit of this name; capitals matter only where two units differ in nothing else (MW and mW, B and b)."""
    unit = units().get(name)
    if unit is None and name.lower() in _lowered():
        unit = units()[_lowered()[name.lower()]]
    return unit


def multiplied(left: Dimensions, right: Dimensions, power: int = 1) -> Dimensions:
    """The dimensions of left × right^power."""
    powers = dict(left)
    for name, exponent in right:
        powers[name] = powers.get(name, 0) + exponent * power
    return tuple(sorted((name, exponent) for name, exponent in powers.items() if exponent))
