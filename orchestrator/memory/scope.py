"""Whose memory a run reads and writes."""

from __future__ import annotations

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.contracts import Scope


def scope_of(ctx: Context) -> Scope | None:
    """The scope of the run of this call; None for a run that belongs to no conversation, and so has no memory."""
    run = ctx.run
    if run is None or not run.thread_id:
        return None
    return Scope(getattr(run, "tenant", ""), run.user, run.thread_id)
