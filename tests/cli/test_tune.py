"""`ragweave tune`: what it chooses, what it says of it, and what it writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragweave.cli.settings import changed
from ragweave.retrievers.ranking.tuning import bootstrap, choose, judged
from tests.cli.running import ragweave

GRAPH = """schema: ragweave/v1
inputs: {question: str}
outputs: [documents]
retrievers:
  # what is known of teas
  teas: {type: hybrid, index: index, documents: docs, weight: 0, boosts: 0, links: false}  # by words
nodes:
  find: {type: retriever, retriever: teas}
edges: [start -> find -> end]
"""
NAMES = ["Assam", "Bancha", "Ceylon", "Darjeeling", "Earl Grey", "Fujian", "Gyokuro", "Hojicha", "Irish", "Jasmine"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Teas whose makers are only named where the tea is: links are what finds them."""
    (tmp_path / "docs").mkdir()
    for name in NAMES:
        (tmp_path / f"docs/{name}.md").write_text(f"# {name}\n\nA tea that was first sold by Miss {name}son Brown.\n")
        (tmp_path / f"docs/maker-{name}.md").write_text(f"# {name}son Brown\n\nShe grew up by the sea.\n")
    (tmp_path / "docs/sold.md").write_text("# Sold\n\nWho sold what, where and when: born sellers of tea.\n")
    rows = [
        {"question": f"Where did the one who first sold {name} grow up?", "sources": [f"{name}.md", f"maker-{name}"]}
        for name in NAMES
    ]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "graph.yaml").write_text(GRAPH)
    ragweave("index", "graph.yaml", cwd=tmp_path)
    return tmp_path


def test_settings_with_a_real_gain_are_written_and_the_rest_of_the_file_stays(folder: Path) -> None:
    done = ragweave("tune", "graph.yaml", "asked.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "the gain is real" in done.stdout
    assert "--write puts it into graph.yaml" in done.stdout
    assert (folder / "graph.yaml").read_text() == GRAPH
    done = ragweave("tune", "graph.yaml", "asked.jsonl", "--write", "--format", "json", cwd=folder)
    said = json.loads(done.stdout)
    assert said["written"]
    assert said["gain"]["real"]
    assert said["settings"]["links"] is True
    assert said["held_out"]["ndcg@10"] > said["now"]["ndcg@10"]
    text = (folder / "graph.yaml").read_text()
    assert "links: true" in text
    assert [line for line in text.splitlines() if "teas: {" not in line] == [
        line for line in GRAPH.splitlines() if "teas: {" not in line
    ]
    assert text.count("# by words") == 1
    again = ragweave("tune", "graph.yaml", "asked.jsonl", cwd=folder)
    assert "nothing is better than the settings there are" in again.stdout


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{"], "asked.jsonl:1: no JSON"),
        (['{"question": "Who?"}'], "asked.jsonl:1: no question with its sources"),
        (['{"question": "Who?", "sources": ["Oolong.md"]}'], "asked.jsonl:1: the index has no source 'Oolong.md'"),
        (['{"question": "Who?", "sources": ["Assam.md"]}'] * 3, "has 3 questions, which say nothing for sure"),
    ],
)
def test_what_is_wrong_with_the_questions_is_one_line(folder: Path, lines: Sequence[str], said: str) -> None:
    (folder / "asked.jsonl").write_text("\n".join(lines))
    done = ragweave("tune", "graph.yaml", "asked.jsonl", cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_another_retriever_is_named(folder: Path) -> None:
    done = ragweave("tune", "graph.yaml", "asked.jsonl", "--retriever", "tea", cwd=folder)
    assert "no retriever 'tea' of type hybrid; did you mean 'teas'?" in done.stderr


def test_luck_is_no_gain() -> None:
    chance = np.random.default_rng(1)
    noise = chance.normal(size=(40, 60))
    assert not choose(noise, 0).gain.is_real
    better = noise.copy()
    better[7] = noise[0] + 0.5
    chosen = choose(better, 0)
    assert chosen.gain.is_real
    assert chosen.best == 7
    assert choose(np.ones((3, 12)), 1).best == 1
    assert bootstrap(np.zeros(5)) == (0, 0, 0)


def test_metrics_are_those_of_the_textbook() -> None:
    assert judged(["a", "b"], frozenset("a")) == (1.0, 1.0)
    ndcg, recall = judged(["x", "a", *"pqrs", "b"], frozenset("ab"))
    assert recall == 0.5
    assert ndcg == pytest.approx((1 / np.log2(3) + 1 / np.log2(8)) / (1 + 1 / np.log2(3)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: {b: {type: x, w: 0.6}} # c\n", "a: {b: {type: x, v: true, w: 0.5}} # c\n"),
        ("a:\n  b:\n    type: x  # t\n    w: 1\nz: 1\n", "a:\n  b:\n    type: x  # t\n    v: true\n    w: 0.5\nz: 1\n"),
        ("a:\n  b:\n    w: '1'\n    type: x", "a:\n  b:\n    w: 0.5\n    type: x\n    v: true\n"),
        ("a:\r\n  b: {w: 1, type: x}\r\n", "a:\r\n  b: {w: 0.5, type: x, v: true}\r\n"),
        ("a: {b: {w: [1], type: x}}\n", None),
        ("a: {b: 1}\n", None),
        ("a: {c: {type: x}}\n", None),
        ("a: {b: {w: 1}}\n", None),
    ],
)
def test_settings_are_changed_in_place(before: str, after: str | None) -> None:
    assert changed(before, ("a", "b"), {"v": True, "w": 0.5}) == after
