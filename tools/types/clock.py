"""`type: clock`."""

from __future__ import annotations

from pydantic import Field, field_validator

from ragweave.orchestrator.errors import ToolError
from ragweave.tools import clock
from ragweave.tools.function import MethodTool


class Clock(MethodTool, type="clock"):
    """Now, dates and times, and what lies between them, by calendars and time zones."""

    calls = {"now": "read", "moment": "none", "add": "none", "difference": "none"}

    zone: str = Field("UTC", description="The time zone where none is given, such as Europe/Berlin.")

    @field_validator("zone")
    @classmethod
    def _check_zone(cls, zone: str) -> str:
        try:
            clock.Clock(zone=zone).now()
        except ToolError as error:
            raise ValueError(str(error)) from None
        return zone

    def now(self, zone: str = "") -> str:
        """The date, the time and the weekday now.

        Args:
            zone: A time zone such as Europe/Berlin.
        """
        return _told(self._clock.now(zone))

    def moment(self, moment: str, zone: str = "") -> str:
        """The weekday, the week and the day of the year of a date or a time.

        Args:
            moment: In ISO 8601, such as 2024-03-31 or 2024-03-31T14:00, or now or today.
            zone: A time zone such as Europe/Berlin.
        """
        return _told(self._clock.read(moment, zone))

    def add(
        self,
        moment: str,
        years: int = 0,
        months: int = 0,
        weeks: int = 0,
        days: int = 0,
        weekdays: int = 0,
        hours: float = 0,
        minutes: float = 0,
        zone: str = "",
    ) -> str:
        """The moment that is so much later, or earlier with negative numbers.

        Args:
            moment: In ISO 8601, such as 2024-03-31 or 2024-03-31T14:00, or now or today.
            weekdays: Days from Monday to Friday.
            zone: A time zone such as Europe/Berlin.
        """
        return _told(
            self._clock.add(
                moment,
                years=years,
                months=months,
                weeks=weeks,
                days=days,
                weekdays=weekdays,
                hours=hours,
                minutes=minutes,
                zone=zone,
            )
        )

    def difference(self, start: str, end: str, zone: str = "") -> str:
        """What lies between two moments, by the calendar, in days, and in days from Monday to Friday.

        Args:
            start: In ISO 8601, such as 2024-03-31 or 2024-03-31T14:00, or now or today.
            end: Likewise.
        """
        found = self._clock.difference(start, end, zone)
        return f"{found.text}; {found.total_days:g} days in all, {found.weekdays} of them from Monday to Friday"

    @property
    def _clock(self) -> clock.Clock:
        return clock.Clock(zone=self.zone)


def _told(moment: clock.Moment) -> str:
    parts = [moment.text, moment.weekday, moment.zone, moment.week, moment.note]
    return ", ".join(part for part in parts if part)
