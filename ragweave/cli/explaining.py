"""What each node of a run did, and how long it took: the table of `--explain`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

from ragweave.cli.terminal import cells, one_line, paint, width

if TYPE_CHECKING:
    from ragweave.orchestrator.running.events import Event
    from ragweave.orchestrator.values import Usage

_NOTE = 60


@dataclass(slots=True)
class _Call:
    """One visit of a node."""

    path: str
    depth: int
    began: float
    took: float | None = None
    items: int = 0
    notes: list[str] = field(default_factory=list)
    used: Usage | None = None


class Trace:
    """Collects the events of a run; `write` shows them as a table, in the order in which nodes started."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._began = time.perf_counter()
        self._took: float | None = None
        self._end = "it did not end"
        self._usage: Usage | None = None

    def see(self, event: Event) -> None:
        """Note an event of the run's stream, with the time at which it came."""
        now = time.perf_counter()
        kind = event.kind
        if kind.startswith("run_"):
            if kind != "run_started":
                self._took = now - self._began
                self._end = kind.removeprefix("run_")
                result = event.data.get("result")
                self._usage = result.usage if result is not None else None
            return
        if not event.node:  # of a graph as a whole
            return
        name = f"{event.frame}{event.node}#{event.visit}"
        call = self._calls.get(name)
        if call is None:
            if kind == "token":
                return
            call = self._calls[name] = _Call(name, event.frame.count("/"), now - self._began)
        if kind == "finished":
            call.took = now - self._began - call.began
        elif kind == "used":
            from ragweave.orchestrator.values import Usage

            used = Usage(**event.data)
            call.used = used if call.used is None else call.used + used
        elif kind == "item":
            call.items += 1
        elif kind == "skipped":
            call.notes.append("skipped")
        elif kind == "budget":
            call.notes.append(f"budget: {one_line(str(event.data.get('said', '')))}")
        elif kind in ("guarded", "blocked"):
            from ragweave.orchestrator.journals.timeline import verdict_line

            call.notes.append(f"guard: {one_line(verdict_line(event))}")
        elif kind in ("retry", "fallback", "reset", "item_failed", "cached", "abandoned"):
            said = event.data.get("error") or event.data.get("reason") or ""
            call.notes.append(f"{kind.replace('_', ' ')}{': ' + one_line(str(said)) if said else ''}")

    def write(self, stream: TextIO) -> None:
        """The table."""
        rows = [self._row(call) for call in self._calls.values()]
        rows.append(("in all", _seconds(self._took), _tokens(self._usage), self._end))
        heads = ("node", "time", "tokens", "")
        widths = [max(cells(row[at]) for row in (heads, *rows)) for at in range(3)]
        stream.write("\n")
        for at, row in enumerate((heads, *rows)):
            node, took, tokens, note = row
            line = f"{node:<{widths[0]}}  {took:>{widths[1]}}  {tokens:>{widths[2]}}"
            rest = max(width(stream) - cells(line) - 3, 20)
            line += f"  {note if len(note) <= rest else note[: rest - 1] + '…'}"
            stream.write(paint(line.rstrip(), "dim" if at == 0 else "bold" if at == len(rows) else "", stream) + "\n")
        stream.flush()

    def _row(self, call: _Call) -> tuple[str, str, str, str]:
        notes = [*([f"{call.items} items"] if call.items else []), *call.notes]
        took = "" if "skipped" in call.notes else _seconds(call.took)
        return "  " * call.depth + call.path.rpartition("/")[2], took, _tokens(call.used), "; ".join(notes)


def _seconds(took: float | None) -> str:
    if took is None:
        return "…"
    return f"{took * 1000:,.1f} ms" if took < 1 else f"{took:,.2f} s"


def _tokens(used: Usage | None) -> str:
    """Tokens, and where there is a price file, money."""
    if used is None or not used.calls:
        return ""
    tokens = f"{used.input_tokens:,} in, {used.output_tokens:,} out"
    if not used.currency:
        return tokens
    return f"{tokens}, {money(used)}"


def money(used: Usage) -> str:
    """What calls cost, such as `0.0031 USD`; if not all of it is known, from where on."""
    spent = f"{used.spent.quantize(Decimal('0.000001')).normalize():f} {used.currency}"
    return spent if used.cost is not None else f"more than {spent}"
