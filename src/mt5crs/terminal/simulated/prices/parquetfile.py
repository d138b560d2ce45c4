"""Parquet files of prices, and folders of them partitioned as Hive does (`symbol=EURUSD/tf=M1/year=2025`).

Columns have the names of MetaTrader's arrays of rates or ticks. A column `symbol`, in the files or in the
folders' names, tells symbols apart; of a column `tf` or `timeframe` only M1 is read. Where there are several
files their rows are put in order of time. Needs pyarrow, which comes with `pip install 'mt5crs[archive]'`.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.prices.recorded import EXPECTED, OHLC, Columns, Floats, Ints, Table

SUFFIXES = (".parquet", ".pq")
BARS = (*OHLC, "tick_volume", "spread", "real_volume")
TICKS = ("bid", "ask", "last", "volume", "volume_real", "flags")
TIMES = ("time_msc", "time", "timestamp")
TIMEFRAMES = ("tf", "timeframe")
M1 = ("M1", "m1", 1)
MILLISECONDS_FROM = 10**11


class _Rows(NamedTuple):
    names: tuple[str, ...]
    data: Any  # a pyarrow table


def read_parquet(path: Path) -> list[tuple[str, Table]]:
    """Return the columns of a file or folder, for each symbol; the symbol is empty where none is named.

    Raises:
        SettingError: It cannot be read, or pyarrow is not there.
    """
    if path.is_dir() and not any(path.rglob("*.parquet")):
        raise SettingError(f"replay: {path} is a folder without Parquet files", hint=EXPECTED)
    dataset = _pyarrow("pyarrow.dataset")
    try:
        rows = _read(dataset, path)
    except (OSError, ValueError, TypeError) as error:  # what pyarrow raises derives from these
        reason = str(error).partition("\n")[0]
        raise SettingError(f"replay: {path} cannot be read as Parquet ({reason})", hint=EXPECTED) from error
    names = set(rows.names)
    if not names & set(TIMES) or not (set(OHLC) <= names or {"bid", "ask"} <= names):
        listed = ",".join(rows.names)[:80]
        raise SettingError(f"replay: {path}: columns {listed!r} are unknown", hint=EXPECTED)
    if not rows.data.num_rows:
        raise SettingError(f"replay: {path} has no prices, or none of M1", hint=EXPECTED)
    return [
        (symbol, Table(path, _ordered(_columns(part), whole=not path.is_dir()), _numbers(part), "row"))
        for symbol, part in _by_symbol(rows)
    ]


def _pyarrow(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingError(
            "replay: Parquet needs pyarrow, which is not installed", hint="pip install 'mt5crs[archive]'"
        ) from error


def _read(dataset: Any, path: Path) -> _Rows:
    source = dataset.dataset(path, format="parquet", partitioning="hive")
    names: tuple[str, ...] = tuple(source.schema.names)
    used = [name for name in names if name in {*BARS, *TICKS, *TIMES, "symbol"}]
    timeframe = next((name for name in TIMEFRAMES if name in names), None)
    only = None
    if timeframe is not None:
        kind = source.schema.field(timeframe).type
        is_text = "string" in str(kind)
        only = dataset.field(timeframe).isin([value for value in M1 if isinstance(value, str) == is_text])
    return _Rows(tuple(used) if used else names, source.to_table(columns=used or None, filter=only))


def _by_symbol(rows: _Rows) -> list[tuple[str, Any]]:
    if "symbol" not in rows.names:
        return [("", rows.data)]
    compute = _pyarrow("pyarrow.compute")
    column = rows.data["symbol"].cast("string")
    found = sorted(name for name in compute.unique(column).to_pylist() if name)
    return [(name, rows.data.filter(compute.equal(column, name))) for name in found]


def _columns(data: Any) -> Columns:
    """Return columns as NumPy arrays."""
    names = set(data.column_names)
    numbers = TICKS if {"bid", "ask"} <= names else BARS
    columns: Columns = {
        name: data[name].cast("float64", safe=False).to_numpy() for name in numbers if name in names
    }
    columns["time_msc"] = _moments(data[next(name for name in TIMES if name in names)])
    return columns


def _moments(column: Any) -> Ints:
    """Return times in milliseconds, of timestamps or of numbers."""
    kind = str(column.type)
    if kind.startswith("timestamp"):
        unit = _pyarrow("pyarrow").timestamp("ms", column.type.tz)
        moments: Ints = column.cast(unit, safe=False).cast("int64").to_numpy()
        return moments
    numbers: Floats = column.cast("float64", safe=False).to_numpy()
    milliseconds = numbers if len(numbers) and numbers[0] > MILLISECONDS_FROM else numbers * 1000
    return np.rint(milliseconds).astype(np.int64)


def _ordered(columns: Columns, *, whole: bool) -> Columns:
    """Return rows in order of time where they are from files that have none; a whole file keeps its own."""
    if whole:
        return columns
    order = np.argsort(columns["time_msc"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def _numbers(data: Any) -> Ints:
    return np.arange(1, int(data.num_rows) + 1)
