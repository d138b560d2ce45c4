"""Trade requests, made from what a person asks for."""

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from mt5crs import constants as c
from mt5crs.cli import values
from mt5crs.cli.options import Call
from mt5crs.guard.closing import market_filling

if TYPE_CHECKING:
    from mt5crs.client.blocking import Client
    from mt5crs.model import SymbolInfo, TradePosition

DEVIATION = 20
"""Points that a market price may differ, where the execution heeds it."""
COMMENT_LENGTH = 29


class Filling(str, Enum):
    """Filling modes by the names that people type."""

    FOK = "fok"
    IOC = "ioc"
    RETURN = "return"
    BOC = "boc"


_FILLINGS = {mode: getattr(c, f"ORDER_FILLING_{mode.name}") for mode in tuple(Filling)}

_PENDING = {
    ("buy", "limit"): c.ORDER_TYPE_BUY_LIMIT,
    ("buy", "stop"): c.ORDER_TYPE_BUY_STOP,
    ("sell", "limit"): c.ORDER_TYPE_SELL_LIMIT,
    ("sell", "stop"): c.ORDER_TYPE_SELL_STOP,
}
_MARKET = {"buy": c.ORDER_TYPE_BUY, "sell": c.ORDER_TYPE_SELL}


class Ticket(NamedTuple):
    """An order as a person asks for it, still as text.

    Attributes:
        side: `buy` or `sell`.
        symbol: The symbol's name.
        volume: Lots.
        price: Of a pending order.
        pending: `limit` or `stop`, empty for a market order.
        sl: Stop loss.
        tp: Take profit.
    """

    side: str
    symbol: str
    volume: str
    price: str | None
    pending: str
    sl: str | None
    tp: str | None


def opening(call: Call, ticket: Ticket, extras: dict[str, Any], filling: Filling | None) -> dict[str, Any]:
    """Return the trade request of an order."""
    if bool(ticket.pending) != (ticket.price is not None):
        raise typer.BadParameter(
            "a pending order has --price and one of --limit and --stop; a market order none"
        )
    symbol = call.symbol(ticket.symbol)
    request: dict[str, Any] = {
        "symbol": symbol.name,
        "volume": values.volume(ticket.volume, symbol, "VOLUME"),
        "type_time": c.ORDER_TIME_GTC,
        **{name: value for name, value in extras.items() if value is not None},
    }
    for name in ("sl", "tp", "price"):
        text = getattr(ticket, name)
        if text is not None:
            request[name] = values.price(text, symbol, f"--{name}")
    _show(call.client, symbol)
    if ticket.pending:
        request |= {"action": c.TRADE_ACTION_PENDING, "type": _PENDING[ticket.side, ticket.pending]}
    else:
        request |= {"action": c.TRADE_ACTION_DEAL, "type": _MARKET[ticket.side]}
        request["price"] = _market_price(call, symbol.name, ticket.side == "buy")
        request.setdefault("deviation", DEVIATION)
    default = c.ORDER_FILLING_RETURN if ticket.pending else market_filling(symbol)
    request["type_filling"] = default if filling is None else _FILLINGS[filling]
    return request


def closing(call: Call, position: "TradePosition", volume: float, deviation: int) -> dict[str, Any]:
    """Return the request that closes a position, or a part of it."""
    symbol = call.symbol(position.symbol)
    buys = position.type == c.POSITION_TYPE_SELL
    return {
        "action": c.TRADE_ACTION_DEAL,
        "position": position.ticket,
        "symbol": position.symbol,
        "volume": volume,
        "type": c.ORDER_TYPE_BUY if buys else c.ORDER_TYPE_SELL,
        "price": _market_price(call, position.symbol, buys),
        "deviation": deviation,
        "magic": position.magic,
        "type_time": c.ORDER_TIME_GTC,
        "type_filling": market_filling(symbol),
    }


def _show(client: "Client", symbol: "SymbolInfo") -> None:
    if not symbol.visible:  # the terminal has no prices of what it does not watch
        client.symbol_select(symbol.name, True)


def _market_price(call: Call, symbol: str, buys: bool) -> float:
    tick = call.got(call.client.symbol_info_tick(symbol), f"tick of {symbol}")
    return float(tick.ask if buys else tick.bid)
