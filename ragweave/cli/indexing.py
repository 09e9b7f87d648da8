"""`ragweave index`: documents into an index that retrievers search, with progress for whoever watches."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ragweave.cli.files import near
from ragweave.cli.graphs import check_file, load_plugins
from ragweave.cli.interrupts import unwinding
from ragweave.cli.terminal import is_terminal, note, one_line, plural, say

if TYPE_CHECKING:
    from ragweave.orchestrator.contracts import Embedder
    from ragweave.orchestrator.filters import Fields
    from ragweave.orchestrator.language.spec import Spec
    from ragweave.orchestrator.naming import ResourceSpec
    from ragweave.orchestrator.resources import Resources
    from ragweave.retrievers.chunking import Chunks
    from ragweave.retrievers.indexes.filled import FilledIndex
    from ragweave.retrievers.indexes.freshness import Changes
    from ragweave.retrievers.indexes.indexing import IndexReport, Progress

FOLDER = ".ragweave"
WORDS_ONLY = "words only: pip install 'ragweave[local]' adds search by meaning"
_SHOWN = 10
_PAUSE = 0.3
"""Seconds between two looks at a folder that is watched."""
_GRAPHS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Job:
    """Documents and the index that is made of them.

    `embedder` is the name of one of the `resources`, or `none` if words are enough.
    """

    name: str
    documents: Path
    index: Path | None
    """The folder of the index; None if it is in a database elsewhere."""
    embedder: str
    resources: Resources
    chunks: Chunks | None = None
    """How documents are cut; None for the default."""
    fields: Fields | None = None
    """What the index can be filtered by; None leaves that as it is."""
    target: FilledIndex | None = None
    """The index, if it fills itself."""

    @property
    def shown(self) -> str:
        """How output names the index."""
        if self.index is not None:
            return near(self.index)
        return self.target.shown(self.resources) if self.target is not None else self.name


def index_target(
    target: Path, to: Path | None, embedder: str | None, plugins: Sequence[str], *, watch: bool = False
) -> int:
    """Index what a graph's retrievers declare, or a folder of documents; with `watch`, again whenever one changes."""
    jobs = [replace(job, embedder=embedder or job.embedder) for job in _jobs(target, to, plugins)]
    seen = [_stamps(job) if watch else {} for job in jobs]
    for job in jobs:
        build(job)
    if watch:
        _watch(jobs, seen)
    return 0


def _jobs(target: Path, to: Path | None, plugins: Sequence[str]) -> list[Job]:
    from ragweave.orchestrator.errors import GraphError, RagweaveError
    from ragweave.orchestrator.resources import Resources

    if target.suffix.lower() in _GRAPHS and not target.is_dir():
        if to is not None:
            raise RagweaveError("--to goes with a folder of documents; a graph file says itself where its index is")
        checked = check_file(target, plugins)
        if not checked.ok:
            raise GraphError(checked.problems)
        jobs = jobs_of(checked.spec)
        if not jobs:
            raise RagweaveError(
                f"{str(target)!r} has no retriever with documents to index",
                hint="give one `documents: FOLDER`, or run `ragweave index FOLDER --to INDEX`",
            )
        return jobs
    load_plugins(plugins)
    return [Job("", target, to or default_index(target), "minilm", Resources(notice=note))]


def jobs_of(spec: Spec) -> list[Job]:
    """What there is to index for a checked graph and the graphs in it: the retrievers that name their documents.

    Raises ResourceError if a setting refers to an environment variable that is not set, or set wrongly.
    """
    from ragweave.orchestrator.language.environment import read_dotenv
    from ragweave.orchestrator.nodes.graph import GraphNode
    from ragweave.orchestrator.resources import Resources

    environ = {**read_dotenv(spec.folder), **os.environ}
    resources = Resources(spec.resources.values(), folder=spec.folder, environ=environ, notice=note)
    jobs: list[Job] = []
    for (kind, name), declared in spec.resources.items():
        if kind == "retrievers":
            jobs += _jobs_of_retriever(name, declared, resources)
    for node in spec.nodes.values():
        if isinstance(node.node, GraphNode):
            jobs += jobs_of(node.node.plan.spec)
    return jobs


