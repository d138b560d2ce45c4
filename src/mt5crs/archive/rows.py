"""What is in a file of an archive: its columns, and what it says of itself in its footer.

Columns are MT5's, of types that every reader has. What a file holds, and until when that is known, is in its
own footer, so that a file that is copied somewhere else takes it along.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from mt5crs.archive.layout import EPOCH, Period, Series
from mt5crs.errors import ArchiveError, DamagedFile, SettingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows: TypeAlias = NDArray[np.void]
    """Rows of `RATES.dtype` or `TICKS.dtype`."""

FORMAT = 1
"""Of the layout and of the facts in the footers."""
TIME_CONVENTION = (
    "Times are the trade server's wall clock, without a time zone, as MetaTrader 5 gives them: not UTC. "
    "A bar's time is when it opened. The newest bar, and ticks of the newest millisecond, are left out until "
    "they are final: rows at or after `until` are not in this file."
)

_PREFIX = "mt5crs."
# Name in the file, Arrow type, name in MT5's row, what the row's number is multiplied with.
_SCHEMAS: dict[str, tuple[tuple[str, str, str, int], ...]] = {
    "rates": (
        ("time", "timestamp[ms]", "time", 1000),
        *((name, "double", name, 1) for name in ("open", "high", "low", "close")),
        ("tick_volume", "int64", "tick_volume", 1),
        ("spread", "int32", "spread", 1),
        ("real_volume", "int64", "real_volume", 1),
    ),
    "ticks": (
        ("time_msc", "timestamp[ms]", "time_msc", 1),
        *((name, "double", name, 1) for name in ("bid", "ask", "last")),
        ("volume", "int64", "volume", 1),
        ("flags", "int64", "flags", 1),
        ("volume_real", "double", "volume_real", 1),
    ),
}
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Footer:
    """What a file says of itself.

    Attributes:
        series: Whose rows they are.
        period: What the file is for.
        server: The trade server that they are from.
        until: Server time in milliseconds: all rows before it are in the file, and they are final.
        rows: How many there are.
        sha256: Of the rows in MT5's packed layout, in hexadecimal.
        since: Server time in milliseconds where the terminal's history began, if in this period: what
            is older may turn up later. None for a file that is whole at its head.
    """

    series: Series
    period: Period
    server: str
    until: int
    rows: int
    sha256: str
    since: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the period had ended, so that nothing can be missing."""
        return self.until >= self.period.end * 1000

    def as_metadata(self) -> dict[str, str]:
        """Return it as key-value metadata of a Parquet file."""
        facts = {
            "format": str(FORMAT),
            "server": self.server,
            "symbol": self.series.symbol,
            "timeframe": self.series.tf,
            "period": self.period.name,
            "period_start": _text(self.period.start * 1000),
            "period_end": _text(self.period.end * 1000),
            "complete": "true" if self.is_complete else "false",
            "until": _text(self.until),
            "rows": str(self.rows),
            "sha256": self.sha256,
            "time_convention": TIME_CONVENTION,
        }
        if self.since is not None:
            facts["since"] = _text(self.since)
        return {_PREFIX + name: value for name, value in facts.items()}

    @classmethod
    def of(cls, path: Path, metadata: dict[bytes, bytes]) -> "Footer":
        """Read it from the key-value metadata of a file.

        Raises:
            DamagedFile: It is not all there, or not as an archive writes it.
            ArchiveError: A later version wrote it.
        """
        facts = {
            key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()
        }
        if f"{_PREFIX}format" not in facts:
            raise DamagedFile(path, "it is no file of an archive: its footer does not say what it holds")
        if facts[f"{_PREFIX}format"] != str(FORMAT):
            raise ArchiveError(
                f"{path} is of format {facts[f'{_PREFIX}format']}, this is format {FORMAT}",
                hint="use the version of mt5crs that wrote it",
            )
        try:
            found = {
                name: facts[_PREFIX + name] for name in ("symbol", "timeframe", "period", "server", "sha256")
            }
            period = Period.named(found["period"])
            if period is None:
                raise ValueError(found["period"])
            since = facts.get(f"{_PREFIX}since")
            return cls(
                Series(found["symbol"], found["timeframe"]),
                period,
                found["server"],
                _milliseconds(facts[f"{_PREFIX}until"]),
                int(facts[f"{_PREFIX}rows"]),
                found["sha256"],
                None if since is None else _milliseconds(since),
            )
        except (KeyError, ValueError) as error:
            raise DamagedFile(path, f"its footer cannot be read: {error}") from error


