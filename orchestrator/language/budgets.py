"""Budgets that cannot be kept, or whose on_exceed could never do what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.errors import RagweaveError
from ragweave.orchestrator.language.names import names_in
from ragweave.orchestrator.language.policies import BudgetPolicy
from ragweave.orchestrator.language.report import Report, path
from ragweave.orchestrator.language.spec import Place
from ragweave.orchestrator.node import Node
from ragweave.orchestrator.types import parse_type

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import ChatModel
    from ragweave.orchestrator.models.prices import Price
    from ragweave.orchestrator.resources import Resources

_DOCUMENTS = parse_type("list[Document]")


class _Inside(NamedTuple):
    """A node in the scope of a budget: its way from there, and the resources of its file."""

    name: str
    node: Node
    reads_documents: bool
    resources: Resources

    @property
    def models(self) -> list[str]:
        """The models that it asks."""
        if not self.node.asks_models:
            return []
        settings = {name: getattr(self.node, name, None) for name in type(self.node).model_fields}
        return [one.name for one in names_in(type(self.node), settings) if one.kind == "models"]


def check_budgets(report: Report, nodes: Mapping[str, BoundNode], resources: Resources) -> None:
    """Say what is wrong with the budgets of a graph and of its nodes, of which these could be built."""
    spec = report.spec
    every = {name: list(_inside(bound, name, resources)) for name, bound in nodes.items()}
    if spec.budget is not None:
        inside = [one for ones in every.values() for one in ones]
        _Check(report, spec.budget, ("budget",), inside, whole=len(nodes) == len(spec.nodes)).all()
    for name, bound in nodes.items():
        if bound.policies.budget is not None:
            _Check(report, bound.policies.budget, ("nodes", name, "budget"), every[name], whole=True).all()


def _inside(bound: BoundNode, name: str, resources: Resources) -> Iterator[_Inside]:
    for member in bound.members:
        node = member.node
        if node.nested:
            inner: Resources = node.inner_resources  # type: ignore[attr-defined]
            for step in node.plan.steps:  # type: ignore[attr-defined]
                if step.bound is not None:
                    yield from _inside(step.bound, f"{name}/{step.name}", inner)
        else:
            documents = any(read.type == _DOCUMENTS for read in member.signature.reads.values())
            yield _Inside(name, node, documents, resources)


class _Check:
    """One budget and what is in its scope."""

    def __init__(
        self, report: Report, policy: BudgetPolicy, place: Place, inside: list[_Inside], *, whole: bool
    ) -> None:
        self.report = report
        self.policy = policy
        self.place = place
        self.inside = inside
        self.whole = whole
        """True if all that is in the scope is known."""
        self.counts = policy.max_tokens is not None or policy.max_cost_usd is not None

    def all(self) -> None:
        if self.policy.max_cost_usd is not None:
            self.prices()
        if self.counts:
            limit = "max_tokens" if self.policy.max_tokens is not None else "max_cost_usd"
            for one in self.inside:
                if not one.node.reserves:
                    said = f"{one.name!r} asks models by itself, so nothing can be held for its calls"
                    self.add("RW135", (limit,), f"{said}; use models of the graph there, or leave it out of the budget")
        if (
            self.policy.max_tool_calls is not None
            and self.whole
            and not any(one.node.calls_tools for one in self.inside)
        ):
            self.add("RW135", ("max_tool_calls",), "no tool_executor is in its scope, so there is nothing to count")
        for index, way in enumerate(self.policy.on_exceed):
            if way == "fewer_documents":
                self.fewer(index)
            elif way == "cheaper_model":
                self.cheaper(index)

    def fewer(self, index: int) -> None:
        if not self.counts:
            self.add("RW135", ("on_exceed", index), "fewer documents save neither time nor calls of tools")
        elif self.whole and not any(one.reads_documents and one.models for one in self.inside):
            self.add("RW135", ("on_exceed", index), "no node in its scope shows documents to a model")

    def cheaper(self, index: int) -> None:
        if self.policy.max_cost_usd is None:
            self.add("RW135", ("on_exceed", index), "a cheaper model saves money, and max_cost_usd is not given")
            return
        unknown = not self.whole
        for one in self.inside:
            for name in one.models:
                used = list(_prices(one.resources, name))
                others = {
                    other: list(_prices(one.resources, other))
                    for other in one.resources.names("models")
                    if other != name
                }
                unknown = unknown or None in used or any(None in found for found in others.values())
                for price in used:
                    for found in others.values():
                        if price is not None and len(found) == 1 and found[0] is not None and _lower(found[0], price):
                            return
        if not unknown:
            self.add("RW135", ("on_exceed", index), "no model that the graph declares is cheaper than those it asks")

    def prices(self) -> None:
        """Every model in the scope has a price in dollars."""
        told: set[tuple[str, str]] = set()
        for one in self.inside:
            prices, name = _file(one.resources), ""
            for model in one.models:
                name = next(_unpriced(one.resources, model, set()), "")
                if not name or (one.resources.price_file, name) in told:
                    continue
                told.add((one.resources.price_file, name))
                if prices == "":
                    said = f"what model {name!r} of {one.name!r} costs is not known; name a price file under prices"
                elif prices != "USD":
                    said = f"the prices in {one.resources.price_file} are in {prices}, not in USD"
                else:
                    said = f"{one.resources.price_file} has no price of {name!r}, which {one.name!r} asks"
                if prices is not None:
                    self.add("RW312", ("max_cost_usd",), said)

    def add(self, code: str, place: Place, said: str) -> None:
        where = (*self.place, *place)
        self.report.value(where, code, f"{path(where)}: {said}")


def _file(resources: Resources) -> str | None:
    """The currency of the prices; empty without a price file, None for one that is wrong, which was said."""
    try:
        prices = resources.prices
    except RagweaveError:
        return None
    return prices.currency if prices is not None else ""


def _leaves(resources: Resources, name: str, seen: set[str]) -> Iterator[tuple[str, ChatModel | None, str]]:
    """The models that answer for this one: name, model, and how it is priced; None for one that is not known yet."""
    if name in seen:
        return
    seen.add(name)
    model: ChatModel | None = resources.as_declared("models", name)
    if model is None:
        yield name, None, ""
        return
    if model.type_name == "auto":
        given = [getattr(model, one, None) for one in ("model", "base_url", "api_key")]
        yield name, model, "tokens" if any(given) else "free"
        return
    pricing = model.pricing()
    if pricing != "members":
        yield name, model, pricing
        return
    inner = model.names() if hasattr(model, "names") else [getattr(model, "model", "")]
    for one in inner:
        if one:
            yield from _leaves(resources, one, seen)


def _unpriced(resources: Resources, name: str, seen: set[str]) -> Iterator[str]:
    """The models without a price in dollars, of those that answer for this one."""
    from ragweave.orchestrator.models.prices import names_of

    currency = _file(resources)
    for leaf, model, pricing in _leaves(resources, name, seen):
        if model is None or pricing == "free":
            continue
        found = resources.prices.find(names_of(model, leaf)) if currency == "USD" and resources.prices else None
        if found is None:
            yield leaf


def _prices(resources: Resources, name: str) -> Iterator[Price | None]:
    """The prices of the models that answer for this one; None for what is not known here."""
    from ragweave.orchestrator.models.prices import names_of
    from ragweave.orchestrator.running.budgets.bounds import FREE

    known = _file(resources) == "USD"
    for leaf, model, pricing in _leaves(resources, name, set()):
        if pricing == "free":
            yield FREE
        else:
            yield (
                resources.prices.find(names_of(model, leaf))
                if model is not None and known and resources.prices
                else None
            )


def _lower(one: Price, other: Price) -> bool:
    return one.input < other.input or one.output < other.output
