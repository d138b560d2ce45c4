"""Reading an archive: as Polars, DuckDB or NumPy have their data.

Only the files whose periods are asked for are opened. Each of them is held against its checksum before
anything of it is given away, once in a process; what is half-written is never in a place where it would be
found.
"""

import math
import os
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, overload

from mt5crs.archive.folder import read_description
from mt5crs.archive.layout import DESCRIPTION, EPOCH, TICK, Period, Series, files, is_folder
from mt5crs.archive.rows import schema
from mt5crs.archive.stored import footer_of, load, opened
from mt5crs.errors import ArchiveError, SettingError
from mt5crs.timeframes import TIMEFRAMES

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import polars as pl

    from mt5crs.archive.rows import Rows

Moment: TypeAlias = "date | np.datetime64 | str | int | float | None"
"""Server time: a datetime without a zone, a date, text such as `2025-11-03 10:30`, or epoch seconds."""

FOREVER = 1 << 52
"""Milliseconds: beyond all that an archive has names for."""
EXTRAS = {"polars": "frames", "duckdb": "frames", "matplotlib": "plot"}
"""What brings the packages that not everybody needs."""
_GLOB = {"[": "[[]", "*": "[*]", "?": "[?]"}

_verified: set[tuple[str, int, int]] = set()
"""Files that were held against their checksum, by path, size and time of change."""


class _Choice(NamedTuple):
    """What is to be read.

    Attributes:
        series: Whose rows.
        files: Of which files, by their periods, in order.
        start: From which millisecond on.
        end: The first millisecond after it.
    """

    series: Series
    files: dict[Period, Path]
    start: int
    end: int

    @property
    def column(self) -> str:
        """The column of times."""
        return "time_msc" if self.series.is_ticks else "time"


@overload
def scan(
    root: str | Path,
    symbol: str,
    timeframe: str = ...,
    start: Moment = ...,
    end: Moment = ...,
    as_: Literal["polars"] = ...,
    *,
    verify: bool = ...,
) -> "pl.LazyFrame": ...
@overload
def scan(
    root: str | Path,
    symbol: str,
    timeframe: str = ...,
    start: Moment = ...,
    end: Moment = ...,
    *,
    as_: Literal["duckdb"],
    verify: bool = ...,
) -> "duckdb.DuckDBPyRelation": ...
@overload
def scan(
    root: str | Path,
    symbol: str,
    timeframe: str = ...,
    start: Moment = ...,
    end: Moment = ...,
    *,
    as_: Literal["numpy"],
    verify: bool = ...,
) -> "Rows": ...
def scan(
    root: Any,
    symbol: Any,
    timeframe: Any = "M1",
    start: Moment = None,
    end: Moment = None,
    as_: Any = "polars",
    *,
    verify: bool = True,
) -> Any:
    """Read bars or ticks of an archive, ascending in time.

    Args:
        root: The archive's folder.
        symbol: Of which symbol.
        timeframe: A timeframe's name, such as `M1` or `H4`, or `tick`.
        start: From which server time on; from the beginning without it.
        end: Until which server time, not part of it; to the end without it.
        as_: `polars` for a LazyFrame, `duckdb` for a relation, `numpy` for an array in MT5's layout,
        read-only.
        verify: Whether files are held against their checksums first; an array's always are.

    Returns:
        Rows whose times are the trade server's wall clock, without a zone.

    Raises:
        DamagedFile: A file that is needed is not as it was written.
        ArchiveError: There is no such archive, symbol or timeframe, it cannot be read, or a package is not
            installed.
        SettingError: An argument cannot be used.
    """
    if not isinstance(as_, str) or as_ not in _FORMS:
        raise SettingError(f"as_ is {as_!r}: must be one of {', '.join(_FORMS)}")
    if not isinstance(root, str | Path):
        raise SettingError(f"root is {root!r}: must be the folder of an archive")
    choice = _choice(Path(root), symbol, timeframe, start, end)
    if as_ != "numpy":
        for period, path in choice.files.items():
            _verify(choice.series, period, path, rows=verify)
    return _FORMS[as_](choice)


def _choice(root: Path, symbol: Any, timeframe: Any, start: Moment, end: Moment) -> _Choice:
    if not isinstance(symbol, str) or not symbol:
        raise SettingError(f"symbol is {symbol!r}: must be a symbol's name")
    if not isinstance(timeframe, str) or timeframe not in {TICK, *TIMEFRAMES}:
        raise SettingError(f"timeframe is {timeframe!r}: must be {TICK}, or one of {', '.join(TIMEFRAMES)}")
    series = Series(symbol, timeframe)
    there = files(opened(root), symbol, timeframe)
    if not is_folder(series.folder(root)):
        raise ArchiveError(f"{root} has no {series}", hint="`mt5crs archive info` lists what it has")
    if os.path.lexists(root / DESCRIPTION):
        read_description(root)
    begin, stop = _milliseconds("start", start, 0), _milliseconds("end", end, FOREVER)
    if begin > stop:
        raise SettingError("start is later than end", hint="give the earlier time as start")
    chosen = {
        period: path
        for period, path in there.items()
        if period.start * 1000 < stop and begin < period.end * 1000
    }
    return _Choice(series, chosen, begin, stop)


