"""Checks around the calls of models, retrievers and tools, in graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ragweave import Graph
from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import Blocked, RunError
from ragweave.orchestrator.guardrails.check import Check, Finding, Subject
from ragweave.orchestrator.guardrails.guards import opened
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.values import Document, Message

WORDS = "polite: {type: words, words: [damn]}"


def desk(
    replies: str, guard: str, *, checks: str = WORDS, node: str = "model: chat", inputs: str = "question: str"
) -> str:
    return f"""
schema: ragweave/v1
name: desk
inputs: {{{inputs}}}
outputs: [answer]
checks:
  {checks}
models:
  chat: {{type: scripted, replies: {replies}, guard: {guard}}}
prompts:
  clerk: {{text: "{{{{ question }}}}", variables: {{question: str}}}}
nodes:
  think: {{type: generator, prompt: clerk, {node}}}
edges: [start -> think -> end]
"""


async def streamed(graph: Graph, **inputs: Any) -> tuple[str, list[Any], BaseException | None]:
    """What was shown, the events, and why the run failed if it did."""
    events: list[Any] = []
    try:
        async for event in graph.stream(**inputs):
            events += [event]
    except RunError as error:
        return "".join(one.text for one in events), events, error.__cause__
    return "".join(one.text for one in events), events, None


def asked(graph: Graph, name: str = "chat") -> str:
    return str(graph.resources.get("models", name).requests[-1].messages[-1].text)


def test_the_model_reads_tags_and_the_user_values() -> None:
    graph = Graph.parse(desk('["I wrote to [EMAIL_ADDRESS_1]."]', "{input: [pii]}"))
    assert str(graph.run(question="Write to jo@example.org!")["answer"]) == "I wrote to jo@example.org."
    assert asked(graph) == "Write to [EMAIL_ADDRESS_1]!"


async def test_a_tag_in_pieces_is_shown_as_what_it_stands_for() -> None:
    graph = Graph.parse(desk('[{chunks: ["To [EMA", "IL_ADDRESS", "_1] and [EMAIL"]}]', "{input: [pii]}"))
    text, events, _ = await streamed(graph, question="Write to jo@example.org!")
    assert text == "To jo@example.org and [EMAIL"
    assert [one.data["action"] for one in events if one.kind == "guarded"] == ["redact"]


async def test_a_blocked_input_never_reaches_the_model() -> None:
    graph = Graph.parse(desk("[hello]", "{input: [polite]}"))
    text, events, error = await streamed(graph, question="Where is my damn parcel?")
    assert isinstance(error, Blocked)
    assert (error.resource, error.side, error.transient) == ("models.chat", "input", False)
    assert error.reasons == ("polite: a word that must not be said",)
    assert "parcel" not in str(error)
    assert not text
    assert not graph.resources.get("models", "chat").requests
    assert [one.kind for one in events if one.kind in ("guarded", "blocked")] == ["blocked"]


async def test_a_blocked_reply_ends_the_stream_with_an_event() -> None:
    graph = Graph.parse(desk('["It is so damn late that nobody is here any more"]', "{output: [polite]}"))
    text, events, error = await streamed(graph, question="When?")
    assert isinstance(error, Blocked)
    assert error.side == "output"
    assert text == "It is so "
    kinds = [one.kind for one in events]
    assert "token" not in kinds[kinds.index("blocked") :]
    assert next(one for one in events if one.kind == "blocked").data["reasons"] == [
        "polite: a word that must not be said"
    ]
    assert events[-1].kind == "run_failed"


def test_an_edge_of_errors_takes_what_was_blocked() -> None:
    text = desk("[damn]", "{output: [polite]}", node="model: chat, on_error: refuse").replace(
        "edges: [start -> think -> end]",
        "  refuse: {type: reply, text: I would rather not., confidence: 0}\n"
        "edges: [start -> think -> end, refuse -> end]",
    )
    assert str(Graph.parse(text).run(question="?")["answer"]) == "I would rather not."


class Failing(Check, type="failing_guard"):
    """Fails."""

    async def find(self, text: str, subject: Subject) -> Sequence[Finding]:
        raise OSError("the server is gone")


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_check_that_fails_blocks(side: str) -> None:
    graph = Graph.parse(desk("[hello]", f"{{{side}: [broken]}}", checks="broken: {type: failing_guard, action: flag}"))
    with pytest.raises(RunError, match="could not be checked") as error:
        graph.run(question="?")
    assert isinstance(error.value.__cause__, Blocked)


def test_system_messages_are_the_author_s() -> None:
    text = desk("[hello]", "{input: [polite]}").replace(
        '{text: "{{ question }}"', '{text: "## system\\nNever say damn.\\n\\n## user\\n{{ question }}"'
    )
    assert str(Graph.parse(text).run(question="?")["answer"]) == "hello"


def test_a_structured_reply_is_checked_in_its_texts() -> None:
    graph = Graph.parse(
        desk(
            """['{"city": "d\\u0061mn"}', '{"city": "Bonn"}', '{"city": "[EMAIL_ADDRESS_1]"}']""",
            "{input: [pii], output: [polite]}",
            node="model: chat, fields: {city: str}",
        ).replace("outputs: [answer]", "outputs: [city]")
    )
    with pytest.raises(RunError, match="polite"):
        graph.run(question="?")
    assert graph.run(question="?")["city"] == "Bonn"
    assert graph.run(question="I am jo@example.org")["city"] == "jo@example.org"


def test_marks_are_where_they_are_in_what_is_shown() -> None:
    text = """
schema: ragweave/v1
inputs: {question: str, documents: "list[Document]"}
outputs: [answer]
models:
  chat:
    type: scripted
    replies: ["Write to ann@example.org [1], or call. Open from nine [2][7]."]
    guard: {output: [pii]}
nodes: {think: {type: generator, model: chat}}
edges: [start -> think -> end]
"""
    documents = [Document(id="a", text="Write to the desk."), Document(id="b", text="We are open from nine on.")]
    answer = Graph.parse(text).run(question="When?", documents=documents)["answer"]
    assert answer.text == "Write to [EMAIL_ADDRESS_1] [1], or call. Open from nine [2]."
    assert [(one.number, one.document) for one in answer.citations] == [(1, "a"), (2, "b")]
    assert answer.citations[1].quote == "We are open from nine on."


def test_members_of_a_model_made_of_others_keep_their_guards() -> None:
    text = desk("[damn]", "{output: [polite]}").replace(
        "prompts:",
        "  other: {type: scripted, replies: [well]}\n  both: {type: first_of, models: [chat, other]}\nprompts:",
    )
    graph = Graph.parse(text.replace("model: chat", "model: both"))
    assert str(graph.run(question="?")["answer"]) == "well"


async def test_whoever_calls_the_model_the_guard_is_there() -> None:
    model = Scripted(replies=["so damn late"], guard={"output": ["words_of_mine"]})
    graph = Graph.parse(desk("[x]", "{}", checks="words_of_mine: {type: words, words: [damn]}"))
    opened(model, graph.resources)
    said = ""
    request = ChatRequest(messages=[Message.of("user", "?")])

    async def listen() -> None:
        nonlocal said
        async for chunk in model.stream(request):
            said += chunk.text

    with pytest.raises(Blocked):
        await listen()
    assert said == "so "
