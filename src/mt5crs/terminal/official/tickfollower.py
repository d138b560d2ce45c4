"""Finds the new ticks of a symbol with a function that takes whole seconds."""

from typing import TYPE_CHECKING, Any

from mt5crs.constants import COPY_TICKS_ALL
from mt5crs.cursors import Cursor, TickPages
from mt5crs.terminal.official.follower import Follower, Pace
from mt5crs.terminal.port import News, NewTicks

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


class TickFollower(Follower):
    """The ticks of a symbol, each of them once."""

    PACE = Pace(0.001, 0.05)

    def _begin(self, place: Any) -> None:
        self._pages = None if place is None else TickPages(Cursor(*place))
        self._is_told = place is not None  # from where on they are followed
        self._skips = place is None  # what is there already

    def _take(self, now: float) -> News | None:
        pages = self._pages or self._find_present()
        if pages is None:
            return None
        if self._skips:
            return self._skip(pages)
        start = pages.cursor
        new = self._ask(pages)
        if new is None or (self._is_told and not len(new)):
            return None
        self._is_told = True
        return NewTicks(self._topic, start, new)

    def _find_present(self) -> TickPages | None:
        """Find the second of the last tick, which can be asked from; None while there is none."""
        tick = self._mt5.symbol_info_tick(self._topic.symbol)
        if tick is None:
            return None
        if not tick.time:
            self._skips = False  # so the first one that comes is new
            return None
        self._pages = TickPages(Cursor(int(tick.time), 0))
        return self._pages

    def _skip(self, pages: TickPages) -> News | None:
        """Pass over what is there already, then tell where the present is."""
        while (old := self._ask(pages)) is not None:
            if pages.is_at_end:
                self._skips, self._is_told = False, True
                return NewTicks(self._topic, pages.cursor, old[len(old) :])
        return None

    def _ask(self, pages: TickPages) -> "TicksArray | None":
        ticks = self._mt5.copy_ticks_from(self._topic.symbol, *pages.question, COPY_TICKS_ALL)
        return None if ticks is None else pages.take(ticks)
