"""`import ragweave` and `ragweave check` load nothing heavy. Each test looks into a fresh process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conventions.sources import ROOT

HEAVY = {
    "torch", "transformers", "sentence_transformers", "chromadb", "langchain", "langchain_core", "faiss", "fastapi",
    "asyncpg", "mcp", "openvino", "onnxruntime", "scipy", "sklearn", "httpx",
}  # fmt: skip
HEAVY_FOR_A_PLAIN_IMPORT = HEAVY | {"asyncio", "pydantic", "yaml", "numpy", "jinja2", "rich", "typer"}
COOKBOOK = ROOT / "examples/cookbook/cookbook.yaml"

GRAPH_OF_DATABASES = """
schema: ragweave/v1
inputs: {question: str}
outputs: [documents]
retrievers:
  near: {type: chroma, index: index, documents: ., fields: {year: int}}
  far:  {type: pgvector, url: "postgresql://localhost/none", access: {tenant: owner}, fields: {owner: str}}
nodes:
  one: {type: retriever, retriever: near, where: {year: {">": 2000}}}
  two: {type: retriever, retriever: far}
edges: [start -> one -> two -> end]
"""

CHECK = """
import runpy, sys
sys.argv = ["ragweave", "check", {path!r}]
try:
    runpy.run_module("ragweave", run_name="__main__")
except SystemExit as stop:
    assert not stop.code, f"ragweave check ended with {{stop.code!r}}"
"""


def loaded_by(code: str) -> set[str]:
    """The top-level modules in `sys.modules` of a fresh process that ran the code."""
    code += "\nimport json, sys; print(); print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_ragweave_loads_nothing_heavy() -> None:
    loaded = loaded_by("import ragweave")
    assert "ragweave" in loaded
    assert not loaded & HEAVY_FOR_A_PLAIN_IMPORT


def test_importing_ragweave_loads_nothing_but_the_standard_library() -> None:
    new = loaded_by("import ragweave") - loaded_by("pass") - {"ragweave"}
    assert new <= sys.stdlib_module_names, new - sys.stdlib_module_names


@pytest.mark.skipif(
    not COOKBOOK.exists() or importlib.util.find_spec("ragweave.cli") is None,
    reason="there is no cookbook example or no command line yet",
)
def test_checking_a_graph_loads_nothing_heavy() -> None:
    assert not loaded_by(CHECK.format(path=str(COOKBOOK))) & HEAVY


def test_checking_a_graph_loads_none_of_the_databases_that_it_names(tmp_path: Path) -> None:
    graph = tmp_path / "graph.yaml"
    graph.write_text(GRAPH_OF_DATABASES)
    assert not loaded_by(CHECK.format(path=str(graph))) & HEAVY
