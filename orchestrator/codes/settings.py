"""Codes RW123 to RW135 and RW3xx: policies, prompts, resources and the environment."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW123",
        "the node has no such key",
        "reads and writes rename what a node reads and writes: on the left the node's own name, on the right the "
        "key of the state. map.as is a parameter of the node, too; interrupt.edit are keys that it reads. "
        "`ragweave nodes TYPE` lists what a type reads and writes.",
        """\
nodes:
  greet: {type: reply, text: Hello., writes: {anwser: answer}}
""",
        """\
nodes:
  greet: {type: reply, text: Hello., writes: {answer: answer}}
""",
    ),
    Code(
        "RW125",
        "policies that do not go together",
        "race does not go with fallback. A node with effects is neither cached nor raced, and retried only if it "
        "is idempotent: else a payment could be made twice. Inside fallback and race there is no fallback, race, "
        "map, interrupt or on_error: these belong on the node itself. defaults are retry, timeout and cache.",
        """\
nodes:
  greet:
    type: reply
    text: Hello.
    fallback: {text: Hi.}
    race: {text: Good morning.}
""",
        """\
nodes:
  greet:
    type: reply
    text: Hello.
    fallback: {text: Hi.}
""",
    ),
    Code(
        "RW126",
        "a fallback writes less than its node",
        "Whichever of them answers, the nodes after it find the same keys. So each fallback, and each node of a "
        "race, writes at least what the node writes, with the same types; writes renames what is only called "
        "otherwise.",
        """\
nodes:
  greet:
    type: reply
    text: Hello.
    fallback: {type: decomposer}
""",
        """\
nodes:
  greet:
    type: reply
    text: Hello.
    fallback: {text: Hi.}
""",
    ),
    Code(
        "RW127",
        "unknown merge",
        "A merge says what a key is that several parallel nodes wrote, or what map makes of its results: rrf, best, "
        "extend, union, first, last, sum, min, max, or one that a plugin registers.",
        """\
state:
  documents: {type: "list[Document]", merge: rff}
""",
        """\
state:
  documents: {type: "list[Document]", merge: rrf}
""",
    ),
    Code(
        "RW128",
        "a node cannot say what it reads and writes",
        "Some types know their keys only when they have their settings: a graph as a node has those of its file. "
        "The message has what went wrong; for a graph, its first problems with their places in its file.",
        """\
nodes:
  greet: {type: graph, path: nowhere.yaml}
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
""",
    ),
    Code(
        "RW129",
        "the file cannot be read",
        "There is no such file, or it may not be read. The message names the graph files beside it.",
        "",
        "",
    ),
    Code(
        "RW130",
        "a prompt is wrong",
        "A template is Markdown with front matter: its variables are declared there, or under variables in the graph "
        "file, and each is used. Prompts are checked whether or not a node uses them. A fault in a prompt file has its "
        "place in that file.",
        """\
prompts:
  greeting: {text: "Greet {{ nmae }}.", variables: {name: str}}
""",
        """\
prompts:
  greeting: {text: "Greet {{ name }}.", variables: {name: str}}
""",
    ),
    Code(
        "RW131",
        "an override, or a setting of a graph, that leads nowhere",
        'overrides names what a call may set anew, as NODE.SETTING: graph.run(…, overrides={"text": "Hi."}). Policies, '
        "secrets and the file of an inner graph cannot be overridden. settings says in the same way where the settings "
        "of a node type go that is made of this graph; A -> B there is the max_iterations of that way.",
        """\
overrides: {text: greet.txet}
""",
        """\
overrides: {text: greet.text}
""",
    ),
    Code(
        "RW132",
        "a doubtful setting",
        "The node can run, but hardly means what its settings say: the same text is an example of two labels, say. "
        "This is only a warning.",
        """\
nodes:
  mood: {type: classifier, reads: {text: question}, labels: {good: [Not bad, Well], bad: [not bad, Awful]}}
  greet: {type: reply, text: "{label}"}
edges:
  - start -> mood -> greet -> end
""",
        """\
nodes:
  mood: {type: classifier, reads: {text: question}, labels: {good: [Not bad, Well], bad: [Awful]}}
  greet: {type: reply, text: "{label}"}
edges:
  - start -> mood -> greet -> end
""",
    ),
    Code(
        "RW133",
        "a setting that the resource cannot keep",
        "The node is right by itself, but what it names cannot do what it asks for: its retriever has no field that "
        "`where` filters by, say, or one of another kind. Fields are declared under `fields` of the retriever.",
        """\
outputs: [documents]
retrievers:
  manuals: {type: hybrid, index: .ragweave/manuals, fields: {year: int}}
nodes:
  greet: {type: retriever, retriever: manuals, where: {yaer: {">=": 2024}}}
""",
        """\
outputs: [documents]
retrievers:
  manuals: {type: hybrid, index: .ragweave/manuals, fields: {year: int}}
nodes:
  greet: {type: retriever, retriever: manuals, where: {year: {">=": 2024}}}
""",
    ),
    Code(
        "RW134",
        "a rule of approval that cannot be kept",
        "Each rule allows, asks about or denies calls of tools by their names, in which * stands for any characters; "
        "`when` is a condition on the arguments of the call. The first rule that fits decides, and what none fits is "
        "denied.",
        """\
approval:
  - {allow: calculater}
  - {ask: "*", when: amount > 20}
""",
        """\
