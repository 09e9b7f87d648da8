"""Codes RW113 to RW122: nodes and the edges between them, as they are written."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW113",
        "nodes or edges that cannot be read",
        "Edges are a list. An item is a chain of arrows, `a -> b -> c` or `a -> b, c`, or one node's routes: "
        "`from: a` with `routes:`, a list of {when: …, to: …}. Nodes are a map of names. Both sections have to be "
        "there.",
        """\
edges:
  - start => greet -> end
""",
        """\
edges:
  - start -> greet -> end
""",
    ),
    Code(
        "RW114",
        "an edge names a node that is not there",
        "Every name in edges, and in on_error, is a node of this file, start or end. Nodes may stand in any order.",
        """\
edges:
  - start -> great -> end
""",
        """\
edges:
  - start -> greet -> end
""",
    ),
    Code(
        "RW115",
        "an edge stands twice",
        "Of edges that are taken together, each leads to another node. Delete one. Two routes of a node may lead to "
        "the same node, for only one of them is taken.",
        """\
edges:
  - start -> greet -> end
  - greet -> end
""",
        """\
edges:
  - start -> greet -> end
""",
    ),
    Code(
        "RW116",
        "a node has more than one way of going on",
        "A node has plain edges, and all of them are taken; or it has one block of routes, and one of them is "
        "taken. With both, it could not be said which. Give the last route, the one without `when`, the targets "
        "of the plain edges.",
        """\
edges:
  - start -> greet -> end
  - from: greet
    routes:
      - {to: end}
""",
        """\
edges:
  - start -> greet
  - from: greet
    routes:
      - {to: end}
""",
    ),
    Code(
        "RW117",
        "routes that may lead nowhere",
        "The last route has neither `when` nor `max_iterations`, so that there is always a way on. The others are "
        "tried from the top, and the first that holds is taken.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: question == "hi", to: end}
      - {when: question != "hi", to: more}
  - more -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: question == "hi", to: end}
      - {to: more}
  - more -> end
""",
    ),
    Code(
        "RW118",
        "a route that is never taken",
        "Routes are tried from the top. One without `when` and `max_iterations` always holds, so what stands "
        "below it is never looked at. Put it last. Neither is a route looked at whose condition stands on one above "
        "already, unless that one is bounded.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {to: end}
      - {when: question == "hi", to: more}
  - more -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: question == "hi", to: more}
      - {to: end}
  - more -> end
""",
    ),
    Code(
        "RW119",
        "max_iterations is not a number of times",
        "max_iterations is how often a route may go back each time its loop is entered: a whole number, at least 1.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet -> more
  - from: more
    routes:
      - {to: greet, max_iterations: many}
      - {to: end}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  more: {type: reply, text: And welcome.}
edges:
  - start -> greet -> more
  - from: more
    routes:
      - {to: greet, max_iterations: 2}
      - {to: end}
""",
    ),
    Code(
        "RW120",
        "start and end in the wrong place",
        "start only leads on, by plain edges; end is only led to. For routes at the very beginning, let start go "
        "to a node that decides.",
        """\
edges:
  - start -> greet -> end
  - end -> greet
""",
        """\
edges:
  - start -> greet -> end
""",
    ),
    Code(
        "RW122",
        "something is missing",
        "A node and a resource need a type, and an input written at length needs one as well.",
        """\
nodes:
  greet: {text: Hello.}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
)
