"""Whether a trade request would be accepted: one table of checks for each kind of request.

The checks run in the order in which servers run them: request fields, trading permission and symbol mode,
volume, filling and expiration, price, stops, money. The first that fails decides the return code. Each
check is a function of a `Draft` and returns a return code, 0 for no objection; those of volumes are in
`limits`, those of prices in `levels`.
"""

from collections.abc import Callable
from dataclasses import replace

from mt5crs import constants as c
from mt5crs.terminal.simulated.accounting.account import Totals
from mt5crs.terminal.simulated.accounting.entities import (
    LIMITS,
    PENDING_TYPES,
    STOP_LIMITS,
    Position,
    expiration_msc,
    market_price,
)
from mt5crs.terminal.simulated.trading import levels, limits
from mt5crs.terminal.simulated.trading.draft import Draft

OK = 0

# Order types as bits of `order_mode`: market, limit, stop, stop-limit, SL, TP, close-by.
MODE_BITS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 8, 7: 8}
SL_BIT, TP_BIT, CLOSE_BY_BIT = 16, 32, 64
FILLING_BITS = {c.ORDER_FILLING_FOK: 1, c.ORDER_FILLING_IOC: 2, c.ORDER_FILLING_BOC: 4}
PASSIVE_TYPES = LIMITS | STOP_LIMITS
# How the trade mode of a symbol limits opening: the return code for a buy and for a sell.
OPENING = {
    c.SYMBOL_TRADE_MODE_DISABLED: (c.TRADE_RETCODE_TRADE_DISABLED, c.TRADE_RETCODE_TRADE_DISABLED),
    c.SYMBOL_TRADE_MODE_LONGONLY: (OK, c.TRADE_RETCODE_LONG_ONLY),
    c.SYMBOL_TRADE_MODE_SHORTONLY: (c.TRADE_RETCODE_SHORT_ONLY, OK),
    c.SYMBOL_TRADE_MODE_CLOSEONLY: (c.TRADE_RETCODE_CLOSE_ONLY, c.TRADE_RETCODE_CLOSE_ONLY),
    c.SYMBOL_TRADE_MODE_FULL: (OK, OK),
}

Check = Callable[[Draft], int]

# ---- fields -----------------------------------------------------------------------------------------


def _known_symbol(draft: Draft) -> int:
    if not draft.request.symbol:
        return c.TRADE_RETCODE_INVALID
    valued = draft.symbol is not None and draft.account.money.converts(draft.symbol)
    return OK if valued and draft.tick.time else c.TRADE_RETCODE_PRICE_OFF


def _market_type(draft: Draft) -> int:
    is_market = draft.request.type in (c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL)
    return OK if is_market else c.TRADE_RETCODE_INVALID_ORDER


def _pending_type(draft: Draft) -> int:
    return OK if draft.request.type in PENDING_TYPES else c.TRADE_RETCODE_INVALID_ORDER


def _position_there(draft: Draft) -> int:
    """A position is named: by its ticket, or on a netting account by its symbol."""
    request = draft.request
    if not request.position and (draft.rules.hedging or not request.symbol):
        return c.TRADE_RETCODE_INVALID
    if draft.position is None:
        return c.TRADE_RETCODE_POSITION_CLOSED
    agrees = request.symbol in ("", draft.position.symbol)
    return OK if agrees else c.TRADE_RETCODE_INVALID


def _closes_position(draft: Draft) -> int:
    if draft.position is None:
        return c.TRADE_RETCODE_POSITION_CLOSED
    fits = draft.position.symbol == draft.request.symbol and draft.opposes
    return OK if fits else c.TRADE_RETCODE_INVALID


def _order_there(draft: Draft) -> int:
    return OK if draft.order is not None else c.TRADE_RETCODE_INVALID


def _is_pending(draft: Draft) -> int:
    """The rest of a market order has nothing to modify."""
    pending = draft.order is not None and draft.order.type in PENDING_TYPES
    return OK if pending else c.TRADE_RETCODE_INVALID_ORDER


def _hedging(draft: Draft) -> int:
    return OK if draft.rules.hedging else c.TRADE_RETCODE_INVALID


def _opposite_positions(draft: Draft) -> int:
    one, other = draft.position, draft.other
    if not draft.request.position_by:
        return c.TRADE_RETCODE_INVALID
    if other is None:
        return c.TRADE_RETCODE_POSITION_CLOSED
    fits = one is not None and one.symbol == other.symbol and one.type != other.type
    return OK if fits else c.TRADE_RETCODE_INVALID


