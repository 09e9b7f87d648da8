"""Search by words."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import IndexUnusable
from ragweave.retrievers.indexes import words
from tests.retrievers.folders import fresh_python

PASSAGES = [
    ("Garam Masala", "Grind the spices."),
    ("Lamb Biriyani", "Layer rice and lamb with garam masala. Use masala again."),
    ("Crème brûlée", "Don't boil the cream."),
    ("", "Garam, or warm, and masala, or mix."),
]


@pytest.fixture
def index(tmp_path: Path) -> words.Words:
    words.write(tmp_path, PASSAGES)
    return words.Words(tmp_path)


def test_stems_are_folded_and_without_stop_words() -> None:
    assert words.stems("What are the Crème-brûlées' spices?") == ["creme", "brule", "spice"]
    assert words.stems("") == words.stems("¿?! the and of") == []
    assert words.stems("don't") == []


def test_the_best_passages_come_first(index: words.Words) -> None:
    rows, scores = index.search("garam masalas", 10)
    assert set(rows) == {0, 1, 3}
    assert scores == sorted(scores, reverse=True)
    assert index.search("CREME", 10)[0] == [2]
    assert len(index) == 4


def test_titles_count_more_if_asked(index: words.Words) -> None:
    rows, _ = index.search("garam masala", 10, title_boost=2.0)
    assert rows[0] == 0


@pytest.mark.parametrize("query", ["", "the", "xylophone", "AND OR NOT (", '"', "text:rice*", "\ud800"])
def test_queries_that_mean_nothing_find_nothing_and_no_syntax_is_read(index: words.Words, query: str) -> None:
    assert set(index.search(query, 10)[0]) <= {1}
    assert index.search("rice", 0) == ([], [])


@given(st.text())
def test_any_text_can_be_stemmed(text: str) -> None:
    assert all(stem and stem == stem.lower() for stem in words.stems(text))


def test_rare_words_weigh_more(index: words.Words) -> None:
    assert index.rarity("xylophon") > index.rarity("rice") > index.rarity("masala") > 0


def test_the_same_passages_give_the_same_scores(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        words.write(tmp_path / name, PASSAGES * 50)
        found.append(words.Words(tmp_path / name).search("garam masala rice", 200))
    assert found[0] == found[1]


def test_a_folder_that_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexUnusable, match="cannot be read"):
        words.Words(tmp_path)
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(IndexUnusable, match="cannot be read"):
        words.Words(tmp_path)


READ_ONLY = """
import os, sys
from pathlib import Path
from ragweave.retrievers.indexes import words
folder = Path(sys.argv[1])
words.stems("loaded before the user changes")
import encodings.ascii, encodings.idna, shutil, tempfile, weakref
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
assert not os.access(folder, os.W_OK)
print(words.Words(folder).search("rice", 3)[0])
"""


def test_a_read_only_index_can_be_searched() -> None:
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which other users may not enter
        folder = Path(name)
        words.write(folder, PASSAGES)
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        try:
            assert fresh_python(READ_ONLY, name) == "[1]"
        finally:
            folder.chmod(0o755)
