"""Load a conversation that another process has left: `python benchmarks/loading.py ENGINE FOLDER`.

Run by the interpreter of the engine's environment. Prints seconds of CPU and wall, and the number of messages, as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path

from surviving import load


def main() -> None:
    """Measure what the arguments name."""
    name, folder = sys.argv[1:3]
    print(json.dumps(asyncio.run(load(importlib.import_module(f"durable.{name}"), Path(folder)))))


if __name__ == "__main__":
    main()
