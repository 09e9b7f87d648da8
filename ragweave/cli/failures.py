"""How a command ends when it does not end well: one readable line, never a traceback, and an exit status."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import typer

from ragweave.cli.interrupts import INTERRUPTED, unwinding
from ragweave.cli.terminal import complain

_BROKEN_PIPE = 141

_USAGE: Any = typer.BadParameter.__base__
"""What typer raises for a command line that it does not understand; it exports only this one of them."""

P = ParamSpec("P")


def run() -> NoReturn:
    """Run the command line; every way out of it passes here."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    status = _status()
    if status == INTERRUPTED:
        with contextlib.suppress(OSError):
            sys.stderr.write("\ninterrupted\n" if sys.stderr.isatty() else "interrupted\n")
    leave(status)


def _open_what_is_closed() -> None:
    """A stream that the shell closed (`>&-`) is None in Python; what goes there is wanted by nobody."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for the whole process


def _status() -> int:
    try:
        from ragweave.cli.app import app

        status = app(prog_name="ragweave", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        return status_of(error)


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
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return INTERRUPTED
    if isinstance(error, _USAGE):
        return _not_understood(error)
    if os.environ.get("RAGWEAVE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    with contextlib.suppress(BrokenPipeError):
        _explain(error)
    return 1


def _not_understood(error: Any) -> int:
    """Say what of the command line was not understood, and where it is explained."""
    command = error.ctx.command_path if error.ctx is not None else "ragweave"
    said = error.format_message().replace("Value error, ", "").rstrip(".")
    if unreadable := re.search(r"[Pp]ath ('.*') is not readable$", said):
        complain(f"{unreadable[1]}: permission denied")
        return 1
    if near := getattr(error, "possibilities", None):
        from ragweave.orchestrator.errors import did_you_mean

        said = f"no such option: {error.option_name}{did_you_mean(error.option_name, near)}"
    with contextlib.suppress(BrokenPipeError):
        if type(error).__name__ == "NoArgsIsHelpError":  # nothing was asked for: the help is all there is to say
            error.show()
            return int(error.exit_code)
        said = said[:1].lower() + said[1:].replace(". Did you mean", "; did you mean")
        if said.startswith("got unexpected extra argument") and command == "ragweave ask":
            said += "; put the question in quotes"
        complain(f"{said}; `{command} -h` explains it")
    return int(error.exit_code)


def _explain(error: BaseException) -> None:
    from ragweave.orchestrator.errors import GraphError, RagweaveError

    if isinstance(error, GraphError):
        from ragweave.cli.problems import write_problems

        write_problems(error.problems, sys.stderr)
    elif isinstance(error, RagweaveError):
        complain(str(error))
    elif isinstance(error, OSError) and error.filename is not None:
        complain(f"{os.fspath(error.filename)!r}: {(error.strerror or type(error).__name__).lower()}")
    elif isinstance(error, OSError) and error.errno is not None:
        complain(_unnamed(error))
    else:
        text = " ".join(str(error).split())
        complain(
            f"{type(error).__name__}{': ' + text if text else ''} (this is a fault of ragweave or of a plugin; "
            "RAGWEAVE_DEBUG=1 shows where)"
        )


def _unnamed(error: OSError) -> str:
    """An error of a file whose name is not told: the output, or the working directory."""
    try:
        Path.cwd()
    except OSError:
        return "the working directory is gone; cd into one that is there"
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno == errno.ENOSPC:
        return f"the output cannot be written: {reason}"
    return f"{reason} (RAGWEAVE_DEBUG=1 shows where)"


def leave(status: int) -> NoReturn:
    """End the process. A reader that has gone away is not worth a message."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError) as error:
        if not isinstance(error, (BrokenPipeError, ValueError)):
            status = status or status_of(error)
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or _BROKEN_PIPE
    sys.exit(status)
