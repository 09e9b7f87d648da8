"""Node types for the checker's tests: small, typed, and never called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NotRequired, TypedDict

from ragweave.orchestrator import registry
from ragweave.orchestrator.node import node_type
from ragweave.orchestrator.values import Answer, Document, Failure, Verdict


class Queries(TypedDict):
    queries: list[str]


class Documents(TypedDict):
    documents: list[Document]


class Judged(TypedDict):
    verdict: Verdict


class Answered(TypedDict):
    answer: Answer


class Rated(TypedDict):
    confidence: float
    attempts: int


class Counted(TypedDict):
    queries: int


class Hinted(TypedDict):
    hint: NotRequired[str]


class Noted(TypedDict):
    notes: list[str]


def expand(question: str) -> Queries:
    raise NotImplementedError


def search(query: str) -> Documents:
    raise NotImplementedError


def lookup(question: str) -> Documents:
    raise NotImplementedError


def assess(question: str, answer: Answer) -> Judged:
    raise NotImplementedError


def screen(question: str) -> Judged:
    raise NotImplementedError


def write(question: str, documents: list[Document], verdict: Verdict | None = None) -> Answered:
    raise NotImplementedError


def refuse() -> Answered:
    raise NotImplementedError


def rate(question: str) -> Rated:
    raise NotImplementedError


def count(question: str) -> Counted:
    raise NotImplementedError


def hint(question: str) -> Hinted:
    raise NotImplementedError


def use_hint(hint: str) -> Answered:
    raise NotImplementedError


def repair(error: Failure) -> Answered:
    raise NotImplementedError


def note(question: str) -> Noted:
    raise NotImplementedError


def recap(notes: list[str]) -> Answered:
    raise NotImplementedError


def tell(answer: Answer) -> None:
    raise NotImplementedError


def idle() -> None:
    raise NotImplementedError


def add_up(values: list[int]) -> int:
    return sum(values)


FUNCTIONS: tuple[Any, ...] = (
    expand, search, lookup, assess, screen, write, refuse, rate, count, hint, use_hint, repair, note, recap, tell, idle,
)  # fmt: skip


@contextmanager
def kinds() -> Iterator[None]:
    """While this is open, the functions above are node types under their own names."""
    with registry.scope():
        for function in FUNCTIONS:
            registry.add("nodes", function.__name__, node_type(function))
        registry.add("merges", "add_up", add_up)
        yield
