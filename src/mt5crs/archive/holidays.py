"""Days on which markets stay closed, close early or open late somewhere: no bars need be there.

Christmas and New Year with the days around them, Easter, and the holidays of the exchanges of the USA, which
shorten the hours of metals, indices and energies. Holidays of other countries are not here: on them a stretch
without bars is told once, and `repair` lets the terminal confirm it.
"""

from datetime import date, timedelta
from functools import lru_cache

EPOCH = date(1970, 1, 1)
YEARLY = ((1, 1), (1, 2), (5, 1), (6, 19), (7, 3), (7, 4), (12, 24), (12, 25), (12, 26), (12, 31))
# month, day of the week (Monday is 0), which one of the month (-1: the last), days added
MOVABLE = ((1, 0, 3, 0), (2, 0, 3, 0), (5, 0, -1, 0), (9, 0, 1, 0), (11, 3, 4, 0), (11, 3, 4, 1))
AROUND_EASTER = (-3, -2, 0, 1)
"""From Maundy Thursday, when some close early, to Easter Monday; all in days from Easter Sunday."""
SATURDAY, SUNDAY = 5, 6


def is_holiday(day: int) -> bool:
    """Whether a day, counted from 1970-01-01, is one."""
    when = EPOCH + timedelta(day)
    return when in holidays(when.year)


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """Return the holidays of a year; those on a weekend are kept on the Friday or Monday beside it, too."""
    found = {date(year, month, day) for month, day in YEARLY}
    found |= {day - timedelta(1) for day in found if day.weekday() == SATURDAY}
    found |= {day + timedelta(1) for day in found if day.weekday() == SUNDAY}
    found |= {_nth(year, *rule) for rule in MOVABLE}
    easter = _easter(year)
    found |= {easter + timedelta(days) for days in AROUND_EASTER}
    return frozenset(found)


def _nth(year: int, month: int, weekday: int, which: int, added: int) -> date:
    """Return a day of the week of a month, counted from its begin or its end."""
    if which > 0:
        first = date(year, month, 1)
        days = (weekday - first.weekday()) % 7 + 7 * (which - 1)
        return first + timedelta(days + added)
    last = (date(year, month, 28) + timedelta(4)).replace(day=1) - timedelta(1)
    return last - timedelta((last.weekday() - weekday) % 7) + timedelta(added)


def _easter(year: int) -> date:
    """Return Easter Sunday by the Gregorian calendar (Meeus, Astronomical Algorithms, chapter 8)."""
    a, (b, c) = year % 19, divmod(year, 100)
    (d, e), f = divmod(b, 4), (b + 8) // 25
    g = (b - f + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    rest = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * rest) // 451
    month, day = divmod(h + rest - 7 * m + 114, 31)
    return date(year, month, day + 1)
