"""Replies that are kept: which requests are the same, what is kept, for how long, and for whom."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragweave import Graph
from ragweave.orchestrator.contracts import ChatRequest, Embedder
from ragweave.orchestrator.errors import ModelError, ResourceError
from ragweave.orchestrator.models.composed.cached import Cached
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.values import Document, Message, ToolCall, Usage
from tests.support.composing import ASK, DOWN, ask, asking, pool, says, told
from tests.support.openai_server import OpenAIServer, Reply


class Letters(Embedder):
    """Texts are near if they have the same letters."""

    @property
    def identity(self) -> str:
        return "letters"

    @property
    def dimension(self) -> int:
        return 26

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.lower().count(chr(97 + at)) + 1e-6 for at in range(26)] for text in texts])
        vectors: np.ndarray = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return vectors


def cached(inner: Any, *, said: list[str] | None = None, folder: Path | None = None, **settings: Any) -> Cached:
    declared = {"saved": {"type": "cached", "model": "chat", **settings}}
    resources = pool(declared, {"chat": inner}, said=said, folder=folder)
    resources.put("embedders", "minilm", Letters())
    made = resources.get("models", "saved")
    assert isinstance(made, Cached)
    return made


async def test_an_equal_request_is_given_the_kept_reply_as_it_was_streamed_at_no_cost() -> None:
    model = cached(says({"chunks": ["On ", "the ", "left."], "confidence": 0.5}))
    first, second = await ask(model), await ask(model)
    assert [chunk.text for chunk in second] == [chunk.text for chunk in first] == ["On ", "the ", "left.", ""]
    assert (second[-1].confidence, second[-1].finish, second[-1].usage) == (0.5, "stop", Usage())
    assert first[-1].usage == Usage(calls=1, input_tokens=4, output_tokens=3)
    assert (model.hits, model.misses) == (1, 1)


@pytest.mark.parametrize(
    "other",
    [
        ChatRequest([Message.of("user", "Where is the tea? ")], question=ASK.question),
        ChatRequest([Message.of("system", "Be brief."), *ASK.messages], question=ASK.question),
        ChatRequest(ASK.messages, question=ASK.question, temperature=0.5),
        ChatRequest(ASK.messages, question=ASK.question, max_tokens=5),
        ChatRequest(ASK.messages, question=ASK.question, stop=["."]),
        ChatRequest(ASK.messages, question=ASK.question, seed=1),
        ChatRequest(ASK.messages, question=ASK.question, response_schema={"type": "object"}),
        ChatRequest(ASK.messages, question=ASK.question, tools=[{"name": "find"}]),
        ChatRequest(ASK.messages, question=ASK.question, documents=[Document(id="1", text="Tea.")]),
        ChatRequest(ASK.messages, question=ASK.question, tenant="other"),
    ],
)
async def test_whatever_a_model_may_heed_makes_another_request(other: ChatRequest) -> None:
    model = cached(says("a", "b"))
    assert [await told(model), await told(model, other), await told(model)] == ["a", "b", "a"]


async def test_tool_calls_are_kept() -> None:
    call = {"id": "1", "name": "find", "arguments": {"q": [1, {"a": None}]}}
    model = cached(says({"tool_calls": [call]}))
    await ask(model)
    again = await ask(model)
    assert again[-1].tool_calls == (ToolCall(id="1", name="find", arguments={"q": [1, {"a": None}]}),)
    assert model.hits == 1


async def test_failures_and_replies_that_were_cut_off_are_not_kept() -> None:
    cut, broken = {"text": "Half", "finish": "length"}, {"text": "Half", "error": "broke off"}
    model = cached(says(DOWN, cut, broken, "Whole."))
    with pytest.raises(ModelError):
        await ask(model)
    assert await told(model) == "Half"
    with pytest.raises(ModelError):
        await ask(model)
    assert [await told(model), await told(model)] == ["Whole.", "Whole."]
    assert (model.hits, model.misses) == (1, 4)


async def test_a_reply_whose_reader_left_early_is_not_kept(leaping: None) -> None:
    inner = says({"text": "one two three", "pace": 0.02})
    model = cached(inner)
    async with aclosing(model.stream(ASK)) as chunks:
        await anext(chunks)
    assert await told(model) == "one two three"
    assert len(inner.requests) == 2


async def test_after_its_time_a_reply_is_asked_anew(leaping: None) -> None:
    model = cached(says("a", "b"), ttl="50ms")
    assert await told(model) == "a"
    await asyncio.sleep(0.06)
    assert await told(model) == "b"


async def test_equal_requests_at_the_same_time_make_one_call_and_all_of_them_stream(leaping: None) -> None:
    inner = says({"text": "one two three", "delay": 0.03, "pace": 0.01})
    model = cached(inner)
    replies = await asyncio.gather(*(ask(model) for _ in range(20)))
    assert {"".join(chunk.text for chunk in reply) for reply in replies} == {"one two three"}
    assert [len(reply) for reply in replies] == [4] * 20
    assert sum((reply[-1].usage or Usage(calls=9)).calls for reply in replies) == 1
    assert (len(inner.requests), model.misses, model.joined, model.hits) == (1, 1, 19, 0)


async def test_the_call_goes_on_while_one_of_its_readers_is_left(leaping: None) -> None:
    inner = says({"text": "one two three", "delay": 0.05})
    model = cached(inner)
    first = asyncio.create_task(ask(model))
    second = asyncio.create_task(told(model))
    await asyncio.sleep(0.02)
    first.cancel()
    assert await second == "one two three"
    assert len(inner.requests) == 1


async def test_when_the_last_reader_leaves_the_call_ends() -> None:
    with OpenAIServer([Reply(hang=True)]) as server:
        inner = OpenAI(model="test-model", base_url=server.url, api_key=server.key)
        model = cached(inner)
        tasks = [asyncio.create_task(ask(model)) for _ in range(2)]
        await server.asked()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.is_left()
        await inner.close()


async def test_a_failure_is_that_of_all_who_wait_for_it(leaping: None) -> None:
    model = cached(says({**DOWN, "delay": 0.02}))
    replies = await asyncio.gather(*(ask(model) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in replies] == ["overloaded"] * 3


async def test_replies_are_shared_within_a_tenant_unless_a_person_or_a_conversation_is_named() -> None:
    def of(tenant: str, user: str, thread: str) -> ChatRequest:
        return ChatRequest(ASK.messages, question=ASK.question, tenant=tenant, user=user, thread=thread)

    by_tenant = cached(says("a", "b"))
    assert [await told(by_tenant, of(*one)) for one in ["AXs", "AYt", "BXs"]] == ["a", "a", "b"]
    by_user = cached(says("a", "b", "c"), share="user")
    assert [await told(by_user, of(*one)) for one in ["AXs", "AXt", "AYs", "BXs"]] == ["a", "a", "b", "c"]
    by_thread = cached(says("a", "b", "c", "d"), share="thread")
    asked = ["AXs", "AXs", "AYs", "AXt", "BXs"]  # equal ids of two people's conversations mean nothing
    assert [await told(by_thread, of(*one)) for one in asked] == ["a", "a", "b", "c", "d"]


async def test_where_it_is_not_known_whose_a_reply_is_nothing_is_kept() -> None:
    said: list[str] = []
    model = cached(says("a", "b"), share="user", said=said)
    assert [await told(model), await told(model)] == ["a", "b"]
    assert said == ["the model 'cached' shares replies by user, and a call has no user: it is not kept"]


async def test_the_least_used_replies_make_room() -> None:
    model = cached(says("1", "2", "3", "4"), size=2)
    assert await told(model, asking("a")) == "1"
    assert await told(model, asking("b")) == "2"
    assert await told(model, asking("a")) == "1"
    assert await told(model, asking("c")) == "3"
    assert await told(model, asking("a")) == "1"
    assert await told(model, asking("b")) == "4"


async def test_a_question_of_the_same_meaning_will_do_if_that_is_wanted() -> None:
    model = cached(says("1", "2", "3", "4", "5"), match="semantic")
    assert await told(model, asking("Where is the tea?")) == "1"
    assert await told(model, asking("Where is tea, the?")) == "1"
    assert await told(model, asking("Who pays?")) == "2"
    assert await told(model, asking("Where is the tea?", temperature=0.9)) == "3"
    assert await told(model, asking("Where is the tea?", tenant="other")) == "4"
    assert model.hits == 1


async def test_other_numbers_and_negations_are_other_questions() -> None:
    model = cached(says("1", "2", "3"), match="semantic", threshold=0.8)
    assert await told(model, asking("What was earned in 2023?")) == "1"
    assert await told(model, asking("What was earned in 2024?")) == "2"
    assert await told(model, asking("What was not earned in 2023?")) == "3"


async def test_what_was_said_before_the_question_has_to_be_equal() -> None:
    model = cached(says("1", "2"), match="semantic")
    before = Message.of("user", "I am in Rome.")
    for question, expected in [("Is it hot?", "1"), ("It is hot?", "1")]:
        assert await told(model, ChatRequest([before, Message.of("user", question)], question=question)) == expected
    elsewhere = ChatRequest(
        [Message.of("user", "I am in Oslo."), Message.of("user", "It is hot?")], question="It is hot?"
    )
    assert await told(model, elsewhere) == "2"


async def test_a_question_that_is_not_in_the_messages_is_compared_exactly() -> None:
    model = cached(says("1", "2"), match="semantic")
    assert await told(model, ChatRequest([Message.of("user", "Sum up.")], question="Tea?")) == "1"
    assert await told(model, ChatRequest([Message.of("user", "Sum up.")], question="Tea??")) == "2"


async def test_a_file_outlives_the_process_and_is_json(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"folder": tmp_path, "path": ".ragweave/answers.db", "match": "semantic"}
    first = cached(says("Left."), **settings)
    assert await told(first, asking("Where is the tea?")) == "Left."
    await first.close()
    again = cached(says("Left."), **settings)
    assert await told(again, asking("Where is the tea?")) == "Left."
    assert await told(again, asking("Where is tea, the?")) == "Left."
    assert (again.hits, again.misses) == (2, 0)
    await again.close()
    other = cached(says("Right."), **settings)  # other settings of the model are another model
    assert await told(other, asking("Where is the tea?")) == "Right."
    await other.close()
    with sqlite3.connect(tmp_path / ".ragweave/answers.db") as file:
        assert file.execute("SELECT count(*) FROM answers").fetchone() == (2,)
    file.close()
    assert (tmp_path / ".ragweave/answers.db").stat().st_mode & 0o077 == 0


async def test_a_damaged_row_is_asked_anew(tmp_path: Path) -> None:
    model = cached(says("a", "b"), folder=tmp_path, path="answers.db")
    assert await told(model) == "a"
    with sqlite3.connect(tmp_path / "answers.db") as file:
        file.execute("UPDATE answers SET reply = '[1, 2'")
    file.close()
    assert [await told(model), await told(model)] == ["b", "b"]
    await model.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "answers.db").write_text("This is no database, and is longer than its header of 100 bytes." * 4)
    with pytest.raises(ResourceError, match=r"cannot be kept in '.*answers\.db'.*delete the file, or name another"):
        cached(says("x"), folder=tmp_path, path="answers.db")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"threshold": 0}, "threshold: .*more than 0"),
        ({"threshold": 1.5}, "threshold: .*at most 1"),
        ({"ttl": "soon"}, "'soon' is not a duration"),
        ({"size": 0}, "size: .*more than 0"),
        ({"match": "fuzzy"}, "match: .*'exact' or 'semantic'"),
        ({"model": "chta"}, r"no model is named 'chta'; did you mean 'chat'\?"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        cached(says("x"), **settings)


GRAPH = """\
schema: ragweave/v1
inputs: {question: str}
outputs: [answer]
models:
  main:  {type: scripted, replies: [{error: down, transient: true}], repeat: true}
  spare: {type: scripted, replies: [{text: On the left.}], repeat: true}
  chat:  {type: first_of, models: [main, spare], open_after: 1}
  saved: {type: cached, model: chat, share: thread}
