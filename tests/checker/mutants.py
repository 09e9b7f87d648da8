"""Small mistakes, made at every place of a graph file: what people mistype, forget, leave over and mix up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tests.checker.spots import Spot, line_at, replaced, spots_of, without

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESOURCE_SETTINGS = ("retriever", "model", "prompt", "reranker")
REQUIRED = ("type", "retriever", "text", "me", "over", "as", "from", "routes", "to", "index")
SECTIONS = ("models", "retrievers", "rerankers", "embedders", "prompts")


@dataclass(frozen=True)
class Mutant:
    """A graph file with one mistake. A problem at one of `lines` is at the right place."""

    operator: str
    text: str
    lines: frozenset[int]
    sure: bool
    """True if it is wrong by the way it was made, whatever the graph."""
    what: str


@dataclass(frozen=True)
class Original:
    """A graph file to make mistakes in."""

    name: str
    text: str
    seed: int = 0

    @cached_property
    def spots(self) -> list[Spot]:
        """All of its places."""
        return spots_of(self.text)

    @cached_property
    def nodes(self) -> list[str]:
        """The names of its nodes."""
        return [spot.name for spot in self.spots if spot.way[0] == "nodes" and len(spot.way) == 2]

    @cached_property
    def words(self) -> set[str]:
        """Every word of the file: a misspelt one is none of them."""
        return set(WORD.findall(self.text))

    @cached_property
    def chains(self) -> list[tuple[Spot, list[list[str]]]]:
        """The arrow chains, each as groups of names."""
        found = []
        for spot in self.spots:
            if spot.way[0] == "edges" and len(spot.way) == 2 and spot.kind == "scalar":
                groups = [[word.strip() for word in part.split(",")] for part in spot.value.split("->")]
                found.append((spot, groups))
        return found

    def lines_of(self, text: str, *names: str) -> frozenset[int]:
        """The lines on which these nodes are declared, or stand in an edge or at the head of routes."""
        found = set()
        inside = False
        for number, line in enumerate(text.split("\n"), start=1):
            inside = line.startswith("edges:") or (inside and line[:1] in " #")
            declared = re.match(r"\s+([a-z0-9_]+):", line)
            if (not inside and declared and declared[1] in names) or (inside and set(WORD.findall(line)) & set(names)):
                found.add(number)
        return frozenset(found)


def misspelt(word: str, taken: set[str]) -> str:
    """A near miss that is no other word: two letters changed about, one left out, or one too many."""
    at = max(1, len(word) // 2)
    swapped = word[: at - 1] + word[at : at + 1] + word[at - 1 : at] + word[at + 1 :] if len(word) > 2 else word
    for candidate in (swapped, word[:at] + word[at + 1 :], word + word[-1], word + "x"):
        if candidate and candidate not in taken and candidate[0].isalpha():
            return candidate
    return word + "_x"


def _at(base: Original, operator: str, start: int, end: int, new: str, *, sure: bool) -> Mutant:
    text = replaced(base.text, start, end, new)
    what = f"{base.name}:{line_at(base.text, start)} {base.text[start:end]!r} -> {new!r}"
    return Mutant(operator, text, frozenset({line_at(base.text, start)}), sure, what)


def misspell_key(base: Original) -> Iterator[Mutant]:
    """State keys where the file spells them: inputs, outputs, state, renames, map.over."""
    for spot in base.spots:
        head, depth = spot.way[0], len(spot.way)
        if head in ("inputs", "state") and depth == 2:
            start, end = spot.key_start, spot.key_end
        elif (head == "outputs" and depth == 2) or (
            head == "nodes"
            and spot.kind == "scalar"
            and (spot.way[2:3] in (("reads",), ("writes",)) or spot.name == "over")
        ):
            start, end = spot.start + spot.quoted, spot.end - spot.quoted
        else:
            continue
        word = base.text[start:end]
        yield _at(base, "misspell a key", start, end, misspelt(word, base.words), sure=False)


QUOTED = r"""\\"[^"]*\\"|''[^']*''|'[^']*'|"[^"]*\""""
"""Texts in a condition, as they stand in a YAML scalar of any style."""


def misspell_in_when(base: Original) -> Iterator[Mutant]:
    """Keys and fields in conditions."""
    for spot in base.spots:
        if spot.name != "when" or spot.kind != "scalar":
            continue
        raw = base.text[spot.start : spot.end]
        quoted = int(raw[0] in "'\"")
        body = raw[1:-1] if quoted else raw
        inner = " " * quoted + re.sub(QUOTED, lambda match: " " * len(match[0]), body)
        for match in WORD.finditer(inner):
            function = inner[match.end() : match.end() + 1] == "("
            if not function and match[0] not in ("true", "false", "in"):
                start = spot.start + match.start()
                new = misspelt(match[0], base.words | {"passed", "missing"})
                yield _at(base, "misspell in when", start, start + len(match[0]), new, sure=True)


def misspell_node(base: Original) -> Iterator[Mutant]:
    """Node names in edges and on_error."""
    for spot in base.spots:
        chain = spot.way[0] == "edges" and len(spot.way) == 2 and spot.kind == "scalar"
        target = spot.way[0] == "edges" and ("to" in spot.way[2:] or spot.name == "from") and spot.kind == "scalar"
        if chain or target or spot.name == "on_error":
            for match in WORD.finditer(base.text, spot.start, spot.end):
                new = misspelt(match[0], base.words)
                yield _at(base, "misspell a node in an edge", match.start(), match.end(), new, sure=True)


def misspell_type(base: Original) -> Iterator[Mutant]:
    """Types of nodes, resources, inputs and state."""
    for spot in base.spots:
        typed = spot.name == "type" or (spot.way[0] in ("inputs", "state") and len(spot.way) == 2)
        if typed and spot.kind == "scalar" and spot.value:
            for match in list(WORD.finditer(base.text, spot.start, spot.end))[-1:]:
                new = misspelt(match[0], base.words | {"str", "int"})
                yield _at(base, "misspell a type", match.start(), match.end(), new, sure=True)


def misspell_resource(base: Original) -> Iterator[Mutant]:
    """Names of models, retrievers and prompts in nodes."""
    for spot in base.spots:
        if spot.way[0] == "nodes" and spot.name in RESOURCE_SETTINGS and spot.kind == "scalar":
            new = misspelt(spot.value, base.words | {"extractive", "auto"})
            yield _at(base, "misspell a resource", spot.start, spot.end, new, sure=True)


def misspell_setting(base: Original) -> Iterator[Mutant]:
    """Names of settings, policies and sections: every key of the language, and own names under reads and writes."""
    for spot in base.spots:
        if spot.key is None or (
            spot.way[0] in ("inputs", "state", "nodes", "overrides", *SECTIONS) and len(spot.way) == 2
        ):
            continue
        new = misspelt(spot.key, base.words | {"from", "to", "when"})
        free = spot.way[0] == "nodes" and len(spot.way) == 4 and spot.way[2] in ("text", "set", "fields")
        yield _at(base, "misspell a setting", spot.key_start, spot.key_end, new, sure=not free)


def drop_edge(base: Original) -> Iterator[Mutant]:
    """One edge of a chain, or one target of a route."""
    for spot, groups in base.chains:
        for link in range(len(groups) - 1):
            for source in groups[link]:
                for target in groups[link + 1]:
                    text = replaced(base.text, spot.start, spot.end, _without_link(spot, groups, link, source, target))
                    text = text.replace("  - \n", "")
                    lines = base.lines_of(text, source, target) - base.lines_of(text, "start", "end")
                    lines |= {line_at(base.text, spot.start), line_at(base.text, base.text.index("\nedges:") + 1)}
                    what = f"{base.name}: {source} -> {target}"
                    yield Mutant("drop an edge", text, frozenset(lines), False, what)
    for spot in base.spots:
        if spot.way[0] == "edges" and spot.way[-2:-1] == ("to",) and spot.siblings > 1:
            block = base.lines_of(base.text, spot.value) | _lines_of_block(base, spot.way[1])
            what = f"{base.name}: a route to {spot.value}"
            yield Mutant("drop an edge", without(base.text, spot), block, False, what)


def _without_link(spot: Spot, groups: list[list[str]], link: int, source: str, target: str) -> str:
    """The chain as several, without one edge; the other edges of the link are written out."""
    pieces = [groups[: link + 1]] if link else []
    for one in groups[link]:
        others = [other for other in groups[link + 1] if (one, other) != (source, target)]
        if others:
            pieces.append([[one], others])
    if link + 2 < len(groups):
        pieces.append(groups[link + 1 :])
    return "\n  - ".join(" -> ".join(", ".join(group) for group in piece) for piece in pieces)


def _lines_of_block(base: Original, item: str | int) -> set[int]:
    """The lines of one item of `edges`."""
    spot = next(spot for spot in base.spots if spot.way == ("edges", item))
    return set(range(line_at(base.text, spot.start), line_at(base.text, spot.end) + 1))


def drop_required(base: Original) -> Iterator[Mutant]:
    """A setting that must be there."""
    for spot in base.spots:
        alone = spot.siblings == 1
        if spot.key not in REQUIRED or alone or (spot.way[0] in ("inputs", "state") and spot.key != "type"):
            continue
        if spot.way[0] == "state" or "fallback" in spot.way or "race" in spot.way:
            continue
        lines = {line_at(base.text, spot.key_start)}
        if spot.way[0] == "edges":
            lines |= _lines_of_block(base, spot.way[1])
        else:
            parent = next(other for other in base.spots if other.way == spot.way[:-1])
            lines.add(line_at(base.text, parent.key_start))
            owner = next(other for other in base.spots if other.way == spot.way[:2])
            lines.add(line_at(base.text, owner.key_start))
        what = f"{base.name}: {spot.way}"
        yield Mutant("drop a required setting", without(base.text, spot), frozenset(lines), True, what)


def drop_last_route(base: Original) -> Iterator[Mutant]:
    """The last entry of a routes block."""
    for spot in base.spots:
        route = spot.way[0] == "edges" and spot.way[2:3] == ("routes",) and len(spot.way) == 4
        if route and spot.siblings > 1 and spot.index == spot.siblings - 1:
            lines = frozenset(_lines_of_block(base, spot.way[1]))
            yield Mutant("drop the last route", without(base.text, spot), lines, True, f"{base.name}: {spot.way}")


def drop_bound(base: Original) -> Iterator[Mutant]:
    """`max_iterations` of a route."""
    for spot in base.spots:
        if spot.key == "max_iterations":
            lines = frozenset(_lines_of_block(base, spot.way[1]))
            yield Mutant("drop max_iterations", without(base.text, spot), lines, True, f"{base.name}: {spot.way}")


def drop_merge(base: Original) -> Iterator[Mutant]:
    """`merge` of a state key; the problem is told at a reader (R12), or where the key is declared."""
    for spot in base.spots:
        if spot.way[0] == "state" and spot.key == "merge":
            declared = next(other for other in base.spots if other.way == spot.way[:2])
            key = str(spot.way[1])
            text = without(base.text, declared if spot.siblings == 1 else spot)
            if spot.siblings == 1 and declared.siblings == 1:
                section = next(other for other in base.spots if other.way == ("state",))
                text = without(base.text, section)
            readers = frozenset(
                number for number, line in enumerate(text.split("\n"), start=1) if _reads(base, line, key)
            )
            yield Mutant("drop a merge", text, readers, False, f"{base.name}: {spot.way}")


def _reads(base: Original, line: str, key: str) -> bool:
    """True if a line may read a key: an output, a rename, a probe, or a node of a type with such a parameter."""
    from tests.checker.kinds import FUNCTIONS

    if line.startswith("outputs") or re.search(rf"\b(reads|needs|likes|when|over)\b.*\b{key}\b", line):
        return bool(re.search(rf"\b{key}\b", line))
    typed = re.search(r"type: (\w+)", line)
    parameters = {function.__name__: function.__code__.co_varnames for function in FUNCTIONS}
    own = {"reranker": ("question", "documents"), "generator": ("question", "documents"), "retriever": ("question",)}
    return bool(typed and key in (*parameters.get(typed[1], ()), *own.get(typed[1], ())))


Operator = Callable[[Original], Iterator[Mutant]]
