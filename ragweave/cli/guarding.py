"""`ragweave guard`: the thresholds of classifying checks, by one's own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragweave.cli.failures import at_once

guard = typer.Typer(no_args_is_help=True, help="Guardrails: thresholds by your own texts.")
TEXTS = ("text", "question", "input", "prompt", "content")
"""The fields of a row in which its text is looked for."""


@guard.command()
@at_once
def calibrate(
    benign: Annotated[
        Path,
        typer.Option(
            "--benign",
            metavar="FILE",
            help="Harmless texts as they come to you: .jsonl or .csv with a text a row, or .txt with one a line.",
            show_default=False,
        ),
    ],
    fpr: Annotated[
        float, typer.Option(help="The share of them that may be taken for harmful.", min=0.0, max=0.5)
    ] = 0.01,
    check: Annotated[str, typer.Option(metavar="TYPE", help="injection or toxicity.")] = "injection",
) -> int:
    """Find the threshold at which so many of your harmless texts are taken for harmful."""
    from ragweave.cli.calibrating import calibrate_check

    return calibrate_check(benign, fpr, check)
