"""Vectors for all who ask: together, in their order, and each text once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.embedding import SharedEmbedding
from ragweave.orchestrator.errors import ModelError, NodeError


class Lengths:
    """A model whose vector says how long a text is; a batch waits until the test lets it go."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        if not held:
            self.go.set()

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.batches.append(texts)
        self.threads.append(threading.current_thread())
        assert self.go.wait(60)
        if "bad" in texts:
            raise ModelError("cannot read it")
        return vectors(texts)


def vectors(texts: Sequence[str]) -> np.ndarray:
    return np.array([[len(text), sum(map(ord, text))] for text in texts], dtype=np.float32)


def until(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.001)


def test_a_text_is_computed_once_in_a_call_and_in_those_after_it() -> None:
    model = Lengths()
    shared = SharedEmbedding(model)
    np.testing.assert_array_equal(shared.embed(["one", "three", "one"]), vectors(["one", "three", "one"]))
    np.testing.assert_array_equal(shared.embed(["three", "four"]), vectors(["three", "four"]))
    assert model.batches == [["one", "three"], ["four"]]
    assert (shared.batches, shared.computed) == (2, 3)


def test_a_lone_call_is_computed_in_its_own_thread() -> None:
    model = Lengths()
    SharedEmbedding(model).embed(["one"])
    assert model.threads == [threading.current_thread()]


def test_calls_that_come_while_a_batch_is_computed_share_the_next_and_no_text_is_in_both() -> None:
    model = Lengths(held=True)
    shared = SharedEmbedding(model)
    asked = [["first"], ["first", "second"], ["second", "third"], ["third"]]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(shared.embed, asked[0])]
        until(lambda: len(model.batches) == 1)
        calls += [pool.submit(shared.embed, texts) for texts in asked[1:]]
        until(lambda: len(shared._batcher._waiting) == 5)
        model.go.set()
        for call, texts in zip(calls, asked, strict=True):
            np.testing.assert_array_equal(call.result(5), vectors(texts))
    assert [sorted(batch) for batch in model.batches] == [["first"], ["second", "third"]]


def test_a_call_of_many_texts_lets_others_in_between() -> None:
    model = Lengths(held=True)
    shared = SharedEmbedding(model, max_batch=4)
    many = [f"text {number}" for number in range(12)]
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(shared.embed, many)
        until(lambda: len(model.batches) == 1)
        short = pool.submit(shared.embed, ["question"])
        until(lambda: len(shared._batcher._waiting) == 1)
        model.go.set()
        np.testing.assert_array_equal(short.result(5), vectors(["question"]))
        np.testing.assert_array_equal(long.result(5), vectors(many))
    assert next(place for place, batch in enumerate(model.batches) if "question" in batch) in (1, 2)
    assert shared.computed == 13


def test_batches_are_of_texts_of_about_equal_length_and_not_too_large() -> None:
    model = Lengths()
    shared = SharedEmbedding(model, max_batch=3, size=len, max_size=20)
    texts = ["a" * 18, "b", "c" * 9, "d" * 8, "ee", "f" * 50, "gg"]
    np.testing.assert_array_equal(shared.embed(texts), vectors(texts))
    assert [[len(text) for text in batch] for batch in model.batches] == [[1, 2, 2], [8, 9], [18], [50]]


def test_the_texts_that_were_not_asked_for_the_longest_make_room() -> None:
    model = Lengths()
    shared = SharedEmbedding(model, keep=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        shared.embed([text])
    assert model.batches == [["a"], ["b"], ["c"], ["b"]], "b made room for c, since a was asked for after it"
    assert len(shared._kept) == 2


def test_more_texts_than_are_kept_all_get_their_vectors() -> None:
    shared = SharedEmbedding(Lengths(), keep=3)
    texts = [f"{number:03}" for number in range(40)]
    np.testing.assert_array_equal(shared.embed(texts), vectors(texts))
    assert len(shared._kept) == 3


def test_long_texts_are_told_apart_but_not_kept() -> None:
    shared = SharedEmbedding(Lengths())
    texts = ["x" * 10_000 + end for end in ("a", "b", "\ud800")]
    np.testing.assert_array_equal(shared.embed(texts), vectors(texts))
    assert all(len(key) <= 256 for key in shared._kept)
    shared.embed(texts)
    assert shared.computed == 3


def test_what_a_caller_does_to_its_vectors_is_its_own_affair() -> None:
    shared = SharedEmbedding(Lengths())
    shared.embed(["one"])[:] = 0
    again = shared.embed(["one"])
    again[:] = 0
    np.testing.assert_array_equal(shared.embed(["one"]), vectors(["one"]))


def test_a_failure_is_raised_and_not_kept() -> None:
    model = Lengths()
    shared = SharedEmbedding(model)
    for _ in range(2):
        with pytest.raises(ModelError, match="cannot read it"):
            shared.embed(["bad"])
    assert len(model.batches) == 2
    np.testing.assert_array_equal(shared.embed(["good"]), vectors(["good"]))


def test_too_few_vectors_are_an_error() -> None:
    shared = SharedEmbedding(lambda texts: vectors(texts[1:]), name="the embedder 'mine'")
    with pytest.raises(NodeError, match="the embedder 'mine': 1 vectors for 2 texts"):
        shared.embed(["a", "b"])


async def test_closing_waits_and_forgets_and_it_can_be_used_again() -> None:
    model = Lengths(held=True)
    shared = SharedEmbedding(model)
    call = asyncio.ensure_future(asyncio.to_thread(shared.embed, ["one"]))
    await asyncio.to_thread(until, lambda: len(model.batches) == 1)
    closing = asyncio.ensure_future(shared.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    model.go.set()
    await closing
    np.testing.assert_array_equal(await call, vectors(["one"]))
    shared.embed(["one"])
    assert len(model.batches) == 2


@settings(max_examples=25, deadline=None)
@given(
    calls=st.lists(st.lists(st.text("abc", max_size=4), min_size=1, max_size=8), min_size=1, max_size=12),
    keep=st.integers(0, 5),
    max_batch=st.integers(1, 4),
)
def test_every_call_gets_its_vectors_whoever_else_asks(calls: list[list[str]], keep: int, max_batch: int) -> None:
    busy = threading.Lock()

    def compute(texts: list[str]) -> np.ndarray:
        assert busy.acquire(blocking=False), "one batch at a time"
        try:
            assert len(set(texts)) == len(texts) <= max_batch
            return vectors(texts)
        finally:
            busy.release()

    shared = SharedEmbedding(compute, keep=keep, max_batch=max_batch, size=len, max_size=9)
    with ThreadPoolExecutor(4) as pool:
        for texts, found in zip(calls, pool.map(shared.embed, calls), strict=True):
            np.testing.assert_array_equal(found, vectors(texts))