# ---- permission and the symbol's mode ---------------------------------------------------------------


def _permitted(draft: Draft) -> int:
    switches = draft.switches
    if not switches.connected:
        return c.TRADE_RETCODE_CONNECTION
    if not switches.terminal_trade_allowed:
        return c.TRADE_RETCODE_CLIENT_DISABLES_AT
    if not switches.account_trade_allowed:
        return c.TRADE_RETCODE_TRADE_DISABLED
    return OK if switches.account_trade_expert else c.TRADE_RETCODE_SERVER_DISABLES_AT


def _order_mode(draft: Draft) -> int:
    return _allows(draft, MODE_BITS[draft.request.type])


def _stops_mode(draft: Draft) -> int:
    return _allows(draft, 0)


def _close_by_mode(draft: Draft) -> int:
    return _allows(draft, CLOSE_BY_BIT)


def _allows(draft: Draft, kind: int) -> int:
    """Whether `order_mode` has the bit of the order's kind, and those of the stops that it has."""
    request, mode = draft.request, draft.instrument.order_mode
    needed = kind | (SL_BIT if request.sl else 0) | (TP_BIT if request.tp else 0)
    return OK if mode & needed == needed else c.TRADE_RETCODE_INVALID_ORDER


def _may_open(draft: Draft) -> int:
    """The trade mode forbids to open; on a netting account a deal may do no more than close."""
    if draft.request.action == c.TRADE_ACTION_DEAL and draft.reduces:
        return _may_change(draft)
    on_buy, on_sell = OPENING[draft.instrument.trade_mode]
    return on_buy if draft.is_buy else on_sell


def _may_change(draft: Draft) -> int:
    disabled = draft.instrument.trade_mode == c.SYMBOL_TRADE_MODE_DISABLED
    return c.TRADE_RETCODE_TRADE_DISABLED if disabled else OK


def _market_open(draft: Draft) -> int:
    return OK if draft.is_open else c.TRADE_RETCODE_MARKET_CLOSED


# ---- filling and expiration -------------------------------------------------------------------------


def _market_filling(draft: Draft) -> int:
    """Market orders: one of the symbol's own; RETURN only on an exchange.

    Request and instant execution always fill or kill: what is asked for does not matter there.
    """
    filling, symbol = draft.request.type_filling, draft.instrument
    if symbol.exemode in levels.OTC_EXECUTION:
        allowed = c.ORDER_FILLING_FOK <= filling <= c.ORDER_FILLING_RETURN
    elif filling == c.ORDER_FILLING_RETURN:
        allowed = levels.is_exchange(symbol)
    else:
        own = filling in (c.ORDER_FILLING_FOK, c.ORDER_FILLING_IOC)
        allowed = own and bool(FILLING_BITS[filling] & symbol.filling_mode)
    return OK if allowed else c.TRADE_RETCODE_INVALID_FILL


def _pending_filling(draft: Draft) -> int:
    """Pending orders: RETURN always, book or cancel only where the order is or becomes a limit order."""
    filling, symbol = draft.request.type_filling, draft.instrument
    if filling == c.ORDER_FILLING_BOC:
        allowed = draft.request.type in PASSIVE_TYPES and bool(FILLING_BITS[filling] & symbol.filling_mode)
    elif filling == c.ORDER_FILLING_RETURN:
        allowed = True
    else:
        otc = symbol.exemode in levels.OTC_EXECUTION and filling in FILLING_BITS
        allowed = otc or bool(FILLING_BITS.get(filling, 0) & symbol.filling_mode)
    return OK if allowed else c.TRADE_RETCODE_INVALID_FILL


def _expiration(draft: Draft) -> int:
    request = draft.request
    kind = request.type_time
    if not 0 <= kind <= c.ORDER_TIME_SPECIFIED_DAY or not draft.instrument.expiration_mode >> kind & 1:
        return c.TRADE_RETCODE_INVALID_EXPIRATION
    if kind in (c.ORDER_TIME_SPECIFIED, c.ORDER_TIME_SPECIFIED_DAY):
        past = expiration_msc(kind, request.expiration) <= draft.now_msc
        return c.TRADE_RETCODE_INVALID_EXPIRATION if past else OK
    return OK


# ---- money ------------------------------------------------------------------------------------------


