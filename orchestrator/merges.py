"""Merges: what a key is when several parallel nodes wrote it. Each takes the values in the order of the edges."""

from __future__ import annotations

from typing import Any

RRF_K = 60


def extend(values: list[list[Any]]) -> list[Any]:
    """All items of all lists, one list after the other."""
    return [item for value in values for item in value]


def union(values: list[list[Any]]) -> list[Any]:
    """All items of all lists, each once (documents by id), where it stood first."""
    seen: set[Any] = set()
    items = []
    for item in extend(values):
        key = _key(item)
        if key not in seen:
            seen.add(key)
            items.append(item)
    return items


def rrf(values: list[list[Any]]) -> list[Any]:
    """Ranked lists as one ranking, by reciprocal rank fusion with k = 60 (Cormack, Clarke, Büttcher 2009).

    An item's score is the sum of 1 / (60 + rank) over the lists that hold it; ties keep the order of the lists.
    Documents get that score. A list that no other has anything to add to comes back as it is, with its own scores.
    """
    ranked_lists = [value for value in values if value]
    if len(ranked_lists) == 1:
        return list(ranked_lists[0])
    scores: dict[Any, float] = {}
    items: dict[Any, Any] = {}
    for value in ranked_lists:
        for rank, item in enumerate(value, start=1):
            key = _key(item)
            scores[key] = scores.get(key, 0.0) + 1.0 / (RRF_K + rank)
            items.setdefault(key, item)
    ranked = sorted(items, key=lambda key: -scores[key])
    return [_scored(items[key], scores[key]) for key in ranked]


def best(values: list[list[Any]]) -> list[Any]:
    """Ranked lists as one ranking, each item with the best score that a list gives it; ties keep their order.

    For lists whose scores are comparable: those of one retriever for several queries. Others are fused by `rrf`.
    """
    highest: dict[Any, Any] = {}
    for item in extend(values):
        key = _key(item)
        if key not in highest or _score(item) > _score(highest[key]):
            highest[key] = item
    return sorted(highest.values(), key=lambda item: -_score(item))


def first(values: list[Any]) -> Any:
    """The value whose edge is declared first."""
    return values[0]


def last(values: list[Any]) -> Any:
    """The value whose edge is declared last."""
    return values[-1]


def total(values: list[Any]) -> Any:
    """The sum of numbers; lists and texts are not summed (see `extend`)."""
    return sum(values)


def smallest(values: list[Any]) -> Any:
    """The least value."""
    return min(values)


def largest(values: list[Any]) -> Any:
    """The greatest value."""
    return max(values)


def _key(item: Any) -> Any:
    """What makes two items the same: a document's id, else the value itself (or its text, if it cannot be hashed)."""
    identity = getattr(item, "id", None)
    if isinstance(identity, str):
        return identity
    try:
        hash(item)
    except TypeError:
        return repr(item)
    return item


def _score(item: Any) -> float:
    score = getattr(item, "score", 0.0)
    return float(score)


def _scored(item: Any, score: float) -> Any:
    return item.model_copy(update={"score": score}) if hasattr(item, "model_copy") and hasattr(item, "score") else item
