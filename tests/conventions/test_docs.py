"""Every code block of the README, the guides and the examples does what the document says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conventions.documents import Block, Wrong, blocks, commands, same
from tests.conventions.sources import ROOT, tracked_files

DOCUMENTS = [
    path
    for path in tracked_files()
    if path == "README.md"
    or (path.startswith("docs/") and path.endswith(".md"))
    or (path.startswith("examples/") and path.endswith("/README.md"))
]


def copy_examples(text: str, folder: Path) -> None:
    """Copy the examples that a text names into the folder, as git has them."""
    named = set(re.findall(r"examples/([\w-]+)", text))
    for path in tracked_files():
        parts = path.split("/")
        if parts[0] == "examples" and len(parts) > 2 and parts[1] in named:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)


def run(document: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.conventions.documents", str(document)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_blocks_of_a_document_do_what_it_says(path: str, tmp_path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    if any(block.runs for block in blocks(text)):
        copy_examples(f"{path} {text}", tmp_path)
        done = run(ROOT / path, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr


def document(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a document with the text, in which `~~~` stands for a fence."""
    path = folder / "document.md"
    path.write_text(text.replace("~~~", "```"), encoding="utf-8")
    return run(path, folder)


def test_blocks_share_a_namespace_a_folder_and_the_order_of_the_document(tmp_path: Path) -> None:
    done = document(
        tmp_path,
        """
~~~python
import asyncio
from pathlib import Path
Path("note.txt").write_text("hello\\n")
~~~

- in a list:

  ~~~console
  $ cat note.txt
  hello
  $ mkdir deep
  $ cd deep
  $ echo one \\
  >   two; sleep 0
  one two
  ~~~

<!-- file: told.py -->
~~~python
raise SystemExit("not executed here")
~~~

~~~console
$ make demo
is not run
$ tail -n 1 told.py
...executed...
~~~

~~~python
await asyncio.sleep(0)
print(Path("note.txt").read_text())  # in 1.25 s
#> hello
~~~
""",
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n~~~python\n1 / 0\n~~~", 'document.md", line 3, in <module>\n    1 / 0'),
        ("~~~python\nprint(1)\n#> 2\n~~~", "line 2: the document shows something else"),
        ("~~~console\n$ false\n~~~", "line 2: 'false' ended with 1"),
        ("~~~console\n$ echo a\nb\n~~~", "line 2: the document shows something else"),
        ("~~~console\necho a\n~~~", "line 2: a console block starts with"),
        ("<!-- exit status: 3 -->\n~~~console\n$ exit 2\n~~~", "line 3: 'exit 2' ended with 2"),
        ("<!-- not run: -->\n~~~console\n$ false\n~~~", "line 3: 'false' ended with 1"),
        ("<!-- not run: far away -->\n\nText.\n\n~~~console\n$ false\n~~~", "line 6: 'false' ended with 1"),
    ],
)
def test_a_block_that_does_something_else_is_reported_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    done = document(tmp_path, text)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run: needs a key -->\n~~~python\n1 / 0\n~~~",
        "<!-- exit status: 3 -->\n~~~console\n$ true\n$ echo no; exit 3\nno\n~~~",
        "~~~text\n$ false\n~~~",
    ],
)
def test_marks_and_plain_text_are_respected(tmp_path: Path, text: str) -> None:
    done = document(tmp_path, text)
    assert done.returncode == 0, done.stderr


def test_a_graph_with_a_problem_is_reported(tmp_path: Path) -> None:
    done = document(tmp_path, "~~~yaml\nschema: ragweave/v1\nname: broken\nnodse: {}\n~~~")
    assert done.returncode == 1
    assert "nodse" in done.stderr


@pytest.mark.parametrize("language", ["bash", "sh", "py", "yml"])
def test_a_language_that_would_be_left_out_by_mistake_is_refused(language: str) -> None:
    with pytest.raises(Wrong, match=f"line 1: ```{language} is not run"):
        list(blocks(f"```{language}\nfalse\n```\n"))


def test_a_block_that_is_never_closed_is_refused() -> None:
    with pytest.raises(Wrong, match="line 2: this block is never closed"):
        list(blocks("\n```python\npass\n"))


def test_yaml_is_run_only_where_it_is_a_graph() -> None:
    assert [block.runs for block in blocks("```yaml\nschema: ragweave/v1\n```\n```yaml\na: 1\n```\n")] == [True, False]


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    assert list(blocks("````text\n```python\n1 / 0\n```\n````\n")) == [Block("text", "```python\n1 / 0\n```\n", 2)]


def test_commands_come_with_their_output() -> None:
    block = Block("console", "$ one\na\nb\n$ two\n", 7)
    assert list(commands(block)) == [("one", "a\nb", 7), ("two", "", 10)]


@pytest.mark.parametrize(
    ("shown", "printed", "is_same"),
    [
        ("done in 1.2 s", "done in 340 ms", True),
        ("done in 1.2 s", "done in 340 km", False),
        ("a\n...\nz", "a\nz", True),
        ("a\n...\nz", "a\nb\nc\nz\n", True),
        ("a\n...\nz", "a\nb", False),
        ("run ... ended", "run 4f2 ended", True),
        ("run ... ended", "run 4f2\nended", False),
        ("a  | 1 ms |", "a  | 100 ms   |", True),
        ("a", "a\nb", False),
        ("a.c", "abc", False),
    ],
)
def test_only_times_and_dots_may_differ(shown: str, printed: str, *, is_same: bool) -> None:
    assert same(shown, printed) is is_same
