"""Dates and times by the calendar and the zones, at the edges where heads go wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragweave.orchestrator.errors import ToolError
from ragweave.tools.clock import Clock

clock = Clock(zone="Europe/Berlin")


def test_now_is_told_in_the_zone_that_was_asked_for() -> None:
    stopped = Clock()
    stopped._now = lambda: datetime(2024, 12, 31, 23, 30, 5, 99, tzinfo=UTC)
    assert stopped.now().text == "2024-12-31T23:30:05+00:00"
    tokyo = stopped.now("Asia/Tokyo")
    assert (tokyo.text, tokyo.weekday, tokyo.week, tokyo.day_of_year) == (
        "2025-01-01T08:30:05+09:00", "Wednesday", "2025-W01", 1,
    )  # fmt: skip
    assert stopped.read("today", "Asia/Tokyo").text == "2025-01-01"
    assert stopped.add("now", hours=1).text == "2025-01-01T00:30:05+00:00"
    assert abs((datetime.fromisoformat(Clock().now().text) - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.parametrize(
    ("moment", "amounts", "text", "note"),
    [
        ("2024-01-31", {"months": 1}, "2024-02-29", "that month has 29 days"),
        ("2023-01-31", {"months": 1}, "2023-02-28", "that month has 28 days"),
        ("2024-02-29", {"years": 1}, "2025-02-28", "that month has 28 days"),
        ("2024-03-31", {"months": -1}, "2024-02-29", "that month has 29 days"),
        ("2024-12-31", {"days": 1}, "2025-01-01", ""),
        ("2024-02-27", {"days": 3}, "2024-03-01", ""),
        ("2024-05-31", {"months": 13, "days": -1}, "2025-06-29", "that month has 30 days"),
        ("2024-06-07", {"weekdays": 1}, "2024-06-10", ""),
        ("2024-06-08", {"weekdays": 1}, "2024-06-10", ""),
        ("2024-06-10", {"weekdays": -1}, "2024-06-07", ""),
        ("2024-06-07", {"weekdays": 11}, "2024-06-24", ""),
        ("2024-03-30T02:30", {"days": 1}, "2024-03-31T03:30:00+02:00", "02:30 does not exist on that day"),
        ("2024-03-30T12:00", {"days": 1}, "2024-03-31T12:00:00+02:00", ""),
        ("2024-03-30T12:00", {"hours": 24}, "2024-03-31T13:00:00+02:00", ""),
        ("2024-10-27T01:30", {"hours": 1}, "2024-10-27T02:30:00+02:00", "comes twice on that day; this is the first"),
        ("2024-10-27T01:30", {"hours": 2}, "2024-10-27T02:30:00+01:00", "comes twice on that day; this is the second"),
        ("2024-10-27T02:30:00+02:00", {"minutes": 90}, "2024-10-27T04:00:00+02:00", ""),
        ("2024-01-01T00:00:00Z", {"seconds": -0.5}, "2023-12-31T23:59:59.500000+00:00", ""),
    ],
)
def test_adding(moment: str, amounts: dict[str, Any], text: str, note: str) -> None:
    later = clock.add(moment, **amounts)
    assert later.text == text
    assert note in later.note
    assert bool(note) == bool(later.note)


@pytest.mark.parametrize(
    ("start", "end", "text", "days"),
    [
        ("2024-01-31", "2024-03-01", "1 month, 1 day", 30),
        ("2000-02-29", "2024-02-28", "23 years, 11 months, 30 days", 8765),
        ("2024-03-01", "2024-01-31", "1 month, 1 day earlier", -30),
        ("2024-01-01", "2024-01-01", "no time", 0),
        ("2024-03-30T12:00", "2024-03-31T12:00", "1 day", 23 / 24),
        ("2024-03-31T01:00", "2024-03-31T04:00", "2 hours", 2 / 24),
        ("2024-01-01T23:00", "2024-01-02T01:30", "2 hours, 30 minutes", 2.5 / 24),
        ("2024-01-01", "2024-01-01T06:00", "6 hours", 0.25),
        ("2024-01-01T12:00:00+00:00", "2024-01-01T12:00:00+02:00", "2 hours earlier", -2 / 24),
    ],
)
def test_differences(start: str, end: str, text: str, days: float) -> None:
    between = clock.difference(start, end)
    assert between.text == text
    assert between.total_days == pytest.approx(days)
    assert between.total_seconds == pytest.approx(days * 86400)


@settings(max_examples=100, deadline=None)
@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.dates(date(1900, 1, 1), date(2200, 1, 1)))
def test_a_difference_added_gives_the_end(one: date, other: date) -> None:
    first, last = sorted((one, other))
    between = Clock().difference(str(first), str(last))
    reached = Clock().add(Clock().add(str(first), months=between.years * 12 + between.months).text, days=between.days)
    assert reached.text == str(last)
    days = [first + timedelta(days=n) for n in range(min((last - first).days, 400))]
    if len(days) < 400:
        assert between.weekdays == sum(day.weekday() < 5 for day in days)
    assert 0 <= between.days < 31
    assert 0 <= between.months < 12


@settings(max_examples=100, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 60))
def test_weekdays_are_counted_one_by_one(day: date, count: int) -> None:
    expected, left = day, count
    while left:
        expected += timedelta(days=1)
        left -= expected.weekday() < 5
    if day.weekday() < 5:
        assert Clock().add(str(day), weekdays=count).text == str(expected)
        assert Clock().difference(str(day), str(expected)).weekdays == count


def test_weekdays_are_named() -> None:
    assert clock.read("1969-07-20").weekday == "Sunday"
    assert clock.read("2024-07-20T12:00").zone == "Europe/Berlin"
    assert clock.read("2024-07-20T12:00Z", "America/New_York").text == "2024-07-20T08:00:00-04:00"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clock.now("Europe/Berln"), "no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?"),
        (lambda: clock.now("tokyo"), "did you mean 'Asia/Tokyo'?"),
        (lambda: clock.now("../etc/passwd"), "there is no time zone"),
        (lambda: clock.now("/etc/localtime"), "there is no time zone"),
        (lambda: clock.read("31.03.2024"), "is no date or time"),
        (lambda: clock.read("2024-02-30"), "day is out of range for month"),
        (lambda: clock.add("2024-01-01", hours=1), "is a day; hours can be added to a time; write 2024-01-01T00:00"),
        (lambda: clock.add("9999-12-31", days=1), "not in the years 1 to 9999"),
        (lambda: clock.add("2024-01-01", years=10**6), "not in the years 1 to 9999"),
        (lambda: clock.add("2024-01-01", days=10**9), "at most 10,000,000"),
        (lambda: clock.add("0001-01-01", months=-1), "not in the years 1 to 9999"),
    ],
)
def test_mistakes_say_what_to_write(call: Any, message: str) -> None:
    with pytest.raises(ToolError) as caught:
        call()
    assert message in str(caught.value)
