"""The 21 timeframes, built from M1 bars.

Bars group by `floor(server time / period)` counted from 1970-01-01; weeks open on Sunday, months on the
1st. Open is the first, high the maximum, low the minimum, close the last, volumes are sums and the spread
is the smallest. A period without an M1 bar has no bar.
"""

import numpy as np
from numpy.typing import NDArray

from mt5crs import constants
from mt5crs.model import RatesArray
from mt5crs.terminal.simulated.instruments.calendar import DAY
from mt5crs.terminal.simulated.prices.expand import RATES_DTYPE

WEEK = 7 * DAY
# 1970-01-01 was a Thursday: the week around it opened on Sunday, 4 days before.
WEEK_OFFSET = 4 * DAY

PERIODS: dict[int, int] = {
    constants.TIMEFRAME_M1: 60,
    constants.TIMEFRAME_M2: 120,
    constants.TIMEFRAME_M3: 180,
    constants.TIMEFRAME_M4: 240,
    constants.TIMEFRAME_M5: 300,
    constants.TIMEFRAME_M6: 360,
    constants.TIMEFRAME_M10: 600,
    constants.TIMEFRAME_M12: 720,
    constants.TIMEFRAME_M15: 900,
    constants.TIMEFRAME_M20: 1200,
    constants.TIMEFRAME_M30: 1800,
    constants.TIMEFRAME_H1: 3600,
    constants.TIMEFRAME_H2: 7200,
    constants.TIMEFRAME_H3: 10_800,
    constants.TIMEFRAME_H4: 14_400,
    constants.TIMEFRAME_H6: 21_600,
    constants.TIMEFRAME_H8: 28_800,
    constants.TIMEFRAME_H12: 43_200,
    constants.TIMEFRAME_D1: DAY,
    constants.TIMEFRAME_W1: WEEK,
    constants.TIMEFRAME_MN1: 30 * DAY,
}
"""Seconds in a bar of each timeframe; of a month, roughly."""

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
    built = np.zeros(len(starts), RATES_DTYPE)
    built["time"] = opened[starts]
    built["open"] = bars["open"][starts]
    built["high"] = np.maximum.reduceat(bars["high"], starts)
    built["low"] = np.minimum.reduceat(bars["low"], starts)
    built["close"] = bars["close"][np.r_[starts[1:], len(bars)] - 1]
    built["tick_volume"] = np.add.reduceat(bars["tick_volume"], starts)
    built["spread"] = np.minimum.reduceat(bars["spread"], starts)
    built["real_volume"] = np.add.reduceat(bars["real_volume"], starts)
    return built
