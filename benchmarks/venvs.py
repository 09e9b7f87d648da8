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
#: Installed only where a requirements file begins with its pin, and first: chosen by pip it may be gigabytes of CUDA.
TORCH = "torch"
UNWANTED = "nvidia"


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
    return stamp.is_file() and stamp.read_text() == requirements(engine).read_text()


def make(engine: str) -> None:
    """Create the environment and install the pinned peer. Raises VenvError."""
    folder = _home(engine)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(interpreter(engine)), "-m", "pip", "--disable-pip-version-check", "-q"]
    first = requirements(engine).read_text().split("\n", 1)[0]
    pinned = [first] if first.startswith(f"{TORCH}==") else []
    for wanted in ([pinned] if pinned else []) + [["-r", str(requirements(engine))]]:
        done = subprocess.run([*command, "install", *wanted], capture_output=True, text=True, check=False)
        if done.returncode:
            raise VenvError(f"{requirements(engine).name} cannot be installed: {done.stderr.strip()[-500:]}")
    for unwanted in (UNWANTED, *([] if pinned else [TORCH])):
        if any(folder.glob(f"lib/*/site-packages/{unwanted}")):
            raise VenvError(f"{requirements(engine).name} pulls in {unwanted}, which no measured engine needs")
    _stamp(engine).write_text(requirements(engine).read_text())


def requirements(engine: str) -> Path:
    """The pinned packages of an engine that is not at home."""
    return HERE / "peers" / f"{SHARED.get(engine, engine)}.txt"


def _stamp(engine: str) -> Path:
    return _home(engine) / "installed.txt"


def _home(engine: str) -> Path:
    return HERE / ".venvs" / SHARED.get(engine, engine)
