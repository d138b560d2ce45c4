"""How the price moves inside a minute of which only an M1 bar is known, as MetaTrader's tester models it.

"Every tick" follows "The Algorithm of Ticks' Generation within the Strategy Tester of the MetaTrader 5
Terminal" (mql5.com, article 75) and the terminal's help, "Real and Generated Ticks". From these:

- Ticks are bids in whole points; their ask is a bid plus the bar's spread, fixed within the minute.
- One tick is the close; two are open and close; three have between these the high or the low, or where the
  price went one way, a point on that way.
- From four ticks on there are support points: at most 11, and no more than ticks, the open not counted. They
  go to the shadow that the bar opens with, the range from low to high and the shadow that it closes with, as
  3-5-3, 2-6-2, 2-5-2, 2-4-2, 2-3-2, 1-4-1, 1-3-1, 1-2-1 or 1-1-1.
- A bar that rises opens towards its low and closes from its high, one that falls the other way round. A doji
  falls if the bar before it rose, and rises if that fell.
- Points of a shadow that is not there go to the range, which has an odd number of them and is run through in
  impulse waves with roll-backs.
- Three points of a shadow are told by its 3/4 and its 1/4, unless these are the same whole number of points.
- Between two support points the price goes evenly where there are enough prices, else in a saw of one point.

What the sources leave open, or show in pictures alone, is ours:

- Three points of a shadow are at 3/4, back at 1/4, and at its end; where 3/4 and 1/4 are the same there is
  one, at its end.
- Two points of a shadow are at its half and at its end; a shadow of one point has one.
- With `w` impulse waves a roll-back takes back half of an impulse: wave `i` ends at `(i + 1) / (w + 1)` of
  the range, the roll-back after it at `i / (w + 1)`. There are no more waves than the range has points for.
- In a saw every other tick is a point ahead of where an even way would be, and inside the bar.
- Support points are spread evenly over the ticks, ticks evenly over the minute: tick `k` of `n` comes at
  `60000 * k // n` ms.
- Of dojis in a row all are the opposite of the last bar before them that was none. Where the bar before is
  not known a doji rises.
- A bar with too few ticks to show its four prices gets as many as it needs, one with more than
  `MOST_TICKS` gets these: one each millisecond.
- A spread of 0 stays 0 (the tester takes the last one above 0): raw-spread accounts have such minutes.

"1 minute OHLC" has four ticks: the open, the two extremes in the order above, and the close; they come at
`OHLC_MOMENTS` (ours).
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.model import RatesArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE_MSC

MOST_TICKS = 60_000
OHLC_MOMENTS = (0, 20_000, 40_000, 59_000)
"""Milliseconds of the minute."""

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Share = tuple[int, int]

MOST_POINTS = 11
PATTERNS = (
    *((0, 1, 0), (0, 1, 0), (0, 1, 0)),  # of fewer than four ticks: see `_few`
    *((1, 1, 1), (1, 2, 1), (1, 3, 1), (1, 4, 1)),
    *((2, 3, 2), (2, 4, 2), (2, 5, 2), (2, 6, 2), (3, 5, 3)),
)
"""Support points of opening shadow, range and closing shadow, by how many there can be."""

SHADOW: tuple[tuple[Share, ...], ...] = ((), ((1, 1),), ((1, 2), (1, 1)), ((3, 4), (1, 4), (1, 1)))
"""Where the support points of a shadow are, by their number."""


class Path(NamedTuple):
    """The bids of bars, tick by tick.

    Attributes:
        counts: Ticks of each bar.
        place: Of each tick, its place in its bar, from 0.
        points: The bids, in points.
        msc: Their time, in milliseconds of the minute.
    """

    counts: Ints
    place: Ints
    points: Ints
    msc: Ints


class _Turns(NamedTuple):
    """Bars in points: open, the extreme that comes first, the other one, and close; each an array."""

    open: Ints
    first: Ints
    second: Ints
    close: Ints


def directions(bars: RatesArray) -> Flags:
    """Return whether each bar rises; a doji is the opposite of the last bar before it that was none."""
    change = np.sign(bars["close"] - bars["open"]).astype(np.int64)
    known = np.maximum.accumulate(np.where(change != 0, np.arange(len(change)), -1))
    before = np.where(known >= 0, change[known], -1) if len(change) else change
    rising: Flags = np.where(change == 0, -before, change) > 0
    return rising


def every_tick(bars: RatesArray, digits: int, rising: Flags) -> Path:
    """Return as many ticks as each bar had.

    Args:
        bars: M1 bars.
        digits: Digits of their prices.
        rising: Whether each of them goes to its low first.
    """
    turns = _turns(bars, digits, rising)
    counts = _counts(bars, turns)
    supports, n_supports = _supports(turns, counts)
    bar = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(bar)) - np.repeat(np.cumsum(counts) - counts, counts)
    n = counts[bar]
    points = _between(turns, supports, n_supports, bar, place, n)
    return Path(counts, place, points, MINUTE_MSC * place // n)


def ohlc(bars: RatesArray, digits: int, rising: Flags) -> Path:
    """Return four ticks of each bar; the arguments are those of `every_tick`."""
    points = np.column_stack(_turns(bars, digits, rising)).reshape(-1)
    counts = np.full(len(bars), 4, np.int64)
    moments = np.tile(np.array(OHLC_MOMENTS, np.int64), len(bars))
    return Path(counts, np.tile(np.arange(4), len(bars)), points, moments)


def _turns(bars: RatesArray, digits: int, rising: Flags) -> _Turns:
    scale = 10.0**digits
    open_, high, low, close = (
        np.rint(bars[name] * scale).astype(np.int64) for name in ("open", "high", "low", "close")
    )
    return _Turns(open_, np.where(rising, low, high), np.where(rising, high, low), close)


def _counts(bars: RatesArray, turns: _Turns) -> Ints:
    """Ticks in each bar: its volume, or as many as the four prices need."""
    needed = 1 + sum((a != b).astype(np.int64) for a, b in pairwise(turns))
    counts: Ints = np.maximum(np.minimum(bars["tick_volume"], MOST_TICKS).astype(np.int64), needed)
    return counts


def _waves(count: int) -> list[Share]:
    """Where the support points of a range are, for an odd number of them."""
    waves = (count + 1) // 2
    ends = [(wave + 1, waves + 1) for wave in range(1, waves + 1)]
    backs = [(wave, waves + 1) for wave in range(1, waves)]
    return [share for pair in zip(ends, [*backs, (0, 1)], strict=True) for share in pair][:-1]


def _table() -> Ints:
    """Return leg, numerator and denominator of each support point, by the numbers on the three legs."""
    table: Ints = np.ones((4, MOST_POINTS + 1, 4, 3, MOST_POINTS), np.int64)
    for opening in range(4):
        for middle in range(1, MOST_POINTS + 1, 2):
            for closing in range(4):
                legs = (SHADOW[opening], _waves(middle), SHADOW[closing])
                shares = [(leg, *share) for leg, points in enumerate(legs) for share in points]
                for place, share in enumerate(shares[:MOST_POINTS]):
                    table[opening, middle, closing, :, place] = share
    return table


_PATTERN: Ints = np.array(PATTERNS, np.int64)
_TABLE = _table()


def _supports(turns: _Turns, counts: Ints) -> tuple[Ints, Ints]:
    """Return each bar's open and support points, a row a bar, and how many support points there are."""
    legs: Ints = np.stack([b - a for a, b in pairwise(turns)], axis=1)
    lengths: Ints = np.abs(legs)
    pattern: Ints = _PATTERN[np.minimum(counts - 1, MOST_POINTS)]
    opening, closing = (_shadow(pattern[:, leg], lengths[:, leg]) for leg in (0, 2))
    middle = _range(pattern, lengths)
    shares: Ints = _TABLE[opening, middle, closing]
    leg, numerator, denominator = shares[:, 0], shares[:, 1], shares[:, 2]
    starts: Ints = np.stack(turns[:3], axis=1)
    length = np.take_along_axis(lengths, leg, 1) * numerator // denominator
    points = np.take_along_axis(starts, leg, 1) + np.sign(np.take_along_axis(legs, leg, 1)) * length
    supports: Ints = np.concatenate([turns.open[:, None], points], axis=1)
    n_supports: Ints = opening + middle + closing
    _few(turns, counts, supports, n_supports)
    return supports, n_supports


