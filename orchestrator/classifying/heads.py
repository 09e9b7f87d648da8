"""What decides over the vectors of texts: a linear head on kernel features, or the nearest examples.

Both know what they would have said of each example without it, which is how they are calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

EXACT = 2048
"""Up to so many examples, each of them spans the kernel features."""
LANDMARKS = 1536
"""Of more examples, so many do: some of each label."""
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0)
WIDTHS = (0.25, 1.0)
MANY = 40
"""Examples from which width and penalty are learned."""
SHARPNESS = (3.0, 6.0, 10.0, 15.0, 22.0, 33.0, 50.0)
LARGEST_LABEL = 400
"""Labels with more examples are not left out as a whole: it would cost the cube of their number."""
NEAREST_SHARPNESS = 20.0


class Head(Protocol):
    """Scores of labels; higher is better, and about 0 where a text is like no example."""

    name: ClassVar[str]
    floor: ClassVar[float]
    """The score of "none of them" where it cannot be learned."""

    def scores(self, vectors: Array) -> Array:
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
    """Ridge regression onto the labels over the features of a Gaussian kernel: `exp(-width * |a - b|²)`.

    Features are those of Nyström's method (Williams and Seeger, 2001): exact up to `EXACT` examples. Solved in
    closed form, so training is quick and the same every time, and what is left out is exact too: one example by the
    diagonal of the hat matrix, a label by its block. Width and penalty are those that examples left out surprise least.
    """

    name: ClassVar[str] = "linear"
    floor: ClassVar[float] = 0.3

    def __init__(self, landmarks: Array, weights: Array, width: float) -> None:
        self.landmarks = landmarks
        self.weights = weights
        self.width = width
        self._by_label = weights.T.copy()

    def scores(self, vectors: Array) -> Array:
        """Of shape (texts, labels): about 1 for the label, 0 for others."""
        return alone(_kernel(alone(vectors, self.landmarks), self.width), self._by_label)

    def arrays(self) -> Mapping[str, Array]:
        """Landmarks, weights and width."""
        import numpy as np

        return {"landmarks": self.landmarks, "weights": self.weights, "width": np.asarray(self.width)}

    @classmethod
    def restored(cls, arrays: Mapping[str, Array]) -> Linear:
        """The head of these arrays."""
        return cls(arrays["landmarks"], arrays["weights"], float(arrays["width"]))

    @classmethod
    def train(cls, vectors: Array, labels: Array, count: int) -> tuple[Linear, Honest]:
        """A head for `count` labels. `vectors` are rows of length 1, `labels` their numbers."""
        import numpy as np

        targets = np.eye(count, dtype=np.float32)[labels]
        marks = np.ascontiguousarray(vectors[landmarks_of(labels, count)], dtype=np.float32)
        # A label with one example is unknown to a head that has not seen it.
        counted = np.bincount(labels, minlength=count)[labels] > 1
        best: _Fit | None = None
        # A wide kernel finds something in any text; only many examples can outweigh that.
        for width in WIDTHS if counted.sum() >= MANY else WIDTHS[-1:]:
            strengths, turned, back = _features(vectors, marks, width)
            seen, squares = turned.T @ targets, turned**2
            for penalty in PENALTIES if counted.sum() >= MANY else PENALTIES[2:3]:
                shrink = 1 / (strengths + penalty)
                rest = targets - turned @ (seen * shrink[:, None])
                left_out = targets - rest / np.maximum(1 - squares @ shrink, 1e-6)[:, None]
                loss = surprise(left_out[counted], labels[counted])
                if best is None or loss < best.loss:
                    weights = np.ascontiguousarray(back @ (seen * shrink[:, None]))
                    best = _Fit(loss, cls(marks, weights, width), left_out, turned, shrink, rest)
        assert best is not None
        return best.head, _labels_left_out(best, targets, labels, count)


class _Fit(NamedTuple):
    """A head of one width and penalty, and what its labels left out are computed of."""

    loss: float
    head: Linear
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


def _features(vectors: Array, marks: Array, width: float) -> tuple[Array, Array, Array]:
    """Kernel features turned to their main directions: the strength of each direction, the vectors in them (texts,
    directions), and what turns a row of the kernel into features (landmarks, directions)."""
    import numpy as np

    values, basis = np.linalg.eigh(_gauss(marks, marks, width))
    sound = values > 1e-5 * values[-1]
    values, basis = values[sound], basis[:, sound]
    whiten = basis / np.sqrt(values)
    if len(marks) == len(vectors):
        return values, basis * np.sqrt(values), whiten
    features = _gauss(vectors, marks, width) @ whiten
    strengths, turn = np.linalg.eigh(features.T @ features)
    return np.maximum(strengths, 0), features @ turn, whiten @ turn


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

    def scores(self, vectors: Array) -> Array:
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
    def train(cls, vectors: Array, labels: Array, count: int) -> tuple[Nearest, Honest]:
        """A head for `count` labels. `vectors` are rows of length 1, `labels` their numbers."""
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


def landmarks_of(labels: Sequence[int] | Array, count: int) -> Array:
    """The examples that span the features: all, or in turn one of each label; in their order."""
    import numpy as np

    labels = np.asarray(labels)
    if len(labels) <= EXACT:
        return np.arange(len(labels))
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in range(count):
        rows = np.flatnonzero(labels == label)
        turn[rows] = np.arange(len(rows))
    return np.sort(np.argsort(turn, kind="stable")[:LANDMARKS])


def alone(left: Array, right: Array) -> Array:
    """`left @ right.T`, computed by this thread alone.

    BLAS would wake its own threads, which stay awake for a while after each product, in case there is another: small
    products between two batches would take that much of the CPU from the embedder.
    """
    import numpy as np

    products: Array = np.einsum("ij,kj->ik", left, right)
    return products


def _gauss(left: Array, right: Array, width: float) -> Array:
    """The kernel of rows of length 1."""
    return _kernel(left @ right.T, width)


def _kernel(near: Array, width: float) -> Array:
    """The kernel of cosines, in their place."""
    import numpy as np

    near -= 1
    near *= 2 * width
    np.exp(near, out=near)
    return near
