"""Every node type that comes with ragweave can be read about, and its example is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ragweave import Graph
from ragweave.orchestrator import registry
from ragweave.orchestrator.builtin import TABLE
from ragweave.orchestrator.language.catalogue import describe

PAGE = (Path(__file__).parents[2] / "docs" / "nodes.md").read_text(encoding="utf-8")
TYPES = sorted(TABLE["nodes"])


def test_the_page_of_nodes_lists_every_type() -> None:
    listed = {word for line in PAGE.splitlines() if line.startswith("|") for word in line.split("|")[1].split("`")}
    assert [name for name in TYPES if name not in listed] == []


@pytest.mark.parametrize("name", TYPES)
def test_every_type_says_what_it_does_and_shows_it(name: str) -> None:
    kind = registry.get("nodes", name)
    assert len((kind.__doc__ or "").split()) > 5
    ((_, example),) = yaml.safe_load(kind.example).items()
    assert example.pop("type") == name
    if name != "graph":
        undescribed = [key for key, info in kind.model_fields.items() if not info.description]
        assert undescribed == []


@pytest.mark.parametrize("name", TYPES)
def test_every_example_is_accepted_by_the_checker(name: str, tmp_path: Path) -> None:
    """The example alone between start and end, with the keys as inputs and the resources that it names."""
    entry = describe("nodes", name)
    ((node, example),) = yaml.safe_load(entry.example).items()
    (tmp_path / "models" / "sentiment").mkdir(parents=True)
    for file, text in (("config.json", '{"model_type": "bert"}'), ("tokenizer.json", "{}"), ("model.safetensors", "")):
        (tmp_path / "models" / "sentiment" / file).write_text(text)
    inner = {
        "nodes": {"say": {"type": "reply", "text": "Hello."}},
        "edges": ["start -> say -> end"],
        "outputs": ["answer"],
    }
    (tmp_path / "research.yaml").write_text(yaml.safe_dump({"schema": "ragweave/v1", **inner}))
    reads = {key: kind.rstrip("?") for key, kind in entry.reads.items()}
    if name == "transformers":  # its model says what it reads
        reads = {"text": "str"}
    rule = example.get("map", {})
    reads.pop(rule.get("as", ""), None)
    if rule:
        reads[rule["over"]] = "list[str]"
    reads = {example.get("reads", {}).get(key, key): kind for key, kind in reads.items()}
    graph = {
        "schema": "ragweave/v1",
        "inputs": reads,
        "models": {"chat": {"type": "extractive"}},
        "retrievers": {"recipes": {"type": "hybrid", "index": "."}},
        "memories": {"history": {"type": "window"}},
        "nodes": {node: example},
        "edges": [f"start -> {node} -> end"],
    }
    (tmp_path / "graph.yaml").write_text(yaml.safe_dump(graph))
    assert Graph.load(tmp_path / "graph.yaml").nodes == (node,)  # raises GraphError with every error
