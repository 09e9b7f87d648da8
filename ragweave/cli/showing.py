"""`ragweave draw` and `ragweave schema`: what a graph looks like, and what graph files may say."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ragweave.cli.files import write_whole
from ragweave.cli.graphs import check_file, load_plugins
from ragweave.cli.terminal import cells, is_terminal, note, plural, say, width

if TYPE_CHECKING:
    from ragweave.orchestrator.drawing import Style

_BY_SUFFIX = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".md": "mermaid"}


def draw_graph(path: Path, style: str | None, output: Path | None, plugins: Sequence[str]) -> int:
    """Draw a graph that has no mistakes into a file or onto the terminal. Raises GraphError."""
    from ragweave.orchestrator.drawing import draw
    from ragweave.orchestrator.errors import GraphError

    checked = check_file(path, plugins)
    if not checked.ok:
        raise GraphError(checked.problems)
    chosen = style or _BY_SUFFIX.get(output.suffix.lower() if output is not None else "", "text")
    picture = draw(checked, cast("Style", chosen))
    if output is not None:
        if output.suffix.lower() == ".md":
            picture = f"```mermaid\n{picture}```\n"
        _write(output, picture)
        return 0
    sys.stdout.write(picture)
    widest = max(map(cells, picture.splitlines()), default=0)
    if chosen == "text" and is_terminal(sys.stdout) and widest > width(sys.stdout):
        note(f"{widest} columns wide: ragweave draw {path} | less -S, or --output graph.svg")
    return 0


def print_schema(output: Path | None, plugins: Sequence[str]) -> int:
    """The JSON schema of graph files, into a file or onto the terminal."""
    from ragweave.orchestrator.language.schema import graph_schema

    load_plugins(plugins)
    text = json.dumps(graph_schema(), indent=2, ensure_ascii=False) + "\n"
    if output is not None:
        _write(output, text)
    else:
        sys.stdout.write(text)
    return 0


def _write(output: Path, text: str) -> None:
    write_whole(output, text.encode("utf-8"))
    say(f"wrote {output} ({plural(len(text.splitlines()), 'line')})")