prompts: {plain: {text: "{{ question }}", variables: {question: str}}}
nodes: {answer: {type: generator, model: saved, prompt: plain}}
edges: [start -> answer -> end]
"""


def test_in_a_graph_a_second_run_of_the_conversation_asks_no_model() -> None:
    with Graph.parse(GRAPH) as graph:
        first = graph.run(question="Where?", thread_id="1")
        second = graph.run(question="Where?", thread_id="1")
        third = graph.run(question="Where?", thread_id="2")
    assert str(first["answer"]) == str(second["answer"]) == "On the left."
    assert (first.usage.calls, second.usage.calls, third.usage.calls) == (2, 0, 1)


def test_in_a_graph_replies_are_kept_for_the_user_of_the_run() -> None:
    with Graph.parse(GRAPH.replace("share: thread", "share: user")) as graph:
        used = [graph.run(question="Where?", user=user).usage.calls for user in ("ada", "ada", "bob")]
    assert used == [2, 0, 1]


def test_in_a_graph_tenants_never_get_one_anothers_replies() -> None:
    with Graph.parse(GRAPH.replace("share: thread", "share: tenant")) as graph:
        used = [graph.run(question="Where?", tenant=tenant).usage.calls for tenant in ("acme", "acme", "apex", "")]
    assert used == [2, 0, 1, 1]


async def test_two_event_loops_may_ask_at_the_same_time() -> None:
    inner = says({"text": "one", "delay": 0.05})
    model = cached(inner)
    texts = await asyncio.gather(*(asyncio.to_thread(lambda: asyncio.run(told(model))) for _ in range(4)))
    assert texts == ["one"] * 4
