"""What an archive asks of a terminal: small pages, asked again where it, or its gateway, is not ready."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from mt5crs import constants as c
from mt5crs.archive.layout import Series
from mt5crs.cursors import Cursor, TickPages
from mt5crs.errors import (
    ArchiveError,
    BridgeError,
    Busy,
    Expired,
    GatewayFault,
    StaleEpoch,
    TerminalMissing,
    UnknownSymbol,
    Unreachable,
)
from mt5crs.last_error import LastError
from mt5crs.model import AccountInfo, RatesArray, SymbolInfo, TerminalInfo, TicksArray
from mt5crs.timeframes import PERIODS

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

BARS = 20_000
"""Bars of a page; the terminal's "max bars in chart" may allow fewer."""
TICKS = 8_192
"""Ticks of a page."""
PATIENCE = 120.0
"""Seconds in a row for which a gateway, or its terminal, may be away."""
LOADING = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Seconds between questions to a terminal that may be loading history still."""
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts to reach a gateway; the last one again and again."""

_AWAY = (Unreachable, GatewayFault, Busy, Expired, StaleEpoch, TerminalMissing)
_NOT_READY = frozenset({c.RES_E_FAIL, c.RES_E_INVALID_PARAMS, c.RES_E_NOT_FOUND})
_NO_TERMINAL = frozenset(
    {
        c.RES_E_INTERNAL_FAIL,
        c.RES_E_INTERNAL_FAIL_SEND,
        c.RES_E_INTERNAL_FAIL_RECEIVE,
        c.RES_E_INTERNAL_FAIL_INIT,
        c.RES_E_INTERNAL_FAIL_CONNECT,
        c.RES_E_INTERNAL_FAIL_TIMEOUT,
    }
)

T = TypeVar("T")


class Prices(Protocol):
    """What is needed of a client; several threads use it."""

    def account_info(self) -> AccountInfo | None:
        """As in `mt5crs.api`."""
        ...

    def terminal_info(self) -> TerminalInfo | None:
        """As in `mt5crs.api`."""
        ...

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """As in `mt5crs.api`."""
        ...

    def copy_rates_from(
        self, symbol: str, timeframe: int, date_from: float, count: int, /
    ) -> RatesArray | None:
        """As in `mt5crs.api`."""
        ...

    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> RatesArray | None:
        """As in `mt5crs.api`."""
        ...

    def copy_rates_range(
        self, symbol: str, timeframe: int, date_from: float, date_to: float, /
    ) -> RatesArray | None:
        """As in `mt5crs.api`."""
        ...

    def copy_ticks_from(self, symbol: str, date_from: float, count: int, flags: int, /) -> TicksArray | None:
        """As in `mt5crs.api`."""
        ...

    def last_error(self) -> LastError:
        """As in `mt5crs.api`."""
        ...


class Page(NamedTuple):
    """Rows, in order of time.

    Attributes:
        rows: Those that follow the page before.
        until: Server time in milliseconds: after these rows, there are no more before it.
    """

    rows: "Rows"
    until: int


class Interrupted(Exception):
    """Whoever started it wants it to end."""


