"""Policies as wrappers around a call (R14): each takes a call and gives a call; the engine does not know them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ragweave.orchestrator import registry
from ragweave.orchestrator.checking.bound import BoundNode, Member
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, NodeError, is_transient
from ragweave.orchestrator.language.policies import BudgetPolicy, CachePolicy, MapPolicy
from ragweave.orchestrator.running.effects import effectful
from ragweave.orchestrator.running.events import Event
from ragweave.orchestrator.running.failures import CallFailed, describe
from ragweave.orchestrator.running.run import Parked, Runner
from ragweave.orchestrator.running.state import merged
from ragweave.orchestrator.running.waiting import cancelled_from_outside, stop
from ragweave.orchestrator.types import Type
from ragweave.orchestrator.values import Ask

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""Seconds before the first further attempt, and the most before any; a Retry-After is kept whatever it says."""


def wrapped(bound: BoundNode, callers: Sequence[Runner], keys: Mapping[str, Type]) -> Runner:
    """A node's call with all its policies, outermost first:
    interrupt(map(race|fallback(effect(cache(retry(timeout(budget(call)))))))). `keys` are the types of the state."""
    budget = bound.policies.budget
    variants = [_attempts(member, caller, budget) for member, caller in zip(bound.members, callers, strict=True)]
    runner = variants[0]
    if len(variants) > 1:
        runner = raced(variants) if bound.racing else with_fallback(variants)
    policy = bound.policies.map
    runner = mapped(runner, policy, tuple(bound.written)) if policy is not None else runner
    asked = bound.policies.interrupt
    if asked is None:
        return runner
    from ragweave.orchestrator.running.approval import interrupted  # few graphs ask before a call

    return interrupted(runner, bound, asked, keys)


def _attempts(member: Member, call: Runner, budget: BudgetPolicy | None) -> Runner:
    policies = member.policies
    if budget is not None and budget.max_seconds is not None and not member.node.nested:
        from ragweave.orchestrator.running.budgets.clocks import clocked  # few graphs have a budget

        call = clocked(call)
    if policies.timeout is not None:
        call = timed(call, policies.timeout)
    if policies.retry:
        call = retried(call, policies.retry)
    if policies.cache is not None:
        call = cached(call, policies.cache, member)
    if member.node.effects != "none":
        call = effectful(call, member)
    return call


def timed(call: Runner, seconds: float) -> Runner:
    """Raises CallTimeout, which is transient, if the call takes longer."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        return await limited(
            call, values, ctx, seconds, lambda: CallTimeout(f"{ctx.path} took longer than {seconds:g} s")
        )

    return run


async def limited(
    call: Runner,
    values: Mapping[str, Any],
    ctx: Context,
    seconds: float,
    late: Callable[[], Exception],
    more: Callable[[], float] = float,
) -> Any:
    """The result of a call; if it takes longer than that, and than the seconds that `more` then gives, it is stopped,
    and `late` says what is raised."""
    task = asyncio.ensure_future(call(values, ctx))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done and (longer := more()):
            done, _ = await asyncio.wait({task}, timeout=longer)
    except asyncio.CancelledError:
        await stop([task], ctx)
        if _succeeded(task):
            return task.result()
        raise
    if not done:
        await stop([task], ctx)
        if not _succeeded(task):
            raise late()
    return task.result()


def _succeeded(task: asyncio.Future[Any]) -> bool:
    """True if a call has a result; one that could not be cancelled counts as any other."""
    return task.done() and not task.cancelled() and task.exception() is None


def retried(call: Runner, retries: int) -> Runner:
    """Up to `retries` further attempts after transient errors, with growing pauses, jitter and Retry-After (R16)."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        for attempt in range(retries + 1):
            ctx.attempt = attempt + 1
            try:
                return await call(values, ctx)
            except Exception as error:
                if attempt == retries or not is_transient(error) or cancelled_from_outside():
                    raise
                await ctx.withdraw(str(error))
                await ctx.tell("retry", attempt=attempt + 1, error=str(error))
                await asyncio.sleep(pause_after(attempt + 1, error))
        raise AssertionError("unreachable")

    return run


