"""Filters of the node `retriever`: checked when the graph is loaded, filled from the state, held against each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.contracts import Index, IndexStats
from ragweave.orchestrator.errors import ContractError, GraphError, InputError, RagweaveError
from ragweave.orchestrator.filters import Filter, matches
from ragweave.orchestrator.values import Document

PAGES = (
    Document(id="a", text="Bread of 2023", metadata={"year": 2023, "team": "north", "readers": ["ann", "bob"]}),
    Document(id="b", text="Bread of 2024", metadata={"year": "2024", "team": "north", "readers": ["bob"]}),
    Document(id="c", text="Bread of 2025", metadata={"year": 2025, "team": "south", "readers": "ann"}),
    Document(id="d", text="Bread of no year", metadata={"team": "north", "readers": []}),
)


class Shelf(Index):
    """Keeps passages in a list; `leaks` makes it forget its filter."""

    leaks: bool = False

    async def search(self, query: str, top_k: int, where: Filter = ()) -> list[Document]:
        return [page for page in PAGES if self.leaks or matches(page, where)][:top_k]

    async def add(self, documents: Sequence[Document]) -> int:
        raise InputError("this shelf is full")

    async def delete(self, where: Filter) -> int:
        raise InputError("nothing leaves this shelf")

    async def stats(self) -> IndexStats:
        return IndexStats(len(PAGES), len(PAGES), 0, None, 0, None, "exact")


@pytest.fixture(autouse=True)
def shelf() -> Iterator[None]:
    """The type, for the time of a test."""
    with registry.scope():
        registry.add("retrievers", "shelf", Shelf)
        yield


def graph(where: str, *, inputs: str = "question: str", access: str = "", leaks: bool = False) -> Graph:
    text = f"""
schema: ragweave/v1
inputs: {{{inputs}}}
outputs: [documents]
retrievers:
  shelf: {{type: shelf, leaks: {str(leaks).lower()}, fields: {{year: int, team: str, readers: "list[str]"}}{access}}}
nodes:
  find: {{type: retriever, retriever: shelf{where}}}
edges: [start -> find -> end]
"""
    return Graph.parse(text)


def ids(graph: Graph, **inputs: Any) -> list[str]:
    return [document.id for document in graph.run(question="bread?", **inputs)["documents"]]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('{year: {">=": 2024}}', "bc"),
        ('{year: {">": 2023, "<": 2025}}', "b"),
        ("{year: 2024}", "b"),
        ("{year: [2023, 2025]}", "ac"),
        ("{team: north, year: {in: [2023, 2024, 2025]}}", "ab"),
        ("{readers: ann}", "ac"),
        ("{readers: {contains: bob}, team: south}", ""),
    ],
)
def test_only_passages_that_fulfil_the_filter_are_found(where: str, found: str) -> None:
    assert ids(graph(f", where: {where}")) == list(found)


def test_a_filter_takes_values_from_the_state() -> None:
    made = graph(
        ', where: {year: {">=": "{since}"}, team: {in: "{teams}"}}',
        inputs='question: str, since: int, teams: "list[str]"',
    )
    assert ids(made, since=2024, teams=["north"]) == ["b"]
    assert ids(made, since=2023, teams=["north", "south"]) == ["a", "b", "c"]
    assert ids(made, since=2023, teams=[]) == []


def test_a_key_that_the_state_lacks_or_has_of_another_type_is_found_when_the_graph_is_loaded() -> None:
    with pytest.raises(GraphError, match="since"):
        graph(', where: {year: {">=": "{since}"}}')
    with pytest.raises(GraphError, match="since"):
        graph(', where: {year: {">=": "{since}"}}', inputs="question: str, since: str")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("{yaer: 2024}", "nodes.find.where.yaer: the retriever has no field 'yaer'; did you mean 'year'?"),
        ("{year: {contains: 2}}", "nodes.find.where.year.contains: year is an int, which has no 'contains'"),
        ("{year: soon}", "nodes.find.where.year: expected a whole number, found 'soon'"),
        ("{year: {in: [2024, soon]}}", "nodes.find.where.year.in: expected a list, each item a whole number"),
        ("{year: {}}", "nodes.find.where.year: year has no condition; there is: ==, in, <, <=, >, >="),
    ],
)
def test_a_filter_that_cannot_be_kept_is_told_at_its_place(where: str, said: str) -> None:
    with pytest.raises(GraphError) as caught:
        graph(f", where: {where}")
    (problem,) = caught.value.problems
    assert problem.code == "RW133"
    assert said in problem.message
    assert problem.line == 8
    assert problem.column > 45


def test_what_a_filter_does_not_let_through_is_never_shown() -> None:
    leaking = graph(", where: {team: south}", leaks=True)
    with pytest.raises(RagweaveError) as caught:
        leaking.run(question="bread?")
    assert isinstance(caught.value.__cause__, ContractError) or "does not let through" in str(caught.value)


def test_access_keeps_tenants_and_readers_apart() -> None:
    made = graph("", access=", access: {tenant: team, readers: readers}")
    assert ids(made, tenant="north", user="bob") == ["a", "b"]
    assert ids(made, tenant="south", user="bob") == []
    assert ids(made, tenant="south", user="ann") == ["c"]


@pytest.mark.parametrize(("who", "lacks"), [({"user": "bob"}, "tenant"), ({"tenant": "north"}, "user")])
def test_without_a_tenant_or_a_user_nothing_is_searched(who: dict[str, Any], lacks: str) -> None:
    made = graph("", access=", access: {tenant: team, readers: readers}")
    with pytest.raises(RagweaveError, match=f"pass {lacks}= to the run"):
        made.run(question="bread?", **who)


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("{tenant: taem}", "access.tenant: 'taem' is not among fields; did you mean 'team'?"),
        ("{readers: team}", r"access.readers: 'team' is of kind str, not list\[str\]"),
    ],
)
def test_an_access_by_a_field_that_is_none_is_found_when_the_graph_is_loaded(access: str, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        graph("", access=f", access: {access}")
