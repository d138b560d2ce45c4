"""When resting orders and stops are touched, and at what price they fill: pure functions of order and tick.

Buys look at the ask, sells at the bid; a long position's stops look at the bid, a short one's at the ask
(what it would be closed at). A limit or take profit is filled at the price then quoted, which is the
level or better; a stop or stop loss at the price then quoted, which after a gap is worse than the level.
"""

from typing import NamedTuple

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

PENDING_TYPES = frozenset(TRIGGERS) - {ORDER_TYPE_BUY, ORDER_TYPE_SELL}

STOP_LIMITS = frozenset({ORDER_TYPE_BUY_STOP_LIMIT, ORDER_TYPE_SELL_STOP_LIMIT})
LIMITS = frozenset({ORDER_TYPE_BUY_LIMIT, ORDER_TYPE_SELL_LIMIT})


def is_triggered(order_type: int, level: float, bid: float, ask: float) -> bool:
    """Whether a quote sets a pending order off."""
    by_ask, rising, _becomes = TRIGGERS[order_type]
    price = ask if by_ask else bid
    return price >= level if rising else price <= level


def stop_touched(is_buy: bool, sl: float, tp: float, bid: float, ask: float) -> int:
    """Return the reason for which a quote closes a position: SL, TP, or 0; a level of 0 is none."""
    price, sign = (bid, 1) if is_buy else (ask, -1)
    if sl and (price - sl) * sign <= 0:
        return ORDER_REASON_SL
    if tp and (price - tp) * sign >= 0:
        return ORDER_REASON_TP
    return 0


class Levels(NamedTuple):
    """The nearest levels around the price: a quote strictly inside all four touches nothing."""

    bid_low: float
    bid_high: float
    ask_low: float
    ask_high: float


INFINITY = float("inf")
NO_LEVELS = Levels(-INFINITY, INFINITY, -INFINITY, INFINITY)


def order_levels(levels: Levels, order_type: int, level: float) -> Levels:
    """Return the levels with those of a pending order among them."""
    by_ask, rising, _becomes = TRIGGERS[order_type]
    return _with(levels, by_ask, rising, level)


def stop_levels(levels: Levels, is_buy: bool, sl: float, tp: float) -> Levels:
    """Return the levels with a position's stops among them."""
    if sl:
        levels = _with(levels, not is_buy, not is_buy, sl)
    if tp:
        levels = _with(levels, not is_buy, is_buy, tp)
    return levels


def _with(levels: Levels, by_ask: bool, rising: bool, level: float) -> Levels:
    low_bid, high_bid, low_ask, high_ask = levels
    if by_ask:
        return (
            Levels(low_bid, high_bid, low_ask, min(high_ask, level))
            if rising
            else Levels(low_bid, high_bid, max(low_ask, level), high_ask)
        )
    return (
        Levels(low_bid, min(high_bid, level), low_ask, high_ask)
        if rising
        else Levels(max(low_bid, level), high_bid, low_ask, high_ask)
    )
