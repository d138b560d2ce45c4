"""What a file of prices holds, checked: columns become M1 bars or ticks.

Bars need open, high, low and close. Without tick_volume each has 4 ticks: no more than its four prices is
known of it. Without spread it is 0. They must be M1: each opens at a whole minute, and three or more whose
times all lie two minutes or more apart, in even steps, are bars of a longer timeframe and refused.

Ticks need bid and ask; last, volume and flags may be there. An empty cell means that the price is the one
before; what comes before the first bid and ask are known is left out. Where the file has no flags they say
what changed.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs.bars import digits_of
from mt5crs.constants import TICK_FLAG_BUY, TICK_FLAG_SELL
from mt5crs.errors import SettingError
from mt5crs.model import RatesArray, TicksArray
from mt5crs.terminal.simulated.instruments.calendar import MINUTE_MSC
from mt5crs.terminal.simulated.prices.expand import QUOTE, RATES_DTYPE, TICKS_DTYPE, TRADE, flag_changes

OHLC = ("open", "high", "low", "close")
UNKNOWN_TICKS = 4
EXPECTED = (
    "expected MetaTrader M1 bars or ticks (exported from Symbols, or with a header "
    "time,open,high,low,close,tick_volume,spread), bars with a header timestamp,open,high,low,close, "
    "ticks of TrueFX (header timestamp,bid,ask) or HistData (YYYYMMDD HHMMSSmmm,bid,ask,volume), or Parquet "
    "with such columns"
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]


class Table(NamedTuple):
    """Columns of a file.

    Attributes:
        path: The file.
        columns: `time_msc` (int64) and numbers (float64, NaN where a cell is empty) by MetaTrader's names.
        rows: Where each row stands in the file.
        unit: What `rows` counts: `line` or `row`.
    """

    path: Path
    columns: Columns
    rows: Ints
    unit: str = "line"

    def refuse(self, place: int, what: str) -> SettingError:
        """Return the error for what is wrong with a row; `place` counts from 0."""
        return SettingError(f"replay: {self.path}, {self.unit} {self.rows[place]}: {what}", hint=EXPECTED)


class Recording(NamedTuple):
    """The prices of one file: bars or ticks.

    Attributes:
        path: The file.
        digits: The most digits found in the prices.
        bars: M1 bars, empty if there are ticks.
        ticks: None if there are bars.
        has_spread: Whether the file states it.
    """

    path: Path
    digits: int
    bars: RatesArray
    ticks: TicksArray | None
    has_spread: bool


def recording(table: Table) -> Recording:
    """Return what a table holds.

    Raises:
        SettingError: It has neither bars nor ticks, or they cannot be right.
    """
    columns = table.columns
    if not len(table.rows):
        raise SettingError(f"replay: {table.path} has no prices", hint=EXPECTED)
    if {"bid", "ask"} <= columns.keys():
        ticks = _ticks(table)
        digits = digits_of(ticks["bid"], ticks["ask"])
        return Recording(table.path, digits, np.zeros(0, RATES_DTYPE), ticks, True)
    bars = _bars(table)
    return Recording(table.path, digits_of(*(bars[name] for name in OHLC)), bars, None, "spread" in columns)


def _bars(table: Table) -> RatesArray:
    columns = table.columns
    open_, high, low, close = (columns[name] for name in OHLC)
    body_low, body_high = np.minimum(open_, close), np.maximum(open_, close)
    good = (low > 0) & (low <= body_low) & (body_high <= high) & np.isfinite(high)
    if not good.all():
        bad = int(np.argmin(good))
        prices = ", ".join(f"{name} {columns[name][bad]}" for name in OHLC)
        raise table.refuse(bad, f"{prices} do not make a bar")
    for name in ("tick_volume", "spread", "real_volume"):
        wrong = ~(columns.get(name, np.zeros(1)) >= 0)
        if wrong.any():
            bad = int(np.argmax(wrong))
            raise table.refuse(bad, f"{name} is {columns[name][bad]}")
    _check_minutes(table)
    bars = np.zeros(len(open_), RATES_DTYPE)
    bars["time"] = columns["time_msc"] // 1000
    for name in OHLC:
        bars[name] = columns[name]
    bars["tick_volume"] = np.maximum(np.rint(columns.get("tick_volume", UNKNOWN_TICKS)), 1)
    for name in ("spread", "real_volume"):
        bars[name] = np.rint(columns.get(name, 0))
    bars.flags.writeable = False
    return bars


def _check_minutes(table: Table) -> None:
    times = table.columns["time_msc"]
    odd = times % MINUTE_MSC != 0
    if odd.any():
        raise table.refuse(int(np.argmax(odd)), "an M1 bar opens at a whole minute")
    _check_order(table)
    steps = np.diff(times)
    if (steps == 0).any():
        raise table.refuse(int(np.argmax(steps == 0)) + 1, "a second bar of the same minute")
    step = int(np.gcd.reduce(steps)) // MINUTE_MSC if len(steps) > 1 else 1
    if step > 1:
        raise SettingError(
            f"replay: {table.path}: its bars are {step} minutes apart, so they are not M1",
            hint="export M1 bars: those of every other timeframe are made of them",
        )


def _check_order(table: Table) -> None:
    back = np.flatnonzero(np.diff(table.columns["time_msc"]) < 0)
    if len(back):
        place = int(back[0])
        raise table.refuse(place + 1, f"time goes back after row {place + 1}")


def _ticks(table: Table) -> TicksArray:
    columns = table.columns
    _check_order(table)
    bid, ask = _kept(columns["bid"]), _kept(columns["ask"])
    known = ~(np.isnan(bid) | np.isnan(ask))
    if not known.any():
        raise SettingError(f"replay: {table.path} has no prices", hint=EXPECTED)
    good = ~known | ((bid > 0) & (bid <= ask) & np.isfinite(ask))
    if not good.all():
        bad = int(np.argmin(good))
        raise table.refuse(bad, f"bid {bid[bad]} and ask {ask[bad]} are not a quote")
    ticks = np.zeros(len(bid), TICKS_DTYPE)
    ticks["time_msc"] = columns["time_msc"]
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"], ticks["ask"] = bid, ask
    traded = _last(columns, ticks)
    ticks = ticks[known]
    sides = np.where(ticks["last"] >= ticks["ask"], TICK_FLAG_BUY, 0) | np.where(
        ticks["last"] <= ticks["bid"], TICK_FLAG_SELL, 0
    )
    flag_changes(ticks, np.where(traded[known], TRADE | sides, 0).astype(np.uint32))
    if "flags" in columns:
        stated = np.nan_to_num(columns["flags"][known]).astype(np.uint32)
        ticks["flags"] = np.where(stated == 0, ticks["flags"], stated)
        ticks["flags"][0] |= QUOTE
    ticks.flags.writeable = False
    return ticks


def _last(columns: Columns, ticks: TicksArray) -> NDArray[np.bool_]:
    """Write last and volume where the file has them; return which ticks state a trade."""
    nothing = np.full(len(ticks), np.nan)
    last = columns.get("last", nothing)
    volume = columns.get("volume_real", columns.get("volume", nothing)) if "last" in columns else nothing
    ticks["last"] = np.nan_to_num(_kept(last))
    ticks["volume_real"] = np.nan_to_num(_kept(volume))
    ticks["volume"] = ticks["volume_real"].astype(np.uint64)
    traded: NDArray[np.bool_] = (last > 0) & (volume > 0)
    return traded


def _kept(column: Floats) -> Floats:
    """Return a column whose empty cells have the value before them."""
    stated = np.where(np.isnan(column), 0, np.arange(len(column)))
    kept: Floats = column[np.maximum.accumulate(stated)]
    return kept
