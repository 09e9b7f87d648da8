"""The metadata of passages as columns that filters are computed on: numbers, codes of texts, lists of codes."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.filters import OWN_FIELDS, Demand, FieldKind, Fields, Filter, value_of
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.arrays import Array, Arrays, joined, spans

_NO_INT = np.iinfo(np.int64).min
_COMPARE = {"==": np.equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


class Misfit(NamedTuple):
    """How many passages have something in a field that is not of its kind, and what one of them has."""

    field: str
    kind: FieldKind
    passages: int
    value: str
    source: str

    def __str__(self) -> str:
        has = "passage has" if self.passages == 1 else "passages have"
        return f"{self.passages:,} {has} no {self.kind} in it, such as {self.value} in {self.source!r}"


class Columns:
    """One column for each field of some passages; a passage that lacks a field, or has it of another kind, fulfils no
    condition on it."""

    def __init__(self, rows: int, fields: Fields, arrays: Arrays) -> None:
        self.rows = rows
        self.fields = dict(fields)
        self._columns = {
            name: _KINDS[kind]({part: arrays[f"{place}.{part}"] for part in _PARTS[kind]})
            for place, (name, kind) in enumerate(_all(fields).items())
        }

    @classmethod
    def of(cls, documents: Iterable[Document], fields: Fields) -> tuple[Columns, list[Misfit]]:
        """The columns of passages, and what does not fit into them."""
        filling = Filling(fields)
        for document in documents:
            filling.add(document)
        return filling.columns(), filling.misfits

    @classmethod
    def merged(cls, parts: Sequence[tuple[Columns, Array]]) -> Columns:
        """The columns of parts with the same fields, one behind the other, of each the rows that are named."""
        fields = parts[0][0].fields
        arrays: dict[str, Array] = {}
        for place, (name, kind) in enumerate(_all(fields).items()):
            merged = _KINDS[kind].merged([(part._columns[name], rows) for part, rows in parts])
            arrays |= {f"{place}.{part}": array for part, array in merged.items()}
        return cls(sum(len(rows) for _, rows in parts), fields, arrays)

    def arrays(self) -> dict[str, Array]:
        """What `Columns(rows, fields, arrays)` is made of."""
        return {
            f"{place}.{part}": array
            for place, column in enumerate(self._columns.values())
            for part, array in column.parts.items()
        }

    def kind_of(self, field: str) -> FieldKind | None:
        """The kind of a field; None if it has no column."""
        return OWN_FIELDS.get(field) or self.fields.get(field)

    def mask(self, where: Filter) -> Array:
        """True for each passage that the filter lets through. Raises KeyError for a field that has no column."""
        found = np.ones(self.rows, dtype=bool)
        for one in where:
            if one.key:
                raise InputError(f"where.{one.field}: the state key {one.key!r} has no value yet")
            found &= self._columns[one.field].mask(one)
        return found


class Filling:
    """Collects the fields of passages that come one by one."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self._values: dict[str, list[Any]] = {name: [] for name in _all(fields)}
        self._misfits: dict[str, Misfit] = {}

    def add(self, document: Document) -> None:
        """The next passage."""
        for name, kind in _all(self._fields).items():
            value = value_of(document, name, kind)
            self._values[name].append(value)
            if value is None and document.metadata.get(name) is not None:
                self._misfits[name] = _counted(self._misfits.get(name), document, name, kind)

    @property
    def misfits(self) -> list[Misfit]:
        """What did not fit, one for each field."""
        return list(self._misfits.values())

    def columns(self) -> Columns:
        """The columns of all passages."""
        arrays: dict[str, Array] = {}
        for place, (name, kind) in enumerate(_all(self._fields).items()):
            encoded = _KINDS[kind].encoded(self._values[name])
            arrays |= {f"{place}.{part}": array for part, array in encoded.items()}
        return Columns(len(self._values["source"]), self._fields, arrays)


def _counted(before: Misfit | None, document: Document, name: str, kind: FieldKind) -> Misfit:
    if before is not None:
        return before._replace(passages=before.passages + 1)
    found = repr(document.metadata[name])
    return Misfit(name, kind, 1, found if len(found) <= 40 else f"{found[:39]}…", document.source or document.id)


