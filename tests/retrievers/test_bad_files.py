"""Files that are damaged, hostile or being written: each is one clear line, and the old index stays as it was."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragweave.retrievers.indexes.indexing import build_index
from ragweave.retrievers.indexes.stored import StoredIndex
from ragweave.retrievers.loaders import parse, suffixes
from ragweave.retrievers.loading import read
from ragweave.retrievers.sourcetext import Found, Skipped, SourceText
from tests.retrievers import office
from tests.retrievers.folders import COOKBOOK, write

DOCX = office.docx(office.paragraph("Tea is hot. " * 50))


def declaring(data: bytes, size: int) -> bytes:
    """A zip file whose directory gives its last part another unpacked size."""
    changed = bytearray(data)
    struct.pack_into("<I", changed, data.rfind(b"PK\x01\x02") + 24, size)
    return bytes(changed)


def many_parts() -> bytes:
    return office.zipped({f"{number}.xml": "" for number in range(20_001)})


BOMB = office.docx("", more={"word/media.bin": bytes(1_000_000)})
_PLAIN, _LOCKED = b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\x01\0"
BAD: dict[str, tuple[bytes, str]] = {
    "empty.pdf": (b"", "empty"),
    "half.pdf": (office.pdf(["Tea is hot."])[:200], "damaged, or no PDF file"),
    "text.pdf": (b"just text", "damaged, or no PDF file"),
    "locked.pdf": (office.locked_pdf(), "protected by a password; save it without one"),
    "empty.docx": (b"", "empty"),
    "half.docx": (DOCX[: len(DOCX) // 2], "damaged, or no DOCX file: File is not a zip file"),
    "locked.docx": (office.locked_docx(), "protected by a password; save it without one"),
    "old.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "an Office file from before 2007 under another name"),
    "other.docx": (office.zipped({"a.txt": "x"}), "no DOCX file: it has no document in it"),
    "blank.docx": (office.docx(""), "no text in it"),
    "bomb.docx": (declaring(BOMB, 1 << 30), "unpacks to 1,024 MB, which is more than a document has: a zip bomb"),
    "liar.docx": (declaring(BOMB, 100), "damaged DOCX file: Bad CRC-32 for file 'word/media.bin'"),
    "crowd.epub": (many_parts(), "unpacks to 20,001 files, which is more than a document has: a zip bomb"),
    "large.epub": (office.epub(["x" * 70_000_000]), "its part 'OEBPS/c 0.xhtml' unpacks to 67 MB"),
    "no.epub": (office.zipped({"a": "b"}), "no EPUB: it does not say what is in it"),
    "drm.epub": (
        office.epub(["\0"], {"META-INF/encryption.xml": "<encryption><EncryptedData/></encryption>"}),
        "its text is encrypted (DRM)",
    ),
    "flags.xlsx": (DOCX.replace(_PLAIN, _LOCKED), "protected by a password"),
    "deep.json": (b"[" * 100_000, "JSON nested too deeply"),
    "no.json": (b"{'a': 1}", "no JSON: Expecting property name"),
    "no.jsonl": (b"a\nb\n", "no JSON: line 1"),
    "no.ipynb": (b"[]", "no notebook"),
    "no.mbox": (b"Hello\n", "no mailbox"),
    "no.msg": (b"Hello", "no Outlook message"),
    "binary.eml": (b"\0\1\2", "binary, no e-mail"),
    "binary.csv": (b"\0\1\2", "binary, or in an encoding"),
    "blank.csv": (b",,\n,,\n", "no text in it"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_line(name: str) -> None:
    data, reason = BAD[name]
    began = time.process_time()
    skipped = parse(name, data)
    assert isinstance(skipped, Skipped), skipped
    assert skipped.reason.startswith(reason), skipped.reason
    assert "\n" not in skipped.reason
    assert time.process_time() - began < 20


def test_bad_files_leave_the_others_and_the_old_index_as_they_are(tmp_path: Path) -> None:
    docs, index = write(tmp_path / "docs", COOKBOOK), tmp_path / "index"
    build_index(docs, index, None)
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "lock"}
    write(docs, {name: data for name, (data, _) in BAD.items()})
    report = build_index(docs, index, None)
    assert (report.unchanged, report.added, len(report.skipped)) == (4, 0, len(BAD))
    assert {path: path.read_bytes() for path in before} == before


def test_entities_of_xml_are_not_expanded() -> None:
    bomb = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
        f"<!ENTITY {two} '{f'&{one};' * 10}'>" for one, two in zip("abcdefghi", "bcdefghij", strict=True)
    )
    core = f"{bomb}]><p><title>&j;</title></p>"
    text = parse("a.docx", office.docx(office.paragraph("Tea"), more={"docProps/core.xml": core}))
    assert isinstance(text, (SourceText, Skipped))
    chapters = '<manifest><item id="c" href="c%200.xhtml"/></manifest><spine><itemref idref="c"/></spine>'
    package = f"{bomb}]><package>{chapters}</package>"
    book = parse("a.epub", office.epub(["Tea"], {"OEBPS/book.opf": package}))
    assert isinstance(book, (SourceText, Skipped))
    secret = '<!DOCTYPE x [<!ENTITY s SYSTEM "file:///etc/passwd">]>'
    book = parse("b.epub", office.epub(["Tea &s;"], {"META-INF/x.xml": secret}))
    assert isinstance(book, SourceText)
    assert "root:" not in book.text


def test_a_far_cell_does_not_fill_the_memory() -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active["A1"], book.active["XFD1048576"] = "near", "far"
    import io

    file = io.BytesIO()
    book.save(file)
    tracemalloc.start()
    text = parse("far.xlsx", file.getvalue())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(text, SourceText)
    assert "near" in text.text
    assert peak < 100e6


@pytest.mark.parametrize("suffix", ["txt", "pdf", "csv", "jsonl"])
def test_a_gigabyte_is_refused_and_not_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"big.{suffix}"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # takes no room on the disk
    tracemalloc.start()
    found = read(Found(path.name, path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == Skipped(path.name, "larger than 100 MB (1,024 MB)")
    assert peak < 1e6


@contextmanager
def touched(path: Path) -> Iterator[None]:
    """Inside, somebody writes the file whenever it is being read."""
    real, stamp, number = os.fstat, 1, path.stat().st_ino

    def fstat(opened: int) -> os.stat_result:
        nonlocal stamp
        if real(opened).st_ino == number:
            stamp += 1_000_000
            os.utime(path, ns=(stamp, stamp))
        return real(opened)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fstat", fstat)
        yield


def test_a_file_that_changes_while_it_is_read_stays_in_the_index_as_it_was(tmp_path: Path) -> None:
    docs, index = write(tmp_path / "docs", COOKBOOK), tmp_path / "index"
    build_index(docs, index, None)
    (docs / "curry.md").write_text("# Beef Curry")
    with touched(docs / "curry.md"):
        report = build_index(docs, index, None)
    (skipped,) = report.skipped
    assert skipped.source == "curry.md"
    assert skipped.reason.startswith("it changes while it is read")
    assert skipped.reason.endswith("it stays in the index as it was")
    assert StoredIndex(index).by_source["curry.md"].title == "Lamb Curry"


def test_a_file_that_was_being_written_is_read_when_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Tea")
    with touched(path):
        assert isinstance(read(Found("a.md", path)), Skipped)
    assert isinstance(read(Found("a.md", path)), bytes)


def test_folders_named_like_files_are_folders(tmp_path: Path) -> None:
    made = ("node_modules/x/readme.md", "env/pyvenv.cfg", "env/lib/x.py", "app.min.js", "package-lock.json")
    docs = write(tmp_path / "docs", {"notes.md/inner.txt": "Tea.", **dict.fromkeys(made, "no")})
    (docs / "book.pdf").mkdir()
    (docs / "loop").symlink_to(docs, target_is_directory=True)
    report = build_index(docs, tmp_path / "index", None)
    assert list(StoredIndex(tmp_path / "index").by_source) == ["notes.md/inner.txt"]
    assert report.skipped == ()


GOOD = {
    "a.pdf": office.pdf(["Tea is hot.", "Milk is cold."], [(0, "Tea")]),
    "a.docx": DOCX,
    "a.epub": office.epub(["<h1>Tea</h1><p>Hot."]),
    "a.xlsx": office.xlsx({"Tea": [["a", "b"], [1, 2]]}),
    "a.eml": b"Subject: Tea\nFrom: a@b.c\nContent-Type: text/html; charset=utf-8\n\n<p>Hot</p>",
    "a.ipynb": b'{"cells": [{"cell_type": "markdown", "source": "Tea"}]}',
    "a.html": b"<html><table><tr><td>a<td>b</table><ul><li>x",
}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_a_damaged_file_is_read_or_skipped(name: str, changes: list[tuple[float, int]], length: float) -> None:
    data = bytearray(GOOD[name])
    for place, byte in changes:
        data[int(place * (len(data) - 1))] = byte
    kept = len(data) if length > 0.5 else int(length * 2 * len(data))
    assert isinstance(parse(name, bytes(data[:kept])), (SourceText, Skipped))


@settings(max_examples=60)
@given(st.sampled_from(sorted(suffixes())), st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@example("json", b"1")
@example("ipynb", b'{"cells": 3}')
@example("html", b"<a><td></li>")
def test_any_bytes_of_any_suffix_are_read_or_skipped(suffix: str, data: bytes) -> None:
    assert isinstance(parse(f"a.{suffix}", data), (SourceText, Skipped))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", b"<div>" * 50_000 + b"x"),
        ("a.html", b"<!--" * 100_000),
        ("a.html", b"<table><tr><td>" * 5_000 + b"x"),
        ("a.cpp", b"a " * 100_000 + b"("),
        ("a.js", b"const a = " * 20_000),
        ("a.csv", b'"' * 200_001),
        ("a.mbox", b"From a 10:00\n\n" * 20_000),
        ("a.md", b"|" * 100_000 + b"\n|-|\n"),
        ("a.pdf", office.pdf([" ".join("x" * 2 for _ in range(20_000))])),
    ],
)
def test_what_could_take_for_ever_does_not(name: str, data: bytes) -> None:
    began = time.process_time()
    assert isinstance(parse(name, data), (SourceText, Skipped))
    assert time.process_time() - began < 5
