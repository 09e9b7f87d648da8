"""The walker: the one place where a plan meets asyncio. A branch is a task that runs node after node; joins count
down."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, ConditionError, NodeError, RagweaveError
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.running.accepting import accept_directly
from ragweave.orchestrator.running.budgets.ending import limit, what_is_left
from ragweave.orchestrator.running.events import Event, Record, call_path, clock
from ragweave.orchestrator.running.failures import CallFailed, failure_of_call
from ragweave.orchestrator.running.labels import Labels
from ragweave.orchestrator.running.ledger import Ledger, Ready
from ragweave.orchestrator.running.plan import Plan, Step, Way
from ragweave.orchestrator.running.run import Parked, Run
from ragweave.orchestrator.running.state import Log, MergeFailed, State, Write, origin_bit, origin_of, read
from ragweave.orchestrator.running.waiting import failure_of
from ragweave.orchestrator.values import Ask

if TYPE_CHECKING:
    from ragweave.orchestrator.checking.condition import Condition

BREATH = 255
"""After this many nodes in a row a branch lets the event loop look at timers and other tasks."""
USER = origin_bit("user")


class RunCancelled(RagweaveError):
    """The run was cancelled by its id."""


def first_state(plan: Plan, inputs: Mapping[str, Any], origins: Mapping[str, int] | None = None) -> State:
    """What `start` writes: inputs, defaults, and an empty log for each key that accumulates (R9, R13).

    `origins` are those of the inputs of a graph that runs as a node; what a run is given is the user's.
    """
    state: State = {}
    for key, declared in plan.spec.state.items():
        if declared.accumulate:
            state[key] = Log(list(declared.default) if declared.has_default and declared.default else [])
        elif declared.has_default:
            state[key] = Write(declared.default, 0)
    for key, value in inputs.items():
        origin = USER if origins is None else origins.get(key, 0)
        state[key] = Log(list(value), None, origin) if key in plan.logs else Write(value, 0, origin)
    return state


def written(state: State, step: Step, writes: Mapping[str, Any], origin: int) -> None:
    """Put a node's writes into the state that it passes on."""
    for key, value in writes.items():
        if key in step.logs:
            log = state.get(key)
            state[key] = (log if isinstance(log, Log) else Log()).added(value, origin)
        else:
            state[key] = Write(value, step.index, origin)


