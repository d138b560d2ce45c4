"""The table: every operation of the official `MetaTrader5` package, once.

Clients, the gateway's dispatch, permissions, result decoding and the reference are read from these rows.
`last_error` is not a row: it is an answer that is already here (see the clients). Parameters, results and
failure values are the official package's own; a function's result is None (or False) where it failed, and
`last_error()` says why. Times are the trade server's wall clock written as epoch seconds.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

from mt5crs.arguments import (
    GROUP,
    HISTORY,
    INITIALIZE,
    LOGIN,
    NO_ARGUMENTS,
    OPEN,
    REQUEST,
    SYMBOL,
    Plain,
    Positional,
    integer,
    key,
    label,
    natural,
    real,
    switch,
    symbol,
    time,
    truth,
)
from mt5crs.model import (
    AccountInfo,
    BookInfo,
    LimitInfo,
    OrderCheckResult,
    OrderSendResult,
    Outcome,
    RatesArray,
    SymbolInfo,
    TerminalInfo,
    Tick,
    TicksArray,
    TradeDeal,
    TradeEvent,
    TradeLog,
    TradeOrder,
    TradePosition,
)
from mt5crs.operation import Kind, Operation, operation

Time: TypeAlias = datetime | float
"""A point in time: epoch seconds (int or float), or a datetime (naive ones are local time)."""


class Terminal:
    """A MetaTrader 5 terminal, wherever it is."""

    # ---- session ----

    @operation(Kind.SESSION, INITIALIZE, failure=False, misuse=False)
    def initialize(
        self,
        /,
        path: str = ...,
        *,
        login: int = ...,
        password: str = ...,
        server: str = ...,
        timeout: int = ...,
        portable: bool = ...,
        **others: Any,
    ) -> bool:
        """Establish the session with the terminal.

        Args:
            path: Accepted for compatibility; the gateway's machine decides which terminal runs.
            login: Account number; with it, the terminal checks the credentials.
            password: Password of the account.
            server: Name of the trade server.
            timeout: Milliseconds that the terminal may take (default 60000).
            portable: Accepted for compatibility.
            others: Ignored; in `mt5crs.MetaTrader5`, `host` and `port` say where the gateway is.

        Returns:
            True, or False with `last_error()` -6 for wrong credentials, -10003 without a terminal.
        """
        ...

    @operation(Kind.SESSION, LOGIN, failure=False, misuse=False)
    def login(self, login: int, password: str = ..., server: str = ..., *, timeout: int = ...) -> bool:
        """Check that the terminal trades for an account.

        Args:
            login: Account number.
            password: Password of the account.
            server: Name of the trade server.
            timeout: Milliseconds that the terminal may take.

        Returns:
            True, or False with `last_error()` -6 for wrong credentials.
        """
        ...

    @operation(Kind.SESSION, NO_ARGUMENTS, failure=True)
    def shutdown(self) -> bool:
        """End this client's session; the terminal goes on for the others.

        Returns:
            True, always.
        """
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def version(self) -> tuple[int, int, str] | None:
        """Return the terminal's version: (500, build, release date)."""
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def terminal_info(self) -> TerminalInfo | None:
        """Return the terminal's state and settings."""
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def account_info(self) -> AccountInfo | None:
        """Return the account; money in the account currency."""
        ...

    # ---- symbols ----

    @operation(Kind.READ, NO_ARGUMENTS)
    def symbols_total(self) -> int | None:
        """Return how many symbols the server offers, visible or not."""
        ...

    @operation(Kind.READ, GROUP, misuse=False)
    def symbols_get(self, group: str = ...) -> tuple[SymbolInfo, ...] | None:
        """Return the symbols, all or those of a group mask such as `"*USD*,!EURUSD"`."""
        ...

    @operation(Kind.READ, SYMBOL)
    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """Return the specification and last prices of one symbol."""
        ...

    @operation(Kind.READ, SYMBOL)
    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        """Return the last tick of a symbol."""
        ...

    @operation(Kind.WATCH, Positional(symbol, truth, defaults=(True,)), failure=False, misuse=False)
    def symbol_select(self, symbol: str, enable: bool = True, /) -> bool:
        """Show a symbol in Market Watch, or hide it.

        A symbol that another client watches stays visible; one with an open position or order, too.
        """
        ...

    @operation(Kind.WATCH, SYMBOL, failure=False)
    def market_book_add(self, symbol: str, /) -> bool | None:
        """Subscribe to the depth of market of a symbol."""
        ...

    @operation(Kind.READ, SYMBOL)
    def market_book_get(self, symbol: str, /) -> tuple[BookInfo, ...] | None:
        """Return the depth of market: sell rows above buy rows, by descending price."""
        ...

    @operation(Kind.WATCH, SYMBOL, failure=False)
    def market_book_release(self, symbol: str, /) -> bool | None:
        """End the subscription to the depth of market of a symbol."""
        ...

    # ---- history of prices ----

    @operation(Kind.READ, Positional(symbol, integer, time, integer))
    def copy_rates_from(
        self, symbol: str, timeframe: int, date_from: Time, count: int, /
    ) -> RatesArray | None:
        """Return up to `count` bars that end with the newest one opened at or before `date_from`."""
        ...

    @operation(Kind.READ, Positional(symbol, integer, integer, integer))
    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> RatesArray | None:
        """Return the `count` bars that end at position `start_pos`; 0 is the unfinished bar."""
        ...

    @operation(Kind.READ, Positional(symbol, integer, time, time))
    def copy_rates_range(
        self, symbol: str, timeframe: int, date_from: Time, date_to: Time, /
    ) -> RatesArray | None:
        """Return the bars that opened from `date_from` to `date_to`, both included."""
        ...

    @operation(Kind.READ, Positional(symbol, time, integer, integer))
    def copy_ticks_from(self, symbol: str, date_from: Time, count: int, flags: int, /) -> TicksArray | None:
        """Return the first `count` ticks at or after `date_from`; `flags` is a COPY_TICKS_* value."""
        ...

    @operation(Kind.READ, Positional(symbol, time, time, integer))
    def copy_ticks_range(
        self, symbol: str, date_from: Time, date_to: Time, flags: int, /
    ) -> TicksArray | None:
        """Return the ticks from `date_from` to `date_to`, both included."""
        ...

    # ---- orders and positions ----

    @operation(Kind.READ, NO_ARGUMENTS)
    def orders_total(self) -> int | None:
        """Return the number of pending orders."""
        ...

    @operation(Kind.READ, OPEN)
    def orders_get(
        self, *, symbol: str = ..., group: str = ..., ticket: int = ...
    ) -> tuple[TradeOrder, ...] | None:
        """Return the pending orders: all, one ticket, one symbol or a group mask, looked at in that order."""
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def positions_total(self) -> int | None:
        """Return the number of open positions."""
        ...

    @operation(Kind.READ, OPEN)
    def positions_get(
        self, *, symbol: str = ..., group: str = ..., ticket: int = ...
    ) -> tuple[TradePosition, ...] | None:
        """Return the open positions: all, one ticket, one symbol or a group mask, looked at in that order."""
        ...

    @operation(Kind.READ, Positional(integer, symbol, real, real))
    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float, /) -> float | None:
        """Return the margin of an order in the account currency; `volume` in lots."""
        ...

    @operation(Kind.READ, Positional(integer, symbol, real, real, real))
    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float, /
    ) -> float | None:
        """Return the profit of a position in the account currency; `volume` in lots."""
        ...

    @operation(Kind.READ, REQUEST)
    def order_check(self, request: Mapping[str, Any] = ..., /, **fields: Any) -> OrderCheckResult | None:
        """Return whether a trade request would be accepted, and the account after it.

        Args:
            request: A dict of request fields with exact types: a volume or price of `1` is refused,
                `1.0` is accepted.
            fields: The same fields as keywords, when no dict is given.
        """
        ...

    @operation(Kind.TRADE, REQUEST)
    def order_send(
        self, request: Mapping[str, Any] = ..., /, *, key: str | None = None, **fields: Any
    ) -> OrderSendResult | None:
        """Send a trade request to the trade server, at most once.

        Args:
            request: As in `order_check`.
            key: Idempotency key, up to 64 characters: the same key and request again give the outcome of the
                first, from another process too. Not of the official package; a fresh one without it.
            fields: As in `order_check`.

        Returns:
            The server's answer: a rejected order is a result with its retcode, not a failure. None for a
            malformed request, and where nothing was sent; `last_error()` has the reason.

        Raises:
            OutcomeUnknown: The request was sent and no answer came, from the gateway or from the terminal
                (IPC timeout and its kin); it may have been executed. `outcome(key)` tells later.
            KeyConflict: The key belongs to another request.
            NotExecuted: The request of this key was not carried out, and will not be.
        """
        ...

    # ---- history of trades ----

    @operation(Kind.READ, Positional(time, time))
    def history_orders_total(self, date_from: Time, date_to: Time, /) -> int | None:
        """Return the number of orders done from `date_from` to `date_to`, both included."""
        ...

    @operation(Kind.READ, HISTORY)
    def history_orders_get(
        self,
        date_from: Time = ...,
        date_to: Time = ...,
        /,
        *,
        group: str = ...,
        ticket: int = ...,
        position: int = ...,
    ) -> tuple[TradeOrder, ...] | None:
        """Return orders from history: between two dates, or of one order ticket, or of one position."""
        ...

    @operation(Kind.READ, Positional(time, time))
    def history_deals_total(self, date_from: Time, date_to: Time, /) -> int | None:
        """Return the number of deals made from `date_from` to `date_to`, both included."""
        ...

    @operation(Kind.READ, HISTORY)
    def history_deals_get(
        self,
        date_from: Time = ...,
        date_to: Time = ...,
        /,
        *,
        group: str = ...,
        ticket: int = ...,
        position: int = ...,
    ) -> tuple[TradeDeal, ...] | None:
        """Return deals from history: between two dates, or of one order ticket, or of one position."""
        ...