@dataclass(frozen=True, slots=True)
class Texts:
    """Distinct texts in the order of their bytes; the place of one is its code."""

    ends: Array
    letters: Array

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Those of some texts, each once."""
        return cls(*joined(sorted({_encoded(text) for text in texts}), "x").values())

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, code: int) -> bytes:
        return self.letters[self.ends[code] : self.ends[code + 1]].tobytes()

    def code(self, text: str) -> int:
        """The code of a text; -1 if it is none of them."""
        wanted = _encoded(text)
        code = bisect.bisect_left(range(len(self)), wanted, key=self.__getitem__)
        return code if code < len(self) and self[code] == wanted else -1

    @classmethod
    def merged(cls, parts: Sequence[Texts]) -> tuple[Texts, list[Array]]:
        """All texts of some parts, and the new code of each text of each part."""
        known = [[part[code] for code in range(len(part))] for part in parts]
        together = sorted({text for texts in known for text in texts})
        places = {text: place for place, text in enumerate(together)}
        codes = [np.asarray([places[text] for text in texts], dtype=np.int32) for texts in known]
        return cls(*joined(together, "x").values()), codes


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class _Numbers:
    """Whole numbers, where one that no value has stands for none."""

    def __init__(self, parts: Mapping[str, Array]) -> None:
        self.parts = parts

    @staticmethod
    def encoded(values: Sequence[Any]) -> dict[str, Array]:
        return {"values": np.asarray([_NO_INT if value is None else value for value in values], dtype=np.int64)}

    @staticmethod
    def merged(parts: Sequence[tuple[Any, Array]]) -> dict[str, Array]:
        return {"values": np.concatenate([column.parts["values"][rows] for column, rows in parts])}

    def mask(self, one: Demand) -> Array:
        values = self.parts["values"]
        if one.operator == "in":
            return np.isin(values, list(one.value))
        found: Array = _COMPARE[one.operator](values, one.value)
        return found & (values != _NO_INT) if values.dtype == np.int64 else found


class _Reals(_Numbers):
    """Numbers and dates; NaN, which no comparison holds for, stands for none."""

    @staticmethod
    def encoded(values: Sequence[Any]) -> dict[str, Array]:
        return {"values": np.asarray([math.nan if value is None else value for value in values], dtype=np.float64)}


class _Truths(_Numbers):
    """1 and 0; -1 stands for none."""

    @staticmethod
    def encoded(values: Sequence[Any]) -> dict[str, Array]:
        return {"values": np.asarray([-1 if value is None else int(value) for value in values], dtype=np.int8)}

    def mask(self, one: Demand) -> Array:
        found: Array = self.parts["values"] == int(one.value)
        return found


class _Codes:
    """The code of each passage's text; -1 where it has none."""

    def __init__(self, parts: Mapping[str, Array]) -> None:
        self.parts = parts
        self.texts = Texts(parts["ends"], parts["bytes"])

    @staticmethod
    def encoded(values: Sequence[Any]) -> dict[str, Array]:
        texts = Texts.of(value for value in values if value is not None)
        codes = {texts[code]: code for code in range(len(texts))}
        found = [-1 if value is None else codes[_encoded(value)] for value in values]
        return {"codes": np.asarray(found, dtype=np.int32), "ends": texts.ends, "bytes": texts.letters}

    @staticmethod
    def merged(parts: Sequence[tuple[Any, Array]]) -> dict[str, Array]:
        texts, recoded = Texts.merged([column.texts for column, _ in parts])
        codes = [
            np.append(new, np.int32(-1))[column.parts["codes"][rows]]
            for (column, rows), new in zip(parts, recoded, strict=True)
        ]
        return {"codes": np.concatenate(codes).astype(np.int32), "ends": texts.ends, "bytes": texts.letters}

    def mask(self, one: Demand) -> Array:
        wanted = one.value if one.operator == "in" else (one.value,)
        codes = [code for text in wanted if (code := self.texts.code(text)) >= 0]
        found: Array = self.parts["codes"] == codes[0] if len(codes) == 1 else np.isin(self.parts["codes"], codes)
        return found


class _Lists:
    """The codes of each passage's texts, one passage behind the other, and where those of each begin."""

    def __init__(self, parts: Mapping[str, Array]) -> None:
        self.parts = parts
        self.texts = Texts(parts["ends"], parts["bytes"])

    @staticmethod
    def encoded(values: Sequence[Any]) -> dict[str, Array]:
        flat = _Codes.encoded([text for value in values for text in value or ()])
        starts = np.cumsum([0, *(len(value or ()) for value in values)], dtype=np.int64)
        return {"starts": starts, **flat}

    @staticmethod
    def merged(parts: Sequence[tuple[Any, Array]]) -> dict[str, Array]:
        counts, flat = [], []
        for column, rows in parts:
            starts = column.parts["starts"]
            count = starts[rows + 1] - starts[rows]
            counts.append(count)
            flat.append((column, spans(starts[rows], count)))
        starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        return {"starts": starts, **_Codes.merged(flat)}

    def mask(self, one: Demand) -> Array:
        starts = self.parts["starts"]
        found = np.zeros(len(starts) - 1, dtype=bool)
        code = self.texts.code(one.value)
        if code >= 0:
            found[np.searchsorted(starts, np.flatnonzero(self.parts["codes"] == code), side="right") - 1] = True
        return found


_KINDS: Mapping[FieldKind, Any] = {
    "str": _Codes,
    "int": _Numbers,
    "float": _Reals,
    "bool": _Truths,
    "date": _Reals,
    "list[str]": _Lists,
}
_PARTS: Mapping[FieldKind, tuple[str, ...]] = {
    **dict.fromkeys(_KINDS, ("values",)),
    "str": ("codes", "ends", "bytes"),
    "list[str]": ("starts", "codes", "ends", "bytes"),
}


def _all(fields: Fields) -> dict[str, FieldKind]:
    return {**OWN_FIELDS, **fields}
