"""Bars of one symbol held against one another, and against its ticks: pure functions of arrays.

Bars of a longer timeframe must be those that M1 bars make, in every field. M1 bars must have the bids of
their ticks; how many ticks they count is another matter, since a server may pass on fewer than it has
counted.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.bars import Times, aggregate
from mt5crs.constants import TIMEFRAME_MN1
from mt5crs.model import RatesArray
from mt5crs.timeframes import PERIODS

Mask = NDArray[np.bool_]
Span = tuple[int, int]
"""From when on, and the first second after it."""

OHLC = ("open", "high", "low", "close")
OF_M1 = (*OHLC, "tick_volume", "spread", "real_volume")
"""What a bar has in common with the M1 bars that it is made of: everything."""


class Difference(NamedTuple):
    """How two sources of the same bars differ.

    Attributes:
        absent: Stretches of which only the other source has bars.
        surplus: Stretches of which only these bars are there.
        unequal: Stretches of bars that are not the same, each with what the first of them is.
    """

    absent: list[Span]
    surplus: list[Span]
    unequal: list[tuple[Span, str]]


def ends(opened: Times, timeframe: int) -> Times:
    """Return when bars end, by when they open."""
    closed: Times
    if timeframe == TIMEFRAME_MN1:
        months = opened.astype("datetime64[s]").astype("datetime64[M]") + 1
        closed = months.astype("datetime64[s]").astype(np.int64)
    else:
        closed = opened + PERIODS[timeframe]
    return closed


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return stretches of time in order, those that touch as one."""
    whole: list[Span] = []
    for start, stop in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(whole[-1][1], stop))
        else:
            whole.append((start, stop))
    return whole


def common(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Return the stretches of time that both have."""
    both = [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)]
    return joined(both)


def within(start: Times, stop: Times, spans: Sequence[Span]) -> Mask:
    """Return which stretches lie inside one of others, which are in order and do not touch."""
    begins = np.array([each[0] for each in spans], np.int64)
    finishes = np.array([each[1] for each in spans], np.int64)
    place = np.searchsorted(begins, start, side="right") - 1
    inside: Mask = place >= 0
    inside[inside] = stop[inside] <= finishes[place[inside]]
    return inside


def against_m1(
    bars: RatesArray,
    timeframe: int,
    minutes: RatesArray,
    known: Sequence[Span],
    minutes_known: Sequence[Span],
) -> Difference:
    """Hold bars against the M1 bars of the same time.

    Args:
        bars: Bars of a longer timeframe, ascending.
        timeframe: A `TIMEFRAME_*` value.
        minutes: M1 bars, ascending.
        known: Where `bars` are all there.
        minutes_known: The same of `minutes`.
    """
    built = aggregate(minutes, timeframe)
    built, bars = (_covered(each, timeframe, known, minutes_known) for each in (built, bars))
    return difference(bars, built, timeframe, OF_M1, "M1 make")


def _covered(
    bars: RatesArray, timeframe: int, known: Sequence[Span], minutes_known: Sequence[Span]
) -> RatesArray:
    opened = bars["time"].astype(np.int64)
    # A bar is there as soon as it has opened, so to say; the M1 bars in it have to be there to its end.
    inside = within(opened, opened + 1, known) & within(opened, ends(opened, timeframe), minutes_known)
    return bars[inside]


def difference(
    bars: RatesArray, others: RatesArray, timeframe: int, fields: Sequence[str], says: str
) -> Difference:
    """Return how bars differ from others of the same timeframe.

    Args:
        bars: Ascending.
        others: Ascending.
        timeframe: A `TIMEFRAME_*` value.
        fields: What must be equal.
        says: What the others are, before their number: `M1 make`.
    """
    _, here, there = np.intersect1d(bars["time"], others["time"], return_indices=True)
    only_here = np.delete(bars["time"], here)
    only_there = np.delete(others["time"], there)
    a, b = bars[here], others[there]
    wrong: Mask = np.zeros(len(a), np.bool_)
    for name in fields:
        wrong |= a[name] != b[name]
    both = np.union1d(bars["time"], others["time"])
    unequal = [
        (found, _told(a[place], b[place], fields, says))
        for found, place in _together(a["time"][wrong], both, timeframe, np.flatnonzero(wrong))
    ]
    return Difference(
        [found for found, _ in _together(only_there, both, timeframe)],
        [found for found, _ in _together(only_here, both, timeframe)],
        unequal,
    )


def _together(
    times: Times, every: Times, timeframe: int, places: NDArray[np.int64] | None = None
) -> list[tuple[Span, int]]:
    """Return bars as stretches: those between which there is no other one, with the place of the first."""
    if not len(times):
        return []
    ranks = np.searchsorted(every, times)
    starts = np.flatnonzero(np.r_[True, np.diff(ranks) != 1])
    lasts = np.r_[starts[1:], len(times)] - 1
    closed = ends(times[lasts].astype(np.int64), timeframe)
    firsts = starts if places is None else places[starts]
    spans = zip(times[starts].tolist(), closed.tolist(), strict=True)
    return list(zip(spans, firsts.tolist(), strict=True))


def _told(bar: "np.void", other: "np.void", fields: Sequence[str], says: str) -> str:
    parts = [f"{name} {bar[name]}, {says} {other[name]}" for name in fields if bar[name] != other[name]]
    return "; ".join(parts)