def _enough_money(draft: Draft) -> int:
    totals = draft.account.totals()
    after = _margin_after(draft)
    # A trade that does not raise the margin (a hedge) needs no free margin.
    short = after > totals.margin and after > totals.equity
    return c.TRADE_RETCODE_NO_MONEY if short else OK


def _margin_after(draft: Draft) -> float:
    """Return the account's margin as it would be after the request."""
    request, account, order = draft.request, draft.account, draft.order
    if request.action == c.TRADE_ACTION_DEAL:
        price = market_price(draft.is_buy, draft.tick.bid, draft.tick.ask)
        return account.margin_with(
            request.symbol, request.type, request.volume, price, position=draft.position
        )
    if request.action == c.TRADE_ACTION_PENDING:
        return account.margin_with(request.symbol, request.type, request.volume, request.price)
    if request.action == c.TRADE_ACTION_MODIFY and order is not None:
        changed = (order.symbol, order.type, order.volume_current, request.price)
        return account.margin_with(*changed, order=order)
    if request.action == c.TRADE_ACTION_CLOSE_BY:
        return account.margin(_closed_by(draft), account.orders.values())
    return account.totals().margin


def _closed_by(draft: Draft) -> list[Position]:
    """Return the positions as they would be after a close by."""
    one, other = draft.position, draft.other
    held = list(draft.account.positions.values())
    if one is None or other is None:
        return held
    volume = min(one.volume, other.volume)
    held = _met(held, one, other.is_buy, volume, other.price_open)
    return _met(held, other, one.is_buy, volume, one.price_open)


def _met(
    held: list[Position], position: Position, is_buy: bool, volume: float, price: float
) -> list[Position]:
    """Return the positions with one of them as a deal would leave it."""
    after = replace(position)
    after.meet(is_buy, volume, price)
    others = [other for other in held if other is not position]
    return [*others, after] if after.volume else others


def totals_after(draft: Draft) -> Totals:
    """Return the account as it would be after the request, at present prices."""
    return draft.account.totals_with(_margin_after(draft), booked=_booked(draft))


def _booked(draft: Draft) -> float:
    """Return the floating result that the request would turn into balance."""
    position, request = draft.position, draft.request
    if request.action != c.TRADE_ACTION_DEAL or position is None or not draft.opposes:
        return 0.0
    closed = replace(position, volume=min(request.volume, position.volume))
    profit = draft.account.floating_profit(closed, draft.account.current_price(position))
    return profit + draft.account.round(position.swap * closed.volume / position.volume)


OPEN_CHECKS: tuple[Check, ...] = (
    _known_symbol, _market_type, _permitted, _order_mode, _may_open, _market_open, limits.hedge_allowed,
    limits.volume, limits.volume_limit, limits.positions_limit, _market_filling, levels.deal_price,
    levels.market_stops, _enough_money,
)  # fmt: skip
CLOSE_CHECKS: tuple[Check, ...] = (
    _known_symbol, _market_type, _closes_position, _permitted, _may_change, _market_open,
    limits.oldest_first, limits.not_closing, limits.volume, limits.close_volume, _market_filling,
    levels.deal_price, levels.positions_frozen,
)  # fmt: skip
CHECKS: dict[int, tuple[Check, ...]] = {
    c.TRADE_ACTION_PENDING: (
        _known_symbol, _pending_type, _permitted, _order_mode, _may_open, _market_open, limits.hedge_allowed,
        limits.volume, limits.volume_limit, limits.orders_limit, limits.positions_limit, _pending_filling,
        _expiration, levels.pending_price, levels.stays_passive, levels.pending_stops, _enough_money,
    ),
    c.TRADE_ACTION_SLTP: (
        _position_there, _permitted, _may_change, _stops_mode, _market_open, levels.stops_change,
        levels.positions_frozen, levels.position_stops,
    ),
    c.TRADE_ACTION_MODIFY: (
        _order_there, _is_pending, _permitted, _may_change, _stops_mode, _market_open, levels.order_changes,
        levels.order_frozen, _expiration, levels.pending_price, levels.pending_stops, _enough_money,
    ),
    c.TRADE_ACTION_REMOVE: (_order_there, _permitted, _may_change, _market_open, levels.order_frozen),
    c.TRADE_ACTION_CLOSE_BY: (
        _hedging, _position_there, _opposite_positions, _permitted, _may_change, _close_by_mode, _market_open,
        limits.oldest_first, limits.not_closing, levels.positions_frozen,
    ),
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
