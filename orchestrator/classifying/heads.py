"""What decides over the vectors of texts: a linear head on kernel features, or the nearest examples.

Both know what they would have said of each example without it, which is how they are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    from ragweave.orchestrator.classifying.words import Sparse

    Array = np.ndarray[Any, np.dtype[Any]]

EXACT = 2048
"""Up to so many examples, each of them spans the kernel features."""
LANDMARKS = 1536
"""Of more examples, so many do: some of each label."""
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)
WIDTHS = (0.25, 0.5, 1.0)
SHARE = 0.15
"""How much words count beside vectors, until examples left out say otherwise."""
OTHER_SHARES = (0.0, 0.3)
FEW = (1.0, SHARE)
"""Width and share that few examples get: a wide kernel finds something in any text, which only many can outweigh."""
TRIED_ON = 1024
"""Examples on which width and share are chosen; the penalty is, on all."""
MANY = 40
"""Examples from which width, share and penalty are learned."""
SHARPNESS = (3.0, 6.0, 10.0, 15.0, 22.0, 33.0, 50.0)
LARGEST_LABEL = 400
"""Labels with more examples are not left out as a whole: it would cost the cube of their number."""
NEAREST_SHARPNESS = 20.0


class Head(Protocol):
    """Scores of labels; higher is better, and about 0 where a text is like no example."""

    name: ClassVar[str]
    floor: ClassVar[float]
    """The score of "none of them" where it cannot be learned."""

    def scores(self, vectors: Array, words: Sequence[Sparse] = ()) -> Array:
        """Of shape (texts, labels)."""

    def arrays(self) -> Mapping[str, Array]:
        """What `restored` makes the head of again."""


class Honest:
    """What a head says of its own examples.

    `without_example`: scores (examples, labels) of a head that has not seen the example. `without_label`: scores of the
    examples `strangers` by a head that has seen no example of their label; their own label has -inf. Both are what the
    head would say of new texts that are in and out of scope.
    """

    def __init__(self, without_example: Array, without_label: Array, strangers: Array) -> None:
        self.without_example = without_example
        self.without_label = without_label
        self.strangers = strangers


class Linear:
    """Ridge regression onto the labels over the features of a kernel: `exp(-width * |a - b|²) + share * (c · d)`, where
    `a` and `b` are the vectors of two texts and `c` and `d` what `Words` makes of them.

    Features are those of Nyström's method (Williams and Seeger, 2001): exact up to `EXACT` examples. Solved in
    closed form, so training is quick and the same every time, and what is left out is exact too: one example by the
    diagonal of the hat matrix, a label by its block. Width, share and penalty are those that examples left out surprise
    least.
    """

    name: ClassVar[str] = "linear"
    floor: ClassVar[float] = 0.3

    def __init__(self, landmarks: Array, weights: Array, width: float, by_word: Array | None = None) -> None:
        self.landmarks = landmarks
        self.weights = weights
        self.width = width
        self.by_word = by_word
        """What each number of `Words` adds to each label; None if words do not count."""
        self._by_label = weights.T.copy()

    def scores(self, vectors: Array, words: Sequence[Sparse] = ()) -> Array:
        """Of shape (texts, labels): about 1 for the label, 0 for others. `words` are of the same texts."""
        import numpy as np

        scores = alone(_kernel(alone(vectors, self.landmarks), self.width), self._by_label)
        if self.by_word is not None:
            for row, (places, values) in zip(scores, words, strict=True):
                row += np.einsum("i,ij->j", values, self.by_word[places])
        return scores

    def arrays(self) -> Mapping[str, Array]:
        """Landmarks, weights and width."""
        import numpy as np

        arrays = {"landmarks": self.landmarks, "weights": self.weights, "width": np.asarray(self.width)}
        return arrays if self.by_word is None else {**arrays, "by_word": self.by_word}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> Linear:
        """The head of these arrays."""
        return cls(arrays["landmarks"], arrays["weights"], float(arrays["width"]), arrays.get("by_word"))

    @classmethod
    def train(cls, vectors: Array, labels: Array, count: int, words: Array | None = None) -> tuple[Linear, Honest]:
        """A head for `count` labels. `vectors` are rows of length 1, `labels` their numbers, `words` what `Words` makes
        of the same texts."""
        import numpy as np

        targets = np.eye(count, dtype=np.float32)[labels]
        # A label with one example is unknown to a head that has not seen it.
        counted = np.bincount(labels, minlength=count)[labels] > 1
        chosen = landmarks_of(labels, count, EXACT, LANDMARKS)
        width, share = _widths(vectors, words, labels, count) if counted.sum() >= MANY else FEW
        kernels = _Kernels(vectors, words, chosen)
        found = kernels.solved(width, share if words is not None else 0.0, targets, labels, counted)
        by_word = None
        if words is not None and found.share:
            by_word = np.ascontiguousarray(found.share * (words[chosen].T @ found.weights))
        marks = np.ascontiguousarray(vectors[chosen], dtype=np.float32)
        return cls(marks, found.weights, found.width, by_word), _labels_left_out(found, targets, labels, count)


def _widths(vectors: Array, words: Array | None, labels: Array, count: int) -> tuple[float, float]:
    """The width and the share of words with which examples left out surprise least, looked for on some of each label:
    they are much the same with all."""
    import numpy as np

    rows = landmarks_of(labels, count, TRIED_ON, TRIED_ON)
    labels = labels[rows]
    counted = np.bincount(labels, minlength=count)[labels] > 1
    kernels = _Kernels(vectors[rows], words[rows] if words is not None else None, np.arange(len(rows)))
    targets = np.eye(count, dtype=np.float32)[labels]

    def loss(width: float, share: float) -> float:
        return kernels.solved(width, share, targets, labels, counted).loss

    if words is None:
        return min(WIDTHS, key=lambda width: loss(width, 0.0)), 0.0
    losses = {(width, SHARE): loss(width, SHARE) for width in WIDTHS}
    width, _ = min(losses, key=losses.__getitem__)
    losses.update({(width, share): loss(width, share) for share in OTHER_SHARES})
    return min(losses, key=losses.__getitem__)


class _Kernels:
    """The kernel features of examples, for any width and share."""

    def __init__(self, vectors: Array, words: Array | None, chosen: Array) -> None:
        self.exact = len(chosen) == len(vectors)
        self._of_marks = vectors[chosen] @ vectors[chosen].T
        self._of_all = self._of_marks if self.exact else vectors @ vectors[chosen].T
        self._chosen = chosen
        self._words = words @ words[chosen].T if words is not None else None

    def features(self, width: float, share: float) -> tuple[Array, Array, Array]:
        """Features turned to their main directions: the strength of each direction, the examples in them (examples,
        directions), and what turns a row of the kernel into features (landmarks, directions)."""
        import numpy as np

        marked = _kernel(self._of_marks.copy(), width)
        if self._words is not None:
            marked += share * self._words[self._chosen]
        values, basis = np.linalg.eigh(marked)
        sound = values > 1e-5 * values[-1]
        values, basis = values[sound], basis[:, sound]
        whiten = basis / np.sqrt(values)
        if self.exact:
            return values, basis * np.sqrt(values), whiten
        near = _kernel(self._of_all.copy(), width)
        if self._words is not None:
            near += share * self._words
        features = near @ whiten
        strengths, turn = np.linalg.eigh(features.T @ features)
        return np.maximum(strengths, 0), features @ turn, whiten @ turn

    def solved(self, width: float, share: float, targets: Array, labels: Array, counted: Array) -> _Fit:
        """The solution with the penalty under which the examples that are `counted` surprise least when left out."""
        import numpy as np

        strengths, turned, back = self.features(width, share)
        seen, squares = turned.T @ targets, turned**2
        best: _Fit | None = None
        for penalty in PENALTIES if counted.sum() >= MANY else PENALTIES[2:3]:
            shrink = 1 / (strengths + penalty)
            rest = targets - turned @ (seen * shrink[:, None])
            left_out = targets - rest / np.maximum(1 - squares @ shrink, 1e-6)[:, None]
            loss = surprise(left_out[counted], labels[counted])
            if best is None or loss < best.loss:
                weights = np.ascontiguousarray(back @ (seen * shrink[:, None]))
                best = _Fit(loss, width, share, weights, left_out, turned, shrink, rest)
        assert best is not None
        return best


class _Fit(NamedTuple):
    """A solution for one width, share and penalty, and what its labels left out are computed of."""

    loss: float
    width: float
    share: float
    weights: Array
    left_out: Array
    turned: Array
    shrink: Array
    rest: Array


def surprise(scores: Array, labels: Array) -> float:
    """The mean surprise, in nats, at the right labels, with the sharpness at which it is least; 0 without examples."""
    import numpy as np

    if not len(scores):
        return 0.0
    rows = np.arange(len(labels))
    top = scores - scores.max(1, keepdims=True)
    losses = [np.log(np.exp(sharp * top).sum(1)) - sharp * top[rows, labels] for sharp in SHARPNESS]
    return float(min(loss.mean() for loss in losses))


def _labels_left_out(fit: _Fit, targets: Array, labels: Array, count: int) -> Honest:
    import numpy as np

    found, who = [], []
    for label in range(count):
        rows = np.flatnonzero(labels == label)
        if count < 3 or not 0 < len(rows) <= LARGEST_LABEL:
            continue
        block = fit.turned[rows]
        hat = (block * fit.shrink) @ block.T
        scores = targets[rows] - np.linalg.solve(np.eye(len(rows)) * (1 + 1e-6) - hat, fit.rest[rows])
        scores[:, label] = -np.inf
        found.append(scores)
        who.append(rows)
    strangers = np.concatenate(who) if who else np.zeros(0, dtype=np.int64)
    return Honest(fit.left_out, np.concatenate(found) if found else np.zeros((0, count)), strangers)


class Nearest:
    """The examples nearest to a text decide: a label's score is the soft maximum of the cosines of its examples.

    New examples count at once and nothing is trained; with a single text for each label this is zero-shot.
    """

    name: ClassVar[str] = "nearest"
    floor: ClassVar[float] = 0.5

    def __init__(self, examples: Array, starts: Array) -> None:
        self.examples = examples
        self.starts = starts

    def scores(self, vectors: Array, words: Sequence[Sparse] = ()) -> Array:
        """Of shape (texts, labels): the cosine of the nearest example, a little more where several are near."""
        import numpy as np

        near = np.exp(NEAREST_SHARPNESS * (alone(vectors, self.examples) - 1))
        return self._soft(near)

    def arrays(self) -> Mapping[str, Array]:
        """Examples in the order of their labels, and where each label starts."""
        return {"examples": self.examples, "starts": self.starts}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> Nearest:
        """The head of these arrays."""
        return cls(arrays["examples"], arrays["starts"])

    @classmethod
    def train(cls, vectors: Array, labels: Array, count: int, words: Array | None = None) -> tuple[Nearest, Honest]:
        """A head for `count` labels. `vectors` are rows of length 1, `labels` their numbers; words do not count."""
        import numpy as np

        order = np.argsort(labels, kind="stable")
        head = cls(
            np.ascontiguousarray(vectors[order], dtype=np.float32), np.searchsorted(labels[order], np.arange(count))
        )
        left_out = np.zeros((len(vectors), count), dtype=np.float32)
        for start in range(0, len(order), 1024):
            rows = np.arange(start, min(start + 1024, len(order)))
            near = np.exp(NEAREST_SHARPNESS * (head.examples[rows] @ head.examples.T - 1))
            near[np.arange(len(rows)), rows] = 0
            left_out[order[rows]] = head._soft(near)
        strangers = np.arange(len(labels)) if count > 2 else np.zeros(0, dtype=np.int64)
        without_label = left_out[strangers].copy()
        without_label[np.arange(len(strangers)), labels[strangers]] = -np.inf
        return head, Honest(left_out, without_label, strangers)

    def _soft(self, near: Array) -> Array:
        import numpy as np

        sums = np.maximum(np.add.reduceat(near, self.starts, axis=1), 1e-12)
        scores: Array = 1 + np.log(sums) / NEAREST_SHARPNESS
        return scores


HEADS: dict[str, type[Linear] | type[Nearest]] = {"linear": Linear, "nearest": Nearest}


def landmarks_of(labels: Sequence[int] | Array, count: int, few: int, kept: int) -> Array:
    """The examples that stand for all: all if they are `few`, else `kept` of them, in turn one of each label; in their
    order."""
    import numpy as np

    labels = np.asarray(labels)
    if len(labels) <= few:
        return np.arange(len(labels))
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in range(count):
        rows = np.flatnonzero(labels == label)
        turn[rows] = np.arange(len(rows))
    return np.sort(np.argsort(turn, kind="stable")[:kept])


def alone(left: Array, right: Array) -> Array:
    """`left @ right.T`, computed by this thread alone.

    BLAS would wake its own threads, which stay awake for a while after each product, in case there is another: small
    products between two batches would take that much of the CPU from the embedder.
    """
    import numpy as np

    products: Array = np.einsum("ij,kj->ik", left, right)
    return products


def _kernel(near: Array, width: float) -> Array:
    """The kernel of cosines, in their place."""
    import numpy as np

    near -= 1
    near *= 2 * width
    np.exp(near, out=near)
    return near
