"""Do one piece of work with one pipeline in this process, and print the result as one line of JSON.

    python worker.py TASK PIPELINE SETTINGS

Run by the interpreter of the pipeline's own virtual environment. SETTINGS are JSON. The line holds what the task found,
or `error`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import random
import sys
import traceback
from typing import Any

#: Nothing is sent anywhere, nothing is fetched, and nobody uses more threads than the others.
QUIET = {
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
#: Task -> the module whose function of that name does it; each loads what it needs, after the threads are set.
TASKS = {"rank": "ranking", "ingest": "costing", "ask": "costing", "first": "costing"}


def main() -> None:
    """Do what the arguments name."""
    task, name, settings = sys.argv[1:4]
    os.environ.update(QUIET)
    if task in ("ingest", "ask"):
        os.sched_setaffinity(0, {random.choice(sorted(os.sched_getaffinity(0)))})
    try:
        pipeline: Any = importlib.import_module(f"pipelines.{name}")
        found = getattr(importlib.import_module(TASKS[task]), task)(pipeline, **json.loads(settings))
        versions = {package: importlib.metadata.version(package) for package in pipeline.PACKAGES}
        report = {"found": found, "versions": versions}
    except Exception as error:  # the report has to say what went wrong, whatever it was
        report = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
