"""Virtual environments for the peers: one each, made on demand from `peers/<engine>.txt`, beside this file."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
#: Engines that run in the project's own environment.
AT_HOME = ("ragweave", "plain_asyncio")
#: Engines that are another one, used in another way.
SHARED = {"langgraph_delta": "langgraph"}
#: No engine measured here needs it, and some of its builds are gigabytes large.
UNWANTED = "torch"


class VenvError(Exception):
    """A peer's environment could not be made; the message ends with what pip said."""


def interpreter(engine: str) -> Path:
    """The Python that runs this engine's workers."""
    return Path(sys.executable) if engine in AT_HOME else _home(engine) / "bin" / "python"


def is_ready(engine: str) -> bool:
    """Whether the environment holds what the requirements file asks for now."""
    if engine in AT_HOME:
        return True
    stamp = _stamp(engine)
    return stamp.is_file() and stamp.read_text() == _requirements(engine).read_text()


def make(engine: str) -> None:
    """Create the environment and install the pinned peer. Raises VenvError."""
    folder = _home(engine)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(interpreter(engine)), "-m", "pip", "--disable-pip-version-check", "-q"]
    done = subprocess.run(
        [*command, "install", "-r", str(_requirements(engine))], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise VenvError(f"{_requirements(engine).name} cannot be installed: {done.stderr.strip()[-500:]}")
    if any(folder.glob(f"lib/*/site-packages/{UNWANTED}")):
        raise VenvError(f"{_requirements(engine).name} pulls in {UNWANTED}, which no measured engine needs")
    _stamp(engine).write_text(_requirements(engine).read_text())


def _requirements(engine: str) -> Path:
    return HERE / "peers" / f"{SHARED.get(engine, engine)}.txt"


def _stamp(engine: str) -> Path:
    return _home(engine) / "installed.txt"


def _home(engine: str) -> Path:
    return HERE / ".venvs" / SHARED.get(engine, engine)
