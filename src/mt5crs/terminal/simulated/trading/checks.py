"""Whether a trade request would be accepted: one table of checks for each kind of request.

The checks run in the order in which servers run them: request fields, trading permission and symbol mode,
volume, filling and expiration, price, stops, money. The first that fails decides the return code. Each
check is a function of a `Draft` and returns a return code, 0 for no objection.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite
from typing import NamedTuple

from mt5crs import constants as c
from mt5crs.model import Tick, TradeRequest
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import (
    BUYS,
    Order,
    Position,
    expiration_msc,
    market_price,
    stated_expiration,
)
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.trading.matching import STOP_LIMITS, TRIGGERS

OK = 0
HALF = 0.5

# Order types as bits of `order_mode`: market, limit, stop, stop-limit, SL, TP, close-by.
MODE_BITS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 8, 7: 8, 8: 64}
SL_BIT, TP_BIT = 16, 32
FILLING_BITS = {c.ORDER_FILLING_FOK: 1, c.ORDER_FILLING_IOC: 2, c.ORDER_FILLING_BOC: 4}
# How the trade mode of a symbol limits opening: the return code for a buy and for a sell.
OPENING = {
    c.SYMBOL_TRADE_MODE_DISABLED: (c.TRADE_RETCODE_TRADE_DISABLED, c.TRADE_RETCODE_TRADE_DISABLED),
    c.SYMBOL_TRADE_MODE_LONGONLY: (OK, c.TRADE_RETCODE_LONG_ONLY),
    c.SYMBOL_TRADE_MODE_SHORTONLY: (c.TRADE_RETCODE_SHORT_ONLY, OK),
    c.SYMBOL_TRADE_MODE_CLOSEONLY: (c.TRADE_RETCODE_CLOSE_ONLY, c.TRADE_RETCODE_CLOSE_ONLY),
    c.SYMBOL_TRADE_MODE_FULL: (OK, OK),
}


class Draft(NamedTuple):
    """A request with everything that it refers to.

    Attributes:
        request: The request.
        account: The account.
        symbol: The instrument, of the request or of what it changes; None if unknown.
        tick: Its last tick.
        is_open: Whether its market is open.
        now_msc: Server time.
        limit_orders: The most pending orders; 0 is no limit.
        position: The position that the request names, if it is open.
        other: The position of `position_by`, if it is open.
        order: The pending order that the request names, if there is one.
    """

    request: TradeRequest
    account: Account
    symbol: Instrument | None
    tick: Tick
    is_open: bool
    now_msc: int
    limit_orders: int
    position: Position | None
    other: Position | None
    order: Order | None

    @property
    def instrument(self) -> Instrument:
        """The instrument, once it is known to be there."""
        assert self.symbol is not None  # noqa: S101 - the first check of every table
        return self.symbol

    @property
    def is_buy(self) -> bool:
        """Whether the request's order type buys."""
        return self.request.type in BUYS


Check = Callable[[Draft], int]


VOLUME_TOLERANCE = 1e-6  # of a step: what a float makes of 0.1 is still 0.1

# ---- fields and permission --------------------------------------------------------------------------


def _known_symbol(draft: Draft) -> int:
    if not draft.request.symbol:
        return c.TRADE_RETCODE_INVALID
    return OK if draft.symbol is not None and draft.tick.time else c.TRADE_RETCODE_PRICE_OFF


def _market_type(draft: Draft) -> int:
    is_market = draft.request.type in (c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL)
    return OK if is_market else c.TRADE_RETCODE_INVALID_ORDER


def _pending_type(draft: Draft) -> int:
    return OK if draft.request.type in TRIGGERS else c.TRADE_RETCODE_INVALID_ORDER


def _order_mode(draft: Draft) -> int:
    request, mode = draft.request, draft.instrument.order_mode
    needed = MODE_BITS[request.type] | (SL_BIT if request.sl else 0) | (TP_BIT if request.tp else 0)
    return OK if mode & needed == needed else c.TRADE_RETCODE_INVALID_ORDER


def _may_open(draft: Draft) -> int:
    on_buy, on_sell = OPENING[draft.instrument.trade_mode]
    return on_buy if draft.is_buy else on_sell


