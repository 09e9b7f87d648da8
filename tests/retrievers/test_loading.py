"""What is read of a folder, what is skipped with which reason, and that nothing in it can break the reader."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import InputError
from ragweave.retrievers.loaders import parse
from ragweave.retrievers.loading import find_files, read
from ragweave.retrievers.sourcetext import Found, Skipped, SourceText
from tests.retrievers.folders import COOKBOOK, write


def load(folder: Path) -> tuple[dict[str, SourceText], dict[str, str]]:
    """What can be read, and the reasons for the rest, both by source."""
    texts, skipped = {}, {}
    for found in find_files(folder):
        data = found if isinstance(found, Skipped) else read(found)
        text = data if isinstance(data, Skipped) else parse(found.source, data)
        if isinstance(text, Skipped):
            skipped[text.source] = text.reason
        else:
            texts[text.source] = text
    return texts, skipped


def parsed(data: str | bytes, source: str = "a.md") -> SourceText:
    """The text of these bytes, which must be readable."""
    text = parse(source, data if isinstance(data, bytes) else data.encode())
    assert isinstance(text, SourceText), text
    return text


def test_a_folder_is_read_recursively_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, {**COOKBOOK, ".hidden.md": "x", ".ragweave/index/a.md": "x", "picture.png": "x", "UPPER.MD": "x"})
    assert [found.source for found in find_files(tmp_path)] == [
        "UPPER.MD", "bread/notes.txt", "bread/zopf.md", "curry.md", "onion-raita.md",
    ]  # fmt: skip


def test_documents_of_other_formats_are_named_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "text", "old.DOC": "x", "picture.png": "x"})
    texts, skipped = load(tmp_path)
    assert list(texts) == ["a.md"]
    assert skipped == {"old.DOC": "files of this format are not read; save it as .docx"}


def test_one_file_is_read_too(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "text"})
    assert [found.source for found in find_files(tmp_path / "a.md")] == ["a.md"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.md", ["a.md", "x/b.md", "x/y/c.md"]),
        ("*.md", ["a.md"]),
        ("x/**/*.{md,txt}", ["b.md", "b.txt", "y/c.md"]),
        ("x/?.txt", ["b.txt"]),
        ("**", ["a.md", "a.txt", "x/b.md", "x/b.txt", "x/y/c.md"]),
        ("*.pdf", []),
    ],
)
def test_a_pattern_chooses_files(pattern: str, found: list[str], tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(["a.md", "a.txt", "x/b.md", "x/b.txt", "x/y/c.md", "x/.z.md"], "text"))
    assert [file.source for file in find_files(tmp_path / pattern)] == found


def test_a_missing_folder_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    with pytest.raises(InputError, match=r"folder '.*/recipies' does not exist; did you mean 'recipes'\?"):
        list(find_files(tmp_path / "recipies"))
    with pytest.raises(InputError, match=r"does not exist$"):
        list(find_files(tmp_path / "no" / "where"))


def test_front_matter_is_kept_as_plain_json() -> None:
    text = parsed(
        "---\ntitle: 'Garam  Masala'\ndate: 2021-03-19\ntags: [spice, a]\nodd: {1: !!set {b}, x: .inf}\n---\n\nMix.\n"
    )
    assert text.title == "Garam Masala"
    assert text.metadata["tags"] == ["spice", "a"]
    assert text.metadata["date"] == "2021-03-19"
    assert json.loads(json.dumps(text.metadata, allow_nan=False)) == text.metadata
    assert text.text[text.body :] == "\nMix.\n"


def test_front_matter_that_is_not_yaml_gives_its_plain_lines_and_a_note() -> None:
    text = parsed("---\ntitle: Soup: the sequel\nauthor: ann\ntags: [a\n---\nBoil.\n")
    assert text.title == "Soup: the sequel"
    assert text.metadata["author"] == "ann"
    assert "not valid YAML (line 2)" in text.notes[0]


@pytest.mark.parametrize(
    "front", ["a: &x [1]\nb: *x", "a: " + "[" * 5000, "when: 2021-99-99", "? [a]\n: 1", "a: !!python/object:os.x {}"]
)
def test_hostile_front_matter_is_no_danger(front: str) -> None:
    text = parsed(f"---\n{front}\n---\nBody.\n")
    assert text.text[text.body :] == "Body.\n"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    text = parsed("---\n\nJust text.\n\n---\n\nMore.\n")
    assert text.body == 0
    assert text.metadata == {}


@pytest.mark.parametrize(
    ("source", "content", "title"),
    [
        ("a.md", "Intro\n\n# The *Soup* #\n", "The *Soup*"),
        ("a.md", "The Soup\n========\n\ntext", "The Soup"),
        ("a.rst", "\nThe Soup\n--------\n\ntext", "The Soup"),
        ("deep/the-big_soup.txt", "# not a heading in plain text", "the big soup"),
    ],
)
def test_the_title_is_the_first_heading_or_the_name(source: str, content: str, title: str) -> None:
    assert parsed(content, source).title == title


@pytest.mark.parametrize(
    ("data", "text", "note"),
    [
        ("crème".encode(), "crème", ""),
        (b"\xef\xbb\xbfplain", "plain", ""),
        ("crème brûlée".encode("latin-1"), "crème brûlée", "not UTF-8"),
        ("“quoted”".encode("cp1252"), "“quoted”", "not UTF-8"),
        ("grüß".encode("utf-16"), "grüß", "UTF-16"),
    ],
)
def test_encodings(data: bytes, text: str, note: str) -> None:
    found = parsed(data)
    assert found.text == text
    assert note in "".join(found.notes)
    assert bool(found.notes) == bool(note)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
        (b"\xff\xfe\x00", "binary"),
        (b"caf\x81\xe9", "neither UTF-8"),
        (b"\xe9\x01\x02\x03\x04\x05", "neither UTF-8"),
        (b" \n\t", "empty"),
        (b"---\ntitle: x\n---\n  \n", "empty after its front matter"),
    ],
)
def test_what_is_no_text_is_skipped_with_the_reason(data: bytes, reason: str) -> None:
    skipped = parse("a.md", data)
    assert isinstance(skipped, Skipped)
    assert reason in skipped.reason


def test_a_file_over_100_mb_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"small.md": "text"})
    with (tmp_path / "big.md").open("wb") as file:
        file.truncate(101 * 1024 * 1024)  # sparse: takes no room on the disk
    texts, skipped = load(tmp_path)
    assert list(texts) == ["small.md"]
    assert skipped == {"big.md": "larger than 100 MB (101 MB)"}


def test_links_pipes_and_odd_names(tmp_path: Path) -> None:
    write(tmp_path, {"a/one.md": "text"})
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.md").symlink_to(tmp_path / "c.md")
    (tmp_path / "c.md").symlink_to(tmp_path / "b.md")
    os.mkfifo(tmp_path / "pipe.md")
    odd = os.fsencode(tmp_path) + b"/bad\xff.md"
    Path(os.fsdecode(odd)).write_text("x")
    texts, skipped = load(tmp_path)
    assert list(texts) == ["a/one.md"]
    assert skipped["gone.md"] == skipped["b.md"] == skipped["c.md"] == "a link to nothing"
    assert skipped["pipe.md"] == "not a regular file"
    assert "its name is not valid UTF-8" in skipped.values()


def test_a_file_that_vanishes_is_skipped(tmp_path: Path) -> None:
    assert read(Found("a.md", tmp_path / "a.md")) == Skipped("a.md", "no such file or directory")


@given(
    st.binary(max_size=400)
    | st.text(max_size=400).map(lambda text: f"---\n{text}\n---\nbody".encode("utf-8", "replace"))
)
def test_any_bytes_are_read_or_skipped(data: bytes) -> None:
    text = parse("a.md", data)
    if isinstance(text, SourceText):
        json.dumps(text.metadata, allow_nan=False).encode()
        assert 0 <= text.body <= len(text.text)
        assert text.title == text.title.strip()
