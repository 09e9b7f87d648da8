"""One index over many passages: build it, or open and ask it, in a process of its own.

    python scaling.py build|serve ENGINE CORPUS FOLDER

Prints one line of JSON. CORPUS is what `scale.py` made; FOLDER is the engine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
os.environ["ANONYMIZED_TELEMETRY"] = "False"

import numpy as np

TOP = 10
#: A query to the numbers of passages, best first.
Search = Callable[[Any], Sequence[int]]


class Corpus(NamedTuple):
    """What `scale.py` made; nothing of it is read before it is asked for."""

    folder: Path

    @property
    def vectors(self) -> np.ndarray:
        """One for each passage."""
        return np.asarray(np.load(self.folder / "vectors.npy"))

    @property
    def texts(self) -> list[str]:
        """One for each passage."""
        found: list[str] = json.loads((self.folder / "texts.json").read_text(encoding="utf-8"))
        return found

    def questions(self, kind: str) -> Sequence[Any]:
        """Vectors or texts, or for a hybrid both."""
        vectors = np.load(self.folder / "question_vectors.npy")
        texts: list[str] = json.loads((self.folder / "questions.json").read_text(encoding="utf-8"))
        return {"vectors": vectors, "words": texts, "hybrid": list(zip(texts, vectors, strict=True))}[kind]


class Engine(NamedTuple):
    """How an index is built in a folder, how it is opened there, and what it is asked."""

    title: str
    kind: str
    build: Callable[[Corpus, Path], None]
    open: Callable[[Path], Search]


def _faiss(recipe: str, **settings: float) -> tuple[Callable[[Corpus, Path], None], Callable[[Path], Search]]:
    """An index of FAISS by the recipe of its factory; `settings` are for searching."""

    def build(corpus: Corpus, folder: Path) -> None:
        import faiss

        vectors = corpus.vectors
        index = faiss.index_factory(vectors.shape[1], recipe, faiss.METRIC_INNER_PRODUCT)
        if recipe.startswith("HNSW"):
            index.hnsw.efConstruction = 100
        index.train(vectors)
        index.add(vectors)
        faiss.write_index(index, str(folder / "index"))

    def opened(folder: Path) -> Search:
        import faiss

        index = faiss.read_index(str(folder / "index"))
        for name, value in settings.items():
            faiss.ParameterSpace().set_index_parameter(index, name, value)
        return lambda vector: index.search(vector[None], TOP)[1][0]

    return build, opened


def _chroma_build(corpus: Corpus, folder: Path) -> None:
    import chromadb

    client = chromadb.PersistentClient(str(folder))
    collection = client.create_collection("passages", metadata={"hnsw:space": "cosine"})
    vectors, batch = corpus.vectors, client.get_max_batch_size()
    for start in range(0, len(vectors), batch):
        part = vectors[start : start + batch]
        collection.add(ids=[str(start + row) for row in range(len(part))], embeddings=part)


def _chroma_open(folder: Path) -> Search:
    import chromadb

    collection = chromadb.PersistentClient(str(folder)).get_collection("passages")

    def search(vector: np.ndarray) -> list[int]:
        found = collection.query(query_embeddings=vector[None], n_results=TOP, include=[])
        return [int(key) for key in found["ids"][0]]

    return search


def _tantivy_build(corpus: Corpus, folder: Path) -> None:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=True)
    builder.add_text_field("text", tokenizer_name="en_stem")
    index = tantivy.Index(builder.build(), path=str(folder))
    with index.writer(num_threads=1) as writer:
        for row, text in enumerate(corpus.texts):
            document: Any = tantivy.Document(row=row, text=text)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()


def _tantivy_open(folder: Path) -> Search:
    import tantivy

    index = tantivy.Index.open(str(folder))
    searcher = index.searcher()

    def search(question: str) -> list[int]:
        query, _ = index.parse_query_lenient(question, ["text"])
        return [searcher.doc(place)["row"][0] for _, place in searcher.search(query, TOP).hits]

    return search


def _bm25s_build(corpus: Corpus, folder: Path) -> None:
    import bm25s
    import Stemmer

    retriever = bm25s.BM25()
    tokens = bm25s.tokenize(corpus.texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)
    retriever.index(tokens, show_progress=False)
    retriever.save(str(folder))


def _bm25s_open(folder: Path) -> Search:
    import bm25s
    import Stemmer

    retriever = bm25s.BM25.load(str(folder), mmap=True)
    stemmer = Stemmer.Stemmer("english")

    def search(question: str) -> list[int]:
        words = bm25s.tokenize([question], stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
        return [int(row) for row in retriever.retrieve(words, k=TOP, show_progress=False)[0][0]]

    return search


def _hybrid(folder: Path, known: dict[str, np.ndarray]) -> Any:
    """ragweave's default index, with an embedder that looks vectors up."""
    from ragweave.orchestrator.contracts import Embedder
    from ragweave.orchestrator.naming import ResourceSpec
    from ragweave.orchestrator.resources import Resources

    class Known(Embedder, type="known"):
        @property
        def identity(self) -> str:
            return "known"

        @property
        def dimension(self) -> int:
            return 384

        def embed(self, texts: Sequence[str]) -> np.ndarray:
            return np.array([known[text] for text in texts], dtype=np.float32)

    Known.model_rebuild()
    settings = {"index": str(folder / "index"), "embedder": "known"}
    specs = [
        ResourceSpec("embedders", "known", "known", {"cache": False}),
        ResourceSpec("retrievers", "docs", "hybrid", settings),
    ]
    return Resources(specs).get("retrievers", "docs")


