"""How a command ends when it does not end well: one readable line, never a traceback, and an exit status."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

import typer

from ragweave.cli.interrupts import INTERRUPTED, unwinding
from ragweave.cli.terminal import complain

_BROKEN_PIPE = 141

P = ParamSpec("P")


def run() -> NoReturn:
    """Run the command line; every way out of it passes here."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = _status()
    if status == INTERRUPTED:
        with contextlib.suppress(OSError):
            sys.stderr.write("\ninterrupted\n" if sys.stderr.isatty() else "interrupted\n")
    leave(status)


def _status() -> int:
    try:
        from ragweave.cli.app import app

        app(prog_name="ragweave")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        return status_of(error)
    return 0


def guarded(command: Callable[P, int | None]) -> Callable[P, None]:
    """A command whose errors become a line and an exit status; what it returns is the status. Ctrl-C unwinds it."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> int | None:
        with unwinding():
            return command(*args, **kwargs)

    return at_once(call)


def at_once(command: Callable[P, int | None]) -> Callable[P, None]:
    """The same, but Ctrl-C ends it where it is: parts that have to clean up are `unwinding`."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = command(*args, **kwargs) or 0
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BaseException as error:
            status = status_of(error)
        raise SystemExit(status)

    return call


def status_of(error: BaseException) -> int:
    """Say what went wrong and give the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, BrokenPipeError):
        return _BROKEN_PIPE
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if os.environ.get("RAGWEAVE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    with contextlib.suppress(BrokenPipeError):
        _explain(error)
    return 1


def _explain(error: BaseException) -> None:
    from ragweave.orchestrator.errors import GraphError, RagweaveError

    if isinstance(error, GraphError):
        from ragweave.cli.problems import write_problems

        write_problems(error.problems, sys.stderr)
    elif isinstance(error, RagweaveError):
        complain(str(error))
    elif isinstance(error, OSError) and error.filename is not None:
        complain(f"{os.fspath(error.filename)!r}: {(error.strerror or type(error).__name__).lower()}")
    else:
        text = " ".join(str(error).split())
        complain(
            f"{type(error).__name__}{': ' + text if text else ''} (this is a fault of ragweave or of a plugin; "
            "RAGWEAVE_DEBUG=1 shows where)"
        )


def leave(status: int) -> NoReturn:
    """End the process. A reader that has gone away is not worth a message."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or _BROKEN_PIPE
    sys.exit(status)
