"""The vectors of indexed texts are kept for the next index, and leave with what is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave.retrievers.embedders import kept
from ragweave.retrievers.indexes.indexing import build_index
from tests.retrievers.folders import Letters


def test_a_second_index_of_the_same_documents_embeds_nothing_until_they_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGWEAVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RAGWEAVE_VECTOR_CACHE_MB")
    documents = tmp_path / "documents"
    documents.mkdir()
    for name in ("tea", "bread", "lamp"):
        (documents / f"{name}.md").write_text(f"# {name}\n\nThis is a text about {name} and nothing else.\n")
    first, second, third = (Letters(embedded=[]) for _ in range(3))
    build_index(documents, tmp_path / "one", first)
    assert len(first.embedded) == 3
    build_index(documents, tmp_path / "two", second)
    assert second.embedded == []
    (documents / "lamp.md").unlink()
    (documents / "tea.md").write_text("# tea\n\nA new text.\n")
    build_index(documents, tmp_path / "one", second)
    assert len(second.embedded) == 1
    assert kept.forget(first, first.embedded) == 1, "only the bread is still there: the others left with their files"
    build_index(documents, tmp_path / "three", third)
    assert len(third.embedded) == 1
