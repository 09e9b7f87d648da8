"""Effects: journaled before and after, never repeated blindly (R18, R21)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.checking.bound import Member
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, Denied
from ragweave.orchestrator.running import run as running
from ragweave.orchestrator.running.events import Event, asking
from ragweave.orchestrator.running.run import Parked, Run, Runner
from ragweave.orchestrator.running.waiting import stop, uninterrupted
from ragweave.orchestrator.values import Ask, ToolCall

REPEAT, SKIP, FAIL = "repeat", "skip", "fail"
"""What a person may decide on an effect of unknown outcome: call again, go on as if it had happened, fail the node."""
_LONGEST = 2000
"""Characters of a call's arguments that the question shows."""


def effectful(call: Runner, member: Member) -> Runner:
    """The call of an effect: done once, asked about if nobody can know whether it was done."""
    seconds = member.policies.timeout
    certain = any(write.certain for write in member.signature.writes.values())
    choices = (REPEAT, FAIL) if certain else (REPEAT, SKIP, FAIL)

    async def once(values: Mapping[str, Any], ctx: Context) -> Any:
        run = ctx.run
        if run is None:
            return await call(values, ctx)
        effects, idempotent = await member.node.effect_of(ctx.item_value[1] if ctx.item_value else None, ctx)
        if effects == "none":
            return await call(values, ctx)
        path = ctx.path
        if path in run.pending:
            return Parked([(path, run.pending[path])])
        known = run.effects.get(path)
        if known is not None:
            return known
        if path in run.effects and not idempotent:
            decision = run.answers.get(asking(path))
            if not decision:
                return question(path, choices, ctx.item_value[1] if ctx.item_value else None)
            if decision[-1] == SKIP:
                return {}
            if decision[-1] == FAIL:
                raise Denied(f"{path} may or may not have happened, and is not to be repeated")
        try:
            return await _journaled(call, values, ctx, run, seconds)
        except Exception as error:
            if idempotent or not _unknown(error):
                raise
            return question(path, choices, ctx.item_value[1] if ctx.item_value else None)

    return once


def question(path: str, choices: tuple[str, ...], item: Any = None) -> Parked:
    """The Ask about an effect of unknown outcome; of a tool's call it says which."""
    text = f"{path} was started, and nobody knows whether it was done. What now?"
    if isinstance(item, ToolCall):
        arguments = json.dumps(item.arguments, ensure_ascii=False, default=str)
        text += f" It is {item.name} of {arguments if len(arguments) <= _LONGEST else f'{arguments[:_LONGEST]}…'}"
    return Parked([(asking(path), Ask(question=text, schema={"type": "string", "enum": list(choices)}))])


async def _journaled(call: Runner, values: Mapping[str, Any], ctx: Context, run: Run, seconds: float | None) -> Any:
    _tell(run, ctx, "effect_started", {})
    try:
        await run.flush(safe=True)
    except BaseException:
        _tell(run, ctx, "effect_ended", {"error": "it was not begun"})
        raise
    task = asyncio.ensure_future(call(values, ctx))
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        seconds = seconds if seconds is not None else running.GRACE
        run.extend_grace(seconds)
        with contextlib.suppress(asyncio.CancelledError):
            await uninterrupted(asyncio.wait({task}, timeout=seconds))
        if not task.done():
            await stop([task], ctx)
            raise
    if not task.cancelled():
        _outcome(task, run, ctx)
        await run.flush(safe=True)
    return task.result()


def _outcome(task: asyncio.Future[Any], run: Run, ctx: Context) -> None:
    """Journal how the call ended, if that says whether the effect happened."""
    error = task.exception()
    if error is not None:
        if not _unknown(error):
            _tell(run, ctx, "effect_ended", {"error": str(error)})
    elif isinstance(task.result(), Mapping):
        _tell(run, ctx, "effect_finished", task.result())
    else:
        _tell(run, ctx, "effect_ended", {"error": "it asks first"})


def _unknown(error: BaseException) -> bool:
    """True if the call may have happened although it ended with this error."""
    lost = isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError)
    return lost or isinstance(error, (CallTimeout, TimeoutError)) or not isinstance(error, Exception)


def _tell(run: Run, ctx: Context, kind: str, data: Mapping[str, Any]) -> None:
    run.journal(Event(kind, ctx.frame, ctx.node, ctx.visit, data, ctx.item, ctx.member))
