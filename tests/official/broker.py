"""What has the official functions that the stream worker calls, with answers that a test writes down."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from mt5crs.last_error import CALL_FAILED, NO_IPC_CONNECTION, NOT_FOUND, SUCCESS
from mt5crs.model import RATES, TICKS, AccountInfo, BookInfo, TerminalInfo, TradeOrder, TradePosition
from mt5crs.terminal.port import Account

OURS, OTHERS = Account(7, "Broker", 0), Account(8, "Broker", 0)
MINUTE = 60
OPENING = 1_700_006_400
"""A time at which bars of all timeframes up to a day open."""


def record(kind: type, **fields: Any) -> Any:
    return kind([fields.get(name, 0) for name in kind.__match_args__])  # type: ignore[attr-defined]


class Broker:
    """A terminal of one symbol, X, and its minute bars; Y has no depth of market.

    Attributes:
        account: Who it is logged in for; another account than ours sees prices below zero. None: nobody.
        times: When its ticks came, milliseconds; their bids are their numbers.
        opened: When its bars opened, the present one included; their opens are their numbers.
        hidden: The latest bars that the terminal has yet to notice.
        shown: Bars that it has loaded at most.
        maxbars: As many bars it refuses to give.
        failing: Functions that fail.
        failure: How they do.
        calls: How often each function was called.
    """

    def __init__(self) -> None:
        self.account: Account | None = OURS
        self.balance = 100.0
        self.times: list[int] = []
        self.opened: list[int] = []
        self.hidden = 0
        self.shown = self.maxbars = 1_000_000
        self.book: list[Any] = []
        self.added: set[str] = set()
        self.orders: list[Any] = []
        self.positions: list[Any] = []
        self.totals = [0, 0]
        self.failing: set[str] = set()
        self.failure = CALL_FAILED
        self.calls: Counter[str] = Counter()
        self.error = SUCCESS

    def __getattribute__(self, name: str) -> Any:
        own = super().__getattribute__(name)
        if name.startswith("_") or name == "last_error" or not callable(own):
            return own
        return lambda *args, **kwargs: self._answer(name, own, args, kwargs)

    def _answer(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self.calls[name] += 1
        if name in self.failing:
            self.error = self.failure
            return None
        if self.account is None and name != "initialize":
            self.error = NO_IPC_CONNECTION
            return None
        self.error = SUCCESS
        return function(*args, **kwargs)

    def last_error(self) -> tuple[int, str]:
        return self.error

    def initialize(self, *path: str, **wanted: Any) -> bool:
        if self.account is None:
            self.error = NO_IPC_CONNECTION
        return self.account is not None

    def account_info(self) -> Any:
        assert self.account is not None
        login, server, mode = self.account
        balance = self.balance if self.account == OURS else -1.0
        fields = {"login": login, "server": server, "trade_mode": mode, "balance": balance}
        return record(AccountInfo, **fields)

    def symbol_select(self, symbol: str, on: bool) -> bool:
        if symbol not in {"X", "Y"}:
            self.error = NOT_FOUND
        return symbol in {"X", "Y"}

    def symbol_info(self, symbol: str) -> Any:
        return symbol if symbol in {"X", "Y"} else None

    def symbol_info_tick(self, symbol: str) -> Any:
        return type("Tick", (), {"time": self.times[-1] // 1000 if self.times else 0})

    def copy_ticks_from(self, symbol: str, second: int, count: int, flags: int) -> Any:
        found = [(at, time) for at, time in enumerate(self.times) if time >= second * 1000][:count]
        ticks = np.zeros(len(found), TICKS.dtype)
        if found:
            ticks["bid"], ticks["time_msc"] = zip(*found, strict=True)
        ticks["time"] = ticks["time_msc"] // 1000
        if self.account != OURS:
            ticks["bid"] = -1
        return ticks

    def terminal_info(self) -> Any:
        return record(TerminalInfo, maxbars=self.maxbars)

    def copy_rates_from_pos(self, symbol: str, timeframe: int, start: int, count: int) -> Any:
        assert (timeframe, start) == (1, 0)
        assert 0 < count < self.maxbars
        times = list(enumerate(self.opened))[: len(self.opened) - self.hidden]
        times = times[-min(count, self.shown, self.maxbars) :] if self.shown else []
        rates = np.zeros(len(times), RATES.dtype)
        if times:
            rates["open"], rates["time"] = zip(*times, strict=True)
        if self.account != OURS:
            rates["open"] = -1
        return rates

    def market_book_add(self, symbol: str) -> bool:
        if symbol == "X":
            self.added.add(symbol)
        return symbol == "X"

    def market_book_get(self, symbol: str) -> Any:
        if symbol not in self.added:
            self.error = CALL_FAILED
            return None
        return tuple(record(BookInfo, price=price) for price in self.book)

    def market_book_release(self, symbol: str) -> bool:
        self.added.discard(symbol)
        return True

    def orders_get(self) -> Any:
        return tuple(record(TradeOrder, **fields) for fields in self.orders)

    def positions_get(self) -> Any:
        return tuple(record(TradePosition, **fields) for fields in self.positions)

    def history_orders_total(self, first: int, last: int) -> int:
        return int(self.totals[0])

    def history_deals_total(self, first: int, last: int) -> int:
        return int(self.totals[1])

    def _open_bar(self, minutes: int = 1) -> None:
        """Have a bar open with a tick."""
        opened = (self.opened[-1] if self.opened else OPENING) + minutes * MINUTE
        self.opened.append(opened)
        self.times.append(opened * 1000)
