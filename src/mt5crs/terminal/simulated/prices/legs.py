"""What currencies and goods are worth in USD, minute by minute: a pure function of seed, name and time.

1. Each leg has a level for every midnight: a random walk from 1990, shifted to the catalogue's price on
   2025-11-01 and reflected at a distance of 9 % to either side for EUR (more for goods that move more), so
   that prices stay plausible however far one looks. The prices of a broker's list hold at the time at
   which it was told: there each walk is moved as a whole.
2. Inside a day the minutes are a Brownian bridge from one midnight's level to the next, moving more in
   the hours when London and New York trade.

Where markets keep their hours (`sessions` is `real`), Saturdays and Sundays move less, by the `weekend` of
the leg, so that Monday opens at a distance that a weekend makes.

A replayed symbol has its own level. `Legs.anchor` moves a leg as a whole, so that at the start of the replay
the made-up crosses agree with the replayed price: with EURUSD replayed the leg EUR is moved, with EURJPY
too, unless EUR was moved before; then it is JPY. As time goes on the replay and the walk part again.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.terminal.simulated.instruments.calendar import DAY, MINUTE, MINUTES, weekdays
from mt5crs.terminal.simulated.instruments.catalogue import Instrument, Leg

FIRST_DAY = 7_305  # 1990-01-01
LAST_DAY = 47_482  # 2100-01-01
ANCHOR_DAY = 20_393  # 2025-11-01
REFLECTION_DAYS = 400  # the walk turns back at the distance of so many days' typical drift
BLOCK_DAYS = 16  # whose random numbers are made at once; more would not stay in the processor's cache
UNIT = "USD"
MEAN_OF_FOUR = 510.0  # the sum of four random bytes is close to normal
SPREAD_OF_FOUR = 147.8  # its standard deviation

Floats = NDArray[np.float64]
Moves = NDArray[np.float32]
Noise = NDArray[np.uint8]

# Activity by hour of UTC, 1 on average: quiet before Tokyo, most when London and New York overlap.
HOURS = (0.6, 0.7, 0.7, 0.7, 0.6, 0.6, 0.9, 1.2, 1.4, 1.3, 1.2, 1.1,
         1.2, 1.6, 1.7, 1.6, 1.4, 1.1, 0.9, 0.9, 0.8, 0.7, 0.6, 0.5)  # fmt: skip


class Activity(NamedTuple):
    """How busy the minutes of a server's day are.

    Attributes:
        profile: 1 on average.
        weight: Standard deviation of each minute's move; that of a day is 1.
        steps: The same for the sum of four random bytes.
        elapsed: The part of a day's variance that has passed at the end of each minute.
    """

    profile: Moves
    weight: Moves
    steps: Moves
    elapsed: Moves


@lru_cache(maxsize=8)
def activity(offset: int = 0) -> Activity:
    """Return the activity of a server whose time is `offset` seconds ahead of UTC."""
    profile = np.roll(np.repeat(np.array(HOURS), 60), offset // MINUTE)
    squares = profile**2
    weight = profile / np.sqrt(squares.sum())
    columns = (profile, weight, weight / SPREAD_OF_FOUR, np.cumsum(squares) / squares.sum())
    return Activity(*(column.astype(np.float32) for column in columns))


@lru_cache(maxsize=256)
def _key(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "little")


def noise(seed: int, name: str, first_day: int, days: int) -> Noise:
    """Return four random bytes for every minute: days, four, minutes.

    They are made by blocks of days: a generator for each day would cost more than its numbers.
    """
    first, last = first_day // BLOCK_DAYS, (first_day + days - 1) // BLOCK_DAYS
    blocks = [_block(_key(seed, name), block) for block in range(first, last + 1)]
    skip = first_day - first * BLOCK_DAYS
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks))[skip : skip + days]


def _block(key: int, block: int) -> Noise:
    raw = np.random.SFC64(np.random.SeedSequence((key, block))).random_raw(BLOCK_DAYS * MINUTES // 2)
    return np.asarray(raw).view(np.uint8).reshape(BLOCK_DAYS, 4, MINUTES)


class LegPath:
    """The logarithm of a leg's worth in USD, by minute.

    Args:
        seed: The terminal's seed.
        name: The leg's.
        leg: Its price and how much it moves.
        active: How busy the hours are.
        weekend: How much of a working day's moves a day of the weekend has.

    Attributes:
        moving: Whether it moves at all.
    """

    def __init__(self, seed: int, name: str, leg: Leg, active: Activity, weekend: float = 1.0) -> None:
        self._seed = seed
        self._name = name
        self._active = active
        self._volatility, self._on_weekends = leg.volatility, weekend * leg.volatility
        self.moving = leg.volatility > 0
        generator = np.random.Generator(np.random.Philox(key=np.array([_key(seed, name), 0], np.uint64)))
        steps = generator.standard_normal(LAST_DAY - FIRST_DAY)
        steps *= self.volatilities(FIRST_DAY, LAST_DAY - FIRST_DAY)
        walk = np.concatenate(([0.0], np.cumsum(steps)))
        walk -= walk[ANCHOR_DAY - FIRST_DAY]
        reach = leg.volatility * np.sqrt(REFLECTION_DAYS) or 1.0
        self._midnights: Floats = np.log(leg.price) + _reflect(walk, float(reach))

    def shift(self, distance: float) -> None:
        """Move the whole path, in logarithms."""
        self._midnights += distance

    def level(self, time: int) -> float:
        """Return the level at which the minute of a time begins."""
        day, minute = time // DAY, time % DAY // MINUTE
        moved = float(self.moves(day, 1)[0, minute - 1]) if minute else 0.0
        return float(self.midnights(day, 0)[0]) + moved

    def volatilities(self, first_day: int, days: int) -> Floats:
        """Return the standard deviation of each day's move."""
        on_weekends = weekdays(first_day, days) % 6 == 0
        volatilities: Floats = np.where(on_weekends, self._on_weekends, self._volatility)
        return volatilities

    def midnights(self, first_day: int, days: int) -> Floats:
        """Return the levels at `days + 1` midnights; days are counted from 1970-01-01."""
        return self._midnights[_places(first_day, days + 1, len(self._midnights))]

    def moves(self, first_day: int, days: int) -> Moves:
        """Return how far the level is from that of midnight at the end of every minute, one row a day.

        Single precision is a billionth of a price here, and half the work.
        """
        levels = self.midnights(first_day, days)
        if not self.moving:
            return np.zeros((days, MINUTES), np.float32)
        pairs = noise(self._seed, self._name, first_day, days).view(np.uint16)
        pairs = (pairs & 255) + (pairs >> 8)
        steps = (pairs[:, 0::2] + pairs[:, 1::2]).reshape(days, MINUTES).astype(np.float32)
        steps -= MEAN_OF_FOUR
        steps *= self._active.steps
        np.cumsum(steps, axis=1, out=steps)
        steps *= self.volatilities(first_day, days).astype(np.float32)[:, None]
        # The bridge: take out where the steps ended, put in where the day must end.
        missing = (levels[1:] - levels[:-1]).astype(np.float32) - steps[:, -1]
        steps += self._active.elapsed * missing[:, None]
        return steps


