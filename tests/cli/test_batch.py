"""`ragweave batch`: every row once, whatever kills it, and a clear line for each row that is wrong."""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import ragweave, started, wait_until

GRAPH = """\
schema: ragweave/v1
name: shouting
inputs: {text: str, times: {type: int, default: 1}}
outputs: [loud]
nodes:
  shout: {type: shout_row}
edges: [start -> shout -> end]
"""
PLUGIN = """\
import asyncio, os
from typing import TypedDict
from ragweave import node

class Shouted(TypedDict):
    loud: str

@node(name="shout_row")
async def shout(text: str, times: int = 1) -> Shouted:
    if text == "bad":
        raise ValueError("this text is bad")
    with open("calls", "a") as file:
        file.write(text + "\\n")
    await asyncio.sleep(float(os.environ.get("PAUSE", "0")))
    return {"loud": text.upper() * times}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    return tmp_path


def rows(folder: Path, *texts: str, name: str = "in.jsonl") -> None:
    """An input file with these texts."""
    (folder / name).write_text("".join(json.dumps({"text": text, "id": text * 2}) + "\n" for text in texts))


def batch(folder: Path, *arguments: str, source: str = "in.jsonl") -> Any:
    """A finished `ragweave batch`."""
    return ragweave("batch", "graph.yaml", source, "out.jsonl", "--plugin", "plugin.py", *arguments, cwd=folder)


def output(folder: Path) -> list[dict[str, Any]]:
    """The output's lines by row."""
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    return sorted(lines, key=lambda line: int(line["row"]))


def test_each_row_becomes_a_line(folder: Path) -> None:
    rows(folder, "a", "b", "c")
    done = batch(folder, "--keep", "id")
    assert done.returncode == 0, done.stderr
    assert [line["outputs"] for line in output(folder)] == [{"loud": "A"}, {"loud": "B"}, {"loud": "C"}]
    assert [line["kept"]["id"] for line in output(folder)] == ["aa", "bb", "cc"]
    assert "in.jsonl -> out.jsonl: 3 rows, " in done.stderr


def test_a_finished_batch_has_nothing_to_do(folder: Path) -> None:
    rows(folder, "a", "b")
    assert batch(folder).returncode == 0
    done = batch(folder)
    assert done.returncode == 0
    assert "all 2 rows were done before" in done.stderr
    assert (folder / "calls").read_text().split() == ["a", "b"]


def test_bad_rows_are_reported_and_the_others_run(folder: Path) -> None:
    (folder / "in.jsonl").write_text('{"text": "a"}\n{"text": \n[1]\n{"text": "bad"}\n{"text": "b", "times": "many"}\n')
    done = batch(folder)
    assert done.returncode == 1
    found = output(folder)
    assert [line["row"] for line in found] == [1, 2, 3, 4, 5]
    assert [line.get("error", {}).get("place", "") for line in found] == [
        "",
        *(f"in.jsonl:{at}" for at in (2, 3, 4, 5)),
    ]
    assert "in.jsonl:2: not JSON: Expecting value, column 10" in done.stderr
    assert "in.jsonl:3: a list, not an object with the columns as keys" in done.stderr
    assert found[3]["error"]["type"] == "ValueError"
    assert found[3]["error"]["node"] == "shout#1"
    assert "'times'" in found[4]["error"]["message"]
    assert "5 rows, 4 failed" in done.stderr


def test_on_error_stop_ends_at_the_row_and_goes_on_once_it_is_repaired(folder: Path) -> None:
    rows(folder, "a", "bad", "c")
    done = batch(folder, "--on-error", "stop", "--concurrency", "1")
    assert done.returncode == 1
    assert "error: stopped at in.jsonl:2: " in done.stderr
    assert "this text is bad" in done.stderr
    assert [line["row"] for line in output(folder)] == [1]
    (folder / "plugin.py").write_text(PLUGIN.replace('== "bad"', '== "worse"'))
    assert batch(folder).returncode == 0
    assert [line["row"] for line in output(folder)] == [1, 2, 3]
    assert (folder / "calls").read_text().split() == ["a", "bad", "c"]


def test_a_killed_batch_goes_on_and_repeats_only_what_was_running(folder: Path) -> None:
    texts = [f"t{at}" for at in range(400)]
    rows(folder, *texts)
    arguments = ["batch", "graph.yaml", "in.jsonl", "out.jsonl", "--plugin", "plugin.py", "--concurrency", "4"]
    kills = 0
    for lines in (40, 150, 260):
        with started(*arguments, cwd=folder, env={"PAUSE": "0.01"}) as process:
            wait_until(functools.partial(has_lines, folder, lines))
            process.send_signal(signal.SIGKILL)
            process.wait()
        kills += 1
    with (folder / "out.jsonl").open("ab") as file:
        file.write(b'{"row": 399, "outp')  # what a machine that lost its power may leave
    done = batch(folder, "--concurrency", "4")
    assert done.returncode == 0, done.stderr
    assert "going on: " in done.stderr
    assert [line["outputs"]["loud"] for line in output(folder)] == [text.upper() for text in texts]
    calls = (folder / "calls").read_text().split()
    assert set(calls) == set(texts)
    assert len(calls) - len(texts) <= kills * 4


