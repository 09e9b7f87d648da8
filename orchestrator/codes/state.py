"""Codes RW2xx: what flows through a graph."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW201",
        "a key that is never written",
        "A node, a condition, map.over or the graph's outputs read a key that no input and no node writes. Often "
        "one of the two names is misspelt. A node's own names are the parameters of its type; reads and writes "
        "rename them.",
        """\
outputs: [anwser]
""",
        """\
outputs: [answer]
""",
    ),
    Code(
        "RW202",
        "a key that may be unwritten",
        "On some way to this node nothing writes the key; the message says which way. Give the key a default "
        "under state, let a node before write it on every way, or lead that way around the reader.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes}
  answer: {type: generator}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: find}
      - {to: answer}
  - find -> answer -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
state:
  documents: {default: []}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes}
  answer: {type: generator}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: find}
      - {to: answer}
  - find -> answer -> end
""",
    ),
    Code(
        "RW203",
        "a key is read as another type than it has",
        "What is written as one type is read as another, such as a list where one text is expected. Map the node "
        "over the list, or read another key.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes, reads: {query: queries}}
  answer: {type: generator}
edges:
  - start -> plan -> find -> answer -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes, map: {over: queries, as: query, merge: rrf}}
  answer: {type: generator}
edges:
  - start -> plan -> find -> answer -> end
""",
    ),
    Code(
        "RW204",
        "a key is written as two types",
        "A key has one type, whoever writes it. Rename one of the two with writes, or correct its type under state.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: decomposer, writes: {queries: answer}}
edges:
  - start -> greet -> again -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  again: {type: decomposer}
edges:
  - start -> greet -> again -> end
""",
    ),
    Code(
        "RW205",
        "two writers may run at the same time",
        "Two nodes of which neither waits for the other write one key, and a later node reads it. Which value it "
        "gets would be an accident. Say under state how they become one (merge: rrf, best, extend, union, first, last, "
        "…), or rename one with writes.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
  wines: {type: hybrid, index: .ragweave/wines}
nodes:
  eat: {type: retriever, retriever: recipes}
  drink: {type: retriever, retriever: wines}
  answer: {type: generator}
edges:
  - start -> eat, drink -> answer -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
  wines: {type: hybrid, index: .ragweave/wines}
state:
  documents: {merge: rrf}
nodes:
  eat: {type: retriever, retriever: recipes}
  drink: {type: retriever, retriever: wines}
  answer: {type: generator}
edges:
  - start -> eat, drink -> answer -> end
""",
    ),
    Code(
        "RW206",
        "a merge that does not fit its key",
        "rrf, best, extend and union merge lists; sum, min and max numbers; first and last anything.",
        """\
state:
  answer: {merge: rrf}
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet, wave -> end
""",
        """\
state:
  answer: {merge: first}
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet, wave -> end
""",
    ),
    Code(
        "RW207",
        "map over what is no such list",
        "map.over is the key of a list, and its items are of the type that the parameter named by map.as takes.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes, map: {over: question, as: query, merge: rrf}}
  answer: {type: generator}
edges:
  - start -> find -> answer -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes, map: {over: queries, as: query, merge: rrf}}
  answer: {type: generator}
edges:
  - start -> plan -> find -> answer -> end
""",
    ),
    Code(
        "RW211",
        "a write that nothing reads",
        "A node writes a key that no node, condition or output reads. This is only a warning; but a node whose "
        "work is lost is often a node that was not joined, or a name that was misspelt.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes}
  greet: {type: reply, text: Hello.}
edges:
  - start -> find -> greet -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes}
  answer: {type: generator}
edges:
  - start -> find -> answer -> end
""",
    ),
    Code(
        "RW212",
        "a key under state that is never used",
        "No node reads or writes this key. A warning: delete it, or correct its name.",
        """\
state:
  anwser: {merge: first}
""",
        """\
state:
  answer: {merge: first}
""",
    ),
    Code(
        "RW213",
        "an input that is never read",
        "A run has to give this input, but nothing reads it. A warning: delete it, or let a node read it.",
        """\
inputs: {question: str, language: str}
""",
        """\
inputs: {question: str, language: str}
nodes:
  greet: {type: reply, text: "{language}: {question}"}
""",
    ),
    Code(
        "RW214",
        "a loop that repeats the same work",
        "No node of the loop reads what an earlier round of it wrote, so each round does what the first did. A "
        "warning: let a node read a verdict, or what is missing; or take the loop out and use retry.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> wave
  - from: wave
    routes:
      - {when: size(question) > 9, to: greet, max_iterations: 2}
      - {to: end}
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  plan: {type: decomposer}
  find: {type: retriever, retriever: recipes, map: {over: queries, as: query, merge: rrf}}
  answer: {type: generator}
edges:
  - start -> plan -> find
  - from: find
    routes:
      - {when: size(documents) < 3, to: plan, max_iterations: 2}
      - {to: answer}
  - answer -> end
""",
    ),
)
