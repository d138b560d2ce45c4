"""Symbols, the depth of market, and the history of prices: the calls that know no account."""

from collections.abc import Callable

from mt5crs.constants import (
    BOOK_TYPE_BUY,
    BOOK_TYPE_SELL,
    COPY_TICKS_ALL,
    COPY_TICKS_INFO,
    COPY_TICKS_TRADE,
    TICK_FLAG_ASK,
    TICK_FLAG_BID,
    TICK_FLAG_LAST,
    TICK_FLAG_VOLUME,
)
from mt5crs.groups import group_filter
from mt5crs.last_error import CALL_FAILED, INVALID_PARAMS, NOT_FOUND, OUT_OF_MEMORY
from mt5crs.model import BookInfo, TicksArray
from mt5crs.operation import Result, done
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.prices.buffered import ANY_FLAG
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.specification import Specification
from mt5crs.timeframes import PERIODS

END_OF_TIME = 1 << 36  # seconds: the year 4147
TICK_MASKS = {
    COPY_TICKS_ALL: ANY_FLAG,
    COPY_TICKS_INFO: TICK_FLAG_BID | TICK_FLAG_ASK,
    COPY_TICKS_TRADE: TICK_FLAG_LAST | TICK_FLAG_VOLUME,
    COPY_TICKS_INFO | COPY_TICKS_TRADE: ANY_FLAG,
}


class Charts:
    """Answers what concerns symbols and their prices; each method is the operation of its name.

    Args:
        market: The prices.
        money: Converts tick values to the account currency.
        held: Returns the symbols that orders or positions hold in Market Watch.
        maxbars: The terminal's "max bars in chart": a request for as many fails.
        clock: Returns seconds.
    """

    def __init__(
        self,
        market: Market,
        money: Money,
        held: Callable[[], set[str]],
        maxbars: int,
        clock: Callable[[], float],
    ) -> None:
        self._market = market
        self._money = money
        self._held = held
        self._maxbars = maxbars
        self._read_clock = clock
        self._live = market.live_ticks
        self._specifications: dict[str, Specification] = {}
        self._books: set[str] = set()

    # ---- symbols ----

    def symbols_total(self) -> Result:
        """See `Terminal.symbols_total` in the API table."""
        return done(len(self._market.symbols))

    def symbols_get(self, group: str | None) -> Result:
        """See `Terminal.symbols_get` in the API table."""
        selects = group_filter(group or "")
        return done(tuple(self._specification(name).info() for name in self._market.symbols if selects(name)))

    def symbol_info(self, symbol: str) -> Result:
        """See `Terminal.symbol_info` in the API table."""
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        return done(self._specification(symbol).info())

    def symbol_info_tick(self, symbol: str) -> Result:
        """See `Terminal.symbol_info_tick` in the API table."""
        live = self._live.get(symbol)
        if live is not None and self._read_clock() < live.due:
            return live.result
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        live = self._market.live(symbol)
        live.refresh()
        return live.result

    def symbol_select(self, symbol: str, enable: bool) -> Result:
        """See `Terminal.symbol_select` in the API table."""
        if symbol not in self._market.symbols:
            return Result(False, NOT_FOUND)
        if enable:
            self._market.selected.add(symbol)
            return done(True)
        if symbol in self._held():
            return Result(False, CALL_FAILED)
        self._market.selected.discard(symbol)
        return done(True)

    def market_book_add(self, symbol: str) -> Result:
        """See `Terminal.market_book_add` in the API table."""
        if symbol not in self._market.symbols:
            return done(False)  # the official package leaves the error text untouched here
        self._books.add(symbol)
        return done(True)

    def market_book_get(self, symbol: str) -> Result:
        """See `Terminal.market_book_get` in the API table."""
        if symbol not in self._books:
            return Result(None, NOT_FOUND)
        return done(self.book(symbol))

    def book(self, symbol: str) -> tuple[BookInfo, ...]:
        """Return the depth of market of a known symbol; nothing of one that has none."""
        instrument = self._market.symbols[symbol]
        if not instrument.book_depth:
            return ()
        asks, bids = self._market.depth.levels(instrument, self._market.tick(symbol))
        rows = [(BOOK_TYPE_SELL, level) for level in reversed(asks)]
        rows += [(BOOK_TYPE_BUY, level) for level in bids]
        return tuple(BookInfo((kind, price, int(lots), lots)) for kind, (price, lots) in rows)

    def market_book_release(self, symbol: str) -> Result:
        """See `Terminal.market_book_release` in the API table."""
        known = symbol in self._books
        self._books.discard(symbol)
        return done(known)

    def _specification(self, symbol: str) -> Specification:
        specification = self._specifications.get(symbol)
        if specification is None:
            instrument = self._market.symbols[symbol]
            specification = Specification(instrument, self._market, self._money)
            self._specifications[symbol] = specification
        return specification

    # ---- history of prices ----

    def _rates_refusal(self, symbol: str, timeframe: int, count: int) -> Result | None:
        if timeframe not in PERIODS or not 0 < count < self._maxbars:
            return Result(None, INVALID_PARAMS)
        return None if symbol in self._market.symbols else Result(None, NOT_FOUND)

    def copy_rates_from(self, symbol: str, timeframe: int, date_from: int, count: int) -> Result:
        """See `Terminal.copy_rates_from` in the API table."""
        refusal = self._rates_refusal(symbol, timeframe, count)
        if refusal is not None:
            return refusal
        now_msc = self._market.clock.now_msc()
        return done(self._market.rates(symbol).last(timeframe, date_from, count, now_msc))

    def copy_rates_from_pos(self, symbol: str, timeframe: int, start_pos: int, count: int) -> Result:
        """See `Terminal.copy_rates_from_pos` in the API table."""
        refusal = self._rates_refusal(symbol, timeframe, count)
        if refusal is not None:
            return refusal
        if not 0 <= start_pos < self._maxbars:
            return Result(None, INVALID_PARAMS)
        now_msc = self._market.clock.now_msc()
        return done(self._market.rates(symbol).position(timeframe, start_pos, count, now_msc))

    def copy_rates_range(self, symbol: str, timeframe: int, date_from: int, date_to: int) -> Result:
        """See `Terminal.copy_rates_range` in the API table."""
        refusal = self._rates_refusal(symbol, timeframe, 1)
        if refusal is not None:
            return refusal
        now_msc = self._market.clock.now_msc()
        rates = self._market.rates(symbol)
        if rates.is_full(timeframe, date_from, date_to, now_msc, self._maxbars):
            return Result(None, INVALID_PARAMS)
        return done(rates.between(timeframe, date_from, date_to, now_msc))

    def copy_ticks_from(self, symbol: str, date_from: int, count: int, flags: int) -> Result:
        """See `Terminal.copy_ticks_from` in the API table."""
        if flags not in TICK_MASKS or count <= 0:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        return _some(self._market.first_ticks(symbol, _msc(date_from), count, TICK_MASKS[flags]))

    def copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int) -> Result:
        """See `Terminal.copy_ticks_range` in the API table."""
        if flags not in TICK_MASKS:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        # Whole seconds are asked for: the last one ends with its first millisecond, as in MetaTrader.
        return _some(self._market.ticks(symbol, _msc(date_from), _msc(date_to), TICK_MASKS[flags]))


def _some(ticks: TicksArray | None) -> Result:
    return done(ticks) if ticks is not None else Result(None, OUT_OF_MEMORY)


def _msc(seconds: int) -> int:
    """Return a time in milliseconds; what lies beyond every calendar is as good as its end."""
    return min(max(seconds, 0), END_OF_TIME) * 1000
