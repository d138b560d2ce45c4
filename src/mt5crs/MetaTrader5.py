"""The official `MetaTrader5` module, on a gateway: `import mt5crs.MetaTrader5 as mt5`.

The 32 functions, the 3 helpers, the constants and the structures of the official package (5.0.6231), with its
results, failure values and error texts. As there, the connection and the last error belong to the process.
Nothing is raised that the official package would not raise: a gateway that does not answer is a failure value
and a `last_error()` of -10003 (in `initialize`), -10004 or -10005.

`mt5crs run SCRIPT.py` makes this module the one that `import MetaTrader5` finds.
"""

import sys as _sys
from typing import Literal as _Literal

from mt5crs import constants as _mt5
from mt5crs.client.dropin import DropIn as _DropIn
from mt5crs.constants import *  # noqa: F403 - as flat as the official namespace
from mt5crs.model import (
    AccountInfo as AccountInfo,
)
from mt5crs.model import (
    BookInfo as BookInfo,
)
from mt5crs.model import (
    OrderCheckResult as OrderCheckResult,
)
from mt5crs.model import (
    OrderSendResult as OrderSendResult,
)
from mt5crs.model import (
    SymbolInfo as SymbolInfo,
)
from mt5crs.model import (
    TerminalInfo as TerminalInfo,
)
from mt5crs.model import (
    Tick as Tick,
)
from mt5crs.model import (
    TradeDeal as TradeDeal,
)
from mt5crs.model import (
    TradeOrder as TradeOrder,
)
from mt5crs.model import (
    TradePosition as TradePosition,
)
from mt5crs.model import (
    TradeRequest as TradeRequest,
)

__version__ = "5.0.6231"
__author__ = "MetaQuotes Ltd."

_core = _sys.modules[__name__]
"""The official package keeps its functions and types in a module of this name; programs import from it."""

_terminal: _DropIn = globals().get("_terminal") or _DropIn()
"""Kept by a reload of the module, as the original's connection is."""


initialize = _terminal.initialize
login = _terminal.login
shutdown = _terminal.shutdown
version = _terminal.version
last_error = _terminal.last_error
terminal_info = _terminal.terminal_info
account_info = _terminal.account_info
copy_ticks_from = _terminal.copy_ticks_from
copy_ticks_range = _terminal.copy_ticks_range
copy_rates_from = _terminal.copy_rates_from
copy_rates_from_pos = _terminal.copy_rates_from_pos
copy_rates_range = _terminal.copy_rates_range
positions_total = _terminal.positions_total
positions_get = _terminal.positions_get
orders_total = _terminal.orders_total
orders_get = _terminal.orders_get
history_orders_total = _terminal.history_orders_total
history_orders_get = _terminal.history_orders_get
history_deals_total = _terminal.history_deals_total
history_deals_get = _terminal.history_deals_get
order_check = _terminal.order_check
order_send = _terminal.order_send
order_calc_margin = _terminal.order_calc_margin
order_calc_profit = _terminal.order_calc_profit
symbol_info = _terminal.symbol_info
symbol_info_tick = _terminal.symbol_info_tick
symbol_select = _terminal.symbol_select
symbols_total = _terminal.symbols_total
symbols_get = _terminal.symbols_get
market_book_add = _terminal.market_book_add
market_book_release = _terminal.market_book_release
market_book_get = _terminal.market_book_get

_TRIES = 10
"""How often a helper asks again when the price has moved."""
_MOVED = (_mt5.TRADE_RETCODE_REQUOTE, _mt5.TRADE_RETCODE_PRICE_OFF)


def _RawOrder(
    order_type: int,
    symbol: str,
    volume: float,
    price: float,
    comment: str | None = None,
    ticket: int | None = None,
) -> OrderSendResult | None:
    request = {
        "action": _mt5.TRADE_ACTION_DEAL,
        "symbol": symbol,
        "volume": volume,
        "type": order_type,
        "price": price,
        "deviation": 10,
    }
    if comment is not None:
        request["comment"] = comment
    if ticket is not None:
        request["position"] = ticket
    return order_send(request)


def _at_market(
    order_type: int, symbol: str, volume: float, comment: str | None, ticket: int | None
) -> OrderSendResult | None:
    """Trade at the current price, again while it moves away."""
    result: OrderSendResult | None = None
    for _ in range(_TRIES):
        tick = symbol_info_tick(symbol)
        if tick is None:
            return None
        price = tick.ask if order_type == _mt5.ORDER_TYPE_BUY else tick.bid
        result = _RawOrder(order_type, symbol, volume, price, comment, ticket)
        if result is None or result.retcode not in _MOVED:
            break
    return result


def Buy(
    symbol: str,
    volume: float,
    price: float | None = None,
    *,
    comment: str | None = None,
    ticket: int | None = None,
) -> OrderSendResult | None:
    """Buy at a price, or at the current one in up to 10 tries.

    Args:
        symbol: The symbol's name.
        volume: Lots, a float.
        price: The price; without it the current ask.
        comment: Comment of the order.
        ticket: The position that it closes.
    """
    if price is not None:
        return _RawOrder(_mt5.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)
    return _at_market(_mt5.ORDER_TYPE_BUY, symbol, volume, comment, ticket)


def Sell(
    symbol: str,
    volume: float,
    price: float | None = None,
    *,
    comment: str | None = None,
    ticket: int | None = None,
) -> OrderSendResult | None:
    """Sell at a price, or at the current one in up to 10 tries; see `Buy`."""
    if price is not None:
        return _RawOrder(_mt5.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)
    return _at_market(_mt5.ORDER_TYPE_SELL, symbol, volume, comment, ticket)


_OPPOSITE = {_mt5.POSITION_TYPE_BUY: _mt5.ORDER_TYPE_SELL, _mt5.POSITION_TYPE_SELL: _mt5.ORDER_TYPE_BUY}


def Close(
    symbol: str, *, comment: str | None = None, ticket: int | None = None
) -> bool | _Literal["Partially"] | None:
    """Close all positions of a symbol, or the one with a ticket.

    Returns:
        True where all were closed, "Partially" where some were, False where none was, None where the
        positions or the prices could not be had.
    """
    positions = positions_get(ticket=ticket) if ticket is not None else positions_get(symbol=symbol)
    if positions is None:
        return None
    open_ones = [each for each in positions if each.symbol == symbol and each.type in _OPPOSITE]
    closed = 0
    for position in open_ones:
        result = _at_market(_OPPOSITE[position.type], symbol, position.volume, comment, position.ticket)
        if result is None:
            return None
        closed += result.retcode == _mt5.TRADE_RETCODE_DONE
    if not closed:
        return False
    return True if closed == len(open_ones) else "Partially"
