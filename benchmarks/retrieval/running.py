"""Work done by workers in the environments of their pipelines, and kept where it cannot change."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))  # what all benchmarks share; appended, so that it hides nothing

import venvs  # noqa: E402
from pipelines import protocol  # noqa: E402
from sets import BUILD  # noqa: E402

#: Pipeline -> the environment that it runs in; the project's own has what needs no framework.
ENVIRONMENTS = {
    "ragweave": "ragweave",
    "langchain": "retrieval_langchain",
    "haystack": "retrieval_haystack",
    "llama_index": "retrieval_llama_index",
    "plain": "ragweave",
}
TIMEOUT_S = 1800


class Failed(Exception):
    """A worker gave no result; the message says what it said."""


def prepare(pipelines: list[str]) -> dict[str, str]:
    """Make the environments that are missing; pipeline -> why it is left out, of those whose cannot be made."""
    left_out = {}
    for name in pipelines:
        environment = ENVIRONMENTS[name]
        if not venvs.is_ready(environment):
            print(f"installing what {name} needs, some minutes", file=sys.stderr, flush=True)
            try:
                venvs.make(environment)
            except venvs.VenvError as error:
                left_out[name] = str(error)
    return left_out


def python(pipeline: str) -> str:
    """The interpreter of a pipeline."""
    return str(venvs.interpreter(ENVIRONMENTS[pipeline]))


def command(task: str, pipeline: str, **settings: Any) -> list[str]:
    """The command line of a worker."""
    return [python(pipeline), str(HERE / "worker.py"), task, pipeline, json.dumps(settings)]


def imports(pipeline: str) -> str:
    """The import statements of a user of it."""
    return str(_constant(pipeline, "IMPORT"))


def _constant(pipeline: str, name: str) -> Any:
    """A constant of its module, which cannot be loaded here."""
    tree = ast.parse((HERE / "pipelines" / f"{pipeline}.py").read_text(encoding="utf-8"))
    for line in tree.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name) and line.targets[0].id == name:
            return ast.literal_eval(line.value)
    raise Failed(f"{pipeline} has no {name}")


def work(task: str, pipeline: str, **settings: Any) -> dict[str, Any]:
    """What a worker found, and the versions of what found it. Raises Failed."""
    words = command(task, pipeline, **settings)
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise Failed(f"{pipeline}: the worker ended with {done.returncode}: {done.stderr.strip()[-500:]}") from None
    if "error" in report:
        raise Failed(f"{pipeline}: {report['error']}")
    return report


def kept(task: str, pipeline: str, data: str, given: protocol.Work, **settings: Any) -> tuple[dict[str, Any], bool]:
    """The result of a pipeline over this data, and whether it was there from an earlier run.

    One of ragweave is never kept. One of a peer is, under what it depends on: pinned versions, how it is used, data.
    """
    result = place(task, pipeline, data, **settings)
    if result.is_file():
        return json.loads(result.read_text(encoding="utf-8")), True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "work.npz")
        protocol.write(path, given)
        report = work(task, pipeline, work=str(path), **settings)
    if pipeline != "ragweave":
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(json.dumps(report), encoding="utf-8")
    return report, False


def place(task: str, pipeline: str, data: str, **settings: Any) -> Path:
    """Where a result is kept."""
    environment = ENVIRONMENTS[pipeline]
    if environment in venvs.AT_HOME:
        pinned = " ".join(version(package) for package in _constant(pipeline, "PACKAGES"))
    else:
        pinned = venvs.requirements(environment).read_text(encoding="utf-8")
    used = [HERE / "ranking.py", *(HERE / "pipelines" / f"{name}.py" for name in ("protocol", pipeline))]
    said = json.dumps([pinned, settings], sort_keys=True).encode()
    fingerprint = hashlib.sha256(b"\0".join([said, *(path.read_bytes() for path in used)])).hexdigest()[:12]
    return BUILD / "results" / f"{task}-{pipeline}-{data}-{fingerprint}.json"
