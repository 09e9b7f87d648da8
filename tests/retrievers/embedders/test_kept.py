"""Vectors of indexed texts are kept on the machine, and nothing else of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ragweave.orchestrator.contracts import Embedder
from ragweave.retrievers.embedders import exports, kept
from tests.retrievers.folders import fresh_python


class Counting(Embedder):
    """Vectors of letters, and how many texts it was asked for."""

    name: str = "counting"
    asked: int = 0

    @property
    def identity(self) -> str:
        return self.name

    @property
    def dimension(self) -> int:
        return 26

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        rows = np.array([[text.count(chr(97 + at)) + 0.01 for at in range(26)] for text in texts], dtype=np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWEAVE_CACHE", str(tmp_path))
    monkeypatch.delenv("RAGWEAVE_VECTOR_CACHE_MB", raising=False)


TEXTS = ["the red bridge", "a secret word: xylophone", "bread", "bread"]


def test_what_was_embedded_once_is_not_embedded_again() -> None:
    model = Counting()
    first = kept.embed(model, TEXTS)
    assert model.asked == 3, "twice the same text is one"
    assert (kept.embed(model, [*TEXTS[::-1], "new"])[:4] == first[::-1]).all(), "the same to the last bit"
    assert model.asked == 4
    other = Counting(name="other")
    kept.embed(other, TEXTS)
    assert other.asked == 3, "vectors of another model are not mixed in"


def test_no_text_is_written_and_what_is_forgotten_leaves_no_trace() -> None:
    model = Counting()
    vector = kept.embed(model, TEXTS)[1].tobytes()
    files = [kept.path(), Path(f"{kept.path()}-wal")]
    before = b"".join(file.read_bytes() for file in files if file.exists())
    assert vector in before
    assert b"xylophone" not in before
    assert (kept.path().stat().st_mode & 0o077) == 0, "for its owner alone"
    assert kept.forget(model, [TEXTS[1], "unknown"]) == 1
    assert vector not in b"".join(file.read_bytes() for file in files if file.exists())
    kept.embed(model, TEXTS)
    assert model.asked == 4


def test_nothing_is_kept_where_that_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Counting(cache=False)
    kept.embed(model, TEXTS)
    monkeypatch.setenv("RAGWEAVE_VECTOR_CACHE_MB", "0")
    kept.embed(Counting(), TEXTS)
    assert not kept.path().exists()
    assert kept.forget(model, TEXTS) == 0


def test_it_does_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGWEAVE_VECTOR_CACHE_MB", "0.5")
    model = Counting()
    for start in range(0, 6000, 500):
        kept.embed(model, [f"text {number}" for number in range(start, start + 500)])
    assert kept.path().stat().st_size < 700_000
    asked = model.asked
    kept.embed(model, [f"text {number}" for number in range(5500, 6000)])
    assert model.asked == asked, "the newest are there"


@pytest.mark.parametrize("damage", ["not a database at all, but some text" * 40, ""])
def test_a_damaged_file_is_begun_anew(damage: str) -> None:
    kept.path().parent.mkdir(exist_ok=True)
    kept.path().write_text(damage)
    model = Counting()
    kept.embed(model, TEXTS)
    kept.embed(model, TEXTS)
    kept.embed(model, TEXTS)
    assert model.asked <= 6, "at worst the first time was not kept"


def test_a_damaged_vector_is_computed_again() -> None:
    model = Counting()
    expected = kept.embed(model, TEXTS)
    with sqlite3.connect(kept.path()) as file:
        file.execute("UPDATE vectors SET vector = zeroblob(104)")
    file.close()
    assert (kept.embed(model, TEXTS) == expected).all()
    assert model.asked == 6


def test_threads_and_processes_may_use_it_at_once() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); from tests.retrievers.embedders.test_kept import Counting, kept\n"
        "kept.embed(Counting(), [f'text {number}' for number in range(300)]); print('done')"
    )
    model = Counting()
    with ThreadPoolExecutor(4) as pool:
        processes = [pool.submit(fresh_python, code) for _ in range(2)]
        threads = [pool.submit(kept.embed, model, [f"text {number}" for number in range(300)]) for _ in range(2)]
        assert [one.result().strip() for one in processes] == ["done", "done"]
        assert (threads[0].result() == threads[1].result()).all()
    asked = model.asked
    kept.embed(model, [f"text {number}" for number in range(300)])
    assert model.asked == asked


def test_where_nothing_can_be_written_vectors_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAGWEAVE_CACHE", str(tmp_path / "file"))
    model = Counting()
    assert (kept.embed(model, TEXTS) == kept.embed(model, TEXTS)).all()
    assert model.asked == 8 - 2
    assert kept.forget(model, TEXTS) == 0
    said: list[str] = []
    assert exports._root(said.append).is_dir()
    assert "models are exported for this process only" in said[0]
