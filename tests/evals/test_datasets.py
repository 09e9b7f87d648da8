"""Rows of data files, whole and broken."""

from __future__ import annotations

import contextlib
import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.evals.datasets import DatasetError, count_rows, read_rows

TEXTS = [{"id": 1, "text": "limoncello"}, {"id": 2, "text": 'naïve\nkvass, "quoted"'}]


def values(path: Path) -> list[dict[str, Any]]:
    """The values of all rows, which have to be good."""
    rows = list(read_rows(path))
    assert [row.error for row in rows] == [""] * len(rows)
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return [dict(row.values) for row in rows]


def save_dataset(folder: Path, files: int = 2) -> None:
    """What `datasets.Dataset.save_to_disk` leaves."""
    folder.mkdir()
    names = [f"data-{at:05}-of-{files:05}.arrow" for at in range(files)]
    for at, name in enumerate(names):
        table = pa.Table.from_pylist(TEXTS[at::files])
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    state = {"_data_files": [{"filename": name} for name in names], "_indices_files": None, "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in TEXTS) + "\n\n")
    (tmp_path / "a.json").write_text(json.dumps(TEXTS))
    pq.write_table(pa.Table.from_pylist(TEXTS), tmp_path / "a.parquet")
    save_dataset(tmp_path / "saved")
    for name in ("a.jsonl", "a.json", "a.parquet", "saved"):
        assert values(tmp_path / name) == TEXTS, name


@pytest.mark.parametrize(("name", "dialect"), [("a.csv", "excel"), ("a.tsv", "excel-tab")])
def test_values_of_csv_are_strings(tmp_path: Path, name: str, dialect: str) -> None:
    with (tmp_path / name).open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text"], dialect=dialect)
        writer.writeheader()
        writer.writerows(TEXTS)
    assert values(tmp_path / name) == [{**row, "id": str(row["id"])} for row in TEXTS]


@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20)), max_size=8)
)
def test_json_lines_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert values(file) == rows
    assert count_rows(file) == len(rows)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "rows.jsonl"
    file.write_bytes(data)
    rows = list(read_rows(file))
    assert len(rows) == sum(bool(line.strip()) for line in data.split(b"\n"))
    assert all(row.error or isinstance(row.values, dict) for row in rows)


@given(data=st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_csv(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "rows.csv"
    file.write_bytes(data)
    with contextlib.suppress(DatasetError):  # anything else is a fault
        rows = list(read_rows(file))
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('{"a": 1}\n{"a": \n', "2", "not JSON: Expecting value, column 7"),
        ("\n\n[1]\n", "3", "a list, not an object with the columns as keys"),
        ("3\n", "1", "a number, not an object"),
        ("[" * 100_000 + "\n", "1", "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_and_the_next_is_read(tmp_path: Path, text: str, place: str, said: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text + '{"a": "last"}\n')
    *_, bad, last = read_rows(file)
    assert bad.place == f"{file}:{place}"
    assert said in bad.error
    assert last.values == {"a": "last"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2,3\n", "3 values for 2 columns"), ("a,b\n1\n", "no value for 'b'"), ('a,b\n"1"x,2\n', "not CSV")],
)
def test_a_bad_line_of_csv_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text + "5,6\n")
    bad, last = read_rows(file)
    assert said in bad.error
    assert bad.place == f"{file}:2"
    assert last.values == {"a": "5", "b": "6"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.xlsx", b"", "rows cannot be read from .xlsx; data files end in .jsonl"),
        ("rows.json", b"{}", "holds an object, not a list of rows"),
        ("rows.json", b"[1,", "is not JSON"),
        ("rows.parquet", b"PAR1 but not really", "is not Parquet"),
        ("rows.csv", b"a,a\n1,2\n", "the columns need names, each once"),
        ("rows.csv", "naïve\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_rows_is_one_clear_error(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match="rows") as raised:
        list(read_rows(tmp_path / name))
    assert said in str(raised.value)


def test_a_folder_without_a_dataset_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="a folder without a dataset; a dataset on disk has a state"):
        read_rows(tmp_path)
    (tmp_path / "dataset_dict.json").write_text("{}")
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match="it is a dataset with splits; name one: "):
        read_rows(tmp_path)
    save_dataset(tmp_path / "broken")
    (tmp_path / "broken/data-00001-of-00002.arrow").unlink()
    with pytest.raises(DatasetError, match="is no dataset that can be read"):
        list(read_rows(tmp_path / "broken"))
