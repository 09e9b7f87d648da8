"""The example that sums up long texts: budgets are kept in every style, and the key points hold what they should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragweave import Graph, Result
from ragweave.orchestrator.models.scripted import Scripted
from tests.examples.folders import ROOT, rows

EXAMPLE = ROOT / "examples" / "summarise"
WORDS = {"bullet": 100, "paragraph": 120, "executive": 70}
POINTS = 160
"""Words of the key points at most."""
FOUND = 5
"""Facts of ten that the model `extractive` gets into the key points."""


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph.load(EXAMPLE / "summarise.yaml") as graph:
        yield graph


@pytest.fixture(scope="module")
def results(graph: Graph) -> dict[str, Result]:
    text = (EXAMPLE / "report.md").read_text(encoding="utf-8")
    assert len(text.split()) > 3000
    return {style: graph.run(text=text, style=style) for style in WORDS}


def test_every_style_keeps_its_length_and_quotes_the_report(results: dict[str, Result]) -> None:
    report = (EXAMPLE / "report.md").read_text(encoding="utf-8")
    for style, result in results.items():
        summary = result["summary"]
        assert 0 < len(summary.replace("- ", "").split()) <= WORDS[style], style
        assert len(result["points"].replace("- ", "").split()) <= POINTS
        for line in result["points"].splitlines():
            assert line.removeprefix("- ") in report
    assert all(line.startswith("- ") for line in results["bullet"]["summary"].splitlines())
    assert "\n" not in results["paragraph"]["summary"]


def test_key_points_hold_five_of_ten_facts(results: dict[str, Result]) -> None:
    facts = rows(EXAMPLE / "facts.jsonl")
    points = results["paragraph"]["points"]
    found = [row["id"] for row in facts if any(words in points for words in row["any_of"])]
    assert len(found) == FOUND, found


def test_a_briefing_says_what_is_recommended(results: dict[str, Result]) -> None:
    assert "recommend" in results["executive"]["summary"]
    assert "recommend" not in results["bullet"]["summary"]


def test_a_short_text_goes_through_once_and_a_blank_one_gives_nothing(graph: Graph) -> None:
    assert graph.run(text="The ferry takes 40 minutes.")["summary"] == "The ferry takes 40 minutes."
    assert graph.run(text=" \n")["summary"] == ""


def test_a_model_is_asked_for_each_piece_for_the_points_and_for_the_style() -> None:
    with Graph.load(EXAMPLE / "summarise.yaml") as graph:
        model = Scripted(replies=["In short."], repeat=True)
        graph.resources.put("models", "chat", model)
        text = (EXAMPLE / "report.md").read_text(encoding="utf-8")
        result = graph.run(text=text, style="executive")
        asked = [" ".join(message.text for message in request.messages) for request in model.requests]
    assert (result["summary"], result["points"]) == ("In short.", "In short.")
    assert len(asked) >= len(text.split()) / 600 + 2
    assert "what is recommended" in asked[-1]
    assert not any("what is recommended" in one for one in asked[:-1])
