"""How well ragweave and other frameworks find passages: `python benchmarks/retrieval/quality.py`.

Every system gets the same passages and the same questions of the data sets in `../shared/data`; peers are given the
vectors of sentence-transformers through their own embeddings interface, ragweave makes its own with the same weights.
Results of peers are kept in `build/retrieval`, by pinned versions and data; ragweave is measured every time.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import running
import scoring
import sets
import tables
import typer
import vectors
from pipelines.protocol import Work

#: What each framework calls a system -> how the tables call it. `@10`: what each of its two retrievers is asked for.
TITLES = {
    "ragweave hybrid@10": "ragweave",
    "langchain rrf@10": "LangChain, RRF",
    "haystack reciprocal_rank_fusion@10": "Haystack, RRF",
    "haystack concatenate@10": "Haystack, its default",
    "llama_index reciprocal_rerank@10": "LlamaIndex, RRF",
    "llama_index simple@10": "LlamaIndex, its default",
    "langchain rrf@50": "LangChain, RRF of 50",
    "haystack reciprocal_rank_fusion@50": "Haystack, RRF of 50",
    "haystack distribution_based_rank_fusion@50": "Haystack, distribution of 50",
    "llama_index reciprocal_rerank@50": "LlamaIndex, RRF of 50",
    "llama_index relative_score@50": "LlamaIndex, relative score of 50",
    "llama_index dist_based_score@50": "LlamaIndex, distribution of 50",
    "plain bm25s@20": "BM25, bm25s stemmed",
    "plain tantivy@20": "BM25, tantivy stemmed",
    "langchain words": "BM25 of LangChain",
    "haystack words": "BM25 of Haystack",
    "llama_index words": "BM25 of LlamaIndex",
    "plain dense@20": "dense",
}
OURS = "ragweave hybrid@10"


@dataclass
class Found:
    """What all pipelines made of the sets."""

    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Set -> system -> question id -> ids, best first."""
    versions: dict[str, str] = field(default_factory=dict)
    known: int = 0
    """Results that an earlier run kept."""
    problems: list[str] = field(default_factory=list)


def rank(name: str, pipelines: list[str], so_far: Found) -> None:
    """Rank the passages of a set for its questions with every pipeline."""
    data = sets.read(name)
    with np.load(vectors.make(data)) as made:
        given = Work(
            list(data.passages),
            [(question.id, question.text) for question in data.questions],
            made["vectors"],
            made["query_vectors"],
        )
    systems: dict[str, Any] = {}
    for pipeline in pipelines:
        try:
            report, old = running.kept(
                "rank", pipeline, f"{name}-{data.digest}", given, fusions=fusions(pipeline, name)
            )
        except running.Failed as error:
            so_far.problems.append(f"{name}: {error}")
            continue
        systems |= {f"{pipeline} {system}": ranking for system, ranking in report["found"].items()}
        so_far.versions |= report["versions"]
        so_far.known += old
    so_far.measured[name] = {system: systems[system] for system in TITLES if system in systems}


def fusions(pipeline: str, name: str) -> list[tuple[str, int]]:
    """The ways to fuse, and depths, that a pipeline is asked for: all where there is a goal, as each takes its time."""
    ways = (system.partition("@") for system in TITLES if "@" in system and system.startswith(f"{pipeline} "))
    return [(way.partition(" ")[2], int(depth)) for way, _, depth in ways if name in sets.HOPS or depth != "50"]


def table(name: str, found: dict[str, Any]) -> tables.Table:
    """A row for each system, a column for each metric; then what ragweave has above the best of the rest."""
    data = sets.read(name)
    metrics = scoring.METRICS if name in sets.HOPS else ("recall@5", "nDCG@10")
    scored = {system: scoring.scores(ranking, data.questions) for system, ranking in found.items()}
    rows = [[TITLES[one], *(f"{scored[one][metric].mean():.3f}" for metric in metrics)] for one in scored]
    if OURS in scored and len(scored) > 1:
        rivals = [best_of(scored, metric) for metric in metrics]
        pairs = [(scored[OURS][metric], scored[rival][metric]) for rival, metric in zip(rivals, metrics, strict=True)]
        rows.append(["the best of the others", *(TITLES[rival] for rival in rivals)])
        rows.append(["ragweave above it", *(tables.signed(*scoring.interval(*pair)) for pair in pairs)])
    title = f"{name}: {len(data.questions):,} questions, {len(data.passages):,} passages"
    return tables.Table(title, ["", *metrics], rows)