def _jobs_of_retriever(name: str, declared: ResourceSpec, resources: Resources) -> Iterator[Job]:
    """The job of a retriever, if it is an index of a folder of documents."""
    from ragweave.orchestrator import registry
    from ragweave.retrievers.indexes.filled import FilledIndex
    from ragweave.retrievers.indexes.hybrid import Hybrid

    made = declared.implementation or registry.find("retrievers", declared.type)
    if isinstance(made, type) and issubclass(made, (Hybrid, FilledIndex)):
        made = _declared(name, made, declared.settings, resources)
    if not isinstance(made, (Hybrid, FilledIndex)) or made.documents is None:
        return
    documents = resources.folder / Path(made.documents).expanduser()
    embedder = made.embedder if getattr(made, "weight", 1) > 0 else "none"
    if isinstance(made, Hybrid):
        index = resources.folder / Path(made.index).expanduser()
        yield Job(name, documents, index, embedder, resources, made.cutting, made.fields)
    else:
        yield Job(name, documents, made.folder_of_index(resources), embedder, resources, made.cutting, target=made)


def _declared(name: str, made: Any, settings: Mapping[str, Any], resources: Resources) -> Any:
    """A retriever with its settings, which opens nothing."""
    from pydantic import ValidationError

    from ragweave.orchestrator.errors import ResourceError
    from ragweave.orchestrator.language.environment import resolve
    from ragweave.orchestrator.language.reasons import reason_of
    from ragweave.orchestrator.language.references import secret_fields

    try:
        return made(**resolve(settings, resources.environ, f"retrievers.{name}"))
    except ValidationError as error:
        raise ResourceError(reason_of(error, at=("retrievers", name), secrets=secret_fields(made))) from None


def is_missing(job: Job) -> bool:
    """True if the index was never built. Raises IndexUnusable if that cannot be told."""
    from ragweave.retrievers.indexes import generations

    if job.target is not None:
        return not job.target.exists(job.resources)
    return job.index is None or not generations.exists(job.index)


def staleness(job: Job) -> str:
    """How documents have changed since they were indexed, as `1 added, 2 deleted`; empty if they have not.

    Raises IndexUnusable.
    """
    found = _changes(job)._asdict()
    return ", ".join(f"{count:,} {word}" for word, count in found.items() if count)


def _changes(job: Job) -> Changes:
    from ragweave.retrievers.indexes.freshness import Changes, changes

    if job.target is not None:
        return job.target.changes(job.resources)
    return changes(job.documents, job.index) if job.index is not None else Changes()


def say_if_stale(job: Job, command: str) -> None:
    """Say in a line beside the output if documents have changed since they were indexed."""
    if changed := staleness(job):
        what = near(job.documents)
        note(f"{what} has changed since it was indexed ({changed}); `{command}` brings the index up to date")


def default_index(documents: Path) -> Path:
    """Where the index of a folder (or file) of documents goes: into `.ragweave` beside them, or the user's cache."""
    from ragweave.retrievers.loading import folder_of

    folder = folder_of(documents)
    if folder != documents:  # a pattern: another index than that of the whole folder
        name = hashlib.sha256(os.fsencode(documents.relative_to(folder))).hexdigest()[:8]
        return default_index(folder).with_name(f"index-{name}")
    home = documents if documents.is_dir() else documents.parent
    name = "index" if documents.is_dir() else f"index-{documents.stem}"
    if os.access(home / FOLDER if (home / FOLDER).exists() else home, os.W_OK):
        return home / FOLDER / name
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ragweave" / hashlib.sha256(os.fsencode(documents.resolve())).hexdigest()[:16] / name


def build(job: Job, *, quiet: bool = False) -> IndexReport:
    """Bring one index up to date and say what came of it; if `quiet`, only where something has changed."""
    from ragweave.retrievers.loading import find_files

    # Loading a model takes longer than seeing that there is nothing to index, which build_index then says.
    is_empty = next(find_files(job.documents), None) is None
    embedder = None if job.embedder == "none" or is_empty else _embedder(job)
    is_new = job.index is not None and not job.index.exists()
    try:
        with unwinding(), progress_bar() as progress:
            report = _built(job, embedder, progress)
    except BaseException:
        if is_new and job.index is not None and is_missing(job):
            _remove_empty(job.index)
        raise
    if job.index is not None:
        _ignore_in_git(job.index)
    changed = report.added or report.changed or report.deleted
    if quiet and not changed:
        return report
    for line in summary(job, report):
        (note if quiet else say)(line)
    return report


def _built(job: Job, embedder: Embedder | None, progress: Callable[[Progress], None] | None) -> IndexReport:
    from ragweave.retrievers.indexes.indexing import build_index

    if job.target is not None:
        return job.target.fill(job.resources, embedder, progress)
    assert job.index is not None
    return build_index(job.documents, job.index, embedder, progress, job.chunks, job.fields)


def _embedder(job: Job) -> Embedder | None:
    """The embedder; None where its packages are not installed, which the summary then says."""
    from ragweave.orchestrator.errors import MissingExtra

    try:
        found: Embedder = job.resources.get("embedders", job.embedder)
    except MissingExtra:
        return None
    return found