approval:
  - {allow: calculator}
  - {ask: "*", when: arguments.amount > 20}
""",
    ),
    Code(
        "RW135",
        "a budget that cannot be kept, or does nothing",
        "The message says which: a limit of what is never used in its scope, a way of on_exceed that could never "
        "help there, or a node that asks models by itself, so that nothing can be held for its calls.",
        """\
budget: {max_seconds: 60, on_exceed: [fewer_documents, stop]}
""",
        """\
budget: {max_seconds: 60, on_exceed: [partial_answer, stop]}
""",
    ),
    Code(
        "RW301",
        "an environment variable is not set",
        "A setting refers to a variable that is neither in the environment nor in the .env file beside the graph. "
        "For a resource this is a warning, since it is built only when it is used; give a default where one makes "
        "sense.",
        """\
models:
  chat: {type: openai, model: "${env:RAGWEAVE_UNSET_MODEL}"}
""",
        """\
models:
  chat: {type: openai, model: "${env:RAGWEAVE_UNSET_MODEL:-gpt-5-mini}"}
""",
    ),
    Code(
        "RW302",
        "no reference to the environment",
        "The environment is referred to as ${env:NAME}, or ${env:NAME:-default}; $NAME and ${NAME} mean nothing.",
        """\
models:
  chat: {type: openai, model: "${CHAT_MODEL}"}
""",
        """\
models:
  chat: {type: openai, model: "${env:CHAT_MODEL:-gpt-5-mini}"}
""",
    ),
    Code(
        "RW303",
        "a secret stands in the file",
        "Graph files are shared and stored; keys and passwords do not belong into them. Put it into the "
        "environment, or into a .env file beside the graph that is not shared. Values of secret settings are "
        "never shown or journaled.",
        """\
models:
  chat: {type: openai, model: gpt-5-mini, api_key: sk-1234567890}
""",
        """\
models:
  chat: {type: openai, model: gpt-5-mini, api_key: "${env:CHAT_API_KEY:-}"}
""",
    ),
    Code(
        "RW304",
        "a setting names a resource that is not there",
        "A setting such as model or retriever names a resource of the file, under models, retrievers and so on; "
        "or a registered type that needs no settings, such as extractive.",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipe}
  greet: {type: reply, text: Hello.}
edges:
  - start -> find -> greet -> end
""",
        """\
retrievers:
  recipes: {type: hybrid, index: .ragweave/recipes}
nodes:
  find: {type: retriever, retriever: recipes}
  greet: {type: reply, text: Hello.}
edges:
  - start -> find -> greet -> end
""",
    ),
    Code(
        "RW305",
        "settings that do not go together",
        "Each setting is right, but not all of them together: an auto model with a base_url and no model, say. If a "
        "setting refers to the environment this is a warning about the environment as it is; else it is an error.",
        """\
models:
  chat: {type: auto, model: gpt-5-mini}
""",
        """\
models:
  chat: {type: auto, model: gpt-5-mini, api_key: "${env:CHAT_API_KEY:-sk-local}"}
""",
    ),
    Code(
        "RW306",
        "a line of the .env file cannot be read",
        "The .env file beside a graph has lines NAME=value, and comments that begin with #. A value with spaces around "
        "it, or with a #, stands in quotes, which have to be closed. Nothing is run while a line is unclear, since the "
        "key in it would be missing.",
        "",
        "",
    ),
    Code(
        "RW307",
        "a file that a resource needs is missing or of no use",
        "A resource names files or folders, relative to the graph: a model on this machine, say, with its config.json, "
        "tokenizer and weights. They are looked at, and nothing is loaded. If a setting refers to the environment this "
        "is a warning, since it may be right elsewhere; else it is an error.",
        """\
models:
  chat: {type: transformers, path: nowhere}
""",
        """\
models:
  chat: {type: extractive}
""",
    ),
    Code(
        "RW310",
        "resources that name one another in a circle",
        "A model made of other models (first_of, cached, …) is built after those that it names. One that names "
        "itself, directly or through others, can never be built.",
        """\
models:
  chat: {type: first_of, models: [saved, extractive]}
  saved: {type: cached, model: chat}
""",
        """\
models:
  chat: {type: first_of, models: [extractive]}
  saved: {type: cached, model: chat}
""",
    ),
    Code(
        "RW311",
        "the price file is wrong",
        "prices names a YAML file with a currency and, for each model, what a million tokens cost: input, output "
        "and, where they differ, cached input tokens. The message has the line of that file.",
        """\
prices: nowhere.yaml
""",
        """\
models:
  chat: {type: extractive}
""",
    ),
    Code(
        "RW312",
        "a budget of money, and a model of which nobody knows what it costs",
        "max_cost_usd is kept by holding what a call may cost before it is made. So each model that is asked in the "
        "scope of the budget needs a price, in dollars, in the graph's price file; a price may be 0.",
        """\
models:
  chat: {type: scripted, replies: [Hello.]}
prompts:
  greet: {text: "{{ question }}", variables: {question: str}}
budget: {max_cost_usd: 0.10}
nodes:
  greet: {type: generator, model: chat, prompt: greet}
""",
        """\
models:
  chat: {type: scripted, replies: [Hello.]}
prompts:
  greet: {text: "{{ question }}", variables: {question: str}}
budget: {max_tokens: 20_000}
nodes:
  greet: {type: generator, model: chat, prompt: greet}
""",
    ),
)
