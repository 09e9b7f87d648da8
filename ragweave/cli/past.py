"""The commands that look back at runs, and their options. What a command does is imported when it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ragweave.cli.failures import guarded

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="The id of a run, how it begins, or `last`.", show_default=False)
]
GraphOption = Annotated[
    Path | None,
    typer.Option("--graph", metavar="GRAPH", help="The graph file; by default the one with which the run was begun."),
]
StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="FILE", help="The file with the runs; by default .ragweave/runs.sqlite."),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="NAME", help="A module or .py file that registers types; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


class State(StrEnum):
    """The states of runs."""

    running = "running"
    done = "done"
    parked = "parked"
    failed = "failed"
    cancelled = "cancelled"


@guarded
def runs(
    graph: Annotated[
        Path | None, typer.Option("--graph", metavar="GRAPH", help="Only the runs of this graph file.")
    ] = None,
    store: StoreOption = None,
    status: Annotated[State | None, typer.Option(help="Only runs in this state.", show_default=False)] = None,
    thread: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this conversation.")] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="What parked runs ask, and what an answer has to be.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the newest; by default 20, all with --jsonl.", show_default=False)
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="All about them, their events too, a line of JSON each.")
    ] = False,
    values: Annotated[
        bool, typer.Option("--values", help="With --jsonl: the texts themselves, not their lengths.")
    ] = False,
    plugin: Plugins = None,
) -> int:
    """List the runs that are kept, the newest first."""
    from ragweave.cli.listing_runs import Wanted, export_runs, list_runs, list_waiting

    if waiting and (jsonl or status is not None):
        raise typer.BadParameter("--waiting goes with neither --jsonl nor --status")
    if values and not jsonl:
        raise typer.BadParameter("--values belongs to --jsonl")
    wanted = Wanted(graph, store, thread, status.value if status is not None else None, limit, tuple(plugin or ()))
    if waiting:
        return list_waiting(wanted)
    return export_runs(wanted, values=values) if jsonl else list_runs(wanted)


@guarded
def show(
    run: Run = "last",
    node: Annotated[
        str | None, typer.Option("--node", metavar="PATH", help="All about one call: values before and after it.")
    ] = None,
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Draw when a run did what, with time and tokens."""
    from ragweave.cli.finding import find
    from ragweave.cli.timelines import show_call, show_run

    kept = find(graph, store, plugin or [])
    return show_run(kept, run, as_json=json) if node is None else show_call(kept, run, node, as_json=json)


@guarded
def replay(
    run: Run = "last",
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Give a run's outputs again, with nothing called.

    From its journal alone: no model, tool or retriever is asked.
    """
    from ragweave.cli.finding import find
    from ragweave.cli.replaying import replay_run

    return replay_run(find(graph, store, plugin or []), run, as_json=json)


@guarded
def fork(
    run: Run = "last",
    at: Annotated[
        str, typer.Option("--from", metavar="PATH", help="The call to go on from; by default the start of the run.")
    ] = "",
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What the call sees instead; may be repeated."),
    ] = None,
    thread: Annotated[
        str, typer.Option(metavar="ID", help="A conversation that is to remember it; by default none.")
    ] = "",
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Run on from a call of a run, with other values.

    Everything before it is reused.
    """
    from ragweave.cli.finding import find
    from ragweave.cli.forking import fork_run

    return fork_run(find(graph, store, plugin or []), run, at, given or [], thread=thread, as_json=json)


@guarded
def diff(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="A run, as for `show`.", show_default=False)],
    run_b: Annotated[
        str, typer.Argument(metavar="RUN_B", help="Another one; by default the newest.", show_default=False)
    ] = "last",
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Say where two runs differ.

    Calls, values, cost and time.
    """
    from ragweave.cli.finding import find
    from ragweave.cli.replaying import compare_runs

    return compare_runs(find(graph, store, plugin or []), run_a, run_b, as_json=json)


COMMANDS = (runs, show, replay, fork, diff)
