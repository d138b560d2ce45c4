"""Made-up prices that are a pure function of seed, symbol and time.

Any day can be computed without those before it, so years of history exist at once:

1. Each leg (a currency or good, in USD) has a level for every midnight: a random walk from 1990, shifted
   to the catalogue's price on 2025-11-01 and reflected at a distance of 9 % to either side for EUR (more for
   goods that move more), so that prices stay plausible however far one looks.
2. Inside a day the minutes are a Brownian bridge from one midnight's level to the next, moving more in
   the hours when London and New York trade.
3. A symbol's price is the quotient of its two legs. A minute opens where the one before closed; its high
   and low reach a random bit beyond open and close.

The market never closes: there is a bar for every minute of every day.
"""

import hashlib
from collections import OrderedDict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mt5crs.model import RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.catalogue import Instrument, Leg
from mt5crs.terminal.simulated.prices.expand import MINUTE, MINUTE_MSC, RATES_DTYPE, expand

DAY = 86_400
MINUTES = 1440
FIRST_DAY = 7_305  # 1990-01-01
LAST_DAY = 47_482  # 2100-01-01
ANCHOR_DAY = 20_393  # 2025-11-01
REFLECTION_DAYS = 400  # the walk turns back at the distance of so many days' typical drift
DAYS_AT_A_TIME = 64  # bounds the memory of a long history while it is made

Floats = NDArray[np.float64]

# Activity by hour of UTC, 1 on average: quiet before Tokyo, most when London and New York overlap.
ACTIVITY: Floats = np.array(
    [0.6, 0.7, 0.7, 0.7, 0.6, 0.6, 0.9, 1.2, 1.4, 1.3, 1.2, 1.1,
     1.2, 1.6, 1.7, 1.6, 1.4, 1.1, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5]
)  # fmt: skip
PROFILE: Floats = np.repeat(ACTIVITY, 60)
_WEIGHT: Floats = PROFILE / np.sqrt(np.sum(PROFILE**2))  # standard deviations of minutes, a day's is 1
_ELAPSED: Floats = np.cumsum(_WEIGHT**2) / np.sum(_WEIGHT**2)  # the part of a day's variance that has passed


def _generator(seed: int, name: str, day: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([_name_key(seed, name), day], np.uint64)))


@lru_cache(maxsize=256)
def _name_key(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "little")


class LegPath:
    """The logarithm of a leg's worth in USD, by minute."""

    def __init__(self, seed: int, name: str, leg: Leg) -> None:
        self._seed = seed
        self._name = name
        self._volatility = leg.volatility
        steps = _generator(seed, name, 0).standard_normal(LAST_DAY - FIRST_DAY) * leg.volatility
        walk = np.concatenate(([0.0], np.cumsum(steps)))
        walk -= walk[ANCHOR_DAY - FIRST_DAY]
        reach = leg.volatility * np.sqrt(REFLECTION_DAYS) or 1.0
        self._midnights: Floats = np.log(leg.price) + _reflect(walk, float(reach))

    def midnights(self, first_day: int, days: int) -> Floats:
        """Return the levels at `days + 1` midnights; days are counted from 1970-01-01."""
        return self._midnights[first_day - FIRST_DAY : first_day - FIRST_DAY + days + 1]

    def closes(self, first_day: int, days: int) -> Floats:
        """Return the levels at the end of every minute, one row a day."""
        levels = self.midnights(first_day, days)
        if not self._volatility:
            return np.repeat(levels[:-1, None], MINUTES, axis=1)
        noise = np.empty((days, MINUTES))
        for row in range(days):
            noise[row] = _generator(self._seed, self._name, first_day + row).standard_normal(MINUTES)
        noise *= _WEIGHT * self._volatility
        np.cumsum(noise, axis=1, out=noise)
        # The bridge: take out where the noise ended, put in where the day must end.
        noise += _ELAPSED * (levels[1:] - levels[:-1] - noise[:, -1])[:, None]
        noise += levels[:-1, None]
        noise[:, -1] = levels[1:]
        return noise


def _reflect(walk: Floats, reach: float) -> Floats:
    """Fold a walk into [-reach, reach]: at the edge it turns back."""
    folded: Floats = np.abs((walk - reach) % (4 * reach) - 2 * reach) - reach
    return folded


