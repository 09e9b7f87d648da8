"""Which model `auto` becomes."""

from __future__ import annotations

import pytest

from ragweave.orchestrator.checking.check import check
from ragweave.orchestrator.contracts import ChatRequest
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.models.auto import Auto
from ragweave.orchestrator.models.openai import OpenAI
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.naming import ResourceSpec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.values import Message
from tests.support.openai_server import OpenAIServer

ASK = ChatRequest([Message.of("user", "Hi?")])
COOKBOOK = {
    "model": "${env:CHAT_MODEL:-}",
    "base_url": "${env:CHAT_BASE_URL:-}",
    "api_key": "${env:CHAT_API_KEY:-}",
    "temperature": "${env:CHAT_TEMPERATURE:-}",
}


def built(environ: dict[str, str], said: list[str]) -> Auto:
    resources = Resources([ResourceSpec("models", "chat", "auto", COOKBOOK)], environ=environ, notice=said.append)
    resources.put("models", "extractive", Scripted(replies=["Quoted."]))
    model = resources.get("models", "chat")
    assert isinstance(model, Auto)
    return model


async def test_with_nothing_configured_it_quotes_the_sources_and_says_so_once() -> None:
    said: list[str] = []
    model = built({}, said)
    assert "".join([chunk.text async for chunk in model.stream(ASK)]) == "Quoted."
    assert isinstance(model.chosen, Scripted)
    assert said == ["model 'auto' is 'extractive': no endpoint is configured, so answers are quoted from the sources"]
    await model.close()


async def test_another_model_of_the_graph_may_answer_instead() -> None:
    said: list[str] = []
    settings = {**COOKBOOK, "otherwise": "clerk"}
    scripted = {"replies": ["From the clerk."]}
    specs = [ResourceSpec("models", "chat", "auto", settings), ResourceSpec("models", "clerk", "scripted", scripted)]
    model = Resources(specs, environ={}, notice=said.append).get("models", "chat")
    assert "".join([chunk.text async for chunk in model.stream(ASK)]) == "From the clerk."
    assert (model.calls_tools(), model.follows_instructions()) == (True, True)
    assert said == ["model 'auto' is 'clerk': no endpoint is configured"]
    with OpenAIServer() as server:
        environ = {"CHAT_MODEL": "test-model", "CHAT_BASE_URL": server.url, "CHAT_API_KEY": server.key}
        model = Resources(specs, environ=environ, notice=said.append).get("models", "chat")
        assert "".join([chunk.text async for chunk in model.stream(ASK)]) == "Hello there."
        await model.close()
    assert said[1:] == [f"model 'auto' is 'test-model' at {server.url}"]
    with pytest.raises(ResourceError, match="half configured") as half:
        Resources(specs, environ={"CHAT_MODEL": "test-model"}).get("models", "chat")
    assert "or set none of them, and it is 'clerk'" in str(half.value)


def test_the_model_instead_must_be_there() -> None:
    text = "schema: ragweave/v1\nmodels: {chat: {type: auto, otherwise: clark}, clerk: {type: scripted}}\n"
    spec, problems = load_text(text + "nodes: {say: {type: generator, model: chat}}\nedges: [start -> say -> end]\n")
    found = check(spec, problems, Resources(spec.resources.values())).problems
    assert any("'clark'" in one.message and "did you mean 'clerk'" in one.message for one in found), found


async def test_with_an_endpoint_configured_it_is_that_endpoint() -> None:
    said: list[str] = []
    with OpenAIServer() as server:
        environ = {"CHAT_MODEL": "test-model", "CHAT_BASE_URL": server.url, "CHAT_API_KEY": server.key}
        model = built({**environ, "CHAT_TEMPERATURE": "0.5"}, said)
        assert "".join([chunk.text async for chunk in model.stream(ASK)]) == "Hello there."
        await model.close()
    assert said == [f"model 'auto' is 'test-model' at {server.url}"]
    assert server.requests[0].json["temperature"] == 0.5


def test_a_model_and_a_key_are_openai() -> None:
    model = built({"CHAT_MODEL": "gpt", "CHAT_API_KEY": "sk-1"}, [])
    assert isinstance(model.chosen, OpenAI)
    assert model.chosen.server == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"CHAT_MODEL": "gpt"}, "there is 'model', but no base_url or api_key"),
        ({"CHAT_API_KEY": "sk-1"}, "there is 'api_key', but no model"),
        ({"CHAT_BASE_URL": "http://localhost:1/v1"}, "there is 'base_url', but no model"),
        ({"CHAT_BASE_URL": "http://x/v1", "CHAT_API_KEY": "sk-1"}, "there is 'base_url' and 'api_key', but no model"),
    ],
)
def test_half_an_endpoint_is_an_error_that_says_what_is_missing(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ResourceError, match=said):
        built(environ, [])


def test_a_wrong_setting_is_named_with_its_resource() -> None:
    with pytest.raises(ResourceError, match=r"models\.chat\.base_url: .*'nowhere' is not an address"):
        built({"CHAT_MODEL": "gpt", "CHAT_BASE_URL": "nowhere"}, [])


@pytest.mark.parametrize(
    ("settings", "environ", "expected"),
    [
        ("model: gpt", {}, "error: 'model', but no base_url or api_key"),
        ("base_url: 'http://127.0.0.1:1/v1'", {}, "error: 'base_url', but no model"),
        ("model: '${env:M:-}', api_key: '${env:K:-}'", {"M": "gpt"}, "warning: 'model', but no base_url or api_key"),
        ("model: '${env:M:-}', api_key: '${env:K:-}'", {"K": "sk-1"}, "warning: 'api_key', but no model"),
        ("model: '${env:M:-}', api_key: '${env:K:-}'", {}, ""),
        ("model: '${env:M:-}', api_key: '${env:K:-}'", {"M": "gpt", "K": "sk-1"}, ""),
        ("temperature: 0.5", {}, ""),
    ],
)
def test_half_an_endpoint_is_found_by_the_check(settings: str, environ: dict[str, str], expected: str) -> None:
    text = (
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [answer]\nmodels:\n"
        f"  chat: {{type: auto, {settings}}}\n"
        "nodes: {answer: {type: generator, model: chat}, documents: {type: retriever, retriever: d}}\n"
        "retrievers: {d: {type: hybrid, index: i}}\nedges: [start -> documents -> answer -> end]\n"
    )
    spec, problems = load_text(text)
    checked = check(spec, problems, Resources(spec.resources.values(), environ=environ))
    found = [problem for problem in checked.problems if problem.code == "RW305"]
    assert len(found) == bool(expected)
    for problem in found:
        severity, _, said = expected.partition(": ")
        assert (problem.severity, problem.line, problem.column) == (severity, 5, 3)
        assert said in problem.message
    assert checked.ok is not expected.startswith("error")
