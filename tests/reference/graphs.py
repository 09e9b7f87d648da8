"""Random sketches: well-formed by construction (loops, forks, joins, routes, on_error), or nearly so.

Everything is drawn from one source of numbers, so that hypothesis can shrink what it finds and a plain loop over seeds
can try thousands in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from tests.reference.interpreter import Call, Script, play
from tests.reference.sketch import END, Sketch, Step, Way

KEYS = ("p", "q", "r")


def layered(random: Random, size: int) -> Sketch:
    """Nodes in a row with edges to later ones, then back edges to dominators: the most irregular graphs."""
    names = [f"n{number}" for number in range(size)]
    ways: dict[str, list[tuple[str, ...]]] = {}
    for position, name in enumerate(names):
        later = [*names[position + 1 :], END]
        ways[name] = [_targets(random, later) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]
    start = _targets(random, names)
    _reach_all(random, names, start, ways)
    steps = {name: Step(tuple(Way(targets) for targets in dict.fromkeys(ways[name]))) for name in names}
    sketch = Sketch(tuple(start), steps)
    for name in names:
        if random.random() < 0.3:
            sketch = _with_error(random, sketch, name, names)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        sketch = _with_back_edge(random, sketch)
    return _shuffled(random, sketch)


def _targets(random: Random, later: Sequence[str]) -> tuple[str, ...]:
    near = list(later[: random.choice((2, 3, 8))])
    return tuple(random.sample(near, min(random.choice((1, 1, 1, 2, 2, 3)), len(near))))


def _reach_all(
    random: Random, names: Sequence[str], start: Sequence[str], ways: dict[str, list[tuple[str, ...]]]
) -> None:
    """Give every node that nothing leads to an edge from an earlier one."""
    reached = set(start)
    for position, name in enumerate(names):
        if name not in reached:
            source = random.choice(names[:position]) if position else name
            if source != name:
                way = random.randrange(len(ways[source]))
                ways[source][way] = (*ways[source][way], name)
        reached.update(target for targets in ways[name] for target in targets)


def _with_error(random: Random, sketch: Sketch, name: str, names: Sequence[str]) -> Sketch:
    later = [*names[names.index(name) + 1 :], END]
    taken = {target for way in sketch.steps[name].ways for target in way.targets}
    free = [target for target in later if target not in taken]
    return _changed(sketch, name, replace(sketch.steps[name], on_error=random.choice(free))) if free else sketch


def _with_back_edge(random: Random, sketch: Sketch) -> Sketch:
    pairs = [
        (name, header)
        for header in sketch.steps
        for name in sketch.steps
        if name in sketch.dominated[header]
        and all(way.bound is None or way.targets[0] != header for way in sketch.steps[name].ways)
    ]
    if not pairs:
        return sketch
    name, header = random.choice(pairs)
    step = sketch.steps[name]
    way = Way((header,), bound=random.choice((1, 1, 2)), free=random.random() < 0.2)
    position = random.randrange(len(step.ways))
    ways = (*step.ways[:position], way, *step.ways[position:])
    changed = _changed(sketch, name, replace(step, ways=ways))
    return changed if not changed.faults() else sketch


def _changed(sketch: Sketch, name: str, step: Step) -> Sketch:
    return replace(sketch, steps={**sketch.steps, name: step})


def _shuffled(random: Random, sketch: Sketch) -> Sketch:
    names = list(sketch.steps)
    random.shuffle(names)
    return replace(sketch, steps={name: sketch.steps[name] for name in names})


class _Builder:
    """Nested blocks: sequences, forks that join, choices, loops, all of which may hold the others."""

    def __init__(self, random: Random, budget: int) -> None:
        self.random = random
        self.budget = budget
        self.steps: dict[str, Step] = {}

    def node(self, *ways: Way, on_error: str | None = None) -> str:
        name = f"n{len(self.steps)}"
        self.steps[name] = Step(ways, on_error=on_error)
        self.budget -= 1
        return name

    def block(self, after: str, depth: int) -> str:
        """The first node of a block that goes on to `after`."""
        kind = self.random.choice(("one", "sequence", "fork", "choice", "loop", "error", "skip", "exits"))
        if depth <= 0 or self.budget <= 1 or kind == "one":
            return self.node(Way((after,)))
        if kind == "sequence":
            return self.block(self.block(after, depth - 1), depth - 1)
        if kind == "fork":
            join = self.node(Way((after,)))
            return self.node(Way(tuple(self.block(join, depth - 1) for _ in range(self.random.choice((2, 2, 3))))))
        if kind == "choice":
            return self.node(*(Way((self.block(after, depth - 1),)) for _ in range(2)))
        if kind == "error":
            return self.node(Way((self.block(after, depth - 1),)), on_error=self.node(Way((after,))))
        if kind == "skip":
            inner = self.block(after, depth - 1)
            beside = self.random.random() < 0.5
            return self.node(Way((inner, after) if beside else (inner,)), Way((after,)))
        return self.loop(after, depth, exits=kind == "exits")

    def loop(self, after: str, depth: int, *, exits: bool) -> str:
        """Header, body, and a tail that goes back or out; with `exits`, the header may leave the loop too."""
        header = f"n{len(self.steps)}"
        self.steps[header] = Step((Way((after,)),))
        other = self.node(Way((after,))) if self.random.random() < 0.5 else after
        tail = self.node(Way((header,), bound=self.random.choice((1, 2))), Way((other,)))
        body = self.block(tail, depth - 1)
        ways = (Way((after,)), Way((body,))) if exits else (Way((body,)),)
        self.steps[header] = Step(ways)
        return header


def nested(random: Random, size: int) -> Sketch:
    """Blocks within blocks."""
    builder = _Builder(random, size)
    first = [builder.block(END, 3)]
    if random.random() < 0.3:
        first.append(builder.block(END, 2))
    return _shuffled(random, Sketch(tuple(first), builder.steps))


def shape(random: Random, size: int = 7) -> Sketch:
    """A well-formed graph without keys."""
    for _ in range(50):
        made = (layered if random.random() < 0.6 else nested)(random, random.randint(1, size))
        if not made.faults():
            return made
    return Sketch(("a",), {"a": Step((Way((END,)),), plain=True)})


def with_writes(random: Random, sketch: Sketch, keys: Sequence[str] = KEYS) -> Sketch:
    """The same graph with random writes, some of which may be absent, and inputs and accumulating keys."""
    steps = {}
    density = random.choice((0.15, 0.3, 0.5))
    for name, step in sketch.steps.items():
        mine = [key for key in keys if random.random() < density]
        maybe = tuple(key for key in mine if random.random() < 0.2)
        plain = len(step.ways) == 1 and step.ways[0].bound is None and random.random() < 0.7
        writes = tuple(key for key in mine if key not in maybe)
        steps[name] = replace(step, writes=writes, maybe=maybe, plain=plain)
    inputs = tuple(key for key in keys if random.random() < 0.1)
    logs = frozenset(key for key in keys if key not in inputs and random.random() < 0.1)
    return replace(sketch, steps=steps, inputs=inputs, logs=logs)


def with_reads(random: Random, sketch: Sketch, allowed: Callable[[str, str], bool], density: float = 0.5) -> Sketch:
    """The same graph with random reads and outputs; `allowed(node, key)` says where a required one may be."""
    steps = {}
    for name, step in sketch.steps.items():
        reads = tuple(key for key in (*sketch.keys,) if random.random() < density and allowed(name, key))
        wants = tuple(key for key in sketch.keys if key not in reads and random.random() < 0.2)
        steps[name] = replace(step, reads=reads, wants=wants)
    outputs = tuple(key for key in sketch.keys if random.random() < density and allowed(END, key))
    return replace(sketch, steps=steps, outputs=outputs)


def random_script(seed: int, sketch: Sketch, failing: float = 0.3) -> Script:
    """What calls return, drawn from a seed, the node and its visit: the same in every schedule."""

    def call(name: str, visit: int) -> Call:
        random = Random(f"{seed} {name} {visit}")
        step = sketch.steps[name]
        fails = step.on_error is not None and random.random() < failing
        holds = tuple(random.random() < 0.5 for _ in step.ways)
        return Call(fails, holds, frozenset(key for key in step.maybe if random.random() < 0.5))

    return call


def random_pick(seed: int) -> Callable[[Sequence[str]], int]:
    """A schedule, drawn from a seed."""
    random = Random(seed)
    return lambda running: random.randrange(len(running))


def every_script(sketch: Sketch, limit: int) -> tuple[list[Mapping[tuple[str, int], Call]], bool]:
    """All scripts that differ in something that a run meets, and whether these are all; at most `limit`.

    A depth-first walk over the tree of calls: each run extends the script by the first call of every node it meets.
    """
    done: list[Mapping[tuple[str, int], Call]] = []
    waiting: list[dict[tuple[str, int], Call]] = [{}]
    while waiting:
        if len(done) + len(waiting) > limit:
            return done, False
        table = waiting.pop()
        met = _first_unsaid(sketch, table)
        if met is not None:
            waiting += [{**table, met: option} for option in _calls(sketch, met[0])]
        else:
            done.append(table)
    return done, True


def _first_unsaid(sketch: Sketch, table: Mapping[tuple[str, int], Call]) -> tuple[str, int] | None:
    """The first call of a run about which a script says nothing."""
    met: list[tuple[str, int]] = []

    def call(name: str, visit: int) -> Call:
        if (name, visit) not in table:
            met.append((name, visit))
        return table.get((name, visit)) or _calls(sketch, name)[0]

    play(sketch, call)
    return met[0] if met else None


def _calls(sketch: Sketch, name: str) -> list[Call]:
    """The calls of a node that can make a difference: each way, each absent write, failure."""
    step = sketch.steps[name]
    ways = [tuple(number == chosen for number in range(len(step.ways))) for chosen in range(len(step.ways))]
    absents = [frozenset[str]()]
    for key in step.maybe:
        absents += [absent | {key} for absent in absents]
    found = [Call(False, holds, absent) for holds in ways for absent in absents]
    return [*found, Call(fails=True)] if step.on_error is not None else found


@st.composite
def sketches(draw: st.DrawFn, size: int = 7) -> Sketch:
    """Well-formed graphs with random writes."""
    random = draw(st.randoms(use_true_random=False))
    return with_writes(random, shape(random, size))


def forked(random: Random, sketch: Sketch) -> Sketch:
    """A graph in which a node of a loop takes one more edge: only R4 tells whether it may."""
    inside = sorted({name for body in sketch.loops.values() for name in body})
    choices = [
        (name, number, target)
        for name in inside
        for number, way in enumerate(sketch.steps[name].ways)
        for target in (*sketch.steps, END)
        if way.bound is None and target not in way.targets and name not in sketch.leads.get(target, ())
    ]
    staying = [
        choice for choice in choices if any(choice[0] in body and choice[2] in body for body in sketch.loops.values())
    ]
    if not choices:
        return sketch
    name, number, target = random.choice(staying if staying and random.random() < 0.3 else choices)
    step = sketch.steps[name]
    way = replace(step.ways[number], targets=(*step.ways[number].targets, target))
    return _changed(sketch, name, replace(step, ways=(*step.ways[:number], way, *step.ways[number + 1 :])))


def spoiled(random: Random, sketch: Sketch) -> Sketch:
    """A graph with one edge moved, dropped, added or bounded at random: often, but not always, ill-formed."""
    name = random.choice(list(sketch.steps))
    step = sketch.steps[name]
    others = [*sketch.steps, END]
    way = random.randrange(len(step.ways))
    old = step.ways[way]
    kind = random.choice(("move", "add", "drop", "bound", "way", "error", "start"))
    if kind == "start":
        return replace(sketch, start=tuple(dict.fromkeys((*sketch.start, random.choice(list(sketch.steps))))))
    if kind == "error":
        return _changed(sketch, name, replace(step, on_error=random.choice(list(sketch.steps))))
    new = {
        "move": replace(old, targets=(random.choice(others), *old.targets[1:])),
        "add": replace(old, targets=(*old.targets, random.choice(others))),
        "drop": replace(old, targets=old.targets[1:]),
        "bound": replace(old, bound=None if old.bound else 2),
        "way": Way((random.choice(others),)),
    }[kind]
    if kind == "way":
        ways = (*step.ways, new)
    else:
        ways = (*step.ways[:way], *((new,) if new.targets else ()), *step.ways[way + 1 :])
    return _changed(sketch, name, replace(step, ways=ways, plain=step.plain and len(ways) == 1))
