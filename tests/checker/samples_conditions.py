"""Faults of conditions."""

from __future__ import annotations

from tests.checker.sample import Sample


def _routed(condition: str) -> str:
    """A graph with one condition."""
    return f"""
inputs: {{question: str}}
outputs: [answer]
nodes:
  s: {{type: screen}}
  r: {{type: rate}}
  f: {{type: lookup}}
  a: {{type: write}}
  b: {{type: refuse}}
edges:
  - start -> s -> r -> f
  - from: f
    routes:
      - when: {condition}
        to: a
      - to: b
  - a, b -> end
"""


CONDITIONS = [
    Sample("misspelt field", _routed("verdict.⟦pased⟧"), "RW423", ("no field 'pased'", "'passed'"), "passed"),
    Sample("misspelt key", _routed("⟦verdct⟧.passed"), "RW422", ("no state key 'verdct'", "'verdict'"), "verdict"),
    Sample("second misspelt key", _routed("verdict.passed && ⟦atempts⟧ > 1"), "RW422", ("'atempts'",), "attempts"),
    Sample("float against int", _routed("confidence > ⟦0⟧"), "RW424", ("write '> 0.0'",), "0.0"),
    Sample("int against float", _routed("attempts ⟦>⟧ 0.5"), "RW424", ("cannot take int and float",)),
    Sample("text against number", _routed("question ⟦==⟧ 3"), "RW424", ("cannot take str and int",)),
    Sample("python's and", _routed("verdict.passed ⟦and⟧ attempts > 1"), "RW421", ("'&&'",), "&&"),
    Sample("python's not", _routed("⟦not⟧ verdict.passed"), "RW421", ("'!'",)),
    Sample("one equals sign", _routed("'question ⟦=⟧ \"x\"'"), "RW421", ("'=='",), "=="),
    Sample("python's True", _routed("verdict.passed == ⟦True⟧"), "RW422", ("'true'",), "true"),
    Sample("not a truth", _routed("⟦attempts⟧"), "RW424", ("is an int, not true or false",)),
    Sample("a whole value", _routed("⟦verdict⟧ == verdict"), "RW423", ("reads its fields", "verdict.passed")),
    Sample("unclosed parenthesis", _routed("(attempts > 1⟦⟧"), "RW421", ("cannot be read",)),
    Sample("unknown function", _routed("⟦len⟧(question) > 1"), "RW422", ("no function 'len'",)),
    Sample("size of a number", _routed("⟦size⟧(attempts) > 1"), "RW424", ("'size' cannot take an int",)),
    Sample("field of an item", _routed("documents[0].⟦scor⟧ > 0.5"), "RW423", ("no field 'scor'",), "score"),
    Sample("field of each item", _routed("documents.all(d, d.⟦scor⟧ > 0.5)"), "RW423", ("no field 'scor'",), "score"),
    Sample("null", _routed("question ⟦==⟧ null"), "RW424", ("never null",)),
    Sample("in quotes", _routed("'verdict.⟦pased⟧'"), "RW423", ("'pased'",), "passed"),
    Sample("in double quotes", _routed('"question == \\"x\\" && ⟦atempts⟧ > 1"'), "RW422", ("'atempts'",), "attempts"),
    Sample(
        "behind doubled quotes", _routed("'question == ''it'' && ⟦atempts⟧ > 1'"), "RW422", ("'atempts'",), "attempts"
    ),
    Sample(
        "in a block",
        _routed("|\n          verdict.passed\n          && ⟦atempts⟧ > 1"),
        "RW422",
        ("'atempts'",),
        "attempts",
    ),
    Sample(
        "in a folded block",
        _routed(">-\n          verdict.passed\n          && ⟦atempts⟧ > 1"),
        "RW422",
        ("'atempts'",),
        "attempts",
    ),
    Sample(
        "over two plain lines",
        _routed("verdict.passed\n          && ⟦atempts⟧ > 1"),
        "RW422",
        ("'atempts'",),
        "attempts",
    ),
]
