"""The first model that answers: when the next is asked, what is counted, what is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import Any

import pytest

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import CircularResources, InputError, ModelError, ResourceError
from ragweave.orchestrator.language.catalogue import describe
from ragweave.orchestrator.models.composed.first_of import FirstOf
from ragweave.orchestrator.models.extractive import Extractive
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.replies import structured
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document, Message, Usage
from tests.support.composing import ASK, DOWN, ask, asking, pool, says, told
from tests.support.openai_server import OpenAIServer, Reply

YES = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}


def first_of(*models: Any, said: list[str] | None = None, **settings: Any) -> FirstOf:
    names = [f"m{number}" for number in range(len(models))]
    resources = pool(
        {"chat": {"type": "first_of", "models": names, **settings}}, dict(zip(names, models, strict=True)), said=said
    )
    model = resources.get("models", "chat")
    assert isinstance(model, FirstOf)
    return model


async def test_the_first_model_answers_while_it_can() -> None:
    spare = says("Spare.")
    model = first_of(says("Main."), spare)
    chunks = await ask(model)
    assert "".join(chunk.text for chunk in chunks) == "Main."
    assert chunks[-1].usage == Usage(calls=1, input_tokens=4, output_tokens=1)
    assert spare.requests == []


async def test_a_failure_gives_way_to_the_next_and_its_call_counts() -> None:
    chunks = await ask(first_of(says(DOWN), says({"error": "no", "transient": False}), says("Spare.")))
    assert "".join(chunk.text for chunk in chunks) == "Spare."
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.calls, usage.output_tokens) == (3, 1)


async def test_a_model_that_fails_again_and_again_is_left_alone_until_its_pause_is_over(leaping: None) -> None:
    main = says(DOWN, DOWN, "Back.", "Still.")
    model = first_of(main, says("Spare."), open_after=2, retry_after="50ms")
    assert [await told(model) for _ in range(4)] == ["Spare."] * 4
    assert len(main.requests) == 2
    await asyncio.sleep(0.06)
    assert [await told(model) for _ in range(2)] == ["Back.", "Still."]


async def test_while_one_call_tries_a_model_the_others_do_not_wait_for_it(leaping: None) -> None:
    main = says(DOWN, {"text": "Back.", "delay": 0.1})
    model = first_of(main, says("Spare."), open_after=1, retry_after="10ms")
    await told(model)
    await asyncio.sleep(0.02)
    assert list(await asyncio.gather(*(told(model) for _ in range(3)))) == ["Back.", "Spare.", "Spare."]


async def test_after_the_first_word_a_failure_is_a_failure_and_counts() -> None:
    main = says({"text": "Half a", "error": "broke off", "transient": True})
    model = first_of(main, says("Spare."), open_after=1)
    stream = model.stream(ASK)
    assert [(await anext(stream)).text for _ in range(2)] == ["Half", " a"]
    assert (await anext(stream)).usage == Usage(calls=1)
    with pytest.raises(ModelError, match="broke off"):
        await anext(stream)
    assert await told(model) == "Spare."
    assert len(main.requests) == 1


async def test_if_all_fail_the_error_names_each_and_says_when_to_come_again() -> None:
    model = first_of(says(DOWN), says({"error": "refused"}), open_after=1, retry_after="20s")
    with pytest.raises(ModelError, match="none of the models answered: m0: overloaded; m1: refused") as caught:
        await ask(model)
    assert caught.value.transient
    with pytest.raises(ModelError, match=r"m0: is left alone for \d+\.\d s more, after: overloaded") as caught:
        await ask(model)
    assert caught.value.retry_after == pytest.approx(20, abs=1)


async def test_the_failed_calls_of_a_request_that_failed_are_counted() -> None:
    model, ctx = first_of(says(DOWN), says(DOWN)), Context(resources=Resources())
    with pytest.raises(ModelError):
        await structured(ctx, model, ASK, YES)
    assert ctx.used.calls == 2


async def test_a_wrong_key_fails_over_is_told_once_and_is_not_asked_again() -> None:
    said: list[str] = []
    with OpenAIServer([Reply("Main.")]) as main, OpenAIServer([Reply("Spare.")]) as spare:
        wrong = OpenAI(model="test-model", base_url=main.url, api_key="sk-wrong-123456")
        right = OpenAI(model="test-model", base_url=spare.url, api_key=spare.key)
        model = first_of(wrong, right, said=said)
        assert [await told(model) for _ in range(3)] == ["Spare."] * 3
        await wrong.close()
        await right.close()
    assert len(main.requests) == 1
    [line] = said
    assert "model 'm0' failed, others are asked instead" in line
    assert "refused the key (401)" in line
    assert "sk-wrong" not in line


async def test_a_request_that_is_at_fault_itself_does_not_open_the_breaker() -> None:
    class Picky(Scripted):
        async def stream(self, request: ChatRequest) -> Any:
            if request.question == "picture":
                raise InputError("the model reads text")
            async for chunk in super().stream(request):
                yield chunk

    model = first_of(Picky(replies=["Main."], repeat=True), says("Spare."), open_after=1)
    assert await told(model, asking("picture")) == "Spare."
    assert await told(model, asking("tea")) == "Main."


async def test_a_model_that_says_nothing_for_too_long_gives_way(leaping: None) -> None:
    model = first_of(says({"text": "Late.", "delay": 5}), says("Spare."), first_word_timeout="50ms", open_after=1)
    started = time.monotonic()
    assert await told(model) == "Spare."
    assert await told(model) == "Spare."
    assert time.monotonic() - started == pytest.approx(0.05)  # the second time it is not asked


async def test_slow_words_are_no_silence(leaping: None) -> None:
    model = first_of(says({"text": "a b c", "pace": 0.06}), says("Spare."), first_word_timeout="50ms")
    assert await told(model) == "a b c"


async def test_leaving_early_ends_the_call_and_leaves_the_breaker_as_it_was() -> None:
    with OpenAIServer([Reply("one two three", hang_after=2)]) as server:
        main = OpenAI(model="test-model", base_url=server.url, api_key=server.key)
        model = first_of(main, says("Spare."))
        async with aclosing(model.stream(ASK)) as chunks:
            async for _ in chunks:
                break
        await server.is_left()
        task = asyncio.create_task(ask(model))
        await server.asked(2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.members[0].breaker.state == "closed"
        await main.close()


async def test_a_dead_endpoint_is_not_asked_once_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = OpenAI(model="m", base_url="http://127.0.0.1:9/v1", max_retries=0)
    model = first_of(dead, says("Spare.", repeat=True), open_after=1)
    assert await told(model) == "Spare."
    assert model.members[0].breaker.state == "open"
    monkeypatch.setattr(OpenAI, "stream", None)
    for _ in range(20):
        assert await told(model) == "Spare."
    await dead.close()


async def test_schemas_are_told_in_words_to_models_that_do_not_keep_to_them() -> None:
    class Native(Scripted):
        def structures(self) -> bool:
            return True

    native, plain = Native(replies=[DOWN], repeat=True), says('{"yes": true}')
    model = first_of(native, plain)
    assert model.structures()
    assert await structured(Context(resources=Resources()), model, ASK, YES) == {"yes": True}
    assert native.requests[0].response_schema == YES
    assert native.requests[0].messages == ASK.messages
    assert plain.requests[0].response_schema is None
    assert "JSON schema" in plain.requests[0].messages[-1].text


async def test_models_that_only_quote_are_asked_only_what_they_can_answer() -> None:
    model = first_of(says(DOWN), Extractive(embedder=None), open_after=9)
    documents = [Document(id="1", text="The tea is on the left.")]
    quoted = await told(model, ChatRequest(ASK.messages, question=ASK.question, documents=documents))
    assert quoted == "The tea is on the left. [1]"
    for request in (
        ChatRequest([Message.of("user", "Write a poem.")]),
        ChatRequest(ASK.messages, question=ASK.question, response_schema=YES),
        ChatRequest(ASK.messages, question=ASK.question, tools=[{"name": "find"}]),
    ):
        with pytest.raises(ModelError, match="overloaded"):
            await ask(model, request)
    assert (model.follows_instructions(), model.cites()) == (True, False)
    only = first_of(Extractive(embedder=None), Extractive(embedder=None))
    assert (only.follows_instructions(), only.structures(), only.cites()) == (False, False, True)


def test_a_model_that_cannot_be_built_is_left_out_and_told_once() -> None:
    said: list[str] = []
    declared: dict[str, dict[str, Any]] = {
        "main": {"type": "openai", "model": "gpt"},
        "chat": {"type": "first_of", "models": ["main", "spare"]},
    }
    resources = pool(declared, {"spare": says("Spare.")}, said=said)
    model = resources.get("models", "chat")
    assert [member.name for member in model.members] == ["spare"]
    [line] = said
    assert line.startswith("model 'main' cannot be used, the others are: models.main: ")
    assert "'api_key' is not set" in line


def test_if_no_model_can_be_built_none_of_them_is_the_model() -> None:
    declared: dict[str, dict[str, Any]] = {
        "main": {"type": "openai", "model": "gpt"},
        "chat": {"type": "first_of", "models": ["main"]},
    }
    with pytest.raises(ResourceError, match=r"models\.chat: none of the models can be built: main: .*api_key"):
        pool(declared).get("models", "chat")


def test_an_unknown_model_is_named_with_what_was_meant() -> None:
    with pytest.raises(ResourceError, match=r"models\.chat: no model is named 'mian'; did you mean 'main'\?"):
        pool({"chat": {"type": "first_of", "models": ["mian"]}}, {"main": says("x")}).get("models", "chat")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"models": []}, "it takes one model at least"),
        ({"models": ["a", "a"]}, "'a' is named twice"),
        ({"models": ["a"], "open_after": 0}, "expected more than 0, found 0"),
        ({"models": ["a"], "retry_after": "soon"}, "'soon' is not a duration"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        Resources([ResourceSpec("models", "chat", "first_of", settings)]).get("models", "chat")


def test_models_in_a_circle_are_a_line_not_a_stack() -> None:
    declared: dict[str, dict[str, Any]] = {
        "a": {"type": "first_of", "models": ["b"]},
        "b": {"type": "cached", "model": "a"},
    }
    with pytest.raises(CircularResources, match=r"in a circle: models\.a -> models\.b -> models\.a"):
        pool(declared).get("models", "a")


def test_a_composition_is_described_with_what_it_is_made_of() -> None:
    def description(text: str) -> str:
        declared: dict[str, dict[str, Any]] = {
            "main": {"type": "scripted", "replies": [text]},
            "chat": {"type": "first_of", "models": ["main"]},
        }
        return pool(declared).description("models", "chat")

    assert description("a") == description("a") != description("b")


def test_lists_and_maps_of_names_are_listed_as_such() -> None:
    kinds = [{one.name: one.kind for one in describe("models", name).settings} for name in ("first_of", "weighted")]
    assert [kind["models"] for kind in kinds] == ["names of models", "map of names of models to values"]
