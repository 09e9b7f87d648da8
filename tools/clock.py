"""Date and time arithmetic by the calendar and the rules of time zones, which no model knows by heart.

Days, weeks, months and years are of the calendar: the wall clock stays, and a month later than 31 January is the last
of February. Hours, minutes and seconds are elapsed time: over a change of the clocks the wall clock moves with it.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ragweave.orchestrator.errors import ToolError, did_you_mean

_MOST = 10**7


class Moment(BaseModel):
    """A point in time, or a day: as ISO 8601, its weekday, and what to know of it."""

    model_config = ConfigDict(frozen=True)

    text: str
    """`2024-03-31T01:30:00+01:00`, or `2024-03-31` of a day."""
    weekday: str
    zone: str = ""
    """Empty of a day."""
    week: str = ""
    """The ISO week, `2024-W13`."""
    day_of_year: int = 0
    note: str = ""


class Difference(BaseModel):
    """From one moment to another; negative if the second is earlier. `years`, `months` and `days` add up to it by the
    calendar, with `seconds` of the last day; `total_days` and `total_seconds` are all of it."""

    model_config = ConfigDict(frozen=True)

    text: str
    years: int
    months: int
    days: int
    seconds: float
    total_days: float
    total_seconds: float
    weekdays: int
    """Days from Monday to Friday that begin in it, the first day included, the last one not."""


class Clock(BaseModel):
    """Now, other moments, and what lies between them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zone: str = Field("UTC", description="The time zone where none is given, such as Europe/Berlin.")

    _now: Callable[[], datetime] = PrivateAttr(default_factory=lambda: _utc)

    def now(self, zone: str = "") -> Moment:
        """The time in a zone. Raises ToolError for one that there is not."""
        return self._told(self._now().astimezone(self._zone(zone)).replace(microsecond=0))

    def read(self, moment: str, zone: str = "") -> Moment:
        """A date or time in ISO 8601 (`2024-03-31`, `2024-03-31T14:00`, `…+02:00`, `now`, `today`), with its weekday;
        a time with an offset is shown in `zone` if one is given. Raises ToolError."""
        read = self._read(moment, zone)
        if isinstance(read, datetime) and zone:
            read = read.astimezone(self._zone(zone))
        return self._told(read)

    def add(
        self,
        moment: str,
        *,
        years: int = 0,
        months: int = 0,
        weeks: int = 0,
        days: int = 0,
        weekdays: int = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        zone: str = "",
    ) -> Moment:
        """A moment and so much later, or earlier with negative numbers: first years and months, then weeks, days and
        weekdays (Monday to Friday), then elapsed time. Raises ToolError."""
        numbers = (years, months, weeks, days, weekdays, hours, minutes, seconds)
        if any(abs(number) > _MOST * (1000 if number in numbers[5:] else 1) for number in numbers):
            raise ToolError(f"at most {_MOST:,} of a unit can be added")
        start = self._read(moment, zone)
        elapsed = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if elapsed and not isinstance(start, datetime):
            raise ToolError(f"{moment!r} is a day; hours can be added to a time", hint=f"write {moment}T00:00")
        note = ""
        try:
            day = start.date() if isinstance(start, datetime) else start
            moved, note = _months_later(day, years * 12 + months)
            moved = _weekdays_later(moved + timedelta(weeks=weeks, days=days), weekdays)
            if not isinstance(start, datetime):
                return self._told(moved, note)
            later = start.replace(year=moved.year, month=moved.month, day=moved.day, fold=0)
            if moved == day:
                later = start
            if elapsed:
                later = (later.astimezone(UTC) + elapsed).astimezone(later.tzinfo)
            return self._told(later, note)
        except (OverflowError, ValueError):
            raise ToolError("the result is not in the years 1 to 9999") from None

    def difference(self, start: str, end: str, zone: str = "") -> Difference:
        """What lies between two moments. A day begins at midnight of its zone. Raises ToolError."""
        one, other = self._read(start, zone), self._read(end, zone)
        if isinstance(one, datetime) or isinstance(other, datetime):
            one, other = self._midnight(one, zone), self._midnight(other, zone)
            elapsed = other.astimezone(UTC) - one.astimezone(UTC)
            other = other.astimezone(one.tzinfo)
        else:
            elapsed = other - one
        sign = -1 if elapsed < timedelta(0) else 1
        first, last = (one, other) if sign == 1 else (other, one)
        months, days, rest = _between(first, last)
        years, months = divmod(months, 12)
        total = elapsed.total_seconds()
        counted: list[tuple[float, str]] = [(years, "year"), (months, "month"), (days, "day")]
        hours, minutes = divmod(int(rest) // 60, 60)
        counted += [(hours, "hour"), (minutes, "minute"), (round(rest % 60, 6), "second")]
        words = [f"{number:g} {name}{'' if number == 1 else 's'}" for number, name in counted if number]
        text = (", ".join(words) or "no time") + (" earlier" if sign < 0 and words else "")
        return Difference(
            text=text,
            years=sign * years,
            months=sign * months,
            days=sign * days,
            seconds=sign * rest,
            total_days=total / 86400,
            total_seconds=total,
            weekdays=sign * _weekdays(_day(first), _day(last)),
        )

    def _midnight(self, moment: date | datetime, zone: str) -> datetime:
        if isinstance(moment, datetime):
            return moment
        return datetime(moment.year, moment.month, moment.day, tzinfo=self._zone(zone))

    def _zone(self, name: str) -> ZoneInfo:
        name = name or self.zone
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zones = _zones()
            if not zones:
                raise ToolError("this machine knows no time zones", hint="pip install tzdata") from None
            places = [zone for zone in zones if zone.rpartition("/")[2].lower() == name.lower().replace(" ", "_")]
            more = f"; did you mean {places[0]!r}?" if places else did_you_mean(name, zones)
            raise ToolError(f"there is no time zone {name!r}{more}") from None

    def _read(self, text: str, zone: str) -> date | datetime:
        words = text.strip()
        if words.lower() in ("now", "today"):
            now = self._now().astimezone(self._zone(zone)).replace(microsecond=0)
            return now if words.lower() == "now" else now.date()
        try:
            if len(words) <= 10 and "T" not in words:
                return date.fromisoformat(words)
            read = datetime.fromisoformat(words)
        except ValueError as error:
            raise ToolError(
                f"{text[:60]!r} is no date or time ({error})", hint="write 2024-03-31 or 2024-03-31T14:00, or now"
            ) from None
        if read.tzinfo is None:
            return read.replace(tzinfo=self._zone(zone))
        return read

    def _told(self, moment: date | datetime, note: str = "") -> Moment:
        year, week, _ = moment.isocalendar()
        named, notes = "", [note]
        if isinstance(moment, datetime):
            real = moment.astimezone(UTC).astimezone(moment.tzinfo)
            named = str(moment.tzinfo)
            if real.replace(tzinfo=None, fold=0) != moment.replace(tzinfo=None, fold=0):
                notes.append(f"{moment:%H:%M} does not exist on that day, the clocks go forward")
                moment = real
            elif moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset():
                notes.append(
                    f"{moment:%H:%M} comes twice on that day; this is the {'second' if moment.fold else 'first'}"
                )
        return Moment(
            text=moment.isoformat(),
            weekday=calendar.day_name[moment.weekday()],
            zone=named,
            week=f"{year}-W{week:02}",
            day_of_year=moment.timetuple().tm_yday,
            note="; ".join(filter(None, notes)),
        )


def _utc() -> datetime:
    return datetime.now(UTC)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def _months_later(day: date, months: int) -> tuple[date, str]:
    years, month = divmod(day.month - 1 + months, 12)
    last = calendar.monthrange(day.year + years, month + 1)[1] if 1 <= day.year + years <= 9999 else 31
    moved = day.replace(year=day.year + years, month=month + 1, day=min(day.day, last))
    return moved, f"that month has {last} days" if moved.day != day.day else ""


def _weekdays_later(day: date, weekdays: int) -> date:
    step = 1 if weekdays > 0 else -1
    weeks, left = divmod(abs(weekdays), 5)
    while weekdays and day.weekday() > 4:  # a weekend counts as the weekday before, or after if days are taken back
        day -= timedelta(days=step)
    day += timedelta(weeks=step * weeks)
    while left:
        day += timedelta(days=step)
        left -= day.weekday() < 5
    return day


def _weekdays(first: date, last: date) -> int:
    """Days from Monday to Friday from the first on, without the last."""
    weeks, rest = divmod((last - first).days, 7)
    return weeks * 5 + sum((first.weekday() + n) % 7 < 5 for n in range(rest))


def _between(first: date | datetime, last: date | datetime) -> tuple[int, int, float]:
    """Whole months, whole days and seconds from one moment to a later one, by its own clock."""
    months = (last.year - first.year) * 12 + last.month - first.month

    def after(count: int) -> date | datetime:
        moved = _months_later(_day(first), count)[0]
        return first.replace(year=moved.year, month=moved.month, day=moved.day)

    if months and after(months).timetuple()[:6] > last.timetuple()[:6]:
        months -= 1
    base = after(months)
    if isinstance(base, datetime) and isinstance(last, datetime):
        days = (last.replace(tzinfo=None) - base.replace(tzinfo=None)).days
        whole = base + timedelta(days=days)
        seconds = (last.astimezone(UTC) - whole.astimezone(UTC)).total_seconds()
        return months, days, max(seconds, 0.0)
    return months, (_day(last) - _day(base)).days, 0.0
