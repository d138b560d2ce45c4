"""What a symbol's day has brought so far: the statistics that Market Watch shows.

The day is that of the last tick, so on a Sunday they are Friday's. Finished minutes are read once, as bars;
of the present one its ticks. What bars do not say is taken from them as the ticks of a made-up minute would
have it: asks are bids and the minute's spread, a trade at the high was a buy, and deals are of one size.
"""

from typing import NamedTuple

import numpy as np

from mt5crs.constants import TICK_FLAG_LAST
from mt5crs.model import RatesArray, Tick
from mt5crs.terminal.simulated.instruments.calendar import DAY, MINUTE
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.prices.buffered import Buffered
from mt5crs.terminal.simulated.prices.sources import PriceSource

NONE = float("inf")


class Trades(NamedTuple):
    """The trades of some time, summed up: how many, lots, and lots times price."""

    deals: int
    volume: float
    turnover: float

    def plus(self, deals: int, volume: float, turnover: float) -> "Trades":
        """Return the sum with others."""
        return Trades(self.deals + deals, self.volume + volume, self.turnover + turnover)


class Extremes:
    """The lowest and highest of some numbers; both 0 while there are none."""

    __slots__ = ("_high", "_low")

    def __init__(self) -> None:
        self._low, self._high = NONE, -NONE

    def add(self, low: float, high: float) -> None:
        """Count two numbers."""
        self._low, self._high = min(self._low, low), max(self._high, high)

    @property
    def low(self) -> float:
        """The lowest."""
        return self._low if self._low < NONE else 0.0

    @property
    def high(self) -> float:
        """The highest."""
        return self._high if self._high > -NONE else 0.0


class Today:
    """The day of one symbol; see the module.

    Args:
        symbol: The instrument.
        source: Its prices.
        present: The same, for who looks at them tick by tick.

    Attributes:
        open: The first bid; 0 before the first tick of all.
        close: The last bid of the trading day before.
        bid: Lowest and highest.
        ask: Lowest and highest.
        last: Lowest and highest price of a trade; none where trades are not published.
        deal: Lowest and highest volume of a trade.
    """

    def __init__(self, symbol: Instrument, source: PriceSource, present: Buffered) -> None:
        self._symbol = symbol
        self._source = source
        self._present_ticks = present
        self._tick: Tick | None = None
        self._until = 0
        self._begin(-1, 0)

    def refresh(self, tick: Tick) -> None:
        """Bring the statistics up to the last tick."""
        if tick is self._tick or not tick.time:
            return
        self._tick = tick
        if tick.time // DAY != self._day:
            self._begin(tick.time // DAY, tick.time)
        minute = tick.time // MINUTE * MINUTE
        if minute > self._until:
            self._finish(self._source.bars(self._until, minute))
            self._until = minute
            self._counted_msc = minute * 1000
        self._count(tick.time_msc + 1)

    @property
    def deals(self) -> int:
        """How many trades there were."""
        return self._done.deals + self._present.deals

    @property
    def volume(self) -> float:
        """Their lots."""
        return self._done.volume + self._present.volume

    @property
    def turnover(self) -> float:
        """The sum of price times volume."""
        return self._done.turnover + self._present.turnover

    def _begin(self, day: int, now: int) -> None:
        self._day, self._until = day, day * DAY
        self._counted_msc = day * DAY * 1000
        self.bid, self.ask, self.last, self.deal = Extremes(), Extremes(), Extremes(), Extremes()
        self._done = self._present = Trades(0, 0.0, 0.0)
        self.open = self.close = 0.0
        if now:
            before = self._source.last_tick(day * DAY * 1000 - 1)
            self.close = float(before["bid"][0]) if len(before) else 0.0

    def _finish(self, bars: RatesArray) -> None:
        """Count minutes that are over; the ticks of theirs that were counted before count no more."""
        self._present = Trades(0, 0.0, 0.0)
        if not len(bars):
            return
        self.open = self.open or float(bars["open"][0])
        asked = bars["spread"] * self._symbol.point
        self.bid.add(float(bars["low"].min()), float(bars["high"].max()))
        self.ask.add(float((bars["low"] + asked).min()), float((bars["high"] + asked).max()))
        bars = bars[bars["real_volume"] > 0]
        if not self._symbol.has_last or not len(bars):
            return
        self.last.add(self.bid.low, self.ask.high)
        deals, volume = bars["tick_volume"].astype(np.int64), bars["real_volume"].astype(np.int64)
        self.deal.add(float((volume // deals).min()), float((-(-volume // deals)).max()))
        turnover = float((volume * bars["close"]).sum())
        self._done = self._done.plus(int(deals.sum()), float(volume.sum()), turnover)

    def _count(self, until_msc: int) -> None:
        """Count the ticks of the present minute that have come since."""
        ticks = self._present_ticks.ticks(self._counted_msc, until_msc)
        self._counted_msc = until_msc
        for _time, bid, ask, last, _volume, _msc, flags, lots in ticks.tolist():
            self.open = self.open or bid
            self.bid.add(bid, bid)
            self.ask.add(ask, ask)
            if flags & TICK_FLAG_LAST:
                self.last.add(last, last)
                self.deal.add(lots, lots)
                self._present = self._present.plus(1, lots, lots * last)
