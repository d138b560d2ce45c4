"""Made-up prices of a symbol: the quotient of its two legs.

Any day can be computed without those before it, so years of history exist at once. A minute opens where the
one before closed; its high and low reach a random bit beyond open and close. Where the symbol keeps its
hours there is neither bar nor tick outside of them, and the price goes on meanwhile: the next session
opens with a gap.

Bars of longer timeframes are made without M1 bars in between, from the same numbers: they equal what M1
bars would give, and eleven years of them take as long as a second year of M1.
"""

from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.model import RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.calendar import DAY, MINUTE, MINUTE_MSC, MINUTES, Calendar, Mask
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE, expand
from mt5crs.terminal.simulated.prices.legs import BLOCK_DAYS, Activity, LegPath, Moves, Noise, noise

KEPT_DAYS = 4
WICK = 1.6  # how far beyond open and close a minute reaches at most, in standard deviations of its move
BYTE = 256.0
LEAST_TICKS = 6.0


class _Minutes(NamedTuple):
    """The minutes of some days, one row a day; prices in units of the tick size."""

    opens: Moves
    highs: Moves
    lows: Moves
    closes: Moves
    volumes: Moves
    spreads: Moves
    real_volumes: Moves


class _Day(NamedTuple):
    bars: RatesArray
    times: NDArray[np.int64]  # of the bars, side by side: a search in the rows would copy them first


