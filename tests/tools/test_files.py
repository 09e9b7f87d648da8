"""Files under one root: nothing outside is read, listed, searched or written, whatever the path or the link."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import ResourceError, ToolError
from ragweave.tools.files import Entry, Files, Match


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with files and links, beside a file that is nobody's business."""
    (tmp_path / "secret.txt").write_text("hunter2")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "other.txt").write_text("hunter2")
    root = tmp_path / "root"
    (root / "notes" / "deep").mkdir(parents=True)
    (root / "a.md").write_text("Green tea\nBlack coffee\n")
    (root / "notes" / "b.txt").write_text("tea again\r\nTEA")
    (root / "notes" / "deep" / "c.md").write_text("\ufeffnothing", encoding="utf-8")
    (root / "image.png").write_bytes(b"\x89PNG\0\0")
    (root / "zero.txt").write_bytes(b"a\0b")
    (root / "large.txt").write_text("tea" * 1000)
    (root / ".hidden").write_text("tea")
    (root / ".git").mkdir()
    (root / "inside").symlink_to("notes/b.txt")
    (root / "folder").symlink_to("notes")
    (root / "up").symlink_to("notes/../a.md")
    (root / "notes" / "back").symlink_to("../a.md")
    (root / "absolute").symlink_to(tmp_path / "secret.txt")
    (root / "out").symlink_to("../secret.txt")
    (root / "outfolder").symlink_to("../outside")
    (root / "sly").symlink_to("notes/../../secret.txt")
    (root / "self").symlink_to("self")
    (root / "chain").symlink_to("out")
    os.mkfifo(root / "pipe")
    return root


OUTSIDE = """
../secret.txt
notes/../../secret.txt
notes/../a.md
/etc/passwd
//etc/passwd
~/secret.txt
absolute
out
outfolder/other.txt
sly
chain
self
self/x
folder/../../secret.txt
..
./..
.hidden
.git/config
notes/.x
..\\secret.txt
a.md\0
C:\\x
missing
missing/x
a.md/x
notes
pipe
image.png
zero.txt
""".strip().splitlines()


def test_nothing_outside_is_read(root: Path) -> None:
    files = Files(root=root, write=True)
    for path in OUTSIDE:
        with pytest.raises(ToolError):
            files.read(path.replace("\\0", "\0"))
    for path in ("..", "/", "outfolder", "absolute", ".git", "notes/../..", "missing", "a.md"):
        with pytest.raises(ToolError):
            files.entries(path)
        with pytest.raises(ToolError):
            files.search("hunter2", path)
    assert not files.search("hunter2").matches
    with pytest.raises(ToolError) as caught:
        files.read("missing")
    assert str(root) not in str(caught.value)


_PARTS = [
    "..",
    ".",
    "notes",
    "folder",
    "out",
    "outfolder",
    "self",
    "chain",
    "sly",
    "a.md",
    "",
    "other.txt",
    "secret.txt",
    "absolute",
    "back",
    "deep",
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(_PARTS), min_size=1, max_size=6))
def test_no_path_of_any_parts_reads_what_is_outside(parts: list[str]) -> None:
    assert _tree is not None
    try:
        assert "hunter2" not in Files(root=_tree).read("/".join(parts)).text
    except ToolError:
        return


_tree: Path | None = None


@pytest.fixture(autouse=True)
def _remembered(root: Path) -> None:
    global _tree
    _tree = root


