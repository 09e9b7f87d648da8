"""`ragweave tune`: the settings of a retriever that rank best on one's own questions, and whether that is no chance."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ragweave.cli.files import write_whole
from ragweave.cli.graphs import check_file
from ragweave.cli.indexing import progress_bar
from ragweave.cli.settings import changed
from ragweave.cli.terminal import note, say

if TYPE_CHECKING:
    from ragweave.orchestrator.language.spec import Spec
    from ragweave.retrievers.indexes.hybrid import Hybrid
    from ragweave.retrievers.indexes.searching import Ways
    from ragweave.retrievers.ranking.tuning import Choice

_LEAST = 10
_TUNED = ("fusion", "weight", "boosts", "links", "feedback")


class Labelled(NamedTuple):
    """A question, and the sources that answer it."""

    question: str
    sources: frozenset[str]


class Tuned(NamedTuple):
    """What came of it: results in nDCG@10 and recall@5, for each question."""

    name: str
    now: Ways
    chosen: Ways
    choice: Choice
    means: dict[str, tuple[float, float]]
    """nDCG@10 and recall@5 of `now`, of `chosen`, and held out."""


def tune(graph: Path, questions: Path, name: str | None, plugins: Sequence[str], *, write: bool, as_json: bool) -> int:
    """Try settings of a graph's retriever on questions, say what they are worth and, if told to, write them down."""
    from ragweave.orchestrator.errors import GraphError
    from ragweave.orchestrator.language.environment import read_dotenv
    from ragweave.orchestrator.resources import Resources
    from ragweave.orchestrator.running.bridge import wait_for

    checked = check_file(graph, plugins)
    if not checked.ok:
        raise GraphError(checked.problems)
    spec = checked.spec
    name = _named(spec, graph, name)
    environ = {**read_dotenv(spec.folder), **os.environ}
    resources = Resources(spec.resources.values(), folder=spec.folder, environ=environ, notice=note)
    try:
        retriever: Hybrid = resources.get("retrievers", name)
        with progress_bar() as progress:
            found = _tuned(name, retriever, list(_labelled(questions, retriever)), progress)
    finally:
        wait_for(resources.close())
    settings = _difference(found.now, found.chosen)
    is_written = write and bool(settings) and found.choice.gain.is_real and _write(graph, name, settings)
    if as_json:
        say(json.dumps(_for_programs(found, settings, is_written), indent=1))
    else:
        for line in _report(found, settings):
            say(line)
        for line in _ending(graph, name, settings, found, write=write, is_written=is_written):
            say(line)
    return 0


def grid(now: Ways, *, has_vectors: bool) -> list[Ways]:
    """The ways that are tried: the present one first, each once."""
    weights = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8) if has_vectors else (now.weight,)
    found = [now]
    for weight in weights:
        for boosts in (0.0, 0.2, 0.35, 0.5):
            found += [now._replace(fusion="auto", weight=weight, boosts=boosts, links=links) for links in (True, False)]
        if has_vectors:
            found.append(now._replace(fusion="auto", weight=weight, feedback=0.2))
    if has_vectors:
        for links in (True, False):
            found += [now._replace(fusion="rrf", weight=0.5, boosts=boosts, links=links) for boosts in (0.0, 0.35)]
    return list(dict.fromkeys(found))


def _named(spec: Spec, graph: Path, name: str | None) -> str:
    """The retriever that is meant. Raises InputError."""
    from ragweave.orchestrator import registry
    from ragweave.orchestrator.errors import InputError, did_you_mean
    from ragweave.retrievers.indexes.hybrid import Hybrid

    there = []
    for (kind, called), declared in spec.resources.items():
        made = (declared.implementation or registry.find(kind, declared.type)) if kind == "retrievers" else None
        if isinstance(made, Hybrid) or (isinstance(made, type) and issubclass(made, Hybrid)):
            there.append(called)
    if name is not None and name not in there:
        raise InputError(f"{str(graph)!r} has no retriever {name!r} of type hybrid{did_you_mean(name, there)}")
    if not there:
        raise InputError(f"{str(graph)!r} has no retriever of type hybrid, which is what can be tuned")
    if name is None and len(there) > 1:
        raise InputError(f"{str(graph)!r} has {len(there)} retrievers", hint=f"--retriever {' or '.join(there)}")
    return name or there[0]


def _labelled(questions: Path, retriever: Hybrid) -> Iterator[Labelled]:
    """The questions of a JSONL file. Raises InputError with the line that is wrong."""
    from ragweave.orchestrator.errors import InputError

    try:
        lines = questions.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(questions)!r} cannot be read: {error}") from None
    count = 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            count += 1
            yield _row(f"{questions}:{number}", line, retriever)
    if count < _LEAST:
        raise InputError(
            f"{str(questions)!r} has {count} questions, which say nothing for sure",
            hint=f"{_LEAST} are the least, 50 or more tell small gains from chance",
        )


