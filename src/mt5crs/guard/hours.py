"""Hours of the week in which orders may be sent."""

import re
from collections.abc import Sequence
from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
EXPECTED = 'a list such as ["mon-fri 07:00-22:00", "sun 23:00-24:00"]; a night is two entries'
_ENTRY = re.compile(r"(\w{3})(?:-(\w{3}))? +(\d\d):(\d\d)-(\d\d):(\d\d)")


class Hours:
    """Hours of the week in a time zone.

    Args:
        entries: As in `"mon-fri 07:00-22:00"`: from the first minute on, up to the last, which is out.

    Raises:
        ValueError: An entry is no such thing.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._entries = entries
        self._open = frozenset(minute for entry in entries for minute in _minutes(entry))
        self._zone: tzinfo = timezone.utc
        self._minute = -1
        self._is_open = False

    def __str__(self) -> str:
        return ", ".join(self._entries) + (f" {self._zone}" if self._entries else "")

    def within(self, zone: tzinfo) -> "Hours":
        """Return the same hours in another time zone."""
        moved = Hours(self._entries)
        moved._zone = zone
        return moved

    def is_open(self, utc: float) -> bool:
        """Whether a moment, epoch seconds, is among them; looked up once in a minute."""
        minute = int(utc // 60)
        if minute != self._minute:
            here = datetime.fromtimestamp(minute * 60, self._zone)
            of_week = here.weekday() * DAY_MINUTES + here.hour * 60 + here.minute
            self._minute, self._is_open = minute, of_week in self._open
        return self._is_open


def zone_named(name: str) -> tzinfo:
    """Return a time zone.

    Raises:
        ValueError: There is none of that name.
    """
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            "a time zone's name such as UTC or Europe/Berlin; on Windows the package tzdata has the zones"
        ) from None


def _minutes(entry: str) -> list[int]:
    match = _ENTRY.fullmatch(entry.strip().lower())
    if match is None:
        raise ValueError(EXPECTED)
    first, last = match[1], match[2] or match[1]
    if first not in DAYS or last not in DAYS:
        raise ValueError(EXPECTED)
    start, end = (int(match[n]) * 60 + int(match[n + 1]) for n in (3, 5))
    if not start < end <= DAY_MINUTES or max(int(match[4]), int(match[6])) > 59:
        raise ValueError(EXPECTED)
    here = DAYS.index(first)
    days = [(here + n) % 7 for n in range((DAYS.index(last) - here) % 7 + 1)]
    return [day * DAY_MINUTES + minute for day in days for minute in range(start, end)]