def test_files_and_links_inside_are_read(root: Path) -> None:
    files = Files(root=root)
    assert files.read("a.md").text == "Green tea\nBlack coffee\n"
    for path in ("notes/b.txt", "inside", "folder/b.txt", "./notes//b.txt"):
        assert files.read(path).text == "tea again\r\nTEA"
    assert files.read("up").text == files.read("notes/back").text == files.read("folder/back").text
    assert files.read("notes/deep/c.md").text == "nothing"
    part = files.read("a.md", first=2)
    assert (part.text, part.first, part.lines, part.truncated) == ("Black coffee\n", 2, 2, False)
    assert Files(root=root, max_lines=1).read("a.md").truncated
    with pytest.raises(ToolError, match="has 2 lines, no line 5"):
        files.read("a.md", first=5)
    for path, message in {
        "notes": "is a folder; list it instead",
        "image.png": "is no text",
        "pipe": "is no file",
        "missing": "there is no 'missing'",
        "out": "leads out of the folder",
    }.items():
        with pytest.raises(ToolError, match=message):
            files.read(path)
    with pytest.raises(ToolError, match="more than 100 bytes"):
        Files(root=root, max_bytes=100).read("large.txt")
    with pytest.raises(ResourceError, match="cannot be opened"):
        Files(root=root / "none").read("a.md")
    (root.parent / "link").symlink_to("root")
    assert Files(root=root.parent / "link").read("a.md").lines == 2  # the root itself may be a link


def test_listing_and_searching(root: Path) -> None:
    files = Files(root=root)
    listed = files.entries().entries
    assert [one.path for one in listed] == [
        "a.md", "image.png", "large.txt", "notes/", "zero.txt", "notes/b.txt", "notes/deep/", "notes/deep/c.md",
    ]  # fmt: skip
    assert listed[0] == Entry(path="a.md", bytes=23)
    assert [one.path for one in files.entries(pattern="*.md").entries] == ["a.md", "notes/deep/c.md"]
    assert [one.path for one in files.entries("folder/deep").entries] == ["folder/deep/c.md"]
    assert files.search("tea", pattern="*.md").matches == (Match(path="a.md", line=1, text="Green tea"),)
    assert len(files.search("TEA").matches) == 4
    assert [one.line for one in files.search("TEA", "notes", match_case=True).matches] == [2]
    assert Files(root=root, max_found=1).search("tea").truncated
    assert Files(root=root, max_found=3).entries().truncated
    assert Files(root=root, timeout=1e-9).search("tea").truncated
    with pytest.raises(ToolError, match="nothing to search for"):
        files.search("  ")


def test_writing_is_whole_and_stays_inside(root: Path) -> None:
    with pytest.raises(ToolError, match="may only be read"):
        Files(root=root).save("x.md", "x")
    files = Files(root=root, write=True, max_bytes=100)
    assert files.save("new/deeper/x.md", "é") == Entry(path="new/deeper/x.md", bytes=2)
    assert (root / "new/deeper/x.md").read_text() == "é"
    with pytest.raises(ToolError, match="there already; say that it may be overwritten"):
        files.save("a.md", "x")
    files.save("a.md", "x", overwrite=True)
    assert (root / "a.md").read_text() == "x"
    files.save("folder/y.md", "y")
    assert (root / "notes/y.md").read_text() == "y"
    for path in (*OUTSIDE[:17], "outfolder/x.md", "inside", "out", "notes", "pipe", ""):
        with pytest.raises(ToolError):
            files.save(path, "gone", overwrite=True)
    with pytest.raises(ToolError, match="may have 100 bytes"):
        files.save("big.md", "x" * 101)
    assert (root.parent / "secret.txt").read_text() == "hunter2"
    assert sorted(path.name for path in (root.parent / "outside").iterdir()) == ["other.txt"]
    assert not [path for path in root.rglob(".*") if path.name not in (".hidden", ".git")]


def test_a_folder_that_becomes_a_link_meanwhile_opens_no_way(root: Path) -> None:
    files = Files(root=root)
    (root / "swap").mkdir()
    (root / "swap" / "other.txt").write_text("mine")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "swap").rename(root / "kept")
            (root / "swap").symlink_to("../outside")
            (root / "swap").unlink()
            (root / "kept").rename(root / "swap")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        seen = set()
        for _ in range(300):
            try:
                seen.add(files.read("swap/other.txt").text)
            except ToolError:
                seen.add("refused")
    finally:
        stop.set()
        thread.join()
    assert seen <= {"mine", "refused"}
