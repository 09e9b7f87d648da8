"""What calls of models cost, by a price file that the user keeps.

    currency: USD
    models: # per million tokens
      gpt-5: {input: 1.25, cached: 0.125, output: 10}

A model is looked up by its name in the graph, then by its setting `model`, then by its type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.orchestrator import sources
from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.orchestrator.values import Usage

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import ChatModel

MILLION = 1_000_000
_KEYS = ("input", "output", "cached")
_EXAMPLE = "such as {input: 1.25, output: 10}"


class Price(NamedTuple):
    """What a million tokens cost. Input tokens that the endpoint had in its cache cost `cached`."""

    input: Decimal
    output: Decimal
    cached: Decimal

    def of(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> Decimal:
        """What these tokens cost; the cached ones are some of the input tokens."""
        read = min(cached_tokens, input_tokens)
        total = self.input * (input_tokens - read) + self.cached * read + self.output * output_tokens
        return total / MILLION


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a file, by model."""

    file: str
    currency: str
    models: Mapping[str, Price]

    def find(self, names: Sequence[str]) -> Price | None:
        """The price of the first of these names that has one."""
        return next((self.models[name] for name in names if name in self.models), None)

    def priced(self, usage: Usage, price: Price) -> Usage:
        """The usage with its cost; of calls that report no tokens, the cost stays unknown."""
        if not (usage.input_tokens or usage.output_tokens):
            return usage
        spent = price.of(usage.input_tokens, usage.output_tokens, usage.cached_tokens)
        return usage.model_copy(update={"priced": usage.calls, "spent": spent, "currency": self.currency})

    def free(self, usage: Usage) -> Usage:
        """The usage of calls that cost nothing."""
        return usage.model_copy(update={"priced": usage.calls, "spent": Decimal(0), "currency": self.currency})


def names_of(model: ChatModel, name: str) -> list[str]:
    """The names under which a price file may list a model, the most telling first."""
    called = getattr(model, "model", "")
    return [one for one in (name, called, model.type_name) if isinstance(one, str) and one]


def read_prices(path: Path, shown: str = "") -> Prices:
    """The prices of a file, which errors call `shown`. Raises ResourceError with every fault, each with its line."""
    prices, faults = load_prices(path, shown)
    if prices is None or faults:
        raise ResourceError("\n".join(faults))
    return prices


def load_prices(path: Path, shown: str = "") -> tuple[Prices | None, list[str]]:
    """The prices of a file, and what is wrong with it: `file:line:column: fault`, in the order of the file."""
    from ragweave.orchestrator.language.yamltext import read

    name = shown or str(path)
    try:
        data = sources.read_bytes(path)
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        return None, [f"the price file {name!r} {reason}"]
    reading = read(data, name)
    if not reading.readable or reading.problems:
        return None, [f"{problem.place}: {problem.message}" for problem in reading.problems]
    reader = _Reader(name, reading.marks, reading.value_marks)
    prices = reader.prices(reading.data)
    return prices, [fault for _, fault in sorted(reader.faults)]


class _Reader:
    """Checks the data of a price file, and notes each fault with its place."""

    def __init__(self, file: str, marks: Mapping[Any, Any], value_marks: Mapping[Any, Any]) -> None:
        self.file = file
        self.marks = marks
        self.value_marks = value_marks
        self.faults: list[tuple[tuple[int, int], str]] = []

    def prices(self, data: Any) -> Prices | None:
        if not isinstance(data, Mapping):
            self.fault((), "expected the keys 'currency' and 'models'")
            return None
        for key in data:
            if key not in ("currency", "models"):
                self.fault((key,), f"unknown key {key!r}{did_you_mean(str(key), ('currency', 'models'))}", key=True)
        currency, models = data.get("currency"), data.get("models")
        if not isinstance(currency, str) or not re.fullmatch(r"[A-Z]{3}", currency):
            found = "is missing" if currency is None else f"is {currency!r}"
            self.fault(("currency",), f"'currency' {found}; it is three letters, such as USD or EUR")
        if not isinstance(models, Mapping):
            self.fault(("models",), "'models' is missing: the prices by model")
            return None
        table = {str(name): self.price(("models", name), name, entry) for name, entry in models.items()}
        found_prices = {name: price for name, price in table.items() if price is not None}
        return None if self.faults else Prices(self.file, str(currency), found_prices)

    def price(self, place: tuple[Any, ...], name: Any, entry: Any) -> Price | None:
        if not isinstance(entry, Mapping):
            self.fault(place, f"{name}: expected the prices of a million tokens, {_EXAMPLE}")
            return None
        values: dict[str, Decimal] = {}
        for key, value in entry.items():
            if key not in _KEYS:
                self.fault((*place, key), f"{name}: unknown key {key!r}{did_you_mean(str(key), _KEYS)}", key=True)
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
                self.fault((*place, key), f"{name}.{key}: expected a number of at least 0, found {value!r}")
            else:
                values[key] = Decimal(str(value))
        missing = [key for key in ("input", "output") if key not in entry]
        if missing:
            self.fault(place, f"{name}: {' and '.join(map(repr, missing))} missing; a price that is nothing is 0")
        if missing or not {"input", "output"} <= values.keys():
            return None
        return Price(values["input"], values["output"], values.get("cached", values["input"]))

    def fault(self, place: tuple[Any, ...], text: str, *, key: bool = False) -> None:
        marks = self.marks if key else self.value_marks
        while place and place not in marks:
            place = place[:-1]
        mark = marks.get(place)
        where = (mark.line, mark.column) if mark is not None else (1, 1)
        self.faults.append((where, f"{self.file}:{where[0]}:{where[1]}: {text}"))
