"""The example that sorts reviews: its gold labels, by `ragweave batch`, and alerts that are posted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ragweave import Graph
from tests.cli.running import ragweave
from tests.examples.folders import EDGE, ROOT, copied, rows
from tests.nodes.test_notify import hook

RIGHT = {"mood": 79, "topic": 99, "priority": 94}
"""Of 120 reviews, none of which was taught."""
ALERTED = 12
"""Of 16 urgent reviews."""


def test_a_batch_labels_the_reviews(tmp_path: Path) -> None:
    folder = copied("reviews", tmp_path)
    gold = rows(folder / "reviews.jsonl")
    done = ragweave("batch", "reviews.yaml", "reviews.jsonl", "out.jsonl", "--keep", "id", cwd=folder)
    assert done.returncode == 0, done.stderr
    labelled = {row["kept"]["id"]: row["outputs"] for row in rows(folder / "out.jsonl")}
    assert len(gold) == len(labelled) == 120
    found = {key: sum(labelled[row["id"]][key] == row[key] for row in gold) for key in RIGHT}
    assert found == pytest.approx(RIGHT, abs=EDGE)
    urgent = [labelled[row["id"]] for row in gold if row["priority"] == "urgent"]
    assert len(urgent) == 16
    assert sum(bool(one["alert"]) for one in urgent) == pytest.approx(ALERTED, abs=EDGE)
    assert {bool(one["alert"]) == (one["priority"] == "urgent") for one in labelled.values()} == {True}
    assert all(one["alert"].startswith(row["product"]) for row in gold if (one := labelled[row["id"]])["alert"])


def test_the_reviews_are_many_different_and_none_is_taught() -> None:
    folder = ROOT / "examples" / "reviews"
    gold = rows(folder / "reviews.jsonl")
    assert len({row["review"] for row in gold}) == len(gold)
    assert len({row["product"] for row in gold}) >= 10
    assert min(Counter(row["topic"] for row in gold).values()) >= 15
    taught = (folder / "moods.yaml").read_text("utf-8") + (folder / "topics.yaml").read_text("utf-8")
    assert not [row["id"] for row in gold if row["review"] in taught]


async def test_an_urgent_review_is_posted_if_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    burned = {"review": "The lid burst and I was scalded by the steam.", "product": "kettle"}
    async with hook() as server:
        monkeypatch.setenv("ALERT_URL", server.url)
        async with Graph.load(copied("reviews", tmp_path) / "reviews.yaml") as graph:
            quiet = await graph.arun(burned)
            assert quiet["alert"] == "kettle: The lid burst and I was scalded by the steam."
            assert (quiet["delivery"], server.got) == (None, [])
            await graph.arun({**burned, "send": True})
            happy = await graph.arun({"review": "A bargain, I would have paid twice as much.", "send": True})
    assert happy["alert"] == ""
    assert [json.loads(body)["data"]["product"] for _, body in server.got] == ["kettle"]
