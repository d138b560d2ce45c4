"""When resting orders and stops are touched, and at what price they fill: pure functions of order and tick.

Buys look at the ask, sells at the bid; a long position's stops look at the bid, a short one's at the ask
(what it would be closed at). Where trades are published (exchanges), all of them look at the last price,
and not before there is one. A limit or take profit is filled at its level or at the price then quoted if
that is better; a stop or stop loss at the price then quoted, which after a gap is worse than the level.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.constants import (
    ORDER_REASON_SL,
    ORDER_REASON_TP,
    ORDER_TYPE_BUY,
    ORDER_TYPE_BUY_LIMIT,
    ORDER_TYPE_BUY_STOP,
    ORDER_TYPE_BUY_STOP_LIMIT,
    ORDER_TYPE_SELL,
    ORDER_TYPE_SELL_LIMIT,
    ORDER_TYPE_SELL_STOP,
    ORDER_TYPE_SELL_STOP_LIMIT,
)
from mt5crs.model import Tick

INFINITY = float("inf")


class Trigger(NamedTuple):
    """What sets a pending order off.

    Attributes:
        by_ask: Whether the ask is watched, not the bid.
        rising: Whether the price must rise to the level, not fall.
        becomes: The order type that it turns into: a market order, or the limit order of a stop-limit.
    """

    by_ask: bool
    rising: bool
    becomes: int


TRIGGERS: dict[int, Trigger] = {
    # What is left of a market order waits with a price of 0: every quote sets it off.
    ORDER_TYPE_BUY: Trigger(True, True, ORDER_TYPE_BUY),
    ORDER_TYPE_SELL: Trigger(False, True, ORDER_TYPE_SELL),
    ORDER_TYPE_BUY_LIMIT: Trigger(True, False, ORDER_TYPE_BUY),
    ORDER_TYPE_SELL_LIMIT: Trigger(False, True, ORDER_TYPE_SELL),
    ORDER_TYPE_BUY_STOP: Trigger(True, True, ORDER_TYPE_BUY),
    ORDER_TYPE_SELL_STOP: Trigger(False, False, ORDER_TYPE_SELL),
    ORDER_TYPE_BUY_STOP_LIMIT: Trigger(True, True, ORDER_TYPE_BUY_LIMIT),
    ORDER_TYPE_SELL_STOP_LIMIT: Trigger(False, False, ORDER_TYPE_SELL_LIMIT),
}
"""All that can rest."""


def _watched(tick: Tick, by_ask: bool, by_last: bool) -> float:
    if by_last:
        return tick.last
    return tick.ask if by_ask else tick.bid


def is_triggered(order_type: int, level: float, tick: Tick, by_last: bool = False) -> bool:
    """Whether a tick sets a pending order off.

    Args:
        order_type: A pending type.
        level: Its price.
        tick: The tick.
        by_last: Whether the last price is watched.
    """
    by_ask, rising, _becomes = TRIGGERS[order_type]
    price = _watched(tick, by_ask, by_last)
    return price > 0 and (price >= level if rising else price <= level)


def stop_touched(is_buy: bool, sl: float, tp: float, tick: Tick, by_last: bool = False) -> int:
    """Return the reason for which a tick closes a position: SL, TP, or 0; a level of 0 is none."""
    price, sign = _watched(tick, not is_buy, by_last), 1 if is_buy else -1
    if not price:
        return 0
    if sl and (price - sl) * sign <= 0:
        return ORDER_REASON_SL
    if tp and (price - tp) * sign >= 0:
        return ORDER_REASON_TP
    return 0


def limit_price(is_buy: bool, level: float, market: float) -> float:
    """Return what a limit or a take profit is filled at: its level, or the market's price if better."""
    return min(level, market) if is_buy else max(level, market)


def trades_at_once(order_type: int, price: float, tick: Tick) -> bool:
    """Whether a limit order meets a tick's quote."""
    return price >= tick.ask if order_type == ORDER_TYPE_BUY_LIMIT else price <= tick.bid


class Levels:
    """The nearest levels around the prices of one symbol: a tick strictly inside all touches nothing.

    Attributes:
        low: The highest level below bid, ask and last.
        high: The lowest level above them.
    """

    __slots__ = ("_by_last", "high", "low")

    def __init__(self, by_last: bool = False) -> None:
        self._by_last = by_last
        self.low = [-INFINITY] * 3
        self.high = [INFINITY] * 3

    def add(self, by_ask: bool, rising: bool, level: float) -> None:
        """Add the level of something that looks at the ask or the bid, or else at the last price."""
        side = 2 if self._by_last else int(by_ask)
        if rising:
            self.high[side] = min(self.high[side], level)
        else:
            self.low[side] = max(self.low[side], level)

    def add_order(self, order_type: int, level: float) -> None:
        """Add a pending order."""
        by_ask, rising, _becomes = TRIGGERS[order_type]
        self.add(by_ask, rising, level)

    def add_stops(self, is_buy: bool, sl: float, tp: float) -> None:
        """Add a position's stops."""
        if sl:
            self.add(not is_buy, not is_buy, sl)
        if tp:
            self.add(not is_buy, is_buy, tp)

    def within(self, tick: Tick, part: float) -> "Levels":
        """Return the levels and, around the prices of a tick, those that are `part` of the price away."""
        both = Levels(self._by_last)
        both.low, both.high = self.low.copy(), self.high.copy()
        prices = (tick.bid, tick.ask, tick.last) if self._by_last else (tick.bid, tick.ask)
        for side, price in enumerate(prices):
            both.low[side] = max(both.low[side], price * (1 - part))
            both.high[side] = min(both.high[side], price * (1 + part))
        return both

    def first_outside(self, prices: NDArray[np.float64], begin: int, end: int) -> int | None:
        """Return the place of the first tick that is not strictly inside.

        Args:
            prices: Three rows: bids, asks and last prices.
            begin: The place to begin at.
            end: The place to end before.
        """
        if end <= begin:
            return None
        outside: NDArray[np.bool_] | None = None
        for row, low, high in zip(prices, self.low, self.high, strict=True):
            part = row[begin:end]
            if low > -INFINITY:
                found = part <= low
                outside = found if outside is None else np.logical_or(outside, found, out=outside)
            if high < INFINITY:
                found = part >= high
                outside = found if outside is None else np.logical_or(outside, found, out=outside)
        if outside is None:
            return None
        place = int(outside.argmax())
        return begin + place if outside[place] else None
