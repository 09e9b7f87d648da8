"""`ragweave batch`: a graph over every row of a file, many at a time, going on where a killed batch stopped."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.cli.answers import as_data, json_text
from ragweave.cli.asking import prepare
from ragweave.cli.graphs import open_graph
from ragweave.cli.inputs import with_files
from ragweave.cli.interrupts import unwinding
from ragweave.cli.rowfile import RowFile
from ragweave.cli.terminal import is_terminal, note, one_line, plural

if TYPE_CHECKING:
    from ragweave.evals.datasets import Row
    from ragweave.orchestrator.graph import Graph
    from ragweave.orchestrator.values import BlobPart

_SHOWN = 5
_HEAD = 1 << 20


LEAST_FOR_A_RATE = 50
"""Rows; what fewer take says nothing of the rest."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What the command line says."""

    graph: Path
    source: Path
    target: Path
    concurrency: int = 16
    stop: bool = False
    columns: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    limit: int | None = None
    overwrite: bool = False
    plugins: tuple[str, ...] = ()


@dataclass(slots=True)
class _Progress:
    done: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Place and reason of the first rows that failed."""
    failures: int = 0
    columns: set[str] = field(default_factory=set)
    """Of all rows."""


class _Stopped(Exception):
    """A row failed, and `--on-error stop` was asked for."""


def batch_file(batch: Batch) -> int:
    """Run every row that is not done yet. 0 if all rows of the file went well. Raises RagweaveError."""
    from ragweave.evals.datasets import count_rows, read_rows
    from ragweave.orchestrator.errors import InputError, RagweaveError
    from ragweave.orchestrator.stores.memory import MemoryStore

    if batch.source.resolve() == batch.target.resolve():
        raise InputError(f"{str(batch.source)!r} is both the input and the output")
    # The output is the record, and memory must not grow with the rows.
    graph = open_graph(batch.graph, batch.plugins, store=MemoryStore(keep=0, keep_open=0))
    graph.resources.notice = note
    columns = _columns(graph, batch.columns)
    rows = read_rows(batch.source)
    total = batch.limit if batch.limit is not None else count_rows(batch.source)
    prepare(graph, batch.graph, agreed=False)
    file = RowFile(batch.target, _identity(batch), overwrite=batch.overwrite)
    before, begun, progress = len(file), time.monotonic(), _Progress()
    if before:
        note(f"going on: {plural(before, 'row')} of {batch.source} {'is' if before == 1 else 'are'} in {batch.target}")
    stopped = ""
    try:
        with unwinding(), _bar(total, before) as show:
            asyncio.run(_run(graph, batch, rows, columns, file, progress, show))
    except _Stopped as stop:
        stopped = f"stopped at {stop}; the same command goes on from there"
    except KeyboardInterrupt:
        note(f"interrupted after {plural(len(file), 'row')}; the same command goes on from there")
        raise
    finally:
        file.close()
    _summarise(batch, file, progress, time.monotonic() - begun)
    if stopped:
        raise RagweaveError(stopped)
    return 1 if file.failed else 0


async def _run(
    graph: Graph,
    batch: Batch,
    rows: Iterator[Row],
    columns: Mapping[str, str],
    file: RowFile,
    progress: _Progress,
    show: Callable[[int, int], None],
) -> None:
    """Some workers that take row after row; what is finished is written before the next row is taken."""
    rows = _due(rows, file, batch.limit)
    files = _Files(graph, batch.source.parent)

    async def work() -> None:
        for row in rows:
            progress.columns |= row.values.keys()
            line = await _line(graph, row, columns, batch.keep, files)
            try:
                if "error" not in line:
                    file.write(row.number, line)
            except ValueError as error:
                line = _failed(row, error)
            if "error" in line:
                reason = str(line["error"]["message"])
                if batch.stop:
                    raise _Stopped(f"{row.place}: {one_line(reason)}")
                progress.failures += 1
                if len(progress.failed) < _SHOWN:
                    progress.failed.append((row.place, reason))
                file.write(row.number, line)
            progress.done += 1
            show(progress.done, progress.failures)

    async with graph:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(batch.concurrency):
                    group.create_task(work())
        except BaseExceptionGroup as group:  # of a row that ends the batch, or of the file of rows
            raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _due(rows: Iterator[Row], file: RowFile, limit: int | None) -> Iterator[Row]:
    for row in rows:
        if limit is not None and row.number > limit:
            return
        if row.number not in file:
            yield row


async def _line(
    graph: Graph, row: Row, columns: Mapping[str, str], keep: tuple[str, ...], files: _Files
) -> dict[str, Any]:
    """What is written about a row: its outputs, or its error first; then the columns that are kept."""
    from ragweave.orchestrator.errors import InputError, RunError
    from ragweave.orchestrator.result import plain

    if row.error:
        return {"error": {"type": "DatasetError", "message": row.error, "place": row.place}}
    kept = {"kept": plain({name: row.values.get(name) for name in keep})} if keep else {}
    try:
        json_text(kept)  # before the run is paid for
    except ValueError as error:
        return _failed(row, error)
    try:
        with files.attached(_inputs(graph, row.values, columns)) as inputs:
            result = await graph.arun(inputs)
        if result.status == "parked":
            asked = next(iter(result.asks.values())).question
            return {"error": {"type": "Parked", "message": f"it asks a person: {asked}", "place": row.place}, **kept}
        data = as_data(result)
        usage = {name: value for name, value in data["usage"].items() if value and value != "0"}
        told = {name: data[name] for name in ("exceeded",) if name in data}
        return {"outputs": data["outputs"], **({"usage": usage} if usage else {}), **told, **kept}
    except RunError as error:
        cause = error.__cause__ or error
        said = {"type": type(cause).__name__, "message": str(cause), "place": row.place, "node": error.path}
        return {"error": said, **kept}
    except (InputError, ValueError) as error:
        return {**_failed(row, error), **kept}


def _failed(row: Row, error: Exception) -> dict[str, Any]:
    return {"error": {"type": type(error).__name__, "message": str(error), "place": row.place}}


class _Files:
    """The files of the rows that run; memory is freed of their bytes with the last of these rows that has them."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self._graph = graph
        self._folder = folder
        self._users: Counter[str] = Counter()
        graph.blobs.max_memory = sys.maxsize  # what is held here is in use

    @contextlib.contextmanager
    def attached(self, inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The inputs of a row with its files. Raises InputError."""
        mine: list[str] = []

        def attach(path: Path) -> BlobPart:
            part = self._graph.attach(path)
            mine.append(part.blob)
            self._users[part.blob] += 1
            return part

        try:
            yield with_files(self._graph, inputs, self._folder, attach)
        finally:
            for digest in mine:
                self._users[digest] -= 1
                if not self._users[digest]:
                    del self._users[digest]
                    self._graph.blobs.forget(digest)


def _inputs(graph: Graph, values: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    from ragweave.orchestrator.errors import InputError, did_you_mean

    inputs = {}
    for name, key in graph.plan.spec.inputs.items():
        column = columns.get(name, name)
        if column not in values and key.has_default and name not in columns:
            continue
        if column not in values:
            raise InputError(
                f"no column {column!r} for the input {name!r}{did_you_mean(column, values)}",
                hint=f"--column {name}=… says which column it is",
            )
        inputs[name] = values[column]
    return inputs


def _columns(graph: Graph, given: tuple[str, ...]) -> dict[str, str]:
    """Input to column, from `INPUT=COLUMN`. Raises InputError."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    columns: dict[str, str] = {}
    declared = graph.plan.spec.inputs
    for text in given:
        name, sign, column = text.partition("=")
        if not (sign and column):
            raise InputError(f"--column is INPUT=COLUMN, found {text!r}")
        if name not in declared:
            raise InputError(f"{graph.name!r} has no input {name!r}{did_you_mean(name, declared)}")
        columns[name] = column
    return columns


def _identity(batch: Batch) -> dict[str, Any]:
    """What must be the same for a batch to go on: the graph's text, the input, and how its columns are read."""
    source = batch.source
    if source.is_dir():
        source = source / "state.json"
    with source.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD)).hexdigest()[:16]
    return {
        "graph": hashlib.sha256(batch.graph.read_bytes()).hexdigest()[:16],
        "input": f"{batch.source.name} {source.stat().st_size} {head}",
        "columns": sorted(batch.columns),
        "kept columns": sorted(batch.keep),
    }


