"""Finds the bars that the terminal has closed, with a function that counts back from the present."""

import logging
from math import inf
from typing import TYPE_CHECKING, Any

from mt5crs.bars import open_time
from mt5crs.constants import TIMEFRAME_MN1
from mt5crs.terminal.official.follower import Follower, Pace
from mt5crs.terminal.port import NewBars, News
from mt5crs.timeframes import DAY, PERIODS

if TYPE_CHECKING:
    from mt5crs.model import RatesArray

log = logging.getLogger(__name__)

FEWEST = 3
"""Bars that are asked for: the present one, one that has closed, and one that is known."""
MOST = 65_536
"""Bars that are told of at once."""
BESIDES = 10.0
"""Seconds after which bars are asked for whatever the ticks say."""
WAITING = Pace(0.01, 0.25)
"""Seconds between two questions for a bar that should have closed."""


class BarFollower(Follower):
    """The closed bars of a symbol and timeframe, each of them once and in order.

    A bar has closed when the one at position 0 has a later open time. It is asked for when the symbol's last
    tick is behind the end of the present bar. An answer that does not reach back to the last bar that is
    known is none: the terminal is still loading.
    """

    PACE = Pace(0.01, 0.05)

    def _begin(self, place: Any) -> None:
        self._after: int | None = place
        self._present: int | None = None  # the first bar seen at position 0, while nothing else is known
        self._end = -inf  # of the present bar, in server time
        self._besides = -inf
        self._not_before = -inf
        self._wait = WAITING.shortest

    def _take(self, now: float) -> News | None:
        if now < self._besides and self._source.last_second(self._topic.symbol, now) < self._end:
            self._wait = WAITING.shortest
            return None
        if now < self._not_before:
            return None
        self._besides = now + BESIDES
        rates = self._ask()
        news = None if rates is None else self._closed(rates)
        self._wait = WAITING.shortest if news is not None else min(2 * self._wait, WAITING.longest)
        self._not_before = now + self._wait
        if rates is not None and (news is None or len(news.bars) < MOST):
            self._end = _end(int(rates["time"][-1]), self._topic.timeframe)
        return news

    def _ask(self) -> "RatesArray | None":
        """Return the bars up to the present one, from one that is known on; None where they are not there."""
        symbol, timeframe = self._topic.symbol, self._topic.timeframe
        count, most = FEWEST, 0
        while True:
            rates: RatesArray | None = self._mt5.copy_rates_from_pos(symbol, timeframe, 0, count)
            if rates is None or not len(rates):
                return None
            if self._present is None:
                self._present = int(rates["time"][-1])
            if self._reaches_back(rates, is_short=len(rates) < count):
                return rates
            if len(rates) < count:
                return None
            most = most or self._most()
            if count >= most:
                return rates if most else None
            count = min(2 * count, most)

    def _most(self) -> int:
        """Return how many bars the terminal gives at most, 0 where that is not known now."""
        info = self._mt5.terminal_info()
        return 0 if info is None else max(FEWEST, info.maxbars - 1)

    def _reaches_back(self, rates: "RatesArray", *, is_short: bool) -> bool:
        first = int(rates["time"][0])
        if self._after:
            return first <= self._after
        if self._after == 0:  # there was none before, so all that there are are new
            return is_short
        assert self._present is not None  # noqa: S101 - it was seen in this answer at the latest
        return first < self._present or (is_short and len(rates) > 1)

    def _closed(self, rates: "RatesArray") -> NewBars | None:
        """Return what is new of bars that reach back."""
        times = rates["time"]
        is_first = self._after is None
        if self._after is None:
            before = times[times < self._present]
            self._after = int(before[-1]) if len(before) else 0
        elif 0 < self._after < times[0]:
            log.warning(
                "%s: the terminal does not have its bars from %d on any more (`max bars in chart`): "
                "it goes on behind %d",
                self._topic,
                self._after,
                times[0],
            )
            self._after = int(times[0])
        after = self._after
        new = rates[:-1][times[:-1] > after][:MOST]
        if len(new):
            self._after = int(new["time"][-1])
        return NewBars(self._topic, after, new) if len(new) or is_first else None


def _end(opened: int, timeframe: int) -> int:
    """Return when the bar that opened then ends: where the next one may open."""
    longest = 31 * DAY if timeframe == TIMEFRAME_MN1 else PERIODS[timeframe]
    return open_time(opened + longest, timeframe)
