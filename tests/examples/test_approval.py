"""The example that asks before it gives money back: nothing is sent before a yes, whoever is restarted meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.errors import InputError
from tests.examples.folders import copied, rows

GIVEN = {"order": "A1002", "reason": "The kettle leaks."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copied("approval", tmp_path)


def opened(folder: Path) -> Graph:
    with registry.scope():
        return Graph.load(folder / "refunds.yaml", plugins=[str(folder / "shop_nodes.py")])


def sent(folder: Path) -> list[float]:
    file = folder / "refunds.jsonl"
    return [row["amount"] for row in rows(file)] if file.exists() else []


def test_small_sums_go_at_once_and_unknown_orders_nowhere(folder: Path) -> None:
    with opened(folder) as graph:
        assert graph.run(order="A1001", reason="rusty")["reply"].startswith("Dear Ann Weber, 9.50 euros")
        assert graph.run(order="B7", reason="rusty")["reply"] == "There is no order B7."
    assert sent(folder) == [9.5]


def test_a_large_sum_waits_for_a_person_over_a_restart(folder: Path) -> None:
    program = (
        "from ragweave import Graph\n"
        "with Graph.load('refunds.yaml', plugins=['shop_nodes.py']) as graph:\n"
        f"    print(graph.run({GIVEN!r}).run_id)"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    run_id = said.stdout.strip()
    assert sent(folder) == []
    with opened(folder) as graph:
        with pytest.raises(InputError, match=r"values\.amount: 'all' is not of type 'number'"):
            graph.resume(run_id, answers={"approve#1": {"approved": True, "values": {"amount": "all"}}})
        assert sent(folder) == []
        done = graph.resume(run_id, answers={"approve#1": True})
    assert done["reply"] == "Dear Bo Lund, 129.00 euros are on their way to you."
    assert sent(folder) == [129.0]


def test_a_person_gives_less_or_nothing(folder: Path) -> None:
    with opened(folder) as graph:
        answers = ({"approved": True, "values": {"amount": 60}}, {"approved": False, "reason": "too late"}, False)
        replies = []
        for answer in answers:
            parked = graph.run(GIVEN)
            assert parked.text.splitlines()[0] == "Give 129 of 129 euros back to Bo Lund for a copper kettle?"
            replies.append(graph.resume(parked.run_id, answers={"approve#1": answer})["reply"])
    assert replies == [
        "Dear Bo Lund, 60.00 euros are on their way to you.",
        "Dear Bo Lund, we cannot give this back: a person said no: too late.",
        "Dear Bo Lund, we cannot give this back: a person said no.",
    ]
    assert sent(folder) == [60.0]
