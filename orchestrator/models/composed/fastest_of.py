"""The model that begins to answer soonest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pydantic import Field, PrivateAttr

from ragweave.orchestrator.contracts import ChatChunk, ChatRequest
from ragweave.orchestrator.language.policies import Duration
from ragweave.orchestrator.models.composed.breaker import Pass
from ragweave.orchestrator.models.composed.first_of import Listed
from ragweave.orchestrator.models.composed.members import NO_USAGE, Call, Failures, Member, with_usage
from ragweave.orchestrator.models.composed.pump import Pump
from ragweave.orchestrator.values import Usage

_WEIGHT = 0.3


@dataclass(slots=True)
class _Pace:
    """How long a model takes to its first words: a moving average in seconds, and when it was last asked."""

    seconds: float
    asked: float


@dataclass(slots=True)
class _Runner:
    """A model that was asked, beside others."""

    member: Member
    leave: Pass
    call: Call
    pump: Pump


class FastestOf(Listed, type="fastest_of"):
    """Asks the model that lately took the shortest time to its first words; one that fails gives way to the next.

    With `hedge`, the next model is asked as well if the first has said nothing for that long; who speaks first answers,
    the other call is ended (and may be billed). Source of the method: J. Dean and L. Barroso, The Tail at Scale, 2013.
    """

    hedge: Duration | None = Field(None, description="Ask the next model too after this long without a word.")
    remeasure: Duration = Field(300.0, description="A model that was not asked for this long is asked once again.")

    _paces: dict[str, _Pace] = PrivateAttr(default_factory=dict)

    def order(self, request: ChatRequest, members: Sequence[Member]) -> Iterable[Member]:
        """The soonest first; before it one that was never asked, or not lately."""
        now = time.monotonic()
        for member in members:
            pace = self._paces.get(member.name)
            if pace is None or now - pace.asked >= self.remeasure:
                # From now on it counts as asked, so that not every call of this moment goes to a slow model.
                self._paces[member.name] = _Pace(pace.seconds if pace else float("inf"), now)
                return [member, *(other for other in self._by_pace(members) if other is not member)]
        return self._by_pace(members)

    def pace(self, name: str) -> float | None:
        """Seconds to the first words of this model, as a moving average; None if it was not measured."""
        pace = self._paces.get(name)
        return pace.seconds if pace is not None and pace.seconds != float("inf") else None

    def learn(self, member: Member, call: Call) -> None:
        """Measure a call that succeeded."""
        self._measure(member, call.latency)

    def stream(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]:
        """The reply of the model that is asked first, or with `hedge` of the one that speaks first."""
        return self._hedged(request, self.hedge) if self.hedge is not None else super().stream(request)

    def _by_pace(self, members: Sequence[Member]) -> list[Member]:
        return sorted(
            members, key=lambda member: self._paces[member.name].seconds if member.name in self._paces else float("inf")
        )

    def _measure(self, member: Member, seconds: float) -> None:
        before = self.pace(member.name)
        mixed = seconds if before is None else before + _WEIGHT * (seconds - before)
        self._paces[member.name] = _Pace(mixed, time.monotonic())

    async def _hedged(self, request: ChatRequest, hedge: float) -> AsyncGenerator[ChatChunk, None]:
        waiting, running, failures = self.fitting(request), list[_Runner](), Failures(self)
        spent = NO_USAGE
        try:
            while True:
                if not running and not self._start_next(waiting, running, failures):
                    if spent.calls:
                        yield ChatChunk(usage=spent)
                    raise failures.error()
                begun = [runner.pump.begun for runner in running]
                patience = hedge if waiting else None
                await asyncio.wait(begun, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                spoken = [runner for runner in running if runner.pump.begun.done()]
                for runner in [runner for runner in spoken if runner.pump.error is not None and not runner.pump.kept]:
                    assert runner.pump.error is not None
                    self.judge(runner.member, runner.leave, runner.pump.error)
                    failures.add(runner.member, runner.pump.error)
                    spent = spent + runner.call.cost_of_failure()
                    await self._end(runner, running)
                    spoken.remove(runner)
                if spoken:
                    break
                self._start_next(waiting, running, failures)
            winner = spoken[0]
            for other in [runner for runner in running if runner is not winner]:
                spent = spent + self.priced(Usage(calls=1), other.member)
                self._outrun(other, winner)
                await self._end(other, running)
            async with aclosing(self._rest(winner, spent)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            for runner in list(running):
                await self._end(runner, running)

    async def _rest(self, runner: _Runner, spent: Usage) -> AsyncGenerator[ChatChunk, None]:
        """The reply of the one that spoke first."""
        try:
            async for chunk in runner.pump.read():
                yield with_usage(chunk, spent)
        except Exception as error:
            self.judge(runner.member, runner.leave, error)
            yield ChatChunk(usage=spent + runner.call.cost_of_failure())
            raise
        if spent.calls and not runner.call.told:
            yield ChatChunk(usage=spent + self.priced(Usage(calls=1), runner.member))
        runner.member.breaker.succeeded(runner.leave)
        self.learn(runner.member, runner.call)

    def _start_next(
        self, waiting: list[tuple[Member, ChatRequest]], running: list[_Runner], failures: Failures
    ) -> bool:
        """Ask the next member that may be asked; False if there is none."""
        while waiting:
            member, adapted = waiting.pop(0)
            leave = member.breaker.enter()
            if leave is None:
                failures.add_resting(member)
                continue
            call = Call(self, member, adapted)
            running.append(_Runner(member, leave, call, Pump(call.chunks())))
            return True
        return False

    def _outrun(self, slow: _Runner, winner: _Runner) -> None:
        """One that was asked and had not spoken when another did takes at least as long as it was waited for."""
        waited = time.monotonic() - slow.call.started
        before = self.pace(slow.member.name)
        if before is None or waited > before:
            self._measure(slow.member, waited)

    async def _end(self, runner: _Runner, running: list[_Runner]) -> None:
        running.remove(runner)
        await runner.pump.stop()
        runner.member.breaker.gave_up(runner.leave)  # says nothing where a verdict was given
