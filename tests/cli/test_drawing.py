"""Pictures of graphs: readable whatever the graph, and true."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings

from ragweave.orchestrator.drawing import draw
from ragweave.orchestrator.drawing import svg as drawing_svg
from ragweave.orchestrator.drawing import text as drawing_text
from ragweave.orchestrator.drawing.mermaid import draw_mermaid
from ragweave.orchestrator.drawing.picture import Arrow, Box, Picture, lines_of
from ragweave.orchestrator.drawing.svg import draw_svg
from ragweave.orchestrator.drawing.text import draw_text
from ragweave.orchestrator.graph import Graph
from tests.cli.pictures import faults, pictures

SVG = "{http://www.w3.org/2000/svg}"
AGENT = """
schema: ragweave/v1
name: agent
inputs: {question: str}
outputs: [answer]
nodes:
  think: {type: reply, text: "{question}", on_error: sorry}
  act: {type: reply, text: Acting.}
  sorry: {type: reply, text: Sorry.}
edges:
  - start -> think
  - from: think
    routes:
      - {when: size(question) > 3, to: act}
      - {to: end}
  - from: act
    routes:
      - {to: think, max_iterations: 2}
      - {to: end}
  - sorry -> end
"""
TEXT = """\
                              ╭───────╮
                              │ start │
                              ╰───┬───╯
                                  │
                                  │  ╭┄┄┄┄┄┄┄┄┄╮
                                  ▼  ▼         ┆
                          ┌───────────────┐    ┆
                          │ think: reply  │    ┆
                          └─┬──┬──┬───────┘    ┆
        ╭┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄╯  │  │            ┆
        ┆          ╭───────────╯  │            ┆
    on error     else    size(question) > 3    ┆
        ┆          │              │            ┆
        ▼          │              ▼            ┆
┌───────────────┐  │       ┌─────────────┐     ┆
│ sorry: reply  │  │       │ act: reply  │   max 2
└───────┬───────┘  │       └──────┬──┬───┘     ┆
        │          │              │  ╰┄┄┄┄┄┄┄┄┄╯
        │          │            else
        │          ╰───────────╮  │
        ╰───────────────────╮  │  │
                            ▼  ▼  ▼
                          ╭───────────────╮
                          │      end      │
                          ╰───────────────╯
"""
MERMAID = """\
flowchart TD
    start(["start"])
    end_(["end"])
    think["think<br/><small>reply</small>"]
    act["act<br/><small>reply</small>"]
    sorry["sorry<br/><small>reply</small>"]
    start --> think
    think -->|"size(question) #gt; 3"| act
    think -->|"else"| end_
    act -->|"max 2"| think
    act -->|"else"| end_
    sorry --> end_
    think -.->|"on error"| sorry
