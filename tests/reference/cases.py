"""The conformance cases C1 to C11 of the design as sketches, with the calls that make them interesting."""

from __future__ import annotations

from tests.reference.interpreter import Call
from tests.reference.sketch import Sketch, Step, Way

YES, NO = True, False


def plain(*targets: str, **rest: object) -> Step:
    """A node with plain edges."""
    return Step((Way(targets),), plain=True, **rest)  # type: ignore[arg-type]


def routes(*ways: Way | str | tuple[str, ...], **rest: object) -> Step:
    """A node with a routes block; a name or a tuple of names is a way without bound."""
    made = [way if isinstance(way, Way) else Way((way,) if isinstance(way, str) else way) for way in ways]
    return Step(tuple(made), **rest)  # type: ignore[arg-type]


COOKBOOK = Sketch(
    start=("recall",),
    steps={
        "recall": plain("screen", writes=("history",)),
        "screen": routes(Way(("decompose",), asks=("verdict",)), "refuse", reads=("question",), writes=("verdict",)),
        "decompose": plain("retrieve", reads=("question",), wants=("verdict", "history"), writes=("queries",)),
        "retrieve": plain("rerank", reads=("queries",), writes=("documents",)),
        "rerank": plain("answer", reads=("question", "documents"), writes=("documents",)),
        "answer": plain("grade", reads=("question", "documents"), writes=("answer",)),
        "grade": routes(
            Way(("remember",), asks=("verdict",)),
            Way(("decompose",), bound=2, asks=("verdict",)),
            "refuse",
            reads=("answer", "documents"),
            writes=("verdict",),
        ),
        "refuse": plain("remember", writes=("answer",)),
        "remember": plain("end", reads=("question", "answer")),
    },
    inputs=("question",),
    outputs=("answer",),
)

C2 = Sketch(
    start=("think",),
    steps={
        "think": routes("act", "end"),
        "act": routes(Way(("think",), bound=2), "give_up"),
        "give_up": plain("end"),
    },
)

C3 = Sketch(
    start=("h",),
    steps={
        "h": plain("i"),
        "i": routes(Way(("i",), bound=1), Way(("h",), bound=1), "x", "m"),
        "m": routes(Way(("h",), bound=1), "end"),
        "x": plain("end"),
    },
)
C3_CALLS = {("i", 0): Call(holds=(YES, YES, NO)), ("m", 0): Call(holds=(NO,))}

C4 = Sketch(
    start=("s",),
    steps={
        "s": routes(("a", "b"), "b"),
        "a": plain("j", writes=("x",)),
        "b": plain("j", writes=("y",)),
        "j": plain("end", reads=("x",)),
    },
)

C5_MISSING = Sketch(
    start=("n0", "n1"),
    steps={
        "n0": routes("n1", "n3", writes=("x",)),
        "n1": plain("end", reads=("x",)),
        "n3": plain("end"),
    },
)
C5_EITHER = Sketch(
    start=("a",),
    steps={
        "a": plain("b", "c"),
        "b": routes("x", "y"),
        "c": plain("j"),
        "x": plain("j", writes=("k",)),
        "y": plain("j", writes=("k",)),
        "j": plain("end", reads=("k",)),
    },
)

C6 = Sketch(
    start=("s",),
    steps={
        "s": plain("a", "b", "c", writes=("k",)),
        "a": plain("j"),
        "b": plain("b2", writes=("k",)),
        "b2": plain("j"),
        "c": plain("j"),
        "j": plain("end", reads=("k",)),
    },
)


def c7(merges: frozenset[str]) -> Sketch:
    """C7, with or without a merge of k."""
    return Sketch(
        start=("b", "c", "d"),
        steps={
            "b": plain("j1", writes=("k",)),
            "c": plain("j1", "j2", writes=("k",)),
            "d": plain("j2", writes=("k",)),
            "j1": plain("n"),
            "j2": plain("n"),
            "n": plain("end", reads=("k",)),
        },
        merges=merges,
    )


def c8(*, header_writes: bool, merges: frozenset[str] = frozenset()) -> Sketch:
    """C8: a loop beside a writer; `header_writes` makes the header write the key too."""
    return Sketch(
        start=("s",),
        steps={
            "s": plain("h", "x", writes=("k",)),
            "h": routes(Way(("h",), bound=2), "j", writes=("k",) if header_writes else ()),
            "x": plain("j", writes=("k",)),
            "j": plain("end", reads=("k",)),
        },
        merges=merges,
    )


C9 = Sketch(
    start=("u", "w"),
    steps={
        "u": plain("x", "j", writes=("k",)),
        "x": routes("v", "end"),
        "w": plain("v"),
        "v": plain("j", writes=("k",)),
        "j": plain("end", reads=("k",)),
    },
)

C10_FORK = Sketch(
    start=("h",),
    steps={"h": plain("a", "log"), "a": routes(Way(("h",), bound=2), "end"), "log": plain("end")},
)
C10_ENTRIES = Sketch(
    start=("a", "b"),
    steps={"a": plain("b"), "b": routes(Way(("a",), bound=2), "end")},
)
C10_SELF = Sketch(start=("a",), steps={"a": plain("a", "end")})

C11 = Sketch(
    start=("a", "b"),
    steps={
        "a": plain("j", on_error="r"),
        "b": plain("j"),
        "r": plain("j", reads=("error",)),
        "j": plain("end"),
    },
)
