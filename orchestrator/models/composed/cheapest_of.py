"""The model that answers for the least money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import ChatModel, ChatRequest
from ragweave.orchestrator.errors import ResourceError, closest, did_you_mean
from ragweave.orchestrator.models.composed.first_of import Listed
from ragweave.orchestrator.models.composed.members import Call, Member
from ragweave.orchestrator.models.prices import Price, Prices, names_of, read_prices

if TYPE_CHECKING:
    from ragweave.orchestrator.resources import Resources

LETTERS_A_TOKEN = 4
FIRST_GUESS = 300.0
_WEIGHT = 0.2
FREE = Price(Decimal(0), Decimal(0), Decimal(0))


class CheapestOf(Listed, type="cheapest_of"):
    """Asks the model that should cost least; if it fails before it has said anything, the next cheapest.

    Reckons with the tokens of the request (by the model's tokenizer where it has one at hand, else one for 4 letters)
    and with the length of earlier replies. Every model needs a price, be it 0.
    """

    prices: str = Field("", description="The price file; without it, that of the graph.")

    _table: Mapping[str, Price] = PrivateAttr(default_factory=dict)
    _length: float = PrivateAttr(FIRST_GUESS)

    def check_files(self, folder: Path) -> None:
        """Raise ResourceError, with its lines, for a price file of its own that is wrong."""
        if self.prices:
            read_prices(folder / self.prices, self.prices)

    def open(self, resources: Resources) -> None:
        """Find the price of each model. Raises ResourceError that names those that have none."""
        super().open(resources)
        prices = read_prices(resources.folder / self.prices, self.prices) if self.prices else resources.prices
        if prices is None:
            raise ResourceError("there are no prices to choose by", hint="set prices: to a price file")
        self._table = {
            member.name: _price(member.model, member.name, prices)
            for member in self.members
            if member.model is not None
        }

    def order(self, request: ChatRequest, members: Sequence[Member]) -> Iterable[Member]:
        """By what this request should cost, the cheapest first; as they are named where that is equal."""
        return sorted(members, key=lambda member: self.estimate(request, member))

    def estimate(self, request: ChatRequest, member: Member) -> Decimal:
        """What a request should cost at this member, in the currency of the price file."""
        assert member.model is not None
        text = "".join(message.text for message in request.messages)
        counted = member.model.count_tokens(text)
        read = counted if counted is not None else len(text) // LETTERS_A_TOKEN + 1
        written = min(round(self._length), request.max_tokens or round(self._length))
        return self._table[member.name].of(read, written)

    def learn(self, member: Member, call: Call) -> None:
        """Replies to come should be about as long as those before."""
        if call.usage.output_tokens:
            self._length += _WEIGHT * (call.usage.output_tokens - self._length)


def _price(model: ChatModel, name: str, prices: Prices) -> Price:
    pricing = model.pricing()
    if pricing == "free":
        return FREE
    if pricing == "members":
        raise ResourceError(f"{name!r} is made of other models and has no price of its own", hint="name those instead")
    names = names_of(model, name)
    price = prices.find(names)
    if price is None:
        asked = names[:-1]  # its type is not what people write
        meant = next((one for one in asked if closest(one, prices.models)), asked[-1])
        raise ResourceError(
            f"{prices.file} has no price of {' or '.join(map(repr, asked))}{did_you_mean(meant, prices.models)}",
            hint="a model that costs nothing has the price {input: 0, output: 0}",
        )
    return price