class SyntheticSource:
    """Seeded prices of one instrument; see `PriceSource`.

    Args:
        seed: The terminal's seed.
        instrument: Its spread and activity.
        base: The leg that is bought.
        quote: The leg that it is priced in.
        start: Server time at which history begins.
        calendar: When there are prices.
        active: How busy the hours are.
        modelling: How minutes become ticks; see `expand`.
    """

    def __init__(
        self,
        seed: int,
        instrument: Instrument,
        base: LegPath,
        quote: LegPath,
        start: int,
        calendar: Calendar,
        active: Activity,
        modelling: str = "every_tick",
    ) -> None:
        self.start = max(start, instrument.start_time) // DAY * DAY
        self.end_msc: int | None = instrument.expiration_time * 1000 or None
        self.contiguous = calendar.always
        self.digits = instrument.digits
        self._seed = seed
        self._instrument = instrument
        self._name = f"bars {instrument.name}"
        self._scale = 10.0**instrument.digits
        self._points = round(instrument.tick_size * self._scale)  # in a tick of the price
        self._base = base
        self._quote = quote
        self._calendar = calendar
        self._active = active
        self._modelling = modelling
        volumes: Moves = instrument.tick_rate * active.profile
        spreads: Moves = instrument.spread / self._points * (0.7 + 0.3 / active.profile)
        self._volumes = _bounds(volumes, 0.5, 1.5)
        self._spreads = _bounds(spreads, 0.8, 1.2)
        self._days: OrderedDict[int, _Day] = OrderedDict()

    def bars(self, start: int, stop: int) -> RatesArray:
        """See `PriceSource.bars`."""
        start = max(start, self.start)
        if start >= stop:
            return np.zeros(0, RATES_DTYPE)
        first, last = start // DAY, (stop - 1) // DAY
        if first == last:
            bars, times = self._day(first)
        else:
            bars = self._generate(first, last - first + 1)
            if self.contiguous:  # nothing to search: there is a bar for every minute
                origin = first * DAY
                return bars[-((origin - start) // MINUTE) : -((origin - stop) // MINUTE)]
            times = np.ascontiguousarray(bars["time"])
        begin, end = np.searchsorted(times, (start, stop))
        return bars[begin:end]

    def grouped(self, period: int, start: int, stop: int) -> RatesArray:
        """See `GroupedSource.grouped`."""
        first = max(start, self.start) // DAY
        parts = [self._group(day, days, period) for day, days in _chunks(first, stop // DAY)]
        return np.concatenate([np.zeros(0, RATES_DTYPE), *parts])

    def count(self, start: int, stop: int) -> int:
        """See `GroupedSource.count`."""
        start = max(start, self.start)
        if start >= stop:
            return 0
        first, last = start // DAY, (stop - 1) // DAY
        minutes = self._calendar.open_minutes(first, last - first + 1).reshape(-1)
        origin = first * DAY
        return int(np.count_nonzero(minutes[-((origin - start) // MINUTE) : -((origin - stop) // MINUTE)]))

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        first = start_msc // MINUTE_MSC * MINUTE
        ticks = self._expand(self.bars(first, -(-stop_msc // 1000)))
        begin, end = np.searchsorted(ticks["time_msc"], (start_msc, stop_msc))
        return ticks[begin:end]

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`; every minute opens with a tick, so the minute is enough."""
        minute = self._calendar.last_open(msc // 1000)
        if minute is None:
            return self.ticks(msc, msc)
        return self.ticks(minute * 1000, min((minute + MINUTE) * 1000, msc + 1))[-1:]

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        end = (msc // MINUTE_MSC + 1) * MINUTE_MSC
        rest = self.ticks(msc + 1, end)
        if len(rest):
            return int(rest["time_msc"][0])
        opening = self._calendar.next_open(max(end // 1000, self.start))
        return None if opening is None else opening * 1000

    def _expand(self, bars: RatesArray) -> TicksArray:
        """Return the ticks of bars, whose prices keep to the tick size as theirs do."""
        has_last, modelling = self._instrument.has_last, self._modelling
        if self._points == 1:
            return expand(bars, self.digits, has_last=has_last, modelling=modelling)
        counted = np.array(bars)
        for name in ("open", "high", "low", "close"):
            counted[name] = np.rint(bars[name] * self._scale / self._points)
        counted["spread"] //= self._points
        ticks = expand(counted, 0, has_last=has_last, modelling=modelling)
        for name in ("bid", "ask", "last"):
            ticks[name] = ticks[name] * self._points / self._scale
        return ticks

    def _day(self, day: int) -> _Day:
        """Return a day's bars; the last few days asked for are kept."""
        kept = self._days.get(day)
        if kept is None:
            bars = self._generate(day, 1)
            kept = self._days[day] = _Day(bars, np.ascontiguousarray(bars["time"]))
            if len(self._days) > KEPT_DAYS:
                self._days.popitem(last=False)
        return kept

    def _generate(self, first_day: int, days: int) -> RatesArray:
        """Return the M1 bars of some days."""
        bars = np.empty(days * MINUTES, RATES_DTYPE)
        bars["time"] = np.arange(first_day * DAY, (first_day + days) * DAY, MINUTE)
        for day, chunk in _chunks(first_day, first_day + days):
            done = (day - first_day) * MINUTES
            self._write(bars[done : done + chunk * MINUTES], self._minutes(day, chunk))
        if not self._calendar.always:
            bars = bars[self._calendar.open_minutes(first_day, days).reshape(-1)]
        bars.flags.writeable = False
        return bars

    def _write(self, bars: RatesArray, minutes: _Minutes) -> None:
        prices = {"open": minutes.opens, "high": minutes.highs, "low": minutes.lows, "close": minutes.closes}
        for name, ticks in prices.items():
            points = ticks.reshape(-1).astype(np.float64)
            bars[name] = points * self._points / self._scale
        bars["tick_volume"] = minutes.volumes.reshape(-1)
        bars["spread"] = minutes.spreads.reshape(-1) * self._points
        bars["real_volume"] = minutes.real_volumes.reshape(-1)

    def _group(self, first_day: int, days: int, period: int) -> RatesArray:
        """Return the bars of a period that divides a day."""
        minutes = self._minutes(first_day, days)
        shape = (days * (DAY // period), period // MINUTE)
        whole = _Minutes(*(column.reshape(shape) for column in minutes))
        times = np.arange(first_day * DAY, (first_day + days) * DAY, period)
        if self._calendar.always:
            return self._reduced(times, whole)
        mask = self._calendar.open_minutes(first_day, days).reshape(shape)
        traded: Mask = np.any(mask, axis=1)
        return self._reduced(times[traded], _traded(whole, mask, traded))

    def _reduced(self, times: NDArray[np.int64], groups: _Minutes) -> RatesArray:
        bars = np.empty(len(times), RATES_DTYPE)
        bars["time"] = times
        reduced = _Minutes(
            groups.opens[:, 0],
            groups.highs.max(axis=1),
            groups.lows.min(axis=1),
            groups.closes[:, -1],
            groups.volumes.sum(axis=1, dtype=np.float64),
            groups.spreads.min(axis=1),
            groups.real_volumes.sum(axis=1, dtype=np.float64),
        )
        self._write(bars, reduced)
        return bars

    def _minutes(self, first_day: int, days: int) -> _Minutes:
        """Return all minutes of some days, also those in which the market is closed."""
        base, quote = self._base, self._quote
        four = noise(self._seed, self._name, first_day, days)
        unit = self._scale / self._points
        levels = np.exp(base.midnights(first_day, days) - quote.midnights(first_day, days)) * unit
        starts = levels[:-1, None].astype(np.float32)
        closes = base.moves(first_day, days)
        if quote.moving:
            closes -= quote.moves(first_day, days)
        np.exp(closes, out=closes)
        closes *= starts
        np.rint(closes, out=closes)
        closes[:, -1] = np.rint(levels[1:])
        opens = np.empty_like(closes)
        opens[:, 1:] = closes[:, :-1]
        opens[:, 0] = np.rint(levels[:-1])
        moves = np.hypot(base.volatilities(first_day, days), quote.volatilities(first_day, days))
        reach = starts * moves[:, None].astype(np.float32) * np.float32(WICK)
        highs, lows = (self._wicks(four[:, place], reach) for place in (0, 1))
        highs += np.maximum(opens, closes)
        np.subtract(np.minimum(opens, closes), lows, out=lows)
        volumes = _between(four[:, 2], self._volumes)
        np.maximum(volumes, LEAST_TICKS, out=volumes)
        np.floor(volumes, out=volumes)
        spreads = _between(four[:, 3], self._spreads)
        np.maximum(spreads, 1.0, out=spreads)
        np.rint(spreads, out=spreads)
        traded = volumes * self._lots(four) if self._instrument.has_last else _none(days)
        return _Minutes(opens, highs, lows, closes, volumes, spreads, traded)

    def _wicks(self, random: Noise, reach: Moves) -> Moves:
        """Return how far the minutes reach: mostly a little, at times far."""
        wicks = random.astype(np.float32)
        wicks *= np.float32(1 / BYTE)
        wicks *= wicks
        wicks *= wicks
        wicks *= self._active.weight
        wicks *= reach
        return np.rint(wicks, out=wicks)

    def _lots(self, four: Noise) -> Noise:
        """Return how many lots a deal of each minute has on average."""
        most = np.uint8(min(max(round(self._instrument.book_volume / 10), 1), 255))
        lots: Noise = 1 + (four[:, 0] ^ four[:, 3]) % most
        return lots


def _bounds(usual: Moves, least: float, most: float) -> tuple[Moves, Moves]:
    """Return a row of least values, and how much more they may be for each step of a random byte."""
    low: Moves = (least * usual).astype(np.float32)
    room: Moves = ((most - least) / BYTE * usual).astype(np.float32)
    return low, room


def _between(random: Noise, bounds: tuple[Moves, Moves]) -> Moves:
    """Return random numbers evenly between bounds."""
    least, room = bounds
    values = random.astype(np.float32)
    values *= room
    values += least
    return values


@lru_cache(maxsize=BLOCK_DAYS)
def _none(days: int) -> Moves:
    return np.zeros((days, MINUTES), np.float32)


def _chunks(first_day: int, stop_day: int) -> Iterator[tuple[int, int]]:
    """Divide days into those whose random numbers are made together: first day and how many."""
    while first_day < stop_day:
        days = min(BLOCK_DAYS - first_day % BLOCK_DAYS, stop_day - first_day)
        yield first_day, days
        first_day += days


def _traded(groups: _Minutes, mask: Mask, traded: Mask) -> _Minutes:
    """Return the groups with an open minute, as if they had no closed ones."""
    groups = _Minutes(*(column[traded] for column in groups))
    mask = mask[traded]
    rows = np.arange(len(mask))
    first, last = np.argmax(mask, axis=1), mask.shape[1] - 1 - np.argmax(mask[:, ::-1], axis=1)
    return _Minutes(
        groups.opens[rows, first][:, None],
        np.where(mask, groups.highs, -np.inf),
        np.where(mask, groups.lows, np.inf),
        groups.closes[rows, last][:, None],
        np.where(mask, groups.volumes, 0.0),
        np.where(mask, groups.spreads, np.inf),
        np.where(mask, groups.real_volumes, 0.0),
    )
