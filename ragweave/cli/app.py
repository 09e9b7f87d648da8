"""The commands and their options. What a command does is imported when it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ragweave.cli import guarding, keeping, offering, past
from ragweave.cli.failures import at_once, guarded

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="RAG and agent graphs, declared in YAML: checked before they run.",
)

GraphFile = Annotated[Path, typer.Argument(metavar="GRAPH", help="A graph file.", show_default=False)]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="NAME", help="A module or .py file that registers types; may be repeated."),
]


class Report(StrEnum):
    """How results are written."""

    text = "text"
    json = "json"


class Style(StrEnum):
    """How a graph is drawn."""

    text = "text"
    mermaid = "mermaid"
    svg = "svg"


class OnError(StrEnum):
    """What happens when a row of a batch fails."""

    skip = "skip"
    stop = "stop"


ReportFormat = Annotated[Report, typer.Option("--format", help="For people, or for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        from ragweave import __version__

        typer.echo(f"ragweave {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """RAG and agent graphs, declared in YAML: checked before they run."""


@app.command()
@at_once
def index(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET",
            help="A graph file, whose retrievers' documents are indexed, or a folder of documents.",
            show_default=False,
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Where the index goes; by default TARGET/.ragweave/index."),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(metavar="NAME", help="What turns texts into vectors, or `none`; by default minilm.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Index again whenever a document changes, until Ctrl-C.")
    ] = False,
    plugin: Plugins = None,
) -> int:
    """Index documents, or bring their index up to date."""
    from ragweave.cli.indexing import index_target

    return index_target(target, to, embedder, plugin or [], watch=watch)


@app.command()
@at_once
def tune(
    graph: GraphFile,
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS",
            help='Lines of JSON: {"question": "…", "sources": ["bread/zopf.md"]}.',
            show_default=False,
        ),
    ],
    retriever: Annotated[
        str | None, typer.Option(metavar="NAME", help="The retriever to tune, where the graph has several.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put the settings into the graph file, if their gain is real.")
    ] = False,
    plugin: Plugins = None,
    format: ReportFormat = Report.text,
) -> int:
    """Choose a retriever's settings by your own questions."""
    from ragweave.cli.tuning import tune as tune_graph

    return tune_graph(graph, questions, retriever, plugin or [], write=write, as_json=format is Report.json)


@app.command()
@at_once
def ask(
    graph: Annotated[
        str | None,
        typer.Argument(metavar="GRAPH", help="A graph file; left out with --docs.", show_default=False),
    ] = None,
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="The input `question`.", show_default=False)
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", metavar="FOLDER", help="Ask a folder of documents, with no graph file.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="KEY=VALUE", help="An input of the graph, a file as @PATH; may be repeated."),
    ] = None,
    thread: Annotated[str, typer.Option(metavar="ID", help="The conversation that the question belongs to.")] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="For whom it is asked.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Build a missing index without asking.")] = False,
    plugin: Plugins = None,
    format: ReportFormat = Report.text,
) -> int:
    """Ask a question; see the answer and its sources."""
    from ragweave.cli.asking import Asked, ask_docs, ask_graph

    asked = Asked(question, tuple(inputs or ()), thread, yes, tuple(plugin or ()), format is Report.json, user)
    if docs is not None:
        return ask_docs(docs, graph, asked)
    return ask_graph(graph, asked)


@app.command()
@guarded
def chat(
    graph: Annotated[
        Path | None, typer.Argument(metavar="GRAPH", help="A graph file; left out with --docs.", show_default=False)
    ] = None,
    docs: Annotated[
        Path | None, typer.Option("--docs", metavar="FOLDER", help="Talk with a folder of documents.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="KEY=VALUE",
            help="An input that is the same in each turn, a file as @PATH; may be repeated.",
        ),
    ] = None,
    thread: Annotated[str, typer.Option(metavar="ID", help="A conversation to go on with.")] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="Who talks.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Build a missing index without asking.")] = False,
    plugin: Plugins = None,
) -> int:
    """Talk with a graph, question after question."""
    from ragweave.cli.chatting import Chat
    from ragweave.cli.chatting import chat as talk

    return talk(Chat(graph, docs, tuple(inputs or ()), thread, yes, tuple(plugin or ()), user))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@guarded
def run(
    context: typer.Context,
    graph: GraphFile,
    inputs: Annotated[
        str | None,
        typer.Option("--json", metavar="JSON", help="The inputs as a JSON object; `-` reads it from the input."),
    ] = None,
    thread: Annotated[str, typer.Option(metavar="ID", help="The conversation it belongs to.")] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="For whom it runs.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Show each node with its time and tokens.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Build a missing index without asking.")] = False,
    plugin: Plugins = None,
    format: ReportFormat = Report.text,
) -> int:
    """Run a graph once. Each of its inputs is an option of its own, such as --question "…" or --picture @cat.png."""
    from ragweave.cli.asking import Whose
    from ragweave.cli.running import run_graph

    as_json = format is Report.json
    return run_graph(
        graph,
        context.args,
        inputs,
        whose=Whose(thread, user),
        yes=yes,
        plugins=plugin or [],
        as_json=as_json,
        explain=explain,
    )


