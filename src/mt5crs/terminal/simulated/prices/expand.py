"""From bars to ticks: what happens inside a minute of which only an M1 bar is known.

The rule is that of MetaTrader's strategy tester for M1 bars, simplified to its outline:

- a bar that closes at or above its open runs open, low, high, close; one that falls runs open, high,
  low, close;
- `tick_volume` ticks are spread evenly over the minute, tick `k` of `n` at `60000 * k // n` ms; a bar
  that needs more ticks to show all four prices gets as many as it needs;
- between these four the price goes straight, rounded to a point, with every other tick one point
  behind, never outside the bar;
- the spread is the bar's throughout.

So bars rebuilt from the ticks are the bars that they came from.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mt5crs.constants import TICK_FLAG_ASK, TICK_FLAG_BID
from mt5crs.model import RATES, TICKS, RatesArray, TicksArray

RATES_DTYPE = RATES.dtype
TICKS_DTYPE = TICKS.dtype
MINUTE = 60
MINUTE_MSC = 60_000
QUOTE = TICK_FLAG_BID | TICK_FLAG_ASK

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _counts(bars: RatesArray, first: Floats, second: Floats) -> Ints:
    """Ticks in each bar: its volume, or as many as the four prices need."""
    points = (bars["open"], first, second, bars["close"])
    needed = 1 + sum(np.not_equal(a, b).astype(np.int64) for a, b in pairwise(points))
    counts: Ints = np.maximum(bars["tick_volume"].astype(np.int64), needed)
    return counts


def _path(bars: RatesArray, counts: Ints, first: Floats, second: Floats, k: Ints, point: float) -> Floats:
    """Bids of all ticks; `k` is each tick's place in its bar."""
    last = np.repeat(counts - 1, counts)
    turn1 = np.where(last < 3, np.minimum(last, 1), (last + 1) // 3)
    turn2 = np.where(last < 3, turn1, np.maximum((2 * last + 1) // 3, turn1 + 1))
    # With three ticks there is room for one turn: the one that differs from the open.
    middle = np.where(first != bars["open"], first, second)
    few = counts == 3
    open_, close = (np.repeat(bars[name], counts) for name in ("open", "close"))
    high1 = np.repeat(np.where(few, middle, first), counts)
    high2 = np.repeat(np.where(few, middle, second), counts)
    short = last < 2
    high1 = np.where(short, close, high1)
    high2 = np.where(short, close, high2)
    leg1, leg2 = k <= turn1, k <= turn2
    start = np.where(leg1, open_, np.where(leg2, high1, high2))
    end = np.where(leg1, high1, np.where(leg2, high2, close))
    begin = np.where(leg1, 0, np.where(leg2, turn1, turn2))
    finish = np.where(leg1, turn1, np.where(leg2, turn2, last))
    share = (k - begin) / np.maximum(finish - begin, 1)
    share = np.where(finish == begin, 1.0, share)
    inner = (share > 0) & (share < 1) & (k % 2 == 1)
    bids = start + (end - start) * share - np.where(inner, np.sign(end - start) * point, 0.0)
    bids = np.rint(bids / point) * point
    clipped: Floats = np.clip(bids, np.repeat(bars["low"], counts), np.repeat(bars["high"], counts))
    return clipped


def flag_changes(ticks: TicksArray) -> None:
    """Write into `flags` what changed from tick to tick; the first, and a repeated quote, carry both."""
    flags = np.full(len(ticks), QUOTE, np.uint32)
    bid = (ticks["bid"][1:] != ticks["bid"][:-1]) * np.uint32(TICK_FLAG_BID)
    ask = (ticks["ask"][1:] != ticks["ask"][:-1]) * np.uint32(TICK_FLAG_ASK)
    changed = bid | ask
    flags[1:] = np.where(changed == 0, QUOTE, changed)
    ticks["flags"] = flags


def expand(bars: RatesArray, digits: int) -> TicksArray:
    """Return the ticks of M1 bars, ascending in time.

    Args:
        bars: M1 bars of one symbol, ascending.
        digits: Digits of its prices.
    """
    rising = bars["close"] >= bars["open"]
    first = np.where(rising, bars["low"], bars["high"])
    second = np.where(rising, bars["high"], bars["low"])
    counts = _counts(bars, first, second)
    starts = np.cumsum(counts) - counts
    k = np.arange(counts.sum(), dtype=np.int64) - np.repeat(starts, counts)
    point = 10.0**-digits
    ticks = np.zeros(len(k), TICKS_DTYPE)
    bids = np.round(_path(bars, counts, first, second, k, point), digits)
    ticks["bid"] = bids
    ticks["ask"] = np.round(bids + np.repeat(bars["spread"], counts) * point, digits)
    ticks["time_msc"] = np.repeat(bars["time"] * 1000, counts) + MINUTE_MSC * k // np.repeat(counts, counts)
    ticks["time"] = ticks["time_msc"] // 1000
    flag_changes(ticks)
    # What comes before a minute is not always at hand: its first tick states the whole quote.
    ticks["flags"][starts] = QUOTE
    return ticks


def collect(ticks: TicksArray, digits: int) -> RatesArray:
    """Return the M1 bars of ticks: bid prices, the smallest spread of each minute."""
    if not len(ticks):
        return np.zeros(0, RATES_DTYPE)
    minutes = ticks["time"] // MINUTE * MINUTE
    starts = np.flatnonzero(np.r_[True, minutes[1:] != minutes[:-1]])
    ends = np.r_[starts[1:], len(ticks)]
    bars = np.zeros(len(starts), RATES_DTYPE)
    bid = ticks["bid"]
    bars["time"] = minutes[starts]
    bars["open"] = bid[starts]
    bars["high"] = np.maximum.reduceat(bid, starts)
    bars["low"] = np.minimum.reduceat(bid, starts)
    bars["close"] = bid[ends - 1]
    bars["tick_volume"] = ends - starts
    bars["spread"] = np.rint(np.minimum.reduceat(ticks["ask"] - bid, starts) * 10.0**digits)
    return bars
