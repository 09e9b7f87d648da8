"""Node types for graphs whose runs stop on the way."""

from __future__ import annotations

from typing import TypedDict

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.node import Node, node_type
from ragweave.orchestrator.values import Ask

CALLS: list[str] = []
FAILING: set[str] = set()
"""Texts at which `say` fails."""


class Text(TypedDict):
    text: str


class Both(TypedDict):
    text: str
    agreed: bool


class Said(TypedDict):
    said: str


class Agreed(TypedDict):
    agreed: bool


def register() -> None:
    """Register the types; a registry scope forgets them."""

    class Say(Node, type="say"):
        what: str = "hello"

        async def __call__(self, ctx: Context) -> Text:
            CALLS.append(self.what)
            if self.what in FAILING:
                raise ValueError(f"not {self.what}")
            return {"text": self.what}

    class Confirm(Node, type="confirm"):
        question: str = "Send it?"

        async def __call__(self, text: str, ctx: Context) -> Agreed | Ask:
            if not ctx.answers:
                return Ask(question=f"{self.question} {text}", schema={"type": "boolean"})
            return {"agreed": ctx.answers[0]}

    class WriteBoth(Node, type="both"):
        async def __call__(self) -> Both:
            return {"text": "both", "agreed": True}

    class Never(Node, type="never"):
        async def __call__(self, text: str) -> Agreed:
            return {"agreed": False}

    def tell(text: str, agreed: bool) -> Said:
        return {"said": f"{text}: {agreed}"}

    node_type(tell, name="tell")


GRAPH = """\
schema: ragweave/v1
name: letters
outputs: [said]
nodes:
  write: {type: say, what: hello}
  confirm: {type: confirm}
  send: {type: tell}
edges: [start -> write -> confirm -> send -> end]
"""
