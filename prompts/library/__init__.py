"""The prompts that ragweave comes with: each Markdown file here is a name that a graph can use (`prompt: decompose`).

To change one, copy its file beside the graph and declare it: `prompts: {mine: mine.md}`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ragweave.orchestrator.errors import ResourceError, did_you_mean
from ragweave.prompts.template import Prompt

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the prompts in the library."""
    return sorted(path.stem for path in _FOLDER.glob("*.md"))


def __getattr__(name: str) -> Callable[..., Prompt]:
    path = _FOLDER / f"{name}.md"
    if name.startswith("_") or not path.is_file():
        raise AttributeError(f"the prompt library has no {name!r}{did_you_mean(name, names())}")

    def build(**settings: object) -> Prompt:
        if settings:
            raise ResourceError(
                f"the prompt {name!r} has no setting {next(iter(settings))!r}",
                hint=f"copy {path.name} beside the graph and change it there",
            )
        return Prompt.of_library(path)

    build.__name__ = build.__qualname__ = name
    return build
