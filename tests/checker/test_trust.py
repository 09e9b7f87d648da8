"""Words of others on every way through a graph: what the checker refuses, where, and what lets it through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragweave import tool
from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.errors import GraphError, Problem
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.resources import Resources

AGENT = """schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
models: {chat: {type: scripted, replies: [x]}}
prompts: {ask: {text: "{{ question }}", variables: {question: str}}}
nodes:
  think: {type: generator, model: chat, prompt: ask, tools: [peek, pay, light]}
  act: {type: tool_executor, tools: [peek, pay, light]}
edges:
  - start -> think
  - {from: think, routes: [{when: size(tool_calls) > 0, to: act}, {to: end}]}
  - {from: act, routes: [{to: think, max_iterations: 4}, {to: end}]}
"""
RAG = """schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
retrievers: {pages: {type: hybrid, index: .ragweave/pages}}
checks: {short: {type: length, max_chars: 9}}
nodes:
  find: {type: retriever, retriever: pages}
  answer: {type: generator}
  tell: {type: notify, url: "https://example.org/hook", send: [answer]}
edges: [start -> find -> answer -> tell -> end]
"""


@pytest.fixture(autouse=True)
def _tools() -> Iterator[None]:
    with registry.scope():

        @tool(effects="read")
        async def peek(at: str) -> str:
            """Look something up."""
            return at

        @tool(effects="external")
        async def pay(order: int, amount: float) -> str:
            """Pay it back."""
            return f"{order} {amount}"

        @tool(effects="write")
        async def light(on: bool) -> str:
            """Switch the light."""
            return str(on)

        yield


def found(text: str) -> list[Problem]:
    spec, problems = load_text(text)
    resources = Resources(spec.resources.values(), environ={})
    resources.approval = spec.approval
    return [one for one in check(spec, problems, resources).problems if one.code.startswith("RW5")]


def places(text: str) -> list[str]:
    return [f"{one.line}:{one.column} {one.code}" for one in found(text)]


def test_an_agent_that_reads_and_pays_is_refused_at_the_tool_that_pays() -> None:
    (problem,) = found(AGENT)
    assert (problem.code, problem.line, problem.column, problem.severity) == ("RW501", 8, 44, "error")
    assert "what tools gave" in problem.message
    assert "approval: [{ask: pay}]" in problem.message  # `light` takes true or false only


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        ("[{allow: peek}, {ask: pay}]", False),
        ("[{allow: peek}]", False),  # what no rule names is denied
        ('[{ask: "*"}]', False),
        ("[{allow: pay}]", True),
        ('[{allow: "p*"}, {ask: pay}]', False),  # the rule that allows is passed over
        ("[{allow: pay, when: arguments.amount <= 2}]", True),
        ("[{allow: pay, when: arguments.amount <= 2}, {ask: pay}]", False),
        ("[{allow: pay, when: arguments.amount <= 2}, {ask: pay, when: arguments.amount > 2}]", True),
        ("[{allow: pay, when: arguments.amount <= 2, named: order}]", False),
        ("[{allow: pay, named: [order, amount]}]", False),
        ("[{allow: pay, named: [amount]}]", True),
        ("[{allow: pay, from: tool}]", False),
        ("[{allow: pay, from: [retrieved, memory]}]", True),
    ],
)
def test_rules_that_hold_a_call_and_rules_that_do_not(rules: str, refused: bool) -> None:
    assert bool(places(AGENT + f"approval: {rules}\n")) is refused


def test_a_person_before_the_executor_is_enough() -> None:
    assert places(AGENT.replace("tools: [peek, pay, light]}\nedges", "tools: [pay], interrupt: true}\nedges")) == []


def test_a_call_that_only_the_user_has_led_to_is_not_looked_at() -> None:
    once = AGENT.replace("[{to: think, max_iterations: 4}, {to: end}]", "[{to: end}]")
    assert places(once) == []


def test_a_tool_without_arguments_is_a_choice_too() -> None:
    @tool(effects="external")
    async def ring() -> str:
        """Ring the bell."""
        return "ding"

    text = AGENT.replace("[peek, pay, light]", "[peek, ring]")
    assert places(text) == ["8:44 RW501"]
    assert places(text + "approval: [{allow: [peek, ring]}]\n") == ["8:44 RW501"]


def test_tools_of_a_server_count_as_external_and_no_server_is_asked() -> None:
    text = AGENT.replace("[peek, pay, light]", "[shop]") + "tools: {shop: {type: mcp, command: [no-such-program]%s}}\n"
    assert places(text % "") == ["8:38 RW501"]
    assert places(text % ", read_only: ['*']") == []
    assert places(text % "" + 'approval: [{ask: "shop_*"}]\n') == []
    assert places(text % "" + 'approval: [{allow: shop_buy}, {ask: "shop_*"}]\n') == []
    assert places(text % "" + "approval: [{allow: shop_buy}]\n") == ["8:38 RW501"]
    assert places(text % ", read_only: [price]" + "approval: [{allow: shop_price}]\n") == []


def test_a_node_that_sends_what_was_retrieved_is_refused() -> None:
    assert places(RAG) == ["9:3 RW502"]
    assert places(RAG.replace("send: [answer]}", "send: [question]}")) == []
    assert places(RAG.replace("send: [answer]}", "send: [answer], interrupt: true}")) == []


def test_a_guardrail_on_every_way_clears_and_on_one_way_does_not() -> None:
    gate = "  gate: {type: guardrail, checks: [short], of: documents%s}\n"
    text = RAG.replace("edges: [start -> find -> answer", gate + "edges: [start -> find -> gate -> answer")
    assert places(text % ", clears: [retrieved]") == []
    assert places(text % "") == ["9:3 RW502"]
    assert places(text % ", clears: [tool]") == ["9:3 RW502"]
    around = (text % ", clears: [retrieved]").replace(
        "[start -> find -> gate -> answer -> tell -> end]",
        '[start -> find, {from: find, routes: [{when: question == "", to: gate}, {to: answer}]}, '
        "gate -> answer, answer -> tell -> end]",
    )
    assert places(around) == ["9:3 RW502"]


def test_what_was_retrieved_does_not_stand_in_a_system_message() -> None:
    text = RAG.replace("  answer: {type: generator}\n", "  answer: {type: generator, prompt: cook}\n")
    text = text.replace('  tell: {type: notify, url: "https://example.org/hook", send: [answer]}\n', "")
    text = text.replace(" -> tell", "")
    prompt = (
        'prompts: {cook: {text: "## system\\n%s\\n\\n## user\\n{{ question }} {{ documents | tojson }}", '
        'variables: {question: str, documents: "list[Document]"}}}\n'
    )
    assert places(text + prompt % "{{ documents | tojson }}") == ["8:37 RW503"]
    assert places(text + prompt % "{% for one in documents %}{{ one.text }}{% endfor %}") == ["8:37 RW503"]
    assert places(text + prompt % "{% if documents %}Answer.{% endif %} {{ question }}") == []


def test_private_data_and_a_way_out_are_warned_of() -> None:
    text = AGENT.replace("[peek, pay, light]", "[box, web]")
    text += "tools: {box: {type: files, root: .}, web: {type: http, hosts: [example.org]}}\n"
    (problem,) = found(text)
    assert (problem.code, problem.severity, problem.line, problem.column) == ("RW504", "warning", 8, 43)
    assert found(text + 'approval: [{allow: "box_*"}, {ask: web}]\n') == []
    assert found(text.replace("[box, web]", "[web]")) == []


def test_what_a_graph_is_given_is_followed_into_it() -> None:
    inner = Graph.parse(
        """
schema: ragweave/v1
inputs: {text: str}
outputs: [delivery]
nodes:
  tell: {type: notify, url: "https://example.org/hook", send: [text]}
edges: [start -> tell -> end]
"""
    )
    found_text = {
        "find": {"type": "retriever", "retriever": "pages"},
        "join": {"type": "combine", "reads": {"texts": "documents"}},
    }
    with pytest.raises(GraphError, match=r"in the graph of 'send': 'tell' \(external\) reads 'text'"):
        Graph(
            inputs={"question": "str"},
            outputs=["delivery"],
            retrievers={"pages": {"type": "hybrid", "index": ".ragweave/pages"}},
            nodes={**found_text, "send": inner},
            edges=["start -> find -> join -> send -> end"],
        )
    given = Graph(inputs={"text": "str"}, outputs=["delivery"], nodes={"send": inner}, edges=["start -> send -> end"])
    assert given.problems == ()
