"""What heads say of examples that they have not seen is what a head says that was trained without them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.classifying import heads
from ragweave.orchestrator.classifying.calibration import Calibration, calibrated
from ragweave.orchestrator.classifying.examples import of_file
from ragweave.orchestrator.classifying.heads import HEADS, Linear, Nearest, landmarks_of
from ragweave.orchestrator.classifying.trained import trained
from ragweave.orchestrator.classifying.words import Words
from ragweave.retrievers.embedders import minilm
from tests.retrievers.folders import SHARED, fresh_python, needs_shared


def clouds(count: int, each: int, spread: float = 0.5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1 around `count` directions, and which direction each is of."""
    numbers = np.random.default_rng(seed)
    middles = np.random.default_rng(77).normal(size=(count, 12))
    labels = np.repeat(np.arange(count), each)
    vectors = middles[labels] + spread * numbers.normal(size=(len(labels), 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One width and penalty, so that heads of fewer examples are comparable."""
    monkeypatch.setattr(heads, "WIDTHS", (1.0,))
    monkeypatch.setattr(heads, "PENALTIES", (0.1,) * 5)
    monkeypatch.setattr(heads, "OTHER_SHARES", ())


def words_of(vectors: np.ndarray) -> tuple[list[str], Words]:
    """A text for each row, which shares words with the rows that are near."""
    texts = [" ".join(f"w{place}" for place in np.argsort(-row)[:4]) for row in vectors]
    return texts, Words.of(texts)


@pytest.mark.parametrize("head", ["linear", "nearest"])
def test_an_example_left_out_is_not_known_to_the_head(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed(monkeypatch)
    vectors, labels = clouds(5, 12)
    _, honest = HEADS[head].train(vectors, labels, 5)
    for row in (0, 17, 59):
        rest = np.arange(len(labels)) != row
        without, _ = HEADS[head].train(vectors[rest], labels[rest], 5)
        np.testing.assert_allclose(honest.without_example[row], without.scores(vectors[row : row + 1])[0], atol=2e-3)


def test_an_example_left_out_is_not_known_to_the_head_where_words_count(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed(monkeypatch)
    vectors, labels = clouds(5, 12)
    texts, words = words_of(vectors)
    rows = words.embed(texts)
    _, honest = Linear.train(vectors, labels, 5, rows)
    for row in (3, 30):
        rest = np.arange(len(labels)) != row
        without, _ = Linear.train(vectors[rest], labels[rest], 5, rows[rest])
        scores = without.scores(vectors[row : row + 1], [words.sparse(texts[row])])[0]
        np.testing.assert_allclose(honest.without_example[row], scores, atol=2e-3)


def test_words_count_where_they_tell_more_than_vectors() -> None:
    vectors, labels = clouds(4, 20, spread=3.0)  # hardly anything to be seen in them
    texts = [f"please tell me about topic{label} now" for label in labels]
    words = Words.of(texts)
    head, honest = Linear.train(vectors, labels, 4, words.embed(texts))
    alone, blind = Linear.train(vectors, labels, 4)
    assert alone.by_word is None
    assert (blind.without_example.argmax(1) == labels).mean() < 0.7
    assert (honest.without_example.argmax(1) == labels).mean() > 0.95
    restored = Linear.restored(head.arrays())
    sparse = [words.sparse(text) for text in texts]
    np.testing.assert_array_equal(restored.scores(vectors, sparse), head.scores(vectors, sparse))


def test_words_that_tell_nothing_do_no_harm() -> None:
    vectors, labels = clouds(5, 40)
    texts = [" ".join(f"w{number}" for number in row) for row in np.random.default_rng(0).integers(0, 30, (200, 6))]
    _, honest = Linear.train(vectors, labels, 5, Words.of(texts).embed(texts))
    _, without = Linear.train(vectors, labels, 5)
    assert heads.surprise(honest.without_example, labels) < heads.surprise(without.without_example, labels) + 0.01
    right, before = ((one.without_example.argmax(1) == labels).mean() for one in (honest, without))
    assert right >= before - 0.02


@pytest.mark.parametrize("head", ["linear", "nearest"])
def test_a_label_left_out_is_not_known_to_the_head(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed(monkeypatch)
    vectors, labels = clouds(5, 12)
    _, honest = HEADS[head].train(vectors, labels, 5)
    rest = labels < 4
    without, _ = HEADS[head].train(vectors[rest], labels[rest], 4)
    mine = np.isin(honest.strangers, np.flatnonzero(~rest))
    assert mine.sum() == 12
    strangers = honest.strangers[mine]
    np.testing.assert_allclose(honest.without_label[mine, :4], without.scores(vectors[strangers]), atol=3e-3)
    assert np.isneginf(honest.without_label[mine, 4]).all()


def test_landmarks_stand_for_many_examples_of_all_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = clouds(4, 50)
    whole, _ = Linear.train(vectors, labels, 4)
    monkeypatch.setattr(heads, "EXACT", 100)
    monkeypatch.setattr(heads, "LANDMARKS", 60)
    assert np.bincount(labels[landmarks_of(labels, 4, 100, 60)]).tolist() == [15, 15, 15, 15]
    few, honest = Linear.train(vectors, labels, 4)
    assert few.landmarks.shape == (60, 12)
    new, _ = clouds(4, 50, seed=1)
    assert (few.scores(new).argmax(1) == whole.scores(new).argmax(1)).mean() > 0.95
    assert (honest.without_example.argmax(1) == labels).mean() > 0.9


@pytest.mark.parametrize("head", [Linear, Nearest])
def test_training_is_the_same_every_time_and_survives_storing(head: type[Linear] | type[Nearest]) -> None:
    vectors, labels = clouds(3, 30)
    one, _ = head.train(vectors, labels, 3)
    other, _ = head.train(vectors, labels, 3)
    np.testing.assert_array_equal(one.scores(vectors), other.scores(vectors))
    np.testing.assert_array_equal(head.restored(one.arrays()).scores(vectors), one.scores(vectors))


def test_calibration_tells_the_errors_to_expect_and_finds_strangers() -> None:
    vectors, labels = clouds(6, 40, spread=0.35)
    head, honest = Linear.train(vectors, labels, 6)
    found = calibrated(honest, labels, Linear.floor)
    new, their = clouds(7, 200, spread=0.35, seed=1)  # the same six directions, and one that nobody has seen
    shares = found.probabilities(head.scores(new))
    inside, sure = their < 6, shares.max(1) >= found.threshold
    right = shares.argmax(1) == their
    assert right[inside].mean() == pytest.approx(found.accuracy, abs=0.05)
    assert found.lost <= 0.03
    assert (~sure)[inside & right].mean() < 0.08
    assert (~sure)[~inside].mean() > 0.3


def test_too_few_examples_teach_no_threshold() -> None:
    vectors, labels = clouds(3, 3)
    _, honest = Linear.train(vectors, labels, 3)
    assert calibrated(honest, labels, 0.3)._replace(accuracy=0) == Calibration(15.0, 0.3, 0.3, 0)
    alone = np.arange(3)
    _, honest = Linear.train(vectors[::3], alone, 3)
    assert calibrated(honest, alone, 0.3).accuracy == -1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_any_text_has_a_vector_of_words(texts: list[str]) -> None:
    vectors = Words.of(texts).embed(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert ((abs(lengths - 1) < 1e-3) | (lengths == 0)).all()
    for row, text in zip(vectors, texts, strict=True):
        places, values = Words.of(texts).sparse(text)
        np.testing.assert_allclose(row[places], values, atol=1e-6)
        assert np.count_nonzero(row) == np.count_nonzero(values)


@needs_shared
@pytest.mark.long
@pytest.mark.skipif(minilm.available() is not None, reason="needs the extra 'local'")
def test_intents_of_a_bank_are_told_apart() -> None:
    folder = SHARED / "intents_banking77"
    examples = of_file(folder / "examples.jsonl", "examples.jsonl")
    one = trained(examples, minilm.MiniLM(), "linear", None)
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines()]
    decided = one.decide([row["text"] for row in rows])
    right = sum(decision.label == row["intent"] for decision, row in zip(decided, rows, strict=True)) / len(rows)
    assert right >= 0.895
    assert abs(right - one.calibration.accuracy) < 0.02  # what it says of itself is true


def test_deciding_wakes_no_threads_of_blas() -> None:
    code = """
import time
import numpy as np
from ragweave.orchestrator.classifying.heads import alone
left = np.random.default_rng(0).normal(size=(16, 4096)).astype(np.float32)
right = np.random.default_rng(1).normal(size=(128, 4096)).astype(np.float32)
begun, mine = time.process_time(), time.thread_time()
for _ in range(100):
    products = alone(left, right)
of_all, mine = time.process_time() - begun, time.thread_time() - mine
assert np.allclose(products, left @ right.T, rtol=1e-4, atol=1e-2)
print(of_all / mine)
"""
    assert float(fresh_python(code)) < 1.2, "other threads took CPU while this one computed"
