"""No framework: exact cosines with numpy, BM25 with bm25s and with tantivy, both stemmed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.protocol import Passages, Search, Vectors

PACKAGES = ("numpy", "bm25s", "tantivy")
FUSIONS = ("dense", "bm25s", "tantivy")


def given(vectors: Vectors) -> Vectors:
    """Vectors that were computed before."""
    return vectors


def build(passages: Passages, embeddings: Vectors, folder: Path) -> tuple[Passages, Vectors]:
    """Nothing yet."""
    return passages, embeddings


def search(built: tuple[Passages, Vectors], fusion: str, depth: int) -> Search:
    """One of the three; `depth` is how many ids a search gives."""
    keys = [passage.id for passage in built[0]]
    texts = [passage.full for passage in built[0]]
    return {"dense": partial(_dense, built[1]), "bm25s": _bm25s, "tantivy": _tantivy}[fusion](keys, texts, depth)


def _dense(vectors: Vectors, keys: list[str], texts: list[str], depth: int) -> Search:
    matrix = np.array([vectors[text] for text in texts], dtype=np.float32)

    def search(question: str) -> list[str]:
        cosines = matrix @ np.array(vectors[question], dtype=np.float32)
        return [keys[row] for row in np.argsort(-cosines)[:depth]]

    return search


def _bm25s(keys: list[str], texts: list[str], depth: int) -> Search:
    """As its documentation has it: English stop words, Snowball stems."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    retriever = bm25s.BM25()
    retriever.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)

    def search(question: str) -> list[str]:
        words = bm25s.tokenize([question], stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
        rows, scores = retriever.retrieve(words, k=min(depth, len(keys)), show_progress=False)
        return [keys[row] for row, score in zip(rows[0], scores[0], strict=True) if score > 0]

    return search


def _tantivy(keys: list[str], texts: list[str], depth: int) -> Search:
    """One field in its English analyzer; a question is its words, any of them."""
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=True)
    builder.add_text_field("text", tokenizer_name="en_stem")
    index = tantivy.Index(builder.build())
    with index.writer(num_threads=1) as writer:
        for row, text in enumerate(texts):
            document: Any = tantivy.Document(row=row, text=text)
            writer.add_document(document)
    index.reload()
    searcher = index.searcher()

    def search(question: str) -> list[str]:
        query, _ = index.parse_query_lenient(question, ["text"])
        return [keys[searcher.doc(place)["row"][0]] for _, place in searcher.search(query, depth).hits]

    return search
