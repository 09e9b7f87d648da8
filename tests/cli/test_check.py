"""`ragweave check`: what is wrong, where, and mended where that is beyond doubt."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.cli.running import GRAPH, on_terminal, ragweave, started

WRONG = GRAPH.replace("generator, model", "generator, modle").replace("start -> retrieve", "start -> retreive")
SHOWN = """\
graph.yaml: 2 problems
  graph.yaml:11:29  RW103  nodes.answer: unknown setting 'modle'; did you mean 'model'?
  graph.yaml:13:14  RW114  edges: there is no node 'retreive'; did you mean 'retrieve'?
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    return tmp_path


def test_a_good_graph_is_one_line_that_says_what_was_checked(folder: Path) -> None:
    done = ragweave("check", "graph.yaml", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "graph.yaml: ok (2 nodes, 3 edges)\n", "")


def test_every_problem_is_shown_at_once_with_its_place(folder: Path) -> None:
    (folder / "graph.yaml").write_text(WRONG)
    done = ragweave("check", "graph.yaml", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, SHOWN, "")


def test_a_long_message_goes_on_below_itself(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("model: chat", "model: chat, unheard_of: 1"))
    lines = ragweave("check", "graph.yaml", cwd=folder).stdout.splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 120 for line in lines)
    assert lines[2].startswith(" " * lines[1].index("nodes.answer"))


def test_json_has_every_field_for_every_file(folder: Path) -> None:
    (folder / "other.yaml").write_text(WRONG)
    done = ragweave("check", "graph.yaml", "other.yaml", "--format", "json", cwd=folder)
    problems = json.loads(done.stdout)
    assert done.returncode == 1
    assert problems[0] == {
        "file": "other.yaml",
        "line": 11,
        "column": 29,
        "code": "RW103",
        "severity": "error",
        "message": "nodes.answer: unknown setting 'modle'; did you mean 'model'?",
        "fix": {"line": 11, "column": 29, "old": "modle", "new": "model"},
    }
    assert len(problems) == 2
    assert json.loads(ragweave("check", "graph.yaml", "--format", "json", cwd=folder).stdout) == []


def test_warnings_are_shown_and_are_no_failure(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("question: str", "question: str, tone: str"))
    done = ragweave("check", "graph.yaml", cwd=folder)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert first == "graph.yaml: ok, with 1 warning (2 nodes, 3 edges)"
    assert second.startswith("  graph.yaml:3:25  RW213  warning: the input 'tone' is never read")


def test_folders_are_searched_for_graphs(folder: Path) -> None:
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/one.yml").write_text(GRAPH)
    (folder / "deep/values.yaml").write_text("a: 1\n")
    (folder / ".hidden").mkdir()
    (folder / ".hidden/two.yaml").write_text(GRAPH)
    done = ragweave("check", cwd=folder)
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["deep/er/one.yml", "graph.yaml"]


def test_a_folder_without_graphs_is_an_error(tmp_path: Path) -> None:
    done = ragweave("check", tmp_path)
    assert done.returncode == 1
    assert "there is no graph file in" in done.stderr


def test_a_missing_file_brings_up_its_neighbour(folder: Path) -> None:
    done = ragweave("check", "grpah.yaml", cwd=folder)
    assert done.returncode == 1
    assert "the file does not exist; did you mean 'graph.yaml'?" in done.stdout


@pytest.mark.parametrize("name", ["graph.yaml/inner.yaml", "/proc/self/mem", "binary.yaml", "nowhere/graph.yaml"])
def test_what_cannot_be_read_is_a_problem_of_the_file(folder: Path, name: str) -> None:
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    done = ragweave("check", name, cwd=folder)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{name}: 1 problem\n")
    assert done.stderr == ""


def test_fix_mends_says_what_it_mended_and_checks_again(folder: Path) -> None:
    (folder / "graph.yaml").write_text(WRONG)
    done = ragweave("check", "--fix", "graph.yaml", cwd=folder)
    assert done.returncode == 0
    assert done.stdout == (
        "graph.yaml: fixed 2 problems\n"
        "  graph.yaml:11:29  RW103  'modle' -> 'model'\n"
        "  graph.yaml:13:14  RW114  'retreive' -> 'retrieve'\n"
        "graph.yaml: ok (2 nodes, 3 edges)\n"
    )
    assert (folder / "graph.yaml").read_text() == GRAPH


def test_fix_keeps_line_ends_byte_order_mark_and_permissions(folder: Path) -> None:
    path = folder / "graph.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + WRONG.replace("schema: ragweave/v1\n", "").replace("\n", "\r\n").encode())
    path.chmod(0o640)
    assert ragweave("check", "--fix", "graph.yaml", cwd=folder).returncode == 0
    assert path.read_bytes() == b"\xef\xbb\xbf" + GRAPH.replace("\n", "\r\n").encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in folder.iterdir()] == ["graph.yaml"]


def test_fix_follows_a_link_and_leaves_it_one(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "real/graph.yaml").write_text(WRONG)
    (folder / "graph.yaml").unlink()
    (folder / "graph.yaml").symlink_to("real/graph.yaml")
    assert ragweave("check", "--fix", "graph.yaml", cwd=folder).returncode == 0
    assert (folder / "graph.yaml").is_symlink()
    assert (folder / "real/graph.yaml").read_text() == GRAPH


def test_fix_leaves_what_is_not_sure(folder: Path) -> None:
    (folder / "graph.yaml").write_text(WRONG.replace("modle: chat", "modle: chat, unheard_of: 1"))
    done = ragweave("check", "--fix", "graph.yaml", cwd=folder)
    assert done.returncode == 1
    assert "'unheard_of'" in done.stdout
    assert "unheard_of: 1" in (folder / "graph.yaml").read_text()


