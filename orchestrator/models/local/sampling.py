"""The next token of each row of a batch: the likeliest, or one drawn by temperature and top_p with the row's seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

LIKELY = 512
"""Candidates that are looked at first: sorting a whole vocabulary for every token costs more than small models do."""


class Drawing(NamedTuple):
    """How the tokens of one reply are chosen. At temperature 0 the likeliest is taken."""

    temperature: float = 0.0
    top_p: float = 1.0
    dice: random.Random | None = None


def choose(logits: Any, drawings: Sequence[Drawing]) -> list[int | None]:
    """A token for each row of `logits`, a tensor of shape (rows, vocabulary); None for a row that holds no numbers.

    The draw is by inverse transform, one random number a token: it depends on the row's own seed and numbers only,
    whatever else is in the batch. top_p: Holtzman et al., The Curious Case of Neural Text Degeneration (2020).
    """
    import torch

    logits = logits.float()
    best, tokens = logits.max(dim=-1)
    sound = torch.isfinite(best) & ~torch.isnan(logits).any(dim=-1)
    chosen: list[int | None] = []
    for row, (token, good) in enumerate(zip(tokens.tolist(), sound.tolist(), strict=True)):
        drawing = drawings[row]
        if not good:
            chosen.append(None)
        elif drawing.temperature <= 0 or drawing.dice is None:
            chosen.append(token)
        else:
            chosen.append(_draw(logits[row], drawing, drawing.dice.random()))
    return chosen


def _draw(logits: Any, drawing: Drawing, number: float) -> int:
    """The token at this place, between 0 and 1, of the likeliest tokens that make up `top_p`."""
    import torch

    chances = torch.softmax((logits - logits.max()) / drawing.temperature, dim=-1).cpu().double()
    count = min(LIKELY, len(chances))
    while True:
        likely, tokens = torch.topk(chances, count)
        upto = torch.cumsum(likely, dim=0)
        whole = count == len(chances)
        if drawing.top_p >= 1:
            mass = float(chances.sum())
        else:
            last = int(torch.searchsorted(upto, drawing.top_p))
            if last >= count and not whole:
                count = len(chances)
                continue
            mass = float(upto[min(last, count - 1)])
        place = int(torch.searchsorted(upto, number * mass, right=True))
        if place < count:
            return int(tokens[place])
        if whole:  # rounding: the last of the sums is a little less than what they add up to
            return int(tokens[-1])
        count = len(chances)
