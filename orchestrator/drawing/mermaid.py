"""A graph as a Mermaid flowchart, which GitHub, GitLab and many editors show as a picture."""

from __future__ import annotations

from ragweave.orchestrator.drawing.picture import Arrow, Box, Picture

_RESERVED = frozenset(
    (
        "accdescr", "acctitle", "call", "class", "classdef", "click", "default", "direction", "end", "flowchart",
        "graph", "href", "interpolate", "linkstyle", "style", "subgraph",
    )
)  # fmt: skip
"""Words that Mermaid does not take for the name of a node."""
_ENTITIES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}


def draw_mermaid(picture: Picture) -> str:
    """The flowchart: boxes with their types, routes with their conditions, `on_error` dotted."""
    names = _identifiers(picture)
    lines = ["flowchart TD"]
    lines += [f"    {name}{_shape(box)}" for name, box in zip(names, picture.boxes, strict=True)]
    lines += [f"    {names[arrow.source]} {_link(arrow)} {names[arrow.target]}" for arrow in picture.arrows]
    return "\n".join(lines) + "\n"


def _identifiers(picture: Picture) -> list[str]:
    taken = {box.name for box in picture.boxes}
    names = []
    for box in picture.boxes:
        name = box.name
        while name in _RESERVED or (name != box.name and name in taken):
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def _shape(box: Box) -> str:
    if box.is_mark:
        return f'(["{_text(box.name)}"])'
    return f'["{_text(box.name)}<br/><small>{_text(box.caption)}</small>"]'


def _link(arrow: Arrow) -> str:
    line = "-.->" if arrow.kind == "error" else "-->"
    return f'{line}|"{_text(arrow.label)}"|' if arrow.label else line


def _text(text: str) -> str:
    """A text as it may stand between quotes."""
    return "".join(_ENTITIES.get(letter, letter) for letter in text)
