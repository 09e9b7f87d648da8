"""The circuit breaker, against a plain account of what it has to do."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ragweave.orchestrator.models.composed.breaker import Breaker, Pass


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_and_closes_when_a_try_succeeds() -> None:
    clock = Clock()
    breaker = Breaker(2, 30.0, clock)
    for _ in range(2):
        leave = breaker.enter()
        assert leave is not None
        breaker.failed(leave, "overloaded")
    assert (breaker.state, breaker.enter(), breaker.due_in(), breaker.reason) == ("open", None, 30.0, "overloaded")
    clock.now += 30
    leave = breaker.enter()
    assert leave is not None
    assert (breaker.state, breaker.enter()) == ("half_open", None)
    breaker.succeeded(leave)
    assert breaker.state == "closed"


def test_a_try_whose_caller_went_away_leaves_room_for_the_next() -> None:
    clock = Clock()
    breaker = Breaker(1, 30.0, clock)
    first = breaker.enter()
    assert first is not None
    breaker.failed(first)
    clock.now += 31
    probe = breaker.enter()
    assert probe is not None
    breaker.gave_up(probe)
    assert breaker.enter() is not None


def test_a_late_failure_of_an_earlier_call_says_nothing_about_now() -> None:
    clock = Clock()
    breaker = Breaker(1, 30.0, clock)
    early, late = breaker.enter(), breaker.enter()
    assert early is not None
    assert late is not None
    breaker.failed(early)
    clock.now += 30
    probe = breaker.enter()
    assert probe is not None
    breaker.failed(late)
    assert (breaker.state, breaker.enter()) == ("half_open", None)
    breaker.succeeded(probe)
    assert breaker.enter() is not None


def test_a_server_that_asks_for_a_longer_pause_gets_it_and_a_lasting_fault_opens_at_once() -> None:
    clock = Clock()
    breaker = Breaker(3, 30.0, clock)
    leave = breaker.enter()
    assert leave is not None
    breaker.failed(leave, lasting=True, pause=90.0)
    clock.now += 89
    assert breaker.enter() is None
    clock.now += 1
    assert breaker.enter() is not None


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin and end in any order, beside an account of the state that they should leave."""

    @initialize(open_after=st.integers(1, 4), pause=st.sampled_from([1.0, 30.0]))
    def begin(self, open_after: int, pause: float) -> None:
        self.clock = Clock()
        self.open_after, self.pause = open_after, pause
        self.breaker = Breaker(open_after, pause, self.clock)
        self.calls: list[tuple[Pass, int]] = []
        self.state, self.row, self.until, self.changes = "closed", 0, 0.0, 0

    def turn(self, state: str) -> None:
        self.state, self.row, self.changes = state, 0, self.changes + 1

    @rule(seconds=st.sampled_from([0.1, 1.0, 29.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def enter(self) -> None:
        leave = self.breaker.enter()
        if self.state == "open" and self.clock.now >= self.until:
            self.turn("half_open")
            assert leave is not None
        else:
            assert (leave is not None) == (self.state == "closed")
        if leave is not None:
            self.calls.append((leave, self.changes))

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), end=st.sampled_from(["succeeded", "failed", "gave_up"]))
    def end(self, data: st.DataObject, end: str) -> None:
        leave, changes = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        getattr(self.breaker, end)(leave)
        if changes != self.changes:
            return
        if end == "succeeded":
            self.row = 0
            if self.state == "half_open":
                self.turn("closed")
        elif end == "failed":
            self.row += 1
            if self.state == "half_open" or self.row >= self.open_after:
                self.until = self.clock.now + self.pause
                self.turn("open")
        elif self.state == "half_open":
            self.turn("open")

    @invariant()
    def the_states_agree(self) -> None:
        assert self.breaker.state == self.state

    @invariant()
    def at_most_one_call_tries_whether_it_is_back(self) -> None:
        if self.state == "half_open":
            assert sum(changes == self.changes for _, changes in self.calls) == 1


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBreaker = BreakerMachine.TestCase
