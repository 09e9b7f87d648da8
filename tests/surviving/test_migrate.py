"""Every run that waits is tried on a new graph: what would break is named, and nothing is passed over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ragweave.orchestrator.errors import JournalError, RunError
from ragweave.orchestrator.graph import Graph
from ragweave.orchestrator.migrating import Trial
from tests.surviving import kinds
from tests.surviving.kinds import GRAPH
from tests.surviving.test_versions import load, parked, write, yes


def tried(folder: Path, text: str) -> list[Trial]:
    with load(write(folder, text)) as graph:
        return graph.migrate(check=True)


def reasons(folder: Path, text: str) -> list[str]:
    (one,) = tried(folder, text)
    assert one.fate == "breaks"
    return list(one.reasons)


LONGER = GRAPH.replace("send: {type: tell}", "send: {type: tell}\n  last: {type: never}").replace(
    "-> send -> end", "-> send -> last -> end"
)


def test_a_run_that_fits_is_moved_and_goes_on_with_the_new_graph(tmp_path: Path) -> None:
    begun = parked(write(tmp_path))
    with load(write(tmp_path, LONGER)) as graph:
        assert [one.fate for one in graph.migrate(check=True)] == ["fits"]
        assert [one.fate for one in graph.migrate()] == ["moved"]
        assert [one.fate for one in graph.migrate()] == ["same"]
        result = graph.resume(begun.run_id, answers=yes(begun))
        assert result["said"] == "hello: True"
        assert not graph._versions
        events = asyncio.run(graph.store.events(begun.run_id))
    assert "last" in {event.node for event in events}


def test_a_check_moves_nothing(tmp_path: Path) -> None:
    begun = parked(write(tmp_path))
    assert [one.fate for one in tried(tmp_path, LONGER)] == ["fits"]
    assert [one.fate for one in tried(tmp_path, LONGER)] == ["fits"]
    with load(write(tmp_path, LONGER)) as graph:
        graph.resume(begun.run_id, answers=yes(begun))
        assert graph._versions


def test_a_node_that_ran_and_is_gone(tmp_path: Path) -> None:
    parked(write(tmp_path))
    text = GRAPH.replace("  write: {type: say, what: hello}", "  draft: {type: say, what: hello}")
    assert reasons(tmp_path, text.replace("-> write", "-> draft")) == ["node 'write#1' ran and is gone"]


def test_a_node_that_asks_and_is_gone(tmp_path: Path) -> None:
    parked(write(tmp_path))
    text = GRAPH.replace("confirm: {type: confirm}", "look: {type: never}").replace("-> confirm", "-> look")
    assert "node 'confirm#1' asks and is gone" in reasons(tmp_path, text)


def test_a_node_that_asks_nothing_any_more(tmp_path: Path) -> None:
    parked(write(tmp_path))
    text = GRAPH.replace("confirm: {type: confirm}", "confirm: {type: never}")
    assert reasons(tmp_path, text) == ["'confirm#1' waits for an answer, and 'confirm' asks nothing now"]


def test_a_question_to_which_nothing_comes(tmp_path: Path) -> None:
    parked(write(tmp_path))
    text = GRAPH.replace("-> write -> confirm", "-> write -> extra -> confirm")
    text = text.replace("nodes:", "nodes:\n  extra: {type: never}")
    assert reasons(tmp_path, text) == [
        "'write#1' took the route to 'confirm', where it leads to 'extra' now",
    ]


def test_a_changed_question_fits(tmp_path: Path) -> None:
    parked(write(tmp_path))
    text = GRAPH.replace("confirm: {type: confirm}", "confirm: {type: confirm, question: Really?}")
    assert [one.fate for one in tried(tmp_path, text)] == ["fits"]


ROUTED = """\
schema: ragweave/v1
name: letters
inputs: {n: int}
outputs: [text]
nodes:
  write: {type: say}
  short: {type: say, what: short}
  long: {type: say, what: long}
  confirm: {type: confirm}
edges:
  - start -> write
  - from: write
    routes:
      - {when: n > 1, to: long}
      - {to: short}
  - long, short -> confirm -> end