def test_a_plugin_comes_from_the_command_line_or_from_pyproject(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "my_nodes.py").write_text(
        "from typing import TypedDict\nfrom ragweave import node\n"
        "class Out(TypedDict):\n    answer: str\n"
        "@node\ndef shout(question: str) -> Out:\n    return {'answer': question.upper()}\n"
    )
    graph = folder / "deep/graph.yaml"
    graph.write_text(
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [answer]\n"
        "nodes: {a: {type: shout}}\nedges: [start -> a -> end]\n"
    )
    assert "unknown node type 'shout'" in ragweave("check", "deep/graph.yaml", cwd=folder).stdout
    assert ragweave("check", "deep/graph.yaml", "--plugin", "my_nodes", cwd=folder).returncode == 0
    assert ragweave("check", "deep/graph.yaml", "--plugin", "my_nodes.py", cwd=folder).returncode == 0
    (folder / "pyproject.toml").write_text('[tool.ragweave]\nplugins = ["my_nodes"]\n')
    assert ragweave("check", graph, cwd=folder.parent).returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[tool.ragweave]\nplugins = "my_nodes"\n', "must be a list of names"),
        ('[tool.ragweave]\nplugins = ["gone"]\n', "plugin 'gone' cannot be loaded"),
        ("[tool.ragweave\n", "cannot be read"),
    ],
)
def test_a_wrong_pyproject_is_said(folder: Path, text: str, message: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    done = ragweave("check", "graph.yaml", cwd=folder)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_terminal_shows_the_line_and_a_caret(folder: Path) -> None:
    (folder / "graph.yaml").write_text(WRONG.replace("name: notes", "name: заметки"))
    seen = on_terminal("check", "graph.yaml", cwd=folder, env={"NO_COLOR": "1"}, columns=100)
    assert seen.status == 1
    assert "    11 |   answer: {type: generator, modle: chat}\n       |                             ^^^^^\n" in seen.raw


def test_a_terminal_shows_the_part_of_a_long_line_that_matters(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("start ->", "start -> " + "answer, " * 40 + "retreive ->"))
    seen = on_terminal("check", "graph.yaml", cwd=folder, env={"NO_COLOR": "1"}, columns=60)
    assert all(len(line) <= 60 for line in seen.raw.splitlines() if "|" in line)
    assert "retreive" in seen.raw


def test_watch_checks_again_when_the_graph_changes(folder: Path) -> None:
    with started("check", "graph.yaml", "--watch", cwd=folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "graph.yaml: ok (2 nodes, 3 edges)\n"
        assert process.stderr.readline() == "watching for changes; Ctrl-C ends\n"
        (folder / "wrong.yaml").write_text(WRONG)
        (folder / "wrong.yaml").replace(folder / "graph.yaml")  # whole from the beginning
        assert process.stdout.readline() == "graph.yaml: 2 problems\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert err.endswith("interrupted\n")


def test_watch_and_fix_do_not_go_together(folder: Path) -> None:
    assert ragweave("check", "graph.yaml", "--watch", "--fix", cwd=folder).returncode == 2


def test_a_line_of_the_env_file_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / ".env").write_text("A=1\nCHAT_API_KEY='sk-secret\n")
    said = (
        ".env: 1 problem\n"
        "  .env:2:1  RW306  the value of 'CHAT_API_KEY' begins with ' and does not end with it; close the quote, or "
        "write it\n                   without\n"
    )
    done = ragweave("check", "graph.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, said, "")
    done = ragweave("ask", "graph.yaml", "Hi?", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert "secret" not in on_terminal("check", "graph.yaml", cwd=tmp_path).raw


def tree(folder: Path) -> None:
    """Good and wrong graphs, in a project and in folders of tools."""
    for name in ("qa", "tests/unit", "tests/drafts", "build", "env/share", ".cache", "dist", "web/node_modules/x"):
        (folder / name).mkdir(parents=True)
        (folder / name / "wrong.yaml").write_text(WRONG)
    (folder / "env/pyvenv.cfg").write_text("")
    (folder / "qa/wrong.yaml").unlink()
    (folder / "qa/good.yaml").write_text(GRAPH)


def checked(folder: Path, *arguments: str) -> list[str]:
    """The files that a check says something about."""
    lines = ragweave("check", *arguments, cwd=folder).stdout.splitlines()
    return [line.split(":")[0] for line in lines if not line.startswith(" ")]


def test_a_folder_is_checked_without_what_tools_put_there(tmp_path: Path) -> None:
    tree(tmp_path)
    assert checked(tmp_path, ".") == ["qa/good.yaml", "tests/drafts/wrong.yaml", "tests/unit/wrong.yaml"]
    assert checked(tmp_path, "build") == ["build/wrong.yaml"]


def test_a_project_says_what_a_check_of_a_folder_leaves_out(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.ragweave]\nexclude = ["tests/"]\n')
    assert checked(tmp_path, ".") == ["qa/good.yaml"]
    assert checked(tmp_path, "tests/unit") == ["tests/unit/wrong.yaml"]
    assert checked(tmp_path, "qa/good.yaml", "tests/unit/wrong.yaml") == ["qa/good.yaml", "tests/unit/wrong.yaml"]
    (tmp_path / "pyproject.toml").write_text('[tool.ragweave]\nexclude = ["tests/*/wrong.yaml", "qa"]\n')
    done = ragweave("check", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no graph file in '.'; " in done.stderr
    assert "pyproject.toml' excludes tests/*/wrong.yaml, qa" in done.stderr.replace("\n", " ")


def test_a_misspelt_key_of_the_project_is_told(tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.ragweave]\nexcludes = ["tests"]\n')
    done = ragweave("check", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "tool.ragweave has no key 'excludes'; did you mean 'exclude'?" in done.stderr.replace("\n", " ")
