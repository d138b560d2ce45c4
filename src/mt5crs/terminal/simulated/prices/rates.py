"""Bars of every timeframe up to the present, with what was built kept for the next request."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mt5crs.bars import Times, aggregate, collect, open_time
from mt5crs.constants import TIMEFRAME_D1, TIMEFRAME_M1, TIMEFRAME_MN1, TIMEFRAME_W1
from mt5crs.model import RatesArray
from mt5crs.terminal.simulated.instruments.calendar import DAY, MINUTE, MINUTE_MSC
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE
from mt5crs.terminal.simulated.prices.sources import GroupedSource, PriceSource, Reaching
from mt5crs.timeframes import PERIODS

CACHED_BARS = 3_000_000  # of all symbols together: 180 MB
CHUNK_DAYS = 128  # of M1 bars held at once while a longer timeframe is built over years
FROM_DAYS = (TIMEFRAME_W1, TIMEFRAME_MN1)

JoinKey = tuple[str, int, int, int, int]  # symbol, timeframe, first bar, finished bars, ticks of the last
Load = Callable[[int, int], RatesArray]


def _join(*parts: RatesArray) -> RatesArray:
    """Return bars one after another; as bytes, since NumPy copies structured rows field by field."""
    raw = np.concatenate([np.ascontiguousarray(part).view(np.uint8) for part in parts])
    return raw.view(RATES_DTYPE)


class _Span(NamedTuple):
    """All bars that open from `start` up to but not at `stop`."""

    start: int
    stop: int
    bars: RatesArray
    times: Times  # of the bars, side by side: a search in the rows would copy them first

    @classmethod
    def of(cls, start: int, stop: int, bars: RatesArray) -> "_Span":
        return cls(start, stop, read_only(bars), np.ascontiguousarray(bars["time"]))

    def slice(self, start: int, stop: int) -> RatesArray:
        first, last = np.searchsorted(self.times, (start, stop))
        return self.bars[first:last]


def read_only(rows: RatesArray) -> RatesArray:
    """Return the same rows, protected: the official package's arrays cannot be written to."""
    rows.flags.writeable = False
    return rows


