"""Vectors: those found by lists are nearly those that a look at each of them finds, and filters never take any away."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.retrievers.indexes import vectors
from ragweave.retrievers.indexes.arrays import Array
from ragweave.retrievers.indexes.vectors import Exact, Vectors

SIZE, WIDTH = 6_000, 32


def unit(matrix: Array) -> Array:
    return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Lists from a few thousand vectors on: a large index is no other, it only takes longer."""
    before, vectors.EXACT = vectors.EXACT, 4_000
    yield
    vectors.EXACT = before


@pytest.fixture(scope="module")
def counts() -> Array:
    return np.random.default_rng(3).integers(0, 4, SIZE // 2)


@pytest.fixture(scope="module")
def flat(counts: Array) -> Vectors:
    """Vectors in some hundred groups, several of a passage, without lists."""
    chance = np.random.default_rng(1)
    total = int(counts.sum())
    groups = unit(chance.normal(size=(300, WIDTH)))
    noise = chance.normal(size=(total, WIDTH)) * 0.7 / np.sqrt(WIDTH)
    return Vectors.of(unit(groups[chance.integers(0, 300, total)] + noise), counts)


@pytest.fixture(scope="module")
def listed(flat: Vectors) -> Vectors:
    return flat.listed()


def queries(flat: Vectors, count: int = 50) -> Array:
    chance = np.random.default_rng(2)
    near = flat.matrix[chance.integers(0, len(flat.matrix), count)]
    return unit(near + chance.normal(size=near.shape) * 0.5 / np.sqrt(WIDTH))


def test_lists_change_no_cosine(flat: Vectors, listed: Vectors) -> None:
    assert flat.how == "exact"
    assert listed.how.startswith(f"ivf {len(listed.centroids):,}, ")
    query = queries(flat)[0]
    rows = np.asarray([0, 1, 5, 17, SIZE // 2 - 1])
    np.testing.assert_allclose(listed.cosines(query), flat.cosines(query), atol=1e-6)
    np.testing.assert_allclose(listed.cosines(query, rows), flat.cosines(query)[rows], atol=1e-6)
    for row in rows:
        here = np.asarray([row])
        np.testing.assert_array_equal(listed.matrix[listed.places_of(here)], flat.matrix[flat.places_of(here)])


def test_most_of_the_nearest_are_found(flat: Vectors, listed: Vectors) -> None:
    found = 0
    for query in queries(flat):
        best = set(np.argsort(-flat.cosines(query))[:10].tolist())
        rows, cosines, _ = listed.nearest(query, None, 10)
        assert (np.diff(rows) > 0).all()
        assert (cosines <= flat.cosines(query)[rows] + 1e-6).all()  # another vector of a passage may be nearer
        found += len(best & set(rows[np.argsort(-cosines)[:10]].tolist()))
    assert found / 500 > 0.95


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.1, 0.5, 1.0])
def test_a_filter_leaves_as_many_as_are_wanted(flat: Vectors, listed: Vectors, share: float) -> None:
    mask = np.random.default_rng(5).random(SIZE // 2) < share
    with_vectors = mask & (np.diff(flat.starts) > 0)
    found = wanted = 0
    for query in queries(flat, 10):
        rows, cosines, _ = listed.nearest(query, mask, 100)
        assert mask[rows].all()
        assert len(rows) >= min(100, with_vectors.sum())
        best = np.flatnonzero(mask)[np.argsort(-flat.cosines(query)[mask])[:10]]
        found += len(set(best.tolist()) & set(rows[np.argsort(-cosines)[:10]].tolist()))
        wanted += len(best)
    assert found >= 0.95 * wanted


def test_lists_are_used_on_while_little_changes(flat: Vectors, listed: Vectors, counts: Array) -> None:
    chance = np.random.default_rng(7)
    more = Vectors.of(unit(chance.normal(size=(500, WIDTH))), np.ones(500, dtype=np.int64))
    kept = np.flatnonzero(chance.random(SIZE // 2) < 0.9)
    merged = Vectors.merged([(listed, kept), (more, np.arange(500))])
    assert merged.centroids is listed.centroids
    plain = Vectors.merged([(flat, kept), (more, np.arange(500))])
    query = queries(flat)[1]
    np.testing.assert_allclose(merged.cosines(query), plain.cosines(query), atol=1e-6)
    many = Vectors.of(unit(chance.normal(size=(SIZE, WIDTH))), np.ones(SIZE, dtype=np.int64))
    assert len(Vectors.merged([(listed, kept), (many, np.arange(SIZE))]).centroids) > len(listed.centroids)
    assert Vectors.merged([(listed, kept[:1_000])]).how == "exact"


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_vectors_of_what_is_left_stay_with_their_passages(counts: list[int], data: st.DataObject) -> None:
    total = sum(counts)
    made = Vectors.of(np.arange(total * 2, dtype=np.float32).reshape(total, 2), counts)
    rows = np.asarray([row for row in range(len(counts)) if data.draw(st.booleans())], dtype=np.int64)
    left = Vectors.merged([(made, rows), (made, rows)])
    query = np.asarray([1.0, 0.5], dtype=np.float32)
    np.testing.assert_array_equal(left.cosines(query), np.tile(made.cosines(query)[rows], 2))
    np.testing.assert_array_equal(left.cosines(query, np.arange(len(rows))), made.cosines(query, rows))
    best = [
        max((made.matrix[place] @ query for place in range(sum(counts[:row]), sum(counts[: row + 1]))), default=-1.0)
        for row in range(len(counts))
    ]
    np.testing.assert_array_equal(made.cosines(query), np.asarray(best, dtype=np.float32))


@pytest.mark.parametrize("counts", [[1, 1, 1], [1, 3, 2], [0, 2, 1, 0], [0], [2, 0, 0, 1]])
def test_what_is_worked_out_once_gives_the_same_cosines(counts: list[int]) -> None:
    matrix = unit(np.random.default_rng(5).normal(size=(sum(counts), WIDTH)))
    made = Vectors.of(matrix, counts)
    query = unit(np.ones((1, WIDTH)))[0]
    assert Exact(made).cosines(query).tolist() == made.cosines(query).tolist()
