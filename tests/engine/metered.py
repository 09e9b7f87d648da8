"""A model whose words are its tokens, and graphs that ask it within budgets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from random import Random
from typing import Any

from pydantic import PrivateAttr

from ragweave.orchestrator import registry
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import ModelError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.running.budgets.accounts import NOTHING, Account
from ragweave.orchestrator.running.budgets.book import Budgets
from ragweave.orchestrator.values import Usage

PROMPT = """\
prompts:
  p: {text: "{{ question }}", variables: {question: str}}
  cite: {text: "{{ question }}\\n{% for one in documents %}[{{ loop.index }}] {{ one.text }}\\n{% endfor %}",
         variables: {question: str, documents: "list[Document]"}}
"""
FEW = 64 + 16
"""What is held for a request with one message, beside its words."""


class Metered(ChatModel):
    """Says `length` words, or as many as it may; its usage is what it read and said."""

    length: int = 10
    fails: str = ""
    """`before` it says anything, or `after` all of it."""
    tells: bool = True
    pause: float = 0.0
    delay: float = 0.0
    """Before its first word."""
    lingers: float = 0.0
    """How long it takes to end when it is cancelled."""
    jitter: int = 0
    follows: bool = True
    """With a number, replies have any length up to `length`, and some calls fail."""
    _random: Random = PrivateAttr(default_factory=Random)
    _asked: list[ChatRequest] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any) -> None:
        """Seeded, so that a failure can be seen again."""
        self._random = Random(self.jitter)

    @property
    def asked(self) -> list[ChatRequest]:
        """What it was asked."""
        return self._asked

    def count_tokens(self, text: str) -> int:
        """Words."""
        return len(text.split())

    def calls_tools(self) -> bool:
        """True."""
        return True

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The words."""
        self._asked.append(request)
        random, length, fails = self._random, self.length, self.fails
        if self.jitter:
            length = random.randint(1, self.length)
            fails = random.choice(["", "", "", "", "before", "after"])
            await asyncio.sleep(random.choice([0.0, 0.0, 0.001]))
        if fails == "before":
            raise ModelError("it is busy", transient=True)
        most = request.max_tokens if request.max_tokens is not None else length
        try:
            await asyncio.sleep(self.delay)
            for at in range(min(length, most)):
                if self.pause:
                    await asyncio.sleep(self.pause)
                yield ChatChunk(text=f"w{at} ")
        except asyncio.CancelledError:
            await asyncio.sleep(self.lingers)
            raise
        if fails == "after":
            raise ModelError("it broke off", transient=True)
        read = sum(len(message.text.split()) for message in request.messages)
        usage = Usage(calls=1, input_tokens=read, output_tokens=min(length, most)) if self.tells else None
        yield ChatChunk(usage=usage, finish="length" if most < length else "stop")


def metered_types() -> Iterator[None]:
    """Registers the model; for a fixture."""
    with registry.scope():
        registry.add("models", "metered", Metered)
        yield


def loaded(folder: Path, text: str, *, inputs: str = "{question: str}", outputs: str = "[answer]") -> Graph:
    """The graph of a file with this text."""
    path = folder / "shop.yaml"
    head = f"schema: ragweave/v1\ninputs: {inputs}\noutputs: {outputs}\n"
    path.write_text(head + PROMPT + text, encoding="utf-8")
    return Graph.load(path)


def chat(graph: Graph, name: str = "chat") -> Metered:
    """A model of the graph."""
    model: Metered = graph.resources.get("models", name)
    return model


class Watched:
    """The accounts of the runs that begin while it is there, and the most that was ever spent and held together."""

    def __init__(self, monkeypatch: Any) -> None:
        self.books: list[Budgets] = []
        self.most: dict[str, int] = {}
        begin, note = Budgets.__init__, Budgets.note

        def begun(book: Budgets, *args: Any) -> None:
            begin(book, *args)
            self.books.append(book)

        def noted(book: Budgets, kind: str, ctx: Context, data: dict[str, object]) -> None:
            for account in book.accounts:
                together = account.spent.plus(account.held).tokens
                self.most[account.scope] = max(self.most.get(account.scope, 0), together)
            note(book, kind, ctx, data)

        monkeypatch.setattr(Budgets, "__init__", begun)
        monkeypatch.setattr(Budgets, "note", noted)

    def account(self, scope: str = "") -> Account:
        """Of the latest run."""
        return next(one for one in self.books[-1].accounts if one.scope == scope)

    def settled(self) -> None:
        """Nothing is held any more, and no clock runs."""
        for book in self.books:
            assert all(account.held == NOTHING for account in book.accounts)
