"""Finds the new ticks of a symbol with a function that takes whole seconds."""

from typing import TYPE_CHECKING, Any

from mt5crs.constants import COPY_TICKS_ALL

if TYPE_CHECKING:
    from mt5crs.model import TicksArray

FIRST_COUNT = 256
"""Ticks asked for at a time; doubled while a second holds more."""


class Follower:
    """The ticks of one symbol, each of them once.

    Asks from the second of the last tick on and skips what it has delivered of that second, so that ticks
    with equal times are neither lost nor doubled.

    Args:
        mt5: What has the official functions.
        symbol: The symbol.
        second: The second of the last tick that was taken in before; 0 to begin with the present.
        delivered: How many ticks of that second were.
    """

    def __init__(self, mt5: Any, symbol: str, second: int = 0, delivered: int = 0) -> None:
        self._mt5 = mt5
        self._symbol = symbol
        self._second = second
        self._delivered = delivered
        self._count = FIRST_COUNT
        if not second and self._begin():
            self._delivered = len(self._ask())

    @property
    def cursor(self) -> tuple[int, int]:
        """The second of the last tick, and how many ticks of it were delivered; 0 and 0 before the first."""
        return self._second, self._delivered

    def _begin(self) -> bool:
        """Find the second of the last tick; False while there is none."""
        tick = self._mt5.symbol_info_tick(self._symbol)
        self._second = 0 if tick is None else int(tick.time)
        return self._second > 0

    def _ask(self) -> Any:
        while True:
            ticks = self._mt5.copy_ticks_from(self._symbol, self._second, self._count, COPY_TICKS_ALL)
            if ticks is None:
                return ()
            if len(ticks) < self._count or len(ticks) > self._delivered + 1:
                return ticks
            self._count *= 2  # the second holds more than was asked for

    def take(self) -> "TicksArray | None":
        """Return the ticks that came since the last time, None where there are none."""
        if not self._second and not self._begin():  # a symbol without a price has no second to ask from
            return None
        ticks = self._ask()
        new = ticks[self._delivered :]
        if not len(new):
            return None
        second = int(ticks[-1]["time"])
        if second > self._second:
            self._second, self._count = second, FIRST_COUNT
            self._delivered = int((ticks["time"] == second).sum())
        else:
            self._delivered = len(ticks)
        array: TicksArray = new
        return array
