"""Ticks side by side: a source that keeps the stretch of ticks that was asked for last.

Making ticks of bars costs much and looking at them little, so a stretch is made at once and what follows
(the last tick, the next one, the ticks of a minute) is found in it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.model import TicksArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE_MSC
from mt5crs.terminal.simulated.prices.expand import TICKS_DTYPE
from mt5crs.terminal.simulated.prices.sources import PriceSource

AHEAD = 15 * MINUTE_MSC
"""How far a stretch reaches where nothing else is said: making it must not hold up a request."""
LONGEST = 6 * 60 * MINUTE_MSC
"""How far it reaches at most to catch up with the present."""
ANY_FLAG = 0xFFFF
"""The mask of the ticks that are told: one of which no flag says anything is none."""

Prices = NDArray[np.float64]
Stamps = NDArray[np.int64]


def with_flags(ticks: TicksArray, mask: int) -> TicksArray:
    """Return the ticks that have one of some flags; the same array where all have."""
    fits = (ticks["flags"] & mask) != 0
    return ticks if fits.all() else ticks[fits]


class Window(NamedTuple):
    """The ticks from `start` up to but not at `stop` (server ms).

    Attributes:
        start: Where it begins.
        stop: Where it ends.
        before: The last tick before it, or none.
        ticks: Its ticks.
        msc: Their times, side by side.
        prices: Three rows, each side by side: their bid, ask and last prices.
        are_told: Whether all of them are told.
    """

    start: int
    stop: int
    before: TicksArray
    ticks: TicksArray
    msc: Stamps
    prices: Prices
    are_told: bool

    @classmethod
    def of(cls, start: int, stop: int, before: TicksArray, ticks: TicksArray) -> "Window":
        """Return the window of ticks."""
        ticks.flags.writeable = False
        prices = np.array([ticks["bid"], ticks["ask"], ticks["last"]])
        are_told = with_flags(ticks, ANY_FLAG) is ticks
        return cls(start, stop, before, ticks, np.ascontiguousarray(ticks["time_msc"]), prices, are_told)

    def seen(self, msc: int) -> int:
        """Return how many of the ticks are at or before a time."""
        return int(self.msc.searchsorted(msc, "right"))

    def ahead(self, msc: int) -> int:
        """Return how many of the ticks are before a time."""
        return int(self.msc.searchsorted(msc, "left"))

    def last(self, seen: int) -> TicksArray:
        """Return the last tick when so many were seen: an array of one, or of none."""
        return self.ticks[seen - 1 : seen] if seen else self.before


class Buffered:
    """The ticks of a source.

    Args:
        source: Where they come from.
        ahead: How many ms of ticks are made at once.
    """

    def __init__(self, source: PriceSource, ahead: int = AHEAD) -> None:
        self._end_msc = source.end_msc
        self._source = source
        self._ahead = ahead
        none = np.zeros(0, TICKS_DTYPE)
        # Two, because the past is made up for while the present is known already.
        self._window = self._other = Window.of(0, 0, none, none)

    def window(self, msc: int, until: int = 0) -> Window:
        """Return a window that a time is in.

        Args:
            msc: Server time.
            until: The time up to which windows will be asked for, which makes them longer.
        """
        window = self._window
        if not window.start <= msc < window.stop:
            self._window, self._other = self._other, window
            window = self._window
            if not window.start <= msc < window.stop:
                window = self._window = self._load(msc // self._ahead * self._ahead, until)
        return window

    def is_over(self, msc: int) -> bool:
        """Whether no tick comes at a time or after it."""
        return self._end_msc is not None and msc >= self._end_msc

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        if not 0 < stop_msc - start_msc <= self._ahead:
            return self._source.ticks(start_msc, stop_msc)
        window = self.window(start_msc)
        if stop_msc > window.stop:
            return self._source.ticks(start_msc, stop_msc)
        return window.ticks[window.ahead(start_msc) : window.ahead(stop_msc)]

    def told(self, start_msc: int, stop_msc: int) -> TicksArray:
        """Return the same ticks, without those that are not told: what `copy_ticks_from` returns of all."""
        ticks = self.ticks(start_msc, stop_msc)
        window = self._window
        is_within = window.start <= start_msc and stop_msc <= window.stop
        return ticks if is_within and window.are_told else with_flags(ticks, ANY_FLAG)

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`."""
        window = self.window(msc)
        return window.last(window.seen(msc))

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        window = self.window(msc)
        place = window.seen(msc)
        if place < len(window.msc):
            return int(window.msc[place])
        return self._source.next_msc(window.stop - 1)

    def _load(self, start: int, until: int) -> Window:
        longer = min(until - start, LONGEST) // self._ahead * self._ahead
        stop = start + max(self._ahead, longer)
        older = self._other
        before = older.last(len(older.msc)) if start == older.stop else self._source.last_tick(start - 1)
        return Window.of(start, stop, before, self._source.ticks(start, stop))
