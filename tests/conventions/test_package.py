"""What is built holds the five folders as real files, and nothing under a bare name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conventions.sources import FIVE, ROOT, tracked_files

IMPORT_ALL = """
import importlib.util, pathlib, sys
import ragweave
assert pathlib.Path(ragweave.__file__).is_relative_to({target!r}), ragweave.__file__
for name in ragweave.__all__:
    getattr(ragweave, name)
for name in {folders!r}:
    package = importlib.import_module("ragweave." + name)
    assert pathlib.Path(package.__file__).is_relative_to({target!r}), package.__file__
    assert importlib.util.find_spec(name) is None, name
"""


def shipped() -> set[str]:
    """Every file that a user gets, by its path in the package: all of `ragweave/` and of the five folders."""
    found = set()
    for path in tracked_files():
        top = path.partition("/")[0]
        if top in FIVE:
            found.add(f"ragweave/{path}")
        elif top == "ragweave" and not (ROOT / path).is_symlink():
            found.add(path)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist, built from a copy of what git has: building leaves files behind."""
    folder = tmp_path_factory.mktemp("build")
    copy = folder / "copy"
    for path in tracked_files():
        if path.partition("/")[0] in {"ragweave", *FIVE, "pyproject.toml", "README.md", "LICENSE"}:
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copy / path, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        links = [info.filename for info in archive.infolist() if (info.external_attr >> 16) & 0o170000 == 0o120000]
    missing, extra = sorted(shipped() - names), sorted(names - shipped())
    assert not missing, f"not in the wheel; does [tool.setuptools.package-data] name their suffix? {missing}"
    assert not extra
    assert not links
    assert "ragweave/py.typed" in names


def test_the_sdist_holds_every_file_of_the_package(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
        assert not [member.name for member in archive.getmembers() if member.issym() or member.islnk()]
    assert shipped() | {"pyproject.toml", "README.md", "LICENSE"} <= files
    assert not {name for name in files if name.partition("/")[0] in FIVE}


def test_the_installed_wheel_works(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True)
    code = IMPORT_ALL.format(target=str(target), folders=FIVE)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
