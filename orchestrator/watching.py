"""A graph that keeps up with its files while it serves. It polls, as `ragweave check --watch` does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.orchestrator.edition import Edition
from ragweave.orchestrator.errors import RagweaveError
from ragweave.orchestrator.graphfile import read_file
from ragweave.orchestrator.language.references import texts
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.stamps import Stamp, named_files, stamp

if TYPE_CHECKING:
    from ragweave.orchestrator.lifecycle import Lifecycle

_SETTLES = 0.05
"""Seconds in which a file that is being written is left alone."""


async def keep_up(graph: Lifecycle, every: float, tell: Callable[[str], None] | None) -> None:
    """Reload the graph whenever one of its files changes, for ever. A broken file is told once, and again when it has
    changed and is still broken."""
    broken = False
    before = await asyncio.to_thread(_look, graph, broken)
    while True:
        await asyncio.sleep(every)
        now = await asyncio.to_thread(_look, graph, broken)
        if now == before:
            continue
        await asyncio.sleep(_SETTLES)
        if await asyncio.to_thread(_look, graph, broken) != now:
            continue  # somebody is still writing: look again
        broken = True
        try:
            await graph.areload()
            broken = False
        except RagweaveError as error:
            _say(tell, f"the graph goes on as it was, since it cannot be reloaded: {error}")
        except Exception as error:  # a resource or a node of a plugin may raise anything
            _say(tell, f"the graph goes on as it was, since it cannot be reloaded: {type(error).__name__}: {error}")
        else:
            _say(tell, f"the graph {graph.plan.spec.name!r} was reloaded")
        looked = await asyncio.to_thread(_look, graph, broken)
        before = {**looked, **{file: was for file, was in now.items() if file in looked}}


def _say(tell: Callable[[str], None] | None, text: str) -> None:
    if tell is not None:
        tell(text)
        return
    import logging  # for those who do not listen themselves

    logging.getLogger("ragweave").warning(text)


def _look(graph: Lifecycle, broken: bool) -> dict[Path, Stamp]:
    """The stamps of all files that the graph is made of; if its file is `broken` now, also of those that it names."""
    edition = graph._edition
    files = dict.fromkeys(_files(edition))
    if broken and edition.source is not None:
        with contextlib.suppress(RagweaveError):  # what can be read of it is looked at
            files |= dict.fromkeys(_named(read_file(*edition.source)[0]))
    return {file: stamp(file) for file in files}


def _files(edition: Edition) -> list[Path]:
    found = [edition.source[0]] if edition.source is not None else []
    found += _named(edition.plan.spec)
    for inner in edition.resources.inner_graphs():
        found += _files(inner._edition)
    return found


def _named(spec: Spec) -> list[Path]:
    """The `.env` beside a graph, its price file, and what its settings may name."""
    parts = [one.settings for (kind, _), one in spec.resources.items() if kind != "stores"]  # it changes with every run
    parts += [one.settings for one in spec.nodes.values()]
    parts += [other for one in spec.nodes.values() for other in one.policies.fallback]
    words = (text for part in parts for _, text in texts(part, ()))
    prices = [spec.folder / spec.prices] if spec.prices else []
    return [spec.folder / ".env", *prices, *named_files(words, spec.folder)]
