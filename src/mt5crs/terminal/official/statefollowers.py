"""Find changes of the depth of market, of the account, and of orders, deals and positions."""

import time
from collections.abc import Sequence
from math import inf
from operator import itemgetter
from typing import Any

from mt5crs.model import Record, TradeOrder, TradePosition
from mt5crs.terminal.official.follower import Follower, Pace
from mt5crs.terminal.port import News, NewState, NewTrades
from mt5crs.timeframes import DAY

WITH_PRICES = {"price_current", "profit", "swap"}
"""Fields of orders and positions that change with prices and time alone."""
READD = 1.0
"""Seconds between two attempts to subscribe to a depth of market that there is not."""


class StateFollower(Follower):
    """A state, whenever it has changed."""

    def _begin(self, place: Any) -> None:
        self._value = place

    def _take(self, now: float) -> News | None:
        value = self._read(now)
        if value is None or value == self._value:
            return None
        self._value = value
        return self._news(value)

    def _read(self, now: float) -> Any:
        """Return the state, None where the terminal does not tell."""
        raise NotImplementedError

    def _news(self, value: Any) -> News:
        return NewState(self._topic, value)


class AccountFollower(StateFollower):
    """The account."""

    PACE = Pace(0.1, 0.5)

    def _read(self, now: float) -> Any:
        info = self._mt5.account_info()
        return None if info is None else list(info)


class BookFollower(StateFollower):
    """The depth of market of a symbol, none where it has none.

    It is subscribed to in this process alone; what clients subscribe to is another's.
    """

    PACE = Pace(0.005, 0.1)

    def _begin(self, place: Any) -> None:
        super()._begin(place)
        self._is_added = False
        self._next_add = -inf

    def _read(self, now: float) -> Any:
        symbol = self._topic.symbol
        if not self._is_added and now >= self._next_add:
            self._is_added = bool(self._mt5.market_book_add(symbol))
            self._next_add = now + READD
        if not self._is_added:
            return self._none()
        rows = self._mt5.market_book_get(symbol)
        if rows is None:
            self._is_added = False  # perhaps the terminal has forgotten it
            return self._none()
        return [list(row) for row in rows]

    def _none(self) -> Any:
        """Return an empty book, if the terminal has answered that there is none."""
        return [] if self._value is None and self._mt5.symbol_info(self._topic.symbol) is not None else None

    def end(self) -> None:
        """See `Follower.end`."""
        if self._is_added:
            self._mt5.market_book_release(self._topic.symbol)


class TradeFollower(StateFollower):
    """Orders, deals and positions: that they have changed, not how.

    There are no places in them: whoever begins to look may have missed something, and says so.
    """

    PACE = Pace(0.1, 0.5)

    def _read(self, now: float) -> Any:
        open_ones: list[Any] = []
        for function, settled in ((self._mt5.orders_get, ORDER), (self._mt5.positions_get, POSITION)):
            rows: Sequence[Any] | None = function()
            if rows is None:
                return None
            open_ones.append([settled(row) for row in rows])
        today = time.time() // DAY * DAY
        span = int(today - 2 * DAY), int(today + 3 * DAY)  # whatever the server's time zone is
        for total in (self._mt5.history_orders_total, self._mt5.history_deals_total):
            number = total(*span)
            if number is None:
                return None
            open_ones.append(number)
        return open_ones

    def _news(self, value: Any) -> News:
        return NewTrades()


def _settled(kind: type[Record]) -> "itemgetter[Any]":
    """Return what takes the fields of an order or position that do not change by themselves."""
    return itemgetter(*(at for at, name in enumerate(kind.__match_args__) if name not in WITH_PRICES))


ORDER, POSITION = _settled(TradeOrder), _settled(TradePosition)
