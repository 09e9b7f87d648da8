"""The records of a Chroma collection: one for each window of a passage, with the passage itself in the first.

The id of a record is the number of the window and the passage's id. Its metadata are the passage's facts, `passage`
(its id), `window`, `file` (true where it came from a file of the folder), and in the first `json`, which is all of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ragweave.orchestrator.filters import Filter, matches
from ragweave.orchestrator.passages import decoded
from ragweave.orchestrator.values import Document
from ragweave.retrievers.indexes.passagerows import Row, asked, facts_of, named_facts, safe

_LONGEST = 500
"""Values of a list that Chroma is asked for; SQLite has a limit."""
_PAGE = 2_000
"""Records that are read at a time."""
_OPERATORS = {"==": "$eq", "in": "$in", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "contains": "$contains"}


def pushed_filter(where: Filter) -> tuple[dict[str, Any] | None, bool]:
    """A filter as Chroma says it, None if nothing can fulfil it; and whether that says all of it."""
    said: list[dict[str, Any]] = []
    exact = True
    for condition in where:
        name, value = asked(condition)
        if condition.operator == "in" and not value:
            return None, True
        if condition.operator == "in" and len(value) > _LONGEST:
            exact = False
        else:
            said.append({name: {_OPERATORS[condition.operator]: value}})
    if len(said) < 2:
        return (said[0] if said else {}), exact
    return {"$and": said}, exact


def nearest(
    collection: Any, vector: Any, where: Mapping[str, Any], wanted: int
) -> tuple[list[Mapping[str, Any] | None], list[float], bool]:
    """The nearest windows: their metadata, their distances, and whether there are no others.

    Chroma goes from neighbour to neighbour, and does not reach all where many are alike. Where it gives fewer than
    there are, all of them are compared.
    """
    asked = {"where": where or None}
    found = collection.query(query_embeddings=[vector], n_results=wanted, include=["metadatas", "distances"], **asked)
    metadatas, distances = list(found["metadatas"][0]), list(found["distances"][0])
    if len(metadatas) >= wanted:
        return metadatas, distances, False
    if len(collection.get(include=[], limit=len(metadatas) + 1, **asked)["ids"]) <= len(metadatas):
        return metadatas, distances, True
    every: list[tuple[float, Mapping[str, Any]]] = []
    start = 0
    while True:
        page = collection.get(include=["embeddings", "metadatas"], limit=_PAGE, offset=start, **asked)
        cosines = page["embeddings"] @ vector
        every += [(1.0 - float(one), metadata) for one, metadata in zip(cosines, page["metadatas"], strict=True)]
        start += _PAGE
        if len(page["ids"]) < _PAGE:
            break
    every.sort(key=lambda one: one[0])
    best = every[:wanted]
    return [metadata for _, metadata in best], [distance for distance, _ in best], len(every) <= wanted


def found_passages(
    collection: Any,
    metadatas: Sequence[Mapping[str, Any] | None],
    distances: Sequence[float],
    top_k: int,
    where: Filter,
) -> list[Document]:
    """The passages of these windows, each once, with the score of its best window."""
    scores: dict[str, float] = {}
    bodies: dict[str, str] = {}
    for metadata, distance in zip(metadatas, distances, strict=True):
        if metadata is None:  # deleted in this moment
            continue
        key = str(metadata["passage"])
        scores.setdefault(key, 1.0 - float(distance))
        if "json" in metadata:
            bodies[key] = metadata["json"]
    best = list(scores)
    for part in _parts([key for key in best if key not in bodies], _LONGEST):
        first = collection.get(ids=[_id(key, 0) for key in part], include=["metadatas"])["metadatas"]
        bodies |= {one["passage"]: one["json"] for one in first}
    found = (decoded(bodies[key], round(scores[key], 6)) for key in best if key in bodies)
    return list(islice((one for one in found if matches(one, where)), top_k))


def put(collection: Any, rows: Sequence[tuple[Row, bool]], names: Sequence[str], batch: int) -> int:
    """Write passages, each with whether it is of a file, in place of those with the same ids; how many are new. A call
    has `batch` records at most."""
    facts = named_facts(names)
    records: dict[str, tuple[Any, dict[str, Any]]] = {}
    keys = []
    for row, is_of_file in rows:
        key = safe(row.document.id)
        keys.append(key)
        # A name that is not there any more has to be taken away by None.
        known = {**dict.fromkeys(names), **facts_of(row.document, facts), "passage": key, "file": is_of_file}
        for number, vector in enumerate(row.vectors):
            body = row.body if number == 0 else None
            records[_id(key, number)] = (vector, {**known, "window": number, "json": body})
    old = _ids_of(collection, keys)
    new = len(set(keys)) - sum(one.startswith("0:") for one in old)
    left = old - records.keys()
    parts = list(_parts(list(records.items()), batch))
    undo = _kept(collection, old) if len(parts) > 1 else []
    try:
        for part in parts:
            collection.upsert(
                ids=[key for key, _ in part],
                embeddings=[vector for _, (vector, _) in part],
                metadatas=[metadata for _, (_, metadata) in part],
            )
    except BaseException:
        if undo or len(parts) > 1:
            with contextlib.suppress(Exception):
                _delete_ids(collection, records.keys())
                for ids, vectors, metadatas in undo:
                    collection.upsert(ids=ids, embeddings=vectors, metadatas=metadatas)
        raise
    _delete_ids(collection, left)
    return new


def _kept(collection: Any, ids: Iterable[str]) -> list[tuple[Any, Any, Any]]:
    """Records as they are."""
    found = (collection.get(ids=part, include=["embeddings", "metadatas"]) for part in _parts(list(ids), _LONGEST))
    return [(one["ids"], one["embeddings"], one["metadatas"]) for one in found if one["ids"]]


def delete(collection: Any, keys: Iterable[str]) -> None:
    """Delete all windows of these passages."""
    _delete_ids(collection, _ids_of(collection, list(keys)))


def _delete_ids(collection: Any, ids: Iterable[str]) -> None:
    for part in _parts(sorted(ids), _LONGEST):
        collection.delete(ids=part)


def _ids_of(collection: Any, keys: Sequence[str]) -> set[str]:
    """The records of these passages."""
    found: set[str] = set()
    for part in _parts(list(dict.fromkeys(keys)), _LONGEST):
        found.update(collection.get(where={"passage": {"$in": part}}, include=[])["ids"])
    return found


def keys_of_files(collection: Any, sources: Sequence[str] | None) -> set[str]:
    """The passages of these files, or of all files."""
    found: set[str] = set()
    if sources is None:
        for part in pages(collection, where={"$and": [{"window": 0}, {"file": True}]}):
            found.update(str(one["passage"]) for _, one in part)
        return found
    for some in _parts([safe(source) for source in sources], _LONGEST):
        where = {"$and": [{"file": True}, {"source:str": {"$in": some}}]}
        for part in pages(collection, where=where):
            found.update(str(one["passage"]) for _, one in part)
    return found


def pages(collection: Any, where: Mapping[str, Any] | None = None) -> Iterator[list[tuple[str, Mapping[str, Any]]]]:
    """All records that fulfil something, with their metadata, some at a time."""
    start = 0
    while True:
        found = collection.get(where=where, include=["metadatas"], limit=_PAGE, offset=start)
        if found["ids"]:
            yield list(zip(found["ids"], found["metadatas"], strict=True))
        if len(found["ids"]) < _PAGE:
            return
        start += _PAGE


def _parts(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _id(key: str, number: int) -> str:
    return f"{number}:{key}"