def _shadow(count: Ints, length: Ints) -> Ints:
    """Return how many support points a shadow really has."""
    flat = np.where(count == 3, length * 3 // 4 == length // 4, length < 2)
    real: Ints = np.where(length == 0, 0, np.where(flat, np.minimum(count, 1), count))
    return real


def _range(pattern: Ints, lengths: Ints) -> Ints:
    """Return how many support points the range has, with those of shadows that are not there."""
    missing = np.where(lengths == 0, pattern, 0)
    points = pattern[:, 1] + missing[:, 0] + missing[:, 2]
    waves: Ints = np.minimum((points + 1) // 2, np.maximum(lengths[:, 1] - 1, 1))
    odd: Ints = np.minimum(points - (points % 2 == 0), 2 * waves - 1)
    return odd


def _few(turns: _Turns, counts: Ints, supports: Ints, n_supports: Ints) -> None:
    """Write the support points of bars with less than four ticks."""
    few = np.flatnonzero(counts < 4)
    if not len(few):
        return
    open_, first, second, close = (turn[few] for turn in turns)
    way = np.where(second != close, second, (open_ + close) // 2)
    three = counts[few] == 3
    supports[few, 1] = np.where(three, np.where(first != open_, first, way), close)
    supports[few, 2] = close
    n_supports[few] = np.where(three, 2, 1)


def _between(turns: _Turns, supports: Ints, n_supports: Ints, bar: Ints, place: Ints, n: Ints) -> Ints:
    """Return every tick: support points, and what lies between them."""
    steps, parts = n - 1, n_supports[bar]
    part = np.minimum(((place + 1) * parts - 1) // np.maximum(steps, 1), parts - 1)
    begin = part * steps // parts
    gap = np.maximum((part + 1) * steps // parts - begin, 1)
    done = place - begin
    start = supports[bar, part]
    way = supports[bar, part + 1] - start
    sign = np.sign(way)
    length = np.abs(way)
    low, high = np.minimum(turns.first, turns.second)[bar], np.maximum(turns.first, turns.second)[bar]
    inside = np.where(start < high, 1, np.where(start > low, -1, 0))
    saw = (length < gap) & (done % 2 == 1) & (done < gap)
    tooth = np.where(saw, np.where(sign == 0, inside, sign), 0)
    points: Ints = start + sign * (length * done // gap) + tooth
    return points
