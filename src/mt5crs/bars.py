"""Bars of the 21 timeframes, built from shorter ones, and M1 bars of ticks.

Bars group by `floor(server time / period)` counted from 1970-01-01; weeks open on Sunday, months on the
1st. Open is the first, high the maximum, low the minimum, close the last, volumes are sums and the spread
is the smallest. A period without an M1 bar has no bar.
"""

import numpy as np
from numpy.typing import NDArray

from mt5crs.constants import TICK_FLAG_VOLUME, TIMEFRAME_MN1, TIMEFRAME_W1
from mt5crs.model import RATES, RatesArray, TicksArray
from mt5crs.timeframes import DAY, MINUTE, PERIODS, WEEK

# 1970-01-01 was a Thursday: the week around it opened on Sunday, 4 days before.
WEEK_OFFSET = 4 * DAY
MOST_DIGITS = 8
FIRST = 1000
"""Prices that are looked at before all are."""

Times = NDArray[np.int64]
Prices = NDArray[np.float64]


def open_times(times: Times, timeframe: int) -> Times:
    """Return the open time of the bar that each time falls in."""
    opened: Times
    if timeframe == TIMEFRAME_MN1:
        months = times.astype("datetime64[s]").astype("datetime64[M]")
        opened = months.astype("datetime64[s]").astype(np.int64)
    elif timeframe == TIMEFRAME_W1:
        opened = (times + WEEK_OFFSET) // WEEK * WEEK - WEEK_OFFSET
    else:
        period = PERIODS[timeframe]
        opened = times // period * period
    return opened


def open_time(time: int, timeframe: int) -> int:
    """Return the open time of the bar that a time falls in."""
    return int(open_times(np.array([time], np.int64), timeframe)[0])


def next_open_time(opened: int, timeframe: int) -> int:
    """Return the open time of the bar after the one that opens at a time."""
    # A month has 30 days in `PERIODS`; from the 1st of any, 31 days lead into the next one.
    longest = PERIODS[timeframe] + (DAY if timeframe == TIMEFRAME_MN1 else 0)
    return open_time(opened + longest, timeframe)


def aggregate(bars: RatesArray, timeframe: int) -> RatesArray:
    """Return the bars of a timeframe, built from bars of a shorter one.

    Args:
        bars: Ascending; each must lie inside one bar of the timeframe.
        timeframe: A `TIMEFRAME_*` value.
    """
    if not len(bars):
        return bars
    opened = open_times(bars["time"], timeframe)
    starts = np.flatnonzero(np.r_[True, opened[1:] != opened[:-1]])
    built = np.zeros(len(starts), RATES.dtype)
    built["time"] = opened[starts]
    built["open"] = bars["open"][starts]
    built["high"] = np.maximum.reduceat(bars["high"], starts)
    built["low"] = np.minimum.reduceat(bars["low"], starts)
    built["close"] = bars["close"][np.r_[starts[1:], len(bars)] - 1]
    built["tick_volume"] = np.add.reduceat(bars["tick_volume"], starts)
    built["spread"] = np.minimum.reduceat(bars["spread"], starts)
    built["real_volume"] = np.add.reduceat(bars["real_volume"], starts)
    return built


def collect(ticks: TicksArray, digits: int) -> RatesArray:
    """Return the M1 bars of ticks: bid prices, the smallest spread of each minute, the volume of trades."""
    if not len(ticks):
        return np.zeros(0, RATES.dtype)
    minutes = ticks["time"] // MINUTE * MINUTE
    starts = np.flatnonzero(np.r_[True, minutes[1:] != minutes[:-1]])
    ends = np.r_[starts[1:], len(ticks)]
    bars = np.zeros(len(starts), RATES.dtype)
    bid = ticks["bid"]
    bars["time"] = minutes[starts]
    bars["open"] = bid[starts]
    bars["high"] = np.maximum.reduceat(bid, starts)
    bars["low"] = np.minimum.reduceat(bid, starts)
    bars["close"] = bid[ends - 1]
    bars["tick_volume"] = ends - starts
    bars["spread"] = np.rint(np.minimum.reduceat(ticks["ask"] - bid, starts) * 10.0**digits)
    traded = (ticks["flags"] & TICK_FLAG_VOLUME) != 0
    bars["real_volume"] = np.add.reduceat(np.where(traded, ticks["volume"], 0), starts)
    return bars


def digits_of(*columns: Prices) -> int:
    """Return the most digits after the point that prices have."""
    for digits in range(MOST_DIGITS):
        # Mostly the first few prices tell that there are more.
        if all(_fits(c[:FIRST], digits) for c in columns) and all(_fits(c, digits) for c in columns):
            return digits
    return MOST_DIGITS


def _fits(prices: Prices, digits: int) -> bool:
    return bool(np.all(np.abs(np.round(prices, digits) - prices) <= 8 * np.spacing(np.abs(prices))))
