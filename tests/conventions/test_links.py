"""A copy of the repository whose symbolic links became text files says so, and says the way out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conventions.sources import FIVE, ROOT


def import_from(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Import a module in a fresh process that finds ragweave in the folder."""
    return subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def copy_with_text_files_for_links(folder: Path) -> None:
    (folder / "ragweave").mkdir()
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(ROOT / "ragweave" / name, folder / "ragweave" / name)
    for name in FIVE:
        (folder / "ragweave" / name).write_text(f"../{name}", encoding="utf-8")


@pytest.mark.parametrize("module", ["ragweave", "ragweave.orchestrator.values"])
def test_links_that_became_text_files_are_recognised(tmp_path: Path, module: str) -> None:
    copy_with_text_files_for_links(tmp_path)
    done = import_from(tmp_path, module)
    assert done.returncode != 0
    message = done.stderr.splitlines()[-1]
    assert message.startswith("ImportError: ")
    assert str(tmp_path / "ragweave" / "orchestrator") in message
    assert "it is a text file" in message
    assert "`git config core.symlinks true`" in message
    assert "`git checkout -- ragweave`" in message


@pytest.mark.parametrize("how", [("-m", "ragweave", "--version"), ("bin/ragweave", "--version")])
def test_the_command_says_it_in_one_line(tmp_path: Path, how: tuple[str, ...]) -> None:
    copy_with_text_files_for_links(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ragweave").write_text("from ragweave.cli import main\nmain()\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *how],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "it is a text file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_git_makes_such_text_files_and_the_way_out_is_one(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, check=True)

    git("init", "--quiet")
    (tmp_path / "ragweave").mkdir()
    shutil.copy(ROOT / "ragweave/__init__.py", tmp_path / "ragweave")
    for name in FIVE:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / "ragweave" / name).symlink_to(Path("..", name))
    git("add", ".")
    git("config", "core.symlinks", "false")
    shutil.rmtree(tmp_path / "ragweave")
    git("checkout", "--", "ragweave")
    assert (tmp_path / "ragweave/tools").read_text(encoding="utf-8") == "../tools"
    assert import_from(tmp_path, "ragweave").returncode != 0

    git("config", "core.symlinks", "true")
    git("checkout", "--", "ragweave")
    assert import_from(tmp_path, "ragweave.tools").returncode == 0


@pytest.mark.parametrize("name", FIVE)
def test_each_folder_is_reached_by_a_relative_link(name: str) -> None:
    link = ROOT / "ragweave" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..", name)
    assert link.is_dir()
