"""The problems of one graph file while they are found: at which position, with which "did you mean" and repair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ragweave.orchestrator.errors import Fix, Problem, closest, did_you_mean
from ragweave.orchestrator.language.spec import Mark, Place, Spec
from ragweave.orchestrator.language.yamltext import lines_of

Severity = Literal["error", "warning"]


class Report:
    """The problems found so far, and how to say one at a place of the file."""

    def __init__(self, spec: Spec, problems: Iterable[Problem] = ()) -> None:
        self.spec = spec
        self.problems = list(problems)
        self.faulty: set[tuple[str, str]] = set()
        """Resources, by kind and name, that were said to be wrong: what follows from that is not said."""
        self._lines: list[str] | None = None

    def key(self, place: Place, code: str, message: str, *, severity: Severity = "error") -> None:
        """A problem at a key or list item."""
        self.at(self.spec.mark(*place), code, message, severity=severity)

    def value(self, place: Place, code: str, message: str, *, severity: Severity = "error") -> None:
        """A problem at a value."""
        self.at(self.spec.value_mark(*place), code, message, severity=severity)

    def at(
        self,
        mark: Mark,
        code: str,
        message: str,
        *,
        old: str = "",
        new: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """A problem at a position; with `new`, what `old` there should become."""
        fix = Fix(mark.line, mark.column, old, new) if new is not None and mark.line else None
        self.problems.append(Problem(code, message, self.spec.file, mark.line, mark.column, severity, fix))

    def unknown(self, mark: Mark, code: str, message: str, name: str, candidates: Iterable[str]) -> str | None:
        """A name that is none of the candidates: the message gets the nearest. Gives the one that was surely meant."""
        known = list(candidates)
        new = surely(name, known)
        self.at(mark, code, message + did_you_mean(name, known), old=name, new=new)
        return new

    def unknown_key(self, place: Place, code: str, message: str, candidates: Iterable[str]) -> str | None:
        """The same for a key of a map: one that stands there already cannot be meant."""
        known, name = list(candidates), str(place[-1])
        free = [other for other in known if (*place[:-1], other) not in self.spec.marks]
        near = closest(name, known)
        if near is not None and near not in free and closest(name, free) is None:
            self.key(place, code, f"{message}; did you mean {near!r}, which is given already?")
            return None
        return self.unknown(self.spec.mark(*place), code, message, name, free)

    def known_keys(
        self, place: Place, data: Mapping[str, Any], allowed: Sequence[str], needed: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The keys of a map that may stand there. Others are problems; the surely misspelt count as what was meant, and
        so do those that are merely near a `needed` one, which would otherwise be said to be missing as well."""
        found = {}
        before = f"{path(place)}: " if place else ""
        for key, value in data.items():
            if key in allowed:
                found[key] = value
                continue
            word, _, rest = str(key).partition(" ")
            if value is None and rest.strip() and word in allowed and word not in data:
                found[word] = self.without_colon((*place, str(key)), word, rest, before)
                continue
            meant = self.unknown_key((*place, str(key)), "RW104", f"{before}unknown key {key!r}", allowed)
            if meant is None:
                meant = next((name for name in needed if closest(str(key), allowed) == name), None)
            if meant is not None and meant not in data:
                found[meant] = value
                self.moved((*place, str(key)), (*place, meant), value)
        return found

    def without_colon(self, place: Place, word: str, rest: str, before: str) -> str | int:
        """A key and its value with no colon between them, which YAML takes for one long key. Gives the value."""
        mark, value = self.spec.mark(*place), rest.lstrip()
        self.at(
            mark, "RW104", f"{before}a ':' is missing behind {word!r}", old=f"{word} {rest}", new=f"{word}: {value}"
        )
        ahead = len(word) + 1 + len(rest) - len(value)
        at = Mark(mark.line, mark.column + ahead) if mark.line else mark
        self.spec.marks[(*place[:-1], word)], self.spec.value_marks[(*place[:-1], word)] = mark, at
        return int(value) if value.isdecimal() else value

    def moved(self, old: Place, new: Place, value: Any) -> None:
        """What stands at `old` is found at `new` as well."""
        for marks in (self.spec.marks, self.spec.value_marks):
            if old in marks:
                marks[new] = marks[old]
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            self.moved((*old, key), (*new, key), item)

    def wrong_kind(self, place: Place, expected: str, value: Any, hint: str = "", code: str = "RW105") -> None:
        """A value that is not what belongs here."""
        said = f"{path(place) or 'the file'}: expected {expected}, found {shown(value)}"
        self.value(place, code, said + (f"; {hint}" if hint else ""))

    def within(self, mark: Mark, text: str, offset: int) -> Mark:
        """Where character `offset` of a scalar stands that starts at `mark`; `mark` itself where that is unclear."""
        if not mark.line:
            return mark
        line = self.line(mark.line)
        start = mark.column - 1
        if line[start : start + 1] in ("'", '"'):
            start += 1
        return Mark(mark.line, start + offset + 1) if line.startswith(text, start) else mark

    def line(self, number: int) -> str:
        """A line of the file, counted from 1; empty if there is none."""
        if self._lines is None:
            self._lines = lines_of(self.spec.text)
        return self._lines[number - 1] if 1 <= number <= len(self._lines) else ""

    def character(self, mark: Mark) -> str:
        """What stands at a position of the file; empty at the end of a line."""
        return self.line(mark.line)[mark.column - 1 : mark.column]

    def in_brackets(self, place: Place) -> bool:
        """True if a value stands between brackets or braces, where `[`, `{` and `,` mean something to YAML."""
        around = (self.spec.value_marks.get(place[:depth]) for depth in range(len(place)))
        return any(mark is not None and self.character(mark) in ("[", "{") and mark.line for mark in around)

    def sorted(self) -> list[Problem]:
        """The problems in the order of the file, each once; then those of other files."""
        unique, file = dict.fromkeys(self.problems), self.spec.file
        return sorted(
            unique,
            key=lambda one: ("" if one.file == file else one.file, one.line, one.column),
        )


def surely(name: str, candidates: Sequence[str]) -> str | None:
    """The candidate that was meant beyond doubt: near, and clearly nearer than any other."""
    best = closest(name, candidates)
    if best is None:
        return None
    if best.lower() == name.lower():
        return best
    ratio = _ratio(name, best)
    rest = max((_ratio(name, other) for other in candidates if other != best), default=0.0)
    return best if ratio >= 0.75 and ratio - rest > 0.05 else None


def path(place: Place) -> str:
    """A place in words: `nodes.answer.top_k`, `edges[3].routes[0]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def shown(value: Any) -> str:
    """A value as YAML has it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a map" if value else "an empty map"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    import json  # only a message that shows a number needs it

    text = json.dumps(value, ensure_ascii=False) if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:56]}…{text[-1]}"


def _ratio(one: str, other: str) -> float:
    from difflib import SequenceMatcher  # only what is misspelt needs it

    return SequenceMatcher(None, one.lower(), other.lower()).ratio()
