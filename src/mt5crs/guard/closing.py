"""Trade requests that close a position and remove a pending order."""

from typing import Any

from mt5crs import constants as c
from mt5crs.model import SymbolInfo, TradeOrder, TradePosition

_FILLING_BITS = {1: c.ORDER_FILLING_FOK, 2: c.ORDER_FILLING_IOC}
"""What the bits of `SymbolInfo.filling_mode` allow for market orders, the preferred one first."""
DEVIATION = 1000
"""Points that the price may differ, where the execution heeds it: to be out matters more than the price."""


def market_filling(symbol: SymbolInfo) -> int:
    """Return a filling mode that the symbol takes for market orders."""
    for bit, filling in _FILLING_BITS.items():
        if symbol.filling_mode & bit:
            return filling
    return c.ORDER_FILLING_RETURN


def closing(position: TradePosition, symbol: SymbolInfo) -> dict[str, Any]:
    """Return the request that closes a position, or as much of it as one order may."""
    buys = position.type == c.POSITION_TYPE_SELL
    most = symbol.volume_max if symbol.volume_max > 0 else position.volume
    return {
        "action": c.TRADE_ACTION_DEAL,
        "position": position.ticket,
        "symbol": position.symbol,
        "volume": min(position.volume, most),
        "type": c.ORDER_TYPE_BUY if buys else c.ORDER_TYPE_SELL,
        "price": symbol.ask if buys else symbol.bid,
        "deviation": DEVIATION,
        "magic": position.magic,
        "type_time": c.ORDER_TIME_GTC,
        "type_filling": market_filling(symbol),
    }


def removing(order: TradeOrder) -> dict[str, Any]:
    """Return the request that removes a pending order."""
    return {"action": c.TRADE_ACTION_REMOVE, "order": order.ticket, "symbol": order.symbol}