class Walker:
    """Runs one graph of a run: the outermost, or one that a node of type `graph` holds (`frame` is then its path)."""

    __slots__ = (
        "_abandoned", "_asks", "_create", "_failure", "_final", "_future", "_live", "_stopping", "_tasks", "_timers",
        "early", "frame", "ledger", "plan", "resources", "run", "standing",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, run: Run, resources: Resources, frame: str = "", ledger: Ledger | None = None
    ) -> None:
        self.plan = plan
        self.run = run
        self.resources = resources
        self.frame = frame
        self.ledger = ledger if ledger is not None else Ledger(plan)
        self._tasks: set[asyncio.Task[None]] = set()
        self._live = 0
        self._final: State | None = None
        # Tuples: most runs ask nothing, and an empty list each would be work for the garbage collector.
        self._asks: tuple[tuple[str, Ask], ...] = ()
        self._failure: CallFailed | RunCancelled | None = None
        self._stopping = False
        """True once a failure or a cancel has come: nothing starts any more."""
        self._abandoned = False
        """True once it no longer waits for calls that ignore their cancel."""
        self._timers: tuple[asyncio.TimerHandle, ...] = ()
        self._future: asyncio.Future[None] | None = None
        self.standing: dict[int, State] | None = None
        """Where there are budgets, what the calls see that go on or are about to."""
        self.early: dict[str, Any] | None = None
        """The outputs with which the graph ends, since its budget lets nothing more be done."""

    async def execute(
        self, ready: Ready, deadline: float | None = None, whole: float | None = None
    ) -> dict[str, Any] | Parked:
        """Run what is ready and all that follows. Gives the outputs, or Parked; raises CallFailed, RunCancelled.

        When it returns or raises, nothing that it started is running any more (but for calls that ignored their cancel
        for 5 s, which are reported). `deadline` is in seconds from now; it may be the rest of `whole`, which messages
        name.
        """
        loop = asyncio.get_running_loop()
        self._create = loop.create_task
        self._future = loop.create_future()
        if self.run.sink is not None:
            self.ledger.on_skip = []
        if deadline is not None:
            self._timers += (loop.call_later(deadline, self._expire, whole or deadline),)
        self._live = 1  # for the time that it takes to start what is ready
        limits = None if self.run.budgets is None else limit(self, ready)
        for node, state in ready:
            if not self._stopping and not self._still_asks(node):
                self._spawn(node, state)
        self._ended(None)
        try:
            await self._future
        except asyncio.CancelledError:
            await self._wind_up()
            raise
        finally:
            for timer in self._timers:
                timer.cancel()
            if limits is not None:
                limits.stop()
        if self.early is not None:
            self.run.journal(Event("ended", self.frame, data={"outputs": self.early}))
            return self.early
        if self._failure is not None:
            raise self._failure
        if self._final is not None:
            return self._outputs(self._final)
        if self._asks:
            return Parked(self._asks)
        error = NodeError("it came to a stop before its end", hint="please report this graph")
        raise CallFailed(self._name, error)

    def cancel(self, reason: str = "") -> None:
        """End the run from outside: nothing starts any more, `execute` raises RunCancelled, which says the reason."""
        self._fail(RunCancelled(f"run {self.run.run_id} was cancelled" + (f": {reason}" if reason else "")))

    def add_timer(self, timer: asyncio.TimerHandle) -> None:
        """One that is of no use once the graph has ended."""
        self._timers += (timer,)

    @property
    def _name(self) -> str:
        return self.frame.rstrip("/") or self.plan.spec.name

    def _still_asks(self, node: int) -> bool:
        """True if this call asked before the run was resumed and has no answer: it is not made again."""
        if not self.run.pending:
            return False
        step = self.plan.steps[node]
        if step.bound is not None and step.bound.racing:  # another of the race may have its answer
            return False
        path = call_path(self.frame, step.name, self.ledger.visits[node] + 1)
        if path not in self.run.pending:
            return False
        self._asks += ((path, self.run.pending[path]),)
        return True

    def _spawn(self, node: int, state: State) -> None:
        self._live += 1
        task = self._create(self._branch(node, state))
        if not task.done():  # as it is already where tasks start eagerly
            self._tasks.add(task)

    def _ended(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._tasks.discard(task)
        self._live -= 1
        if self._live == 0 and self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def _branch(self, node: int, state: State) -> None:
        try:
            await self._walk(node, state)
        except GeneratorExit:  # the event loop is gone, and nobody waits
            raise
        except asyncio.CancelledError:
            self._fail(CallFailed(self._name, NodeError("one of its tasks was cancelled from outside")))
        except CallFailed as failure:
            self._fail(failure)
        except BaseException as error:
            self._fail(CallFailed(self._name, error))
            if isinstance(error, KeyboardInterrupt):
                self._ended(asyncio.current_task())
                raise
        self._ended(asyncio.current_task())

    async def _walk(self, node: int, state: State) -> None:
        """One branch: run a node, pass its state on, go on with the first node that became due, start tasks for
        others."""
        steps, visits, ledger, append = self.plan.steps, self.ledger.visits, self.ledger, self.run.append
        sink, frame, unhurried, standing, breath = self.run.sink, self.frame, self.run.unhurried, self.standing, 0
        while node != 1:
            step = steps[node]
            visits[node] = visit = visits[node] + 1
            if sink is not None:
                await sink.put(Event("started", frame, step.name, visit))
            breath += 1
            if not breath & BREATH:
                await asyncio.sleep(0)
            try:
                if step.direct is not None:
                    origin, arguments = step.origin, {}
                    for parameter, key in step.args:
                        entry = state[key]
                        several = entry.__class__ is tuple
                        arguments[parameter] = read(state, key, self.plan.merges) if several else entry.value  # type: ignore[union-attr]
                        origin |= origin_of(entry) if several else entry.origin  # type: ignore[union-attr]
                    writes = accept_directly(step, await step.direct(**arguments))
                else:
                    writes, origin = await self._call(step, visit, state)
                if writes.__class__ is not dict:
                    self._park(step, visit, writes)
                    return
                way = step.only
                if way is None:
                    way, state = self._choose(step, state, writes, origin)
                elif step.logs:
                    written(state, step, writes, origin)
                else:
                    for key, value in writes.items():
                        state[key] = Write(value, node, origin)
            except BaseException as raised:
                way, writes, origin = self._failed(step, visit, state, failure_of(step.name, raised))
            record = ("finished", frame, step.name, visit, writes, None, 0, way.index, origin, clock())
            if self._stopping:
                self._keep(record)
                return
            append(record)
            if unhurried:
                await self.run.flush()
            if sink is not None:
                await sink.put(Event(*record))
            if step.next >= 0 and way is step.only:
                if standing is not None:
                    standing[step.next] = standing.pop(node, state)
                node = step.next
                continue
            ready = ledger.finish(step, way, state)
            if standing is not None:
                self._stand(node, ready)
            if ledger.on_skip:
                await self._tell_skipped()
            for other, carried in ready[1:]:
                self._spawn(other, carried)
            if not ready:
                return
            node, state = ready[0]
        self._final = state

    async def _call(self, step: Step, visit: int, state: State) -> tuple[Any, int]:
        """A call with policies, optional or merged reads, or a context: what it writes, and the origins."""
        merges = self.plan.merges
        values = {}
        origin = step.origin
        for key, required in step.reads:
            if required or key in state:
                values[key] = read(state, key, merges)
                origin |= origin_of(state[key])
        ctx = Context(resources=self.resources, run=self.run, frame=self.frame, node=step.name, visit=visit)
        assert step.runner is not None
        if step.labelled:
            self.run.origins[ctx.path] = Labels(state, values)
        try:
            writes = await step.runner(values, ctx)
            return writes, (origin | ctx.heard) & ~step.clears
        except Exception as error:
            await ctx.withdraw(str(error))
            raise
        finally:
            if step.labelled:
                del self.run.origins[ctx.path]

    def _choose(self, step: Step, state: State, writes: Mapping[str, Any], origin: int) -> tuple[Way, State]:
        """The first route that holds on the state after the writes (R6). A condition that fails leaves `state`
        untouched."""
        after = state if step.error_way is None else dict(state)
        written(after, step, writes, origin)
        for way in step.ways:
            if way.bound is not None and self.ledger.bounds[way.bound_index] >= way.bound:
                continue
            if way.condition is None or way.condition.holds(self._seen(after, way.condition)):
                return way, after
        raise ConditionError(f"no route of {step.name!r} holds")

    def _seen(self, state: State, condition: Condition) -> dict[str, Any]:
        return {key: read(state, key, self.plan.merges) for key in condition.keys}

    def _failed(self, step: Step, visit: int, state: State, error: Exception) -> tuple[Way, dict[str, Any], int]:
        """The way of `on_error`, what it writes and the origins; without one the run fails (R17, R18)."""
        if self._stopping:
            raise asyncio.CancelledError  # what a call makes of its cancel is no failure
        if step.error_way is None:
            raise error if isinstance(error, CallFailed) else CallFailed(call_path(self.frame, step.name, visit), error)
        writes, origin = failure_of_call(call_path(self.frame, step.name, visit), error), step.origin
        for key, _ in step.reads:
            origin |= origin_of(state[key]) if key in state else 0
        written(state, step, writes, origin)
        return step.error_way, writes, origin

    def _stand(self, node: int, ready: Ready) -> None:
        """A node has finished, and these are due."""
        if self.standing is not None:
            self.standing.pop(node, None)
            self.standing.update(ready)

    def _park(self, step: Step, visit: int, result: Any) -> None:
        if self._abandoned:
            return
        asks = result.asks if isinstance(result, Parked) else ((call_path(self.frame, step.name, visit), result),)
        self._asks += tuple(asks)
        for path, ask in asks:
            if path not in self.run.asked:  # else the graph inside, or the run before it was resumed, has said so
                self.run.asked |= {path}
                self.run.journal(Event("asked", self.frame, step.name, visit, {"path": path, "ask": ask}))

    def _keep(self, record: Record) -> None:
        """A call finished although the run is being stopped: that is kept, unless nobody has waited for it."""
        if not self._abandoned:
            self.run.journal(Event(*record))

    async def _tell_skipped(self) -> None:
        skipped, self.ledger.on_skip = self.ledger.on_skip, []
        for node in skipped or ():
            if self.run.sink is not None and node != 1:
                await self.run.sink.put(Event("skipped", self.frame, self.plan.steps[node].name))

    def _outputs(self, state: State) -> dict[str, Any]:
        outputs = {}
        for key in self.plan.outputs:
            if key not in state and key in self.plan.spec.loose:
                continue
            try:
                value = read(state, key, self.plan.merges)
            except MergeFailed as error:
                raise CallFailed(f"{self.frame}{self.plan.steps[1].name}", error) from error
            except KeyError:
                if self.run.budgets is None:
                    raise
                continue  # the graph came to its end early, before the run was resumed
            outputs[key] = value.items() if isinstance(value, Log) else value
        return outputs

    def _expire(self, seconds: float) -> None:
        self._fail(CallFailed(self._name, CallTimeout(f"the deadline of {seconds:g} s has passed")))

    def _fail(self, failure: CallFailed | RunCancelled) -> None:
        if not self._stopping and self._live:
            self._failure = failure
            if self.standing is not None:
                self.early = what_is_left(self, failure)
            self._cancel_all()

    def stop(self, error: Exception) -> None:
        """End the run of this graph for an error of its own."""
        self._fail(CallFailed(self._name, error))

    async def _wind_up(self) -> None:
        """Cancel every branch and wait for them, however often the waiting is cancelled too."""
        loop = asyncio.get_running_loop()
        if not self._stopping:
            self._cancel_all()
        while self._live and not self._abandoned:
            self._future = loop.create_future()
            with contextlib.suppress(asyncio.CancelledError):
                await self._future

    def _cancel_all(self) -> None:
        """Cancel every branch but the one that asks for it, once; after the grace the run no longer waits for them."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()
                if task.done() or inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:  # type: ignore[arg-type]
                    self._ended(task)  # cancelled before its first step: it will never say so itself
        if self._live:
            patience = self.run.patience(self.frame, call=False)
            self._timers += (loop.call_later(patience, self._abandon, loop.time()),)

    def _abandon(self, since: float) -> None:
        """Wait no longer, unless a started effect has been given more time."""
        loop = asyncio.get_running_loop()
        left = since + self.run.patience(self.frame, call=False) - loop.time()
        if left > 0.001:
            self._timers += (loop.call_later(left, self._abandon, since),)
        elif self._future is not None and not self._future.done():
            self.run.journal(Event("abandoned", self.frame, data={"calls": self._live}))
            self._abandoned = True
            self._future.set_result(None)
