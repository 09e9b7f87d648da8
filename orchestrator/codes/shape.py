"""Codes RW401 to RW411: the shape of a graph."""

from __future__ import annotations

from ragweave.orchestrator.codes import Code

CODES = (
    Code(
        "RW401",
        "a node that start does not reach",
        "Every node is on a way from start to end. Write the missing edge, or delete the node.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> wave -> end
""",
    ),
    Code(
        "RW402",
        "a node from which end is not reached",
        "Every node is on a way from start to end, so that every run ends. Write the missing edge.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> end
  - greet -> wave
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> wave -> end
""",
    ),
    Code(
        "RW403",
        "a loop that is entered from two places",
        "A loop has one first node, through which every way into it leads; its rounds are counted there. Lead the "
        "other way in to that node too.",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan, wave
  - wave -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: wave, max_iterations: 2}
      - {to: end}
""",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan -> wave
  - from: wave
    routes:
      - {when: size(queries) > 1, to: plan, max_iterations: 2}
      - {to: end}
""",
    ),
    Code(
        "RW404",
        "a fork that leaves a loop with one foot",
        "A node in a loop goes on to several nodes at once, and some of them are outside of the loop. They would "
        "run beside a loop that may go round again. Start them before the loop, or when it has ended.",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan -> left, right
  - from: left
    routes:
      - {when: size(some) > 1, to: plan, max_iterations: 2}
      - {to: wave}
  - right -> wave -> end
""",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan -> left
  - from: left
    routes:
      - {when: size(some) > 1, to: plan, max_iterations: 2}
      - {to: right}
  - right -> wave -> end
""",
    ),
    Code(
        "RW405",
        "a fork in a loop that does not meet again",
        "A node in a loop goes on to several nodes at once; they all lead to one node of the loop before it goes "
        "back or out, so that one node decides. Add a node where they meet.",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan -> left, right
  - from: left
    routes:
      - {when: size(some) > 1, to: plan, max_iterations: 2}
      - {to: wave}
  - from: right
    routes:
      - {when: size(others) > 1, to: plan, max_iterations: 2}
      - {to: wave}
  - wave -> end
""",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan -> left, right -> wave
  - from: wave
    routes:
      - {when: size(some) > 1, to: plan, max_iterations: 2}
      - {to: end}
""",
    ),
    Code(
        "RW406",
        "a plain edge that goes back",
        "An edge that goes back makes a loop, and a loop has a condition and a bound, so that every run ends: "
        "write routes, with max_iterations on the one that goes back.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> wave -> end
  - wave -> greet
""",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan -> wave
  - from: wave
    routes:
      - {when: size(queries) > 1, to: plan, max_iterations: 2}
      - {to: end}
""",
    ),
    Code(
        "RW407",
        "a route that goes back without a bound",
        "max_iterations says how often the route may go back each time its loop is entered; then the next route "
        "is looked at. Without it a run might never end.",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan -> wave
  - from: wave
    routes:
      - {when: size(queries) > 1, to: plan}
      - {to: end}
""",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan -> wave
  - from: wave
    routes:
      - {when: size(queries) > 1, to: plan, max_iterations: 2}
      - {to: end}
""",
    ),
    Code(
        "RW408",
        "max_iterations on a route that goes forward",
        "Only a route that goes back to the start of its loop has a bound. Delete max_iterations, or correct "
        "where the route goes.",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: wave, max_iterations: 2}
      - {to: wave}
  - wave -> end
""",
        """\
nodes:
  plan: {type: decomposer}
  wave: {type: reply, text: "Bye: {queries}"}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: wave}
      - {to: wave}
  - wave -> end
""",
    ),
    Code(
        "RW409",
        "a route that goes back and on at once",
        "A route that goes back has that one target. What should also run belongs into the loop, or after it.",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: [left, plan], max_iterations: 2}
      - {to: right}
  - left, right -> wave -> end
""",
        """\
nodes:
  plan: {type: decomposer}
  left: {type: decomposer, writes: {queries: some, chain: a}}
  right: {type: decomposer, writes: {queries: others, chain: b}}
  wave: {type: reply, text: Bye.}
edges:
  - start -> plan
  - from: plan
    routes:
      - {when: size(queries) > 1, to: plan, max_iterations: 2}
      - {to: [left, right]}
  - left, right -> wave -> end
""",
    ),
    Code(
        "RW410",
        "on_error that goes back",
        "on_error leads forward, to a node that has not run. To call a node again, use retry.",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye., on_error: greet}
edges:
  - start -> greet -> wave -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello.}
  wave: {type: reply, text: Bye., retry: 2}
edges:
  - start -> greet -> wave -> end
""",
    ),
    Code(
        "RW411",
        "on_error to a node that has an edge from here",
        "A node that is reached both ways could not tell success from failure. Name another node in on_error.",
        """\
nodes:
  greet: {type: reply, text: Hello., on_error: wave}
  wave: {type: reply, text: Bye.}
edges:
  - start -> greet -> wave -> end
""",
        """\
nodes:
  greet: {type: reply, text: Hello., on_error: sorry}
  sorry: {type: reply, text: Sorry.}
edges:
  - start -> greet -> end
  - sorry -> end
""",
    ),
)
