"""The symbols whose ticks are wanted, and how far those of each were taken in."""

import logging
from math import inf
from typing import TYPE_CHECKING, Any

from mt5crs.operation import Result, Unasked
from mt5crs.terminal.official.messages import Ticks

if TYPE_CHECKING:
    from mt5crs.model import TicksArray

log = logging.getLogger(__name__)

AGAIN = 1.0
"""Seconds until a worker that could not follow is told again."""


class Following:
    """What is wanted of the stream lane, and what it has brought.

    Its worker is told the whole of what is wanted whenever that changes, and with it how far each symbol's
    ticks were taken in: the next worker begins where the last one's ticks end.
    """

    def __init__(self) -> None:
        self._cursors: dict[str, tuple[int, int]] = {}
        self._followed: set[str] = set()  # those of which ticks are taken in
        self._collected: dict[str, list[Any]] = {}
        self._is_told = True
        self._not_before = 0.0

    def __bool__(self) -> bool:
        return bool(self._cursors)

    def add(self, symbol: str) -> None:
        """Want the ticks of a symbol."""
        if symbol not in self._cursors:
            self._cursors[symbol] = (0, 0)
            self._is_told = False

    def remove(self, symbol: str) -> None:
        """Want them no more."""
        if self._cursors.pop(symbol, None) is not None:
            self._followed.discard(symbol)
            self._collected.pop(symbol, None)
            self._is_told = False

    def restart(self) -> None:
        """Note that a new worker follows nothing yet."""
        self._followed.clear()
        self._is_told = not self._cursors
        self._not_before = 0.0

    def to_tell(self, now: float) -> list[list[Any]] | None:
        """Return what the worker is to be told, None where it need not be told now."""
        if self._is_told or now < self._not_before:
            return None
        self._is_told = True
        return [[symbol, *cursor] for symbol, cursor in self._cursors.items()]

    @property
    def due(self) -> float:
        """When `to_tell` is worth asking again."""
        return inf if self._is_told else self._not_before

    def told(self, wanted: list[list[Any]], result: Result, now: float) -> None:
        """Take the worker's answer to what it was told."""
        if isinstance(result, Unasked) or result.value is None:
            self._is_told = False
            self._not_before = now + AGAIN
            return
        found = {symbol: (second, delivered) for symbol, second, delivered in result.value}
        for symbol in {symbol for symbol, _, _ in wanted} & self._cursors.keys():
            if symbol in found:
                self._cursors[symbol] = found[symbol]
                self._followed.add(symbol)
            else:
                log.warning("the terminal has no symbol %r, or does not show it: it is not followed", symbol)
                del self._cursors[symbol]

    def collect(self, ticks: Ticks, array: "TicksArray") -> None:
        """Take ticks in, unless nobody wants them any more."""
        if ticks.symbol in self._followed:
            self._cursors[ticks.symbol] = (ticks.second, ticks.delivered)
            self._collected.setdefault(ticks.symbol, []).append(array)

    def take(self) -> "list[tuple[str, TicksArray]]":
        """Return what was collected since the last time, by symbol."""
        if not self._collected:
            return []
        import numpy

        collected, self._collected = self._collected, {}
        return [
            (symbol, arrays[0] if len(arrays) == 1 else numpy.concatenate(arrays))
            for symbol, arrays in collected.items()
        ]