def _places(first_day: int, days: int, known: int) -> "slice | NDArray[np.int64]":
    """Return where some days are among the known ones; beyond their ends the walk goes back as it came.

    Args:
        first_day: The first of them.
        days: How many.
        known: How many are known, from `FIRST_DAY` on.
    """
    begin = first_day - FIRST_DAY
    if 0 <= begin <= known - days:
        return slice(begin, begin + days)
    places = np.arange(begin, begin + days)
    last = known - 1
    return last - np.abs(places % (2 * last) - last)


def _reflect(walk: Floats, reach: float) -> Floats:
    """Fold a walk into [-reach, reach]: at the edge it turns back."""
    folded: Floats = np.abs((walk - reach) % (4 * reach) - 2 * reach) - reach
    return folded


class Legs:
    """The paths of all legs, each made when it is first asked for.

    Args:
        seed: The terminal's seed.
        legs: By name.
        active: How busy the hours are.
        weekends: Whether weekends are calmer.
        quoted_at: When the legs had their prices, epoch seconds; 0 for 2025-11-01.
    """

    def __init__(
        self, seed: int, legs: Mapping[str, Leg], active: Activity, weekends: bool, quoted_at: int = 0
    ) -> None:
        self._seed = seed
        self._legs = legs
        self._active = active
        self._weekends = weekends
        self._quoted_at = quoted_at
        self._paths: dict[str, LegPath] = {}
        self._anchored = {UNIT}

    def path(self, name: str) -> LegPath:
        """Return the path of a known leg."""
        path = self._paths.get(name)
        if path is None:
            leg = self._legs[name]
            weekend = leg.weekend if self._weekends else 1.0
            path = self._paths[name] = LegPath(self._seed, name, leg, self._active, weekend)
            if self._quoted_at:
                path.shift(float(np.log(leg.price)) - path.level(self._quoted_at))
        return path

    def anchor(self, instrument: Instrument, price: float, time: int) -> None:
        """Move a leg of an instrument so that its price at a time is the one given.

        A leg that was moved before stays, so pairs with USD come first; where both were, nothing moves.
        """
        base, quote = instrument.price_leg, instrument.currency_profit
        if base not in self._legs or quote not in self._legs:
            return
        distance = np.log(price) - self.path(base).level(time) + self.path(quote).level(time)
        if base not in self._anchored:
            self.path(base).shift(float(distance))
        elif quote not in self._anchored:
            self.path(quote).shift(-float(distance))
        self._anchored |= {base, quote}
