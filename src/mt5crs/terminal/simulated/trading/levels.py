"""Checks of prices: where an order may be placed, where its stops, and what is frozen.

Each is a function of a `Draft` and returns a return code, 0 for no objection.
"""

from math import inf, isfinite

from mt5crs import constants as c
from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.entities import (
    BUYS,
    LIMITS,
    STOP_LIMITS,
    Position,
    market_price,
    stated_expiration,
)
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.trading.draft import Draft
from mt5crs.terminal.simulated.trading.matching import TRIGGERS, trades_at_once

OK = 0
HALF = 0.5
TICK_TOLERANCE = 1e-4  # of a tick: what a float makes of 100.25 is still 100.25
OTC_EXECUTION = (c.SYMBOL_TRADE_EXECUTION_REQUEST, c.SYMBOL_TRADE_EXECUTION_INSTANT)


def is_exchange(symbol: Instrument) -> bool:
    """Whether orders of a symbol are executed by an exchange."""
    return symbol.exemode == c.SYMBOL_TRADE_EXECUTION_EXCHANGE


def proper_price(symbol: Instrument, price: float) -> float:
    """Return a price as the server reads it: rounded to the digits, if an exchange would take it at all."""
    return symbol.normalize(price) if isfinite(price) and _on_tick(symbol, price) else price


def _on_tick(symbol: Instrument, price: float) -> bool:
    """Whether a price is one that an exchange quotes; elsewhere every price is."""
    if not is_exchange(symbol):
        return True
    ticks = price / symbol.tick_size
    return isfinite(ticks) and abs(ticks - round(ticks)) < TICK_TOLERANCE


def trigger_prices(symbol: Instrument, tick: Tick) -> tuple[float, float]:
    """Return what sets stops off: bid and ask, or for both the last price where trades are published."""
    if symbol.has_last and tick.last:
        return tick.last, tick.last
    return tick.bid, tick.ask


def _at_least(difference: float, distance: float, point: float) -> bool:
    """Whether a difference of prices is the distance or more; floats are compared to half a point."""
    return difference >= distance - HALF * point


# ---- prices -----------------------------------------------------------------------------------------


def deal_price(draft: Draft) -> int:
    """Instant execution: a price within the deviation; market execution ignores it."""
    symbol, request, tick = draft.instrument, draft.request, draft.tick
    if symbol.exemode not in OTC_EXECUTION:
        return OK
    if not 0 < request.price < inf:
        return c.TRADE_RETCODE_INVALID_PRICE
    moved = abs(market_price(draft.is_buy, tick.bid, tick.ask) - request.price)
    return OK if moved <= (request.deviation + HALF) * symbol.point else c.TRADE_RETCODE_REQUOTE


def pending_price(draft: Draft) -> int:
    """The placement rules: on the right side of the quote, by the stops level or more."""
    symbol, request = draft.instrument, draft.request
    order_type = draft.order.type if draft.order is not None else request.type
    price, stoplimit = request.price, request.stoplimit
    if not (0 < price < inf and isfinite(stoplimit) and _on_tick(symbol, price)):
        return c.TRADE_RETCODE_INVALID_PRICE
    distance = symbol.stops_level * symbol.point
    by_ask, rising, _becomes = TRIGGERS[order_type]
    tick = draft.tick
    bid, ask = (tick.bid, tick.ask) if order_type in LIMITS else trigger_prices(symbol, tick)
    away = price - (ask if by_ask else bid)
    if not _at_least(away if rising else -away, distance, symbol.point):
        return c.TRADE_RETCODE_INVALID_PRICE
    if order_type in STOP_LIMITS:
        below = price - stoplimit if rising else stoplimit - price
        placed = stoplimit > 0 and _on_tick(symbol, stoplimit)
        if not placed or not _at_least(below, distance, symbol.point):
            return c.TRADE_RETCODE_INVALID_PRICE
    return OK


def stays_passive(draft: Draft) -> int:
    """A book-or-cancel limit order must not trade at once."""
    request, tick = draft.request, draft.tick
    if request.type_filling != c.ORDER_FILLING_BOC or request.type not in LIMITS:
        return OK
    return c.TRADE_RETCODE_REJECT if trades_at_once(request.type, request.price, tick) else OK


