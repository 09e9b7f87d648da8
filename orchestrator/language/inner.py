"""What is wrong with a file that a graph file names: a graph inside it, or one that is not there."""

from __future__ import annotations

import contextlib
from difflib import SequenceMatcher
from pathlib import Path

from ragweave.orchestrator.errors import GraphError, closest
from ragweave.orchestrator.language.report import Report, path, surely
from ragweave.orchestrator.language.spec import Place

SHOWN = 3
"""The problems of an inner graph that are told where it is named; its own check tells all."""


def near(file: Path) -> Path:
    """A path as it is shortest to read: relative to the working directory if it lies below it."""
    with contextlib.suppress(ValueError, OSError):
        return file.resolve().relative_to(Path.cwd())
    return file


def missing_file(file: Path) -> str:
    """That a graph file does not exist, with the nearest of those beside it, or all of them, the nearest first."""
    if not file.parent.is_dir():
        return f"the file does not exist: there is no folder {str(near(file.parent))!r}"
    meant, names = beside(file)
    if meant:
        return f"the file does not exist; did you mean {meant!r}?"
    return "the file does not exist" + (f"; there is: {', '.join(names[:12])}" if names else "")


def beside(file: Path) -> tuple[str, list[str]]:
    """The YAML file beside a path whose name is near to its own, or nothing; and all of them, the nearest first."""
    if not file.parent.is_dir():
        return "", []
    found = [other for other in file.parent.iterdir() if other.suffix in (".yaml", ".yml") and other.is_file()]
    stem = file.stem.lower()
    found.sort(key=lambda other: (-SequenceMatcher(None, stem, other.stem.lower()).ratio(), other.name))
    close = bool(found) and closest(file.stem, [found[0].stem]) is not None
    return found[0].name if close else "", [other.name for other in found]


def tell_inner_graph(report: Report, place: Place, written: str, error: GraphError) -> None:
    """Say at the `path` of a node what is wrong with the graph file that it names."""
    where = (*place, "path")
    file = report.spec.folder / written
    if written and not file.is_file():
        message = missing_file(file).replace("the file", f"the file {written!r}", 1)
        meant, names = beside(file)
        certain = bool(meant) and surely(file.stem, [Path(name).stem for name in names]) == Path(meant).stem
        new = written.removesuffix(file.name) + meant if certain else None
        mark = report.spec.value_mark(*where)
        report.at(mark, "RW128", f"{path(where)}: {message}", old=written, new=new)
        return
    errors = [problem for problem in error.problems if problem.severity == "error"]
    told = "; ".join(f"{problem.place} {problem.code} {problem.message}" for problem in errors[:SHOWN])
    if len(errors) == 1:
        report.value(where, "RW128", f"{path(where)}: this graph has a problem: {told}")
        return
    more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
    report.value(where, "RW128", f"{path(where)}: this graph has {len(errors)} problems: {told}{more}")
