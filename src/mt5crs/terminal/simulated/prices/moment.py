"""Where time is while it passes: quotes as they were at a tick of the past.

Ticks follow one another by their time, in the same millisecond by the names of their symbols, then as they
come in the source.
"""

from collections.abc import Callable
from typing import NamedTuple

from mt5crs.model import Tick
from mt5crs.terminal.simulated.prices.buffered import Buffered, Window
from mt5crs.terminal.simulated.prices.live import NO_TICK

AFTER_ALL = "\U0010ffff"
"""Comes after the name of every symbol."""


class Moment(NamedTuple):
    """Between two ticks: after those seen, before those to come.

    Attributes:
        msc: Server time. What was before is seen.
        symbol: Of this millisecond, the ticks of the symbols before this one are seen,
        nth: and so many of its own.
    """

    msc: int
    symbol: str = AFTER_ALL
    nth: int = 0

    def seen(self, name: str, window: Window) -> int:
        """Return how many ticks of a symbol's window are seen."""
        if name < self.symbol:
            return window.seen(self.msc)
        return window.ahead(self.msc) + (self.nth if name == self.symbol else 0)


class Past:
    """The quotes of all symbols at one moment.

    Args:
        source: Returns the prices of a symbol.

    Attributes:
        quotes: The ticks that were asked for at this moment, by symbol.
    """

    def __init__(self, source: Callable[[str], Buffered]) -> None:
        self._source = source
        self._moment = Moment(0)
        self.quotes: dict[str, Tick] = {}

    def go_to(self, moment: Moment) -> None:
        """Look at another moment."""
        self._moment = moment
        self.quotes.clear()

    def tick(self, symbol: str) -> Tick:
        """Return the last tick of a symbol; all zeros before its first."""
        tick = self.quotes.get(symbol)
        if tick is None:
            window = self._source(symbol).window(self._moment.msc)
            last = window.last(self._moment.seen(symbol, window))
            tick = self.quotes[symbol] = Tick.of(last.item()) if len(last) else NO_TICK
        return tick