def has_lines(folder: Path, least: int) -> bool:
    """True once the output has so many lines."""
    return len(output_lines(folder)) >= least


def output_lines(folder: Path) -> list[bytes]:
    """The output as it stands, with a last line that may be half written; none if there is no output yet."""
    file = folder / "out.jsonl"
    return file.read_bytes().splitlines() if file.exists() else []


def test_ctrl_c_says_how_to_go_on(folder: Path) -> None:
    rows(folder, *(f"t{at}" for at in range(1000)))
    arguments = ("batch", "graph.yaml", "in.jsonl", "out.jsonl", "--plugin", "plugin.py")
    with started(*arguments, cwd=folder, env={"PAUSE": "0.05"}) as process:
        wait_until(lambda: len(output_lines(folder)) >= 16)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert "Traceback" not in errors


def test_two_batches_do_not_write_one_file(folder: Path) -> None:
    rows(folder, *(f"t{at}" for at in range(200)))
    arguments = ("batch", "graph.yaml", "in.jsonl", "out.jsonl", "--plugin", "plugin.py")
    with started(*arguments, cwd=folder, env={"PAUSE": "0.2"}) as process:
        wait_until(lambda: len(output_lines(folder)) >= 1)
        second = ragweave(*arguments, cwd=folder)
        process.kill()
        process.communicate()
    assert second.returncode == 1
    assert second.stderr == "error: another batch is writing 'out.jsonl'\n"


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        ("input", (), "'out.jsonl' is the output of another batch: input changed since; --overwrite starts anew"),
        ("graph", (), "'out.jsonl' is the output of another batch: graph changed since; --overwrite starts anew"),
        ("column", ("--column", "text=id"), "another batch: columns changed since; --overwrite starts anew"),
    ],
)
def test_an_output_of_something_else_is_not_touched(
    folder: Path, change: str, arguments: tuple[str, ...], said: str
) -> None:
    rows(folder, "a", "b")
    assert batch(folder).returncode == 0
    before = (folder / "out.jsonl").read_bytes()
    if change == "input":
        rows(folder, "a", "b", "c")
    elif change == "graph":
        (folder / "graph.yaml").write_text(GRAPH + "description: another\n")
    done = batch(folder, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert (folder / "out.jsonl").read_bytes() == before
    assert batch(folder, "--overwrite", *arguments).returncode == 0
    assert len(output(folder)) == (3 if change == "input" else 2)


def test_a_file_that_no_batch_wrote_is_not_touched(folder: Path) -> None:
    rows(folder, "a")
    (folder / "out.jsonl").write_text("my notes\n")
    done = batch(folder)
    assert done.returncode == 1
    assert "'out.jsonl' exists and is no output of a batch" in done.stderr
    assert (folder / "out.jsonl").read_text() == "my notes\n"


def test_columns_are_named_or_mapped(folder: Path) -> None:
    (folder / "in.csv").write_text("question,times\nhello,2\n")
    done = batch(folder, source="in.csv")
    assert done.returncode == 1
    assert (
        "in.csv:2: no column 'text' for the input 'text'; there is: question, times; --column text=… says"
        in done.stderr
    )
    done = batch(folder, "--overwrite", "--column", "text=question", source="in.csv")
    assert done.returncode == 0, done.stderr
    assert output(folder)[0]["outputs"] == {"loud": "HELLOHELLO"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("graph.yaml", "none.jsonl", "out.jsonl"), "'none.jsonl' does not exist"),
        (("graph.yaml", "graph.yaml", "out.jsonl"), "rows cannot be read from .yaml"),
        (("graph.yaml", "in.jsonl", "in.jsonl"), "'in.jsonl' is both the input and the output"),
        (("graph.yaml", "in.jsonl", "no/out.jsonl"), "there is no folder 'no' to write 'out.jsonl' into"),
        (("graph.yaml", "in.jsonl", "out.jsonl", "--column", "txt=id"), "has no input 'txt'; did you mean 'text'?"),
        (("graph.yaml", "in.jsonl", "out.jsonl", "--column", "text"), "--column is INPUT=COLUMN, found 'text'"),
    ],
)
def test_what_cannot_start_says_why(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    rows(folder, "a")
    done = ragweave("batch", *arguments, "--plugin", "plugin.py", cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out.jsonl").exists()
    assert (folder / "in.jsonl").read_text().count("\n") == 1


def test_memory_does_not_grow_with_the_rows(folder: Path) -> None:
    peaks = []
    for count in (500, 5_000):
        rows(folder, *(f"t{at}" for at in range(count)))
        arguments = ("batch", "graph.yaml", "in.jsonl", "out.jsonl", "--overwrite", "--plugin", "plugin.py")
        with started(*arguments, cwd=folder) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        peaks.append(usage.ru_maxrss / 1024)
    assert peaks[1] - peaks[0] < 20, peaks


SCORES = """\
schema: ragweave/v1
name: scoring
inputs: {text: str}
outputs: [found]
nodes:
  score: {type: score_row}
edges: [start -> score -> end]
"""
SCORER = """\
from typing import Any, TypedDict
from ragweave import Document, node

class Scored(TypedDict):
    found: Any

@node(name="score_row")
def score(text: str) -> Scored:
    if text == "loop":
        loop = []
        loop.append(loop)
        return {"found": loop}
    odd = {"nan": float("nan"), "set": {1}, "document": Document(id="a", text="a", metadata={"seen": object})}
    return {"found": {"scores": [0.5, odd.get(text, 1.0)]}}
"""


def scored(folder: Path, *arguments: str) -> Any:
    """A finished batch over `in.jsonl` with a node that gives what JSON has no form for."""
    (folder / "graph.yaml").write_text(SCORES)
    (folder / "plugin.py").write_text(SCORER)
    return batch(folder, *arguments)


def test_a_row_that_gives_no_json_is_an_error_and_the_others_go_on(folder: Path) -> None:
    rows(folder, "a", "nan", "set", "b", "loop", "document", "c")
    done = scored(folder)
    assert done.returncode == 1, done.stderr
    assert [line["row"] for line in output(folder)] == [1, 2, 3, 4, 5, 6, 7]
    assert [line["row"] for line in output(folder) if "outputs" in line] == [1, 4, 7]
    said = {line["row"]: line["error"] for line in output(folder) if "error" in line}
    assert said[2] == {
        "type": "ValueError",
        "message": "outputs.found.scores[1] is nan, which JSON has no form for",
        "place": "in.jsonl:2",
    }
    assert said[3]["message"] == "outputs.found.scores[1] is {1}, which JSON has no form for"
    assert said[5]["message"] == "outputs is nested too deeply for JSON"
    assert said[6]["message"].startswith("outputs.found.scores[1].metadata.seen is <class 'object'>")
    assert "7 rows, 4 failed" in done.stderr
    assert "in.jsonl:2: outputs.found.scores[1] is nan" in done.stderr


def test_a_row_that_gives_no_json_can_end_the_batch(folder: Path) -> None:
    rows(folder, "a", "nan", "b")
    done = scored(folder, "--on-error", "stop", "--concurrency", "1")
    assert done.returncode == 1
    assert "stopped at in.jsonl:2: outputs.found.scores[1] is nan" in done.stderr
    assert [line["row"] for line in output(folder)] == [1]


def test_a_kept_column_that_is_no_json_is_told_before_its_row_runs(folder: Path) -> None:
    (folder / "in.jsonl").write_text('{"text": "a", "id": 1}\n{"text": "b", "id": NaN}\n')
    assert batch(folder, "--keep", "id").returncode == 1
    assert output(folder)[1]["error"]["message"] == "kept.id is nan, which JSON has no form for"
    assert (folder / "calls").read_text() == "a\n"


def test_dates_and_decimals_of_a_table_are_kept_as_texts(folder: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    day, price = datetime.date(2026, 3, 1), decimal.Decimal("1.50")
    parquet.write_table(arrow.table({"text": ["a"], "day": [day], "price": [price]}), folder / "in.parquet")
    done = batch(folder, "--keep", "day", "--keep", "price", source="in.parquet")
    assert done.returncode == 0, done.stderr
    assert output(folder)[0]["kept"] == {"day": "2026-03-01", "price": "1.50"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("in.csv", "error: 'in.csv' is not UTF-8: "), ("in.parquet", "error: 'in.parquet' is not Parquet: ")],
)
def test_a_file_of_rows_that_is_none_is_one_line(folder: Path, name: str, said: str) -> None:
    (folder / name).write_bytes(b"text\n" + bytes(range(256)))
    done = batch(folder, source=name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_kept_column_that_no_row_has_is_said(folder: Path) -> None:
    rows(folder, "a", "b")
    done = batch(folder, "--keep", "idd", "--keep", "id")
    assert "--keep idd: no row has this column; did you mean 'id'?" in done.stderr
    assert "--keep id:" not in done.stderr