class SyntheticSource:
    """Seeded prices of one instrument; see `PriceSource`.

    Args:
        seed: The terminal's seed.
        instrument: Its spread and activity.
        base: The leg that is bought.
        quote: The leg that it is priced in.
        start: Server time at which history begins.
        modelling: How minutes become ticks; see `expand`.
    """

    contiguous = True
    end_msc: int | None = None

    def __init__(
        self,
        seed: int,
        instrument: Instrument,
        base: LegPath,
        quote: LegPath,
        start: int,
        modelling: str = "every_tick",
    ) -> None:
        self.start = start // DAY * DAY
        self.digits = instrument.digits
        self._seed = seed
        self._name = instrument.name
        self._spread = instrument.spread
        self._rate = instrument.tick_rate
        self._has_last = instrument.has_last
        self._modelling = modelling
        self._base = base
        self._quote = quote
        self._days: OrderedDict[int, RatesArray] = OrderedDict()

    def bars(self, start: int, stop: int) -> RatesArray:
        """See `PriceSource.bars`."""
        start = max(start, self.start)
        if start >= stop:
            return np.zeros(0, RATES_DTYPE)
        first, last = start // DAY, (stop - 1) // DAY
        bars = self._day(first) if first == last else self._generate(first, last - first + 1)
        origin = first * DAY
        return bars[-((origin - start) // MINUTE) : -((origin - stop) // MINUTE)]

    def ticks(self, start_msc: int, stop_msc: int) -> TicksArray:
        """See `PriceSource.ticks`."""
        first = start_msc // MINUTE_MSC * MINUTE
        bars = self.bars(first, -(-stop_msc // 1000))
        ticks = expand(bars, self.digits, has_last=self._has_last, modelling=self._modelling)
        begin, end = np.searchsorted(ticks["time_msc"], (start_msc, stop_msc))
        return ticks[begin:end]

    def last_tick(self, msc: int) -> TicksArray:
        """See `PriceSource.last_tick`; every minute opens with a tick, so the minute is enough."""
        return self.ticks(msc // MINUTE_MSC * MINUTE_MSC, msc + 1)[-1:]

    def next_msc(self, msc: int) -> int | None:
        """See `PriceSource.next_msc`."""
        end = (msc // MINUTE_MSC + 1) * MINUTE_MSC
        rest = self.ticks(msc + 1, end)
        return int(rest["time_msc"][0]) if len(rest) else end

    def _day(self, day: int) -> RatesArray:
        """Return a day's bars; the last few days asked for are kept."""
        bars = self._days.get(day)
        if bars is None:
            bars = self._days[day] = self._generate(day, 1)
            if len(self._days) > 4:
                self._days.popitem(last=False)
        return bars

    def _generate(self, first_day: int, days: int) -> RatesArray:
        bars = np.empty(days * MINUTES, RATES_DTYPE)
        for done in range(0, days, DAYS_AT_A_TIME):
            chunk = min(DAYS_AT_A_TIME, days - done)
            self._fill(bars[done * MINUTES : (done + chunk) * MINUTES], first_day + done, chunk)
        bars.flags.writeable = False
        return bars

    def _fill(self, bars: RatesArray, first_day: int, days: int) -> None:
        scale = 10.0**self.digits
        noise = np.empty((days, 4, MINUTES), np.float32)
        for row in range(days):
            generator = _generator(self._seed, "bars " + self._name, first_day + row)
            generator.random(dtype=np.float32, out=noise[row])
        logs = self._base.closes(first_day, days) - self._quote.closes(first_day, days)
        start = self._base.midnights(first_day, days) - self._quote.midnights(first_day, days)
        closes = np.rint(np.exp(logs) * scale)  # in points from here on
        opens = np.empty_like(closes)
        opens[:, 1:] = closes[:, :-1]
        opens[:, 0] = np.rint(np.exp(start[:-1]) * scale)
        reach = np.mean(np.abs(closes - opens), axis=1, keepdims=True) * 1.6 * PROFILE
        wicks = noise[:, :2] * noise[:, :2] * noise[:, :2]  # mostly short, at times long
        highs = np.maximum(opens, closes) + np.rint(reach * wicks[:, 0])
        lows = np.minimum(opens, closes) - np.rint(reach * wicks[:, 1])
        for name, points in (("open", opens), ("high", highs), ("low", lows), ("close", closes)):
            bars[name] = (points / scale).reshape(-1)
        volumes = np.maximum(self._rate * PROFILE * (0.5 + noise[:, 2]), 6.0)
        bars["tick_volume"] = volumes.astype(np.uint64).reshape(-1)
        spreads = self._spread * (0.7 + 0.3 / PROFILE) * (0.8 + 0.4 * noise[:, 3])
        bars["spread"] = np.maximum(np.rint(spreads), 1).astype(np.int32).reshape(-1)
        bars["time"] = np.arange(first_day * DAY, (first_day + days) * DAY, MINUTE)
        bars["real_volume"] = 0
