"""Conditions that are the same whatever the state is."""

from __future__ import annotations

import pytest

from ragweave.orchestrator.errors import Problem
from ragweave.orchestrator.graph import Graph


def warned(condition: str) -> list[Problem]:
    text = f"""
schema: ragweave/v1
inputs: {{question: str, n: int, urgent: bool, words: 'list[str]'}}
outputs: [answer]
nodes: {{s: {{type: reply, text: Hello.}}, a: {{type: reply, text: Again.}}}}
edges:
  - start -> s
  - from: s
    routes:
      - when: {condition}
        to: a
      - to: end
  - a -> end
"""
    return [problem for problem in Graph.parse(text).check() if problem.code == "RW426"]


@pytest.mark.parametrize(
    ("condition", "always"),
    [
        ("1 == 1", "true"),
        ("true || urgent", "true"),
        ("urgent || 2 > 1", "true"),
        ("size(question) > 3 && false", "false"),
        ("'''a'' in [''b'']'", "false"),
        ("'!true'", "false"),
        ("'true ? false : urgent'", "false"),
        ("'[1, 2].all(i, i > 0)'", "true"),
    ],
)
def test_a_condition_that_no_state_can_change_is_a_warning(condition: str, always: str) -> None:
    (problem,) = warned(condition)
    assert (problem.code, problem.severity, problem.line, problem.column) == ("RW426", "warning", 10, 15)
    assert f"is always {always}; leave " in problem.message
    hint = {"true": "leave 'when' out for a route that is always taken", "false": "a route out that is never taken"}
    assert problem.message.endswith(hint[always])


@pytest.mark.parametrize(
    "condition",
    [
        "urgent",
        "urgent || false",
        "urgent && n > 1",
        "question == 'true'",
        "'true ? urgent : false'",
        "n > 1 || n <= 1",
        "\"words.all(w, w != '')\"",
        "'1 / n == 1'",
    ],
)
def test_one_that_reads_the_state_to_decide_is_none(condition: str) -> None:
    assert not warned(condition)