def _may_change(draft: Draft) -> int:
    disabled = draft.instrument.trade_mode == c.SYMBOL_TRADE_MODE_DISABLED
    return c.TRADE_RETCODE_TRADE_DISABLED if disabled else OK


def _market_open(draft: Draft) -> int:
    return OK if draft.is_open else c.TRADE_RETCODE_MARKET_CLOSED


def _position_there(draft: Draft) -> int:
    if not draft.request.position:
        return c.TRADE_RETCODE_INVALID
    return OK if draft.position is not None else c.TRADE_RETCODE_POSITION_CLOSED


def _closes_position(draft: Draft) -> int:
    position, request = draft.position, draft.request
    if position is None:
        return c.TRADE_RETCODE_POSITION_CLOSED
    fits = position.symbol == request.symbol and position.is_buy is not draft.is_buy
    return OK if fits else c.TRADE_RETCODE_INVALID


def _order_there(draft: Draft) -> int:
    return OK if draft.order is not None else c.TRADE_RETCODE_INVALID


def _opposite_positions(draft: Draft) -> int:
    one, other = draft.position, draft.other
    if not draft.request.position_by:
        return c.TRADE_RETCODE_INVALID
    if other is None:
        return c.TRADE_RETCODE_POSITION_CLOSED
    fits = one is not None and one.symbol == other.symbol and one.type != other.type
    return OK if fits else c.TRADE_RETCODE_INVALID


# ---- volume, filling, expiration --------------------------------------------------------------------


def _volume(draft: Draft) -> int:
    volume, symbol = draft.request.volume, draft.instrument
    steps = volume / symbol.volume_step
    fits = symbol.volume_min <= volume <= symbol.volume_max and abs(steps - round(steps)) < VOLUME_TOLERANCE
    return OK if fits else c.TRADE_RETCODE_INVALID_VOLUME


def _close_volume(draft: Draft) -> int:
    over = draft.position is not None and draft.request.volume > draft.position.volume + 1e-9
    return c.TRADE_RETCODE_INVALID_CLOSE_VOLUME if over else OK


def _volume_limit(draft: Draft) -> int:
    symbol, account = draft.instrument, draft.account
    if not symbol.volume_limit:
        return OK
    open_, resting = account.positions.values(), account.orders.values()
    held = sum(p.volume for p in open_ if _same_side(p.symbol, p.is_buy, draft))
    waits = sum(o.volume_current for o in resting if _same_side(o.symbol, o.type in BUYS, draft))
    over = held + waits + draft.request.volume > symbol.volume_limit + 1e-9
    return c.TRADE_RETCODE_LIMIT_VOLUME if over else OK


def _same_side(symbol: str, is_buy: bool, draft: Draft) -> bool:
    return symbol == draft.instrument.name and is_buy is draft.is_buy


def _market_filling(draft: Draft) -> int:
    """Market orders: one of the symbol's own; RETURN only on an exchange, instant execution always FOK."""
    filling, symbol = draft.request.type_filling, draft.instrument
    if symbol.exemode in (c.SYMBOL_TRADE_EXECUTION_REQUEST, c.SYMBOL_TRADE_EXECUTION_INSTANT):
        allowed = filling == c.ORDER_FILLING_FOK
    elif filling == c.ORDER_FILLING_RETURN:
        allowed = symbol.exemode == c.SYMBOL_TRADE_EXECUTION_EXCHANGE
    else:
        allowed = bool(FILLING_BITS.get(filling, 0) & symbol.filling_mode)
    return OK if allowed else c.TRADE_RETCODE_INVALID_FILL


def _pending_filling(draft: Draft) -> int:
    filling = draft.request.type_filling
    allowed = FILLING_BITS.get(filling, 0) & draft.instrument.filling_mode
    return OK if allowed or filling == c.ORDER_FILLING_RETURN else c.TRADE_RETCODE_INVALID_FILL


def _expiration(draft: Draft) -> int:
    request = draft.request
    kind = request.type_time
    if not 0 <= kind <= c.ORDER_TIME_SPECIFIED_DAY or not draft.instrument.expiration_mode >> kind & 1:
        return c.TRADE_RETCODE_INVALID_EXPIRATION
    if kind in (c.ORDER_TIME_SPECIFIED, c.ORDER_TIME_SPECIFIED_DAY):
        past = expiration_msc(kind, request.expiration) <= draft.now_msc
        return c.TRADE_RETCODE_INVALID_EXPIRATION if past else OK
    return OK


