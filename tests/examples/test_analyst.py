"""The example that answers questions about reports: what is computed, what is held back, and what is kept of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ragweave import Answer, Citation, Document, Graph, Result, Verdict
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import InputError
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.orchestrator.values import ToolResult
from ragweave.retrievers.chunking import Chunks
from ragweave.retrievers.embedders.minilm import MiniLM
from ragweave.retrievers.indexes.indexing import build_index
from tests.examples.folders import ROOT, copied, rows
from tests.support.openai_server import OpenAIServer, Reply

FOLDER = ROOT / "examples" / "analyst"
QUESTIONS = rows(FOLDER / "questions.jsonl")
NIGHT = QUESTIONS[0]
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = copied("analyst", tmp_path_factory.mktemp("examples"))
    build_index(folder / "reports", folder / ".ragweave" / "reports", MiniLM(), chunks=Chunks("heading"))
    with registry.scope():  # of this module only
        yield folder


@pytest.fixture(scope="module")
def graph(example: Path) -> Iterator[Graph]:
    with Graph.load(example / "analyst.yaml", plugins=[str(example / "analyst_nodes.py")]) as graph:
        yield graph


def ask(graph: Graph, row: Row, *replies: str, signed: bool = False) -> tuple[Result, Scripted]:
    """What the graph makes of a model that replies so, and the model."""
    model = Scripted(replies=list(replies))
    graph.resources.put("models", "chat", model)
    return graph.run(question=row["question"], signed=signed), model


def state(graph: Graph, result: Result) -> Mapping[str, Any]:
    return graph.replay(result.run_id).state


def plan(row: Row, **changed: str) -> str:
    return json.dumps({"expression": row["expression"], "unit": row["unit"], **changed})


def found(graph: Graph, row: Row) -> list[tuple[str, str]]:
    """File and section of each passage that the graph finds for a question, the best first."""
    result, _ = ask(graph, row, plan(row, expression=""), "The reports do not say.")
    return [(one.source, one.title.split(" > ")[-1]) for one in state(graph, result)["documents"]]


def said(graph: Graph, row: Row, text: str = "") -> str:
    """The answer with the marks of its sources."""
    places = found(graph, row)
    marks = "".join(f"[{places.index((row['source'], section)) + 1}]" for section in row["sections"])
    return f"{text or row['answer']} {marks}"


@pytest.mark.parametrize("row", QUESTIONS, ids=lambda row: row["question"])
def test_a_question_is_computed_checked_and_released(graph: Graph, row: Row) -> None:
    result, model = ask(graph, row, plan(row), said(graph, row))
    answer, known = result["answer"], state(graph, result)
    assert (result["released_by"], answer.confidence) == ("rules", 1.0), known["verdict"].reasons
    assert {citation.source for citation in answer.citations} == {row["source"]}
    results = [one.content.split(" ")[0] for one in known["tool_results"]]
    assert results == ([row["result"]] if row["expression"] else [])
    assert len(model.requests) == 2
    assert ("The calculation:" in model.requests[1].messages[-1].text) == bool(row["expression"])


def test_an_expression_that_cannot_be_computed_goes_back_with_the_reason(graph: Graph) -> None:
    bad = plan(NIGHT, expression="($12,480 - $9,615) / $9,615")
    result, model = ask(graph, NIGHT, bad, plan(NIGHT), said(graph, NIGHT))
    assert result["released_by"] == "rules"
    assert "The calculator could not compute your last expression: '$' is money" in model.requests[1].messages[-1].text
    assert "could not compute" not in model.requests[2].messages[-1].text
    result, model = ask(graph, NIGHT, bad, bad, bad)
    assert (result["released_by"], result["answer"].confidence, len(model.requests)) == ("nobody", 0.0, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It grew by 31.2%.", "the number 31.2 is in no source"),
        ("It grew.", "it does not give the result of the calculation"),
        ("It grew by 29.8%, and we recommend the share.", "it says 'we recommend'"),
    ],
)
def test_an_answer_that_fails_the_rules_is_written_once_more_then_refused(graph: Graph, text: str, reason: str) -> None:
    wrong, right = said(graph, NIGHT, text), said(graph, NIGHT)
    result, model = ask(graph, NIGHT, plan(NIGHT), wrong, plan(NIGHT), right)
    assert result["released_by"] == "rules"
    assert all(reason in request.messages[-1].text for request in model.requests[2:])
    result, model = ask(graph, NIGHT, plan(NIGHT), wrong, plan(NIGHT), wrong)
    assert (result["released_by"], result["answer"].confidence, len(model.requests)) == ("nobody", 0.0, 4)
    assert "29.8" not in result["answer"].text


def test_figures_of_other_sources_and_answers_without_sources_do_not_pass(graph: Graph) -> None:
    made_up = plan(NIGHT, expression="(12,480 - 9,000) / 9,000 in %")
    text = said(graph, NIGHT, "It grew by 38.67%.")
    result, model = ask(graph, NIGHT, made_up, text, made_up, text)
    assert result["answer"].confidence == 0.0
    assert "the number 9000 of the calculation is in no source that it cites" in model.requests[2].messages[-1].text
    result, model = ask(graph, NIGHT, plan(NIGHT), *[NIGHT["answer"], plan(NIGHT)] * 2)
    assert result["answer"].confidence == 0.0
    assert "it cites no source" in model.requests[2].messages[-1].text


def test_what_the_reports_do_not_say_is_refused_at_once(graph: Graph) -> None:
    unknown = {"question": "Who painted the Ingrid?"}
    result, model = ask(graph, unknown, plan(NIGHT, expression=""), "The reports do not say.")
    assert (result["released_by"], result["answer"].confidence, len(model.requests)) == ("nobody", 0.0, 2)


def test_a_person_releases_an_answer_by_name_or_not_at_all(graph: Graph) -> None:
    text = said(graph, NIGHT)
    parked, _ = ask(graph, NIGHT, plan(NIGHT), text, signed=True)
    assert parked.status == "parked"
    assert parked.asks["sign#1"].question.startswith("Release this answer?\nIt grew by 29.8%")
    with pytest.raises(InputError, match="'by' is a required property"):
        graph.resume(parked.run_id, answers={"sign#1": {"release": True}})
    done = graph.resume(parked.run_id, answers={"sign#1": {"release": True, "by": "Ida Holm"}})
    assert (done["released_by"], done["answer"].confidence) == ("Ida Holm", 1.0)
    parked, _ = ask(graph, NIGHT, plan(NIGHT), text, signed=True)
    done = graph.resume(parked.run_id, answers={"sign#1": {"release": False, "by": "Ida Holm"}})
    assert (done["released_by"], done["answer"].confidence) == ("nobody", 0.0)


def test_every_answer_leaves_a_record_that_leads_back_to_the_text(example: Path) -> None:
    with Graph.load(example / "analyst.yaml", plugins=[str(example / "analyst_nodes.py")]) as graph:
        text = said(graph, NIGHT)
        graph.resources.put("models", "chat", Scripted(replies=[plan(NIGHT), text]))
        run = graph.run(question=NIGHT["question"], user="ann")
        bad = plan(NIGHT, expression="1 +")
        refused, _ = ask(graph, NIGHT, bad, bad, bad)
    told = audited(example)
    kept, held = ({one["run"]: one for one in told}[done.run_id] for done in (run, refused))
    assert (kept["user"], kept["released_by"], kept["objections"], kept["intact"]) == ("ann", "rules", [], True)
    assert (kept["expression"], kept["result"][0].split()[0]) == (NIGHT["expression"], NIGHT["result"])
    (source,) = kept["sources"]
    start, end = source["offsets"]
    report = (example / "reports" / source["file"]).read_text("utf-8")
    assert report[start:end] == source["quote"]
    assert "| Night route | 12,480 | 9,615 |" in source["quote"]
    assert report.splitlines()[source["line"] - 1].startswith("| Night route")
    assert (held["answered"], held["released_by"], held["sources"]) == (False, "nobody", [])
    assert held["result"][0].startswith("error: ")
    assert audited(example, run.run_id) == [kept]


def audited(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `audit.py` prints."""
    command = [sys.executable, "audit.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_model_behind_an_endpoint_is_bound_to_the_form_of_a_plan(
    graph: Graph, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [Reply(plan(NIGHT)), Reply(said(graph, NIGHT))]
    with OpenAIServer(replies) as server:
        monkeypatch.setenv("CHAT_BASE_URL", server.url)
        monkeypatch.setenv("CHAT_API_KEY", server.key)
        monkeypatch.setenv("CHAT_MODEL", "test-model")
        with Graph.load(example / "analyst.yaml", plugins=[str(example / "analyst_nodes.py")]) as live:
            result = live.run(question=NIGHT["question"])
    assert result["released_by"] == "rules"
    first, second = (request.json for request in server.requests)
    wanted = first["response_format"]["json_schema"]["schema"]
    assert wanted["required"] == ["expression", "unit"]
    assert "response_format" not in second
    assert f"The calculation: {NIGHT['expression']} = {NIGHT['result']}" in second["messages"][-1]["content"]


PASSAGE = Document(id="p", title="Report 2025", text="Sales were 1,206.50 (2024: 1,100), a plus of 9.7%.")
OTHER = Document(id="o", title="Other", text="Costs were 77.")


@pytest.mark.parametrize(
    ("text", "expression", "results", "passes"),
    [
        ("Sales were 1206.5 in 2025.", "", [], True),
        ("Sales were 1,206.50.", "", [], True),
        ("Sales were 1,206.", "", [], False),
        ("Costs were 77.", "", [], False),
        ("It is 106.50.", "1,206.50 - 1,100", ["106.5"], True),
        ("It is 106 or 107.", "1,206.50 - 1,100", ["106.5"], False),
        ("It is 107.", "1,206.50 - 1,100", ["106.5"], True),
        ("It fell by 106.5.", "1,100 - 1,206.50", ["-106.5"], True),
        ("It is 9.68%.", "(1,206.5 / 1,100 - 1) in %", ["9.68181818181818% (rounded; exactly 213/22)"], True),
        ("It is 22.", "(1,206.5 / 1,100 - 1) in %", ["9.68181818181818% (rounded; exactly 213/22)"], False),
        ("It is 603.25.", "1,206.5 / 2", ["603.25"], False),
        ("Buyers paid 1,100.", "", [], True),
        ("BUY now.", "", [], False),
        ("It is " + "9" * 900 + ".", "1,100 ^ 300", ["9" * 900], False),
    ],
)
def test_numbers_are_traced(graph: Graph, text: str, expression: str, results: Sequence[str], passes: bool) -> None:
    check = registry.get("nodes", "compliance")
    answer = Answer(text=f"{text} [1]", citations=(Citation(number=1, document="p"),))
    given = [ToolResult(id="sum", name="calculator", content=content) for content in results]
    verdict: Verdict = check(constants=[1], forbidden=["buy"])(answer, [PASSAGE, OTHER], expression, given)["verdict"]
    assert verdict.passed == passes, verdict.reasons
