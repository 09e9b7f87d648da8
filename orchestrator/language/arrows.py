"""Arrow chains: `a -> b -> c`, `a -> b, c`, `b, c -> d`; each name with its offset in the text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"\s*(?:(?P<arrow>[-=~]*>+|[-=]{2,}|→|⇒|<[-=]+>?)|(?P<comma>,)|(?P<name>(?:(?![-=]+>|--|==|→|⇒|<[-=])[^\s,>])+))"
)


class Name(NamedTuple):
    """A node's name in a chain; `offset` counts characters from the start of the text."""

    text: str
    offset: int


class Chain(NamedTuple):
    """The groups of names between the arrows: each name of one group is joined with each of the next."""

    groups: tuple[tuple[Name, ...], ...]

    def pairs(self) -> Iterable[tuple[Name, Name]]:
        """Every edge of the chain, in the order in which it is written."""
        for sources, targets in zip(self.groups, self.groups[1:], strict=False):
            for source in sources:
                for target in targets:
                    yield source, target

    def __str__(self) -> str:
        return " -> ".join(", ".join(name.text for name in group) for group in self.groups)


class ArrowSyntax(ValueError):
    """A chain that cannot be read. `offset` is where; `old` and `new` are a sure repair, if there is one."""

    def __init__(self, message: str, offset: int, *, old: str = "", new: str = "") -> None:
        super().__init__(message)
        self.message, self.offset, self.old, self.new = message, offset, old, new


def parse_chain(text: str) -> Chain:
    """The chain that a text means. Raises ArrowSyntax at the first thing that is wrong."""
    groups: list[tuple[Name, ...]] = []
    group: list[Name] = []
    wanted = True  # a name is due
    offset = 0
    while match := _TOKEN.match(text, offset):
        kind = match.lastgroup or ""
        token, start = match[kind], match.start(kind)
        offset = match.end()
        if kind == "name":
            if not wanted:
                raise ArrowSyntax(f"between {group[-1].text!r} and {token!r} an '->' or a ',' is missing", start)
            group.append(Name(token, start))
            wanted = False
            continue
        if kind == "arrow" and token != "->":
            new = "" if token.startswith("<") else "->"
            raise ArrowSyntax(f"an edge is written '->', not {token!r}", start, old=token, new=new)
        if wanted:
            raise ArrowSyntax(_missing(token, groups, group), start)
        wanted = True
        if kind == "arrow":
            groups.append(tuple(group))
            group = []
    if text[offset:].strip():
        raise ArrowSyntax(f"{text[offset:].strip()[0]!r} cannot stand in an edge", offset + _blank(text[offset:]))
    return _finish(text, groups, group)


def _finish(text: str, groups: list[tuple[Name, ...]], group: Sequence[Name]) -> Chain:
    end = len(text.rstrip())
    if not group:
        if not groups:
            raise ArrowSyntax("an edge is missing here, such as start -> answer", 0)
        last = groups[-1][-1].text
        raise ArrowSyntax(f"after '{last} ->' a node is missing; the last arrow often goes to end", end)
    if text[:end].endswith(","):
        raise ArrowSyntax(f"after {group[-1].text + ','!r} a node is missing", end - 1)
    groups.append(tuple(group))
    if len(groups) == 1:
        name = groups[0][0].text
        raise ArrowSyntax(f"an edge needs an arrow, such as {name} -> end", groups[0][0].offset)
    return Chain(tuple(groups))


def _missing(token: str, groups: Sequence[Sequence[Name]], group: Sequence[Name]) -> str:
    if not groups and not group:
        return f"before the first {token!r} a node is missing" + ("; the first is often start" if token == "->" else "")
    return f"before this {token!r} a node is missing"


def _blank(text: str) -> int:
    return len(text) - len(text.lstrip())