def _orders_limit(draft: Draft) -> int:
    full = draft.limit_orders and len(draft.account.orders) >= draft.limit_orders
    return c.TRADE_RETCODE_LIMIT_ORDERS if full else OK


# ---- prices -----------------------------------------------------------------------------------------


def _at_least(difference: float, distance: float, point: float) -> bool:
    """Whether a difference of prices is the distance or more; floats are compared to half a point."""
    return difference >= distance - HALF * point


def _deal_price(draft: Draft) -> int:
    """Instant execution: a price within the deviation; market execution ignores it."""
    symbol, request, tick = draft.instrument, draft.request, draft.tick
    if symbol.exemode in (c.SYMBOL_TRADE_EXECUTION_MARKET, c.SYMBOL_TRADE_EXECUTION_EXCHANGE):
        return OK
    if request.price <= 0:
        return c.TRADE_RETCODE_INVALID_PRICE
    moved = abs(market_price(draft.is_buy, tick.bid, tick.ask) - request.price)
    return OK if moved <= (request.deviation + HALF) * symbol.point else c.TRADE_RETCODE_REQUOTE


def _pending_price(draft: Draft) -> int:
    request = draft.request
    order_type = draft.order.type if draft.order is not None else request.type
    return _placed_right(draft, order_type, request.price, request.stoplimit)


def _placed_right(draft: Draft, order_type: int, price: float, stoplimit: float) -> int:
    """The placement rules: on the right side of the quote, by the stops level or more."""
    symbol, tick = draft.instrument, draft.tick
    if not (isfinite(price) and isfinite(stoplimit)):
        return c.TRADE_RETCODE_INVALID_PRICE
    distance = symbol.stops_level * symbol.point
    by_ask, rising, _becomes = TRIGGERS[order_type]
    away = price - (tick.ask if by_ask else tick.bid)
    if price <= 0 or not _at_least(away if rising else -away, distance, symbol.point):
        return c.TRADE_RETCODE_INVALID_PRICE
    if order_type in STOP_LIMITS:
        below = price - stoplimit if rising else stoplimit - price
        if stoplimit <= 0 or not _at_least(below, distance, symbol.point):
            return c.TRADE_RETCODE_INVALID_PRICE
    return OK


# ---- stops ------------------------------------------------------------------------------------------


def _stops(draft: Draft, is_buy: bool, sl_from: float, tp_from: float) -> int:
    """SL and TP on their sides of two reference prices, by the stops level or more."""
    request, symbol = draft.request, draft.instrument
    distance = symbol.stops_level * symbol.point
    sign = 1 if is_buy else -1
    sl_fits = not request.sl or _at_least((sl_from - request.sl) * sign, distance, symbol.point)
    tp_fits = not request.tp or _at_least((request.tp - tp_from) * sign, distance, symbol.point)
    possible = 0 <= request.sl < inf and 0 <= request.tp < inf
    return OK if sl_fits and tp_fits and possible else c.TRADE_RETCODE_INVALID_STOPS


def _market_stops(draft: Draft) -> int:
    """A market order's stops refer to the price that it would be closed at."""
    closing = market_price(not draft.is_buy, draft.tick.bid, draft.tick.ask)
    return _stops(draft, draft.is_buy, closing, closing)


def _position_stops(draft: Draft) -> int:
    position = draft.position
    is_buy = position is not None and position.is_buy
    closing = market_price(not is_buy, draft.tick.bid, draft.tick.ask)
    return _stops(draft, is_buy, closing, closing)


def _pending_stops(draft: Draft) -> int:
    """A pending order's stops refer to its own price; those of a stop-limit to the limit price."""
    request = draft.request
    order_type = draft.order.type if draft.order is not None else request.type
    price = request.stoplimit if order_type in STOP_LIMITS else request.price
    return _stops(draft, order_type in BUYS, price, price)


# ---- changes ----------------------------------------------------------------------------------------