def _milliseconds(name: str, value: Any, without: int) -> int:
    """Return a time in milliseconds."""
    if value is None:
        return without
    kind: Any = getattr(value, "dtype", None)
    found: float = math.nan
    if isinstance(value, str | date):
        found = _of_date(value)
    elif getattr(kind, "kind", "") == "M":
        found = _of_date(value.astype("datetime64[us]").item())
    elif isinstance(value, int | float) or getattr(kind, "kind", "") in set("iuf"):
        found = math.nan if value is True or value is False else _of_number(value)
    if abs(found) <= FOREVER:  # neither is a number that is none
        return round(found)
    raise SettingError(
        f"{name} is {value!r}: no server time",
        hint="give a datetime without a zone, 2025-11-03, '2025-11-03 10:30' or epoch seconds",
    )


def _of_number(value: Any) -> float:
    """Return epoch seconds in milliseconds; no number where they are beyond all times, or several."""
    try:
        return float(value) * 1000
    except (OverflowError, TypeError):
        return math.nan


def _of_date(value: "str | date | None") -> float:
    """Return a date, with a time or not, in milliseconds; no number for what is none, or has a zone."""
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return math.nan
    if isinstance(when, date) and not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)  # noqa: DTZ001 - server time has no zone
    if when is None or when.tzinfo is not None:
        return math.nan
    return (when - EPOCH).total_seconds() * 1000


def _verify(series: Series, period: Period, path: Path, *, rows: bool) -> None:
    """Look at a file before others read it: its footer, and unless that was done, its rows."""
    if not rows:
        footer_of(series, period, path)
        return
    about = path.stat()
    key = (str(path.absolute()), about.st_size, about.st_mtime_ns)
    if key not in _verified:
        load(series, period, path)
        _verified.add(key)


def _numpy(choice: _Choice) -> "Rows":
    """Return an array in MT5's layout."""
    import numpy as np

    parts = [np.zeros(0, choice.series.array.dtype)]
    for period, path in choice.files.items():
        rows = load(choice.series, period, path).rows
        times = rows[choice.column]
        unit = 1 if choice.series.is_ticks else 1000
        begin, stop = np.searchsorted(times, (-(-choice.start // unit), -(-choice.end // unit)))
        parts.append(rows[begin:stop])
    whole: Rows = np.concatenate(parts)
    whole.flags.writeable = False
    return whole


def _polars(choice: _Choice) -> "pl.LazyFrame":
    """Return a LazyFrame over the files."""
    needed("polars")
    import polars as pl

    if not choice.files:
        return pl.DataFrame(schema(choice.series).empty_table()).lazy()
    frame = pl.scan_parquet(list(choice.files.values()), glob=False, hive_partitioning=False)
    column = pl.col(choice.column)
    kind = pl.Datetime("ms")
    if choice.start > 0:
        frame = frame.filter(column >= pl.lit(choice.start).cast(kind))
    if choice.end < FOREVER:
        frame = frame.filter(column < pl.lit(choice.end).cast(kind))
    return frame


def _duckdb(choice: _Choice) -> "duckdb.DuckDBPyRelation":
    """Return a relation over the files."""
    needed("duckdb")
    import duckdb

    if not choice.files:
        return duckdb.from_arrow(schema(choice.series).empty_table())
    names = ["".join(_GLOB.get(letter, letter) for letter in str(path)) for path in choice.files.values()]
    relation = duckdb.read_parquet(names, hive_partitioning=False)
    bounds = [
        f"{choice.column} {sign} make_timestamp({limit} * 1000)"
        for sign, limit, is_set in (
            (">=", choice.start, choice.start > 0),
            ("<", choice.end, choice.end < FOREVER),
        )
        if is_set
    ]
    return relation.filter(" AND ".join(bounds)) if bounds else relation


_FORMS = {"polars": _polars, "duckdb": _duckdb, "numpy": _numpy}


def needed(name: str) -> None:
    """See that a package is there.

    Raises:
        ArchiveError: It is not installed.
    """
    if find_spec(name) is None:
        raise ArchiveError(f"{name} is not installed", hint=f"pip install 'mt5crs[{EXTRAS[name]}]'")
