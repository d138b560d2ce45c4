"""When a symbol has sessions: a week of hours, holidays, a first and a last day. All in server time.

Sessions are written as `mon-thu 00:00-24:00, fri 00:00-23:57`: parts divided by commas, each a day or a
range of days with one or more stretches of hours (`tue 01:00-10:00 10:30-23:00`). A stretch ends where its
end says, so a market that is open until 23:57 has its last minute at 23:56. Holidays are `2026-04-03`, or
`12-25` for every year.
"""

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DAY = 86_400
MINUTE = 60
MINUTE_MSC = 60_000
MINUTES = 1440
LOOK_DAYS = 400  # ahead and back for the next session: more than a year of holidays is the end
STEP_DAYS = 8
FIRST_YEAR, LAST_YEAR = 1990, 2100
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ALWAYS = "sun-sat 00:00-24:00"
FORM = "such as 'mon-thu 00:00-24:00, fri 00:00-23:57'"

Mask = NDArray[np.bool_]

_STRETCH = r"\d\d:\d\d-\d\d:\d\d"
_PART = re.compile(rf"([a-z]{{3}})(?:-([a-z]{{3}}))?((?:\s+{_STRETCH})+)")


@lru_cache(maxsize=256)
def parse_sessions(text: str) -> Mask:
    """Return the open minutes of a week: 7 days from Sunday, 1440 minutes each.

    Raises:
        ValueError: The text is not of the form above, or there is no session in it.
    """
    week = np.zeros((7, MINUTES), np.bool_)
    for part in text.lower().split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is no session, {FORM}")
        first, last, stretches = match.groups()
        days = _days(first, last or first)
        for stretch in stretches.split():
            begin, end = map(_minute, stretch.split("-"))
            if begin >= end:
                raise ValueError(f"{stretch} ends before it begins: what goes past midnight is two sessions")
            week[days, begin:end] = True
    week.flags.writeable = False
    return week


def _days(first: str, last: str) -> list[int]:
    for name in (first, last):
        if name not in WEEKDAYS:
            raise ValueError(f"{name!r} is no day of {', '.join(WEEKDAYS)}")
    begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last)
    return [(begin + step) % 7 for step in range((end - begin) % 7 + 1)]


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > MINUTES:
        raise ValueError(f"{text} is no time of a day, 00:00 to 24:00")
    return hours * 60 + minutes


@lru_cache(maxsize=256)
def parse_holidays(days: tuple[str, ...]) -> frozenset[int]:
    """Return holidays as days since 1970-01-01; `MM-DD` is one in every year.

    Raises:
        ValueError: One of them is no date.
    """
    found: set[int] = set()
    for text in days:
        if re.fullmatch(r"\d\d-\d\d", text):
            found.update(_epoch_day(f"{year}-{text}") for year in range(FIRST_YEAR, LAST_YEAR))
        else:
            found.add(_epoch_day(text))
    return frozenset(found)


def _epoch_day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days
    except ValueError:
        raise ValueError(f"{text!r} is no day, YYYY-MM-DD or MM-DD") from None


def weekdays(first_day: int, days: int) -> NDArray[np.int64]:
    """Return the weekdays of days since 1970-01-01, a Thursday; 0 is Sunday."""
    return (np.arange(first_day, first_day + days) + 4) % 7


class Calendar:
    """The minutes in which a symbol has sessions.

    Args:
        sessions: The week.
        holidays: Days without a session.
        start: When the first session may begin, epoch seconds, a whole minute; 0 for no limit.
        end: When the last one is over.

    Attributes:
        always: Whether every minute of all time is open.
    """

    def __init__(
        self, sessions: str = ALWAYS, holidays: Sequence[str] = (), start: int = 0, end: int = 0
    ) -> None:
        self._week = parse_sessions(sessions)
        self._holidays = parse_holidays(tuple(holidays))
        self._holiday_days = np.array(sorted(self._holidays), np.int64)
        self._start = start
        self._end = end
        self.always = bool(self._week.all()) and not (holidays or start or end)

    def is_open(self, seconds: int) -> bool:
        """Whether a session is on."""
        if self.always:
            return True
        if seconds < self._start or (self._end and seconds >= self._end):
            return False
        day, rest = divmod(seconds, DAY)
        return bool(self._week[(day + 4) % 7, rest // MINUTE]) and day not in self._holidays

    def open_minutes(self, first_day: int, days: int) -> Mask:
        """Return which minutes are open, one row of 1440 a day; days count from 1970-01-01."""
        mask: Mask = self._week[weekdays(first_day, days)]
        if len(self._holiday_days):
            mask[np.isin(np.arange(first_day, first_day + days), self._holiday_days)] = False
        begin, end = first_day * DAY, (first_day + days) * DAY
        if self._start > begin or (self._end and self._end < end):
            times = np.arange(begin, end, MINUTE).reshape(days, MINUTES)
            mask &= (times >= self._start) & (times < (self._end or end))
        return mask

    def next_change(self, seconds: int) -> int | None:
        """Return when a session next begins or ends after a time; None if there is none in sight."""
        return None if self.always else self._next(seconds, not self.is_open(seconds))

    def next_open(self, seconds: int) -> int | None:
        """Return the first time at or after a time at which a session is on; None if none is in sight."""
        return seconds if self.is_open(seconds) else self._next(seconds, True)

    def last_open(self, seconds: int) -> int | None:
        """Return when the last open minute at or before a time began; None if none is in sight."""
        if self.is_open(seconds):
            return seconds // MINUTE * MINUTE
        day, place = seconds // DAY, seconds % DAY // MINUTE
        for back in range(0, LOOK_DAYS, STEP_DAYS):
            first = day - back - STEP_DAYS + 1
            stop = place + 1 + (STEP_DAYS - 1) * MINUTES if back == 0 else STEP_DAYS * MINUTES
            found = np.flatnonzero(self.open_minutes(first, STEP_DAYS).reshape(-1)[:stop])
            if len(found):
                return first * DAY + int(found[-1]) * MINUTE
        return None

    def _next(self, seconds: int, wanted: bool) -> int | None:
        """Return the beginning of the first minute after a time that is open, or closed."""
        day, place = seconds // DAY, seconds % DAY // MINUTE + 1
        for ahead in range(0, LOOK_DAYS, STEP_DAYS):
            mask = self.open_minutes(day + ahead, STEP_DAYS).reshape(-1)
            found = np.flatnonzero(mask[place:] == wanted)
            if len(found):
                return (day + ahead) * DAY + (place + int(found[0])) * MINUTE
            place = 0
        return None