def _order_frozen(draft: Draft) -> int:
    order, symbol, tick = draft.order, draft.instrument, draft.tick
    if order is None or not symbol.freeze_level:
        return OK
    price = tick.ask if order.type in BUYS else tick.bid
    near = abs(price - order.price_open) <= (symbol.freeze_level + HALF) * symbol.point
    return c.TRADE_RETCODE_FROZEN if near else OK


def _position_frozen(draft: Draft) -> int:
    position, symbol, tick = draft.position, draft.instrument, draft.tick
    if position is None or not symbol.freeze_level:
        return OK
    price = market_price(not position.is_buy, tick.bid, tick.ask)
    distance = (symbol.freeze_level + HALF) * symbol.point
    near = any(level and abs(price - level) <= distance for level in (position.sl, position.tp))
    return c.TRADE_RETCODE_FROZEN if near else OK


def _order_changes(draft: Draft) -> int:
    order, request = draft.order, draft.request
    if order is None:
        return OK
    stoplimit = request.stoplimit if order.type in STOP_LIMITS else 0.0
    expiration = stated_expiration(request, order.time_setup_msc)
    asked = (request.price, request.sl, request.tp, request.type_time, expiration, stoplimit)
    has = (order.price_open, order.sl, order.tp, order.type_time, order.expiration, order.price_stoplimit)
    return c.TRADE_RETCODE_NO_CHANGES if asked == has else OK


def _stops_change(draft: Draft) -> int:
    position, request = draft.position, draft.request
    same = position is not None and (position.sl, position.tp) == (request.sl, request.tp)
    return c.TRADE_RETCODE_NO_CHANGES if same else OK


# ---- money ------------------------------------------------------------------------------------------


def _enough_money(draft: Draft) -> int:
    totals = draft.account.totals()
    after = margin_after(draft)
    # A trade that does not raise the margin (a hedge) needs no free margin.
    short = after > totals.margin and after > totals.equity
    return c.TRADE_RETCODE_NO_MONEY if short else OK


def margin_after(draft: Draft) -> float:
    """Return the account's margin if the request were carried out."""
    request, position = draft.request, draft.position
    held = list(draft.account.positions.values())
    if request.action == c.TRADE_ACTION_DEAL:
        if position is None:
            price = market_price(draft.is_buy, draft.tick.bid, draft.tick.ask)
            held.append(Position.proposed(request.symbol, request.type, request.volume, price))
        else:
            held.remove(position)
            held.append(replace(position, volume=position.volume - request.volume))
    return draft.account.margin(held)


OPEN_CHECKS: tuple[Check, ...] = (
    _known_symbol, _market_type, _order_mode, _may_open, _market_open, _volume, _volume_limit,
    _market_filling, _deal_price, _market_stops, _enough_money,
)  # fmt: skip
CLOSE_CHECKS: tuple[Check, ...] = (
    _known_symbol, _market_type, _closes_position, _may_change, _market_open, _volume, _close_volume,
    _market_filling, _deal_price, _position_frozen,
)  # fmt: skip
CHECKS: dict[int, tuple[Check, ...]] = {
    c.TRADE_ACTION_PENDING: (
        _known_symbol, _pending_type, _order_mode, _may_open, _market_open, _volume, _volume_limit,
        _orders_limit, _pending_filling, _expiration, _pending_price, _pending_stops,
    ),
    c.TRADE_ACTION_SLTP: (
        _position_there, _may_change, _market_open, _stops_change, _position_frozen, _position_stops,
    ),
    c.TRADE_ACTION_MODIFY: (
        _order_there, _may_change, _market_open, _order_changes, _order_frozen, _expiration, _pending_price,
        _pending_stops,
    ),
    c.TRADE_ACTION_REMOVE: (_order_there, _may_change, _market_open, _order_frozen),
    c.TRADE_ACTION_CLOSE_BY: (_position_there, _opposite_positions, _may_change, _market_open),
}  # fmt: skip


def verdict(draft: Draft) -> int:
    """Return the return code of the first check that fails; 0 if the request would be accepted."""
    request = draft.request
    if request.action == c.TRADE_ACTION_DEAL:
        checks = CLOSE_CHECKS if request.position else OPEN_CHECKS
    else:
        checks = CHECKS.get(request.action, ())
        if not checks:
            return c.TRADE_RETCODE_INVALID
    for check in checks:
        retcode = check(draft)
        if retcode:
            return retcode
    return OK
