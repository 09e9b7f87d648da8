"""The `ragweave` command."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and leave with its exit status.

    0: done; 1: what was asked for cannot be had, and the last line says why; 2: the command is not understood;
    130: Ctrl-C.
    """
    from ragweave.cli.failures import run

    run()
