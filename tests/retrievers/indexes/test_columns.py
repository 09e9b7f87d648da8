"""Columns of metadata: what they let through is what `matches` says of each passage, whatever the metadata are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.filters import OPERATORS, Demand, FieldKind, Fields, compiled, matches, typed
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import arrays
from ragweave.retrievers.indexes.columns import Columns

FIELDS: Fields = {"s": "str", "i": "int", "f": "float", "b": "bool", "d": "date", "l": "list[str]"}
_texts = st.sampled_from(["", "a", "b", "ab", "é", "\ud800", "1", "2024-01-31", "true"])
_numbers = st.integers(-3, 3) | st.sampled_from([2**53, -(2**53), 2**70, 0.5, 1.0, -0.0, float("nan"), float("inf")])
_dates = st.sampled_from([date(2024, 1, 31), datetime(2024, 1, 31, 12, tzinfo=UTC), "2024-01-31T12:00+02:00", "soon"])
_anything: st.SearchStrategy[Any] = (
    st.none() | _texts | _numbers | st.booleans() | _dates | st.lists(_texts | _numbers, max_size=3) | st.just({"x": 1})
)
_documents = st.lists(
    st.builds(
        Document,
        id=st.just("x"),
        text=st.just("y"),
        source=_texts,
        title=_texts,
        metadata=st.dictionaries(st.sampled_from([*FIELDS, "other"]), _anything, max_size=7),
    ),
    max_size=8,
)


_asked = st.dictionaries(st.sampled_from(["==", "in", "<", "<=", ">", ">=", "contains", "~"]), _anything, max_size=2)
FEW = settings(max_examples=40)


@st.composite
def _conditions(draw: st.DrawFn) -> Demand:
    field = draw(st.sampled_from([*FIELDS, "source", "title"]))
    kind: FieldKind = FIELDS.get(field, "str")
    operator = draw(st.sampled_from(OPERATORS[kind]))
    inner: FieldKind = "str" if kind == "list[str]" else kind
    values = _anything.map(lambda value: typed(value, inner)).filter(lambda value: value is not None)
    value = draw(st.lists(values, max_size=3).map(tuple) if operator == "in" else values)
    return Demand(field, kind, operator, value)


@FEW
@given(_documents, st.lists(_conditions(), max_size=3))
def test_a_mask_is_what_matches(documents: list[Document], where: list[Demand]) -> None:
    columns, _ = Columns.of(documents, FIELDS)
    assert columns.mask(tuple(where)).tolist() == [matches(document, tuple(where)) for document in documents]


@FEW
@given(_documents, _documents, _conditions(), st.data())
def test_columns_put_together_are_those_of_what_is_left(
    first: list[Document], second: list[Document], condition: Demand, data: st.DataObject
) -> None:
    parts, left = [], []
    for documents in (first, second):
        kept = [row for row in range(len(documents)) if data.draw(st.booleans())]
        parts.append((Columns.of(documents, FIELDS)[0], np.asarray(kept, dtype=np.int64)))
        left += [documents[row] for row in kept]
    merged = Columns.merged(parts)
    assert merged.mask((condition,)).tolist() == [matches(document, (condition,)) for document in left]
    fresh = Columns.of(left, FIELDS)[0].mask((condition,))
    assert fresh.tolist() == merged.mask((condition,)).tolist()


@FEW
@given(_documents)
def test_what_is_of_another_kind_is_counted(documents: list[Document]) -> None:
    _, misfits = Columns.of(documents, FIELDS)
    for name, kind in FIELDS.items():
        there = [document.metadata[name] for document in documents if document.metadata.get(name) is not None]
        odd = [value for value in there if typed(value, kind) is None]
        assert sum(misfit.passages for misfit in misfits if misfit.field == name) == len(odd)


def test_a_misfit_says_what_is_there() -> None:
    pages = [Document(id="a", text="x", source="tea.md", metadata={"i": value}) for value in ("n/a", 3, [1], None)]
    _, (misfit,) = Columns.of(pages, FIELDS)
    assert str(misfit) == "2 passages have no int in it, such as 'n/a' in 'tea.md'"


@FEW
@given(_texts | _numbers | _anything, st.sampled_from(sorted(FIELDS.values())))
def test_what_is_read_of_a_value_is_read_again_as_it_is(value: object, kind: FieldKind) -> None:
    read = typed(value, kind)
    if read is not None and kind != "date":
        assert typed(list(read) if isinstance(read, tuple) else read, kind) == read


@FEW
@given(st.dictionaries(st.sampled_from([*FIELDS, "source", "none"]), _anything | _asked))
def test_any_filter_is_compiled_or_faulted(where: dict[str, Any]) -> None:
    conditions, faults = compiled(where, FIELDS)
    assert all(one.operator in OPERATORS[one.kind] for one in conditions)
    assert all(fault.place[0] in where for fault in faults)
    assert bool(conditions) or bool(faults) or not where


_KINDS = [np.uint8, np.int8, np.int32, np.int64, np.uint64, np.float32, np.float64]


@FEW
@given(st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 5), st.integers(1, 3)), max_size=6))
def test_arrays_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, shapes: list[Any]) -> None:
    path: Path = tmp_path_factory.mktemp("arrays") / "x.data"
    given_ = {
        str(n): np.arange(rows * width).astype(kind).reshape(rows, width)
        for n, (kind, rows, width) in enumerate(shapes)
    }
    arrays.write(path, given_, {"about": "x"})
    found, about = arrays.read(path, thorough=True)
    assert about == {"about": "x"}
    assert found.keys() == given_.keys()
    for name, array in found.items():
        assert array.dtype == given_[name].dtype
        assert array.flags.aligned
        assert not array.flags.writeable
        np.testing.assert_array_equal(array, given_[name])


@pytest.mark.parametrize("place", [0, 8, 40, 200, -300, -1])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_arrays_are_refused(tmp_path: Path, place: int, damage: str) -> None:
    path = tmp_path / "x.data"
    arrays.write(path, {"a": np.arange(300), "b": np.ones((3, 4), np.float32)}, {"about": "x"})
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[place] ^= 0x10
    else:
        del data[place:]
    path.write_bytes(data)
    with pytest.raises((ValueError, KeyError, TypeError)):
        arrays.read(path, thorough=True)
