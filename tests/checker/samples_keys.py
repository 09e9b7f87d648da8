"""Faults in the names and types of state keys."""

from __future__ import annotations

from tests.checker.sample import Sample

KEYS = [
    Sample(
        "output that nothing writes",
        """
inputs: {question: str}
outputs: [⟦anwser⟧]
nodes:
  a: {type: lookup}
  b: {type: write}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("the output 'anwser' is never written", "did you mean 'answer'?"),
        "answer",
    ),
    Sample(
        "read that nothing writes",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  ⟦b⟧: {type: write}
edges:
  - start -> b -> end
""",
        "RW201",
        ("'b' reads 'documents', which is never written", "add it to inputs, or let a node before 'b' write it"),
    ),
    Sample(
        "misspelt key in a question to a person",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write, interrupt: "May I say it to {question}, of {⟦dokuments⟧}?"}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("the question of 'b' reads 'dokuments', which is never written", "did you mean 'documents'?"),
        "documents",
    ),
    Sample(
        "misspelt rename of a read",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write, reads: {documents: ⟦dokuments⟧}}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("'b' reads 'dokuments', which is never written", "did you mean 'documents'?"),
        "documents",
    ),
    Sample(
        "misspelt rename of a write",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup, writes: {documents: ⟦evidnce⟧}}
  b: {type: write, reads: {documents: evidence}}
  c: {type: write, reads: {documents: evidence}}
edges:
  - start -> a -> b -> c -> end
""",
        "RW201",
        ("'a' writes 'evidnce', which nothing reads", "did you mean 'evidence'?"),
        "evidence",
    ),
    Sample(
        "misspelt input",
        """
inputs: {⟦qestion⟧: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("the file declares 'qestion', which nothing reads", "did you mean 'question'?"),
        "question",
    ),
    Sample(
        "error without an on_error",
        """
outputs: [answer]
nodes:
  ⟦a⟧: {type: repair}
edges:
  - start -> a -> end
""",
        "RW201",
        ("'a' reads 'error'", "on_error"),
    ),
    Sample(
        "renamed optional read of nothing",
        """
inputs: {question: str}
outputs: [answer]
nodes:
  a: {type: lookup}
  b: {type: write, reads: {verdict: ⟦grade⟧}}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("'b' reads 'grade', which is never written",),
    ),
    Sample(
        "reader of another type",
        """
inputs: {question: str}
outputs: [documents]
nodes:
  a: {type: expand}
  b: {type: search, reads: {query: ⟦queries⟧}}
edges:
  - start -> a -> b -> end
""",
        "RW203",
        ("'b' reads 'queries' as str, but 'a' writes it as list[str]", "map over it"),
    ),
    Sample(
        "two writers of different types",
        """
inputs: {question: str}
outputs: [documents]
nodes:
  a: {type: expand}
  ⟦b⟧: {type: count}
  c: {type: search, map: {over: queries, as: query, merge: rrf}}
edges:
  - start -> a -> b -> c -> end
""",
        "RW204",
        ("'b' writes 'queries' as int, but 'a' writes it as list[str]",),
    ),
    Sample(
        "writer against a declared type",
        """
inputs: {question: str}
outputs: [queries]
state:
  queries: list[str]
nodes:
  ⟦b⟧: {type: count}
edges:
  - start -> b -> end
""",
        "RW204",
        ("'b' writes 'queries' as int, but 'queries' is declared as list[str]",),
    ),
    Sample(
        "map over what is no list",
        """
inputs: {question: str}
outputs: [documents]
nodes:
  a: {type: search, map: {over: ⟦question⟧, as: query, merge: rrf}}
edges:
  - start -> a -> end
""",
        "RW207",
        ("map.over needs a list, but 'question' is str",),
    ),
    Sample(
        "map over a list of something else",
        """
inputs: {question: str}
outputs: [found]
nodes:
  a: {type: lookup}
  b: {type: search, map: {over: ⟦documents⟧, as: query, merge: rrf}, writes: {documents: found}}
edges:
  - start -> a -> b -> end
""",
        "RW207",
        ("'b' takes 'query' as str, but the items of 'documents' are Document",),
    ),
    Sample(
        "misspelt map.over",
        """
inputs: {question: str}
outputs: [documents]
nodes:
  a: {type: expand}
  b: {type: search, map: {over: ⟦querys⟧, as: query, merge: rrf}}
edges:
  - start -> a -> b -> end
""",
        "RW201",
        ("'querys', which is never written", "did you mean 'queries'?"),
        "queries",
    ),
    Sample(
        "merge that does not fit",
        """
inputs: {question: str}
outputs: [answer]
state:
  answer: {merge: ⟦rrf⟧}
nodes:
  a: {type: refuse}
  b: {type: refuse}
edges:
  - start -> a, b -> end
""",
        "RW206",
        ("merge 'rrf' works on list[json], but the key is Answer", "first or last"),
    ),
    Sample(
        "merge of numbers on a list",
        """
inputs: {question: str}
outputs: [documents]
state:
  documents: {merge: ⟦sum⟧}
nodes:
  a: {type: lookup}
  b: {type: lookup}
edges:
  - start -> a, b -> end
""",
        "RW206",
        ("merge 'sum' works on 'int' or 'float', but the key is list[Document]",),
    ),
    Sample(
        "merge of a plugin that does not fit",
        """
inputs: {question: str}
outputs: [documents]
state:
  documents: {merge: ⟦add_up⟧}
nodes:
  a: {type: lookup}
  b: {type: lookup}
edges:
  - start -> a, b -> end
""",
        "RW206",
        ("merge 'add_up' works on int",),
    ),
    Sample(
        "merge of a map that does not fit",
        """
inputs: {question: str}
outputs: [documents]
nodes:
  a: {type: expand}
  b: {type: search, map: {over: queries, as: query, merge: ⟦sum⟧}}
edges:
  - start -> a -> b -> end
""",
        "RW206",
        ("merge 'sum' works on 'int' or 'float'",),
    ),
]
