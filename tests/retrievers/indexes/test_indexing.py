"""Building an index: only what changed is embedded, errors say what to do, and no moment leaves half an index."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ragweave.orchestrator.errors import IndexUnusable, InputError
from ragweave.retrievers.indexes.indexing import IndexReport, Progress, build_index
from ragweave.retrievers.indexes.stored import StoredIndex
from tests.retrievers.folders import COOKBOOK, ROOT, Letters, write


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", COOKBOOK)


def counts(report: IndexReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.deleted, report.unchanged


def contents(index: Path) -> list[tuple[str, str, bytes]]:
    """Every passage with its vector, whatever the order of the files."""
    stored = StoredIndex(index)
    rows = []
    for row in range(len(stored)):
        vectors = stored.vectors_of(np.asarray([row])).tobytes()
        rows.append((stored.passage(row).source, stored.passage(row).text, vectors))
    return sorted(rows)


def test_a_folder_is_indexed_with_progress(docs: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    report = build_index(docs, tmp_path / "index", Letters(), seen.append)
    assert counts(report) == (4, 0, 0, 0)
    assert (report.files, report.chunks, report.vectors, report.embedder) == (4, 4, 4, "letters")
    assert seen[3] == Progress("read", 4, 4)
    assert seen[-3:] == [Progress("embed", 4, 4), Progress("write", 0, 1), Progress("write", 1, 1)]
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["current", "generation-000001", "lock"]


def test_only_what_changed_is_embedded(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    embedder = Letters()
    build_index(docs, index, embedder)
    embedder.embedded.clear()
    assert counts(build_index(docs, index, embedder)) == (0, 0, 0, 4)
    assert embedder.embedded == []
    write(docs, {"curry.md": "# Curry\n\nNow with beef.\n", "new.md": "# New\n\nA new dish."})
    (docs / "bread" / "notes.txt").unlink()
    report = build_index(docs, index, embedder)
    assert counts(report) == (1, 1, 1, 2)
    assert len(embedder.embedded) == 2
    build_index(docs, tmp_path / "fresh", Letters())
    assert contents(index) == contents(tmp_path / "fresh")


def test_moving_files_keeps_every_vector_with_its_passage(docs: Path, tmp_path: Path) -> None:
    long = "\n\n".join(f"## Part {part}\n\n" + f"Sentence {part} of the long text. " * 60 for part in range(6))
    write(docs, {"aa.md": long, "mm.md": long + "\n\nEnd."})
    build_index(docs, tmp_path / "index", Letters())
    (docs / "aa.md").unlink()
    write(docs, {"b.md": "First of all.", "zz.md": long + "\n\nLast."})
    build_index(docs, tmp_path / "index", Letters())
    build_index(docs, tmp_path / "fresh", Letters())
    assert contents(tmp_path / "index") == contents(tmp_path / "fresh")


def test_another_embedder_embeds_everything_anew(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, None)
    assert StoredIndex(index).embedder is None
    assert counts(build_index(docs, index, Letters())) == (4, 0, 0, 0)
    other = Letters(name="other")
    build_index(docs, index, other)
    assert len(other.embedded) == 4
    assert StoredIndex(index).embedder == "other"


def test_skipped_files_and_notes_are_reported(docs: Path, tmp_path: Path) -> None:
    write(docs, {"image.md": b"\x00\x01", "old.txt": "Crème".encode("latin-1")})
    report = build_index(docs, tmp_path / "index", None)
    assert [(skipped.source, skipped.reason.split(",")[0]) for skipped in report.skipped] == [("image.md", "binary")]
    assert report.notes == (("old.txt", "not UTF-8; read as Latin-1 (Windows-1252)"),)
    again = build_index(docs, tmp_path / "index", None)
    assert again.notes == report.notes
    assert StoredIndex(tmp_path / "index").by_source["old.txt"].title == "old"


@pytest.mark.parametrize(
    ("files", "reason"), [({}, ""), ({"a.png": b"x"}, ""), ({"a.md": b"\0"}, "1 skipped, such as 'a.md': binary")]
)
def test_nothing_to_index_is_an_error(tmp_path: Path, files: dict[str, str | bytes], reason: str) -> None:
    (tmp_path / "docs").mkdir()
    write(tmp_path / "docs", files)
    with pytest.raises(
        InputError, match=r"no documents found in .*`ragweave nodes loaders` lists the suffixes"
    ) as caught:
        build_index(tmp_path / "docs", tmp_path / "index", None)
    assert reason in str(caught.value)


def test_an_emptied_folder_leaves_the_index(docs: Path, tmp_path: Path) -> None:
    build_index(docs, tmp_path / "index", None)
    shutil.rmtree(docs)
    docs.mkdir()
    with pytest.raises(InputError):
        build_index(docs, tmp_path / "index", None)
    assert len(StoredIndex(tmp_path / "index")) == 4


def test_a_folder_that_cannot_be_written_is_named(docs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        IndexUnusable, match=r"index folder '.*/file/index' cannot be written: not a directory; choose another"
    ):
        build_index(docs, tmp_path / "file" / "index", None)
    if sys.platform == "linux":  # a file system that not even root may write
        with pytest.raises(IndexUnusable, match="cannot be written"):
            build_index(docs, Path("/proc/sys/index"), None)


FILES = ("manifest.json", "segment-000001.data", "segment-000001.fields")


@pytest.mark.parametrize("file", [*FILES, "current"])
@pytest.mark.parametrize("damage", ["gone", "short", "garbage", "flipped"])
def test_damage_is_found_and_a_new_build_repairs_it(docs: Path, tmp_path: Path, file: str, damage: str) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    path = index / file if file == "current" else index / "generation-000001" / file
    data = path.read_bytes()
    flipped = bytes([data[0] ^ 0x80]) + data[1:]
    broken = {"gone": None, "short": data[: len(data) // 2], "garbage": b"\xff" * len(data), "flipped": flipped}[damage]
    path.unlink()
    if broken is not None:
        path.write_bytes(broken)
    with pytest.raises(IndexUnusable, match=r"damaged: .*; delete the folder and build it again"):
        StoredIndex(index)
    build_index(docs, index, Letters())
    assert len(StoredIndex(index)) == 4


def test_another_format_is_refused(docs: Path, tmp_path: Path) -> None:
    build_index(docs, tmp_path / "index", None)
    manifest = tmp_path / "index" / "generation-000001" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(IndexUnusable, match="has format 99, this version reads 2; a newer ragweave wrote it"):
        StoredIndex(tmp_path / "index")


def test_an_index_of_a_newer_version_is_not_written_over(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, None)
    manifest = index / "generation-000001" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(IndexUnusable, match="a newer ragweave wrote it: update this one, or delete the folder"):
        build_index(docs, index, None)
    assert {path: path.read_bytes() for path in before} == before


def test_an_open_index_outlives_its_replacement(docs: Path, tmp_path: Path) -> None:
    build_index(docs, tmp_path / "index", Letters())
    stored = StoredIndex(tmp_path / "index")
    write(docs, {"new.md": "Another."})
    build_index(docs, tmp_path / "index", Letters())
    assert [stored.passage(row).source for row in range(4)] == sorted(COOKBOOK)
    assert stored.words.search("lamb", 3)[0]
    assert stored.cosines(Letters().embed(["lamb"])[0], np.arange(4)).shape == (4,)


SLOW = """
import sys
from pathlib import Path
from ragweave.retrievers.indexes.indexing import build_index
from tests.retrievers.folders import Letters

