"""The `ragweave` command."""

from __future__ import annotations

import sys

# Not `typing.TYPE_CHECKING`: a Ctrl-C while `typing` is imported here would be a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command that `sys.argv` names, and leave with its exit status.

    0: done; 1: what was asked for cannot be had, and the last line says why; 2: the command is not understood;
    130: Ctrl-C.
    """
    try:
        from ragweave.cli.interrupts import leave_at_once

        leave_at_once()
        from ragweave.cli.failures import run

        run()
    except KeyboardInterrupt:  # so early, or so often, that nobody else has caught it
        sys.stderr.write("interrupted\n")
        sys.exit(130)