def _row(place: str, line: str, retriever: Hybrid) -> Labelled:
    from ragweave.orchestrator.errors import InputError

    shape = '{"question": "How long …?", "sources": ["bread/zopf.md"]}'
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place}: no JSON: {error}", hint=f"a line is {shape}") from None
    question, sources = (row.get("question"), row.get("sources")) if isinstance(row, dict) else (None, None)
    given = sources if isinstance(sources, list) else []
    names = [one for one in given if isinstance(one, str)]
    if not isinstance(question, str) or not question.strip() or not names or len(names) < len(given):
        raise InputError(f"{place}: no question with its sources", hint=f"a line is {shape}")
    known = {source: retriever.source_named(source) for source in names}
    missing = [source for source, found in known.items() if found is None]
    if missing:
        raise InputError(
            f"{place}: the index has no source {missing[0]!r}",
            hint="sources are paths in the folder of documents, as answers show them",
        )
    return Labelled(question, frozenset(found for found in known.values() if found is not None))


def _tuned(name: str, retriever: Hybrid, labelled: Sequence[Labelled], progress: Callable[[Any], None] | None) -> Tuned:
    import numpy as np

    from ragweave.retrievers.indexes.indexing import Progress
    from ragweave.retrievers.ranking.tuning import choose, judged

    ways = grid(retriever.ways, has_vectors=retriever.searches_by_meaning)
    table = np.zeros((2, len(ways), len(labelled)), np.float32)
    for number, one in enumerate(labelled):
        for way, sources in enumerate(retriever.tried(one.question, ways)):
            table[:, way, number] = judged(sources, one.sources)
        if progress is not None:
            progress(Progress("try", number + 1, len(labelled)))
    choice = choose(table[0], 0)
    held_out = choose(table[0], 0, results=table[1]).held_out
    means = {
        "now": (float(table[0, 0].mean()), float(table[1, 0].mean())),
        "chosen": (float(table[0, choice.best].mean()), float(table[1, choice.best].mean())),
        "held out": (float(choice.held_out.mean()), float(held_out.mean())),
    }
    return Tuned(name, ways[0], ways[choice.best], choice, means)


def _difference(now: Ways, chosen: Ways) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in _TUNED if getattr(chosen, name) != getattr(now, name)}


def _report(found: Tuned, settings: dict[str, Any]) -> Iterator[str]:
    count = len(found.choice.held_out)
    yield f"{found.name}: {count} questions"
    yield f"  {'':10}{'now':>8}{'chosen':>8}{'held out':>10}"
    for place, metric in enumerate(("nDCG@10", "recall@5")):
        now, chosen, held_out = (found.means[column][place] for column in ("now", "chosen", "held out"))
        yield f"  {metric:10}{now:8.3f}{chosen:8.3f}{held_out:10.3f}"
    gain = found.choice.gain
    yield (
        f"  gain on questions that had no part in the choice: {100 * gain.mean:+.1f} points of nDCG@10 "
        f"(95 %: {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    )
    yield "  the gain is real" if gain.is_real else "  the gain may be chance"
    if settings:
        before = ", ".join(f"{name}: {_shown(getattr(found.now, name))}" for name in settings)
        yield f"  best on all questions: {_line(settings)}  (now {before})"
    else:
        yield "  nothing is better than the settings there are"


def _ending(
    graph: Path, name: str, settings: dict[str, Any], found: Tuned, *, write: bool, is_written: bool
) -> Iterator[str]:
    if not settings:
        return
    if is_written:
        yield f"{graph}: retrievers.{name} has {_line(settings)}"
    elif write and not found.choice.gain.is_real:
        yield f"{graph}: left as it is"
    elif write:
        yield f"{graph}: it could not be changed for sure; write this under retrievers.{name}: {_line(settings)}"
    elif found.choice.gain.is_real:
        yield f"--write puts it into {graph}"


def _write(graph: Path, name: str, settings: dict[str, Any]) -> bool:
    text = graph.read_bytes().decode("utf-8")
    edited = changed(text, ("retrievers", name), settings)
    if edited is None:
        return False
    write_whole(graph, edited.encode("utf-8"))
    return True


def _for_programs(found: Tuned, settings: dict[str, Any], is_written: bool) -> dict[str, Any]:
    gain = found.choice.gain
    return {
        "retriever": found.name,
        "questions": len(found.choice.held_out),
        **{
            column.replace(" ", "_"): {"ndcg@10": round(ndcg, 4), "recall@5": round(recall, 4)}
            for column, (ndcg, recall) in found.means.items()
        },
        "gain": {"mean": gain.mean, "low": gain.low, "high": gain.high, "real": gain.is_real},
        "settings": settings,
        "written": is_written,
    }


def _line(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {_shown(value)}" for name, value in settings.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
