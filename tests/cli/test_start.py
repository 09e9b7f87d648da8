"""The command itself: help, version, mistakes on the command line, and how fast it is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import ragweave
from ragweave.cli.failures import status_of
from tests.cli.running import COMMAND, GRAPH, ROOT, environment, on_terminal
from tests.cli.running import ragweave as run

HEAVY = {
    "torch",
    "transformers",
    "openvino",
    "httpx",
    "sentence_transformers",
    "faiss",
    "chromadb",
    "langchain",
    "numpy",
}
VERBS = (
    "index", "ask", "chat", "run", "batch", "check", "draw", "schema", "nodes", "doctor", "new", "explain",
)  # fmt: skip


def test_the_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"ragweave {ragweave.__version__}\n")


def test_help_names_every_command_with_a_whole_sentence() -> None:
    done = run("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_its_options(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"ragweave {verb}" in done.stdout


def test_a_misspelt_command_is_recognised() -> None:
    done = run("chek", "graph.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no such command 'chek'; did you mean 'check'")
    assert done.stderr.endswith("; `ragweave -h` explains it\n")


@pytest.mark.parametrize("arguments", [["check", "--fxi"], ["draw"], ["index"], ["nodes", "--format", "xml"]])
def test_a_wrong_command_line_is_one_line(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"; `ragweave {arguments[0]} -h` explains it\n")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["--help"], ["check", "graph.yaml"], ["draw", "graph.yaml"], ["explain"]])
def test_what_runs_no_model_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    code = (
        "import runpy, sys, json\n"
        f"sys.argv = ['ragweave', *{arguments!r}]\n"
        "try:\n    runpy.run_module('ragweave', run_name='__main__')\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print(); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


def test_a_fault_is_one_line_and_the_traceback_is_there_for_the_asking(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "broken.py").write_text(
        "import ragweave.orchestrator.drawing.text as text\n"
        "def broken(picture):\n    raise ZeroDivisionError('no\\nluck')\n"
        "text.draw_text = broken\n"
    )
    command = ("draw", "--plugin", "broken.py", "graph.yaml")
    done = run(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: ZeroDivisionError: no luck (this is a fault of ragweave or of a plugin; RAGWEAVE_DEBUG=1 shows where)\n"
    )
    told = subprocess.run(
        [*COMMAND, *command],
        cwd=tmp_path,
        env=environment({"RAGWEAVE_DEBUG": "1"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback (most recent call last)" in told.stderr
    assert told.stderr.endswith(done.stderr)


def test_a_plugin_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    done = run("check", "--plugin", "broken.py", "graph.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "error: plugin 'broken.py' cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'\n"
    )


def test_the_entry_point_is_the_same_command() -> None:
    script = Path(sys.executable).with_name("ragweave")
    if not script.exists():
        pytest.skip("the package is not installed here")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout == f"ragweave {ragweave.__version__}\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    line = " ".join([*COMMAND, "schema"]) + " | head -n 1; echo ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "{"


@pytest.mark.parametrize("command", ["check graph.yaml", "explain", "--help", "check nowhere.yaml"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_a_stream_that_is_closed_is_no_error(tmp_path: Path, command: str, closed: str) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    done = shell(f"{command} {closed}", tmp_path)
    assert done.returncode == int("nowhere" in command)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    done = shell("check graph.yaml > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: no space left on device\n")


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "gone").mkdir()
    done = shell("check ../graph.yaml", tmp_path / "gone", before="rmdir ../gone; ")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the working directory is gone; cd into one that is there\n"


def shell(command: str, folder: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command as bash runs it, with redirections."""
    line = before + " ".join([*COMMAND, command])
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "graph.yaml", "--thred", "3"], "--thred; did you mean '--thread'?; `ragweave ask -h` explains it\n"),
        (
            ["nodes", "--format", "xml"],
            "'--format': 'xml' is not one of 'text', 'json'; `ragweave nodes -h` explains it\n",
        ),
        (
            ["ask", "graph.yaml", "how", "long"],
            "(long); put the question in quotes; `ragweave ask -h` explains it\n",
        ),
    ],
)
def test_a_wrong_command_line_says_the_way_out(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.endswith(said)


def test_ctrl_c_while_modules_are_imported_is_one_word(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "slow.py").write_text(
        "import os, signal\n"
        "class Once:\n"
        "    def __set_name__(self, owner, name):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        sum(range(1000))\n"
        "class Owner:\n    once = Once()\n"
    )
    done = run("check", "graph.yaml", "--plugin", "slow.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_colour_only_on_a_terminal_and_only_if_wanted(tmp_path: Path) -> None:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    assert "\x1b[" in on_terminal("check", "graph.yaml", cwd=tmp_path).raw
    assert "\x1b[" not in on_terminal("check", "graph.yaml", cwd=tmp_path, env={"NO_COLOR": "1"}).raw
    assert "\x1b[" not in on_terminal("check", "graph.yaml", cwd=tmp_path, env={"TERM": "dumb"}).raw


def test_a_file_that_may_not_be_read_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    error = typer.BadParameter("Path 'graph.yaml' is not readable.", param_hint="'GRAPH'")
    assert status_of(error) == 1
    assert capsys.readouterr().err == "error: 'graph.yaml': permission denied\n"
