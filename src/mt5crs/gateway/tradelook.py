"""A look for trade events: its questions to the terminal, in an order in which nothing slips through.

Positions, open orders, history, deals: what leaves one of them while the look goes on is in a later one. A
position's opening order is asked for after the position, an order's deals after the order. A deal whose order
is not shown yet waits one look for it (`mt5crs.trades.derive`).
"""

from collections.abc import Callable, Generator
from math import inf
from typing import Any, TypeVar

from mt5crs.gateway.inquiry import END, Question
from mt5crs.gateway.servertime import ServerTime
from mt5crs.model import AccountInfo, TerminalInfo, Tick, TradeDeal, TradeOrder, TradePosition
from mt5crs.operation import Result
from mt5crs.terminal.port import Account
from mt5crs.trades.picture import DAY, Picture, Shown

ASKED_SINGLY = 16
"""Orders that are neither open nor in history, and are asked for by their tickets, in one look."""
_OPEN: list[Any] = [None, None, None]

R = TypeVar("R", TradeOrder, TradeDeal, TradePosition)


def look(
    account: Account,
    picture: Picture | None,
    overlap: int,
    server_time: ServerTime,
    see: Callable[[Tick], float],
) -> Generator[Question, Result, Shown | None]:
    """Ask what is there; return it, None where the terminal did not tell.

    Args:
        account: Whose orders are wanted: what a terminal shows that somebody has logged in elsewhere is not.
        picture: What was shown before.
        overlap: Seconds of history before the picture's time that are asked for again.
        server_time: The trade server's time, as far as it is known.
        see: Takes a tick, to know it better; returns what the time is not after then.
    """
    if not (yield from _is_ready(account)):
        return None
    positions = _rows(TradePosition, (yield "positions_get", _OPEN))
    orders = _rows(TradeOrder, (yield "orders_get", _OPEN))
    if positions is None or orders is None:
        return None
    symbol = next((row.symbol for shown in (orders, positions) for row in shown), "")
    latest = inf
    if symbol:
        tick = yield "symbol_info_tick", [symbol]
        if tick.value is not None:
            latest = see(Tick(tick.value))
    time = server_time.earliest
    start = max(0, int(time) - DAY) if picture is None else picture.since(overlap)
    history = _rows(TradeOrder, (yield "history_orders_get", [start, END, None, None, None]))
    if history is None:
        return None
    for ticket in _missing(picture, orders, history):
        late = _rows(TradeOrder, (yield "history_orders_get", [None, None, None, ticket, None]))
        history += late or []
    deals = _rows(TradeDeal, (yield "history_deals_get", [start, END, None, None, None]))
    if deals is None or not (yield from _is_ready(account)):
        return None
    return Shown(time, server_time.tick, latest, start, orders, history, deals, positions)


def _is_ready(account: Account) -> Generator[Question, Result, bool]:
    """Ask whether the terminal is connected, and logged in to the account."""
    terminal = yield "terminal_info", []
    if terminal.value is None or not TerminalInfo(terminal.value).connected:
        return False
    answer = yield "account_info", []
    if answer.value is None:
        return False
    info = AccountInfo(answer.value)
    return Account(info.login, info.server, info.trade_mode) == account


def _rows(kind: type[R], answer: Result) -> list[R] | None:
    return None if answer.value is None else [kind(row) for row in answer.value]


def _missing(picture: Picture | None, orders: list[TradeOrder], history: list[TradeOrder]) -> list[int]:
    """Return the tickets of orders that were open and are shown nowhere now."""
    if picture is None:
        return []
    shown = {order.ticket for shown in (orders, history) for order in shown}
    return sorted(picture.orders.keys() - shown)[:ASKED_SINGLY]
