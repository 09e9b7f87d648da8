"""The default retriever: what it finds, and what it says where it cannot."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.errors import IndexUnusable, MissingExtra
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.hybrid import Hybrid
from ragweave.retrievers.indexes.indexing import build_index
from ragweave.retrievers.ranking.fusion import Scales, reciprocal
from ragweave.retrievers.ranking.links import Link, Sites, links_in
from tests.retrievers.folders import COOKBOOK, Letters, fresh_python, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "docs", COOKBOOK)
    build_index(tmp_path / "docs", tmp_path / "index", Letters())
    return tmp_path


def opened(folder: Path, notices: list[str] | None = None, **settings: object) -> Hybrid:
    """The retriever as a graph in this folder would build it."""
    spec = ResourceSpec("retrievers", "docs", "hybrid", {"index": "index", "embedder": "letters", **settings})
    resources = Resources([spec], folder=folder, notice=(notices if notices is not None else []).append)
    retriever: Hybrid = resources.get("retrievers", "docs")
    return retriever


async def sources(retriever: Hybrid, query: str, top_k: int = 10) -> list[str]:
    return [document.source for document in await retriever.search(query, top_k)]


async def test_passages_come_best_first_and_complete(folder: Path) -> None:
    (found, *rest) = await opened(folder).search("How long does lamb simmer?", 3)
    text = str(COOKBOOK["curry.md"])
    start = text.index("Simmer")
    assert found == Document(
        id=found.id,
        text=text[start:-1],
        title="Lamb Curry",
        source="curry.md",
        offsets=(start, len(text) - 1),
        line=text[:start].count("\n") + 1,
        metadata={"title": "Lamb Curry", "tags": ["indian", "spicy"], "author": "asha"},
        score=found.score,
    )
    assert [found.score, *(other.score for other in rest)] == sorted(
        [found.score, *(other.score for other in rest)], reverse=True
    )
    assert 0 < found.score <= 1


async def test_titles_tags_and_words_are_found(folder: Path) -> None:
    retriever = opened(folder, weight=0)
    assert await sources(retriever, "indian") == ["curry.md"]
    assert (await sources(retriever, "ZOPFS"))[0] == "bread/zopf.md"
    assert await sources(retriever, "xylophone") == []


@pytest.mark.parametrize("query", ["", "   ", "\n"])
async def test_a_blank_query_finds_nothing(folder: Path, query: str) -> None:
    assert await opened(folder).search(query, 10) == []
    assert await opened(folder).search("lamb", 0) == []


@pytest.mark.parametrize("query", ["the of and", "¿?", "漢字", "\ud800 lone", "x" * 100_000])
async def test_odd_queries_do_no_harm(folder: Path, query: str) -> None:
    assert len(await opened(folder).search(query, 10)) <= 4


async def test_links_bring_in_what_the_question_asks_for(folder: Path) -> None:
    query = "Which raita goes with the lamb curry?"
    with_links = {document.source: document.score for document in await opened(folder, weight=0).search(query, 9)}
    without = {
        document.source: document.score for document in await opened(folder, weight=0, links=False).search(query, 9)
    }
    assert with_links["onion-raita.md"] > without["onion-raita.md"]
    assert with_links["curry.md"] == without["curry.md"] > with_links["onion-raita.md"]


async def test_a_missing_index_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(IndexUnusable, match=r"no index in '.*/index'; run `ragweave index DOCUMENTS --to index`"):
        await opened(tmp_path).search("tea", 3)
    with pytest.raises(IndexUnusable, match=r"run `ragweave index docs --to index`"):
        await opened(tmp_path, documents="docs").search("tea", 3)


def test_another_embedder_is_refused(folder: Path) -> None:
    build_index(folder / "docs", folder / "index", Letters(name="older"))
    with pytest.raises(
        IndexUnusable, match=r"built with the embedder 'older', but 'letters' is 'letters'; build it again"
    ):
        opened(folder)


async def test_an_index_without_vectors_is_searched_by_words_and_says_so(folder: Path) -> None:
    build_index(folder / "docs", folder / "index", None)
    notices: list[str] = []
    retriever = opened(folder, notices)
    assert await sources(retriever, "honey") == ["onion-raita.md"]
    assert len(notices) == 1
    assert "searching by words only" in notices[0]


class Absent(Letters, type="absent"):
    """An embedder whose package is not installed."""

    def open(self, resources: Resources) -> None:
        """Fails as the real ones do."""
        raise MissingExtra("the embedder 'absent'", "some-package", "local")


async def test_without_the_extra_words_are_searched(folder: Path) -> None:
    notices: list[str] = []
    retriever = opened(folder, notices, embedder="absent")
    assert await sources(retriever, "honey") == ["onion-raita.md"]
    (notice,) = notices
    assert notice.startswith(
        "the embedder 'absent' needs the package 'some-package', which is not installed; pip install"
    )
    assert notice.endswith("searching by words only")


class Held(Letters, type="held"):
    """An embedder that waits until the test lets it go."""

    go: ClassVar[threading.Event] = threading.Event()

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """As any other, later."""
        assert self.go.wait(60), "the event loop was held up by the search"
        return super().embed(texts)


async def test_searches_at_once_agree_and_leave_the_loop_free(folder: Path) -> None:
    alone = await sources(opened(folder), "yeast and flour")
    retriever = opened(folder, embedder="held")
    asyncio.get_running_loop().call_later(0.05, Held.go.set)
    found = await asyncio.gather(*(sources(retriever, "yeast and flour") for _ in range(20)))
    assert all(other == alone for other in found)


WORDS_ONLY = """
import asyncio, sys
from pathlib import Path
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
resources = Resources([ResourceSpec("retrievers", "docs", "hybrid", {"index": "index"})], folder=Path(sys.argv[1]))
asyncio.run(resources.get("retrievers", "docs").search("lamb", 3))
print([name for name in ("torch", "openvino", "tokenizers", "faiss", "scipy") if name in sys.modules])
"""


def test_a_search_by_words_loads_nothing_heavy(folder: Path) -> None:
    build_index(folder / "docs", folder / "index", None)
    assert fresh_python(WORDS_ONLY, str(folder)) == "[]"


@given(st.integers(1, 40), st.data(), st.floats(0, 1), st.floats(-1, 0))
def test_fused_scores_are_between_0_and_1(size: int, data: st.DataObject, weight: float, lowest: float) -> None:
    words, cosines = (
        np.array(data.draw(st.lists(st.floats(low, high, width=32), min_size=size, max_size=size)), dtype=np.float32)
        for low, high in ((0, 50), (-1, 1))
    )
    for total in (
        Scales.of(words, cosines, lowest, weight).fused(words, cosines),
        reciprocal(words, cosines, weight),
        reciprocal(words, None, 0.0),
    ):
        assert total.shape == (size,)
        assert total.min() >= 0
        assert total.max() <= 1 + 1e-5


def test_links_are_found_and_resolved() -> None:
    text = "See [the *raita*](/onion-raita#top), [mail](mailto:a@b.c), [web](https://x.y), ![](pic.md), [[Zopf|bread]]"
    assert list(links_in(text)) == [Link("the *raita*", "/onion-raita"), Link("bread", "Zopf")]
    sites = Sites(dict.fromkeys(["onion-raita.md", "bread/zopf.md", "bread/index.md", "a/same.md", "b/same.md"]))
    assert sites.resolve("/onion-raita", "bread/zopf.md") == "onion-raita.md"
    assert sites.resolve("../onion-raita.html", "bread/zopf.md") == "onion-raita.md"
    assert sites.resolve("zopf.md", "bread/index.md") == "bread/zopf.md"
    assert sites.resolve("bread/", "onion-raita.md") == "bread/index.md"
    assert sites.resolve("Zopf", "onion-raita.md") == "bread/zopf.md"
    assert sites.resolve("same", "onion-raita.md") is None
    assert sites.resolve("../../../etc/passwd", "a/same.md") is None


@given(st.text(max_size=200) | st.text(alphabet="[]()|!a /\n<>", max_size=200))
def test_any_text_has_links_or_none(text: str) -> None:
    sites = Sites({"a.md": None})
    for link in links_in(text):
        sites.resolve(link.target, "b/c.md")


def test_a_single_passage_is_found_by_meaning_alone() -> None:
    words, cosines = np.zeros(1, dtype=np.float32), np.asarray([0.4], dtype=np.float32)
    total = Scales.of(words, cosines, 0.0, 0.6).fused(words, cosines)
    assert total[0] == pytest.approx(0.6)


async def test_an_index_that_is_built_again_is_used_by_the_next_search(folder: Path) -> None:
    retriever = opened(folder)
    assert "zebra.md" not in await sources(retriever, "zebra")
    write(folder / "docs", {"zebra.md": "# Zebra\n\nA zebra has stripes.\n"})
    build_index(folder / "docs", folder / "index", Letters())
    assert (await sources(retriever, "zebra"))[0] == "zebra.md"


async def test_searches_go_on_while_the_index_is_built_again_and_again(folder: Path) -> None:
    retriever = opened(folder)
    found = []
    for number in range(4):
        write(folder / "docs", {f"new{number}.md": f"# New\n\nZebra number {number}.\n"})
        searches = [sources(retriever, "zebra") for _ in range(8)]
        _, *several = await asyncio.gather(
            asyncio.to_thread(build_index, folder / "docs", folder / "index", Letters()), *searches
        )
        found += several
    assert len(found) == 32
    assert {"new0.md", "new3.md"} <= set(await sources(retriever, "zebra"))


async def test_an_index_of_another_embedder_is_said_once_and_the_old_one_goes_on(folder: Path) -> None:
    notices: list[str] = []
    retriever = opened(folder, notices)
    before = await sources(retriever, "lamb")
    build_index(folder / "docs", folder / "index", Letters(name="others"))
    assert await sources(retriever, "lamb") == before
    assert await sources(retriever, "lamb") == before
    assert len(notices) == 1
    assert notices[0].startswith("the index 'index' was built again; the old one is used on: ")
    assert "'others'" in notices[0]
    build_index(folder / "docs", folder / "index", Letters())
    write(folder / "docs", {"zebra.md": "# Zebra\n\nA zebra has stripes.\n"})
    build_index(folder / "docs", folder / "index", Letters())
    assert (await sources(retriever, "zebra"))[0] == "zebra.md"


async def test_an_index_that_is_deleted_goes_on_being_searched(folder: Path) -> None:
    retriever = opened(folder)
    before = await sources(retriever, "lamb")
    shutil.rmtree(folder / "index")
    assert await sources(retriever, "lamb") == before