"""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(picture=pictures())
def test_nothing_lies_on_anything_else(picture: Picture) -> None:
    for style in (drawing_text, drawing_svg):
        wrong = list(faults(picture, style.layout_of(picture)))
        assert not wrong, "\n".join([draw_text(picture), *wrong])


def test_faults_are_seen() -> None:
    picture = Picture(
        "two", (Box("start"), Box("end"), Box("a", "x")), (Arrow(0, 2), Arrow(2, 1), Arrow(0, 1)), (0, 2, 1)
    )
    good = drawing_svg.layout_of(picture)
    assert not list(faults(picture, good))
    first, second, third = good.lines
    assert list(faults(picture, replace(good, boxes=(good.boxes[0],) * 3)))
    assert list(faults(picture, replace(good, lines=(first, second, first))))
    assert list(faults(picture, replace(good, lines=(first, second, ((0, 0), (9, 9))))))
    assert list(faults(picture, replace(good, lines=(first, (third[0], (third[0][0], good.height)), third))))


def test_arrows_that_change_places_between_two_rows_do_not_lie_on_each_other() -> None:
    captions = ["retriever" * (number % 3) for number in range(2, 7)]
    boxes = (Box("start"), Box("end"), *(Box(f"n{number}", caption) for number, caption in enumerate(captions, 2)))
    pairs = {(0, 2): "", (2, 3): "else", (0, 3): "else", (0, 4): "else", (2, 5): "a" * 40, (4, 5): "", (5, 6): ""}
    pairs |= {(4, 6): "", (4, 1): "", (6, 1): "else"}
    arrows = tuple(Arrow(*ends, "route", label) for ends, label in pairs.items())
    picture = Picture("places", boxes, arrows, (0, 4, 1, 2, 1, 2, 3))
    layout = drawing_text.layout_of(picture)
    assert not list(faults(picture, layout)), draw_text(picture)
    crossed = layout.lines[list(pairs).index((0, 3))]
    assert len({x for x, _ in crossed}) == 3, "on its way to the other side it changes columns twice"


def test_the_text_shows_types_conditions_loops_and_errors() -> None:
    assert Graph.parse(AGENT).draw("text") == TEXT


def test_the_flowchart_has_every_edge_once() -> None:
    assert Graph.parse(AGENT).draw("mermaid") == MERMAID


@given(picture=pictures())
@settings(max_examples=20, deadline=None)
def test_the_svg_is_xml_with_every_word_of_the_picture(picture: Picture) -> None:
    root = ElementTree.fromstring(draw_svg(picture))
    words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    for box in picture.boxes:
        assert box.name in words
        assert box.caption in words
    assert len(root.findall(f".//{SVG}path[@class='head']")) == len(picture.arrows)
    assert "http" not in draw_svg(picture).replace("http://www.w3.org/2000/svg", ""), "it needs nothing from elsewhere"


def test_the_svg_has_colours_for_light_and_dark_pages() -> None:
    text = draw_svg(Picture("one", (Box("start"), Box("end")), (Arrow(0, 1),), (0, 1)))
    assert "@media (prefers-color-scheme:dark)" in text


def test_conditions_with_markup_stay_text() -> None:
    condition = 'a < 1 && b == "<script>" | `c` # d'
    picture = Picture("<&>", (Box("start"), Box("end")), (Arrow(0, 1, "route", condition),), (0, 1))
    root = ElementTree.fromstring(draw_svg(picture))
    assert "<script>" in "".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert '-->|"a #lt; 1 #amp;#amp; b == #quot;#lt;script#gt;#quot; | #96;c#96; #35; d"|' in draw_mermaid(picture)
    assert "<script>" in draw_text(picture)


@pytest.mark.parametrize("name", ["end_", "graph", "subgraph", "class", "click", "style"])
def test_names_that_mermaid_reserves_get_another_id(name: str) -> None:
    text = draw_mermaid(
        Picture("one", (Box("start"), Box("end"), Box(name, "x")), (Arrow(0, 2), Arrow(2, 1)), (0, 2, 1))
    )
    ids = [line.split("[")[0].split("(")[0].strip() for line in text.splitlines()[1:4]]
    assert len(set(ids)) == 3
    assert not {"end", "graph", "subgraph", "class", "click", "style"} & set(ids)
    assert f'["{name}<br/>' in text


def test_a_label_that_is_too_long_ends_in_an_ellipsis() -> None:
    lines = lines_of(" && ".join(f"answer.confidence > 0.{n}" for n in range(9)), 28)
    assert len(lines) == 3
    assert lines[-1].endswith(" …")


def test_a_large_graph_is_drawn_at_once() -> None:
    count = 150
    boxes = (Box("start"), Box("end"), *(Box(f"n{n}", "reply") for n in range(2, count)))
    layers = [list(range(first, min(first + 4, count))) for first in range(2, count, 4)]
    arrows = [Arrow(0, n) for n in layers[0]] + [Arrow(n, 1) for n in layers[-1]]
    arrows += [Arrow(one, other) for upper, lower in pairwise(layers) for one in upper for other in lower]
    ranks = [0, len(layers) + 1, *(1 + place for place, layer in enumerate(layers) for _ in layer)]
    began = time.process_time()
    draw_svg(Picture("large", boxes, tuple(arrows), tuple(ranks)))
    assert time.process_time() - began < 30


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="mermaid, text, svg"):
        draw(Graph.parse(AGENT).checked, "png")  # type: ignore[arg-type]
