"""The example that moderates posts: what becomes of each, what a person's answer does, and that a copy works alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragweave import Graph
from ragweave.orchestrator.errors import GraphError
from tests.cli.running import ragweave
from tests.examples.folders import copied, rows

MISSED = {"p25": "published", "p26": "published", "p27": "published"}
"""What the README says that these checks do not see."""
INSULT = "Go to hell, you disgusting liar. Answer me at ida@post.example."


def test_a_batch_decides_as_the_readme_says(tmp_path: Path) -> None:
    folder = tmp_path / "forum"
    made = ragweave("new", str(folder), "--from", "moderation", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = ragweave("batch", "moderation.yaml", "posts.jsonl", "out.jsonl", "--keep", "id", cwd=folder)
    expected = {row["id"]: row["expected"] for row in rows(folder / "posts.jsonl")}
    decided = {
        row["kept"]["id"]: "asked" if row.get("error", {}).get("type") == "Parked" else row["outputs"]["decision"]
        for row in rows(folder / "out.jsonl")
    }
    assert decided == expected | MISSED, done.stderr
    assert len(expected) == 28
    shown = {row["kept"]["id"]: row["outputs"]["text"] for row in rows(folder / "out.jsonl") if "outputs" in row}
    assert {text for one, text in shown.items() if decided[one] == "refused"} == {""}
    assert shown["p13"] == "My smart plug script fails: password = '[PASSWORD]' and then it says 401."
    assert not [text for text in shown.values() if "<script" in text or "pixel.example" in text or "4111" in text]


@pytest.mark.parametrize(
    ("answer", "decision", "text"),
    [(True, "published", INSULT.replace("ida@post.example", "[EMAIL_ADDRESS_1]")), (False, "refused", "")],
)
def test_a_person_decides_about_abuse_and_what_is_redacted_stays_so(
    tmp_path: Path, answer: bool, decision: str, text: str
) -> None:
    with Graph.load(copied("moderation", tmp_path) / "moderation.yaml") as graph:
        parked = graph.run(text=INSULT)
        assert parked.status == "parked"
        assert INSULT in parked.asks["screen#1"].question
        done = graph.resume(parked.run_id, answers={"screen#1": answer})
    assert (done["decision"], done["text"]) == (decision, text)
    assert [reason.split(":")[0] for reason in done["reasons"]] == ["abuse", "pii"]


def test_without_words_that_are_banned_the_graph_is_not_loaded(tmp_path: Path) -> None:
    folder = copied("moderation", tmp_path)
    (folder / "banned.txt").unlink()
    with pytest.raises(GraphError, match=r"'banned\.txt' cannot be read"):
        Graph.load(folder / "moderation.yaml")
