"""The symbols whose ticks are wanted, and how far those of each were taken in."""

import logging
from math import inf
from typing import TYPE_CHECKING, Any

from mt5crs.cursors import START, Cursor
from mt5crs.model import TICKS
from mt5crs.operation import Result, Unasked
from mt5crs.terminal.official.messages import Ticks
from mt5crs.terminal.port import News, NewTicks
from mt5crs.topics import Ticks as Topic

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
        self._cursors: dict[str, Cursor] = {}
        self._followed: set[str] = set()  # those of which ticks are taken in
        self._collected: dict[str, tuple[Cursor, list[Any]]] = {}
        self._is_told = True
        self._not_before = 0.0

    def __bool__(self) -> bool:
        return bool(self._cursors)

    def add(self, symbol: str) -> None:
        """Want the ticks of a symbol."""
        if symbol not in self._cursors:
            self._cursors[symbol] = START
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
        found = {symbol: Cursor(second, offset) for symbol, second, offset in result.value}
        for symbol in {symbol for symbol, _, _ in wanted} & self._cursors.keys():
            if symbol in found:
                self._cursors[symbol] = found[symbol]
                self._followed.add(symbol)
                self._collected.setdefault(symbol, (found[symbol], []))
            else:
                log.warning("the terminal has no symbol %r, or does not show it: it is not followed", symbol)
                del self._cursors[symbol]

    def collect(self, ticks: Ticks, array: "TicksArray") -> None:
        """Take ticks in, unless nobody wants them any more."""
        if ticks.symbol in self._followed:
            start = self._cursors[ticks.symbol]
            self._cursors[ticks.symbol] = Cursor(ticks.second, ticks.delivered)
            self._collected.setdefault(ticks.symbol, (start, []))[1].append(array)

    def take(self) -> list[News]:
        """Return what was collected since the last time."""
        if not self._collected:
            return []
        import numpy

        collected, self._collected = self._collected, {}
        nothing = numpy.zeros(0, TICKS.dtype)
        return [
            NewTicks(Topic(symbol), start, numpy.concatenate(arrays) if arrays else nothing)
            for symbol, (start, arrays) in collected.items()
        ]