def pause_after(attempt: int, error: Exception) -> float:
    """Seconds to wait after the first, second, … attempt: what the other side asked for, else twice as long each time,
    give or take half, so that many callers do not come back together."""
    asked = error.retry_after if isinstance(error, NodeError) else None
    if asked is not None:
        return max(asked, 0.0)
    from random import uniform  # only a call that failed pauses

    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE) * uniform(0.5, 1.5)


def cached(call: Runner, policy: CachePolicy, member: Member) -> Runner:
    """The result of an equal call that is younger than `ttl`, if the store has one; an Ask is never kept."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        if ctx.run is None or ctx.resources is None:
            return await call(values, ctx)
        from ragweave.orchestrator.running.cache import cache_key  # few graphs cache

        key = cache_key(member, values, ctx.item_value, ctx.resources)
        store, tenant = ctx.run.store, ctx.run.tenant
        hit = await store.cached(key, tenant)
        if hit is not None and not store.live:
            from ragweave.orchestrator.running.typed import member_types, typed  # what is read from a disk is JSON

            kinds = member_types([member])
            hit = {name: typed(value, kinds[name], f"the cache: {name!r}") for name, value in hit.items()}
        if hit is not None:
            ctx.run.journal(Event("cached", ctx.frame, ctx.node, ctx.visit, {}, ctx.item, ctx.member))
            return hit
        result = await call(values, ctx)
        made_do = ctx.run.budgets is not None and ctx.path in ctx.run.budgets.changed
        if isinstance(result, Mapping) and not made_do:
            await store.cache(key, result, policy.ttl, run_id=ctx.run.run_id, tenant=tenant)
        return result

    return run


def with_fallback(variants: Sequence[Runner]) -> Runner:
    """The first variant that succeeds, in order; if all fail, the last error, with the earlier ones as notes.

    A resumed run goes on with the variant in which it stood.
    """
    last = len(variants) - 1

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        failures: list[str] = []
        for member in range(_stood(ctx, last), last + 1):
            inner = ctx.inner(member=member)
            try:
                return await variants[member](values, inner)
            except Exception as error:
                await inner.withdraw(str(error))
                if member == last or cancelled_from_outside():
                    for failure in failures:
                        error.add_note(f"before that: {failure}")
                    raise
                failures.append(str(error))
                if ctx.resources is not None:
                    said = f"{ctx.node}: {describe(error)}; its fallback is asked instead"
                    ctx.resources.say_once(said, about=f"fallback {ctx.node}/{member}")
                await inner.tell("fallback", error=str(error))
        raise AssertionError("unreachable")

    return run


def _stood(ctx: Context, last: int) -> int:
    """The last member in which the run stood when it was resumed; 0 if it did not."""
    if ctx.run is not None and ctx.run.stood:
        for member in range(last, 0, -1):
            if ctx.run.stood_in(ctx.inner(member=member).path):
                return member
    return 0


def raced(variants: Sequence[Runner]) -> Runner:
    """All variants at once; the first success wins and the others are cancelled. If none succeeds, what they ask; if
    none asks either, the last error. A resumed run goes on with those that asked."""

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        contexts = [ctx.inner(member=member) for member in range(len(variants))]
        if ctx.run is not None and ctx.run.stood:
            contexts = [inner for inner in contexts if ctx.run.stood_in(inner.path)] or contexts
        tasks: dict[asyncio.Future[Any], Context] = {
            asyncio.ensure_future(variants[inner.member](values, inner)): inner for inner in contexts
        }
        try:
            winner, failure, asks = await _first(tasks)
        finally:
            await stop([task for task in tasks if not task.done()], ctx)
        for task, inner in tasks.items():
            if task is not winner and not _asks(task):
                await inner.withdraw("another was first" if winner is not None else str(failure))
        if winner is not None:
            return winner.result()
        if asks:
            return Parked(asks)
        raise failure or AssertionError("unreachable")

    return run


async def _first(
    tasks: Mapping[asyncio.Future[Any], Context],
) -> tuple[asyncio.Future[Any] | None, BaseException | None, list[tuple[str, Ask]]]:
    """Wait for the first success: the task, or else the last error and all asks."""
    failure: BaseException | None = None
    asks: list[tuple[str, Ask]] = []
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(done, key=lambda one: tasks[one].member):
            if task.exception() is not None:
                failure = task.exception()
            elif _asks(task):
                asks.extend(task.result().asks)
            else:
                return task, None, []
    return None, failure, asks


def _asks(task: asyncio.Future[Any]) -> bool:
    return _succeeded(task) and isinstance(task.result(), Parked)


def mapped(call: Runner, policy: MapPolicy, keys: Sequence[str]) -> Runner:
    """One call per item of a list, some at a time; results in item order, each key a list or its merge (R15)."""
    merge = registry.get("merges", policy.merge) if policy.merge is not None else None

    async def run(values: Mapping[str, Any], ctx: Context) -> Any:
        items = list(values[policy.over])
        results: list[Any] = [None] * len(items)
        known = ctx.run.finished_items.get(ctx.path, {}) if ctx.run is not None else {}
        if all(at in known and known[at] is None for at in range(len(items))):
            known = {}  # the node failed because all items did: it is called again as a whole
        waiting = iter([at for at in range(len(items)) if at not in known])
        for at, writes in known.items():
            results[at] = writes
        failures: dict[int, Exception] = {}
        contexts: list[Context] = []

        async def work() -> None:
            for at in waiting:
                inner = ctx.inner(item=at, value=(policy.as_, items[at]))
                contexts.append(inner)
                try:
                    results[at] = await call(values, inner)
                except Exception as error:
                    failures[at] = error if isinstance(error, CallFailed) else CallFailed(inner.path, error)
                    if not (policy.skip_failed or _left_out(inner, error)) or cancelled_from_outside():
                        raise failures[at] from error
                    await inner.withdraw(str(error))
                    await _journal(ctx, Event("item_failed", ctx.frame, ctx.node, ctx.visit, _told(error), at))
                else:
                    if isinstance(results[at], Mapping):
                        await _journal(ctx, Event("item", ctx.frame, ctx.node, ctx.visit, results[at], at))
                if cancelled_from_outside():
                    raise asyncio.CancelledError

        try:
            await _all([work() for _ in range(min(policy.max_concurrency, len(items)))], ctx)
            if items and all(result is None for result in results):
                raise failures[min(failures)]
        except Exception as error:
            for inner in contexts:
                await inner.withdraw(str(error))
            raise
        asks = [ask for result in results if isinstance(result, Parked) for ask in result.asks]
        return Parked(asks) if asks else collected(results, keys, merge)

    return run


def _left_out(ctx: Context, error: Exception) -> bool:
    """True of an item for which there was no budget, where that keeps those that are finished."""
    if ctx.run is None or ctx.run.budgets is None:
        return False
    from ragweave.orchestrator.running.budgets.ending import exceeded_in  # for graphs with a budget

    exceeded = exceeded_in(error)
    return exceeded is not None and exceeded.partial


def _told(error: Exception) -> dict[str, Any]:
    return {"error": str(error)}


async def _journal(ctx: Context, event: Event) -> None:
    """Append an event, and show it to whoever listens, who may be slow: items can be many."""
    if ctx.run is None:
        return
    ctx.run.append(event.record())
    if ctx.run.sink is not None:
        await ctx.run.sink.put(event)


def collected(results: Sequence[Any], keys: Sequence[str], merge: Callable[[list[Any]], Any] | None) -> dict[str, Any]:
    """What a mapped node writes, of what its items wrote in their order; None for one that was left out."""
    writes: dict[str, Any] = {}
    for key in keys:
        found = [result[key] for result in results if result is not None and key in result]
        writes[key] = found if merge is None else merged(merge, key, found)
    return writes


async def _all(workers: Sequence[Awaitable[None]], ctx: Context) -> None:
    """Run workers side by side; when one fails the others are cancelled and awaited."""
    if len(workers) == 1:
        await workers[0]
        return
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await stop([task for task in tasks if not task.done()], ctx)
    # All of them are looked at: asyncio complains of an error that nobody has seen.
    for error in [task.exception() for task in tasks if not task.cancelled()]:
        if error is not None:
            raise error