def _summarise(batch: Batch, file: RowFile, progress: _Progress, seconds: float) -> None:
    from ragweave.orchestrator.errors import did_you_mean

    if not progress.done:
        note(f"{batch.source} -> {batch.target}: all {plural(len(file), 'row')} were done before")
    else:
        failed = f", {file.failed:,} failed" if file.failed else ""
        told = seconds >= 1 and progress.done >= LEAST_FOR_A_RATE
        rate = f", {progress.done / seconds:,.0f} a second" if told else ""
        note(f"{batch.source} -> {batch.target}: {plural(len(file), 'row')}{failed}{rate}, {seconds:.1f} s")
    for name in batch.keep:
        if progress.columns and name not in progress.columns:
            note(f"  --keep {name}: no row has this column{did_you_mean(name, sorted(progress.columns))}")
    for place, reason in progress.failed:
        note(f"  {place}: {one_line(reason)}")
    if progress.failures > len(progress.failed):
        note(f'  … and {progress.failures - len(progress.failed):,} more, in the lines that have an "error"')


@contextlib.contextmanager
def _bar(total: int | None, before: int) -> Iterator[Callable[[int, int], None]]:
    """Shows rows, rate and time left on a terminal, a few times a second; nothing elsewhere."""
    if not is_terminal(sys.stderr):
        yield lambda done, failed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("rows"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[failed]}", style="red"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("rows", total=total, completed=before, rate="", failed="")
        begun = shown = time.monotonic()

        def show(done: int, failed: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= 0.1:
                shown = now
                rate = f"{done / (now - begun):,.0f}/s"
                bars.update(task, completed=before + done, rate=rate, failed=f"{failed:,} failed" if failed else "")

        yield show
