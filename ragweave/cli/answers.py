"""What a run gives, as text with its sources or as JSON."""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragweave.cli.files import near
from ragweave.cli.live import wrap
from ragweave.cli.terminal import clean, is_terminal, note, one_line, paint, say, width

if TYPE_CHECKING:
    from ragweave.orchestrator.graph import Result
    from ragweave.orchestrator.values import Answer, Citation, Usage

_WIDEST = 100


def as_data(result: Result) -> dict[str, Any]:
    """A result as data for `json_text`. Raises ValueError if an output holds itself."""
    from ragweave.orchestrator.result import plain

    try:
        outputs = plain(result.outputs)
    except RecursionError:
        raise ValueError("outputs is nested too deeply for JSON") from None
    return {
        "status": result.status,
        "outputs": outputs,
        "run_id": result.run_id,
        "thread_id": result.thread_id,
        "usage": _used(result.usage),
        **({"exceeded": [one._asdict() for one in result.exceeded]} if result.exceeded else {}),
    }


def _used(usage: Usage) -> dict[str, Any]:
    """What a run has used; money only where there is a price file, and `cost` null where it is not all known."""
    counts = {"calls": usage.calls, "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    if usage.cached_tokens:
        counts["cached_tokens"] = usage.cached_tokens
    if not usage.currency:
        return counts
    return {**counts, "cost": float(usage.cost) if usage.cost is not None else None, "currency": usage.currency}


def json_text(data: Mapping[str, Any], indent: int | None = None) -> str:
    """Data as JSON that every program reads. Raises ValueError that names key and value of what is none, as NaN."""
    try:
        return json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deeply for JSON") from None
    except (TypeError, ValueError) as error:
        place, value = next(_faults(data, ""), ("", error))
        raise ValueError(f"{place} is {reprlib.repr(value)}, which JSON has no form for") from None


def _faults(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What inside a value has no form in JSON, with its place, as `outputs.scores[2]`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _faults(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            yield from _faults(item, f"{place}[{at}]")
    else:
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            yield place, value


def write_result(result: Result, folders: Sequence[Path], *, as_json: bool, already: bool) -> None:
    """Write what a run gave for programs, or for people as `write_outputs` does."""
    if as_json:
        from ragweave.orchestrator.errors import RagweaveError

        try:
            say(json_text(as_data(result), indent=2))
        except ValueError as error:
            raise RagweaveError(str(error), hint="leave --format json out to see it as text") from None
    else:
        write_outputs(result.outputs, folders, already=already)
        write_exceeded(result)


def write_exceeded(result: Result) -> None:
    """Say beside the outputs what budgets have changed."""
    from ragweave.orchestrator.result import exceeded_lines

    for line in exceeded_lines(result.exceeded):
        note(f"budget: {one_line(line)}")


def write_outputs(outputs: Mapping[str, Any], folders: Sequence[Path], *, already: bool) -> None:
    """Write the answer, unless it is to be read already, and where it stands in the sources; then what else there is.

    `folders` are those that the sources were read from.
    """
    from ragweave.orchestrator.result import answer_in, main_text

    answer, main = answer_in(outputs), main_text(outputs)
    if main and not already:
        say(clean(main))
    if answer is not None:
        _write_sources(answer, folders)
    elif main:
        return
    gap = answer is not None
    for name, value in outputs.items():
        if value is not answer:
            for place, piece in _pieces(name, value):
                if gap:
                    say()
                gap = True
                _write_piece(place, piece, folders)


def _pieces(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is written by itself: `answers[0]`, `answers[1]` of a list of answers, a list of words as a whole."""
    from ragweave.orchestrator.result import holds_answers
    from ragweave.orchestrator.values import Answer

    if isinstance(value, Answer) or not holds_answers(value):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _pieces(f"{place}.{key}", item)
    else:
        for index, item in enumerate(value):
            yield from _pieces(f"{place}[{index}]", item)


def _write_piece(place: str, piece: Any, folders: Sequence[Path]) -> None:
    from ragweave.orchestrator.result import shown
    from ragweave.orchestrator.values import Answer

    if not isinstance(piece, Answer):
        say(f"{one_line(place)}: {clean(shown(piece))}")
        return
    say(paint(one_line(place), "bold"))
    say(clean(piece.text.strip()))
    _write_sources(piece, folders)


def _write_sources(answer: Answer, folders: Sequence[Path]) -> None:
    if answer.confidence == 0:
        say()
        say(paint("(no answer: the sources do not say)", "yellow"))
    elif not answer.text.strip():
        say()
        say(paint("(an empty answer)", "yellow"))
    elif answer.citations:
        say()
        say(paint("Sources", "bold"))
        for citation in answer.citations:
            for line in _source(citation, folders):
                say(line)


def _source(citation: Citation, folders: Iterable[Path]) -> list[str]:
    """Number, title and place, then the words."""
    mark = f"[{citation.number}]"
    place = one_line(_place(citation, folders))
    title = one_line(citation.title)
    head = f"{title}, {paint(place, 'cyan')}" if title and place else title or place or citation.document
    lines = [f"  {paint(mark, 'bold')} {head}"]
    if citation.quote:
        quote = f"“{one_line(citation.quote)}”"
        indent = " " * (len(mark) + 3)
        room = min(width(sys.stdout) - 1, _WIDEST) - len(indent)
        lines += [indent + line for line in (wrap(quote, room) if is_terminal(sys.stdout) else [quote])]
    return lines


def _place(citation: Citation, folders: Iterable[Path]) -> str:
    """`file:line` or `file, page 4`, as a path from here where the file is found."""
    from ragweave.retrievers.loading import folder_of

    source = citation.source
    for folder in map(folder_of, folders):
        file = folder / source if folder.is_dir() else folder
        if source and file.is_file():
            source = near(file)
            break
    if source and citation.line is not None:
        return f"{source}:{citation.line}"
    return ", ".join(part for part in (source, citation.place) if part)
