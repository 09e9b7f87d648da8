"""Texts are cut into batches that waste little."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragweave.retrievers.embedders.encoder import BATCH_TOKENS, PAD_TO, SHARE_TOKENS, batches


@given(st.lists(st.integers(1, 256), max_size=200))
def test_every_text_is_in_one_batch_that_is_long_enough_and_not_too_large(lengths: list[int]) -> None:
    found = list(batches(lengths))
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(lengths)))
    for rows, longest in found:
        assert max(lengths[row] for row in rows) <= longest
        assert len(rows) * longest <= BATCH_TOKENS or len(rows) == 1


def test_a_long_text_does_not_make_short_ones_long() -> None:
    lengths = [20] * 14 + [35, 250]
    found = {longest: len(rows) for rows, longest in batches(lengths)}
    assert found == {20: 14, 36: 1, 252: 1}
    assert [len(rows) for rows, _ in batches([20, 20, 32])] == [3], "little padding is cheaper than another call"


@given(st.lists(st.integers(1, 256), min_size=1, max_size=200), st.integers(1, 16))
def test_several_threads_all_get_a_share_and_the_dearest_comes_first(lengths: list[int], threads: int) -> None:
    found = batches(lengths, threads)
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(lengths)))
    sizes = [len(rows) * longest for rows, longest in found]
    assert sizes == sorted(sizes, reverse=True)
    padded = sum(-(-length // PAD_TO) * PAD_TO for length in lengths)
    assert all(
        size <= max(SHARE_TOKENS, padded / threads + 1) or len(rows) == 1
        for size, (rows, _) in zip(sizes, found, strict=True)
    )
