"""What an archive asks of a terminal: small pages, asked again where it, or its gateway, is not ready."""

from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from mt5crs import constants as c
from mt5crs.archive.asking import LOADING, Asking
from mt5crs.archive.layout import Series
from mt5crs.cursors import Cursor, TickPages
from mt5crs.errors import ArchiveError, UnknownSymbol
from mt5crs.last_error import LastError
from mt5crs.model import AccountInfo, RatesArray, SymbolInfo, TerminalInfo, TicksArray
from mt5crs.timeframes import DAY, PERIODS, WEEK

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

BARS = 20_000
"""Bars of a page; the terminal's "max bars in chart" may allow fewer."""
TICKS = 8_192
"""Ticks of a page."""
SPAN = 8 * WEEK
"""Server time of a page at most: behind a long bar are as many M1 bars as it has minutes."""
USUAL = 4 * DAY
"""Time without rows that is nothing unusual: a weekend with a holiday. Any longer is asked for again."""
PATIENCE = 120.0
"""Seconds in a row for which a gateway, or its terminal, may be away."""

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
        self._asking = Asking(client.last_error, patience, stop or Event())
        login, self.server = self._logged_in(client.account_info())
        self.account = f"{login}@{self.server}"
        terminal = self._asking.got("terminal_info", client.terminal_info)
        self._bars = max(1, min(BARS, terminal.maxbars // 2))

    def symbol(self, name: str) -> SymbolInfo:
        """Return a symbol's specification.

        Raises:
            UnknownSymbol: There is none of that name.
        """
        info = self._asking.ask(lambda: self._client.symbol_info(name))
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
        bars = self._asking.got(
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
            self._asking.wait(pause)
            before, found = found, look(series, begin, end)
            if found != before:
                pauses = iter(LOADING[:3])
        return found

    def is_older(self, series: Series, begin: int, before: int) -> bool:
        """Say whether the terminal has rows before a second of server time.

        Args:
            series: Whose rows.
            begin: Of ticks: those of a week before it count, which is where the terminal looks for them.
            before: The second.
        """
        if series.is_ticks:
            return self._first_tick(series, max(begin - WEEK, 0), before) is not None
        return self._newest_before(series, before) is not None

    def begins_at(self, series: Series, begin: int, first: int) -> int | None:
        """Return when the terminal's history begins, if not before a first row; None if it goes back further.

        Args:
            series: Whose rows.
            begin: The beginning of the time that the first row was looked for in.
            first: The second of the first row.

        Returns:
            Milliseconds of server time.
        """
        return None if first == begin or self.is_older(series, begin, first) else first * 1000

    def bars(self, series: Series, begin: int, end: int) -> Iterator[Page]:
        """Yield the bars that opened from `begin` to `end`, which is not part of it; server time.

        There are newer bars, and older ones or one at the beginning: pages without any, and long holes, are
        what a terminal gives that is loading. Until bars come behind it, nothing of a hole counts as known.

        Raises:
            ArchiveError: The terminal's bars are not in order of time.
        """
        period = PERIODS[series.timeframe]
        width = max(min(self._bars * period, SPAN), period)
        usual = max(USUAL, period * 3 // 2)
        known, was_empty = begin, False  # behind the last bar; whether the page before was
        for at in range(begin, end, width):
            upto = min(at + width, end)
            is_doubtful = partial(
                _has_hole, "time", max(known, at - usual), upto, usual, may_be_empty=was_empty
            )
            rows = self._asking.sure(partial(self._bars_between, series, at, upto), is_doubtful)
            was_empty = not len(rows)
            if was_empty and upto < end:
                continue
            if (end if was_empty else int(rows["time"][0])) - known > usual:
                # Pages without bars were passed: what they did not have may be there by now.
                for again in range(known, at, width):
                    late = self._bars_between(series, again, min(again + width, at))
                    if len(late):
                        yield Page(late, 1000 * (int(late["time"][-1]) + 1))
            known = end if upto == end else int(rows["time"][-1]) + 1
            yield Page(rows, 1000 * known)

    def _bars_between(self, series: Series, begin: int, end: int) -> "Rows":
        rows = self._page(
            series,
            partial(self._client.copy_rates_range, series.symbol, series.timeframe, begin, end - 1),
        )
        times = rows["time"]
        if (times[1:] <= times[:-1]).any():
            raise ArchiveError(f"the terminal's bars of {series} are not in order of time")
        first, last = times.searchsorted([begin, end])  # what was not asked for comes with its own page
        return rows[first:last]

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
            ask = partial(client.copy_ticks_from, symbol, second, count, c.COPY_TICKS_ALL)
            is_doubtful = partial(_has_hole, "time_msc", last, None, USUAL * 1000, may_be_empty=True)
            new = pages.take(self._asking.sure(partial(self._page, series, ask), is_doubtful))
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
        ticks = self._asking.ask(
            lambda: self._client.copy_ticks_from(series.symbol, begin, 1, c.COPY_TICKS_ALL)
        )
        if ticks is None or not len(ticks) or ticks["time"][0] >= end:
            return None
        return int(ticks["time"][0])

    def _first_bar(self, series: Series, begin: int, end: int) -> int | None:
        """Look for the first bar: terminals have no question for it."""
        found = self._newest_before(series, end)
        if found is None or found < begin:
            return None
        if self._newest_before(series, begin + 1) is not None:
            return begin  # history goes back beyond it: where there is no bar, there was none
        none = begin
        while found - none > 1:
            middle = (none + found) // 2
            earlier = self._newest_before(series, middle + 1)
            if earlier is None:
                none = middle
            else:
                found = earlier
        return found

    def _newest_before(self, series: Series, before: int) -> int | None:
        """Return when the last bar before a second opened; None for no bar."""
        bars = self._asking.ask(
            lambda: self._client.copy_rates_from(series.symbol, series.timeframe, before - 1, 1)
        )
        return None if bars is None or not len(bars) else int(bars["time"][-1])

    def _page(self, series: Series, ask: Callable[[], T | None]) -> T:
        """Return rows of the account that the archive is filled from.

        Terminals are logged in to another account at any time, and gateways are started again: neither is
        seen by a client that reads.

        Raises:
            ArchiveError: There are none, or it is logged in to another one now.
        """
        rows = self._asking.got(f"rows of {series}", ask)
        info = self._asking.got("account_info", self._client.account_info)
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


def _has_hole(
    column: str, begin: int, end: int | None, usual: int, rows: "Rows", *, may_be_empty: bool = False
) -> bool:
    """Say whether rows of a stretch of time leave more of it out than is usual.

    Args:
        column: Their column with times.
        begin: Where the stretch begins.
        end: Where it ends; None if that is the last row.
        usual: How long may be without rows.
        rows: The rows.
        may_be_empty: Whether there may be none at all.
    """
    times = rows[column]
    if not len(times):
        return not may_be_empty or (end is not None and end - begin > usual)
    last = int(times[-1])
    holes = (int(times[0]) - begin, (last if end is None else end) - last)
    return max(holes) > usual or bool((times[1:] - times[:-1] > usual).any())
