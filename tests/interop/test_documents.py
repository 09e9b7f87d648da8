"""Documents of other frameworks as ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.interop.documents import documents_from
from ragweave.orchestrator.values import Document
from ragweave.retrievers.chunking import Chunks, cut


@dataclass
class Haystack:
    """A document as Haystack 2 and 3 have it: these fields, and an id of its own if none is given."""

    id: str = "made of its content"
    content: str | None = None
    blob: Any = None
    meta: dict[str, Any] = field(default_factory=dict)
    score: float | None = None
    embedding: list[float] | None = None
    sparse_embedding: Any = None


@dataclass
class LlamaNode:
    """A node as LlamaIndex has it: its `get_content` may put the metadata above the text."""

    id_: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    start_char_idx: int | None = None
    end_char_idx: int | None = None
    ref_doc_id: str | None = None

    @property
    def node_id(self) -> str:
        return self.id_

    def get_content(self, metadata_mode: str = "none") -> str:
        return f"{self.metadata}\n\n{self.text}"


@dataclass
class Scored:
    """A node with its score, which passes on what it is asked."""

    node: LlamaNode
    score: float | None

    @property
    def node_id(self) -> str:
        return self.node.node_id

    @property
    def metadata(self) -> dict[str, Any]:
        return self.node.metadata

    @property
    def text(self) -> str:
        return self.node.text

    def get_content(self, metadata_mode: str = "none") -> str:
        return self.node.get_content(metadata_mode)


def one(thing: Any) -> Document:
    (found,) = documents_from([thing])
    return found


def test_ours_stay_as_they_are() -> None:
    document = Document(id="a", text="text", metadata={"a": 1}, score=0.5)
    assert one(document) is document


def test_of_haystack() -> None:
    meta = {
        "file_path": "a/b.md",
        "title": "B",
        "page_number": 2,
        "split_idx_start": 10,
        "tags": ["x"],
        "day": date(2026, 1, 2),
    }
    found = one(Haystack(id="h1", content="some text", meta=meta, score=0.25, embedding=[1.0]))
    assert (found.id, found.text, found.title, found.source) == ("h1", "some text", "B", "a/b.md")
    assert (found.offsets, found.score) == ((10, 19), 0.25)
    assert found.metadata["page_number"] == 2
    assert found.metadata["tags"] == ["x"]
    assert found.metadata["day"] == "2026-01-02"
    assert one(Haystack(content="bare")) == Document(id="made of its content", text="bare")
    with pytest.raises(InputError, match="'h2' has no text"):
        one(Haystack(id="h2", blob=b"png"))


def test_of_llama_index() -> None:
    node = LlamaNode("n1", "some text", {"file_name": "b.md", "file_path": "a/b.md", "pages": 3}, 4, 13, "doc-1")
    found = one(node)
    assert (found.id, found.text, found.source, found.offsets, found.score) == (
        "n1",
        "some text",
        "a/b.md",
        (4, 13),
        0.0,
    )
    assert found.metadata["pages"] == 3
    assert one(Scored(node, 0.75)) == found.model_copy(update={"score": 0.75})
    assert one(Scored(node, None)) == found
    assert one(LlamaNode("n2", "text", ref_doc_id="doc-2")).source == "doc-2"


def test_of_langchain_as_a_loader_gives_them() -> None:
    documents = pytest.importorskip("langchain_core.documents", reason="the extra 'langchain' is not installed")
    loaders = pytest.importorskip("langchain_core.document_loaders")

    class Lines(loaders.BaseLoader):  # type: ignore[name-defined, misc]
        def lazy_load(self) -> Iterator[Any]:
            for number in range(3):
                yield documents.Document(
                    f"line {number}", metadata={"source": "a.txt", "line": number, "start_index": 0}
                )

    found = list(documents_from(Lines().lazy_load()))
    assert [(one.text, one.source, one.line) for one in found] == [(f"line {n}", "a.txt", n) for n in range(3)]
    assert len({one.id for one in found}) == 3
    assert one(documents.Document("x", id="mine")).id == "mine"


@pytest.mark.parametrize("thing", ["a text", None, 7, {"text": "x"}, SimpleNamespace(metadata={}, node_id="x")])
def test_what_is_no_document_is_named(thing: Any) -> None:
    documents = documents_from([Document(id="a", text="x"), thing])
    assert next(documents).id == "a"
    with pytest.raises(InputError, match=f"number 2 is an? {type(thing).__name__}"):
        next(documents)


def test_a_long_document_is_cut_and_knows_where_it_is_from() -> None:
    text = "\n\n".join(f"# Part {n}\n\n" + f"Sentence {n} of many words. " * 40 for n in range(4))
    whole = Document(
        id="d", text=text, title="T", source="a.md", offsets=(100, 100 + len(text)), line=7, metadata={"k": 1}
    )
    parts = cut(whole, Chunks("heading", 200))
    assert [part.id for part in parts][:2] == ["d#1", "d#2"]
    for part in parts:
        assert part.offsets is not None
        assert part.line is not None
        assert text[part.offsets[0] - 100 : part.offsets[1] - 100] == part.text
        assert part.line == 7 + text.count("\n", 0, part.offsets[0] - 100)
        assert (part.source, part.metadata["k"]) == ("a.md", 1)
    assert parts[-1].title == "T > Part 3"
    assert {part.line for part in cut(whole.model_copy(update={"line": None}), Chunks("heading", 200))} == {None}
    short = Document(id="s", text="Short.", offsets=(5, 11))
    assert cut(short) == [short]
    assert cut(Document(id="e", text=" \n")) == []
