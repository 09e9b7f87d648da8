"""Codes RW4xx: the shape of a graph, and its conditions."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

_TWO = """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
"""
_LOOP = """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
"""
_FORK = """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
"""


def _when(condition: str) -> str:
    return f"""{_LOOP}edges:
  - start -> plan
  - from: plan
    routes:
      - {{when: '{condition}', to: wave}}
      - {{to: wave}}
  - wave -> end
"""


CODES = (
    Code(
        "RW401",
        "a node that start does not reach",
        "Every node is on a way from start to end. Write the missing edge, or delete the node.",
        _TWO + "edges:\n  - start -> greet -> end\n",
        _TWO + "edges:\n  - start -> greet -> wave -> end\n",
    ),
    Code(
        "RW402",
        "a node from which end is not reached",
        "Every node is on a way from start to end, so that every run ends. Write the missing edge.",
        _TWO + "edges:\n  - start -> greet -> end\n  - greet -> wave\n",
        _TWO + "edges:\n  - start -> greet -> wave -> end\n",
    ),
    Code(
        "RW403",
        "a loop that is entered from two places",
        "A loop has one first node, through which every way into it leads; its rounds are counted there. Lead the other "
        "way in to that node too.",
        _LOOP + "edges:\n  - start -> plan, wave\n  - wave -> plan\n  - from: plan\n    routes:\n"
        "      - {when: size(queries) > 1, to: wave, max_iterations: 2}\n      - {to: end}\n",
        _LOOP + "edges:\n  - start -> plan -> wave\n  - from: wave\n    routes:\n"
        "      - {when: size(queries) > 1, to: plan, max_iterations: 2}\n      - {to: end}\n",
    ),
    Code(
        "RW404",
        "a fork that leaves a loop with one foot",
        "A node in a loop goes on to several nodes at once, and some of them are outside of the loop. They would run "
        "beside a loop that may go round again. Start them before the loop, or when it has ended.",
        _FORK + "edges:\n  - start -> plan -> left, right\n  - from: left\n    routes:\n"
        "      - {when: size(some) > 1, to: plan, max_iterations: 2}\n      - {to: wave}\n  - right -> wave -> end\n",
        _FORK + "edges:\n  - start -> plan -> left\n  - from: left\n    routes:\n"
        "      - {when: size(some) > 1, to: plan, max_iterations: 2}\n      - {to: right}\n  - right -> wave -> end\n",
    ),
    Code(
        "RW405",
        "a fork in a loop that does not meet again",
        "A node in a loop goes on to several nodes at once; they all lead to one node of the loop before it goes back or "
        "out, so that one node decides. Add a node where they meet.",
        _FORK + "edges:\n  - start -> plan -> left, right\n  - from: left\n    routes:\n"
        "      - {when: size(some) > 1, to: plan, max_iterations: 2}\n      - {to: wave}\n  - from: right\n    routes:\n"
        "      - {when: size(others) > 1, to: plan, max_iterations: 2}\n      - {to: wave}\n  - wave -> end\n",
        _FORK + "edges:\n  - start -> plan -> left, right -> wave\n  - from: wave\n    routes:\n"
        "      - {when: size(some) > 1, to: plan, max_iterations: 2}\n      - {to: end}\n",
    ),
    Code(
        "RW406",
        "a plain edge that goes back",
        "An edge that goes back makes a loop, and a loop has a condition and a bound, so that every run ends: write "
        "routes, with max_iterations on the one that goes back.",
        _TWO + "edges:\n  - start -> greet -> wave -> end\n  - wave -> greet\n",
        _LOOP + "edges:\n  - start -> plan -> wave\n  - from: wave\n    routes:\n"
        "      - {when: size(queries) > 1, to: plan, max_iterations: 2}\n      - {to: end}\n",
    ),
    Code(
        "RW407",
        "a route that goes back without a bound",
        "max_iterations says how often the route may go back each time its loop is entered; then the next route is "
        "looked at. Without it a run might never end.",
        _LOOP + "edges:\n  - start -> plan -> wave\n  - from: wave\n    routes:\n"
        "      - {when: size(queries) > 1, to: plan}\n      - {to: end}\n",
        _LOOP + "edges:\n  - start -> plan -> wave\n  - from: wave\n    routes:\n"
        "      - {when: size(queries) > 1, to: plan, max_iterations: 2}\n      - {to: end}\n",
    ),
    Code(
        "RW408",
        "max_iterations on a route that goes forward",
        "Only a route that goes back to the start of its loop has a bound. Delete max_iterations, or correct where the "
        "route goes.",
        _LOOP + "edges:\n  - start -> plan\n  - from: plan\n    routes:\n"
        "      - {when: size(queries) > 1, to: wave, max_iterations: 2}\n      - {to: wave}\n  - wave -> end\n",
        _LOOP + "edges:\n  - start -> plan\n  - from: plan\n    routes:\n"
        "      - {when: size(queries) > 1, to: wave}\n      - {to: wave}\n  - wave -> end\n",
    ),
    Code(
        "RW409",
        "a route that goes back and on at once",
        "A route that goes back has that one target. What should also run belongs into the loop, or after it.",
        _FORK + "edges:\n  - start -> plan\n  - from: plan\n    routes:\n"
        "      - {when: size(queries) > 1, to: [left, plan], max_iterations: 2}\n      - {to: right}\n"
        "  - left, right -> wave -> end\n",
        _FORK + "edges:\n  - start -> plan\n  - from: plan\n    routes:\n"
        "      - {when: size(queries) > 1, to: plan, max_iterations: 2}\n      - {to: [left, right]}\n"
        "  - left, right -> wave -> end\n",
    ),
    Code(
        "RW410",
        "on_error that goes back",
        "on_error leads forward, to a node that has not run. To call a node again, use retry.",
        "nodes:\n  greet: {type: reply, text: Hello.}\n  wave: {type: reply, text: Bye., on_error: greet}\n"
        "edges:\n  - start -> greet -> wave -> end\n",
        "nodes:\n  greet: {type: reply, text: Hello.}\n  wave: {type: reply, text: Bye., retry: 2}\n"
        "edges:\n  - start -> greet -> wave -> end\n",
    ),
    Code(
        "RW411",
        "on_error to a node that has an edge from here",
        "A node that is reached both ways could not tell success from failure. Name another node in on_error.",
        "nodes:\n  greet: {type: reply, text: Hello., on_error: wave}\n  wave: {type: reply, text: Bye.}\n"
        "edges:\n  - start -> greet -> wave -> end\n",
        "nodes:\n  greet: {type: reply, text: Hello., on_error: sorry}\n  sorry: {type: reply, text: Sorry.}\n"
        "edges:\n  - start -> greet -> end\n  - sorry -> end\n",
    ),
    Code(
        "RW421",
        "a condition that cannot be read",
        "Conditions are CEL: == != < > && || ! ?: in, size(x), x.contains(y), x.startsWith(y), x.matches(y), and "
        "x.exists(i, …) and x.all(i, …) over lists. Texts stand in quotes.",
        _when("size(queries) > 1 and size(chain) > 1"),
        _when("size(queries) > 1 && size(chain) > 1"),
    ),
    Code(
        "RW422",
        "an unknown name in a condition",
        "A condition reads state keys, by their names. true, false and null are written in small letters.",
        _when("size(querys) > 1"),
        _when("size(queries) > 1"),
    ),
    Code(
        "RW423",
        "an unknown field in a condition",
        "A value model has the fields that it declares: a Verdict passed, action, reasons, missing and spans; an Answer "
        "text, citations and confidence. A condition reads these, never the whole value.",
        "edges:\n  - start -> greet\n  - from: greet\n    routes:\n"
        "      - {when: 'answer.txt == \"\"', to: end}\n      - {to: end}\n",
        "edges:\n  - start -> greet\n  - from: greet\n    routes:\n"
        "      - {when: 'answer.text == \"\"', to: end}\n      - {to: end}\n",
    ),
    Code(
        "RW424",
        "a condition over the wrong types",
        "Both sides of a comparison have one type, a float is compared with 0.5 or 1.0 and not with 1, and the whole is "
        "true or false.",
        _when("size(queries)"),
        _when("size(queries) > 1"),
    ),
)
