"""The node type `lookup`: a row of a JSON file, in the place of a customer database or a content system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

from pydantic import Field

from ragweave import Context, Node


class Found(TypedDict):
    """What it writes."""

    row: dict[str, Any]


class Lookup(Node, type="lookup"):
    """Look something up by its key. What is not there is the row of the key `default`."""

    file: str = Field(min_length=1, description="JSON: rows by key, with a row `default`; beside the graph.")

    def __call__(self, key: str, ctx: Context) -> Found:
        folder = ctx.resources.folder if ctx.resources is not None else Path()
        rows = json.loads((folder / self.file).read_text(encoding="utf-8"))
        return {"row": rows.get(key, rows["default"])}
