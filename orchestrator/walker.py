"""The walker: the one place where a plan meets asyncio. A branch is a task that runs node after node; joins count
down."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from ragweave.orchestrator.condition import Condition
from ragweave.orchestrator.context import Context
from ragweave.orchestrator.errors import CallTimeout, ConditionError, NodeError, is_transient
from ragweave.orchestrator.events import Event, call_path
from ragweave.orchestrator.ledger import Ledger, Ready
from ragweave.orchestrator.plan import Plan, Step, Way, accept
from ragweave.orchestrator.resources import Resources
from ragweave.orchestrator.run import Run
from ragweave.orchestrator.state import Log, MergeFailed, State, Write, origin_bit, origin_of, read
from ragweave.orchestrator.values import Ask, Failure
from ragweave.orchestrator.wrappers import Parked

BREATH = 255
"""After this many nodes in a row a branch lets the event loop look at timers and other tasks."""
USER = origin_bit("user")


class CallFailed(NodeError):
    """A node has finally failed: `path` says which, `__cause__` why."""

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} failed: {describe(cause)}", transient=is_transient(cause))
        self.path = path
        self.__cause__ = cause


def describe(error: BaseException) -> str:
    """An error in one line: the message of ours, type and message of others."""
    if isinstance(error, (NodeError, MergeFailed)):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def first_state(plan: Plan, inputs: Mapping[str, Any]) -> State:
    """What `start` writes: inputs, defaults, and an empty log for each key that accumulates (R9, R13)."""
    state: State = {}
    for key, declared in plan.spec.state.items():
        if declared.accumulate:
            state[key] = Log(list(declared.default) if declared.has_default and declared.default else [])
        elif declared.has_default:
            state[key] = Write(declared.default, 0)
    for key, value in inputs.items():
        state[key] = Log(list(value), None, USER) if key in plan.logs else Write(value, 0, USER)
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
        "_asks", "_cancelling", "_create", "_failure", "_final", "_future", "_live", "_tasks", "frame", "ledger",
        "plan", "resources", "run",
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
        self._asks: list[tuple[str, Ask]] = []
        self._failure: CallFailed | None = None
        self._cancelling = False
        self._future: asyncio.Future[None] | None = None

    async def execute(self, ready: Ready, deadline: float | None = None) -> dict[str, Any] | Parked:
        """Run what is ready and all that follows. Gives the outputs, or Parked; raises CallFailed.

        When it returns or raises, nothing that it started is running any more (but for calls that ignored their cancel
        for 5 s, which are reported). `deadline` is in seconds from now.
        """
        loop = asyncio.get_running_loop()
        self._create = loop.create_task
        self._future = loop.create_future()
        if self.run.sink is not None:
            self.ledger.on_skip = []
        timer = loop.call_later(deadline, self._expire, deadline) if deadline is not None else None
        for node, state in ready:
            self._spawn(node, state)
        try:
            await self._future
        except asyncio.CancelledError:
            self._cancelling = True
            self._future = loop.create_future()
            self._cancel_all()
            await self._future
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if self._failure is not None:
            raise self._failure
        if self._final is not None:
            return self._outputs(self._final)
        if self._asks:
            return Parked(self._asks)
        raise NodeError(f"{self.plan.spec.name!r} came to a stop before its end", hint="please report this graph")

    def _spawn(self, node: int, state: State) -> None:
        self._live += 1
        self._tasks.add(self._create(self._branch(node, state)))

    def _ended(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            self._tasks.discard(task)
        self._live -= 1
        if self._live == 0 and self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def _branch(self, node: int, state: State) -> None:
        try:
            await self._walk(node, state)
        except asyncio.CancelledError:
            if self._failure is None and not self._cancelling:
                self._fail(CallFailed(self.frame or self.plan.spec.name, NodeError("a node cancelled its own branch")))
        except CallFailed as failure:
            self._fail(failure)
        except Exception as error:
            self._fail(CallFailed(self.frame or self.plan.spec.name, error))
        finally:
            self._ended(asyncio.current_task())

    async def _walk(self, node: int, state: State) -> None:
        """One branch: run a node, pass its state on, go on with the first node that became due, start tasks for
        others."""
        steps, visits, ledger, append = self.plan.steps, self.ledger.visits, self.ledger, self.run.append
        sink, frame = self.run.sink, self.frame
        breath = 0
        while node != 1:
            step = steps[node]
            visits[node] += 1
            visit = visits[node]
            if sink is not None:
                await sink.put(Event("started", frame, step.name, visit))
            breath += 1
            if not breath & BREATH:
                await asyncio.sleep(0)
            origin = step.origin
            try:
                if step.direct is not None:
                    arguments = {}
                    for parameter, key in step.args:
                        entry = state[key]
                        if entry.__class__ is tuple:
                            arguments[parameter] = read(state, key, self.plan.merges)
                            origin |= origin_of(entry)
                        else:
                            arguments[parameter] = entry.value  # type: ignore[union-attr]
                            origin |= entry.origin  # type: ignore[union-attr]
                    result = await step.direct(**arguments)
                    if result.__class__ is dict and step.single is not None and len(result) == 1:
                        name, key, classes = step.single
                        value = result.get(name)
                        if value is not None and (classes is None or isinstance(value, classes)):
                            writes = {key: value}
                        else:
                            writes = accept(step.name, result, step.written, step.always)
                    else:
                        writes = accept(step.name, result, step.written, step.always)
                else:
                    writes, mask = await self._call(step, visit, state)
                    origin |= mask
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
            except Exception as error:
                way, writes, origin = self._failed(step, visit, error), _failure(step, visit, frame, error), 0
                written(state, step, writes, origin)
            record = ("finished", frame, step.name, visit, writes, None, 0, way.index, origin)
            append(record)
            if sink is not None:
                await sink.put(Event(*record))
            if step.next >= 0 and way is step.only:
                node = step.next
                continue
            ready = ledger.finish(step, way, state)
            if ledger.on_skip:
                await self._tell_skipped()
            if not ready:
                return
            for other, carried in ready[1:]:
                self._spawn(other, carried)
            node, state = ready[0]
        self._final = state

    async def _call(self, step: Step, visit: int, state: State) -> tuple[Any, int]:
        """A call with policies, optional or merged reads, or a context: what it writes and the origins of what it
        read."""
        merges = self.plan.merges
        values = {}
        origin = 0
        for key, required in step.reads:
            if required or key in state:
                values[key] = read(state, key, merges)
                origin |= origin_of(state[key])
        ctx = Context(resources=self.resources, run=self.run, frame=self.frame, node=step.name, visit=visit)
        assert step.runner is not None
        return await step.runner(values, ctx), origin

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

    def _failed(self, step: Step, visit: int, error: Exception) -> Way:
        """The way of `on_error`; without one the run fails (R17, R18)."""
        if step.error_way is None:
            path = call_path(self.frame, step.name, visit)
            raise error if isinstance(error, CallFailed) else CallFailed(path, error)
        return step.error_way

    def _park(self, step: Step, visit: int, result: Any) -> None:
        asks = result.asks if isinstance(result, Parked) else ((call_path(self.frame, step.name, visit), result),)
        self._asks.extend(asks)
        if not step.nested:
            for path, ask in asks:
                self.run.journal(Event("asked", self.frame, step.name, visit, {"path": path, "ask": ask}))

    async def _tell_skipped(self) -> None:
        skipped, self.ledger.on_skip = self.ledger.on_skip, []
        for node in skipped or ():
            if self.run.sink is not None and node != 1:
                await self.run.sink.put(Event("skipped", self.frame, self.plan.steps[node].name))

    def _outputs(self, state: State) -> dict[str, Any]:
        outputs = {}
        for key in self.plan.outputs:
            value = read(state, key, self.plan.merges)
            outputs[key] = value.items() if isinstance(value, Log) else value
        return outputs

    def _expire(self, seconds: float) -> None:
        self._fail(CallFailed(self.plan.spec.name, CallTimeout(f"the deadline of {seconds:g} s has passed")))

    def _fail(self, failure: CallFailed) -> None:
        if self._failure is None and not self._cancelling:
            self._failure = failure
            self._cancel_all()

    def _cancel_all(self) -> None:
        """Cancel every branch but the one that asks for it; after the grace the run no longer waits for them."""
        try:
            current = asyncio.current_task()
        except RuntimeError:
            current = None
        for task in list(self._tasks):
            if task is not current:
                task.cancel()
                if task.done() or inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED:  # type: ignore[arg-type]
                    self._ended(task)  # cancelled before its first step: it will never say so itself
        if self._live:
            asyncio.get_running_loop().call_later(self.run.grace, self._abandon)
        elif self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _abandon(self) -> None:
        if self._future is not None and not self._future.done():
            self.run.journal(Event("abandoned", self.frame, data={"calls": self._live}))
            self._future.set_result(None)


def _failure(step: Step, visit: int, frame: str, error: Exception) -> dict[str, Any]:
    cause = error.__cause__ if isinstance(error, CallFailed) and error.__cause__ is not None else error
    path = error.path if isinstance(error, CallFailed) else call_path(frame, step.name, visit)
    return {"error": Failure(node=path, type=type(cause).__name__, message=describe(cause))}
