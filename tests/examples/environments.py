"""Environments of their own for the examples whose packages want other versions than ours."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.examples.folders import ROOT


def environment(config: pytest.Config, name: str, packages: Sequence[str]) -> str:
    """The Python of an environment with these packages and those that ragweave cannot do without, but not ragweave.

    It is made anew in pytest's cache when something else is wanted than the last time, which needs PyPI.
    """
    core = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = [*packages, *core]
    assert config.cache is not None
    folder = Path(config.cache.mkdir(f"venv-{name}"))
    python, stamp = folder / "bin" / "python", folder / "installed"
    digest = hashlib.sha256(repr((sys.version, wanted)).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q", *wanted]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        stamp.write_text(digest)
    assert not [*folder.glob("lib/*/site-packages/torch")], "none of these packages needs torch"
    return str(python)
