"""The example that writes code: what passes is delivered, what fails is repaired or given up, and all of it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragweave import Graph, Result, RunError
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import ResourceError
from ragweave.orchestrator.models.scripted import Scripted
from ragweave.tools.sandbox import PythonSandbox
from ragweave.tools.types.python import Python
from tests.cli.running import ragweave
from tests.examples.folders import ROOT, copied, rows
from tests.support.openai_server import OpenAIServer, Reply

PROBLEMS = ROOT.parent / "shared" / "data" / "code_humaneval" / "problems.jsonl"
needs_problems = pytest.mark.skipif(not PROBLEMS.is_file(), reason="HumanEval is not beside the repository")
TASKS = {row["id"]: row for row in rows(ROOT / "examples" / "codegen" / "tasks.jsonl")}
WRONG = "def nothing() -> None:\n    return None"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = copied("codegen", tmp_path_factory.mktemp("examples"))
    text = (folder / "codegen.yaml").read_text("utf-8").replace("chunks: whole", "chunks: whole, weight: 0")
    (folder / "codegen.yaml").write_text(text, "utf-8")  # by words alone: what is found plays no part in these tests
    done = ragweave("index", "codegen.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    with registry.scope():  # of this module only
        yield folder


@pytest.fixture(scope="module")
def engine() -> str:
    """The sandbox that works here; skips where none does."""
    try:
        return asyncio.run(PythonSandbox().start())
    except ResourceError as error:
        pytest.skip(error.message)


@pytest.fixture
def graph(example: Path, engine: str) -> Iterator[Graph]:
    with Graph.load(example / "codegen.yaml", plugins=[str(example / "codegen_nodes.py")]) as graph:
        yield graph


def write(graph: Graph, task: str, tests: str, *attempts: str) -> tuple[Result, Scripted]:
    """What the graph makes of a model that replies so, and the model."""
    analysis = json.dumps({"goal": "Compute something.", "cases": ["nothing at all"]})
    replies = [f"I think of this:\n\n```python\n{code}\n```\n\nIt should do." for code in attempts]
    model = Scripted(replies=[analysis, *replies, "It does what it says."])
    graph.resources.put("models", "chat", model)
    return graph.run(task=task, tests=tests), model


@pytest.mark.parametrize("name", TASKS)
def test_a_solution_passes_through_the_whole_graph(graph: Graph, name: str) -> None:
    row = TASKS[name]
    result, model = write(graph, row["task"], row["tests"], row["solution"])
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (True, 1, 1.0)
    assert result["answer"].text == f"```python\n{row['solution']}\n```\n\nIt does what it says."
    assert len(model.requests) == 3


def test_a_wrong_attempt_is_repaired_with_what_its_tests_say(graph: Graph) -> None:
    row, hasty = TASKS["gaps"], "def gaps(numbers):\n    return numbers[7]"
    result, model = write(graph, row["task"], row["tests"], hasty, row["solution"])
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (True, 2, 1.0)
    first, second = (model.requests[number].messages[-1].text for number in (1, 2))
    assert "This attempt failed" not in first
    assert "return numbers[7]\n```" in second
    assert "IndexError: list index out of range" in second


def test_four_wrong_attempts_are_refused_with_the_last(graph: Graph) -> None:
    row = TASKS["clock"]
    attempts = [f"def minutes_between(start, end):\n    return {number}" for number in range(4)]
    result, _ = write(graph, row["task"], row["tests"], *attempts)
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (False, 4, 0.0)
    assert attempts[-1] in result["answer"].text
    assert "which is wrong" in result["answer"].text
    assert "AssertionError" in result["answer"].text


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(0)",
        "import os\nos._exit(0)",
        "print('-- every test passed --'[:8])",
        "'''never closed",
        "while True:\n    pass",
        "x = [0] * 10**9",
    ],
)
def test_what_ends_before_its_tests_does_not_pass(graph: Graph, engine: str, code: str) -> None:
    if engine != "bubblewrap":
        pytest.skip("these are programs for a whole Python")
    graph.resources.put("tools", "python", quick := Python(seconds=1))
    quick.open(graph.resources)
    result, _ = write(graph, "nothing", "assert double(2) == 4", *[code] * 4)
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (False, 4, 0.0)


@pytest.mark.parametrize("tests", ["", " \n"])
def test_without_tests_nothing_is_said_to_pass(graph: Graph, tests: str) -> None:
    result, _ = write(graph, "nothing", tests, WRONG)
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (False, 1, 0.0)
    assert "There are no tests." in result["answer"].text


def test_the_code_is_the_longest_block_of_a_reply_or_all_of_it(graph: Graph) -> None:
    row = TASKS["initials"]
    shown = f"Such as:\n\n```\ninitials('a b')\n```\n\nThe program:\n\n~~~~py\n{row['solution']}\n~~~~\n"
    for reply in (shown, row["solution"]):
        model = Scripted(replies=['{"goal": "g", "cases": []}', reply, "Done."])
        graph.resources.put("models", "chat", model)
        result = graph.run(task=row["task"], tests=row["tests"])
        assert (result["passed"], result["attempts"]) == (True, 1)


def test_a_rehearsal_needs_no_model_and_says_where_one_is_needed(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHAT_MODEL", "CHAT_BASE_URL", "CHAT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    result = graph.run(task="Write double(n).", tests="assert double(4) == 8")
    assert (result["passed"], result["attempts"]) == (True, 2)
    with pytest.raises(RunError, match="set CHAT_MODEL"):
        graph.run(task="Sort a list.", tests="assert True")


def test_a_model_behind_an_endpoint_writes_and_repairs(
    example: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = TASKS["initials"]
    analysis = json.dumps({"goal": "Shorten a name.", "cases": ["an empty name"]})
    replies = [Reply(text) for text in (analysis, WRONG, f"```python\n{row['solution']}\n```", "It shortens names.")]
    with OpenAIServer(replies) as server:
        monkeypatch.setenv("CHAT_BASE_URL", server.url)
        monkeypatch.setenv("CHAT_API_KEY", server.key)
        monkeypatch.setenv("CHAT_MODEL", "test-model")
        with Graph.load(example / "codegen.yaml", plugins=[str(example / "codegen_nodes.py")]) as live:
            result = live.run(task=row["task"], tests=row["tests"])
    assert (result["passed"], result["attempts"], result["answer"].confidence) == (True, 2, 1.0)
    first, _, third, _ = (request.json for request in server.requests)
    assert first["response_format"]["json_schema"]["schema"]["required"] == ["goal", "cases"]
    assert "name 'initials' is not defined" in third["messages"][-1]["content"]


def humaneval(row: dict[str, Any]) -> tuple[str, str, str]:
    """The task, its tests and the reference solution."""
    return row["prompt"], f"{row['test']}\ncheck({row['entry_point']})", row["prompt"] + row["canonical_solution"]


def held(graph: Graph, row: dict[str, Any]) -> None:
    """A problem's solution passes, is taken after a wrong one, and wrong ones alone are refused."""
    task, tests, solution = humaneval(row)
    wrong = f"{row['prompt']}    return object()"
    for attempts, wanted in (
        ([solution], (True, 1, 1.0)),
        ([wrong, solution], (True, 2, 1.0)),
        ([wrong] * 4, (False, 4, 0.0)),
    ):
        result, _ = write(graph, task, tests, *attempts)
        found = (result["passed"], result["attempts"], result["answer"].confidence)
        assert found == wanted, (row["task_id"], attempts[-1])


@needs_problems
def test_a_problem_of_humaneval_goes_through(graph: Graph, engine: str) -> None:
    if engine != "bubblewrap":
        pytest.skip("its tests take a whole Python")
    held(graph, rows(PROBLEMS)[0])


@needs_problems
@pytest.mark.long
def test_every_problem_of_humaneval_goes_through(graph: Graph, engine: str) -> None:
    if engine != "bubblewrap":
        pytest.skip("its tests take a whole Python")
    problems = rows(PROBLEMS)
    for row in problems:
        held(graph, row)
    assert len(problems) == 74
