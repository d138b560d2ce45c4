"""Server time and UTC: an offset, and the summer time of New York or of Europe.

Server time is wall-clock time written as if it were UTC, as in MetaTrader. The rules are those in force: in
New York from the second Sunday of March to the first of November, at 2:00 of its own wall clock; in Europe
from the last Sunday of March to the last of October, at 1:00 UTC. A server with New York's rule switches at
New York's moment, so its midnight stays 17:00 there. Dates are worked out, since Windows has no time zone
data.

When summer time begins, an hour of server time is left out, as everywhere: what it would have brought comes
at once. When it ends, a real server shows an hour twice. Brokers' markets are shut then, ours may not be, and
tickets, deals and bars must stay in the order of their time. So here the hour that would come twice comes
once, at half speed: server time never goes back, every server time is one moment, and before and after these
two hours it is exactly what a real server shows.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

HOUR = 3600.0
NEVER = float("inf")
SUNDAY = 6

Rule = Literal["none", "us", "eu"]


class Stretch(NamedTuple):
    """A stretch of UTC in which server time passes evenly.

    Attributes:
        begin: UTC, epoch seconds.
        end: UTC.
        server: Server time at its beginning.
        rate: Server seconds in a second.
    """

    begin: float
    end: float
    server: float
    rate: float


def _sunday(year: int, month: int, number: int) -> float:
    """Return the start of a Sunday of a month, counted from 1; 0 is the last of the month before."""
    first = date(year, month, 1)
    day = first + timedelta(days=(SUNDAY - first.weekday()) % 7 + 7 * (number - 1))
    return (day - date(1970, 1, 1)).days * 24 * HOUR


# When summer time begins and ends, UTC, in a year.
SWITCHES: dict[str, Callable[[int], tuple[float, float]]] = {
    "us": lambda year: (_sunday(year, 3, 2) + 7 * HOUR, _sunday(year, 11, 1) + 6 * HOUR),
    "eu": lambda year: (_sunday(year, 4, 0) + HOUR, _sunday(year, 11, 0) + HOUR),
}


@lru_cache(maxsize=64)
def _year(rule: str, offset: float, year: int) -> tuple[Stretch, ...]:
    """Return the stretches of a year: from the end of one summer time to the end of the next."""
    winter = SWITCHES[rule](year - 1)[1] + HOUR
    summer, end = SWITCHES[rule](year)
    twice = end - HOUR  # the hour that would come twice begins
    return (
        Stretch(winter, summer, winter + offset, 1.0),
        Stretch(summer, twice, summer + offset + HOUR, 1.0),
        Stretch(twice, end + HOUR, end + offset, 0.5),
    )


class ServerZone:
    """How far the server's wall clock is ahead of UTC.

    Args:
        hours: Without summer time.
        rule: Whose summer time adds an hour: nobody's, New York's (`us`) or Europe's (`eu`).
    """

    def __init__(self, hours: float = 0.0, rule: Rule = "none") -> None:
        self.offset = round(hours * HOUR)
        self._rule = rule
        self._even = Stretch(0.0, NEVER, self.offset, 1.0)  # where there is no summer time

    def stretch(self, utc: float) -> Stretch:
        """Return the stretch that a moment is in."""
        if self._rule == "none":
            return self._even
        year = (date(1970, 1, 1) + timedelta(seconds=utc)).year
        stretches = (*_year(self._rule, self.offset, year), *_year(self._rule, self.offset, year + 1))
        return next(stretch for stretch in stretches if utc < stretch.end)

    def utc(self, server: float) -> float:
        """Return the moment of a server time; of the hour that is left out, the moment after it."""
        stretch = self.stretch(server - self.offset - HOUR)
        while True:
            moment = stretch.begin + max(server - stretch.server, 0.0) / stretch.rate
            if moment < stretch.end:
                return moment
            stretch = self.stretch(stretch.end)


UTC = ServerZone()
