"""Finds the new ticks of a symbol with a function that takes whole seconds."""

from typing import TYPE_CHECKING, Any

from mt5crs.constants import COPY_TICKS_ALL
from mt5crs.cursors import START, Cursor, TickPages

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


class Follower:
    """The ticks of one symbol, each of them once.

    Args:
        mt5: What has the official functions.
        symbol: The symbol.
        cursor: How far its ticks were taken in before; `START` to begin with the present.
    """

    def __init__(self, mt5: Any, symbol: str, cursor: Cursor = START) -> None:
        self._mt5 = mt5
        self._symbol = symbol
        self._pages = TickPages(cursor)
        if cursor == START and self._begin():
            self._skip()

    @property
    def cursor(self) -> Cursor:
        """How far the ticks were taken in; `START` before the first."""
        return self._pages.cursor

    def _begin(self) -> bool:
        """Find the second of the last tick, which can be asked from; False while there is none."""
        tick = self._mt5.symbol_info_tick(self._symbol)
        if tick is None or not tick.time:
            return False
        self._pages = TickPages(Cursor(int(tick.time), 0))
        return True

    def _skip(self) -> None:
        while self._ask() is not None and not self._pages.is_at_end:
            pass

    def _ask(self) -> "TicksArray | None":
        ticks = self._mt5.copy_ticks_from(self._symbol, *self._pages.question, COPY_TICKS_ALL)
        return None if ticks is None else self._pages.take(ticks)

    def take(self) -> "TicksArray | None":
        """Return the ticks that came since the last time, None where there are none."""
        if self.cursor == START and not self._begin():
            return None
        new = self._ask()
        return new if new is not None and len(new) else None
