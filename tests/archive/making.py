"""Archives for tests: real files, of prices that are made here, whole or with faults planted in them."""

import hashlib
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mt5crs.archive.layout import Period, Series
from mt5crs.archive.rows import Footer, to_table
from mt5crs.bars import aggregate
from mt5crs.model import RATES, TICKS
from mt5crs.timeframes import DAY, MINUTE, TIMEFRAMES

Rows = NDArray[np.void]
SERVER = "Test-Server"
NOV = 1_761_955_200  # 2025-11-01 00:00, a Saturday
MON = NOV + 2 * DAY


def put(root: Path, series: Series, period: Period, rows: Rows, until: int | None = None) -> Path:
    """Write a file of an archive, whatever its rows are; `until` in seconds, the period's end without it."""
    end = period.end if until is None else min(until, period.end)
    digest = hashlib.sha256(rows.tobytes()).hexdigest()
    footer = Footer(series, period, SERVER, end * 1000, len(rows), digest)
    path = series.path(root, period)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = to_table(rows, series)
    with import_module("pyarrow.parquet").ParquetWriter(path, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(footer.as_metadata())
    return path


def fill(root: Path, series: Series, rows: Rows, until: int | None = None) -> None:
    """Write the files of a series, from the period of its first row to that of `until` or its last row."""
    times = rows["time"]
    last = int(times[-1]) + 1 if until is None else until
    for period in series.periods(int(times[0]), last):
        begin, end = np.searchsorted(times, (period.start, period.end))
        put(root, series, period, rows[begin:end], until)


def fill_all(
    root: Path, symbol: str, minutes: Rows, names: Iterable[str] = TIMEFRAMES, until: int | None = None
) -> None:
    """Write M1 bars, and the bars of other timeframes that they make."""
    for name in names:
        fill(root, Series(symbol, name), aggregate(minutes, TIMEFRAMES[name]), until)


def walk(times: NDArray[np.int64], seed: int = 1, start: float = 1.15, digits: int = 5) -> Rows:
    """Return M1 bars of a random walk that open at some times."""
    rng = np.random.default_rng(seed)
    size = 10.0**digits
    points = np.rint(start * size) + np.cumsum(rng.integers(-5, 6, len(times)))
    bars = np.zeros(len(times), RATES.dtype)
    bars["time"] = times
    bars["open"], bars["close"] = points / size, np.roll(points, -1) / size
    bars["close"][-1] = bars["open"][-1]
    up, down = rng.integers(0, 6, len(times)), rng.integers(0, 6, len(times))
    bars["high"] = np.round(np.maximum(bars["open"], bars["close"]) + up / size, digits)
    bars["low"] = np.round(np.minimum(bars["open"], bars["close"]) - down / size, digits)
    bars["tick_volume"] = rng.integers(1, 200, len(times))
    bars["spread"] = rng.integers(0, 9, len(times))
    return bars


def quotes(minutes: Rows, digits: int = 5) -> Rows:
    """Return ticks that make these bars: four in each minute."""
    ticks = np.zeros((len(minutes), 4), TICKS.dtype)
    for place, name in enumerate(("open", "high", "low", "close")):
        ticks["bid"][:, place] = minutes[name]
        ticks["time_msc"][:, place] = minutes["time"] * 1000 + place * 14_000 + 7
    ticks["ask"] = np.round(ticks["bid"] + minutes["spread"][:, None] / 10.0**digits, digits)
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["flags"] = 6
    return ticks.reshape(-1)


def trading(first: int, days: int, closed: Sequence[tuple[int, int]] = ()) -> NDArray[np.int64]:
    """Return the minutes of Mondays to Fridays 00:00 to 23:57, from a day's start on."""
    times = np.arange(first, first + days * DAY, MINUTE)
    weekday = (times // DAY + 4) % 7
    late = (weekday == 5) & (times % DAY >= DAY - 3 * MINUTE)
    open_ = (weekday >= 1) & (weekday <= 5) & ~late
    for begin, end in closed:
        open_ &= (times < begin) | (times >= end)
    chosen: NDArray[np.int64] = times[open_]
    return chosen


def without(rows: Any, start: int, stop: int) -> Any:
    """Return rows without those of a stretch of time."""
    return rows[(rows["time"] < start) | (rows["time"] >= stop)]
