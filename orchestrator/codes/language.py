"""Codes RW100 to RW112: the language of a graph file."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW100",
        "the file is not YAML",
        "The text cannot be read as YAML, so nothing else is checked. Often a value needs quotes: one that "
        "contains ': ', ' #', a quote in its middle, or that starts with one of ! & * @ ` % { [. Conditions and "
        "templates are the usual culprits; quote the whole of it. YAML is indented with spaces, never with tabs.",
        """\
edges:
  - start -> greet
  - from: greet
    routes:
      - when: question == "a" ? true : false
        to: end
""",
        """\
edges:
  - start -> greet
  - from: greet
    routes:
      - when: 'question == "a" ? true : false'
        to: end
      - to: end
""",
    ),
    Code(
        "RW101",
        "a key stands twice",
        "A map has each key once. YAML alone would silently take the last of them. Delete one, or give it another "
        "name; the message names the line of the first.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  greet: {type: reply, text: Good morning.}
""",
        """\
nodes:
  greet: {type: reply, text: Good morning.}
""",
    ),
    Code(
        "RW102",
        "YAML that is not read",
        "Graph files use a small part of YAML: one document, no anchors (&x), no aliases (*x), no tags (!x), at "
        "most 50 levels and 1 MB. So what a file says is what stands in it. Write the value out where it is "
        "needed; quote a text that starts with one of these marks.",
        """\
nodes:
  greet: {type: reply, text: !important Hello.}
""",
        """\
nodes:
  greet: {type: reply, text: "!important Hello."}
""",
    ),
    Code(
        "RW103",
        "unknown setting",
        "A node or resource takes the settings of its type, and a node the policies that all nodes have (retry, "
        "timeout, fallback, map, …). Nothing else is accepted, so that a misspelt setting cannot pass unnoticed. "
        "`ragweave nodes TYPE` lists the settings of a type.",
        """\
nodes:
  greet: {type: reply, txet: Hello.}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
    Code(
        "RW104",
        "unknown key",
        "Only the keys of the language may stand here: at the top of the file, in inputs, state and limits, and "
        "in an edge. The message names the key that was probably meant, or all that there are.",
        """\
input: {question: str}
""",
        """\
inputs: {question: str}
""",
    ),
    Code(
        "RW105",
        "the wrong kind of value",
        "A list stands where a map belongs, a map where text belongs, and so on. The message says what is "
        "expected and what was found.",
        """\
inputs: [question]
""",
        """\
inputs: {question: str}
""",
    ),
    Code(
        "RW106",
        "a value that a setting does not take",
        "The setting is right, its value is not: a number out of range, text where a number belongs, a word that "
        "is none of the choices, or a default that is not of its key's type.",
        """\
nodes:
  greet: {type: reply, text: Hello., timeout: soon}
""",
        """\
nodes:
  greet: {type: reply, text: Hello., timeout: 30s}
""",
    ),
    Code(
        "RW107",
        "a required setting is missing",
        "The type cannot work without this setting, and has no default for it. `ragweave nodes TYPE` shows what "
        "is required.",
        """\
nodes:
  greet: {type: reply}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
    Code(
        "RW108",
        "schema is missing or unknown",
        "A graph file names the version of the language that it is written in. It never changes under a file: a "
        "later language has another name.",
        """\
schema: ragweave/v9
""",
        """\
schema: ragweave/v1
""",
    ),
    Code(
        "RW109",
        "a name that cannot be one",
        "Nodes, state keys and resources are named with a-z, 0-9 and _, starting with a letter; so a name means "
        "the same in edges, conditions and Python. start and end are the marks of every graph, and no node's "
        "name.",
        """\
nodes:
  Greet-User: {type: reply, text: Hello.}
edges:
  - start -> Greet-User -> end
""",
        """\
nodes:
  greet_user: {type: reply, text: Hello.}
edges:
  - start -> greet_user -> end
""",
    ),
    Code(
        "RW110",
        "unknown type of a state key",
        "Types are str, int, float, bool, json, list[T], map[T], and the value models: Document, Message, Answer, "
        "Verdict and those that plugins register.",
        """\
inputs: {question: string}
""",
        """\
inputs: {question: str}
""",
    ),
    Code(
        "RW111",
        "unknown type of a node or resource",
        "No type of this name is registered. Types come with ragweave, from installed packages, and from plugins "
        "(--plugin my_nodes.py, or [tool.ragweave] plugins in pyproject.toml). `ragweave nodes` lists those of "
        "nodes. The message also says so if the type is known, but the code behind it cannot be imported.",
        """\
nodes:
  greet: {type: repyl, text: Hello.}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
    Code(
        "RW112",
        "not available in this version",
        "The key is a word of the language, but this version does not act on it. It is refused rather than "
        "ignored: a limit that is not kept would be worse than none.",
        """\
nodes:
  greet: {type: reply, text: Hello., limit: 3}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
)
