"""What is wrong with the rows of one file by themselves: a pure function of an array."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mt5crs.archive.findings import Kind
from mt5crs.bars import Times
from mt5crs.constants import TICK_FLAG_BUY, TICK_FLAG_LAST, TICK_FLAG_SELL, TICK_FLAG_VOLUME

if TYPE_CHECKING:
    from mt5crs.archive.rows import Rows

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


def examine(rows: "Rows", start: int, stop: int) -> tuple[list[Fault], "Rows"]:
    """Return what is wrong with the rows of a file, and those that can be used, in order of time.

    Two bars of one time are one too many. Ticks may have equal times; the same quote twice in a millisecond
    is one too many, the same trade twice is not.

    Args:
        rows: Bars or ticks.
        start: The first millisecond that the file is for.
        stop: The first one after it.
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
    return found, rows[inside & ~again]
