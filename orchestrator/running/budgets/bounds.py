"""The most that a call of a model can use, known before it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from ragweave.orchestrator.contracts import ChatModel, ChatRequest
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.prices import MILLION, Price, Prices, names_of
from ragweave.orchestrator.running.budgets.accounts import NOTHING_SPENT, Bound
from ragweave.orchestrator.values import BlobPart, Message

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

REQUEST, MESSAGE, TOOLS = 64, 16, 600
"""Tokens that endpoints add by themselves: to a request, to each of its messages, and to one that has tools."""
IMAGE = 4_096
"""More than the models that we know make of one image."""
FREE = Price(Decimal(0), Decimal(0), Decimal(0))


def bound_of(model: ChatModel, request: ChatRequest, resources: Resources | None, *, money: bool) -> Bound:
    """The bound of this call. Raises ResourceError if `money` is limited and the price of a model is not known."""
    asked = list(_asked(model))
    hedged = len(asked) > 1 and bool(getattr(model, "hedge", None))
    read, usd_read, usd_written = 0, NOTHING_SPENT, NOTHING_SPENT
    for one in asked:
        tokens = tokens_of(one, request, resources)
        read += tokens  # one that fails may have read the request before
        if money:
            price = price_of(one, resources)
            usd_read += max(price.input, price.cached) * tokens / MILLION
            written = price.output / MILLION
            usd_written = usd_written + written if hedged else max(usd_written, written)
    return Bound(read, len(asked) if hedged else 1, usd_read, usd_written)


def _asked(model: ChatModel) -> Iterator[ChatModel]:
    """The models that answer for one that is made of others."""
    if model.pricing() != "members":
        yield model
        return
    inner = getattr(model, "inner", None)
    found = [inner] if inner is not None else [one.model for one in getattr(model, "members", ())]
    chosen = getattr(model, "chosen", None)
    if chosen is not None:
        found = [chosen]
    if not found:
        yield model  # it does not say of what it is made: its price is looked for
    for one in found:
        if one is not None:
            yield from _asked(one)


def tokens_of(model: ChatModel, request: ChatRequest, resources: Resources | None = None) -> int:
    """At most so many tokens are read: as the model's tokenizer counts, else one for each byte, which none exceeds."""
    total = REQUEST
    for message in request.messages:
        total += MESSAGE + _counted(model, message.text) + _beside_text(message, resources)
    if request.tools:
        total += TOOLS + _bytes(list(request.tools))
    if request.response_schema is not None:
        total += _bytes(request.response_schema)
    return total


def _counted(model: ChatModel, text: str) -> int:
    count = model.count_tokens(text)
    return count if count is not None else len(text.encode("utf-8", "surrogatepass"))


def _beside_text(message: Message, resources: Resources | None) -> int:
    total = 0
    for part in message.parts:
        if isinstance(part, BlobPart):
            held = resources.held(part.blob) if resources is not None and part.type != "image" else None
            total += max(IMAGE, len(held or b""))
    for call in message.tool_calls:
        total += MESSAGE + _bytes({"id": call.id, "name": call.name, "arguments": dict(call.arguments)})
    return total


def _bytes(data: object) -> int:
    return len(json.dumps(data, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))


def price_of(model: ChatModel, resources: Resources | None) -> Price:
    """What a million tokens of a model cost in dollars. Raises ResourceError if that is not known."""
    if model.pricing() == "free":
        return FREE
    prices: Prices | None = resources.prices if resources is not None else None
    name = resources.name_of("models", model) if resources is not None else ""
    names = names_of(model, name) or [type(model).__name__]
    if prices is None:
        raise ResourceError(
            f"a budget of dollars holds this call, and what model {names[0]!r} costs is not known",
            hint="name a price file in the graph: prices: prices.yaml",
        )
    if prices.currency != "USD":
        raise ResourceError(
            f"a budget of dollars holds this call, and the prices in {prices.file} are in {prices.currency}",
            hint="give them in USD",
        )
    price = prices.find(names)
    if price is None:
        raise ResourceError(
            f"a budget of dollars holds this call, and {prices.file} has no price of {names[0]!r}",
            hint="add it; a price that is nothing is {input: 0, output: 0}",
        )
    return price


def quotes(model: ChatModel) -> bool:
    """True of a model that has no tokens: it quotes its sources, and costs nothing."""
    return model.pricing() == "free" and not model.follows_instructions()
