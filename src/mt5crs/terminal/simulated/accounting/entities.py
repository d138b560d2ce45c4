"""Positions and orders while they live; the structures that callers see are made from them."""

from collections.abc import Iterable
from dataclasses import dataclass

from mt5crs.constants import (
    ORDER_STATE_PLACED,
    ORDER_TIME_DAY,
    ORDER_TIME_SPECIFIED,
    ORDER_TIME_SPECIFIED_DAY,
    ORDER_TYPE_BUY,
    ORDER_TYPE_BUY_LIMIT,
    ORDER_TYPE_BUY_STOP,
    ORDER_TYPE_BUY_STOP_LIMIT,
    ORDER_TYPE_SELL,
    ORDER_TYPE_SELL_LIMIT,
    ORDER_TYPE_SELL_STOP,
    ORDER_TYPE_SELL_STOP_LIMIT,
    POSITION_TYPE_BUY,
    POSITION_TYPE_SELL,
)
from mt5crs.model import AVERAGE_DIGITS, VOLUME_DIGITS, TradeOrder, TradePosition, TradeRequest
from mt5crs.terminal.simulated.instruments.calendar import DAY

BUYS = frozenset({ORDER_TYPE_BUY, ORDER_TYPE_BUY_LIMIT, ORDER_TYPE_BUY_STOP, ORDER_TYPE_BUY_STOP_LIMIT})
MARKET_TYPES = frozenset({ORDER_TYPE_BUY, ORDER_TYPE_SELL})
LIMITS = frozenset({ORDER_TYPE_BUY_LIMIT, ORDER_TYPE_SELL_LIMIT})
STOPS = frozenset({ORDER_TYPE_BUY_STOP, ORDER_TYPE_SELL_STOP})
STOP_LIMITS = frozenset({ORDER_TYPE_BUY_STOP_LIMIT, ORDER_TYPE_SELL_STOP_LIMIT})
PENDING_TYPES = LIMITS | STOPS | STOP_LIMITS


def less(volume: float, other: float) -> float:
    """Return a volume less another one: mostly all of it, which needs no rounding."""
    return 0.0 if volume == other else round(volume - other, VOLUME_DIGITS)


def market_price(is_buy: bool, bid: float, ask: float) -> float:
    """Return what a market order fills at."""
    return ask if is_buy else bid


def stated_expiration(request: TradeRequest, setup_msc: int) -> int:
    """Return the `time_expiration` of an order: what was asked for, or for a day order its day's midnight."""
    if request.type_time == ORDER_TIME_DAY:
        return setup_msc // 1000 // DAY * DAY
    specified = request.type_time in (ORDER_TIME_SPECIFIED, ORDER_TIME_SPECIFIED_DAY)
    return int(request.expiration) if specified else 0


def expiration_msc(type_time: int, expiration: int) -> float:
    """Return when a stated expiration takes effect, server milliseconds; infinity if it never does."""
    if type_time == ORDER_TIME_SPECIFIED:
        return expiration * 1000
    if type_time == ORDER_TIME_SPECIFIED_DAY:
        return (expiration // DAY * DAY + DAY - 1) * 1000
    return float("inf")


@dataclass(slots=True)
class Position:
    """An open position; times in server milliseconds.

    `margin_rate` is what a unit of the margin currency was worth when it was opened; 0 until the account
    has valued it.
    """

    ticket: int
    identifier: int
    symbol: str
    type: int
    volume: float
    price_open: float
    time_msc: int
    time_update_msc: int
    magic: int
    reason: int
    sl: float
    tp: float
    comment: str
    swap: float = 0.0
    margin_rate: float = 0.0

    @property
    def is_buy(self) -> bool:
        """Whether it is long."""
        return self.type == POSITION_TYPE_BUY

    def meet(self, is_buy: bool, volume: float, price: float) -> None:
        """Take a deal in: the same direction averages, the opposite one reduces or, if larger, reverses.

        Args:
            is_buy: The deal's direction.
            volume: Its lots.
            price: Its price.
        """
        if is_buy is self.is_buy:
            both = self.volume + volume
            average = (self.price_open * self.volume + price * volume) / both
            self.price_open = price if price == self.price_open else round(average, AVERAGE_DIGITS)
            self.volume = round(both, VOLUME_DIGITS)
            return
        left = less(self.volume, volume)
        if left < 0:
            self.type = POSITION_TYPE_BUY if is_buy else POSITION_TYPE_SELL
            self.price_open = price
        self.volume = abs(left)

    def record(self, price_current: float, profit: float) -> TradePosition:
        """Return the structure of `positions_get`."""
        record: TradePosition = TradePosition.of((
            self.ticket, self.time_msc // 1000, self.time_msc,
            self.time_update_msc // 1000, self.time_update_msc,
            self.type, self.magic, self.identifier, self.reason, self.volume, self.price_open,
            self.sl, self.tp, price_current, self.swap, profit, self.symbol, self.comment, "",
        ))  # fmt: skip
        return record


def position_of(positions: Iterable[Position], symbol: str) -> Position | None:
    """Return the oldest position of a symbol; on a netting account there is no other."""
    return next((position for position in positions if position.symbol == symbol), None)


@dataclass(slots=True)
class Order:
    """An order from its setup to history; times in server milliseconds, `expiration` in seconds."""

    ticket: int
    symbol: str
    type: int
    volume_initial: float
    volume_current: float
    price_open: float
    time_setup_msc: int
    magic: int
    reason: int
    comment: str
    sl: float = 0.0
    tp: float = 0.0
    price_stoplimit: float = 0.0
    type_time: int = 0
    type_filling: int = 0
    expiration: int = 0
    state: int = ORDER_STATE_PLACED
    position_id: int = 0
    position_by_id: int = 0
    price_current: float = 0.0
    time_done_msc: int = 0

    def expires_msc(self) -> float:
        """Return when it expires, server milliseconds; infinity if it does not."""
        if self.type_time == ORDER_TIME_DAY:
            # The market never closes for the night: the trading day is the server's calendar day.
            return (self.time_setup_msc // 1000 // DAY + 1) * DAY * 1000
        return expiration_msc(self.type_time, self.expiration)

    def record(self, price_current: float) -> TradeOrder:
        """Return the structure of `orders_get` and `history_orders_get`."""
        record: TradeOrder = TradeOrder.of((
            self.ticket, self.time_setup_msc // 1000, self.time_setup_msc,
            self.time_done_msc // 1000, self.time_done_msc, self.expiration,
            self.type, self.type_time, self.type_filling, self.state, self.magic,
            self.position_id, self.position_by_id, self.reason,
            self.volume_initial, self.volume_current, self.price_open, self.sl, self.tp,
            price_current, self.price_stoplimit, self.symbol, self.comment, "",
        ))  # fmt: skip
        return record
