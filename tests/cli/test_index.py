"""`ragweave index`: what it reads, what it leaves out, and what it leaves whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import GRAPH, on_terminal, ragweave, started, wait_until

SLOW = """
import pathlib, time
from ragweave.orchestrator.contracts import Embedder

class Slow(Embedder, type="slow"):
    @property
    def identity(self):
        return "slow/1"

    @property
    def dimension(self):
        return 2

    def embed(self, texts):
        import numpy
        pathlib.Path("embedding").touch()
        while pathlib.Path("wait").exists():
            time.sleep(0.05)
        return numpy.ones((len(texts), 2), dtype=numpy.float32)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tea.md").write_text("# Tea\n\nBlack tea steeps for four minutes.\n")
    (tmp_path / "docs/coffee.md").write_text("# Coffee\n\nA moka pot takes five minutes.\n")
    (tmp_path / "graph.yaml").write_text(GRAPH)
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def words(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return ragweave("index", *arguments, "--embedder", "none", cwd=cwd)


def test_a_graph_says_itself_what_is_indexed_and_where(folder: Path) -> None:
    done = ragweave("index", "graph.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    line = r"docs -> index: 2 files \(2 added\), 2 passages, words only, \d+\.\d s\n"
    assert re.fullmatch(line, done.stdout)
    assert (folder / "index/current").exists()


def test_a_folder_is_indexed_into_a_hidden_folder_of_its_own(folder: Path) -> None:
    done = words("docs", cwd=folder)
    assert done.stdout.startswith("docs -> docs/.ragweave/index: 2 files (2 added)")
    assert (folder / "docs/.ragweave/.gitignore").read_text() == "*\n"
    again = words("docs", cwd=folder)
    assert "2 files (2 unchanged)" in again.stdout


def test_only_what_changed_is_read_again(folder: Path) -> None:
    words("docs", "--to", "index", cwd=folder)
    (folder / "docs/tea.md").write_text("# Tea\n\nGreen tea steeps for two minutes.\n")
    (folder / "docs/coffee.md").unlink()
    (folder / "docs/milk.md").write_text("# Milk\n\nMilk boils over.\n")
    done = words("docs", "--to", "index", cwd=folder)
    assert "2 files (1 added, 1 changed, 1 deleted)" in done.stdout


def test_one_file_can_be_indexed(folder: Path) -> None:
    done = words("docs/tea.md", cwd=folder)
    assert done.stdout.startswith("docs/tea.md -> docs/.ragweave/index-tea: 1 file (1 added), 1 passage")


def test_a_terminal_shows_progress_and_then_only_the_summary(folder: Path) -> None:
    seen = on_terminal("index", "docs", "--embedder", "none", cwd=folder)
    assert seen.status == 0
    assert "reading" in seen.raw
    assert "0/2" in seen.raw
    assert "docs -> docs/.ragweave/index: 2 files (2 added)" in seen.raw.splitlines()[-1]


def test_what_is_not_read_is_said_with_the_reason(folder: Path) -> None:
    docs = folder / "docs"
    (docs / "binary.md").write_bytes(bytes(range(256)) * 10)
    (docs / "latin.txt").write_bytes("Crème brûlée is a dessert.\n".encode("latin-1"))
    (docs / "empty.md").touch()
    with (docs / "huge.txt").open("wb") as file:
        file.truncate(100 * 1024 * 1024 + 1)
    (docs / "gone.md").symlink_to("nowhere.md")
    done = words("docs", cwd=folder)
    assert done.returncode == 0
    assert "3 files (3 added, 4 skipped)" in done.stdout
    lines = done.stdout.splitlines()
    assert "  skipped: huge.txt: larger than 100 MB (100 MB)" in lines
    assert "  skipped: empty.md: empty" in lines
    assert "  skipped: gone.md: a link to nothing" in lines
    assert any(line.startswith("  skipped: binary.md: binary") for line in lines)
    assert any(line.startswith("  note: latin.txt: not UTF-8; read as Latin-1") for line in lines)


def test_a_missing_folder_brings_up_its_neighbour(folder: Path) -> None:
    done = words("dosc", cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the documents folder 'dosc' does not exist; did you mean 'docs'?\n"


def test_an_empty_folder_is_an_error_and_stays_empty(folder: Path) -> None:
    (folder / "empty").mkdir()
    done = words("empty", cwd=folder)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no documents found in 'empty'; Markdown, text, HTML, PDF")
    assert list((folder / "empty").iterdir()) == []


@pytest.mark.parametrize("place", ["graph.yaml/index", "/proc/index", "docs/tea.md"])
def test_a_place_that_cannot_be_written_is_said(folder: Path, place: str) -> None:
    done = words("docs", "--to", place, cwd=folder)
    assert done.returncode == 1
    assert re.fullmatch(rf"error: the index folder '{place}' cannot be written: [a-z ]+; .*\n", done.stderr)


def test_a_graph_with_a_mistake_is_not_indexed(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("weight: 0", "wieght: 0"))
    done = ragweave("index", "graph.yaml", cwd=folder)
    assert done.returncode == 1
    assert "did you mean 'weight'?" in done.stderr
    assert not (folder / "index").exists()


def test_the_retrievers_of_inner_graphs_are_indexed_too(folder: Path) -> None:
    (folder / "outer.yaml").write_text(
        "schema: ragweave/v1\ninputs: {question: str}\noutputs: [answer]\n"
        "nodes: {notes: {type: graph, path: graph.yaml}}\nedges: [start -> notes -> end]\n"
    )
    done = ragweave("index", "outer.yaml", cwd=folder)
    assert done.stdout.startswith("docs -> index: 2 files (2 added)")
    asked = ragweave("ask", "outer.yaml", "How long does black tea steep?", cwd=folder)
    assert "[1] Tea, docs/tea.md:3" in asked.stdout


def test_a_setting_from_the_environment_that_is_wrong_is_named(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace("weight: 0", 'weight: "${env:WEIGHT:-0}"'))
    done = ragweave("index", "graph.yaml", cwd=folder, env={"WEIGHT": "heavy"})
    assert done.returncode == 1
    assert "weight" in done.stdout + done.stderr
    assert "fault of ragweave" not in done.stderr


def test_a_graph_without_documents_says_what_to_add(folder: Path) -> None:
    (folder / "graph.yaml").write_text(GRAPH.replace(", documents: docs", ""))
    done = ragweave("index", "graph.yaml", cwd=folder)
    assert done.returncode == 1
    assert "has no retriever with documents to index; give one `documents: FOLDER`" in done.stderr


def test_an_unknown_embedder_is_recognised(folder: Path) -> None:
    done = ragweave("index", "docs", "--embedder", "minilmm", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == "error: no embedder is named 'minilmm'; did you mean 'minilm'?\n"


def test_without_the_local_extra_words_are_indexed_and_the_extra_is_named(folder: Path) -> None:
    (folder / "missing.py").write_text(
        SLOW.replace("Slow", "Missing").replace("slow", "missing")
        + "    def open(self, resources):\n"
        + "        from ragweave.orchestrator.errors import MissingExtra\n"
        + "        raise MissingExtra('this embedder', 'tokenizers', 'local')\n"
    )
    done = ragweave("index", "docs", "--embedder", "missing", "--plugin", "missing.py", cwd=folder)
    assert done.returncode == 0
    assert "words only: pip install 'ragweave[local]'" in done.stdout


def test_ctrl_c_leaves_the_old_index_as_it_was(folder: Path) -> None:
    slow = ("--embedder", "slow", "--plugin", "slow.py")
    assert ragweave("index", "docs", "--to", "index", *slow, cwd=folder).returncode == 0
    before = {path: path.read_bytes() for path in (folder / "index").rglob("*") if path.is_file()}
    (folder / "docs/milk.md").write_text("# Milk\n\nMilk boils over.\n")
    (folder / "embedding").unlink()
    (folder / "wait").touch()
    with started("index", "docs", "--to", "index", *slow, cwd=folder) as process:
        wait_until((folder / "embedding").exists)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")
    after = {path: path.read_bytes() for path in (folder / "index").rglob("*") if path.is_file()}
    assert after == before
    (folder / "wait").unlink()
    assert "(1 added, 2 unchanged)" in ragweave("index", "docs", "--to", "index", *slow, cwd=folder).stdout


def test_of_two_at_once_the_second_says_who_is_first(folder: Path) -> None:
    slow = ("--embedder", "slow", "--plugin", "slow.py")
    (folder / "wait").touch()
    with started("index", "docs", "--to", "index", *slow, cwd=folder) as first:
        wait_until((folder / "embedding").exists)
        second = ragweave("index", "docs", "--to", "index", *slow, cwd=folder)
        (folder / "wait").unlink()
        out, err = first.communicate(timeout=120)
    assert (first.returncode, err) == (0, "")
    assert "2 files (2 added)" in out
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"error: the index 'index' is being written by another process (pid {first.pid}); wait until it is done\n"
    )


def test_a_file_name_cannot_move_the_cursor(folder: Path) -> None:
    try:
        (folder / "docs" / "red\x1b[31m.md").touch()
    except OSError:
        pytest.skip("this file system refuses such names")
    done = words("docs", cwd=folder)
    assert done.returncode == 0
    assert "red[31m.md: empty" in done.stdout


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Inside, nobody can write to the folder: root is not stopped by a mode, but by a mount."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_folder_that_is_not_ours_gets_its_index_in_the_cache(folder: Path) -> None:
    with read_only(folder / "docs"):
        done = ragweave(
            "index", "docs", "--embedder", "none", cwd=folder, env={"XDG_CACHE_HOME": str(folder / "cache")}
        )
    assert done.returncode == 0
    assert "docs -> cache/ragweave/" in done.stdout


def test_settings_of_the_retriever_say_how_documents_are_cut(folder: Path) -> None:
    (folder / "docs/tea.md").write_text(
        "# Tea\n\nHot.\n\n## Green\n\nGreen tea steeps for two minutes.\n\n## Black\n\nBlack tea takes four.\n"
    )
    assert "2 passages" in ragweave("index", "graph.yaml", cwd=folder).stdout
    (folder / "graph.yaml").write_text(GRAPH.replace("weight: 0", "weight: 0, chunks: heading"))
    asked = ragweave("ask", "graph.yaml", "How long does green tea steep?", cwd=folder)
    assert "was cut by another version or with other settings" in asked.stderr
    first, second = ragweave("index", "graph.yaml", cwd=folder).stdout.splitlines()
    assert first == "index was built anew: its documents were cut with other settings"
    assert "4 passages" in second
    asked = ragweave("ask", "graph.yaml", "How long does green tea steep?", cwd=folder)
    assert "[1] Tea > Green, docs/tea.md:7" in asked.stdout
    assert "other settings" not in asked.stderr


def test_an_index_of_an_older_version_is_built_anew_and_that_is_said(folder: Path) -> None:
    words("docs", "--to", "index", cwd=folder)
    manifest = next((folder / "index").glob("*/manifest.json"))
    manifest.write_text(re.sub(r'"chunking": "[^"]*"', '"chunking": 1', manifest.read_text()))
    asked = ragweave("ask", "graph.yaml", "How long does black tea steep?", cwd=folder)
    assert "four minutes" in asked.stdout
    done = words("docs", "--to", "index", cwd=folder)
    assert done.stdout.startswith(
        "index was built anew: another version cut its documents\ndocs -> index: 2 files (2 added)"
    )


def test_a_citation_names_the_page_or_the_sheet(folder: Path) -> None:
    from tests.retrievers import office

    (folder / "docs/oolong.pdf").write_bytes(office.pdf(["Cover.", "Oolong tea steeps for six minutes."]))
    (folder / "docs/shop.xlsx").write_bytes(office.xlsx({"Prices": [["tea", "price"], ["sencha", "12 dollars"]]}))
    assert "4 files (4 added)" in ragweave("index", "graph.yaml", cwd=folder).stdout
    asked = ragweave("ask", "graph.yaml", "How long does oolong tea steep?", cwd=folder)
    assert re.search(r"\[1\] oolong, docs/oolong\.pdf, pages? [12]", asked.stdout)
    asked = ragweave("ask", "graph.yaml", "What is the price of sencha?", cwd=folder)
    assert "docs/shop.xlsx, sheet Prices" in asked.stdout


def test_watching_indexes_again_whenever_a_document_changes(folder: Path) -> None:
    seen: list[str] = []
    with started("index", "docs", "--to", "index", "--embedder", "none", "--watch", cwd=folder) as process:

        def follow() -> None:
            assert process.stdout is not None
            seen.extend(iter(process.stdout.readline, ""))

        reader = threading.Thread(target=follow)
        reader.start()
        wait_until(lambda: len(seen) == 1)
        (folder / "milk.md").write_text("# Milk\n\nMilk boils over.\n")
        (folder / "milk.md").replace(folder / "docs/milk.md")  # whole from the beginning
        wait_until(lambda: len(seen) == 2)
        (folder / "docs/tea.md").unlink()
        wait_until(lambda: len(seen) == 3)
        (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
        (folder / "broken.pdf").replace(folder / "docs/broken.pdf")
        wait_until(lambda: len(seen) == 5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        reader.join(timeout=120)
        assert process.wait(timeout=120) == 130
    assert "2 files (2 added)" in seen[0]
    assert "3 files (1 added, 2 unchanged)" in seen[1]
    assert "2 files (1 deleted, 2 unchanged)" in seen[2]
    assert "2 files (2 unchanged, 1 skipped)" in seen[3]
    assert seen[4] == "  skipped: broken.pdf: damaged, or no PDF file\n"


def test_a_pattern_says_which_files_of_a_folder_are_meant(folder: Path) -> None:
    (folder / "docs/notes.txt").write_text("Black tea steeps for an hour.\n")
    (folder / "graph.yaml").write_text(GRAPH.replace("documents: docs", 'documents: "docs/*.md"'))
    assert ragweave("index", "graph.yaml", cwd=folder).stdout.startswith("docs/*.md -> index: 2 files (2 added)")
    asked = ragweave("ask", "graph.yaml", "How long does black tea steep?", cwd=folder)
    assert "[1] Tea, docs/tea.md:3" in asked.stdout
    assert "has changed" not in asked.stderr
    assert words("docs/*.md", cwd=folder).stdout.startswith("docs/*.md -> docs/.ragweave/index-")
