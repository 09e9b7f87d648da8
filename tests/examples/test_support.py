"""The example that answers a bank's customers: its messages with their intents, routes and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragweave import Graph, Result
from tests.cli.running import ragweave
from tests.examples.folders import EDGE, copied, rows
from tests.nodes.test_notify import hook

INTENTS, ROUTES, ANSWERS = 32, 31, 28
"""Of 34 messages: those whose intent, whose route, and whose route and answer are right."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copied("support", tmp_path_factory.mktemp("examples"))
    done = ragweave("index", "support.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def graph(example: Path) -> Iterator[Graph]:
    with Graph.load(example / "support.yaml", plugins=[str(example / "bank_nodes.py")]) as graph:
        yield graph


def test_messages_have_their_intent_their_route_and_their_answer(graph: Graph, example: Path) -> None:
    messages = rows(example / "messages.jsonl")
    asked = [{"question": row["question"], "customer_id": row["customer_id"]} for row in messages]
    results = [one for one in graph.batch(asked) if isinstance(one, Result)]
    intents = routes = answers = 0
    for one, row in zip(results, messages, strict=True):
        intents += row["intent"] in ("", one["intent"])
        routed = one["route"] == row["route"]
        routes += routed
        said = f"{one['reply']} {one['reason']}".casefold()
        answers += routed and any(words.casefold() in said for words in row["any_of"])
        assert bool(one["reason"]) == (one["route"] == "person")
    assert len(messages) == 34
    assert intents == pytest.approx(INTENTS, abs=EDGE)
    assert routes == pytest.approx(ROUTES, abs=EDGE)
    assert answers == pytest.approx(ANSWERS, abs=EDGE)


def test_what_is_known_of_a_customer_is_used(graph: Graph) -> None:
    ada = graph.run(question="How do I unblock my PIN?", customer_id="c1001")
    assert (ada["route"], ada["reply"][:16]) == ("answered", "Hello Ada Brandt")
    watched = graph.run(question="How do I unblock my PIN?", customer_id="c1004")
    assert (watched["route"], watched["reason"]) == ("person", "the account is under review")
    nobody = graph.run(question="How do I unblock my PIN?", customer_id="c9999")
    assert nobody["reply"].startswith("Hello dear customer: ")


async def test_nothing_is_posted_unless_asked_for(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hook() as server:
        monkeypatch.setenv("SUPPORT_URL", server.url)
        async with Graph.load(example / "support.yaml", plugins=[str(example / "bank_nodes.py")]) as graph:
            angry = {"question": "You crooks, I have had enough, I will sue you!", "customer_id": "c1002"}
            quiet = await graph.arun(angry)
            assert (quiet["route"], quiet["delivery"], server.got) == ("person", None, [])
            loud = await graph.arun({**angry, "send": True})
    assert loud["delivery"]["status"] == 202
    sent = json.loads(server.got[0][1])
    assert sent["type"] == "support.person"
    assert sent["data"]["customer"]["name"] == "Ibrahim Sahin"
    assert sent["data"]["reason"] == "the customer is angry"
