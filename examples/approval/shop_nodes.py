"""The node types `order` and `refund`: two files, in the place of a shop and its bank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from pydantic import Field

from ragweave import Context, Node


class Found(TypedDict):
    """What `order` writes."""

    found: bool
    customer: str
    item: str
    paid: float
    amount: float


class Order(Node, type="order"):
    """Look an order up: who bought what, what was paid, and what is left of it to be given back."""

    file: str = Field(min_length=1, description="JSON: orders by number; beside the graph.")

    def __call__(self, order: str, ctx: Context) -> Found:
        known = json.loads((_folder(ctx) / self.file).read_text(encoding="utf-8")).get(order)
        if known is None:
            return {"found": False, "customer": "", "item": "", "paid": 0.0, "amount": 0.0}
        return {"found": True, "amount": known["paid"] - known["refunded"], **{key: known[key] for key in _KEYS}}


_KEYS = ("customer", "item", "paid")


class Sent(TypedDict):
    """What `refund` writes."""

    sent: str


class Refund(Node, type="refund"):
    """Give money back: a line in `refunds.jsonl`, once for each call, however often its run is resumed."""

    effects = "write"
    idempotent = True

    def __call__(self, order: str, amount: float, reason: str, ctx: Context) -> Sent:
        file = _folder(ctx) / "refunds.jsonl"
        done = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        if not any(json.loads(line)["key"] == ctx.key for line in done):
            row = {"key": ctx.key, "order": order, "amount": amount, "reason": reason}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")
        return {"sent": f"{amount:.2f}"}


def _folder(ctx: Context) -> Path:
    return ctx.resources.folder if ctx.resources is not None else Path()
