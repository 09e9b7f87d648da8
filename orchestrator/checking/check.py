"""The checker: every fault of a graph before its first call, at the word that has to change, each told once.

What only follows from another fault is not told: a node of unknown type has unknown keys, so rules about them are
silent; ways through a graph are followed only if its shape is sound.
"""

from __future__ import annotations

import re

from ragweave.orchestrator.checking.blind import blind_spots, known_nodes, without_echoes
from ragweave.orchestrator.checking.bound import Checked
from ragweave.orchestrator.checking.closed import closed_keys, strange_texts
from ragweave.orchestrator.checking.dataflow import Flow
from ragweave.orchestrator.checking.declarations import Ways, check_loops, check_parallel, key_sets
from ragweave.orchestrator.checking.definite import check_definite
from ragweave.orchestrator.checking.flow import check_keys, check_unused
from ragweave.orchestrator.checking.places import Findings
from ragweave.orchestrator.checking.shapes import check_shape
from ragweave.orchestrator.checking.structure import analyse
from ragweave.orchestrator.checking.trust import check_trust
from ragweave.orchestrator.checking.usage import ERROR, FAILURE, Usage, usage_of
from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.language.load import edges_are_sound, shape_of
from ragweave.orchestrator.language.settings import bind
from ragweave.orchestrator.language.spec import Spec
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.types import JSON


def check(spec: Spec, problems: list[Problem], resources: Resources) -> Checked:
    """Everything that is known about a graph before it runs, and every problem of it in the order of the file.

    `problems` are those that loading has found; they are part of the result.
    """
    bound, found = bind(spec, resources)
    earlier = without_echoes([*problems, *found])
    blind = blind_spots(spec, earlier)
    nodes = known_nodes(spec, bound, blind)
    findings = Findings(spec, earlier)
    shape = shape_of(spec)
    structure = analyse(shape)
    sound = _edges_are_sure(problems) and check_shape(findings, shape, structure)
    if not sound and spec.marks and findings.has("RW113", "RW401", "RW402"):
        from ragweave.orchestrator.checking.commas import tell_split_edges  # only for edges with such a fault

        tell_split_edges(findings)
    table = usage_of(spec, nodes, findings)
    table.whole = table.whole and not blind.all_keys
    silent = check_keys(findings, spec, nodes, table, blind.keys)
    checked = Checked(spec, shape, structure, bound, dict(table.types))
    if ERROR in table.writers:
        checked.keys.setdefault(ERROR, FAILURE)
    if table.whole:
        checked.values = closed_keys(spec, nodes)
    check_conditions(findings, checked, table, silent)
    if sound:
        sets = key_sets(checked, nodes, shape, table)
        ways = Ways(findings, spec, sets, Flow(shape, structure, sets.effects), nodes, table, silent)
        check_definite(ways)
        check_parallel(ways)
        check_loops(ways)
        check_trust(findings, checked, nodes, resources)
    if table.whole:
        check_unused(findings, spec, nodes, table)
    checked.problems = findings.sorted()
    return checked


def _edges_are_sure(problems: list[Problem]) -> bool:
    """True if all edges were read, and those to misspelt nodes count as what was meant without a doubt."""
    guessed = any(problem.code == "RW114" and problem.fix is None for problem in problems)
    return edges_are_sound(problems) and not guessed


def _constant(text: str, always: bool) -> str:
    """What is said of a condition that is the same whatever the state is."""
    way = "leave 'when' out for a route that is always taken" if always else "leave a route out that is never taken"
    return f"the condition {text!r} is always {str(always).lower()}; {way}"


def check_conditions(findings: Findings, checked: Checked, table: Usage, silent: set[str]) -> None:
    """Compile every `when`; note what does not compile, at the character at fault."""
    spec, shape = checked.spec, checked.shape
    if shape is None or all(route.when is None for exits in spec.exits.values() for route in exits.routes):
        return
    from ragweave.orchestrator.checking.conditions import Conditions, Trouble, place_in  # not for a graph without any

    closed = {key: values for key, values in checked.values.items() if key not in silent}
    number = {name: position for position, name in enumerate(shape.names)}
    conditions = Conditions({**dict.fromkeys(table.writers, JSON), **checked.keys})
    for source, exits in spec.exits.items():
        for index, route in enumerate(exits.routes):
            if route.when is None:
                continue
            result = conditions.compile(route.when)
            if not isinstance(result, Trouble):
                if source in number:
                    checked.conditions[number[source], index] = result
                if result.always is not None:
                    mark = spec.value_mark(*route.place, "when")
                    findings.add("RW426", _constant(route.when, result.always), mark, "warning")
                for message, offset, old, new in strange_texts(route.when, closed):
                    mark = place_in(spec.text, spec.value_mark(*route.place, "when"), route.when, offset)
                    findings.add("RW425", message, mark, "warning", fix=(old, new) if new else None)
                continue
            mark = place_in(spec.text, spec.value_mark(*route.place, "when"), route.when, result.offset)
            root = re.match(r"\w*", route.when[result.offset :])
            word = root[0] if root is not None else ""
            if result.code == "RW422" and (word in silent or (not table.whole and word not in table.types)):
                continue
            sure = result.old and not (result.code == "RW422" and table.suspect(word) is not None)
            findings.add(result.code, result.message, mark, fix=(result.old, result.new) if sure else None)
