"""Documents that changed since they were indexed, told by date and content."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from ragweave.retrievers.indexes import freshness
from ragweave.retrievers.indexes.freshness import Changes, changes
from ragweave.retrievers.indexes.indexing import build_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("tea", "coffee", "milk"):
        (docs / f"{name}.md").write_text(f"# {name}\n\nAll about {name}.\n")
    (docs / "empty.md").touch()
    time.sleep(0.1)
    build_index(docs, tmp_path / "index", None)
    return tmp_path


def found(folder: Path) -> Changes:
    return changes(folder / "docs", folder / "index")


def test_what_is_as_it_was_is_no_change(folder: Path) -> None:
    assert found(folder) == Changes()


def test_changed_added_and_deleted_files_are_counted(folder: Path) -> None:
    (folder / "docs/tea.md").write_text("# Tea\n\nNew words.\n")
    (folder / "docs/milk.md").unlink()
    (folder / "docs/jam.md").write_text("# Jam\n\nAll about jam.\n")
    (folder / "docs/nothing.md").touch()
    (folder / "docs/picture.png").write_bytes(b"\x89PNG")
    assert found(folder) == Changes(changed=1, added=1, deleted=1)
    build_index(folder / "docs", folder / "index", None)
    assert found(folder) == Changes()


def test_a_file_that_was_only_touched_has_not_changed(folder: Path) -> None:
    for file in (folder / "docs").iterdir():
        os.utime(file)
    assert found(folder) == Changes()


def test_an_old_file_that_is_moved_here_is_new(folder: Path) -> None:
    (folder / "old.md").write_text("# Old\n\nFrom long ago.\n")
    os.utime(folder / "old.md", (1e9, 1e9))
    shutil.move(folder / "old.md", folder / "docs/old.md")
    assert found(folder) == Changes(added=1)


def test_a_file_that_was_written_while_the_others_were_read_has_changed(folder: Path) -> None:
    def write(progress: object) -> None:
        if progress.phase == "write":  # type: ignore[attr-defined]
            (folder / "docs/tea.md").write_text("# Tea\n\nWritten too late.\n")

    (folder / "docs/jam.md").write_text("# Jam\n\nAll about jam.\n")
    build_index(folder / "docs", folder / "index", None, write)
    assert found(folder) == Changes(changed=1)


@pytest.mark.parametrize("spoil", ["current", "manifest", "sources", "began", "docs"])
def test_where_it_cannot_be_told_nothing_is(folder: Path, spoil: str) -> None:
    generation = folder / "index" / (folder / "index/current").read_text()
    (folder / "docs/tea.md").write_text("# Tea\n\nNew words.\n")
    if spoil == "docs":
        shutil.rmtree(folder / "docs")
    elif spoil == "began":
        manifest = json.loads((generation / "manifest.json").read_text())
        del manifest["began"]
        (generation / "manifest.json").write_text(json.dumps(manifest))
    else:
        {
            "current": folder / "index/current",
            "manifest": generation / "manifest.json",
            "sources": generation / "segment-000001.data",
        }[spoil].write_text("spoilt")
    assert found(folder) == Changes()


def test_large_folders_are_left_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "docs/tea.md").write_text("# Tea\n\nNew words.\n")
    monkeypatch.setattr(freshness, "MOST_FILES", 2)
    assert found(folder) == Changes()