def _text(milliseconds: int) -> str:
    return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def arrow(name: str = "pyarrow") -> Any:
    """Return a module of pyarrow.

    Raises:
        SettingError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise SettingError("archives need pyarrow", hint="pip install 'mt5crs[archive]'") from error


def schema(series: Series) -> Any:
    """Return the columns of a series' files."""
    pa = arrow()
    types: dict[str, Any] = {"timestamp[ms]": pa.timestamp("ms"), "double": pa.float64()}
    return pa.schema(
        [
            pa.field(name, types.get(kind) or pa.type_for_alias(kind), nullable=False)
            for name, kind, _, _ in _SCHEMAS[series.tree]
        ]
    )


def to_table(rows: "Rows", series: Series) -> Any:
    """Return MT5's rows as a table of a series' columns.

    Raises:
        ArchiveError: A number does not fit, or ticks say two different times.
    """
    import numpy as np

    pa = arrow()
    if series.is_ticks and not np.array_equal(rows["time"], rows["time_msc"] // 1000):
        raise ArchiveError(
            f"the terminal's ticks of {series.symbol} have a time that is not that of their time_msc",
            hint="an archive keeps time_msc alone; this terminal's ticks cannot be archived without loss",
        )
    fields = schema(series)
    arrays: list[Any] = []
    for (name, _, source, factor), field in zip(_SCHEMAS[series.tree], fields, strict=True):
        values = np.ascontiguousarray(rows[source])
        kind, size = values.dtype.kind, values.dtype.itemsize
        if kind != "f" and size == 8 and (kind == "u" or factor > 1) and len(values):
            most = _MOST // factor
            low, high = int(values.min()), int(values.max())
            if high > most or low < -most:
                raise ArchiveError(f"{series} has a {name} that no archive can hold: {low} to {high}")
        if kind == "u":
            values = values.view(np.int64) if size == 8 else values.astype(np.int64)
        # What fits is taken as it lies there: copies of columns would cost as much as compressing some.
        arrays.append(pa.array(values * factor if factor > 1 else values).view(field.type))
    return pa.Table.from_arrays(arrays, schema=fields)


def to_rows(table: Any, series: Series) -> "Rows":
    """Return a table of a series' columns as MT5's rows."""
    import numpy as np

    rows = np.zeros(table.num_rows, series.array.dtype)
    for name, kind, source, factor in _SCHEMAS[series.tree]:
        values = table.column(name).to_numpy()
        rows[source] = values.astype(np.int64) // factor if kind == "timestamp[ms]" else values
    if series.is_ticks:
        rows["time"] = rows["time_msc"] // 1000
    return rows


def read_footer(path: Path) -> Footer:
    """Read what a file says of itself, without its rows.

    Raises:
        DamagedFile: It is not whole.
        ArchiveError: It cannot be read, or a later version wrote it.
    """
    pa, pq = arrow(), arrow("pyarrow.parquet")

    try:
        metadata = pq.read_metadata(path)
    except pa.ArrowException as error:
        raise DamagedFile(path, str(error)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    return Footer.of(path, metadata.metadata or {})


def read_rows(path: Path) -> "Rows":
    """Read a file's rows as the terminal gave them, and hold them against their checksum.

    Raises:
        DamagedFile: It is not as it was written.
        ArchiveError: It cannot be read, or a later version wrote it.
    """
    pa, pq = arrow(), arrow("pyarrow.parquet")

    footer = read_footer(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema(footer.series)):
                raise DamagedFile(path, "its columns are not those of an archive")
            table = file.read()
    except pa.ArrowException as error:
        raise DamagedFile(path, str(error)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    rows = to_rows(table, footer.series)
    if len(rows) != footer.rows:
        raise DamagedFile(path, f"it has {len(rows)} rows, and had {footer.rows} when it was written")
    if hashlib.sha256(rows.data).hexdigest() != footer.sha256:
        raise DamagedFile(path, "its rows are not those that were written: the checksum differs")
    return rows


def _unreadable(path: Path, error: OSError) -> ArchiveError:
    """Return what is wrong: Arrow tells of bytes that make no sense by an OSError without a number."""
    if error.errno is None:
        return DamagedFile(path, str(error))
    return ArchiveError(f"{path} cannot be read: {error.strerror}")


def read_times(path: Path, series: Series) -> "NDArray[np.int64]":
    """Read the times of a file's rows alone, in whole seconds, without holding anything against a checksum.

    Raises:
        DamagedFile: They cannot be read.
        ArchiveError: The file cannot be read.
    """
    import numpy as np

    pa, pq = arrow(), arrow("pyarrow.parquet")
    name, _, _, _ = _SCHEMAS[series.tree][0]
    try:
        with pq.ParquetFile(path) as file:
            column = file.read([name]).column(name).to_numpy()
    except (pa.ArrowException, KeyError) as error:
        raise DamagedFile(path, str(error)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    times: NDArray[np.int64] = column.astype("datetime64[s]").astype(np.int64)
    return times
