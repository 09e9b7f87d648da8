"""Faults of shape: loops, forks, ways that lead nowhere."""

from __future__ import annotations

from tests.checker.sample import Sample

SHAPE = [
    Sample(
        "C10 fork leaves its loop",
        """
nodes:
  h: {type: idle}
  a: {type: rate}
  log: {type: idle}
edges:
  - start -> h -> a, ⟦log⟧
  - from: a
    routes:
      - {when: attempts > 1, to: h, max_iterations: 2}
      - {to: end}
  - log -> end
""",
        "RW404",
        ("fork at h leaves the loop", "'log' would run beside 'a'"),
    ),
    Sample(
        "C10 two entries",
        """
nodes:
  a: {type: idle}
  b: {type: rate}
edges:
  - start -> a, b
  - a -> b
  - from: b
    routes:
      - {when: attempts > 1, to: ⟦a⟧, max_iterations: 2}
      - {to: end}
""",
        "RW403",
        ("loop entered from two places", "without passing 'a'"),
    ),
    Sample(
        "C10 plain back edge to itself",
        """
nodes:
  a: {type: idle}
edges:
  - start -> a
  - a -> ⟦a⟧
""",
        "RW406",
        ("`a -> a`", "a back edge needs routes and max_iterations"),
    ),
    Sample(
        "plain back edge over two nodes",
        """
nodes:
  a: {type: idle}
  b: {type: idle}
edges:
  - start -> a -> b -> end
  - b -> ⟦a⟧
""",
        "RW406",
        ("`b -> a`", "a back edge needs routes and max_iterations"),
    ),
    Sample(
        "back edge without a bound",
        """
nodes:
  a: {type: rate}
edges:
  - start -> a
  - from: a
    routes:
      - {when: attempts > 1, to: ⟦a⟧}
      - {to: end}
""",
        "RW407",
        ("without max_iterations",),
    ),
    Sample(
        "bound on a forward route",
        """
nodes:
  a: {type: rate}
  b: {type: idle}
edges:
  - start -> a
  - from: a
    routes:
      - {when: attempts > 1, to: b, ⟦max_iterations⟧: 2}
      - {to: end}
  - b -> end
""",
        "RW408",
        ("does not go back", "remove max_iterations"),
    ),
    Sample(
        "back edge beside another target",
        """
nodes:
  a: {type: rate}
  b: {type: idle}
edges:
  - start -> a
  - from: a
    routes:
      - {when: attempts > 1, to: [b, ⟦a⟧], max_iterations: 2}
      - {to: end}
  - b -> end
""",
        "RW409",
        ("a back edge is the only target of its route",),
    ),
    Sample(
        "fork in a loop that does not meet again",
        """
nodes:
  h: {type: idle}
  a: {type: rate}
  b: {type: rate}
edges:
  - start -> h -> a, ⟦b⟧
  - from: a
    routes:
      - {when: attempts > 1, to: h, max_iterations: 2}
      - {to: end}
  - from: b
    routes:
      - {when: attempts > 2, to: h, max_iterations: 2}
      - {to: end}
""",
        "RW405",
        ("fork at h does not meet again",),
    ),
    Sample(
        "a node that no edge names",
        """
nodes:
  a: {type: idle}
  ⟦b⟧: {type: idle}
edges:
  - start -> a -> end
""",
        "RW401",
        ("no edge names 'b'",),
    ),
    Sample(
        "a node that nothing leads to",
        """
nodes:
  a: {type: idle}
  ⟦b⟧: {type: idle}
edges:
  - start -> a -> end
  - b -> end
""",
        "RW401",
        ("start does not reach 'b'", "no edge leads to it"),
    ),
    Sample(
        "a node that nothing follows",
        """
nodes:
  a: {type: idle}
  ⟦b⟧: {type: idle}
edges:
  - start -> a -> end
  - a -> b
""",
        "RW402",
        ("end cannot be reached from 'b'", "no edge leaves it"),
    ),
    Sample(
        "a chain with a missing link",
        """
nodes:
  a: {type: idle}
  ⟦b⟧: {type: idle}
  c: {type: idle}
edges:
  - start -> a -> b
  - c -> end
""",
        "RW401",
        ("nothing follows 'b', and nothing leads to 'c'", "`b -> c`"),
    ),
    Sample(
        "on_error goes back",
        """
nodes:
  a: {type: idle}
  b: {type: idle, on_error: ⟦a⟧}
edges:
  - start -> a -> b -> end
""",
        "RW410",
        ("goes back to 'a'", "retry"),
    ),
    Sample(
        "on_error beside an edge",
        """
nodes:
  a: {type: idle, on_error: ⟦b⟧}
  b: {type: idle}
edges:
  - start -> a -> b -> end
""",
        "RW411",
        ("an edge leads from 'a' to 'b' already",),
    ),
    Sample(
        "on_error is not a way on",
        """
nodes:
  ⟦a⟧: {type: idle, on_error: b}
  b: {type: idle}
edges:
  - start -> a
  - start -> b -> end
""",
        "RW402",
        ("end cannot be reached from 'a'",),
    ),
]
