"""What a pipeline module offers, and what all are given. Read by the interpreters of all peers: numpy at most.

A module has:

    PACKAGES   distributions whose versions are recorded
    IMPORT     the import statements of a user who builds this pipeline with real embeddings
    FUSIONS    its ways to fuse, the one it has by default first, as names of systems
    given(vectors)                an embeddings object of the framework that looks texts up
    looked_up(vectors)            the same for questions alone, where passages are always embedded; optional
    real(model)                   the framework's own wrapper of sentence-transformers
    build(passages, embeddings, folder)
                                  what is searched, with all that can be kept on disk in `folder`
    reopen(passages, embeddings, folder)
                                  the same from what `build` left there
    search(built, fusion, depth)  a function from a question to passage ids, best first; `depth`: how many each of the
                                  two retrievers is asked for
    words(passages, depth)        only its BM25, in the same way; optional
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

Search = Callable[[str], list[str]]


class Passage(NamedTuple):
    """What is searched; `text` goes without the title."""

    id: str
    title: str
    text: str

    @property
    def full(self) -> str:
        """What is indexed and embedded: the title on a line of its own, if there is one, and the text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


Passages = Sequence[Passage]


class Vectors:
    """Vectors that were computed before, by text."""

    def __init__(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self._rows = {text: vector.tolist() for text, vector in zip(texts, vectors, strict=True)}

    def __getitem__(self, text: str) -> list[float]:
        return self._rows[text]

    def items(self) -> Iterable[tuple[str, list[float]]]:
        """All texts and their vectors."""
        return self._rows.items()


class Work(NamedTuple):
    """What a worker reads: the passages and questions of a set, and their vectors."""

    passages: list[Passage]
    questions: list[tuple[str, str]]
    matrix: np.ndarray
    query_matrix: np.ndarray

    @property
    def vectors(self) -> Vectors:
        """All vectors, by text."""
        texts = [passage.full for passage in self.passages] + [text for _, text in self.questions]
        return Vectors(texts, np.concatenate([self.matrix, self.query_matrix]))


def read(path: Path) -> Work:
    """What `write` wrote."""
    with np.load(path) as kept:
        passages = [Passage(*row) for row in zip(*(kept[key].tolist() for key in Passage._fields), strict=True)]
        questions = list(zip(kept["query_ids"].tolist(), kept["query_texts"].tolist(), strict=True))
        return Work(passages, questions, kept["vectors"], kept["query_vectors"])


def write(path: Path, work: Work) -> None:
    """A file for the workers of all pipelines."""
    np.savez(
        path,
        **{key: np.array([getattr(passage, key) for passage in work.passages]) for key in Passage._fields},
        query_ids=np.array([key for key, _ in work.questions]),
        query_texts=np.array([text for _, text in work.questions]),
        vectors=work.matrix,
        query_vectors=work.query_matrix,
    )