@app.command()
@guarded
def batch(
    graph: GraphFile,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Rows: .jsonl, .json, .csv, .tsv, .parquet, or a folder with a Hugging Face dataset.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="A .jsonl file: one line a row.", show_default=False)
    ],
    concurrency: Annotated[int, typer.Option(min=1, max=4096, help="How many rows run at a time.")] = 16,
    on_error: Annotated[
        OnError, typer.Option("--on-error", help="What a row that fails does: stay as an error, or end the batch.")
    ] = OnError.skip,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT=COLUMN", help="The column for an input, by default its name; may be repeated."),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to copy to the output; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many rows from the start.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew where there is an output.")] = False,
    plugin: Plugins = None,
) -> int:
    """Run a graph over every row of a file. A batch that was killed goes on where it stopped."""
    from ragweave.cli.batching import Batch, batch_file

    stop = on_error is OnError.stop
    rest = (tuple(column or ()), tuple(keep or ()), limit, overwrite, tuple(plugin or ()))
    return batch_file(Batch(graph, source, target, concurrency, stop, *rest))


@app.command()
@at_once
def check(
    graphs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="GRAPH", help="Graph files, or folders of them; by default this folder.", show_default=False
        ),
    ] = None,
    format: ReportFormat = Report.text,
    fix: Annotated[bool, typer.Option("--fix", help="Repair misspelt names where only one can be meant.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Check again whenever something changes.")] = False,
    plugin: Plugins = None,
) -> int:
    """Find every mistake in graph files."""
    paths, plugins, as_json = graphs or [Path()], plugin or [], format is Report.json
    if watch:
        if fix:
            raise typer.BadParameter("--fix and --watch do not go together")
        from ragweave.cli.watching import watch_files

        return watch_files(paths, plugins, as_json=as_json)
    from ragweave.cli.checking import check_files

    return check_files(paths, plugins, as_json=as_json, fix=fix)


@app.command()
@at_once
def draw(
    graph: GraphFile,
    format: Annotated[
        Style | None,
        typer.Option("--format", help="By default what the name of --output says, else text.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A file instead of the terminal.")
    ] = None,
    plugin: Plugins = None,
) -> int:
    """Draw a graph as text, Mermaid or SVG."""
    from ragweave.cli.showing import draw_graph

    return draw_graph(graph, format.value if format else None, output, plugin or [])


@app.command()
@at_once
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A file instead of the terminal.")
    ] = None,
    plugin: Plugins = None,
) -> int:
    """Print the JSON schema of graph files, for editors."""
    from ragweave.cli.showing import print_schema

    return print_schema(output, plugin or [])


@app.command()
@at_once
def nodes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE",
            help="A type, such as generator; or a kind of resource, such as models.",
            show_default=False,
        ),
    ] = None,
    format: ReportFormat = Report.text,
    plugin: Plugins = None,
) -> int:
    """List node types, or say all about one."""
    from ragweave.cli.listing import list_types

    return list_types(name, plugin or [], as_json=format is Report.json)


@app.command()
@at_once
def doctor(
    graph: Annotated[
        Path | None, typer.Argument(metavar="GRAPH", help="A graph file to look at too.", show_default=False)
    ] = None,
    plugin: Plugins = None,
    format: ReportFormat = Report.text,
) -> int:
    """Say what is installed, reachable, stale or missing."""
    from ragweave.cli.doctor import examine

    return examine(graph, plugin or [], as_json=format is Report.json)


@app.command()
@at_once
def new(
    target: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="The folder to make.", show_default=False)
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="NAME", help="What to start from; --list shows what there is.")
    ] = "notes",
    listed: Annotated[bool, typer.Option("--list", help="List what a folder can be made from.")] = False,
) -> int:
    """Make a folder with a graph that runs, as a start for your own."""
    from ragweave.cli.creating import create, list_starts

    if listed or target is None:
        return list_starts()
    return create(target, start)


@app.command()
@at_once
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="The code of a problem, such as RW205.", show_default=False),
    ] = None,
) -> int:
    """Explain the code of a problem, or list all codes."""
    from ragweave.cli.listing import explain_code

    return explain_code(code)


for command in (*past.COMMANDS, *keeping.COMMANDS, *offering.COMMANDS):
    app.command()(command)
app.add_typer(guarding.guard, name="guard")
