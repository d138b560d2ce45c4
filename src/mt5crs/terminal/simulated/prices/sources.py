"""Where the prices of one symbol come from: the interface, and what bars or ticks from a file give."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from mt5crs.bars import Times, collect, open_times
from mt5crs.model import RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE, MINUTE_MSC
from mt5crs.terminal.simulated.prices.expand import expand
from mt5crs.terminal.simulated.prices.modelling import directions


class PriceSource(Protocol):
    """All prices of one symbol, past and to come; who reads it cuts off at the present.

    Attributes:
        start: Server time of the first bar.
        end_msc: Server time after which there are no more prices, in ms; None if they never end.
        contiguous: Whether there is a bar for every minute.
        digits: Digits of a price.
    """

    start: int
    end_msc: int | None
    contiguous: bool
    digits: int

    def bars(self, start: int, stop: int) -> RatesArray:
        """Return the M1 bars that open from `start` up to but not at `stop`."""
        ...

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """Return the ticks from `start_msc` up to but not at `stop_msc`."""
        ...

    def last_tick(self, msc: int) -> TicksArray:
        """Return the last tick at or before a time: an array of one, or of none."""
        ...

    def next_msc(self, msc: int) -> int | None:
        """Return a time after `msc` and not after the next tick; None if there is no more."""
        ...


@runtime_checkable
class Reaching(Protocol):
    """A source that knows where its bars are, so that nobody has to look for them in its gaps."""

    def reach_back(self, timeframe: int, stop: int, count: int) -> int:
        """Return when the first of the last `count` bars opens that open at or before `stop`.

        Where there are fewer it is the first bar.
        """
        ...


@runtime_checkable
class GroupedSource(Protocol):
    """A source that need not make M1 bars to know what they amount to."""

    def grouped(self, period: int, start: int, stop: int) -> RatesArray:
        """Return the bars that M1 bars would make; equal to them in every field.

        Args:
            period: Seconds, a day or a part that divides it.
            start: A midnight: M1 bars count from here up to but not at `stop`.
            stop: A midnight.
        """
        ...

    def count(self, start: int, stop: int) -> int:
        """Return how many M1 bars open from `start` up to but not at `stop`, without making them."""
        ...


class BarSource:
    """Prices of which M1 bars are known; ticks are expanded from them as they are asked for.

    Args:
        bars: Ascending, no two of the same minute.
        digits: Digits of the prices.
        has_last: Whether ticks carry trades.
        modelling: See `expand`.
    """

    contiguous = False

    def __init__(
        self, bars: RatesArray, digits: int, *, has_last: bool = False, modelling: str = "every_tick"
    ) -> None:
        self.digits = digits
        self._bars = bars
        self._has_last = has_last
        self._modelling = modelling
        self._rising = directions(bars)
        self._times = np.ascontiguousarray(bars["time"])
        self._opened: dict[int, Times] = {}
        self.start = int(self._times[0]) if len(bars) else 0
        self.end_msc: int | None = (int(self._times[-1]) + MINUTE) * 1000 if len(bars) else 0

    def bars(self, start: int, stop: int) -> RatesArray:
        """See `PriceSource.bars`."""
        first, last = np.searchsorted(self._times, (start, stop))
        return self._bars[first:last]

    def reach_back(self, timeframe: int, stop: int, count: int) -> int:
        """See `Reaching.reach_back`."""
        opened = self._opened.get(timeframe)
        if opened is None:
            opened = self._opened[timeframe] = np.unique(open_times(self._times, timeframe))
        place = int(np.searchsorted(opened, stop, side="right"))
        return int(opened[max(place - count, 0)]) if len(opened) else self.start

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        first, last = np.searchsorted(
            self._times, (start_msc // MINUTE_MSC * MINUTE, -(-stop_msc // 1000))
        ).tolist()
        ticks = self._expanded(first, last)
        begin, end = np.searchsorted(ticks["time_msc"], (start_msc, stop_msc))
        return ticks[begin:end]

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`."""
        minute = msc // MINUTE_MSC * MINUTE
        ticks = self.ticks(minute * 1000, msc + 1)
        if not len(ticks):
            place = int(np.searchsorted(self._times, minute))
            ticks = self._expanded(max(place - 1, 0), place)
        return ticks[-1:]

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        minute = msc // MINUTE_MSC * MINUTE
        rest = self.ticks(msc + 1, (minute + MINUTE) * 1000)
        if len(rest):
            return int(rest["time_msc"][0])
        return self._minute_after(minute)

    def _expanded(self, first: int, last: int) -> TicksArray:
        return expand(
            self._bars[first:last],
            self.digits,
            rising=self._rising[first:last],
            has_last=self._has_last,
            modelling=self._modelling,
        )

    def _minute_after(self, time: int) -> int | None:
        place = int(np.searchsorted(self._times, time, side="right"))
        return int(self._times[place]) * 1000 if place < len(self._times) else None


