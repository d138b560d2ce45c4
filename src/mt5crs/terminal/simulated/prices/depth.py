"""The depth of market: what can be bought and sold at this tick, and at which prices.

No source of prices has depth, so it is made up, as a pure function of seed, symbol and tick: the best levels
stand at the quote, further ones one or two tick sizes behind the one before, each with between half and one
and a half of the instrument's usual volume. What fills take from it is missing until the next tick. A symbol
without depth has one level of any volume on either side.
"""

import hashlib
import math
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from mt5crs.model import VOLUME_DIGITS, Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument


class Level(NamedTuple):
    """A price of the depth of market, or of a fill.

    Attributes:
        price: Of one unit.
        volume: Lots.
    """

    price: float
    volume: float


Moment = tuple[int, float, float]  # two ticks may come in one millisecond: their prices tell them apart
Taken = dict[tuple[bool, float], float]


class Depth:
    """The depth of every symbol, and what was taken from it.

    Args:
        seed: Selects the volumes.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._share = 1.0
        self._taken: dict[str, tuple[Moment, Taken]] = {}

    @contextmanager
    def scarce(self, share: float) -> Generator[None, None, None]:
        """Let orders find only a share of the volume that they want, rounded down to the step.

        Args:
            share: From 0 to 1.
        """
        before, self._share = self._share, share
        try:
            yield
        finally:
            self._share = before

    def levels(self, instrument: Instrument, tick: Tick) -> tuple[list[Level], list[Level]]:
        """Return what is left at a tick: asks ascending and bids descending; none before the first tick."""
        return self._left(instrument, tick, is_buy=True), self._left(instrument, tick, is_buy=False)

    def peek(
        self, instrument: Instrument, tick: Tick, is_buy: bool, volume: float, limit: float | None = None
    ) -> list[Level]:
        """Return the fills that an order would get, from the best price on.

        Args:
            instrument: The symbol.
            tick: Its present.
            is_buy: Whether asks are taken, not bids.
            volume: The most to fill, in lots.
            limit: The worst price.

        Returns:
            Fills of together at most `volume`; none where there is nothing at `limit` or better.
        """
        missing = volume if self._share == 1.0 else _part(instrument, volume, self._share)
        left = self._left(instrument, tick, is_buy)
        if len(left) == 1 and left[0].volume >= missing > 0:  # as of every symbol without depth
            price = left[0].price
            return [] if _is_worse(price, limit, is_buy) else [Level(price, missing)]
        fills: list[Level] = []
        for level in left:
            if missing <= 0 or _is_worse(level.price, limit, is_buy):
                break
            fills.append(Level(level.price, min(level.volume, missing)))
            missing = round(missing - fills[-1].volume, VOLUME_DIGITS)
        return fills

    def take(
        self,
        instrument: Instrument,
        tick: Tick,
        is_buy: bool,
        volume: float,
        limit: float | None = None,
        least: float = 0.0,
    ) -> list[Level]:
        """Fill as `peek` says: until the next tick what was filled is gone.

        Args:
            instrument: The symbol.
            tick: Its present.
            is_buy: Whether asks are taken, not bids.
            volume: The most to fill, in lots.
            limit: The worst price.
            least: Where there is less than this, nothing is filled.
        """
        fills = self.peek(instrument, tick, is_buy, volume, limit)
        there = sum([fill.volume for fill in fills])
        if there < least and round(there - least, VOLUME_DIGITS) < 0:
            return []
        if instrument.book_depth:
            taken = self._taken_at(instrument.name, tick)
            for price, filled in fills:
                taken[is_buy, price] = taken.get((is_buy, price), 0.0) + filled
            self._taken[instrument.name] = (_moment(tick), taken)
        return fills

    def _left(self, instrument: Instrument, tick: Tick, is_buy: bool) -> list[Level]:
        if not tick.time_msc:
            return []
        if not instrument.book_depth:
            return [Level(tick.ask if is_buy else tick.bid, math.inf)]
        taken = self._taken_at(instrument.name, tick)
        levels = _made_up(self._seed, instrument, tick, is_buy)
        if not taken:
            return levels
        left = (
            Level(price, round(volume - taken.get((is_buy, price), 0.0), VOLUME_DIGITS))
            for price, volume in levels
        )
        return [level for level in left if level.volume > 0]

    def _taken_at(self, symbol: str, tick: Tick) -> Taken:
        known = self._taken.get(symbol)
        return known[1] if known is not None and known[0] == _moment(tick) else {}


def _moment(tick: Tick) -> Moment:
    return tick.time_msc, tick.bid, tick.ask


def _is_worse(price: float, limit: float | None, is_buy: bool) -> bool:
    return limit is not None and (price > limit if is_buy else price < limit)


def _made_up(seed: int, instrument: Instrument, tick: Tick, is_buy: bool) -> list[Level]:
    """Return the whole depth of one side at a tick, of a symbol that has one."""
    best = tick.ask if is_buy else tick.bid
    name = f"{seed}:book:{instrument.name}:{tick.time_msc}:{best}:{is_buy}"
    noise = hashlib.shake_256(name.encode()).digest(2 * instrument.book_depth)
    steps = 0
    levels: list[Level] = []
    for size, gap in zip(noise[::2], noise[1::2], strict=True):
        price = instrument.normalize(best + (steps if is_buy else -steps) * instrument.tick_size)
        if price <= 0:
            break
        levels.append(Level(price, _lots(instrument, (0.5 + size / 255) * instrument.book_volume)))
        steps += 1 + gap % 2
    return levels


def _part(instrument: Instrument, volume: float, share: float) -> float:
    step = instrument.volume_step
    return round(math.floor(round(volume * share / step, VOLUME_DIGITS)) * step, VOLUME_DIGITS)


def _lots(instrument: Instrument, volume: float) -> float:
    """Return a volume that can be traded: on the step, not below the minimum."""
    step = instrument.volume_step
    least = math.ceil(round(instrument.volume_min / step, VOLUME_DIGITS))
    return round(max(round(volume / step), least) * step, VOLUME_DIGITS)
