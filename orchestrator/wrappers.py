"""Policies as wrappers around a call (R14): each takes a call and gives a call; the engine does not know them."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.bound import BoundNode, Member
from ragweave.orchestrator.cache import cache_key
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, NodeError, is_transient
from ragweave.orchestrator.events import Event
from ragweave.orchestrator.policies import CachePolicy, MapPolicy
from ragweave.orchestrator.state import MergeFailed
from ragweave.orchestrator.values import Ask

Runner = Callable[[Mapping[str, Any], Context], Awaitable[Any]]
"""Values by state key and a context in, values by state key (or an Ask, or Parked) out."""

GRACE = 5.0
"""Seconds that a cancelled call has to end; then it is abandoned and reported."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0


class Parked:
    """What a call gives when parts of it wait for people: (path, Ask) pairs."""

    __slots__ = ("asks",)

    def __init__(self, asks: Sequence[tuple[str, Ask]]) -> None:
        self.asks = tuple(asks)


def wrapped(bound: BoundNode, callers: Sequence[Runner]) -> Runner:
    """A node's call with all its policies, outermost first: map(race|fallback(effect(cache(retry(timeout(call))))))."""
    variants = [_attempts(member, caller) for member, caller in zip(bound.members, callers, strict=True)]
    runner = variants[0]
    if len(variants) > 1:
        runner = raced(variants) if bound.racing else with_fallback(variants)
    policy = bound.policies.map
    return mapped(runner, policy, tuple(bound.written)) if policy is not None else runner


def _attempts(member: Member, call: Runner) -> Runner:
    policies = member.policies
    if policies.timeout is not None:
        call = timed(call, policies.timeout)
    if policies.retry:
        call = retried(call, policies.retry)
    if policies.cache is not None:
        call = cached(call, policies.cache, member)
    if member.node.effects != "none":
        call = effectful(call, policies.timeout or GRACE)
    return call


def timed(call: Runner, seconds: float) -> Runner:
    """Raises CallTimeout, which is transient, if the call takes longer."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        task = asyncio.ensure_future(call(values, ctx))
        try:
            done, _ = await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            await stop([task], ctx)
            raise
        if not done:
            await stop([task], ctx)
            raise CallTimeout(f"{ctx.path} took longer than {seconds:g} s")
        return task.result()

    return run


async def stop(tasks: Sequence[asyncio.Future[Any]], ctx: Context) -> None:
    """Cancel calls and wait until they have ended; one that ignores it is abandoned after 5 s and reported."""
    for task in tasks:
        task.cancel()
    if not tasks:
        return
    done, pending = await asyncio.wait(tasks, timeout=GRACE)
    for task in done:
        if not task.cancelled():
            task.exception()
    for _ in pending:
        await ctx.tell("abandoned", reason=f"still running {GRACE:g} s after it was cancelled")


def retried(call: Runner, retries: int) -> Runner:
    """Up to `retries` further attempts after transient errors, with growing pauses, jitter and Retry-After (R16)."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        for attempt in range(retries + 1):
            ctx.attempt = attempt + 1
            try:
                return await call(values, ctx)
            except Exception as error:
                if attempt == retries or not is_transient(error):
                    raise
                pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.5, 1.5)
                asked = error.retry_after if isinstance(error, NodeError) else None
                await ctx.withdraw(str(error))
                await ctx.tell("retry", attempt=attempt + 1, error=str(error))
                await asyncio.sleep(pause if asked is None else max(asked, 0.0))
        raise AssertionError("unreachable")

    return run


def cached(call: Runner, policy: CachePolicy, member: Member) -> Runner:
    """The result of an equal call that is younger than `ttl`, if the store has one; an Ask is never kept."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        if ctx.run is None or ctx.resources is None:
            return await call(values, ctx)
        key = cache_key(member, values, ctx.item_value, ctx.resources)
        hit = await ctx.run.store.cached(key)
        if hit is not None:
            await ctx.tell("cached")
            return hit
        result = await call(values, ctx)
        if isinstance(result, Mapping):
            await ctx.run.store.cache(key, result, policy.ttl)
        return result

    return run


def effectful(call: Runner, seconds: float) -> Runner:
    """Journal an effect before and after; once started, a cancel lets it finish within its timeout (R18, R21)."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        if ctx.run is None:
            return await call(values, ctx)
        here = (ctx.frame, ctx.node, ctx.visit)
        ctx.run.journal(Event("effect_started", *here, {}, ctx.item, ctx.member))
        await ctx.run.flush()
        task = asyncio.ensure_future(call(values, ctx))
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            ctx.run.extend_grace(seconds)
            await asyncio.wait({task}, timeout=seconds)
            if task.done() and not task.cancelled() and task.exception() is None:
                ctx.run.journal(Event("effect_finished", *here, task.result(), ctx.item, ctx.member))
            else:
                task.cancel()
            raise
        if isinstance(result, Mapping):
            ctx.run.journal(Event("effect_finished", *here, result, ctx.item, ctx.member))
        return result

    async def once(values: Mapping[str, Any], ctx: Context) -> Any:
        known = ctx.run.effect_results.get(ctx.path) if ctx.run is not None else None
        return known if known is not None else await run(values, ctx)

    return once


