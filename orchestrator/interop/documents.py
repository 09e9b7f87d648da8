"""Documents of LangChain, Haystack and LlamaIndex as ours; none of their packages is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ragweave.orchestrator.errors import InputError, a
from ragweave.orchestrator.interop.values import document_of, plain
from ragweave.orchestrator.values import Document

_SOURCES = ("source", "file_path", "url", "file_name")
"""What loaders call the place that a text is from; the first that there is."""


def documents_from(objects: Iterable[Any]) -> Iterator[Document]:
    """Documents of LangChain, Haystack and LlamaIndex (also nodes, with or without scores) as ours, one by one.

    Ids, metadata, scores and offsets are kept; a title, and where the text is from, move out of the metadata into
    fields of their own. What a loader gives can be passed on as it comes: `documents_from(loader.lazy_load())`. Raises
    InputError for an object that is none of them, and for a document without text.
    """
    for number, thing in enumerate(objects, start=1):
        reader = _reader(thing)
        if reader is None:
            raise InputError(
                f"number {number} is {a(type(thing).__name__)}, and no document",
                hint="give documents of LangChain, Haystack or LlamaIndex, or Document(id=…, text=…) of ragweave",
            )
        yield reader(thing)


def _reader(thing: Any) -> Callable[[Any], Document] | None:
    if isinstance(thing, Document):
        return _same
    has = {name for name in ("page_content", "content", "meta", "metadata", "node", "node_id") if hasattr(thing, name)}
    if {"page_content", "metadata"} <= has:
        return document_of
    if {"content", "meta"} <= has:
        return _of_haystack
    if {"node_id", "metadata"} <= has and hasattr(thing, "get_content"):
        return _of_scored if "node" in has else _of_llama_index
    return None


def _same(document: Document) -> Document:
    return document


def _of_haystack(document: Any) -> Document:
    begin = document.meta.get("split_idx_start")
    return _made(document.id, document.content, document.meta, begin=begin, score=document.score)


def _of_llama_index(node: Any, score: float | None = None) -> Document:
    begin, end = getattr(node, "start_char_idx", None), getattr(node, "end_char_idx", None)
    text = getattr(node, "text", None)  # what get_content gives has the metadata in it, for a model to read
    found = _made(node.node_id, text, node.metadata, begin=begin, end=end, score=score)
    return found if found.source else found.model_copy(update={"source": getattr(node, "ref_doc_id", None) or ""})


def _of_scored(scored: Any) -> Document:
    return _of_llama_index(scored.node, scored.score)


def _made(
    key: str,
    text: Any,
    metadata: Mapping[str, Any],
    *,
    begin: Any = None,
    end: Any = None,
    score: float | None = None,
) -> Document:
    if not isinstance(text, str):
        raise InputError(f"the document {key!r} has no text", hint="leave out images and other bytes")
    known = {str(name): plain(value) for name, value in metadata.items()}
    title = str(known.pop("title", None) or "")
    source = next((str(known[name]) for name in _SOURCES if known.get(name)), "")
    known.pop("source", None)
    offsets = None
    if isinstance(begin, int):
        offsets = (begin, end if isinstance(end, int) else begin + len(text))
    return Document(
        id=key, text=text, title=title, source=source, offsets=offsets, metadata=known, score=float(score or 0.0)
    )