# ---- stops ------------------------------------------------------------------------------------------


def _stops(draft: Draft, is_buy: bool, reference: float) -> int:
    """SL and TP on their sides of a reference price, by the stops level or more."""
    request, symbol = draft.request, draft.instrument
    if not (request.sl or request.tp):
        return OK
    if not (0 <= request.sl < inf and 0 <= request.tp < inf):
        return c.TRADE_RETCODE_INVALID_STOPS
    if not (_on_tick(symbol, request.sl) and _on_tick(symbol, request.tp)):
        return c.TRADE_RETCODE_INVALID_STOPS
    point, sign = symbol.point, 1 if is_buy else -1
    distance = symbol.stops_level * point
    sl_fits = not request.sl or _at_least((reference - request.sl) * sign, distance, point)
    tp_fits = not request.tp or _at_least((request.tp - reference) * sign, distance, point)
    return OK if sl_fits and tp_fits else c.TRADE_RETCODE_INVALID_STOPS


def market_stops(draft: Draft) -> int:
    """A market order's stops refer to the price that would set them off."""
    bid, ask = trigger_prices(draft.instrument, draft.tick)
    return _stops(draft, draft.is_buy, market_price(not draft.is_buy, bid, ask))


def position_stops(draft: Draft) -> int:
    """So do those of a position."""
    is_buy = draft.position is not None and draft.position.is_buy
    bid, ask = trigger_prices(draft.instrument, draft.tick)
    return _stops(draft, is_buy, market_price(not is_buy, bid, ask))


def pending_stops(draft: Draft) -> int:
    """A pending order's stops refer to its own price; those of a stop-limit to the limit price."""
    request = draft.request
    order_type = draft.order.type if draft.order is not None else request.type
    price = request.stoplimit if order_type in STOP_LIMITS else request.price
    return _stops(draft, order_type in BUYS, price)


# ---- changes ----------------------------------------------------------------------------------------


def order_frozen(draft: Draft) -> int:
    """An order cannot be changed while the market is within the freeze level of its price."""
    order, symbol = draft.order, draft.instrument
    if order is None or not symbol.freeze_level or order.type not in TRIGGERS:
        return OK
    tick = draft.tick
    bid, ask = (tick.bid, tick.ask) if order.type in LIMITS else trigger_prices(symbol, tick)
    price = ask if order.type in BUYS else bid
    near = abs(price - order.price_open) <= (symbol.freeze_level + HALF) * symbol.point
    return c.TRADE_RETCODE_FROZEN if near else OK


def positions_frozen(draft: Draft) -> int:
    """Nor can positions be closed or changed while it is within that of one of their stops."""
    if not draft.instrument.freeze_level:
        return OK
    named = (draft.position, draft.other)
    frozen = any(_is_frozen(draft, position) for position in named if position is not None)
    return c.TRADE_RETCODE_FROZEN if frozen else OK


def _is_frozen(draft: Draft, position: Position) -> bool:
    symbol = draft.instrument
    bid, ask = trigger_prices(symbol, draft.tick)
    price = market_price(not position.is_buy, bid, ask)
    distance = (symbol.freeze_level + HALF) * symbol.point
    return any(level and abs(price - level) <= distance for level in (position.sl, position.tp))


def order_changes(draft: Draft) -> int:
    """A modification must change something."""
    order, request = draft.order, draft.request
    if order is None:
        return OK
    stoplimit = request.stoplimit if order.type in STOP_LIMITS else 0.0
    expiration = stated_expiration(request, order.time_setup_msc)
    asked = (request.price, request.sl, request.tp, request.type_time, expiration, stoplimit)
    has = (order.price_open, order.sl, order.tp, order.type_time, order.expiration, order.price_stoplimit)
    return c.TRADE_RETCODE_NO_CHANGES if asked == has else OK


def stops_change(draft: Draft) -> int:
    """So must new stops of a position."""
    position, request = draft.position, draft.request
    same = position is not None and (position.sl, position.tp) == (request.sl, request.tp)
    return c.TRADE_RETCODE_NO_CHANGES if same else OK