class TickSource:
    """Prices of which every tick is known."""

    contiguous = False

    def __init__(self, ticks: TicksArray, digits: int) -> None:
        self.digits = digits
        self._ticks = ticks
        self._msc = np.ascontiguousarray(ticks["time_msc"])
        self._bars = BarSource(collect(ticks, digits), digits)
        self.start = self._bars.start
        self.end_msc: int | None = int(self._msc[-1]) + 1 if len(ticks) else 0

    def bars(self, start: int, stop: int) -> RatesArray:
        """See `PriceSource.bars`."""
        return self._bars.bars(start, stop)

    def reach_back(self, timeframe: int, stop: int, count: int) -> int:
        """See `Reaching.reach_back`."""
        return self._bars.reach_back(timeframe, stop, count)

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        begin, end = np.searchsorted(self._msc, (start_msc, stop_msc))
        return self._ticks[begin:end]

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`."""
        place = int(np.searchsorted(self._msc, msc, side="right"))
        return self._ticks[max(place - 1, 0) : place]

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        place = int(np.searchsorted(self._msc, msc, side="right"))
        return int(self._msc[place]) if place < len(self._msc) else None


class JoinedSource:
    """Prices of which every tick is known in some stretches of time, and M1 bars in all others.

    Args:
        bars: M1 bars of all the time.
        ticks: The ticks of those stretches.
        covered: When each begins and ends: whole minutes in epoch seconds, in order.
        digits: Digits of the prices.
        has_last: Whether ticks carry trades.
        modelling: See `expand`.
    """

    contiguous = False

    def __init__(
        self,
        bars: RatesArray,
        ticks: TicksArray,
        covered: Sequence[tuple[int, int]],
        digits: int,
        *,
        has_last: bool = False,
        modelling: str = "every_tick",
    ) -> None:
        self.digits = digits
        self._all = BarSource(bars, digits)
        self.start, self.end_msc = self._all.start, self._all.end_msc
        edges = np.array(covered, np.int64).reshape(-1)
        self._edges_msc = (edges * 1000).tolist()
        self._parts: list[PriceSource] = []
        for place, part in enumerate(np.split(bars, np.searchsorted(bars["time"], edges))):
            if place % 2:
                begin, end = np.searchsorted(ticks["time"], (edges[place - 1], edges[place]))
                self._parts.append(TickSource(ticks[begin:end], digits))
            else:
                self._parts.append(BarSource(part, digits, has_last=has_last, modelling=modelling))

    def bars(self, start: int, stop: int) -> RatesArray:
        """See `PriceSource.bars`."""
        return self._all.bars(start, stop)

    def reach_back(self, timeframe: int, stop: int, count: int) -> int:
        """See `Reaching.reach_back`."""
        return self._all.reach_back(timeframe, stop, count)

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        first, last = self._place(start_msc), self._place(max(start_msc, stop_msc - 1))
        found = [part.ticks(start_msc, stop_msc) for part in self._parts[first : last + 1]]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`."""
        place = self._place(msc)
        found = self._parts[place].last_tick(msc)
        while place and not len(found):
            place -= 1
            found = self._parts[place].last_tick(msc)
        return found

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        later = (part.next_msc(msc) for part in self._parts[self._place(msc) :])
        return next((found for found in later if found is not None), None)

    def _place(self, msc: int) -> int:
        """Return which part a time falls in: those with ticks alternate with those without."""
        return bisect_right(self._edges_msc, msc)
