"""Checks that ask something else: a model of languages, a classifier in a folder, a service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError

from ragweave import Graph
from ragweave.orchestrator.errors import GraphError, ModelError, ResourceError
from ragweave.orchestrator.guardrails.check import Subject
from ragweave.orchestrator.guardrails.classifier import Classifier
from ragweave.orchestrator.guardrails.heads.windows import windows
from ragweave.orchestrator.guardrails.language import Language
from ragweave.orchestrator.guardrails.screening import screen
from ragweave.orchestrator.guardrails.service import Http
from ragweave.orchestrator.models.local.pipelines import LocalPipeline
from ragweave.orchestrator.resources import Resources
from tests.retrievers.folders import SHARED, needs_shared
from tests.support import tiny_models

XQUAD = SHARED / "xquad" / "queries.jsonl"
Reply = Callable[[dict[str, Any]], tuple[int, bytes]]


@contextmanager
def guard(reply: Reply) -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """A guard on loopback, with what it was sent."""
    got: list[tuple[dict[str, str], Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append(({name.lower(): value for name, value in self.headers.items()}, sent))
            status, body = reply(sent)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # who has waited too long is gone
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/check", got
    finally:
        server.shutdown()
        server.server_close()


def said(**reply: Any) -> Reply:
    return lambda sent: (200, json.dumps(reply).encode())


async def test_a_text_in_another_language_is_found_and_a_short_one_is_not_decided() -> None:
    check = Language(languages=["en", "fr"])
    check.open(Resources())
    german = "Wann kommt denn endlich mein Paket an?"
    found = await check.find(german, Subject())
    assert [(one.begin, one.end, one.label) for one in found] == [(0, len(german), "LANGUAGE")]
    assert found[0].reason == "it is in another language (de) than en, fr"
    assert await check.find("注文した荷物はいつ届きますか", Subject())
    for fine in ("Where is my parcel, please?", "Où est donc mon colis, s'il vous plaît ?", "Wo denn?", "12345 " * 20):
        assert await check.find(fine, Subject()) == []
    eager = Language(languages=["en"], min_letters=5)
    eager.open(Resources())
    assert await eager.find("Wo ist das?", Subject())


@needs_shared
async def test_questions_in_six_languages_are_told_apart_as_the_guide_says() -> None:
    asked = [json.loads(line) for line in XQUAD.read_text("utf-8").splitlines()]
    right = {code: Language(languages=[code]) for code in sorted({row["lang"] for row in asked})}
    for check in right.values():
        check.open(Resources())
    letters = [sum(1 + (char >= "\u2e80") for char in row["question"] if char.isalpha()) for row in asked]
    decided = [row for row, count in zip(asked, letters, strict=True) if count >= 20]
    blocked = [row for row in decided if await right[row["lang"]].find(row["question"], Subject())]
    others = [(row, right["de" if row["lang"] == "en" else "en"]) for row in decided]
    passed = [row for row, check in others if not await check.find(row["question"], Subject())]
    assert (len(asked), len(decided), len(blocked), len(passed)) == (4032, 3924, 2, 2)


def test_a_language_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ResourceError, match="languages: 'eng' is not known; did you mean 'en'"):
        Language(languages=["eng"]).open(Resources())


async def test_a_classifier_judges_all_of_a_long_text_by_its_windows() -> None:
    folder = tiny_models.kept("bert", head="SequenceClassification", labels=("fine", "rude", "vile"))
    text = "Whisk the eggs. " * 12 + "Simmer for 20 minutes. " * 12 + "Is the mail worker late? " * 12
    check, all_of_it = (Classifier(path=str(folder), labels=["rude", "vile"], threshold=at) for at in (0.5, 0))
    alone = LocalPipeline(folder, "text-classification", truncate=False)
    parts = ["Whisk the eggs.", "Simmer for 20 minutes."]
    for one in (check, all_of_it):
        one.open(Resources())
    found = await all_of_it.find(text, Subject())
    assert [(one.begin, one.end) for one in found] == [(one.begin, one.end) for one in windows(text)]
    assert {one.label for one in found} == {"CLASSIFIED"}
    told = await check.find(text, Subject())
    assert [one for one in found if one.score > 0.5] == told
    for part in parts:
        scores = await alone(part)
        assert [one.score for one in await all_of_it.find(part, Subject())] == pytest.approx(
            [scores["rude"] + scores["vile"]], abs=1e-3
        )
    await alone.close()
    await check.close()
    await all_of_it.close()


def test_a_label_that_the_model_lacks_is_told_when_the_graph_is_loaded() -> None:
    folder = tiny_models.kept("bert", head="SequenceClassification", labels=("fine", "rude", "vile"))
    graph = """
    schema: ragweave/v1
    inputs: {question: str}
    outputs: [question]
    checks: {mood: {type: classifier, path: "PATH", labels: [rud]}}
    nodes: {screen: {type: guardrail, checks: [mood]}}
    edges: [start -> screen -> end]
    """
    with pytest.raises(GraphError, match="has no label 'rud'; did you mean 'rude'"):
        Graph.parse(graph.replace("PATH", str(folder)))
    with pytest.raises(GraphError, match="does not exist"):
        Graph.parse(graph.replace("PATH", "models/none"))


async def test_a_service_says_what_is_at_fault_and_where() -> None:
    spans = [
        {"begin": 9, "end": 14, "label": "name"},
        {"begin": 4, "end": 11},
        {"begin": 20, "end": 21, "label": "a b"},
    ]
    with guard(said(results=[{"action": "deny", "places": spans}])) as (url, got):
        check = Http(
            url=url, text="input", body={"policy": 7}, api_key="k3y", verdict="results.0.action",
            faulty=["deny"], fine=["allow"], spans="results.0.places",
        )  # fmt: skip
        found = await check.find("x" * 30 + "\ud800é", Subject())
    assert [one[:3] for one in found] == [(4, 14, "REFUSED"), (20, 21, "A_B")]
    assert got[0][1] == {"policy": 7, "input": "x" * 30 + "\ud800é"}
    assert got[0][0]["authorization"] == "Bearer k3y"
    with guard(said(flagged=True)) as (url, _):
        assert [one[:3] for one in await Http(url=url).find("abc", Subject())] == [(0, 3, "REFUSED")]
    with guard(said(flagged=False)) as (url, got):
        assert await Http(url=url).find("abc", Subject()) == []
        assert await Http(url=url).find(" ", Subject()) == []
        assert len(got) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (lambda sent: (500, b"{}"), "replied with status 500"),
        (lambda sent: (302, b'{"flagged": false}'), "replied with status 302"),
        (lambda sent: (200, b"<html>"), "is no JSON"),
        (said(), "has nothing at 'flagged'"),
        (said(flagged="no"), "is 'no', neither faulty nor fine"),
        (said(flagged=0), "is '0', neither faulty nor fine"),
        (said(flagged=True, spans=[{"begin": 0, "end": 99}]), "no {begin, end} within the text"),
        (said(flagged=True, spans=None), "no {begin, end} within the text"),
    ],
)
async def test_a_service_that_cannot_tell_blocks(reply: Reply, message: str) -> None:
    with guard(reply) as (url, _):
        check = Http(url=url, action="flag", spans="spans")
        screened = await screen({"guard": check}, "abc", Subject())
    assert not screened.verdict.passed
    assert message in screened.verdict.reasons[0]


async def test_a_service_that_is_not_there_or_too_slow_blocks() -> None:
    going = threading.Event()

    def slow(sent: dict[str, Any]) -> tuple[int, bytes]:
        going.wait(10)
        return 200, b'{"flagged": false}'

    with guard(slow) as (url, _):
        with pytest.raises(ModelError, match=r"within 0\.2 s|the guard"):
            await Http(url=url, timeout=0.2).find("abc", Subject())
        going.set()
    screened = await screen({"guard": Http(url=url, action="flag")}, "abc", Subject())
    assert not screened.verdict.passed
    assert "it could not be checked" in screened.verdict.reasons[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://guard.example/check"}, "is not encrypted"),
        ({"url": "guard.example"}, "no address"),
        ({"url": "https://jo:pw@guard.example"}, "holds a password"),
        ({"url": "https://guard.example", "faulty": [False]}, "both faulty and fine"),
    ],
)
def test_settings_of_a_service_that_are_wrong(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        Http(**settings)
    assert "jo:pw" not in str(caught.value)
