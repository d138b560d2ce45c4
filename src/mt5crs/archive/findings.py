"""What can be wrong with an archive."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from mt5crs.archive.layout import TICK, Series
from mt5crs.timeframes import TIMEFRAMES


class Kind(str, Enum):
    """What a finding is."""

    GAP = "gap"
    """Rows are missing."""
    DUPLICATE = "duplicate"
    """Rows are there twice."""
    ORDER = "order"
    """Rows are not in order of time."""
    OUTSIDE = "outside"
    """Rows lie outside of what their file is for."""
    DAMAGED = "damaged"
    """A file cannot be read, or not as it was written."""
    MISMATCH = "mismatch"
    """Bars are not those that shorter ones, or ticks, make."""
    VALUE = "value"
    """Rows have prices or times that no market has."""
    TEMPORARY = "temporary"
    """A half-written file was left behind, or a file lies where readers take it for another."""
    NOTE = "note"
    """Nothing is wrong, but it is good to know."""


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        kind: What it is.
        symbol: Whose; empty where a file cannot tell.
        timeframe: A timeframe's name, or `tick`.
        start: From when on, epoch seconds of the server.
        stop: Until when, the first second after it.
        what: What exactly, for people.
        path: The file, where it is about one, from the archive's folder on.
    """

    kind: Kind
    symbol: str
    timeframe: str
    start: int
    stop: int
    what: str
    path: str = ""

    @property
    def series(self) -> Series:
        """The bars or ticks that it is about."""
        return Series(self.symbol, self.timeframe)

    @property
    def is_note(self) -> bool:
        """Whether nothing is wrong."""
        return self.kind is Kind.NOTE

    def meets(self, start: int, stop: int) -> bool:
        """Whether it and a stretch of time have a moment in common."""
        return self.start < stop and start < self.stop


RANKS = {name: place for place, name in enumerate((TICK, *TIMEFRAMES))}
"""Timeframes in the order in which people look at them, ticks first."""


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by symbol, timeframe and time."""
    return sorted(
        findings,
        key=lambda each: (each.symbol, RANKS.get(each.timeframe, len(RANKS)), each.start, each.kind.value),
    )


def span(start: int, stop: int, findings: Iterable[Finding]) -> bool:
    """Whether a stretch of time has a moment in common with one of some findings."""
    return any(each.meets(start, stop) for each in findings)
