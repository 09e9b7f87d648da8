"""Long texts in pieces: all of the text, no cut words, no piece too large, ends where a reader pauses."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.texts.cutting import Piece, cut
from ragweave.orchestrator.texts.tokens import estimate_tokens

TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(
        st.sampled_from(
            ["word ", "Two words. ", "e.g. this ", "\n", "\n\n", "# Title\n\n", "- item\n", "12,5 % ",
             "antidisestablishmentarianism ", "日本語。", "你好，世界", "é́ ", "\t", "\r\n\r\n", "x" * 90 + " "]
        ),
        max_size=60,
    ).map("".join),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.integers(1, 40), st.integers(0, 20))
def test_pieces_cover_the_text_exactly_and_keep_to_their_size(text: str, max_tokens: int, overlap: int) -> None:
    overlap = min(overlap, max_tokens // 2)
    pieces = cut(text, max_tokens, overlap)
    if not text.strip():
        assert pieces == []
        return
    assert "".join(text[piece.fresh : piece.end] for piece in pieces) == text
    for piece in pieces:
        assert piece.start <= piece.fresh < piece.end
        whole = text[piece.start : piece.end]
        assert estimate_tokens(whole) <= max_tokens or len(whole.split()) == 1
        assert estimate_tokens(text[piece.start : piece.fresh]) <= overlap
    for before, after in pairwise(pieces):
        assert before.fresh < after.start <= after.fresh == before.end
        for border in (after.start, after.fresh):
            assert _between_words(text, border), (text, border)


def _between_words(text: str, at: int) -> bool:
    left, right = text[at - 1], text[at]
    return left.isspace() or re.match(r"[぀-ヿ㐀-鿿豈-﫿、。！？，：；]", left) is not None or ord(right) > 0x3000


def shown(text: str, pieces: list[Piece]) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces]


def test_a_text_that_fits_is_one_piece() -> None:
    assert cut("Ada wrote. Bob read.\n", 100) == [Piece(0, 0, 21)]


def test_pieces_end_with_a_paragraph_before_a_sentence_before_a_word() -> None:
    text = "One two three four. Five six.\n\nSeven eight nine ten. Eleven twelve thirteen fourteen fifteen sixteen."
    assert shown(text, cut(text, 12))[0] == "One two three four. Five six.\n\n"
    line = "One two three. Four five six seven eight nine ten eleven."
    assert shown(line, cut(line, 6)) == ["One two three. ", "Four five six seven eight nine ", "ten eleven."]


def test_an_abbreviation_ends_no_sentence() -> None:
    text = "We met Dr. Marsh in May. She was late for the second time that week."
    assert shown(text, cut(text, 10))[0] == "We met Dr. Marsh in May. "


def test_a_section_starts_a_piece() -> None:
    text = "Ab cd ef gh.\n\nIj kl mn.\n\n## Next\n\nOp qr st.\n\nUv wx yz ab cd ef."
    assert any(piece.startswith("## Next") for piece in shown(text, cut(text, 16)))


def test_pieces_are_of_about_the_same_size() -> None:
    text = "word " * 1010
    sizes = [estimate_tokens(piece) for piece in shown(text, cut(text, 1000))]
    assert min(sizes) > 300
    assert max(sizes) <= 1000


def test_overlap_starts_at_a_sentence_where_one_starts() -> None:
    text = "Ab cd ef. Gh ij kl. Mn op qr. St uv wx. Yz ab cd. Ef gh ij."
    first, second, *_ = cut(text, 14, 5)
    assert text[second.start : second.fresh] == "Mn op qr. "
    assert first.end == second.fresh


def test_a_tokenizer_of_ones_own_is_obeyed() -> None:
    text = "abc de f ghij klm no"
    pieces = cut(text, 6, count=len)
    assert all(len(text[piece.start : piece.end].strip()) <= 6 for piece in pieces)
    assert "".join(shown(text, pieces)) == text


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("Hello, world!", 4), ("antidisestablishmentarianism", 4), ("12345", 1), ("你好", 2), ("don't", 3)],
)
def test_tokens_are_counted_about(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_the_estimate_is_near_what_a_real_tokenizer_counts() -> None:
    minilm = pytest.importorskip("ragweave.retrievers.embedders.minilm")
    pytest.importorskip("tokenizers")
    tokenizer, *_ = minilm.read_model(minilm.model_folder())
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    exact = sum(len(tokenizer.encode(line, add_special_tokens=False).ids) for line in text.splitlines())
    assert exact > 500
    assert abs(estimate_tokens(text) - exact) / exact < 0.15
