"""What a terminal has shown so far, as far as it takes to tell what is new; and what one look shows."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from mt5crs.model import TradeDeal, TradeOrder, TradePosition

DAY = 86_400
OVERLAP = 7_200
"""Seconds of history that every look asks for again: once a year the server's clock is set back an hour."""
ORDER_FIELDS = (
    "type", "state", "volume_current", "price_open", "price_stoplimit", "sl", "tp", "type_time",
    "time_expiration",
)  # fmt: skip
"""What of an open order is worth an event when it changes; prices that the market moves are not."""
PARTS = ("orders", "done", "deals", "levels", "held")
"""The attributes of a picture that have something by ticket."""


class Shown(NamedTuple):
    """What one look through a terminal has found.

    Attributes:
        time: The server's time is not before this; epoch seconds, 0 where nothing tells.
        tick: Time of the newest tick that was seen, the same way.
        latest: The server's time is not after this; infinite where nothing tells.
        start: From when on history was asked for; orders of a picture may be in it that are older.
        orders: The open orders.
        history: The orders that are done; asked for after `orders`.
        deals: The deals; asked for after `history`.
        positions: The open positions; asked for before `orders`.
    """

    time: float
    tick: float
    latest: float
    start: int
    orders: Sequence[TradeOrder]
    history: Sequence[TradeOrder]
    deals: Sequence[TradeDeal]
    positions: Sequence[TradePosition]

    def without(self, tickets: Collection[int]) -> "Shown":
        """Return the same as if some orders, and what came of them, had not been shown yet."""
        return self._replace(
            orders=[order for order in self.orders if order.ticket not in tickets],
            history=[order for order in self.history if order.ticket not in tickets],
            deals=[deal for deal in self.deals if deal.order not in tickets],
            positions=[position for position in self.positions if position.identifier not in tickets],
        )


class Picture(Struct, frozen=True):
    """What was shown so far.

    Attributes:
        begin: The server's time, epoch seconds, was not before this when the first picture was taken.
        time: The same of the latest one.
        orders: Of each open order, its `ORDER_FIELDS`.
        done: When an order was done, epoch seconds; of those that history may show again.
        deals: When a deal was made, of those too.
        levels: Stop loss and take profit of each open position, by its identifier.
        held: Deals that were shown before their order was, and wait one look for it.
    """

    begin: float
    time: float
    orders: dict[int, list[Any]]
    done: dict[int, float]
    deals: dict[int, float]
    levels: dict[int, list[float]]
    held: dict[int, bool]

    def since(self, overlap: int) -> int:
        """Return from when on history is to be asked for, given how far back of what was seen."""
        return max(0, int(self.time) - overlap)


def fields_of(order: TradeOrder) -> list[Any]:
    """Return what of an open order is worth an event when it changes."""
    return [getattr(order, name) for name in ORDER_FIELDS]


def levels_of(shown: TradeOrder | TradePosition) -> list[float]:
    """Return stop loss and take profit."""
    return [shown.sl, shown.tp]


def done_msc(order: TradeOrder) -> int:
    """Return when an order was done, in milliseconds of server time."""
    return order.time_done_msc or order.time_setup_msc
