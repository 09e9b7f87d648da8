"""Every node type that comes with ragweave can be read about, and its example is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ragweave.orchestrator import registry
from ragweave.orchestrator.builtin import TABLE

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