class SpanCache:
    """Stretches of bars, one for each key, the least recently used dropped when there are too many bars.

    Args:
        limit: The most bars to keep.
    """

    def __init__(self, limit: int = CACHED_BARS) -> None:
        self._limit = limit
        self._spans: OrderedDict[tuple[str, int], _Span] = OrderedDict()
        self._latest: tuple[JoinKey, RatesArray] | None = None

    def get(self, key: tuple[str, int], start: int, stop: int, load: Load) -> RatesArray:
        """Return the bars that open in [start, stop), read-only; whole days are loaded.

        Args:
            key: Symbol and timeframe.
            start: Epoch seconds.
            stop: Epoch seconds.
            load: Returns the bars of a stretch.
        """
        span = self._spans.pop(key, None)
        if span is None or not span.start <= start <= stop <= span.stop:
            span = self._widen(span, start // DAY * DAY, -(-stop // DAY) * DAY, load)
        if len(span.bars) <= self._limit:
            self._spans[key] = span
            self._shrink()
        return span.slice(start, stop)

    def _widen(self, span: _Span | None, start: int, stop: int, load: Load) -> _Span:
        if span is None or stop < span.start or start > span.stop:
            return _Span.of(start, stop, load(start, stop))
        parts = [span.bars]
        if start < span.start:
            parts.insert(0, load(start, span.start))
        if stop > span.stop:
            parts.append(load(span.stop, stop))
        return _Span.of(min(start, span.start), max(stop, span.stop), _join(*parts))

    def joined(self, key: JoinKey, done: RatesArray, forming: RatesArray) -> RatesArray:
        """Return finished bars and the forming one as one array; asked again with the same key, the same.

        Only the latest is kept: these are copies, and may be large.
        """
        if self._latest is None or self._latest[0] != key:
            self._latest = None  # before the next is made: not both at once
            self._latest = (key, read_only(_join(done, forming)))
        return self._latest[1]

    def _shrink(self) -> None:
        while sum(len(span.bars) for span in self._spans.values()) > self._limit:
            self._spans.popitem(last=False)


class Rates:
    """The bars of one symbol as seen at a given moment: nothing of the future, the last one unfinished.

    Args:
        name: The symbol.
        source: Its prices.
        cache: Shared by all symbols.
    """

    def __init__(self, name: str, source: PriceSource, cache: SpanCache) -> None:
        self._name = name
        self._source = source
        self._reaching = source if isinstance(source, Reaching) else None
        self._cache = cache

    def between(self, timeframe: int, start: int, stop: int, now_msc: int) -> RatesArray:
        """Return the bars that open from `start` to `stop`, both included.

        Args:
            timeframe: One of `PERIODS`.
            start: Epoch seconds.
            stop: Epoch seconds.
            now_msc: Server time.
        """
        if timeframe in FROM_DAYS:
            days = self.between(TIMEFRAME_D1, self._source.start // DAY * DAY, now_msc // 1000, now_msc)
            bars = aggregate(days, timeframe)
            first, last = np.searchsorted(bars["time"], (start, stop + 1))
            return read_only(bars[first:last])
        current = open_time(now_msc // 1000, timeframe)
        start = max(start, self._source.start // DAY * DAY)
        done = self._complete(timeframe, start, min(stop + 1, current))
        if not start <= current <= stop:
            return done
        return self._with_forming(timeframe, done, self._forming(timeframe, current, now_msc))

    def is_full(self, timeframe: int, start: int, stop: int, now_msc: int, limit: int) -> bool:
        """Whether `limit` bars or more open from `start` to `stop`; made only where some may be missing."""
        first, last = max(start, self._source.start), min(stop, now_msc // 1000)
        room = max(last - first, -1) // PERIODS[timeframe] + 1
        if room < limit or self._source.contiguous:
            return room >= limit
        if timeframe == TIMEFRAME_M1 and isinstance(self._source, GroupedSource):
            return self._source.count(first, last + 1) >= limit
        return len(self.between(timeframe, start, stop, now_msc)) >= limit

    def last(self, timeframe: int, stop: int, count: int, now_msc: int) -> RatesArray:
        """Return the last `count` bars that open at or before `stop`; all there are if fewer."""
        stop = min(stop, now_msc // 1000)
        if self._reaching is not None:
            # One more: the newest may have no tick yet.
            start = self._reaching.reach_back(timeframe, stop, count + 1)
            bars = self.between(timeframe, start, stop, now_msc)
            return bars[max(len(bars) - count, 0) :]
        reach = PERIODS[timeframe] * (count + 1) + (31 * DAY if timeframe == TIMEFRAME_MN1 else 0)
        while True:
            start = stop - reach
            bars = self.between(timeframe, start, stop, now_msc)
            if len(bars) >= count or start <= self._source.start:
                return bars[max(len(bars) - count, 0) :]
            reach *= 2

    def position(self, timeframe: int, start_pos: int, count: int, now_msc: int) -> RatesArray:
        """Return the `count` bars that end at position `start_pos`, 0 being the newest."""
        now = now_msc // 1000
        if self._source.contiguous and timeframe != TIMEFRAME_MN1:
            return self.last(timeframe, now - start_pos * PERIODS[timeframe], count, now_msc)
        bars = self.last(timeframe, now, start_pos + count, now_msc)
        return bars[: max(len(bars) - start_pos, 0)]

    def minutes(self, start: int, now_msc: int) -> RatesArray:
        """Return the M1 bars from `start` to the present, without keeping them."""
        minute = now_msc // MINUTE_MSC * MINUTE
        done = self._source.bars(start, minute)
        ticks = self._source.ticks(max(minute, start) * 1000, now_msc + 1)
        return _join(done, collect(ticks, self._source.digits))

    def _complete(self, timeframe: int, start: int, stop: int) -> RatesArray:
        """Return finished bars that open in [start, stop)."""
        if start >= stop:
            return read_only(np.zeros(0, RATES_DTYPE))
        load = self._source.bars if timeframe == TIMEFRAME_M1 else self._builder(timeframe)
        return self._cache.get((self._name, timeframe), start, stop, load)

    def _builder(self, timeframe: int) -> Load:
        source = self._source
        if isinstance(source, GroupedSource):
            return lambda start, stop: source.grouped(PERIODS[timeframe], start, stop)

        def load(start: int, stop: int) -> RatesArray:
            step = CHUNK_DAYS * DAY
            parts = [
                aggregate(self._source.bars(begin, min(begin + step, stop)), timeframe)
                for begin in range(start, stop, step)
            ]
            return _join(*parts)

        return load

    def _forming(self, timeframe: int, current: int, now_msc: int) -> RatesArray:
        return aggregate(self.minutes(current, now_msc), timeframe)

    def _with_forming(self, timeframe: int, done: RatesArray, forming: RatesArray) -> RatesArray:
        """Return finished and forming bars as one array; asked again within a tick, the same one."""
        ticks = int(forming["tick_volume"][0]) if len(forming) else 0
        first = int(done["time"][0]) if len(done) else 0
        return self._cache.joined((self._name, timeframe, first, len(done), ticks), done, forming)