class Source:
    """A terminal's history.

    Args:
        client: A client of its gateway.
        patience: Seconds in a row for which it may be away.
        stop: Set by whoever wants it to end.

    Attributes:
        account: The account that it is logged in to, as `login@server`.
        server: Its trade server.

    Raises:
        BridgeError: It cannot be reached.
    """

    def __init__(self, client: Prices, patience: float = PATIENCE, stop: Event | None = None) -> None:
        self._client = client
        self._patience = patience
        self._stop = stop or Event()
        login, self.server = self._logged_in(client.account_info())
        self.account = f"{login}@{self.server}"
        terminal = self._got("terminal_info", client.terminal_info)
        self._bars = max(1, min(BARS, terminal.maxbars // 2))

    def symbol(self, name: str) -> SymbolInfo:
        """Return a symbol's specification.

        Raises:
            UnknownSymbol: There is none of that name.
        """
        info = self._ask(lambda: self._client.symbol_info(name))
        if info is None:
            raise UnknownSymbol(
                f"the terminal has no symbol {name!r}",
                hint=f"names are case sensitive: `mt5crs symbols '*{name[:3].upper()}*'` lists similar ones",
            )
        return info

    def newest_bar(self, series: Series) -> int:
        """Return when the terminal's newest bar opened, which is not over yet.

        Raises:
            ArchiveError: There is none.
        """
        bars = self._got(
            f"newest bar of {series}",
            lambda: self._client.copy_rates_from_pos(series.symbol, series.timeframe, 0, 1),
            is_enough=len,
        )
        if not len(bars):
            raise ArchiveError(f"the terminal has no bars of {series}")
        return int(bars["time"][-1])

    def first(self, series: Series, begin: int, end: int, *, patiently: bool) -> int | None:
        """Return from when on there are rows in a time; None for none.

        Args:
            series: Whose rows.
            begin: The first second.
            end: The first second after it.
            patiently: Whether to wait for older ones to be loaded, where there are none at its beginning.
        """
        look = self._first_tick if series.is_ticks else self._first_bar
        found = look(series, begin, end)
        pauses = iter(LOADING[:3])
        while patiently and found != begin and (pause := next(pauses, None)) is not None:
            self._wait(pause)
            before, found = found, look(series, begin, end)
            if found != before:
                pauses = iter(LOADING[:3])
        return found

    def bars(self, series: Series, begin: int, end: int) -> Iterator[Page]:
        """Yield the bars that opened from `begin` to `end`, which is not part of it; server time.

        Raises:
            ArchiveError: The terminal's bars are not in order of time.
        """
        width = self._bars * PERIODS[series.timeframe]
        client, symbol, timeframe = self._client, series.symbol, series.timeframe
        while begin < end:
            upto = min(begin + width, end)
            rows = self._page(
                series,
                partial(client.copy_rates_range, symbol, timeframe, begin, upto - 1),
            )
            times = rows["time"]
            if (times[1:] <= times[:-1]).any():
                raise ArchiveError(f"the terminal's bars of {series} are not in order of time")
            first, last = times.searchsorted([begin, upto])  # what was not asked for comes with its own page
            yield Page(rows[first:last], upto * 1000)
            begin = upto

    def ticks(self, series: Series, begin: Cursor, end: int) -> Iterator[Page]:
        """Yield the ticks from a place on that are final: all but those of the newest millisecond.

        Args:
            series: Whose ticks.
            begin: The place.
            end: The first second of server time that is not part of it.

        Raises:
            ArchiveError: The terminal's ticks are not in order of time.
        """
        import numpy as np

        client, symbol = self._client, series.symbol
        pages = TickPages(begin, TICKS, TICKS)
        rest = np.zeros(0, series.array.dtype)
        last = begin.second * 1000
        while not pages.is_at_end:
            second, count = pages.question
            new = pages.take(
                self._page(
                    series,
                    partial(client.copy_ticks_from, symbol, second, count, c.COPY_TICKS_ALL),
                )
            )
            rows = np.concatenate([rest, new]) if len(rest) else new
            if not len(rows):
                return
            times = rows["time_msc"]
            if times[0] < last or (times[1:] < times[:-1]).any():
                raise ArchiveError(f"the terminal's ticks of {symbol} are not in order of time_msc")
            last = int(times[-1])
            until = min(last, end * 1000)
            cut = int(times.searchsorted(until))
            yield Page(rows[:cut], until)
            if last >= end * 1000:
                return
            rest = rows[cut:]

    def _first_tick(self, series: Series, begin: int, end: int) -> int | None:
        ticks = self._ask(lambda: self._client.copy_ticks_from(series.symbol, begin, 1, c.COPY_TICKS_ALL))
        if ticks is None or not len(ticks) or ticks["time"][0] >= end:
            return None
        return int(ticks["time"][0])

    def _first_bar(self, series: Series, begin: int, end: int) -> int | None:
        """Look for the first bar: terminals have no question for it."""

        def newest(time_: int) -> int | None:
            bars = self._ask(lambda: self._client.copy_rates_from(series.symbol, series.timeframe, time_, 1))
            return None if bars is None or not len(bars) else int(bars["time"][-1])

        found = newest(end - 1)
        if found is None or found < begin:
            return None
        if newest(begin) is not None:
            return begin  # history goes back beyond it: where there is no bar, there was none
        none = begin
        while found - none > 1:
            middle = (none + found) // 2
            earlier = newest(middle)
            if earlier is None:
                none = middle
            else:
                found = earlier
        return found

    def _got(
        self, what: str, ask: Callable[[], T | None], is_enough: Callable[[T], object] | None = None
    ) -> T:
        """Return what the terminal gives; one that is loading history still is asked again.

        Raises:
            ArchiveError: It gives nothing.
        """
        pauses = iter(LOADING)
        while True:
            value = self._ask(ask)
            if value is not None and (is_enough is None or is_enough(value)):
                return value
            code, text = self._client.last_error()
            pause = next(pauses, None)
            if pause is None or (value is None and code not in _NOT_READY):
                break
            self._wait(pause)
        if value is not None:
            return value
        raise ArchiveError(
            f"the terminal gave no {what}: {text} ({code})",
            hint="what was pulled is in the archive: pull again, and it goes on from there",
        )

    def _ask(self, ask: Callable[[], T | None]) -> T | None:
        """Return the terminal's answer; wait where it is away, and go on when it is back.

        Raises:
            BridgeError: It is away for too long, or refuses.
            Interrupted: All is to end.
        """
        until, attempt = 0.0, 0
        while True:
            self._wait(0)
            try:
                value = ask()
                error: BridgeError | None = None
                if value is not None or self._client.last_error()[0] not in _NO_TERMINAL:
                    return value
            except _AWAY as failure:
                error = failure
            now = time.monotonic()
            until = until or now + self._patience
            if now >= until:
                if error is None:
                    return None
                raise type(error)(
                    f"{error.message}; it was waited for {self._patience:g} s",
                    hint="what was pulled is in the archive: pull again, and it goes on from there",
                ) from error
            self._wait(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    def _page(self, series: Series, ask: Callable[[], T | None]) -> T:
        """Return rows of the account that the archive is filled from.

        Terminals are logged in to another account at any time, and gateways are started again: neither is
        seen by a client that reads.

        Raises:
            ArchiveError: There are none, or it is logged in to another one now.
        """
        rows = self._got(f"rows of {series}", ask)
        info = self._got("account_info", self._client.account_info)
        if f"{info.login}@{info.server}" != self.account:
            raise ArchiveError(
                f"the terminal was logged in to {self.account}, and is now to {info.login}@{info.server}",
                hint="prices differ between servers: see to the terminal, then pull again",
            )
        return rows

    def _logged_in(self, info: AccountInfo | None) -> tuple[int, str]:
        if info is None:
            code, text = self._client.last_error()
            raise ArchiveError(f"the terminal gave no account_info: {text} ({code})")
        return info.login, info.server

    def _wait(self, seconds: float) -> None:
        """Wait a little, unless all is to end.

        Raises:
            Interrupted: It is.
        """
        if self._stop.wait(seconds):
            raise Interrupted