def _ragweave_build(corpus: Corpus, folder: Path) -> None:
    from ragweave import Document

    texts = corpus.texts
    index = _hybrid(folder, dict(zip(texts, corpus.vectors, strict=True)))
    documents = [Document(id=str(row), text=text, source=str(row)) for row, text in enumerate(texts)]
    asyncio.run(index.add(documents))


def _ragweave_vectors(folder: Path) -> Search:
    from ragweave.retrievers.indexes.stored import StoredIndex

    stored = StoredIndex(folder / "index")

    def search(vector: np.ndarray) -> list[int]:
        rows, scores, _ = stored.nearest(vector, None, TOP)
        best = rows[np.argsort(-scores, kind="stable")[:TOP]]
        return [int(stored.passage(int(row)).id) for row in best]

    return search


def _ragweave_words(folder: Path) -> Search:
    from ragweave.retrievers.indexes.stored import StoredIndex

    stored = StoredIndex(folder / "index")

    def search(question: str) -> list[int]:
        rows, _ = stored.words.search(question, TOP)
        return [int(stored.passage(row).id) for row in rows]

    return search


def _ragweave_hybrid(folder: Path) -> Search:
    known: dict[str, np.ndarray] = {}
    index = _hybrid(folder, known)
    loop = asyncio.new_event_loop()

    def search(question: tuple[str, np.ndarray]) -> list[int]:
        text, known[text] = question
        return [int(found.id) for found in loop.run_until_complete(index.search(text, TOP))]

    return search


ENGINES = {
    "ragweave": Engine("ragweave", "vectors", _ragweave_build, _ragweave_vectors),
    "faiss_flat": Engine("FAISS flat", "vectors", *_faiss("Flat")),
    "faiss_ivf": Engine("FAISS IVF 1,264, 32 probed", "vectors", *_faiss("IVF1264,Flat", nprobe=32)),
    "faiss_hnsw": Engine("FAISS HNSW 32, ef 64", "vectors", *_faiss("HNSW32,Flat", efSearch=64)),
    "chroma": Engine("Chroma", "vectors", _chroma_build, _chroma_open),
    "ragweave_words": Engine("ragweave", "words", _ragweave_build, _ragweave_words),
    "tantivy": Engine("tantivy", "words", _tantivy_build, _tantivy_open),
    "bm25s": Engine("bm25s", "words", _bm25s_build, _bm25s_open),
    "ragweave_hybrid": Engine("ragweave, both, all that it does", "hybrid", _ragweave_build, _ragweave_hybrid),
}


def _resident() -> float:
    """MB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def serve(engine: Engine, corpus: Corpus, folder: Path) -> dict[str, Any]:
    """Open an index and ask it every question twice."""
    questions = corpus.questions(engine.kind)
    before = _resident()
    start = time.perf_counter()
    search = engine.open(folder)
    search(questions[0])
    first = time.perf_counter() - start
    found = [[int(row) for row in search(question)] for question in questions]
    walls = []
    cpu = time.process_time()
    for question in questions:
        start = time.perf_counter()
        search(question)
        walls.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    walls.sort()
    report = {
        "p50_ms": statistics.median(walls) * 1000,
        "p99_ms": walls[int(len(walls) * 0.99)] * 1000,
        "cpu_ms": cpu / len(walls) * 1000,
        "first_s": first,
        "rss_mb": _resident() - before,
    }
    if engine.kind == "vectors":
        exact = np.load(corpus.folder / "exact.npy")
        hits = sum(len(set(rows) & set(right.tolist())) for rows, right in zip(found, exact, strict=True))
        report["recall"] = hits / exact.size
    return report


def main() -> None:
    """Do what the arguments name."""
    task, name = sys.argv[1:3]
    corpus, folder = Corpus(Path(sys.argv[3])), Path(sys.argv[4])
    engine = ENGINES[name]
    if task == "build":
        cpu = time.process_time()
        engine.build(corpus, folder)
        report = {"build_cpu_s": time.process_time() - cpu}
    else:
        report = serve(engine, corpus, folder)
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
