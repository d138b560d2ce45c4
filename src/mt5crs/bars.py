"""Bars of the 21 timeframes, built from shorter ones.

Bars group by `floor(server time / period)` counted from 1970-01-01; weeks open on Sunday, months on the
1st. Open is the first, high the maximum, low the minimum, close the last, volumes are sums and the spread
is the smallest. A period without an M1 bar has no bar.
"""

import numpy as np
from numpy.typing import NDArray

from mt5crs import constants
from mt5crs.model import RATES, RatesArray
from mt5crs.timeframes import DAY, PERIODS, WEEK

# 1970-01-01 was a Thursday: the week around it opened on Sunday, 4 days before.
WEEK_OFFSET = 4 * DAY

Times = NDArray[np.int64]


def open_times(times: Times, timeframe: int) -> Times:
    """Return the open time of the bar that each time falls in."""
    opened: Times
    if timeframe == constants.TIMEFRAME_MN1:
        months = times.astype("datetime64[s]").astype("datetime64[M]")
        opened = months.astype("datetime64[s]").astype(np.int64)
    elif timeframe == constants.TIMEFRAME_W1:
        opened = (times + WEEK_OFFSET) // WEEK * WEEK - WEEK_OFFSET
    else:
        period = PERIODS[timeframe]
        opened = times // period * period
    return opened


def open_time(time: int, timeframe: int) -> int:
    """Return the open time of the bar that a time falls in."""
    return int(open_times(np.array([time], np.int64), timeframe)[0])


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
