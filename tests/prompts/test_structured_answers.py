"""Answers of a form: a generator whose values are state keys, alone and after calls of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ragweave import Graph, GraphError, RunError
from ragweave.orchestrator.contracts import ChatModel
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Document
from ragweave.prompts.generator import Generator
from tests.support.listening import Listening
from tests.support.openai_server import OpenAIServer, Reply

CALL = {"tool_calls": [{"id": "a", "name": "calculator", "arguments": {"expression": "3 * 19.9"}}]}
PRICE = '{"total": 59.7, "records": 3, "remark": null}'
FIELDS = {"total": "float", "records": "int", "remark": "str?"}


class Worded(Scripted):
    """A model that has no form of its own for calls of tools."""

    def calls_tools(self) -> bool:
        """False."""
        return False


class Bound(Scripted):
    """A model that keeps to schemas by itself."""

    def structures(self) -> bool:
        """True."""
        return True


def graph(model: ChatModel, *, ways: tuple[Any, ...] = (), **settings: Any) -> Graph:
    routes = ways or ({"when": "size(tool_calls) > 0", "to": "act"}, {"to": "end"})
    return Graph(
        inputs={"question": "str"},
        outputs=["answer", "total", "records"],
        models={"chat": model},
        prompts={"ask": {"text": "{{ question }}", "variables": {"question": "str"}}},
        nodes={
            "think": {
                "type": "generator",
                "model": "chat",
                "prompt": "ask",
                "tools": ["calculator"],
                "fields": FIELDS,
                **settings,
            },
            "act": {"type": "tool_executor", "tools": ["calculator"]},
            "conclude": {"type": "generator", "model": "chat", "prompt": "ask", "conclude": True, "fields": FIELDS},
        },
        edges=[
            "start -> think",
            {"from": "think", "routes": list(routes)},
            {"from": "act", "routes": [{"to": "think", "max_iterations": 1}, {"to": "conclude"}]},
            "conclude -> end",
        ],
    )


def alone(*replies: Any, model: type[Scripted] = Scripted) -> tuple[Listening, Scripted]:
    resources, made = Resources(), model(replies=list(replies))
    resources.put("models", "m", made)
    return Listening(resources), made


async def test_the_values_of_an_answer_are_keys_of_their_types() -> None:
    ctx, model = alone(PRICE)
    written: dict[str, Any] = dict(await Generator(model="m", fields=FIELDS)(ctx, question="What?", documents=[]))
    answer = written.pop("answer")
    assert written == {"total": 59.7, "records": 3}
    assert json.loads(answer.text) == json.loads(PRICE)
    assert "".join(ctx.streamed) == answer.text
    assert '"records"' in model.requests[0].messages[-1].text  # the schema, said in words


async def test_a_field_called_answer_is_its_text_and_cites() -> None:
    ctx, _ = alone('{"answer": "Cloves [1], not mace [7].", "sure": true}')
    node = Generator(model="m", fields={"answer": "str", "sure": "bool"})
    written = await node(ctx, question="What?", documents=[Document(id="g", text="Cloves are in it.")])
    assert written["answer"].text == "Cloves [1], not mace."
    assert [one.document for one in written["answer"].citations] == ["g"]
    assert dict(written)["sure"] is True
    ctx, _ = alone('{"answer": "The passages do not say.", "sure": false}')
    assert (await node(ctx, question="What?", documents=[]))["answer"].confidence == 0


async def test_a_schema_instead_of_fields_gives_data() -> None:
    ctx, model = alone("[1, 2]", model=Bound)
    schema = {"type": "array", "items": {"type": "integer"}}
    node = Generator(model="m", json_schema=schema)
    assert dict(await node(ctx, question="What?", documents=[]))["data"] == [1, 2]
    assert model.requests[0].response_schema == schema
    assert str(node.signature(Resources()).writes["data"].type) == "list[json]"


def test_tools_are_called_first_and_the_answer_has_its_values() -> None:
    model = Scripted(replies=[CALL, PRICE])
    result = graph(model).run(question="Three records of 19.90?")
    assert (result["total"], result["records"]) == (59.7, 3)
    assert [message.role for message in model.requests[1].messages] == ["user", "assistant", "tool"]
    assert (
        model.requests[1]
        .messages[0]
        .text.startswith("Three records of 19.90?\n\nWhen you call no tool, reply with one")
    )
    assert model.requests[0].tools


def test_a_model_that_keeps_to_schemas_is_given_it_beside_the_tools() -> None:
    model = Bound(replies=[CALL, PRICE])
    assert graph(model).run(question="Three records?")["records"] == 3
    assert {"total", "records", "remark"} == set((model.requests[1].response_schema or {})["properties"])
    assert model.requests[1].messages[-1].role == "tool"


def test_a_model_without_calls_of_tools_replies_with_either_in_json() -> None:
    called = json.dumps({"tool_calls": [{"name": "calculator", "arguments": {"expression": "1"}}]})
    model = Worded(replies=[called, '{"answer": {"total": "much"}}', f'{{"answer": {PRICE}}}'])
    result = graph(model).run(question="Three records?")
    assert (result["total"], json.loads(result["answer"].text)["records"]) == (59.7, 3)
    assert "is not of type 'number'" in model.requests[2].messages[-1].text


def test_a_form_with_references_holds_for_models_without_calls_of_tools() -> None:
    fields = {"verdict": "Verdict", "total": "float", "records": "int"}
    value = {"verdict": {"passed": True, "action": "allow", "reasons": [], "missing": [], "spans": []}}
    wrong = {"answer": {**value, "verdict": {"passed": "perhaps"}, "total": 1, "records": 1}}
    right = {"answer": {**value, "total": 1, "records": 1}}
    model = Worded(replies=[json.dumps(wrong), json.dumps(right)])
    assert graph(model, fields=fields).run(question="?")["records"] == 1
    assert len(model.requests) == 2


def test_a_reply_without_the_form_is_corrected_once_and_then_an_error() -> None:
    assert graph(Scripted(replies=["Many.", PRICE])).run(question="?")["records"] == 3
    with pytest.raises(RunError, match="wrote no JSON that satisfies the schema, asked twice"):
        graph(Scripted(replies=["Many.", "Very many."])).run(question="?")


def test_an_answer_may_be_corrected_into_a_call() -> None:
    assert graph(Scripted(replies=["Many.", CALL, PRICE])).run(question="?")["total"] == 59.7


def test_who_has_to_conclude_is_shown_what_was_found_and_no_tools() -> None:
    again = {"tool_calls": [{"id": "b", "name": "calculator", "arguments": {"expression": "60 - 0.3"}}]}
    model = Scripted(replies=[CALL, again, PRICE])
    assert graph(model).run(question="Three records?")["records"] == 3
    last = model.requests[2]
    assert (last.tools, [message.role for message in last.messages]) == (
        (), ["user", "assistant", "user", "assistant", "user", "user"]
    )  # fmt: skip
    assert "59.7" in last.messages[2].text
    assert last.messages[-1].text.startswith("You cannot use tools any more.")


@pytest.mark.parametrize(
    ("ways", "good"),
    [
        (({"when": "size(tool_calls) > 0", "to": "act"}, {"to": "end"}), True),
        (({"when": "size( tool_calls )>=1", "to": "act"}, {"to": "end"}), True),
        (({"when": "size(tool_calls) == 0", "to": "end"}, {"to": "act"}), True),
        (({"when": "size(tool_calls) > 1", "to": "act"}, {"to": "end"}), False),
        (({"when": "size(tool_calls) > 0 && size(steps) < 9", "to": "act"}, {"to": "end"}), False),
        (({"when": "size(tool_calls) == 0", "to": "act"}, {"to": "end"}), False),
        (({"when": "size(steps) > 0", "to": "act"}, {"to": "end"}), False),
    ],
)
def test_the_checker_knows_on_which_way_the_values_are_there(ways: tuple[Any, ...], good: bool) -> None:
    if good:
        graph(Scripted(), ways=ways)
        return
    with pytest.raises(GraphError) as raised:
        graph(Scripted(), ways=ways)
    assert {problem.code for problem in raised.value.problems} == {"RW202"}
    assert "total may be unwritten at end (think may leave it out)" in str(raised.value) or "think may go" in str(
        raised.value
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fields": {"total": "flaot"}}, "flaot"),
        ({"fields": {"steps": "str"}}, "the field 'steps' has the name of a key that agents use"),
        ({"fields": {"answer": "int"}}, "the field 'answer' is the text of the answer; it is a str"),
        ({"fields": {"a": "int"}, "json_schema": {"type": "object"}}, "by either 'fields' or 'json_schema'"),
        ({"json_schema": {"type": "objekt"}}, "objekt"),
        ({"tools": ["calculator"], "conclude": True}, "give either 'tools' or 'conclude'"),
    ],
)
def test_what_cannot_be_is_said_when_the_graph_is_read(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(GraphError, match=said):
        Graph(
            inputs={"question": "str", "documents": "list[Document]"},
            outputs=["answer"],
            nodes={"think": {"type": "generator", **settings}},
            edges=["start -> think -> end"],
        )


def test_a_model_that_only_quotes_says_that_it_cannot() -> None:
    made = Graph(
        inputs={"question": "str", "documents": "list[Document]"},
        outputs=["total"],
        nodes={"think": {"type": "generator", "model": "extractive", "fields": {"total": "int"}}},
        edges=["start -> think -> end"],
    )
    with pytest.raises(RunError, match="quotes its sources and cannot write JSON"):
        made.run(question="How many?", documents=[Document(id="a", text="Two.")])


async def test_the_texts_that_end_an_answer_are_told_in_words_too() -> None:
    ctx, model = alone('{"answer": "Yes."}', model=Worded)
    node = Generator(model="m", tools=["calculator"], stop=["END"], seed=3)
    await node(ctx, question="What?", documents=[])
    assert (model.requests[0].stop, model.requests[0].seed) == (["END"], 3)


def test_a_server_gets_the_schema_beside_the_tools_and_after_a_wrong_reply_again() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "calculator", "arguments": '{"expression": "3 * 19.9"}'}}
    replies = [Reply(tool_calls=[call], finish="tool_calls"), Reply('{"total": "much"}'), Reply(PRICE)]
    with OpenAIServer(replies) as server:
        model = OpenAI(model="test-model", base_url=server.url, api_key=server.key)
        with graph(model) as made:
            assert made.run(question="Three records of 19.90?")["total"] == 59.7
        bodies = [request.json for request in server.requests]
    assert [body["tools"][0]["function"]["name"] for body in bodies] == ["calculator"] * 3
    assert {body["response_format"]["json_schema"]["strict"] for body in bodies} == {True}
    assert [message["role"] for message in bodies[2]["messages"]] == ["user", "assistant", "tool", "assistant", "user"]