class Bridge(Terminal):
    """A terminal behind a gateway: the official functions, and what the bridge adds to them."""

    @operation(Kind.READ, Positional(key))
    def outcome(self, key: str, /) -> Outcome | None:
        """Return what is known of the trade request that was sent under a key, from any process.

        Args:
            key: The idempotency key.

        Returns:
            None where the gateway's journal has no such key of this caller: then it was not sent.
        """
        ...

    @operation(Kind.READ, Plain(after=(natural, 0), count=(natural, 1000), log=(label, "")))
    def trade_events(self, after: int = 0, count: int = 1000, log: str = "") -> tuple[TradeEvent, ...] | None:
        """Return what became of orders, deals and positions, as the gateway's record has it.

        Only for keys that were granted the stream `trade`. The record grows while somebody is subscribed to
        that; what happened before is found when somebody is.

        Args:
            after: Serial number of the last event that is known.
            count: How many events at most, in their order; 1000 are the most.
            log: The record's id, where it must be that one.

        Returns:
            None where the record is another one, or does not reach back, or on, to `after`.
        """
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def trade_log(self) -> TradeLog | None:
        """Return what the gateway's record of trade events has, for keys that were granted `trade`.

        Returns:
            None where there is none yet: nobody was ever subscribed.
        """
        ...

    @operation(Kind.READ, NO_ARGUMENTS)
    def limits(self) -> tuple[LimitInfo, ...] | None:
        """Return the limits that hold for the caller's orders, all of them for an admin, and what is used."""
        ...

    @operation(Kind.ADMIN, Plain(name=(label, ""), close=(switch, False), reason=(label, "")), failure=False)
    def kill(self, name: str = "", close: bool = False, reason: str = "") -> bool:
        """Turn a kill switch on: from then on only what reduces the risk is carried out.

        Args:
            name: Whose orders it is for; without it, for all.
            close: Whether the gateway removes pending orders and closes positions: those that this key's
                orders made; without a name, all of the account.
            reason: Why; it is told to those whose orders are refused.

        Returns:
            True: it is on, and stays on until `resume`, whatever is started again.
        """
        ...

    @operation(Kind.ADMIN, Plain(name=(label, "")), failure=False)
    def resume(self, name: str = "") -> bool:
        """Turn a kill switch off.

        Args:
            name: Whose orders it is for; without it, that for all.

        Returns:
            Whether it was on.
        """
        ...


def _rows(table: type[Terminal]) -> dict[str, Operation[..., Any]]:
    return {row.name: row for row in vars(table).values() if isinstance(row, Operation)}


OFFICIAL = _rows(Terminal)
"""The rows of the official functions, which every terminal carries out, by name."""
OPERATIONS = {**OFFICIAL, **_rows(Bridge)}
"""All rows by name."""
