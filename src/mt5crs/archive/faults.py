"""What is wrong with the rows of one file by themselves: a pure function of an array."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.archive.findings import Kind
from mt5crs.bars import Times, open_times
from mt5crs.constants import TICK_FLAG_BUY, TICK_FLAG_LAST, TICK_FLAG_SELL, TICK_FLAG_VOLUME

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

Mask = NDArray[np.bool_]
SLACK = 1e-9
"""By what share of it prices may be off that are the same."""
TRADES = TICK_FLAG_LAST | TICK_FLAG_VOLUME | TICK_FLAG_BUY | TICK_FLAG_SELL


class Fault(NamedTuple):
    """Rows that are wrong in one way.

    Attributes:
        kind: How.
        start: The time of the earliest, epoch seconds.
        stop: The first second after the latest.
        what: For people.
    """

    kind: Kind
    start: int
    stop: int
    what: str


def milliseconds(rows: "Rows") -> Times:
    """Return the times of bars or ticks in milliseconds."""
    is_ticks = "time_msc" in (rows.dtype.names or ())
    return rows["time_msc"].astype(np.int64) if is_ticks else rows["time"].astype(np.int64) * 1000


def examine(rows: "Rows", start: int, stop: int, timeframe: int | None = None) -> tuple[list[Fault], "Rows"]:
    """Return what is wrong with the rows of a file, and those that can be used, in order of time.

    Two bars of one time are one too many. Ticks may have equal times; the same quote twice in a millisecond
    is one too many, the same trade twice is not. Rows whose prices make no sense are told, and used: they
    have a place of their own.

    Args:
        rows: Bars or ticks.
        start: The first millisecond that the file is for.
        stop: The first one after it.
        timeframe: The `TIMEFRAME_*` value of bars, whose times then have to be those at which they open.
    """
    times = milliseconds(rows)
    found: list[Fault] = []

    def tell(kind: Kind, wrong: Times, what: str) -> None:
        if len(wrong):
            rows_ = "a row" if len(wrong) == 1 else f"{len(wrong)} rows"
            begin, end = int(wrong.min()) // 1000, int(wrong.max()) // 1000 + 1
            found.append(Fault(kind, begin, end, f"{rows_} {what}"))

    inside = (times >= start) & (times < stop)
    tell(Kind.OUTSIDE, times[~inside], "outside of the time that the file is for")
    tell(Kind.ORDER, times[1:][np.diff(times) < 0], "earlier than the one before")
    order = np.argsort(times, kind="stable")
    rows, times, inside = rows[order], times[order], inside[order]
    again = np.zeros(len(rows), np.bool_)
    again[1:] = np.diff(times) == 0
    is_ticks = "time_msc" in (rows.dtype.names or ())
    if is_ticks:
        again[1:] &= (rows[1:] == rows[:-1]) & ((rows["flags"][1:] & TRADES) == 0)
    tell(Kind.DUPLICATE, times[again], "twice" if is_ticks else "of a time that another one has")
    for wrong, what in _nonsense(rows, is_ticks=is_ticks):
        tell(Kind.VALUE, times[wrong], what)
    usable = inside & ~again
    if timeframe is not None and not is_ticks:
        off = open_times(times // 1000, timeframe) * 1000 != times
        tell(Kind.VALUE, times[off], "at times at which no bar of the timeframe opens")
        usable &= ~off
    return found, rows[usable]


def _nonsense(rows: "Rows", *, is_ticks: bool) -> Iterator[tuple["Mask", str]]:
    """Yield which rows have prices that cannot be, and what these are."""
    names = ("bid", "ask", "last") if is_ticks else ("open", "high", "low", "close")
    columns = [rows[name] for name in names]
    finite: Mask = np.logical_and.reduce([np.isfinite(each) for each in columns])
    yield ~finite, "with a price that is no number"
    # Ticks without a bid, an ask or a trade have 0 there.
    low: Mask = np.logical_or.reduce([each < 0 if is_ticks else each <= 0 for each in columns])
    yield finite & low, "with a price below 0" if is_ticks else "with a price of 0 or less"
    if is_ticks:
        return
    opened, highest, lowest, closed = columns
    with np.errstate(invalid="ignore"):
        slack = np.abs(highest) * SLACK
        above = np.maximum(np.maximum(opened, closed), lowest) > highest + slack
        below = np.minimum(opened, closed) < lowest - slack
    yield finite & (above | below), "whose open, high, low and close do not go together"
