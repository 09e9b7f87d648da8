"""`ragweave nodes` and `ragweave explain`: what there is to write, and what the codes of problems mean."""

from __future__ import annotations

import itertools
import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ragweave.cli.graphs import load_plugins
from ragweave.cli.terminal import paint, say, width

if TYPE_CHECKING:
    from ragweave.orchestrator.language.catalogue import Setting, TypeEntry

_LAST = 28
"""Characters that the last column of a table has at least."""
_LOOK_ALIKES = str.maketrans("OIL", "011")


def list_types(name: str | None, plugins: Sequence[str], *, as_json: bool) -> int:
    """Show a table of types, or all about one of them. Raises PluginError with the nearest name for an unknown one."""
    from ragweave.orchestrator import registry
    from ragweave.orchestrator.language.catalogue import catalogue, describe

    load_plugins(plugins)
    wanted = name or "nodes"
    if wanted in registry.KINDS:
        entries = catalogue(wanted)
        if as_json:
            say(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))
        else:
            _write_table(wanted, entries)
        return 0
    found = [describe(kind, wanted) for kind in _kinds_of(wanted)]
    if as_json:
        data = [asdict(entry) for entry in found]
        say(json.dumps(data[0] if len(data) == 1 else data, indent=2, ensure_ascii=False))
    else:
        for entry in found:
            _write_entry(entry)
    return 0


def _kinds_of(name: str) -> list[str]:
    """The kinds that have a type of this name; for nodes and something else of one name, both."""
    from ragweave.orchestrator import registry
    from ragweave.orchestrator.errors import PluginError, did_you_mean

    kinds = [kind for kind in registry.KINDS if name in registry.names(kind)]
    if not kinds:
        known = [*registry.names("nodes"), *registry.KINDS]
        others = [other for kind in registry.KINDS for other in registry.names(kind)]
        near = did_you_mean(name, [*known, *others])
        raise PluginError(f"there is no type {name!r}{near if 'did you mean' in near else did_you_mean(name, known)}")
    return kinds


def _write_table(kind: str, entries: Sequence[TypeEntry]) -> None:
    from ragweave.orchestrator import registry

    rows = [(entry.name, f"cannot be loaded: {entry.fault}" if entry.fault else entry.summary) for entry in entries]
    _write_rows(rows)
    if not rows:
        say(f"there are no {kind} in this version")
    others = [other for other in registry.KINDS if other != kind and registry.names(other)]
    say()
    say(paint(f"All about one: ragweave nodes {entries[0].name if entries else 'TYPE'}", "dim"))
    for line in textwrap.wrap(f"Other kinds: ragweave nodes {', '.join(others)}", 120, subsequent_indent="  "):
        say(paint(line, "dim"))


def _write_entry(entry: TypeEntry) -> None:
    say(f"{paint(entry.name, 'bold')}  {paint(entry.kind, 'dim')}")
    if entry.fault:
        say(f"  cannot be loaded: {entry.fault}")
        return
    _write_text(entry.summary)
    for paragraph in entry.text.split("\n\n"):
        if paragraph.strip():
            say()
            _write_text(paragraph)
    _write_settings(entry.settings)
    if entry.kind == "nodes":
        _write_state(entry)
        from ragweave.orchestrator.language.policies import NodePolicies

        _heading("Policies, as on every node")
        _write_text(", ".join(NodePolicies.model_fields))
    if entry.example:
        _heading("Example")
        say(textwrap.indent(entry.example.strip("\n"), "  "))


def _write_settings(settings: Sequence[Setting]) -> None:
    if not settings:
        return
    _heading("Settings")
    rows = []
    for setting in settings:
        default = "required" if setting.required else f"default {setting.default}" if setting.default else "optional"
        rows.append((setting.name, setting.kind, default, setting.description))
    _write_rows(rows, indent="  ")


def _write_state(entry: TypeEntry) -> None:
    if entry.by_settings:
        _heading("Reads and writes")
        known = "; those of the example:" if entry.reads or entry.writes else "."
        _write_text(f"What its settings say{known}")
    for title, keys in (("Reads", entry.reads), ("Writes", entry.writes)):
        if keys:
            _heading(title)
            _write_rows(
                [
                    (key, kind.rstrip("?"), "where it is there" if kind.endswith("?") else "")
                    for key, kind in keys.items()
                ],
                indent="  ",
            )
    if entry.effects != "none":
        _heading("Effects")
        _write_text(entry.effects + (", idempotent" if entry.idempotent else ""))


def _heading(text: str) -> None:
    say()
    say(paint(text, "bold"))


def _write_text(text: str) -> None:
    for line in textwrap.wrap(" ".join(text.split()), min(width(sys.stdout), 100) - 2):
        say(f"  {line}")


def _write_rows(rows: Iterable[Sequence[str]], indent: str = "") -> None:
    """Columns; what is too long in one, but for the first, goes on below itself."""
    rows = list(rows)
    if not rows:
        return
    widths = _widths(rows, width(sys.stdout) - len(indent))
    for row in rows:
        wrapped = [
            textwrap.wrap(text, size, break_long_words=False, break_on_hyphens=False)
            for text, size in zip(row[:-1], widths[:-1], strict=True)
        ]
        wrapped += [textwrap.wrap(row[-1], widths[-1])]
        for number, parts in enumerate(itertools.zip_longest(*wrapped, fillvalue="")):
            cells = [text.ljust(size) for text, size in zip(parts, widths, strict=True)]
            if not number:
                cells[0] = paint(row[0], "cyan") + cells[0][len(row[0]) :]
            say((indent + "  ".join(cells)).rstrip())


def _widths(rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is; the widest but the first give way, never within a word, until the last has room."""
    columns = [[row[column] for row in rows] for column in range(len(rows[0]) - 1)]
    widths = [max(map(len, column)) for column in columns]
    words = [max(len(word) for text in column for word in (text.split() or [""])) for column in columns]
    gaps = 2 * len(widths)
    while sum(widths) + gaps + _LAST > room:
        slack = [number for number in range(1, len(widths)) if widths[number] > max(words[number], 8)]
        if not slack:
            break
        widths[max(slack, key=widths.__getitem__)] -= 1
    return [*widths, max(room - sum(widths) - gaps, _LAST)]


def explain_code(code: str | None) -> int:
    """Say what a problem's code means, or list all codes. Raises RagweaveError for an unknown one."""
    from ragweave.orchestrator.codes import codes, explain
    from ragweave.orchestrator.errors import RagweaveError, did_you_mean

    known = codes()
    if code is None:
        _write_rows([(entry.code, entry.title) for entry in known.values()])
        return 0
    try:
        text = str(explain(code))
    except RagweaveError:
        wanted = code.strip().upper()
        number = wanted if wanted.startswith("RW") else f"RW{wanted}"
        looks_like = f"RW{number[2:].translate(_LOOK_ALIKES)}"
        near = did_you_mean(looks_like, [looks_like] if looks_like in known else known)
        raise RagweaveError(
            f"there is no problem code {code!r}"
            + (near if "did you mean" in near else "; `ragweave explain` lists them")
        ) from None
    first, _, rest = text.partition("\n")
    say(paint(first, "bold"))
    say(rest)
    return 0
