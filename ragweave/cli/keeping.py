"""The commands that go on with runs, move them and delete them, and their options. What a command does is imported
when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragweave.cli.failures import guarded
from ragweave.cli.past import AsJson, GraphOption, Plugins, StoreOption

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is deleted.")]


@guarded
def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="The id of a run, how it begins, or `last`; left out, every run whose process is gone.",
            show_default=False,
        ),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="What is answered; VALUE alone if one question is open. Repeatable."),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="NAME", help="Who answers; by default the user of this machine.", show_default=False)
    ] = "",
    deadline: Annotated[
        str | None, typer.Option(metavar="TIME", help="The time that it has from now on, such as 30s.")
    ] = None,
    current: Annotated[
        bool, typer.Option("--current", help="Go on with the graph as it is now, if the run fits it.")
    ] = False,
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Go on with a run that asks, failed, was cancelled or was killed. What finished is not run again."""
    from ragweave.cli.finding import find
    from ragweave.cli.resuming import Resumed, recover, resume_run

    if run is None:
        if answer or by or deadline or current:
            raise typer.BadParameter("--answer, --by, --deadline and --current belong to one RUN")
        return recover(find(graph, store, plugin or []), as_json=json)
    asked = Resumed(run, tuple(answer or ()), deadline, current, json, by)
    return resume_run(find(graph, store, plugin or []), asked)


@guarded
def migrate(
    new: Annotated[Path, typer.Argument(metavar="GRAPH", help="The graph as it is to be.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Only say what would break, and move nothing.")] = False,
    graph: Annotated[
        Path | None,
        typer.Option("--graph", metavar="OLD", help="The graph file whose runs are meant; by default GRAPH itself."),
    ] = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Move runs that wait to a changed graph.

    Only those that fit it; the others stay on their version, and it is said why.
    """
    from ragweave.cli.moving import Moving, migrate_runs

    return migrate_runs(Moving(new, check, graph, store, tuple(plugin or ()), json))


@guarded
def gc(
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Delete this run.", show_default=False)
    ] = None,
    thread: Annotated[
        str | None, typer.Option(metavar="ID", help="Delete this conversation, and what is remembered of it.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="With --thread: only that of this user.")] = None,
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Delete all of this tenant; with --thread, the conversation of it.")
    ] = None,
    yes: Yes = False,
    graph: GraphOption = None,
    store: StoreOption = None,
    plugin: Plugins = None,
    json: AsJson = False,
) -> int:
    """Remove old runs, or every trace of a conversation.

    Without options, what is older than is kept; with them, a run, a conversation or a tenant.
    """
    from ragweave.cli.clearing import Clearing, clear
    from ragweave.cli.finding import find

    if run is not None and (thread is not None or tenant is not None):
        raise typer.BadParameter("--run goes with neither --thread nor --tenant")
    if user is not None and thread is None:
        raise typer.BadParameter("--user belongs to --thread")
    return clear(find(graph, store, plugin or []), Clearing(run, thread, user, tenant, yes, json))


COMMANDS = (resume, migrate, gc)
