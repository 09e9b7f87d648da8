"""What calls cost, by a price file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave import Graph, GraphError, RunError
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.prices import Price, load_prices, read_prices
from ragweave.orchestrator.values import Answer, Usage
from tests.support.openai_server import OpenAIServer, Reply

PRICES = """\
currency: USD
models:
  test-model: {input: 1.25, cached: 0.125, output: 10}
  other: {input: 0, output: 0}
"""
GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
prices: prices.yaml
models:
  main: {type: openai, model: test-model, base_url: "${env:MAIN}", api_key: "${env:KEY}"}
  spare: {type: scripted, replies: [Spare.], repeat: true}
  dead: {type: openai, model: gone, base_url: "http://127.0.0.1:9/v1", max_retries: 0}
  chat: {type: first_of, models: [dead, main]}
prompts: {plain: {text: "{{ question }}", variables: {question: str}}}
nodes: {answer: {type: generator, model: MODEL, prompt: plain}}
edges: [start -> answer -> end]
"""

BILLED = Reply("Left.", usage=(1000, 200))

usages = st.builds(
    Usage,
    calls=st.integers(0, 3),
    input_tokens=st.integers(0, 10**6),
    priced=st.integers(0, 3),
    spent=st.decimals(0, 100, places=9),
)


def test_a_file_is_read_exactly(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICES)
    prices = read_prices(tmp_path / "prices.yaml")
    assert prices.currency == "USD"
    assert prices.models["test-model"] == Price(Decimal("1.25"), Decimal(10), Decimal("0.125"))
    assert prices.models["test-model"].of(1_000_000, 1000, 400_000) == Decimal("0.81")
    assert prices.find(["nothing", "other"]) == Price(Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("USD", "5", "p.yaml:1:11: 'currency' is 5; it is three letters"),
        ("currency: USD\n", "", "p.yaml:1:1: 'currency' is missing"),
        ("currency", "curency", "p.yaml:1:1: unknown key 'curency'; did you mean 'currency'?"),
        ("1.25", "-1", "p.yaml:3:23: test-model.input: expected a number of at least 0, found -1"),
        ("1.25", "cheap", "p.yaml:3:23: test-model.input: expected a number of at least 0, found 'cheap'"),
        ("1.25", "true", "p.yaml:3:23: test-model.input: expected a number of at least 0, found True"),
        ("cached", "cach", "p.yaml:3:29: test-model: unknown key 'cach'; did you mean 'cached'?"),
        (", output: 10", "", "p.yaml:3:15: test-model: 'output' missing; a price that is nothing is 0"),
        ("{input: 0, output: 0}", "free", "p.yaml:4:10: other: expected the prices of a million tokens"),
        ("models", "model", "p.yaml:2:1: unknown key 'model'; did you mean 'models'?"),
        ("models:", "models: [", "p.yaml:"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "p.yaml").write_text(PRICES.replace(old, new, 1))
    prices, faults = load_prices(tmp_path / "p.yaml", "p.yaml")
    assert prices is None
    assert any(fault.startswith(said) for fault in faults), faults
    with pytest.raises(ResourceError, match=r"p\.yaml:"):
        read_prices(tmp_path / "p.yaml", "p.yaml")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("currency: x\nmodels: {a: {input: b}, c: 5}\n")
    assert len(load_prices(tmp_path / "p.yaml")[1]) == 4


@given(usages, usages, usages)
def test_usage_adds_up_in_any_order_and_unknown_cost_stays_unknown(one: Usage, two: Usage, three: Usage) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + Usage() == Usage() + one == one
    assert (one + two).since(one).spent == two.spent
    whole = Usage(calls=1, priced=1, spent=Decimal("0.1"), currency="USD")
    assert (whole + Usage(calls=1)).cost is None
    assert (whole + whole).cost == Decimal("0.2")


def test_money_of_two_currencies_is_not_added() -> None:
    euro, dollar = (Usage(calls=1, priced=1, spent=Decimal(1), currency=one) for one in ("EUR", "USD"))
    assert (euro + dollar).cost is None
    assert (euro + dollar).spent == 1


def graph_of(folder: Path, model: str, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setenv("MAIN", server.url)
    monkeypatch.setenv("KEY", server.key)
    (folder / "prices.yaml").write_text(PRICES)
    (folder / "graph.yaml").write_text(GRAPH.replace("MODEL", model))
    return Graph.load(folder / "graph.yaml")


def test_a_run_knows_what_it_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        OpenAIServer([Reply("Left.", usage=(1000, 200))]) as server,
        graph_of(tmp_path, "main", server, monkeypatch) as graph,
    ):
        usage = graph.run(question="Where?").usage
    assert (usage.cost, usage.currency, usage.calls) == (Decimal("0.00325"), "USD", 1)


def test_calls_that_never_began_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        OpenAIServer([Reply("Left.", usage=(1000, 200))]) as server,
        graph_of(tmp_path, "chat", server, monkeypatch) as graph,
    ):
        usage = graph.run(question="Where?").usage
    assert (usage.cost, usage.calls) == (Decimal("0.00325"), 2)


def test_a_model_without_a_price_has_an_unknown_cost_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with OpenAIServer() as server, graph_of(tmp_path, "spare", server, monkeypatch) as graph:
        graph.resources.notice = said.append
        assert [graph.run(question="Where?").usage.cost for _ in range(2)] == [None, None]
    assert said == ["prices.yaml has no price of 'spare': what runs with that model cost is not known"]


def test_an_endpoint_that_reports_no_tokens_has_an_unknown_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer([Reply("Left.", usage=None)]) as server, graph_of(tmp_path, "main", server, monkeypatch) as graph:
        assert graph.run(question="Where?").usage.cost is None


RESUMED = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
prices: prices.yaml
models: {spare: {type: scripted, replies: [Spare.], repeat: true}}
prompts: {plain: {text: "{{ question }}", variables: {question: str}}}
nodes:
  answer: {type: generator, model: spare, prompt: plain}
  check: {type: check_for_price}
edges: [start -> answer -> check -> end]
"""


def test_a_resumed_run_still_knows_what_it_cost(tmp_path: Path) -> None:
    fails = [True]

    def check(answer: Answer) -> None:
        if fails.pop():
            raise ValueError("not today")

    (tmp_path / "prices.yaml").write_text(PRICES + "  spare: {input: 3, output: 7}\n")
    (tmp_path / "graph.yaml").write_text(RESUMED)
    with registry.scope():
        registry.add("nodes", "check_for_price", check)
        with Graph.load(tmp_path / "graph.yaml") as graph:
            with pytest.raises(RunError) as caught:
                graph.run(question="Where?")
            fails.append(False)
            usage = graph.resume(caught.value.run_id).usage
    assert usage.cost == Decimal("0.00001")


def test_a_wrong_price_file_is_found_by_the_check(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH.replace("MODEL", "spare"))
    with pytest.raises(GraphError, match=r"yaml:4:9  RW311  prices: the price file 'prices.yaml' does not exist"):
        Graph.load(tmp_path / "graph.yaml")
    (tmp_path / "prices.yaml").write_text(PRICES.replace("1.25", "x"))
    with pytest.raises(GraphError, match=r"RW311  prices: prices\.yaml:3:23: test-model\.input: expected a number"):
        Graph.load(tmp_path / "graph.yaml")