def with_fallback(variants: Sequence[Runner]) -> Runner:
    """The first variant that succeeds, in order; if all fail, the last error, with the earlier ones as notes."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        failures: list[str] = []
        for member, variant in enumerate(variants):
            inner = ctx.inner(member=member)
            try:
                return await variant(values, inner)
            except Exception as error:
                await inner.withdraw(str(error))
                if member == len(variants) - 1:
                    for failure in failures:
                        error.add_note(f"before that: {failure}")
                    raise
                failures.append(str(error))
                await inner.tell("fallback", error=str(error))
        raise AssertionError("unreachable")

    return run


def raced(variants: Sequence[Runner]) -> Runner:
    """All variants at once; the first success wins and the others are cancelled; if all fail, the last error."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        contexts = [ctx.inner(member=member) for member in range(len(variants))]
        tasks: dict[asyncio.Future[Any], Context] = {
            asyncio.ensure_future(variant(values, inner)): inner
            for variant, inner in zip(variants, contexts, strict=True)
        }
        pending: set[asyncio.Future[Any]] = set(tasks)
        failure: BaseException | None = None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda one: tasks[one].member):
                    failure = task.exception()
                    if failure is None:
                        for loser, inner in tasks.items():
                            if loser is not task:
                                await inner.withdraw("another was first")
                        return task.result()
                    await tasks[task].withdraw(str(failure))
        finally:
            await stop(list(pending), ctx)
        raise failure or AssertionError("unreachable")

    return run


def mapped(call: Runner, policy: MapPolicy, keys: Sequence[str]) -> Runner:
    """One call per item of a list, some at a time; results in item order, each key a list or its merge (R15)."""
    merge = registry.get("merges", policy.merge) if policy.merge is not None else None

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        items = list(values[policy.over])
        results: list[Any] = [None] * len(items)
        known = ctx.run.finished_items.get(ctx.path, {}) if ctx.run is not None else {}
        waiting = iter([at for at in range(len(items)) if at not in known])
        for at, writes in known.items():
            results[at] = writes
        failures: list[Exception] = []

        async def work() -> None:
            for at in waiting:
                inner = ctx.inner(item=at, value=(policy.as_, items[at]))
                try:
                    results[at] = await call(values, inner)
                except Exception as error:
                    failures.append(error)
                    if not policy.skip_failed:
                        raise
                    await inner.withdraw(str(error))
                    continue
                if ctx.run is not None and isinstance(results[at], Mapping):
                    ctx.run.journal(Event("item", ctx.frame, ctx.node, ctx.visit, results[at], at))

        await _all([work() for _ in range(min(policy.max_concurrency, len(items)))], ctx)
        if failures and len(failures) == len(items):
            raise failures[0]
        asks = [ask for result in results if isinstance(result, Parked) for ask in result.asks]
        return Parked(asks) if asks else _collected(results, keys, merge)

    return run


def _collected(results: Sequence[Any], keys: Sequence[str], merge: Callable[[list[Any]], Any] | None) -> dict[str, Any]:
    writes: dict[str, Any] = {}
    for key in keys:
        found = [result[key] for result in results if result is not None and key in result]
        if merge is None:
            writes[key] = found
            continue
        try:
            writes[key] = merge(found)
        except Exception as error:
            raise MergeFailed(f"the merge of {len(found)} values of {key!r} failed: {error}") from error
    return writes


async def _all(workers: Sequence[Awaitable[None]], ctx: Context) -> None:
    """Run workers side by side; when one fails the others are cancelled and awaited."""
    if len(workers) == 1:
        await workers[0]
        return
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        with contextlib.suppress(ValueError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await stop([task for task in tasks if not task.done()], ctx)
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()  # type: ignore[misc]
