"""Keys that may be missing, parallel writes, and what is only worth a warning."""

from __future__ import annotations

from tests.checker.sample import Sample

WAYS = [
    Sample(
        "C4 a key that may be unwritten",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  s: {type: rate}
  a: {type: lookup}
  b: {type: idle}
  ⟦j⟧: {type: write}
edges:
  - start -> s
  - from: s
    routes:
      - {when: attempts > 1, to: [a, b]}
      - {to: b}
  - a, b -> j -> end
""",
        "RW202",
        ("documents may be unwritten at j (s may go to b alone)",),
    ),
    Sample(
        "a question to a person about a key that may be unwritten",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  s: {type: rate}
  a: {type: lookup}
  b: {type: refuse, interrupt: "Refuse, with {⟦documents⟧}?"}
edges:
  - start -> s
  - from: s
    routes:
      - {when: attempts > 1, to: [a, b]}
      - {to: b}
  - a -> b -> end
""",
        "RW202",
        ("documents may be unwritten at b (s may go to b alone)",),
    ),
    Sample(
        "C5 a key that a route may skip",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  n0: {type: lookup}
  n2: {type: rate}
  ⟦n1⟧: {type: write}
  n3: {type: refuse}
edges:
  - start -> n0, n1
  - n0 -> n2
  - from: n2
    routes:
      - {when: attempts > 1, to: n1}
      - {to: n3}
  - n1, n3 -> end
state:
  answer: {merge: first}
""",
        "RW202",
        ("documents may be unwritten at n1 (n2 may go to n3)",),
    ),
    Sample(
        "output that a route skips",
        """
inputs: {question: str}
outputs: [⟦answer⟧]
nodes:
  s: {type: rate}
  a: {type: refuse}
edges:
  - start -> s
  - from: s
    routes:
      - {when: attempts > 1, to: a}
      - {to: end}
  - a -> end
""",
        "RW202",
        ("answer may be unwritten at end (s may go to end)",),
    ),
    Sample(
        "key that a node may leave out",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: hint}
  ⟦b⟧: {type: use_hint}
edges:
  - start -> a -> b -> end
""",
        "RW202",
        ("hint may be unwritten at b (a may leave it out)",),
    ),
    Sample(
        "key that is missing after a failure",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup, on_error: x}
  x: {type: idle}
  ⟦b⟧: {type: write}
edges:
  - start -> a -> b
  - x -> b -> end
""",
        "RW202",
        ("documents may be unwritten at b (a may fail and go to x)",),
    ),
    Sample(
        "key that comes later",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  ⟦b⟧: {type: write}
  a: {type: lookup}
edges:
  - start -> b -> a -> end
""",
        "RW202",
        ("documents may be unwritten at b (only a writes it, and no way leads from there)",),
    ),
    Sample(
        "condition on a key that may be missing",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: hint}
  b: {type: refuse}
  c: {type: refuse}
edges:
  - start -> a
  - from: a
    routes:
      - {when: '⟦hint⟧ == "x"', to: b}
      - {to: c}
  - b, c -> end
""",
        "RW202",
        ("hint may be unwritten at a (a may leave it out) when it decides",),
    ),
    Sample(
        "map over a key that may be missing",
        """
inputs: {question: str}
outputs: [documents]
state:
  documents: {default: []}
nodes:
  s: {type: rate}
  a: {type: expand}
  b: {type: search, map: {over: ⟦queries⟧, as: query, merge: rrf}}
edges:
  - start -> s
  - from: s
    routes:
      - {when: attempts > 1, to: a}
      - {to: b}
  - a -> b -> end
""",
        "RW202",
        ("queries may be unwritten at b (s may go to b)",),
    ),
    Sample(
        "C7 parallel writers",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  b: {type: lookup}
  c: {type: lookup}
  d: {type: lookup}
  j1: {type: idle}
  j2: {type: idle}
  ⟦n⟧: {type: write}
edges:
  - start -> b, c, d
  - b, c -> j1
  - c, d -> j2
  - j1, j2 -> n -> end
""",
        "RW205",
        (
            "'b' and 'c' may run at the same time and both write 'documents'",
            "add state.documents.merge (rrf, extend, …) or rename one with writes",
        ),
    ),
    Sample(
        "C8 a writer beside a loop that writes",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  s: {type: lookup}
  h: {type: lookup}
  r: {type: rate}
  x: {type: lookup}
  ⟦j⟧: {type: write}
edges:
  - start -> s -> h, x
  - h -> r
  - from: r
    routes:
      - {when: attempts > 1, to: h, max_iterations: 2}
      - {to: j}
  - x -> j -> end
""",
        "RW205",
        ("'h' and 'x' may run at the same time and both write 'documents', which 'j' reads",),
    ),
    Sample(
        "parallel writers of an output",
        """
inputs: {question: str}
outputs: [⟦answer⟧]
nodes:
  a: {type: refuse}
  b: {type: refuse}
edges:
  - start -> a, b -> end
""",
        "RW205",
        ("'a' and 'b' may run at the same time and both write 'answer', which is an output",),
    ),
    Sample(
        "parallel failures",
        """
outputs: [answer]
inputs: {question: str}
nodes:
  a: {type: idle, on_error: x}
  b: {type: idle, on_error: x}
  y: {type: refuse}
  ⟦x⟧: {type: repair}
edges:
  - start -> a, b
  - a, b -> y -> end
  - x -> end
state:
  answer: {merge: first}
""",
        "RW205",
        ("'a' and 'b' may run at the same time and both fail and write 'error'",),
    ),
    Sample(
        "merge of a misspelt key",
        """
inputs: {question: str}
outputs: [documents]
state:
  ⟦documnts⟧: {merge: rrf}
nodes:
  a: {type: lookup}
  b: {type: lookup}
edges:
  - start -> a, b -> end
""",
        "RW205",
        ("state.documnts merges a key that nothing writes", "did you mean 'documents'?"),
        "documents",
    ),
]

WARNINGS = [
    Sample(
        "input that nothing reads",
        """
inputs: {question: str, ⟦mood⟧: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write}
edges:
  - start -> a -> b -> end
""",
        "RW213",
        ("the input 'mood' is never read",),
        severity="warning",
    ),
    Sample(
        "state that nothing uses",
        """
inputs: {question: str}
outputs: [answer]
state:
  ⟦mood⟧: str
nodes:
  a: {type: lookup}
  b: {type: write}
edges:
  - start -> a -> b -> end
""",
        "RW212",
        ("state.mood is never used",),
        severity="warning",
    ),
    Sample(
        "node that writes for nobody",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  ⟦x⟧: {type: expand}
  b: {type: write}
edges:
  - start -> a -> x -> b -> end
""",
        "RW211",
        ("'x' writes 'queries', which nothing reads",),
        severity="warning",
    ),
    Sample(
        "loop that repeats itself",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  ⟦h⟧: {type: lookup}
  r: {type: rate}
  b: {type: write}
edges:
  - start -> h -> r
  - from: r
    routes:
      - {when: attempts > 1, to: h, max_iterations: 2}
      - {to: b}
  - b -> end
""",
        "RW214",
        ("the loop of 'h' repeats the same work",),
        severity="warning",
    ),
]
