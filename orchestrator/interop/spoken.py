"""Whose text may be streamed as a part of an output, because nothing can replace it any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragweave.orchestrator.checking.bound import BoundNode

if TYPE_CHECKING:
    from ragweave.orchestrator.running.plan import Plan


def speakers(plan: Plan) -> Mapping[str, str]:
    """By name, the nodes whose text is that of an output, with the output's key.

    Such a node is made to write an Answer or a text, is tried once and does not begin anew by itself, stands in no
    loop, and no node after it writes the same key. Its text can still be another than what it emits: whoever streams it
    has to compare.
    """
    after = _after(plan)
    writers = {step.index: step.bound for step in plan.steps if step.bound is not None}
    found = {}
    for at, bound in writers.items():
        for key in plan.spec.outputs:
            kind = bound.written.get(key)
            declared = plan.spec.state.get(key)
            if kind is None or kind.word not in ("Answer", "str") or not _tried_once(bound):
                continue
            if declared is not None and declared.merge is not None:
                continue
            if not any(key in writers[other].written for other in after[at] if other in writers):
                found[bound.name] = key
    return found


def _tried_once(bound: BoundNode) -> bool:
    policies = bound.policies
    node = bound.members[0].node
    return len(bound.members) == 1 and not policies.retry and policies.map is None and not node.withdraws


def _after(plan: Plan) -> Mapping[int, set[int]]:
    """For each node, those that may run after it; in a loop that is the node itself too."""
    targets = [{plan.edge_targets[edge] for edge in edges} for edges in plan.shape.out]
    found = {}
    for start in range(len(targets)):
        seen: set[int] = set()
        waiting = [*targets[start]]
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += targets[node]
        found[start] = seen
    return found
