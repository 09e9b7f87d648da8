"""Whether a graph file is really wrong: judged by the reference interpreter, not by the checker."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ragweave.orchestrator.checking.bound import BoundNode
from ragweave.orchestrator.language.load import load_text
from ragweave.orchestrator.language.settings import bind
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import Type, assignable
from tests.reference.graphs import random_script
from tests.reference.interpreter import Call, play, scripted
from tests.reference.sketch import START, Sketch, Step, Way

RUNS = 30


def is_wrong(text: str) -> bool:
    """True if the file cannot be read or built, breaks a rule of shape, or has a run that fails for its structure."""
    spec, problems = load_text(text, file="mutant.yaml")
    nodes, found = bind(spec, Resources(spec.resources.values(), environ={}))
    if any(problem.severity == "error" for problem in (*problems, *found)) or set(nodes) != set(spec.nodes):
        return True
    sketch = sketch_of(spec, nodes)
    if sketch.faults() or _unwritten(sketch) or _mistyped(spec, nodes):
        return True
    scripts = [scripted({}, Call(holds=(holds,) * 9)) for holds in (True, False)]
    scripts += [random_script(seed, sketch) for seed in range(RUNS)]
    return any(play(sketch, script).trouble for script in scripts)


def sketch_of(spec: Spec, nodes: Mapping[str, BoundNode]) -> Sketch:
    """The graph of a file as plain data, node types by what they read and write."""
    given = [key.name for key in spec.state.values() if key.has_default and not key.accumulate]
    start = spec.exits[START].routes[0].targets if START in spec.exits else ()
    return Sketch(
        start=start,
        steps={name: _step(spec, nodes[name]) for name in spec.nodes},
        inputs=tuple(dict.fromkeys([*spec.inputs, *given])),
        outputs=spec.outputs,
        merges=frozenset(key.name for key in spec.state.values() if key.merge),
        logs=frozenset(key.name for key in spec.state.values() if key.accumulate),
    )


def _step(spec: Spec, bound: BoundNode) -> Step:
    exits = spec.exits.get(bound.name)
    routes = exits.routes if exits is not None else ()
    ways = tuple(
        Way(route.targets, route.max_iterations, _roots(route.when or ""), free=route.when is None) for route in routes
    )
    return Step(
        ways=ways,
        reads=tuple(sorted(bound.required)),
        wants=tuple(sorted(bound.optional)),
        writes=tuple(sorted(bound.certain)),
        maybe=tuple(sorted(set(bound.written) - bound.certain)),
        on_error=bound.policies.on_error,
        plain=exits is not None and exits.plain,
    )


def _roots(condition: str) -> tuple[str, ...]:
    """The first words of the dotted names of a condition; functions and strings are no names."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", condition)
    words = re.findall(r"(?<![\w.])([a-z_]\w*)(?![\w(])(?!\s*\()", bare)
    return tuple(dict.fromkeys(word for word in words if word not in ("true", "false", "in", "null")))


def _unwritten(sketch: Sketch) -> bool:
    """True if something that no node writes is asked for: random runs may not come by where it is."""
    written = {*sketch.inputs, *sketch.logs}
    for step in sketch.steps.values():
        written.update((*step.writes, *step.maybe, *(("error",) if step.on_error else ())))
    asked = {*sketch.outputs}
    for step in sketch.steps.values():
        asked.update((*step.reads, *(key for way in step.ways for key in way.asks)))
    return not asked <= written


def _mistyped(spec: Spec, nodes: Mapping[str, BoundNode]) -> bool:
    """True if some reader cannot take what some writer of its key writes."""
    writers: dict[str, list[Type]] = {}
    for key in (*spec.inputs.values(), *spec.state.values()):
        if key.type is not None:
            writers.setdefault(key.name, []).append(key.type)
    for bound in nodes.values():
        for name, kind in bound.written.items():
            writers.setdefault(name, []).append(kind)
    for bound in nodes.values():
        for member in bound.members:
            for parameter, name in member.reads.items():
                wanted = member.signature.reads[parameter].type
                if any(not assignable(wanted, kind) for kind in writers.get(name, ())):
                    return True
    return False