def best_of(scored: dict[str, Any], metric: str) -> str:
    """The system with the highest mean, but for ragweave."""
    return max((system for system in scored if system != OURS), key=lambda system: float(scored[system][metric].mean()))


def goal(measured: dict[str, dict[str, Any]]) -> str:
    """On how many of the sets with more than one hop the whole interval of recall@5 is above the best of the others."""
    kept = []
    hops = [name for name in measured if name in sets.HOPS]
    for name in hops:
        scored = {one: scoring.scores(found, sets.read(name).questions) for one, found in measured[name].items()}
        rival = best_of(scored, "recall@5")
        kept += [name] * (scoring.interval(scored[OURS]["recall@5"], scored[rival]["recall@5"])[1] > 0)
    of = f"recall@5 is above the best of the others, with all of its interval, on {', '.join(kept) or 'none'}"
    return f"Goal, on two of {', '.join(sets.HOPS)}, and below no system on any set: {of}."


def below(measured: dict[str, dict[str, Any]], metric: str) -> list[str]:
    """Where ragweave is below a system, with all of the interval; or that it is nowhere."""
    found = []
    for name, systems in measured.items():
        questions = sets.read(name).questions
        ours = scoring.scores(systems[OURS], questions)[metric]
        for system in systems:
            mean, low, high = scoring.interval(ours, scoring.scores(systems[system], questions)[metric])
            if high < 0:
                found.append(f"{name}: {metric} is below {TITLES[system]}, {tables.signed(mean, low, high)}.")
    return found or [f"On no set is {metric} below that of another system, with all of the interval."]


def main(
    only: Annotated[list[str] | None, typer.Option(help="Only this set; may be repeated.")] = None,
    pipeline: Annotated[list[str] | None, typer.Option(help="Only this pipeline; may be repeated.")] = None,
    write: Annotated[bool, typer.Option(help="Write the tables into docs/benchmarks.md.")] = False,
) -> None:
    """Rank with every system, and print what the rankings are worth."""
    began = time.perf_counter()
    os.environ["RAGWEAVE_CACHE"] = str(sets.BUILD / "cache")
    names = only or [*sets.HOPS, *sets.OTHERS]
    absent = sets.missing(names)
    if absent:
        print(f"not measured, since {sets.SHARED} does not have them: {', '.join(absent)}")
    names = [name for name in names if name not in absent]
    pipelines = pipeline or list(running.ENVIRONMENTS)
    left_out = running.prepare(pipelines)
    for name, why in left_out.items():
        print(f"{name} is left out: {why}")
    pipelines = [name for name in pipelines if name not in left_out]
    found = Found()
    for name in names:
        rank(name, pipelines, found)
    measured = found.measured
    parts = [table(name, systems) for name, systems in measured.items()]
    packages = ", ".join(f"{package} {version}" for package, version in sorted(found.versions.items()))
    of = len(names) * len(pipelines)
    took = f"This run took {time.perf_counter() - began:.0f} s: {found.known} of {of} results were kept"
    notes = [f"{packages}.", f"{took} from an earlier one with the same versions and data (ragweave's never are)."]
    if all(OURS in systems and len(systems) > 1 for systems in measured.values()):
        notes += [goal(measured), *below(measured, "recall@5")]
    tables.show(parts, notes)
    for problem in found.problems:
        tables.console.print(f"[red]error[/] {problem}")
    if write and not found.problems:
        tables.write("quality", parts, notes)
    raise typer.Exit(bool(found.problems))


if __name__ == "__main__":
    typer.run(main)
