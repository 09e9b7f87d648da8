"""Scores as probabilities, and the threshold below which a text is out of scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.classifying.heads import Honest

    Array = np.ndarray[Any, np.dtype[Any]]

STRANGE = 0.1
"""The share of texts that calibration takes to be out of scope."""
_USUAL_SHARPNESS = 15.0
_SHARPNESS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
_FLOORS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
GIVEN_UP = 0.03
"""The share of right answers that a threshold may cost at most."""
FEW = 40
"""Fewer examples than this teach no sharpness and no threshold."""
USUAL = 0.3
"""The threshold where none can be learned."""
_MOST = 4000
"""Examples that are looked at; more do not make two numbers better."""


class Calibration(NamedTuple):
    """How scores become probabilities: a softmax in which "none of them" has the score `floor`."""

    sharpness: float = 12.0
    floor: float = -1.0
    threshold: float = 0.0
    """What `threshold: auto` means; 0 where there is nothing to learn it from."""
    accuracy: float = -1.0
    """Of examples left out, the share that gets its label; -1 if it is not known."""
    lost: float = 0.0
    """Of those that get it, the share that the threshold takes for out of scope."""
    found: float = 0.0
    """Of examples whose label is left out, the share that it finds to be out of scope."""

    def probabilities(self, scores: Array) -> Array:
        """Of shape (texts, labels); what is missing to a sum of 1 is the probability of none."""
        import numpy as np

        raised = np.exp(self.sharpness * (scores - scores.max(1, keepdims=True)))
        none = np.exp(self.sharpness * (self.floor - scores.max(1, keepdims=True)))
        shares: Array = raised / (raised.sum(1, keepdims=True) + none)
        return shares


def calibrated(honest: Honest, labels: Array, floor: float) -> Calibration:
    """The calibration under which examples left out surprise least, `STRANGE` of them with their whole label left out.

    Examples that are alone in their label say nothing. `floor` is the head's own, for where there is too little to
    learn another from: few examples, or two labels, of which none can be left out.
    """
    import numpy as np

    rows = np.flatnonzero(np.bincount(labels)[labels] > 1)
    rows = rows[:: max(1, len(rows) // _MOST)]
    usual = Calibration(_USUAL_SHARPNESS, floor, USUAL)
    if len(rows) < 2:
        return usual
    known, right = honest.without_example[rows], labels[rows]
    if len(rows) < FEW:
        return usual._replace(accuracy=float((known.argmax(1) == right).mean()))
    strange = honest.without_label[:: max(1, len(honest.without_label) // _MOST)]
    best, least = usual, np.inf
    for sharpness in _SHARPNESS:
        for tried_floor in _FLOORS if len(strange) else (floor,):
            tried = Calibration(sharpness, tried_floor)
            loss = -np.log(np.maximum(tried.probabilities(known)[np.arange(len(rows)), right], 1e-9)).mean()
            if len(strange):
                none = np.maximum(1 - tried.probabilities(strange).sum(1), 1e-9)
                loss = (1 - STRANGE) * loss - STRANGE * np.log(none).mean()
            if loss < least:
                best, least = tried, loss
    return _with_threshold(best, known, right, strange)


def _with_threshold(calibration: Calibration, known: Array, right: Array, strange: Array) -> Calibration:
    """The threshold with the fewest errors (texts in scope with another label or none, strangers with one) of those
    that give up few right answers."""
    import numpy as np

    shares = calibration.probabilities(known)
    correct, sure = shares.argmax(1) == right, shares.max(1)
    calibration = calibration._replace(accuracy=float(correct.mean()))
    if not correct.any():
        return calibration
    affordable = float(np.quantile(sure[correct], GIVEN_UP))
    if not len(strange):
        best = min(USUAL, affordable)
        return calibration._replace(threshold=best, lost=float((sure[correct] < best).mean()))
    stranger = calibration.probabilities(strange).max(1)
    best, most = 0.0, -1.0
    for threshold in np.linspace(0, affordable, 64):
        worth = (1 - STRANGE) * (correct & (sure >= threshold)).mean() + STRANGE * (stranger < threshold).mean()
        if worth > most:
            best, most = float(threshold), float(worth)
    lost, found = float((sure[correct] < best).mean()), float((stranger < best).mean())
    return calibration._replace(threshold=best, lost=lost, found=found)
