"""Search by words: BM25 over stems, with titles, in a tantivy index on disk."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import tantivy

from ragweave.orchestrator.errors import IndexUnusable

_ANALYZER = "words"
_HEAP = 128_000_000

# Snowball's English list without negations, and with what its contractions leave behind.
_STOPPED = (
    "a about above after again all am an and any are aren as at be because been before being below between both "
    "but by can could couldn d did didn do does doesn doing don down during each few for from further had hadn has "
    "hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself just ll "
    "m me more most mustn my myself of off on once only or other our ours ourselves out over own re s same shan "
    "she should shouldn so some such t than that the their theirs them themselves then there these they this those "
    "through to too under until up us ve very was wasn we were weren what when where which while who whom why will "
    "with won would wouldn y you your yours yourself yourselves"
)
STOP_WORDS = _STOPPED.split()


@cache
def _analyzer() -> Any:
    filters = tantivy.Filter
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(filters.remove_long(64))
        .filter(filters.lowercase())
        .filter(filters.ascii_fold())
        .filter(filters.custom_stopword(STOP_WORDS))
        .filter(filters.stemmer("english"))
        .build()
    )


def stems(text: str) -> list[str]:
    """The words of a text as they are indexed: lower case, without accents and stop words, stemmed; in order."""
    return _analyzer().analyze(_clean(text))  # type: ignore[no-any-return]


def write(folder: Path, passages: Iterable[tuple[str, str]]) -> None:
    """Index passages, given as (title, all their text), into an empty folder; a passage's row is its place."""
    schema = (
        tantivy.SchemaBuilder()
        .add_text_field("title", tokenizer_name=_ANALYZER, index_option="freq")
        .add_text_field("text", tokenizer_name=_ANALYZER, index_option="freq")
        .add_integer_field("row", fast=True)
        .build()
    )
    index = tantivy.Index(schema, path=str(folder))
    index.register_tokenizer(_ANALYZER, _analyzer())
    writer = index.writer(heap_size=_HEAP, num_threads=1)
    for row, (title, text) in enumerate(passages):
        writer.add_document(tantivy.Document(title=_clean(title), text=_clean(f"{title}\n{text}"), row=row))
    writer.commit()
    writer.wait_merging_threads()


class Words:
    """A word index that is open for search; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Open what `write` wrote. Raises IndexUnusable if it cannot be read."""
        self._folder = folder
        try:
            if not os.access(folder, os.W_OK):
                folder = self._linked(folder)
            self._index = tantivy.Index.open(str(folder))
            self._index.register_tokenizer(_ANALYZER, _analyzer())
            self._searcher = self._index.searcher()
        except BaseException as error:
            raise _unusable(self._folder, error) from None

    def _linked(self, folder: Path) -> Path:
        """A folder of links to the files of one that is read-only: tantivy locks a file beside those that it opens."""
        target = Path(tempfile.mkdtemp(prefix="ragweave-words-"))
        weakref.finalize(self, shutil.rmtree, target, ignore_errors=True)
        for path in folder.iterdir():
            if not path.name.endswith(".lock"):
                (target / path.name).symlink_to(path.resolve())
        return target

    def __len__(self) -> int:
        return self._searcher.num_docs

    def rarity(self, stem: str) -> float:
        """The inverse document frequency of a stem, as BM25 has it."""
        count = len(self)
        holding = self._searcher.doc_freq("text", stem)
        return math.log1p((count - holding + 0.5) / (holding + 0.5))

    def search(self, query: str, limit: int, title_boost: float = 0.0) -> tuple[list[int], list[float]]:
        """The rows of the best passages and their BM25 scores, best first; none if no word of the query is indexed."""
        terms = list(dict.fromkeys(stems(query)))
        if not terms or limit < 1:
            return [], []
        clauses = [self._term("text", term) for term in terms]
        if title_boost > 0:
            clauses += [tantivy.Query.boost_query(self._term("title", term), title_boost) for term in terms]
        anyone = tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])
        try:
            hits = self._searcher.search(anyone, limit, count=False).hits
            rows = self._searcher.fast_field_values("row", [address for _, address in hits])
        except BaseException as error:
            raise _unusable(self._folder, error) from None
        return [int(row or 0) for row in rows], [score for score, _ in hits]

    def _term(self, field: str, term: str) -> tantivy.Query:
        return tantivy.Query.term_query(self._index.schema, field, term, index_option="freq")


def _unusable(folder: Path, error: BaseException) -> BaseException:
    """What to raise instead: a Rust panic is a BaseException of no module of Python's."""
    if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
        return error
    return IndexUnusable(f"the word index {str(folder)!r} cannot be read: {error}", hint="build the index again")


def _clean(text: str) -> str:
    """Without lone surrogates, which are no UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
