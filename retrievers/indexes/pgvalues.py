"""What is bound to the statements of an index in PostgreSQL: filters, keys, vectors, and what BM25 makes of words."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.filters import Demand, Filter
from ragweave.orchestrator.values import Document
from ragweave.retrievers import chunking
from ragweave.retrievers.indexes.bm25 import K1, TITLE_BOOST, B
from ragweave.retrievers.indexes.passagerows import asked, safe

if TYPE_CHECKING:
    import numpy as np

_MOST_STEMS = 16_000
"""Stems of one passage at most, which is what a sparse vector holds."""
_LONGEST_KEY = 500
STEMS = 10**9
"""Dimensions of a sparse vector: a stem's place is its hash."""


def filter_as_sql(where: Filter, first: int) -> tuple[str, list[Any]]:
    """A filter as ` AND …`, whose placeholders begin with `$first`, and the values for them."""
    said = ""
    values: list[Any] = []
    for condition in where:
        text, given = _condition(condition, first + len(values))
        said += f" AND {text}"
        values += given
    return said, values


def _condition(condition: Demand, first: int) -> tuple[str, list[Any]]:
    name, value = asked(condition)
    if condition.operator in ("==", "contains"):
        wanted = {name: [value] if condition.operator == "contains" else value}
        return f"p.facts @> ${first}::text::jsonb", [json.dumps(wanted, ensure_ascii=False)]
    fact = f"(p.facts ->> ${first}::text)"
    if condition.operator == "in":
        kind = "text" if condition.kind == "str" else "float8"
        return f"{fact}::{kind} = ANY(${first + 1}::{kind}[])", [name, list(value)]
    return f"{fact}::float8 {condition.operator} ${first + 1}::float8", [name, float(value)]


def key_of(text: str) -> str:
    """A text that the index of a table can hold; different texts stay different."""
    kept = safe(text)
    return kept if len(kept) <= _LONGEST_KEY else f"\ufffe{hashlib.sha256(kept.encode()).hexdigest()}"


def stems_of(document: Document) -> tuple[Counter[str], Counter[str]]:
    """The stems of all that a passage says, and of its title, with how often they stand there."""
    from ragweave.retrievers.indexes.words import stems

    text = f"{document.title}\n{document.text}\n{chunking.labels(document)}"
    return Counter(stems(text)), Counter(stems(document.title))


def words_of(document: Document, average: float) -> tuple[str, str]:
    """The stems of a passage, and what BM25 makes of each of them beside its rarity, as a sparse vector."""
    whole, title = stems_of(document)
    length = K1 * (1 - B + B * sum(whole.values()) / max(average, 1.0))
    weights = {stem: count * (K1 + 1) / (count + length) for stem, count in whole.items()}
    for stem, count in title.items():
        weights[stem] += TITLE_BOOST * count * (K1 + 1) / (count + K1)
    kept = sorted(weights, key=lambda stem: (-weights[stem], stem))[:_MOST_STEMS]
    return " ".join(kept), sparse({stem: weights[stem] for stem in kept})


def average_words(documents: Iterable[Document]) -> float:
    """How many words a passage has."""
    lengths = [sum(stems_of(one)[0].values()) for one in documents]
    return sum(lengths) / len(lengths) if lengths else 1.0


def sparse(weights: Mapping[str, float]) -> str:
    """Weights of stems as a sparse vector."""
    places: dict[int, float] = {}
    for stem, weight in weights.items():
        place = 1 + int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=8).digest(), "big") % STEMS
        places[place] = places.get(place, 0.0) + weight
    inside = ",".join(f"{place}:{places[place]:.6g}" for place in sorted(places))
    return f"{{{inside}}}/{STEMS}"


def literal(vector: np.ndarray) -> str:
    """A vector as pgvector reads it."""
    return str(vector.tolist())