def summary(job: Job, report: IndexReport) -> Iterator[str]:
    """What was indexed, and then what was not, with reasons."""
    if report.rebuilt:
        yield f"{job.shown} was built anew: {report.rebuilt}"
    if report.refitted is not None:
        fields = ", ".join(report.refitted) or "source and title alone"
        yield f"{job.shown} can be filtered by {fields} now; nothing had to be embedded for that"
    counts = [("added", report.added), ("changed", report.changed), ("deleted", report.deleted)]
    parts = [f"{count:,} {word}" for word, count in [*counts, ("unchanged", report.unchanged)] if count]
    if report.skipped:
        parts.append(f"{len(report.skipped):,} skipped")
    how = f"embedder {report.embedder}" if report.embedder is not None else WORDS_ONLY
    how += f", {report.how}" if report.how != "exact" else ""
    if report.embedder is None and job.embedder == "none":
        how = "words only"
    yield (
        f"{near(job.documents)} -> {job.shown}: {plural(report.files, 'file')} ({', '.join(parts)}), "
        f"{plural(report.chunks, 'passage')}, {how}, {report.seconds:.1f} s"
    )
    yield from _listed("skipped", [(file.source, file.reason) for file in report.skipped])
    yield from _listed("note", report.notes)
    yield from _listed("field", [(misfit.field, str(misfit)) for misfit in report.misfits])


def _listed(title: str, files: Sequence[tuple[str, str]]) -> Iterator[str]:
    for source, reason in files[:_SHOWN]:
        yield f"  {title}: {one_line(source)}: {one_line(reason)}"
    if len(files) > _SHOWN:
        yield f"  {title}: … and {len(files) - _SHOWN:,} more"


def _watch(jobs: Sequence[Job], seen: list[dict[str, tuple[int, int]]]) -> NoReturn:
    """Bring the indexes up to date whenever their documents are no longer as they were `seen`, until Ctrl-C."""
    from ragweave.orchestrator.errors import RagweaveError

    note("watching for changes; Ctrl-C ends")
    with unwinding():
        while True:
            began = time.monotonic()
            for place, job in enumerate(jobs):
                now = _stamps(job)
                if now == seen[place]:
                    continue
                seen[place] = _settled(job, now)
                try:
                    build(job)
                except RagweaveError as error:
                    note(f"{error}; the index stays as it was")
            # Looking at a large folder takes at most a tenth of the time.
            time.sleep(max(_PAUSE, 9 * (time.monotonic() - began)))


def _settled(job: Job, now: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The stamps of the documents once nobody is writing them any more."""
    while True:
        time.sleep(_PAUSE)
        later = _stamps(job)
        if later == now:
            return now
        now = later


def _stamps(job: Job) -> dict[str, tuple[int, int]]:
    """When each document was written; empty if the folder cannot be read for the moment."""
    from ragweave.orchestrator.errors import RagweaveError
    from ragweave.retrievers.loading import find_files
    from ragweave.retrievers.sourcetext import Found

    found = {}
    with contextlib.suppress(RagweaveError, OSError):
        for file in find_files(job.documents):
            if isinstance(file, Found):
                with contextlib.suppress(OSError):
                    status = file.path.stat()
                    found[file.source] = (status.st_mtime_ns, status.st_size)
    return found


def _remove_empty(index: Path) -> None:
    """Leave no folder behind that was made for an index that came to nothing."""
    with contextlib.suppress(OSError):
        (index / "lock").unlink()
        index.rmdir()
        if index.parent.name == FOLDER:
            index.parent.rmdir()


def _ignore_in_git(index: Path) -> None:
    """Keep an index in a `.ragweave` folder out of version control: it is made anew from what is in there."""
    if index.parent.name == FOLDER:
        ignore = index.parent / ".gitignore"
        with contextlib.suppress(OSError):
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")


_PHASES = {
    "read": ("reading", "files"),
    "embed": ("embedding", "texts"),
    "write": ("writing", ""),
    "try": ("trying", "questions"),
}


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """What shows progress: a bar with rate and time left on a terminal, nothing elsewhere."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(progress: Progress) -> None:
            word, unit = _PHASES.get(progress.phase, (progress.phase, ""))
            if progress.phase not in tasks:
                for task in tasks.values():
                    bars.update(task, visible=False)
                tasks[progress.phase] = bars.add_task(word, total=progress.total, unit=unit, rate="")
            task = tasks[progress.phase]
            speed = next(one.speed for one in bars.tasks if one.id == task)
            rate = f"{speed:,.0f}/s" if speed else ""
            bars.update(task, completed=progress.done, total=progress.total, rate=rate)

        yield show
