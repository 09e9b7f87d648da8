"""What an index keeps: passages that programs added, fields, files that look as they did; and what it forgets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import IndexUnusable
from ragweave.orchestrator.filters import Demand, filter_of
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes import committing
from ragweave.retrievers.indexes.hybrid import Hybrid
from ragweave.retrievers.indexes.indexing import build_index
from ragweave.retrievers.indexes.stored import StoredIndex
from tests.retrievers.folders import COOKBOOK, ROOT, Letters, write


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(tmp_path / "docs", COOKBOOK)


def opened(folder: Path, **settings: Any) -> Hybrid:
    spec = ResourceSpec("retrievers", "docs", "hybrid", {"index": "index", "embedder": "letters", **settings})
    retriever: Hybrid = Resources([spec], folder=folder).get("retrievers", "docs")
    return retriever


def everything(index: Path) -> dict[str, str]:
    stored = StoredIndex(index, thorough=True)
    return {passage.id: passage.text for row in range(len(stored)) if (passage := stored.passage(row))}


def page(key: str, text: str = "", **metadata: Any) -> Document:
    return Document(id=key, text=text or f"Page {key}", source=f"{key}.md", metadata=metadata)


async def test_what_a_program_added_stays_when_the_folder_is_indexed(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    await opened(tmp_path).add([page("mine", "A zebra."), page("curry.md", "Not the file.")])
    write(docs, {"curry.md": "Beef."})
    (docs / "onion-raita.md").unlink()
    report = build_index(docs, index, Letters())
    assert (report.changed, report.deleted, report.unchanged, report.chunks) == (1, 1, 2, 5)
    embedder = Letters(name="other")
    embedder.embedded.clear()
    report = build_index(docs, index, embedder)
    assert report.rebuilt == "it was built with the embedder letters"
    assert sorted(text for text in embedder.embedded if "ebra" in text or "Not" in text) == [
        "A zebra.",
        "Not the file.",
    ]
    assert {"mine", "curry.md"} <= everything(index).keys()
    assert report.chunks == 5


async def test_what_is_deleted_of_a_file_stays_away_until_the_file_changes(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    retriever = opened(tmp_path)
    assert await retriever.delete(retriever.filter({"source": "curry.md"})) == 1
    kept = b"".join(path.read_bytes() for path in index.rglob("*") if path.is_file())
    assert b"Simmer" not in kept
    assert b"yoghurt" in kept
    assert build_index(docs, index, Letters()).unchanged == 4
    assert len(everything(index)) == 3
    write(docs, {"curry.md": "Simmer lamb again."})
    assert build_index(docs, index, Letters()).changed == 1
    assert "Simmer lamb again." in everything(index).values()


async def test_other_fields_need_no_vector_anew(docs: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    write(docs, {"new.md": "---\nyear: 2024\ntags: tea\n---\n\nNew.\n", "old.md": "---\nyear: long ago\n---\n\nOld.\n"})
    embedder = Letters()
    assert build_index(docs, index, embedder).refitted is None
    embedder.embedded.clear()
    report = build_index(docs, index, embedder, fields={"tags": "list[str]", "year": "int"})
    assert (report.refitted, report.unchanged, embedder.embedded) == (("tags", "year"), 6, [])
    assert [str(misfit) for misfit in report.misfits] == ["1 passage has no int in it, such as 'long ago' in 'old.md'"]
    stored = StoredIndex(index)
    wheres: list[dict[str, Any]] = [{"year": {">": 2000}}, {"tags": "indian"}, {"tags": "tea", "year": 2024}]
    for where in wheres:
        assert stored.mask(filter_of(where, stored.fields)).sum() == 1
    assert build_index(docs, index, embedder).refitted is None
    assert dict(StoredIndex(index).fields) == {"tags": "list[str]", "year": "int"}


def test_a_large_index_without_the_field_says_what_makes_it(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragweave.retrievers.indexes import stored

    monkeypatch.setattr(stored, "_READ_FOR_A_FILTER", 3)
    build_index(docs, tmp_path / "index", None)
    with pytest.raises(IndexUnusable, match=r"has no field 'year', which a filter needs as int; `ragweave index` on"):
        StoredIndex(tmp_path / "index").mask((Demand("year", "int", "==", 3),))


@pytest.fixture
def opens() -> list[str]:
    """The files that this process opens from now on."""
    found: list[str] = []
    sys.addaudithook(lambda event, given_: found.append(str(given_[0])) if event == "open" else None)
    return found


def test_files_that_look_as_they_did_are_not_read_again(
    docs: Path, tmp_path: Path, opens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = max(path.stat().st_ctime_ns for path in docs.iterdir())
    monkeypatch.setattr(time, "time_ns", lambda: now)

    def read() -> list[str]:
        opens.clear()
        build_index(docs, tmp_path / "index", None)
        return sorted(name.rpartition("/")[2] for name in opens if name.startswith(str(docs)) and "." in name)

    assert len(read()) == 4
    assert len(read()) == 4  # written a moment ago: the next write might look the same
    now += 2_200_000_000
    assert len(read()) == 4
    assert read() == []
    text = (docs / "curry.md").read_text()
    status = (docs / "curry.md").stat()
    (docs / "curry.md").write_text(text.replace("lamb", "beef"))
    os.utime(docs / "curry.md", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read() == ["curry.md"]  # of the same size and date as before
    assert "beef" in next(text for text in everything(tmp_path / "index").values() if "Simmer" in text)
    (tmp_path / "index" / "seen.json").write_text('{"version": 1, "files": 3}')
    assert len(read()) == 4


_keys = st.sampled_from([f"k{number}" for number in range(8)])
_words, _teams = st.sampled_from(["alpha", "beta", "gamma"]), st.sampled_from(["a", "b"])
_pages = st.lists(
    st.builds(lambda key, word, team: page(key, word, team=team), _keys, _words, _teams),
    max_size=4,
)
_steps = st.lists(_pages | st.builds(lambda key: {"source": f"{key}.md"}, _keys) | st.just({"team": "a"}), max_size=8)


@settings(max_examples=25)
@given(_steps)
def test_an_index_of_many_pieces_is_what_a_dictionary_would_be(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    """In pieces from the first passage on, put together as in a large index; scores are those of a fresh one."""
    import asyncio

    folder, fresh = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    kept: dict[str, Document] = {}
    before, committing._TOGETHER = committing._TOGETHER, 0

    async def play() -> None:
        index = opened(folder, fields={"team": "str"})
        for step in steps:
            if isinstance(step, list):
                new = {one.id: one for one in step}
                assert await index.add(step) == len(new.keys() - kept.keys())
                kept.update(new)
            else:
                where = index.filter(step)
                gone = [key for key, one in kept.items() if one.source == step.get("source") or step == one.metadata]
                assert await index.delete(where) == len(gone)
                for key in gone:
                    del kept[key]
        if not kept:
            return
        assert everything(folder / "index") == {key: one.text for key, one in kept.items()}
        other = opened(fresh, fields={"team": "str"})
        await other.add(list(kept.values()))
        for query in ("alpha", "beta gamma"):
            scores = [
                {found.id: round(found.score, 4) for found in await one.search(query, 9, one.filter({"team": "a"}))}
                for one in (index, other)
            ]
            assert scores[0] == pytest.approx(scores[1], abs=2e-4)
            assert scores[0].keys() <= {key for key, one in kept.items() if one.metadata["team"] == "a"}

    try:
        asyncio.run(play())
    finally:
        committing._TOGETHER = before


FULL = """
import resource, sys
from pathlib import Path
from ragweave.orchestrator.errors import IndexUnusable
from ragweave.retrievers.indexes.indexing import build_index
from tests.retrievers.folders import Letters
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    build_index(Path(sys.argv[1]), Path(sys.argv[2]), Letters())
    print("done")