def tell(progress):
    print(progress.phase, flush=True)

build_index(Path(sys.argv[1]), Path(sys.argv[2]), Letters(seconds=float(sys.argv[3])), tell)
print("done", flush=True)
"""


def slow_build(docs: Path, index: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that indexes, and prints each phase as it comes to it."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(docs), str(index), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(process: subprocess.Popen[str], phase: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == phase:
            return
    raise AssertionError(process.stderr.read() if process.stderr else phase)


def test_two_at_once_get_one_clear_line(docs: Path, tmp_path: Path) -> None:
    with slow_build(docs, tmp_path / "index", 30) as process:
        wait_for(process, "read")
        with pytest.raises(
            IndexUnusable, match=rf"is being written by another process \(pid {process.pid}\); wait until"
        ):
            build_index(docs, tmp_path / "index", None)
        process.kill()
    assert build_index(docs, tmp_path / "index", None).files == 4


def test_ctrl_c_leaves_the_old_index(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    write(docs, {"new.md": "Another."})
    with slow_build(docs, index, 30) as process:
        wait_for(process, "read")
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) != 0
    assert len(StoredIndex(index)) == 4
    assert [path.name for path in index.glob("draft-*")] == []


@pytest.mark.parametrize("moment", [0.0, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03])
def test_kill_9_at_any_moment_leaves_an_index(docs: Path, tmp_path: Path, moment: float) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    write(docs, {f"new{number}.md": f"Another dish, number {number}." for number in range(5)})
    with slow_build(docs, index, 0) as process:
        wait_for(process, "write")  # the draft, the rename and the sweep come now
        time.sleep(moment)
        process.kill()
    assert len(StoredIndex(index)) in (4, 9)
    assert build_index(docs, index, Letters()).files == 9
    assert len(StoredIndex(index)) == 9
    assert len(list(index.glob("generation-*"))) == 1
    assert list(index.glob("draft-*")) == []


def test_what_a_killed_writer_left_is_removed_though_nothing_has_changed(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, None)
    (current,) = index.glob("generation-*")
    shutil.copytree(current, index / "generation-000007")
    (index / "draft-of-the-dead").mkdir()
    assert build_index(docs, index, None).unchanged == 4
    assert sorted(path.name for path in index.iterdir()) == ["current", current.name, "lock"]
    assert len(StoredIndex(index)) == 4
