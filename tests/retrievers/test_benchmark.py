"""The benchmark of retrieval: what a ranking is worth, what an interval says, and where articles are cut."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrievers.folders import ROOT

_FOLDER = str(ROOT / "benchmarks" / "retrieval")


def _load(name: str) -> ModuleType:
    sys.path.insert(0, _FOLDER)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(_FOLDER)


@pytest.fixture(scope="module")
def scoring() -> Iterator[ModuleType]:
    known = set(sys.modules)
    yield _load("scoring")
    for name in ("scoring", "sets", "pipelines", "pipelines.protocol"):  # names that others may have too
        if name not in known:
            sys.modules.pop(name, None)


def test_a_ranking_is_worth_what_it_finds_and_how_early(scoring: ModuleType) -> None:
    found = scoring.score(["x", "a", "y", "z", "v", "b"], ["a", "b"])

    assert found["recall@5"] == 0.5
    assert found["recall@10"] == 1.0
    assert found["all@10"] == 1.0
    assert found["nDCG@10"] == pytest.approx((1 / np.log2(3) + 1 / np.log2(7)) / (1 + 1 / np.log2(3)))


def test_a_passage_that_is_found_twice_counts_once_and_takes_one_place(scoring: ModuleType) -> None:
    assert scoring.score(["a", "a", "a", "a", "a", "b"], ["a", "b"])["recall@5"] == 1.0


def test_nothing_found_is_worth_nothing(scoring: ModuleType) -> None:
    assert set(scoring.score([], ["a"]).values()) == {0.0}


def test_an_interval_tells_a_difference_from_chance(scoring: ModuleType) -> None:
    rng = np.random.default_rng(1)
    theirs = rng.random(200)
    better, same = theirs + 0.1 + rng.normal(0, 0.1, 200), theirs + rng.normal(0, 0.1, 200)

    mean, low, high = scoring.interval(better, theirs)
    assert 0.07 < low < mean < high < 0.13
    _, low, high = scoring.interval(same, theirs)
    assert low < 0 < high


@given(text=st.text(alphabet="ab. \n", max_size=4000))
def test_articles_are_cut_into_passages_that_leave_nothing_out(text: str) -> None:
    sets = _load("sets")
    spans = sets.cut(text)

    assert all(0 < end - start <= sets.CUT for start, end in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    inside = "".join(text[start:end] for start, end in spans)
    assert "".join(inside.split()) == "".join(text.split())