except IndexUnusable as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits for files there")
@pytest.mark.parametrize("room", [0, 100, 20_000])
def test_a_disk_that_is_full_in_the_middle_leaves_the_old_index(docs: Path, tmp_path: Path, room: int) -> None:
    index = tmp_path / "index"
    build_index(docs, index, Letters())
    before = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "lock"}
    write(docs, {f"new{number}.md": f"# New {number}\n\n" + "Something else. " * 200 for number in range(8)})
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(docs), str(index), str(room)],
        capture_output=True, text=True, cwd=ROOT, check=True, timeout=120,
    )  # fmt: skip
    assert "cannot be written: " in done.stdout, done.stdout
    left = {path: path.read_bytes() for path in index.rglob("*") if path.is_file() and path.name != "lock"}
    assert {path: data for path, data in left.items() if path.name != "seen.json"} == before
    assert len(StoredIndex(index)) == 4
    assert build_index(docs, index, Letters()).added == 8


def test_an_index_in_a_folder_that_may_not_be_written_is_searched(docs: Path, tmp_path: Path) -> None:
    build_index(docs, tmp_path / "index", Letters())
    paths = [tmp_path / "index", *(tmp_path / "index").rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        stored = StoredIndex(tmp_path / "index")
        assert stored.words.search("lamb", 3)[0]
    finally:
        for path in paths:
            path.chmod(0o755)
