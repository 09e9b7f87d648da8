"""Codes RW421 to RW426: conditions."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW421",
        "a condition cannot be read",
        "Conditions are written in CEL: == != < <= > >= compare, && || ! combine, `in` looks into a list, "
        "texts stand in quotes. Put the whole condition into quotes where YAML would misread it.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5 and question != 'x', to: again}
      - {to: end}
  - again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5 && question != 'x', to: again}
      - {to: end}
  - again -> end
""",
    ),
    Code(
        "RW422",
        "a condition names what is not there",
        "A condition reads state keys that are surely there once its node has run, and calls functions: size, "
        "has, contains, startsWith, endsWith, matches, all, exists, exists_one, filter, map, int, double, "
        "string, bool.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: anser.confidence > 0.5, to: again}
      - {to: end}
  - again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5, to: again}
      - {to: end}
  - again -> end
""",
    ),
    Code(
        "RW423",
        "a condition names a field that is not there",
        "The values of ragweave and of plugins have fixed fields; a condition reads these, not the value as a whole.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidnce > 0.5, to: again}
      - {to: end}
  - again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5, to: again}
      - {to: end}
  - again -> end
""",
    ),
    Code(
        "RW424",
        "the types in a condition do not fit",
        "A condition is true or false. Both sides of a comparison have one type: a float is compared with "
        "1.0, an int with 1, a text with 'one'. A key that a condition may read is never null.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0, to: again}
      - {to: end}
  - again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Hello again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.0, to: again}
      - {to: end}
  - again -> end
""",
    ),
    Code(
        "RW425",
        "a condition expects a text that never comes",
        "Some keys can only be certain texts: the label of a classifier is one of its labels or `other`. Compared with "
        "another text, such a key is never equal. This is only a warning; but the route would never be taken.",
        """\
nodes:
  mood: {type: classifier, reads: {text: question}, labels: {good: [It is fine], bad: [It is bad]}}
  greet: {type: reply, text: Hello.}
  console: {type: reply, text: Oh dear.}
edges:
  - start -> mood
  - from: mood
    routes:
      - {when: label == 'baad', to: console}
      - {to: greet}
  - greet, console -> end
""",
        """\
nodes:
  mood: {type: classifier, reads: {text: question}, labels: {good: [It is fine], bad: [It is bad]}}
  greet: {type: reply, text: Hello.}
  console: {type: reply, text: Oh dear.}
edges:
  - start -> mood
  - from: mood
    routes:
      - {when: label == 'bad', to: console}
      - {to: greet}
  - greet, console -> end
""",
    ),
    Code(
        "RW426",
        "a condition is always the same",
        "The condition does not depend on the state, such as `1 == 1` or `true || x`. One that is always true is the "
        "same as none; a route whose condition is always false is never taken. This is only a warning.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5 && 1 > 2, to: again}
      - {to: end}
  - again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: reply, text: Again.}
edges:
  - start -> greet
  - from: greet
    routes:
      - {when: answer.confidence > 0.5, to: again}
      - {to: end}
  - again -> end
""",
    ),
)
