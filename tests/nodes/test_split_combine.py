"""`split`, `combine` and `summariser`, alone and in the graph that sums up a text of any length."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import GraphError, ModelError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.nodes.combine import Combine
from ragweave.orchestrator.nodes.split import Split
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.texts.tokens import estimate_tokens
from ragweave.orchestrator.values import Answer, Document, Message
from ragweave.prompts.summariser import Summariser
from tests.support.listening import Listening

RECIPES = Path(__file__).parents[2] / "examples" / "cookbook" / "recipes"

LONG = """
schema: ragweave/v1
inputs: {text: str}
outputs: [text, too_long]
nodes:
  cut:    {type: split, max_tokens: 300}
  sum_up: {type: summariser, model: MODEL, words: 50, map: {over: pieces, as: text, max_concurrency: 4}}
  join:   {type: combine, max_tokens: 200, reads: {texts: summary}}
edges:
  - start -> cut -> sum_up -> join
  - from: join
    routes:
      - {when: too_long, to: cut, max_iterations: 4}
      - {to: end}
"""


class Letters(ChatModel, type="letters_for_a_test"):
    """A model whose tokens are letters."""

    def count_tokens(self, text: str) -> int:
        return len(text)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        yield ChatChunk(text=str(self.count_tokens("".join(message.text for message in request.messages))))


def using(**models: ChatModel) -> Context:
    resources = Resources()
    for name, model in models.items():
        resources.put("models", name, model)
    return Context(resources=resources)


async def test_pieces_joined_are_the_text() -> None:
    text = (RECIPES / "pho-soup.md").read_text(encoding="utf-8")
    pieces = (await Split(max_tokens=100)(text=text, ctx=Context()))["pieces"]
    assert len(pieces) > 3
    assert "".join(pieces) == text
    assert (await Split()(text=" \n ", ctx=Context()))["pieces"] == []


async def test_the_tokenizer_of_the_named_model_counts() -> None:
    ctx = using(letters=Letters(), scripted=Scripted())
    text = "abcd efgh ijkl mnop"
    assert (await Split(max_tokens=11, model="letters")(text=text, ctx=ctx))["pieces"] == ["abcd efgh ", "ijkl mnop"]
    assert (await Split(max_tokens=9, model="scripted")(text=text, ctx=ctx))["pieces"] == [text]
    assert (await Combine(max_tokens=9, model="letters")(texts=["abcd", "efgh"], ctx=ctx))["too_long"]


def test_an_overlap_of_more_than_half_is_refused_at_its_place() -> None:
    with pytest.raises(ValidationError, match="an overlap of 60 is more than half of max_tokens, 100"):
        Split(max_tokens=100, overlap=60)
    with pytest.raises(GraphError, match=r"RW106 .*an overlap of 60"):
        Graph.parse(LONG.replace("max_tokens: 300", "max_tokens: 100, overlap: 60").replace("MODEL", "extractive"))


async def test_texts_of_every_kind_are_joined_under_headings() -> None:
    texts = [
        "one\n",
        Answer(text="two [1]"),
        Document(id="d", title="Third", text="three"),
        " ",
        Message.of("user", "4"),
    ]
    node = Combine(heading="## {number} of {count}: {title}", separator="\n--\n")
    assert (await node(texts=texts, ctx=Context())) == {
        "text": "## 1 of 4: \n\none\n--\n## 2 of 4: \n\ntwo [1]\n--\n## 3 of 4: Third\n\nthree\n--\n## 4 of 4: \n\n4",
        "too_long": False,
    }
    assert (await Combine()(texts=[], ctx=Context())) == {"text": "", "too_long": False}


@pytest.mark.parametrize("heading", ["{name}", "{", "{number:>9}", "{number.real}", "{}"])
def test_a_heading_has_three_placeholders(heading: str) -> None:
    with pytest.raises(ValidationError, match="braces that are meant as such"):
        Combine(heading=heading)


async def test_too_long_counts_what_was_joined() -> None:
    for budget, long in ((5, False), (4, True)):
        assert (await Combine(max_tokens=budget)(texts=["a b", "c d e"], ctx=Context()))["too_long"] is long


async def test_texts_are_shortened_to_the_budget_each_by_its_share() -> None:
    texts = [(RECIPES / name).read_text(encoding="utf-8") for name in ("pho-soup.md", "kvass.md", "gnocchi.md")]
    node = Combine(max_tokens=250, shorten=True, heading="Part {number}")
    combined = await node(texts=texts, ctx=Context())
    assert not combined["too_long"]
    assert 150 < estimate_tokens(combined["text"]) <= 250
    assert all(f"Part {number}" in combined["text"] for number in (1, 2, 3))
    hopeless = await Combine(max_tokens=2, shorten=True)(texts=texts, ctx=Context())
    assert hopeless["too_long"]


async def test_a_model_that_follows_instructions_is_told_what_to_do() -> None:
    model = Scripted(replies=["A short one. "])
    ctx = Listening(using(chat=model).resources)
    node = Summariser(model="chat", words=30, form="points", max_tokens=99)
    assert (await node(text="A long one.", question="Why?", ctx=ctx)) == {"summary": "A short one."}
    assert ctx.streamed == ["A", " short", " one. "]
    assert ctx.used.calls == 1
    (request,) = model.requests
    system, user = (message.text for message in request.messages)
    assert user == "A long one."
    assert "at most 30 words" in system
    assert '"- "' in system
    assert "Why?" in system
    assert request.max_tokens == 99


@pytest.mark.parametrize(
    ("reply", "message"),
    [({"text": "Half a", "finish": "length"}, "cut off|max_tokens"), ({"text": " "}, "gave an empty reply")],
)
async def test_a_reply_that_is_none_is_an_error(reply: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        await Summariser(model="chat")(text="Long.", ctx=using(chat=Scripted(replies=[reply])))


async def test_a_model_that_only_quotes_is_replaced_by_the_central_sentences() -> None:
    text = (RECIPES / "kvass.md").read_text(encoding="utf-8")
    ctx = Listening(using(chat=Extractive(embedder=None)).resources)
    summary = (await Summariser(model="chat", words=40)(text=text, ctx=ctx))["summary"]
    assert 10 < len(summary.split()) <= 40
    assert ctx.streamed == [summary]
    assert ctx.used.calls == 0
    assert all(sentence.rstrip(".") in text for sentence in summary.split(". "))
    assert (await Summariser(model="chat")(text="", ctx=ctx)) == {"summary": ""}


async def test_a_text_of_any_length_is_summed_up_round_by_round_offline() -> None:
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(RECIPES.glob("[bc]*.md"))[:14])
    graph = Graph.parse(LONG.replace("MODEL", "extractive"))
    async with graph:
        result = await graph.arun(text=text)
        started = [event.node for event in await graph.store.events(result.run_id) if event.kind == "finished"]
    assert started.count("cut") in (2, 3)
    assert estimate_tokens(text) > 4000
    assert 0 < estimate_tokens(result["text"]) <= 200
    assert result["too_long"] is False


async def test_rounds_that_do_not_help_end_and_say_so() -> None:
    stubborn = "models:\n  stubborn: {type: scripted, repeat: true, replies: ['" + "word " * 250 + "']}\nnodes:"
    graph = Graph.parse(LONG.replace("MODEL", "stubborn").replace("nodes:", stubborn, 1))
    async with graph:
        result = await graph.arun(text="word " * 1000)
        events = await graph.store.events(result.run_id)
    assert result["too_long"] is True
    assert sum(event.kind == "finished" and event.node == "join" for event in events) == 5
