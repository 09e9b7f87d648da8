"""`ragweave new`: what it makes runs, and what is there already stays."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.running import ragweave

RECIPES = ["agent", "plan_and_execute", "reflection", "router", "multi_hop"]


@pytest.mark.parametrize("start", ["notes", "function", "agent", "multi_hop"])
def test_what_is_made_runs_as_it_says(tmp_path: Path, start: str) -> None:
    done = ragweave("new", "mine", "--from", start, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert ragweave("check", "graph.yaml", cwd=tmp_path / "mine").returncode == 0
    commands = re.findall(r"^  ragweave (\w+) graph\.yaml(.*)$", done.stdout, re.MULTILINE)
    assert commands
    for command, rest in commands:
        words = [first or second for first, second in re.findall(r'"([^"]*)"|(\S+)', rest)]
        ran = ragweave(command, "graph.yaml", *words, cwd=tmp_path / "mine")
        assert ran.returncode == 0, ran.stderr


def test_the_questions_of_the_notes_are_answered(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    assert ragweave("new", str(folder)).returncode == 0
    assert ragweave("index", "graph.yaml", cwd=folder).returncode == 0
    assert ragweave("batch", "graph.yaml", "questions.jsonl", "out.jsonl", cwd=folder).returncode == 0
    lines = sorted(map(json.loads, (folder / "out.jsonl").read_text().splitlines()), key=lambda line: line["row"])
    answers = [line["outputs"]["answer"]["text"] for line in lines]
    assert "Sundays and public holidays" in answers[0]
    assert "30 days" in answers[1]
    assert "service desk" in answers[2]


def test_secrets_and_indexes_stay_out_of_git(tmp_path: Path) -> None:
    assert ragweave("new", "mine", cwd=tmp_path).returncode == 0
    assert {".ragweave/", ".env"} <= set((tmp_path / "mine/.gitignore").read_text().splitlines())
    assert "#CHAT_MODEL=" in (tmp_path / "mine/.env.example").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/graph.yaml").write_text("mine\n")
    done = ragweave("new", "mine", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: 'mine' has 'graph.yaml' already; name a folder that is not there yet\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["graph.yaml"]
    (tmp_path / "file").write_text("")
    assert "'file' is a file, not a folder" in ragweave("new", "file", cwd=tmp_path).stderr


def test_an_unknown_start_is_named_with_those_there_are(tmp_path: Path) -> None:
    done = ragweave("new", "mine", "--from", "note", cwd=tmp_path)
    assert "there is no example 'note'; did you mean 'notes'?; `ragweave new --list` shows all" in done.stderr
    assert not (tmp_path / "mine").exists()
    listed = ragweave("new", "--list").stdout
    assert re.search(r"^notes +Questions to documents$", listed, re.MULTILINE)
    assert re.search(r"^cookbook +", listed, re.MULTILINE)
    assert [name for name in RECIPES if not re.search(rf"^{name} +\w", listed, re.MULTILINE)] == []
