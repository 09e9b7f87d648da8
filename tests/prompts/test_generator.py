"""The node that lets a model answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ragweave.orchestrator.contracts import ChatChunk, ChatModel, ChatRequest
from ragweave.orchestrator.errors import InputError, ModelError, ResourceError
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.scripted import Scripted, ScriptedReply
from ragweave.orchestrator.node import Read
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, parse_type
from ragweave.orchestrator.values import Answer, Document, Message, Usage
from ragweave.prompts.generator import Generator, is_abstention
from ragweave.prompts.template import Prompt
from tests.support.listening import Listening
from tests.support.openai_server import OpenAIServer, Reply

DOCUMENTS = [
    Document(id="g", text="Garam masala.\nCloves and mace are left out.", title="Garam", source="g.md", line=7),
    Document(id="t", text="Milk comes last.", title="Tea", source="t.md", line=1),
]


def with_model(model: ChatModel, **prompts: Prompt) -> Listening:
    resources = Resources()
    resources.put("models", "m", model)
    for name, prompt in prompts.items():
        resources.put("prompts", name, prompt)
    return Listening(resources)


async def answered(reply: str | ScriptedReply, documents: list[Document] = DOCUMENTS, **settings: Any) -> Answer:
    ctx = with_model(Scripted(replies=[reply]))
    answer = (await Generator(model="m", **settings)(ctx=ctx, question="What?", documents=documents))["answer"]
    assert "".join(ctx.streamed) == answer.text
    return answer


async def test_an_answer_is_streamed_and_its_marks_become_citations() -> None:
    answer = await answered("Cloves and mace are left out [1]. Milk comes last [2][5].\n")
    assert answer.text == "Cloves and mace are left out [1]. Milk comes last [2]."
    assert [(c.number, c.document, c.quote, c.title, c.source, c.line) for c in answer.citations] == [
        (1, "g", "Cloves and mace are left out.", "Garam", "g.md", 8),
        (2, "t", "Milk comes last.", "Tea", "t.md", 1),
    ]
    assert answer.confidence == 1.0


async def test_the_model_is_told_the_prompt_the_question_and_the_settings() -> None:
    model = Scripted(replies=["Yes [1]."])
    ctx = with_model(model)
    node = Generator(model="m", temperature=0, max_tokens=9, stop=["X"], seed=1)
    await node(ctx=ctx, question="What?", documents=DOCUMENTS, history=[Message.of("user", "Hi")])
    (request,) = model.requests
    assert [message.role for message in request.messages] == ["system", "user", "user"]
    assert "[2] Tea (t.md, line 1)\n\nMilk comes last." in request.messages[2].text
    assert (request.question, list(request.documents)) == ("What?", DOCUMENTS)
    assert (request.temperature, request.max_tokens, request.stop, request.seed) == (0, 9, ["X"], 1)
    assert ctx.used == Usage(calls=1, input_tokens=ctx.used.input_tokens, output_tokens=2)


def test_what_is_read_is_what_the_prompt_declares() -> None:
    resources = Resources()
    reads = Generator().signature(resources).reads
    assert reads == {
        "question": Read(Type("str")),
        "documents": Read(parse_type("list[Document]")),
        "history": Read(parse_type("list[Message]"), required=False),
    }
    assert set(Generator().signature(resources).writes) == {"answer"}
    with pytest.raises(ResourceError, match=r"no prompt is named 'answer_with_citation'; did you mean"):
        Generator(prompt="answer_with_citation").signature(resources)


@pytest.mark.parametrize(
    ("reply", "confidence"),
    [
        ("The passages do not say.", 0.0),
        ("the passages do not say", 0.0),
        ("**The passages do not say.** [1]", 0.0),
        ("The passages do not say. They only mention tea [2].", 0.0),
        ("The passages do not say why, but cloves are left out [1].", 1.0),
        ("Cloves [1]. The passages do not say how many.", 1.0),
        (ScriptedReply(text="Cloves [1].", confidence=0.4), 0.4),
        (ScriptedReply(text="The passages do not say.", confidence=0.2), 0.2),
    ],
)
async def test_the_confidence_is_the_models_own_or_0_for_an_abstention(
    reply: str | ScriptedReply, confidence: float
) -> None:
    assert (await answered(reply)).confidence == confidence


def test_a_prompt_without_an_abstention_has_none() -> None:
    assert not is_abstention("", "")
    assert not is_abstention("No.", "")


async def test_without_documents_brackets_are_just_brackets() -> None:
    prompt = Prompt(text="Say {{ word }}", variables={"word": "str"})
    ctx = with_model(Scripted(replies=["See [1] and [99]."]), say=prompt)
    node = Generator(model="m", prompt="say")
    assert ctx.resources is not None
    assert set(node.signature(ctx.resources).reads) == {"word"}
    assert (await node(ctx=ctx, word="hi"))["answer"] == Answer(text="See [1] and [99].")
    assert ctx.streamed == ["See", " [1]", " and", " [99]."]


async def test_documents_may_go_by_another_name() -> None:
    prompt = Prompt(
        text="{% for e in evidence %}{{ e.text }}{% endfor %}{{ question }}",
        variables={"question": "str", "evidence": "list[Document]"},
    )
    ctx = with_model(Scripted(replies=["Milk comes last [2]."]), mine=prompt)
    answer = (await Generator(model="m", prompt="mine")(ctx=ctx, question="?", evidence=DOCUMENTS))["answer"]
    assert [citation.document for citation in answer.citations] == ["t"]


async def test_an_empty_reply_is_an_error_that_may_pass() -> None:
    for reply in ("", " \n", "[9]"):
        with pytest.raises(ModelError, match="model 'm' gave an empty reply") as caught:
            await answered(reply)
        assert caught.value.transient


async def test_a_reply_that_was_cut_off_is_no_answer() -> None:
    with pytest.raises(ModelError, match=r"cut off \(max_tokens: 3\) before the end of the answer"):
        await answered(ScriptedReply(text="Cloves and", finish="length"), max_tokens=3)


async def test_a_failed_call_is_counted_too() -> None:
    ctx = with_model(Scripted(replies=[ScriptedReply(text="Half", error="broke off", transient=True)]))
    with pytest.raises(ModelError, match="broke off"):
        await Generator(model="m")(ctx=ctx, question="?", documents=DOCUMENTS)
    assert ctx.used == Usage(calls=1)
    assert ctx.streamed == ["Half"]


async def test_a_missing_value_is_named() -> None:
    ctx = with_model(Scripted(replies=["x"]))
    with pytest.raises(InputError, match=r"prompt 'answer_with_citations@2' needs 'documents'"):
        await Generator(model="m")(ctx=ctx, question="?")


class Endless(ChatModel):
    """Talks until it is left, and says so."""

    begun: bool = False
    left: bool = False

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        try:
            while True:
                await asyncio.sleep(0)
                self.begun = True
                yield ChatChunk(text="more ")
        finally:
            self.left = True


async def test_a_cancelled_generator_leaves_the_model() -> None:
    model = Endless()
    ctx = with_model(model)
    task = asyncio.create_task(Generator(model="m")(ctx=ctx, question="?", documents=DOCUMENTS))
    async with asyncio.timeout(60):
        while not model.begun:  # noqa: ASYNC110 - a model has plain fields
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.left


async def test_what_the_model_without_a_key_quotes_is_found_again_in_the_source() -> None:
    ctx = Listening(Resources())
    text = (
        "Garam masala is ground fresh.\nCloves and mace are normally left out of garam masala.\nIt keeps for a month."
    )
    documents = [DOCUMENTS[1], Document(id="m", text=text, source="m.md", line=20)]
    question = "Which spices are normally left out of garam masala?"
    answer = (await Generator(model="extractive")(ctx=ctx, question=question, documents=documents))["answer"]
    assert [(citation.number, citation.quote, citation.line) for citation in answer.citations] == [
        (2, "Cloves and mace are normally left out of garam masala.", 21)
    ]
    assert "".join(ctx.streamed) == answer.text


async def test_it_works_with_a_real_endpoint() -> None:
    with OpenAIServer([Reply("Milk comes last [2].", usage=(40, 5))]) as server:
        model = OpenAI(model="test-model", base_url=server.url, api_key=server.key)
        ctx = with_model(model)
        answer = (await Generator(model="m")(ctx=ctx, question="?", documents=DOCUMENTS))["answer"]
        await model.close()
    assert answer.citations[0].quote == "Milk comes last."
    assert "".join(ctx.streamed) == answer.text
    assert ctx.used == Usage(calls=1, input_tokens=40, output_tokens=5)