state: {text: {merge: last}}
"""


def test_a_route_that_leads_elsewhere_now(tmp_path: Path) -> None:
    with load(write(tmp_path, ROUTED)) as graph:
        graph.run(n=5)
    text = ROUTED.replace("{when: n > 1, to: long}", "{when: n > 9, to: short}").replace("{to: short}", "{to: long}")
    assert reasons(tmp_path, text) == ["'write#1' took the route to 'long', where it leads to 'short' now"]


def test_a_route_that_is_gone(tmp_path: Path) -> None:
    with load(write(tmp_path, ROUTED)) as graph:
        graph.run(n=0)
    text = ROUTED.split("  - from: write", maxsplit=1)[0] + "  - write -> long -> short -> confirm -> end\n"
    assert reasons(tmp_path, text) == ["'write#1' took the route to 'short', which is gone"]


def test_inputs_that_are_new_and_inputs_of_another_type(tmp_path: Path) -> None:
    with load(write(tmp_path, ROUTED)) as graph:
        graph.run(n=0)
    assert [
        one.fate for one in tried(tmp_path, ROUTED.replace("{n: int}", "{n: int, m: {type: int, default: 3}}"))
    ] == ["fits"]
    assert reasons(tmp_path, ROUTED.replace("{n: int}", "{n: int, m: int}")) == [
        "input 'm' is new, and the run has no value for it"
    ]
    (reason,) = reasons(tmp_path, ROUTED.replace("{n: int}", "{n: 'list[str]'}").replace("n > 1", "size(n) > 1"))
    assert "'n'" in reason
    assert "list[str]" in reason


def test_a_failed_run_whose_next_node_needs_what_it_has_not(tmp_path: Path) -> None:
    kinds.FAILING.add("second")
    text = GRAPH.replace("confirm: {type: confirm}", "confirm: {type: say, what: second}").replace(
        "send: {type: tell}", "send: {type: never}"
    )
    text = text.replace("outputs: [said]", "outputs: [agreed]")
    with load(write(tmp_path, text)) as graph, pytest.raises(RunError):
        graph.run()
    changed = text.replace("confirm: {type: say, what: second}", "confirm: {type: tell}").replace(
        "write: {type: say, what: hello}", "write: {type: both}"
    )
    (one,) = tried(tmp_path, changed)
    assert one.status == "failed"
    assert one.reasons == ("'write#1' has not written 'agreed', which 'write' writes now",)


def test_a_graph_inside_that_has_lost_a_node(tmp_path: Path) -> None:
    outer = """\
schema: ragweave/v1
name: outer
outputs: [said]
nodes:
  inner: {type: graph, path: letters.yaml}
edges: [start -> inner -> end]
"""
    write(tmp_path)
    with load(write(tmp_path, outer, "outer.yaml")) as graph:
        begun = graph.run()
    text = GRAPH.replace("  write:", "  draft:").replace("-> write", "-> draft")
    write(tmp_path, text)
    with load(tmp_path / "outer.yaml") as graph:
        (one,) = graph.migrate()
        assert one.reasons == ("node 'inner#1/write#1' ran and is gone",)
        assert graph.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"


def test_runs_that_are_done_or_of_other_graphs_are_none_of_it(tmp_path: Path) -> None:
    begun = parked(write(tmp_path))
    with load(write(tmp_path)) as graph:
        graph.resume(begun.run_id, answers=yes(begun))
    assert tried(tmp_path, LONGER) == []
    parked(write(tmp_path))
    assert tried(tmp_path, LONGER.replace("name: letters", "name: cards")) == []
    with load(write(tmp_path, LONGER.replace("name: letters", "name: cards"))) as graph:
        assert [one.fate for one in graph.migrate(check=True, graph="letters")] == ["fits"]


def test_a_run_that_goes_on_is_named_and_left_alone(tmp_path: Path) -> None:
    async def main() -> list[Trial]:
        async with load(write(tmp_path)) as graph, load(write(tmp_path, LONGER)) as new:
            begun = await graph.arun()
            await graph.store.take(begun.run_id)
            return await new.amigrate()

    (one,) = asyncio.run(main())
    assert (one.fate, one.status) == ("goes on", "running")


def test_resume_on_the_current_graph_says_why_it_cannot(tmp_path: Path) -> None:
    begun = parked(write(tmp_path))
    text = GRAPH.replace("  write:", "  draft:").replace("-> write", "-> draft")
    with load(write(tmp_path, text)) as graph:
        with pytest.raises(JournalError, match="node 'write#1' ran and is gone"):
            graph.resume(begun.run_id, answers=yes(begun), on="current")
        assert graph.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"


def test_a_graph_in_memory_can_be_migrated_too() -> None:
    old = Graph.parse(GRAPH)
    begun = old.run()
    new = Graph.parse(LONGER, store=old.store)
    assert [one.fate for one in new.migrate()] == ["moved"]
    assert new.resume(begun.run_id, answers=yes(begun))["said"] == "hello: True"


def test_a_call_that_waits_for_a_yes_and_would_be_made_without_one(tmp_path: Path) -> None:
    careful = GRAPH.replace("send: {type: tell}", "send: {type: tell, interrupt: true}")
    folder = write(tmp_path, careful)
    begun = parked(folder)
    with load(folder) as graph:
        waits = graph.resume(begun.run_id, answers=yes(begun))
    assert [ask.approval for ask in waits.asks.values()] == [True]
    assert reasons(tmp_path, GRAPH) == ["'send#1' waits for a yes, and 'send' is called without one now"]
    with load(write(tmp_path, careful.replace("true}", '"Tell it?"}'))) as graph:
        assert [one.fate for one in graph.migrate()] == ["moved"]
        assert graph.resume(begun.run_id, answers=yes(waits))["said"] == "hello: True"
