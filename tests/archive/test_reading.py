"""An archive is read as Polars, DuckDB and NumPy have their data, and resampled as MT5 groups its bars."""

import subprocess
import sys
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mt5crs.archive import resample, scan
from mt5crs.archive.layout import WORK, Series
from mt5crs.archive.rows import schema, to_rows
from mt5crs.bars import aggregate
from mt5crs.errors import ArchiveError, DamagedFile, SettingError
from mt5crs.timeframes import DAY, TIMEFRAMES
from tests.archive.making import MON, fill, fill_all, quotes, trading, walk

MINUTES = walk(trading(MON, 40))
TICKS = quotes(MINUTES[:6000])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive under a name with letters that mean something in a pattern; nobody changes it."""
    root = tmp_path_factory.mktemp("reading") / "a[1]*?"
    fill_all(root, "US500.cash", MINUTES, ("M1", "H1"))
    fill(root, Series("US500.cash", "tick"), TICKS)
    return root


def arrays(root: Path, *args: Any, **options: Any) -> list[Any]:
    """Read in all three ways, as arrays."""
    series = Series(args[0], args[1])
    frame = scan(root, *args, **options).collect()
    relation = scan(root, *args, as_="duckdb", **options).to_arrow_table().cast(schema(series))
    return [
        scan(root, *args, as_="numpy", **options),
        to_rows(frame.to_arrow(), series),
        to_rows(relation, series),
    ]


@pytest.mark.parametrize(
    ("name", "rows"), [("M1", MINUTES), ("H1", aggregate(MINUTES, TIMEFRAMES["H1"])), ("tick", TICKS)]
)
def test_everything_comes_as_it_is(root: Path, name: str, rows: Any) -> None:
    for found in arrays(root, "US500.cash", name):
        assert found.dtype == rows.dtype
        assert found.tobytes() == rows.tobytes()


@pytest.mark.parametrize("name", ["M1", "tick"])
@pytest.mark.parametrize(
    ("start", "end", "bounds"),
    [
        ("2025-11-04", None, (MON + DAY, 1 << 40)),
        (None, "2025-11-04 10:30", (0, MON + DAY + 10 * 3600 + 1800)),
        (MON + 3661, float(MON + 7322), (MON + 3661, MON + 7322)),
        (datetime(2025, 11, 30), datetime(2025, 12, 2), (MON + 27 * DAY, MON + 29 * DAY)),  # noqa: DTZ001
        ("2031-01-01", None, (1 << 40, 1 << 41)),
        (date(2025, 11, 30), np.datetime64("2025-12-02T00"), (MON + 27 * DAY, MON + 29 * DAY)),
        (np.int64(MON + DAY), None, (MON + DAY, 1 << 40)),
    ],
)
def test_some_time_alone_is_read(
    root: Path, name: str, start: Any, end: Any, bounds: tuple[int, int]
) -> None:
    rows = MINUTES if name == "M1" else TICKS
    expected = rows[(rows["time"] >= bounds[0]) & (rows["time"] < bounds[1])]
    for found in arrays(root, "US500.cash", name, start, end):
        assert found.tobytes() == expected.tobytes()


def test_only_files_of_that_time_are_opened(root: Path) -> None:
    plan = scan(root, "US500.cash", "M1", "2025-12-01", "2025-12-05").explain()
    assert "2025-12.parquet" in plan
    assert "2025-11.parquet" not in plan


def test_an_array_is_read_only(root: Path) -> None:
    assert not scan(root, "US500.cash", as_="numpy").flags.writeable


@pytest.mark.parametrize("name", TIMEFRAMES)
@pytest.mark.parametrize("source", ["M1", "tick"])
def test_resampling_groups_as_mt5_does(root: Path, name: str, source: str) -> None:
    rows = MINUTES if source == "M1" else TICKS
    bars = resample(rows, name)
    if source == "M1":
        assert bars.tobytes() == aggregate(MINUTES, TIMEFRAMES[name]).tobytes()
    else:
        made = aggregate(MINUTES[:6000], TIMEFRAMES[name])
        for field in ("time", "open", "high", "low", "close", "spread"):
            assert np.array_equal(bars[field], made[field])
        assert bars["tick_volume"].sum() == len(TICKS)
    frame = resample(scan(root, "US500.cash", source), name, digits=5)
    assert frame.collect_schema() == scan(root, "US500.cash", "H1").collect_schema()
    assert to_rows(frame.collect().to_arrow(), Series("US500.cash", name)).tobytes() == bars.tobytes()


@pytest.mark.parametrize("as_", ["polars", "duckdb", "numpy"])
def test_a_damaged_file_is_refused(tmp_path: Path, as_: Any) -> None:
    fill_all(tmp_path, "EURUSD", MINUTES, ("M1",))
    scan(tmp_path, "EURUSD", as_=as_)
    path = tmp_path / "rates/symbol=EURUSD/tf=M1/year=2025/2025-12.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(DamagedFile, match=r"2025-12.parquet is damaged.*mt5crs archive repair"):
        scan(tmp_path, "EURUSD", as_=as_)
    scan(tmp_path, "EURUSD", end="2025-12-01", as_=as_)
    path.write_bytes(whole[:5000])
    with pytest.raises(DamagedFile, match="2025-12.parquet is damaged"):
        scan(tmp_path, "EURUSD", as_=as_, verify=False)


def test_what_is_half_written_is_not_read(tmp_path: Path) -> None:
    fill_all(tmp_path, "EURUSD", MINUTES, ("M1",))
    for name in (f"{WORK}/M1.EURUSD.2026-01", "rates/symbol=EURUSD/tf=M1/year=2025/2025-12.parquet.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"PAR1")
    for found in arrays(tmp_path, "EURUSD", "M1"):
        assert found.tobytes() == MINUTES.tobytes()


def test_what_cannot_be_read_is_said(root: Path, tmp_path: Path) -> None:
    aware = datetime(2025, 11, 3, tzinfo=timezone.utc)
    for arguments, kind, said in (
        (("US500.cash", "M7"), SettingError, "timeframe is 'M7': must be tick, or one of M1, "),
        (("US500.cash", "M5"), ArchiveError, r"has no US500.cash M5 .`mt5crs archive info`"),
        (("EURUSD", "M1"), ArchiveError, "has no EURUSD M1"),
        (("US500.cash", "M1", aware), SettingError, "start is .* no server time"),
        (("US500.cash", "M1", "soon"), SettingError, "start is 'soon': no server time"),
        (("US500.cash", "M1", 20, 10), SettingError, "start is later than end"),
        (("US500.cash", "M1", None, None, "pandas"), SettingError, "as_ is 'pandas': must be one of polars"),
    ):
        with pytest.raises(kind, match=said):
            scan(root, *arguments)
    with pytest.raises(ArchiveError, match="has no archive in it"):
        scan(tmp_path, "EURUSD")
    with pytest.raises(SettingError, match="timeframe is 'H5'"):
        resample(MINUTES, "H5")
    with pytest.raises(SettingError, match="digits is not given"):
        resample(scan(root, "US500.cash", "tick"), "M5")
    with pytest.raises(SettingError, match="neither bars nor ticks: its columns are a"):
        resample(np.zeros(1, [("a", "i4")]), "M5")
    with pytest.raises(SettingError, match="neither bars nor ticks: its columns are a"):
        resample(pl.LazyFrame({"a": [1]}), "M5")


@pytest.mark.parametrize("as_", ["polars", "duckdb", "numpy"])
@pytest.mark.parametrize(
    "start", [float("nan"), float("inf"), True, 10**30, b"x", [1], time(1), np.datetime64("NaT")]
)
def test_what_is_no_time_is_refused(root: Path, as_: Any, start: Any) -> None:
    with pytest.raises(SettingError, match="start is .* no server time"):
        scan(root, "US500.cash", "M1", start, as_=as_)


@pytest.mark.parametrize(
    "arguments", [(None,), (5,), ("",), ("X", None), ("X", ["M1"]), ("X", "M1", 0, 1, [])]
)
def test_what_is_no_name_is_refused(root: Path, arguments: Any) -> None:
    with pytest.raises(SettingError, match=r"must be"):
        scan(root, *arguments)
    with pytest.raises(SettingError, match=r"must be"):
        scan(None, "X")  # type: ignore[call-overload]


def test_frames_of_other_units_and_orders_are_resampled_alike(root: Path) -> None:
    for name in ("M1", "tick"):
        frame = scan(root, "US500.cash", name)
        column = "time" if name == "M1" else "time_msc"
        expected = resample(frame, "H4", digits=5).collect()
        turned = frame.sort(column, descending=True)
        if name == "M1":
            assert resample(turned, "H4").collect().equals(expected)
        for unit in ("us", "ns"):
            cast = frame.with_columns(pl.col(column).cast(pl.Datetime(unit)))
            assert resample(cast, "H4", digits=5).collect().equals(expected)
        relation = scan(root, "US500.cash", name, as_="duckdb")
        assert resample(relation.pl().lazy(), "H4", digits=5).collect().equals(expected)
    assert resample(MINUTES[::-1], "H4").tobytes() == resample(MINUTES, "H4").tobytes()
    assert resample(TICKS[np.r_[4:8, 0:4]], "M1").tobytes() == resample(TICKS[:8], "M1").tobytes()


def test_what_cannot_be_resampled_is_refused(root: Path) -> None:
    minutes, hours = scan(root, "US500.cash"), scan(root, "US500.cash", "H1")
    array = scan(root, "US500.cash", "H1", as_="numpy")
    ticks = scan(root, "US500.cash", "tick")
    relation: Any = scan(root, "US500.cash", as_="duckdb")
    nothing: Any = None
    zoned = minutes.with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    counted = minutes.with_columns(pl.col("time").cast(pl.Int64))
    many = aggregate(walk(np.arange(MON, MON + 600 * DAY, 3600)), TIMEFRAMES["MN1"])
    cases: list[tuple[Any, Any, Any, str]] = [
        (zoned, "H4", None, "server time has no zone"),
        (counted, "H4", None, "the source's time is Int64"),
        (hours, "M5", None, "too long for M5"),
        (array, "M5", None, "too long for M5"),
        (resample(minutes, "M2"), "M5", None, "do not fit"),
        (many, "W1", None, "too long for W1"),
        (relation, "H4", None, r"neither array nor frame .*relation.pl\(\).lazy\(\)"),
        (nothing, "H4", None, "the source is a NoneType"),
        (minutes, None, None, "timeframe is None"),
        (minutes, [], None, r"timeframe is \[\]"),
        *((ticks, "M5", each, "digits is ") for each in (-1, "5", True, 99)),
    ]
    for source, timeframe, digits, said in cases:
        with pytest.raises(SettingError, match=said):
            resample(source, timeframe, digits=digits)
    assert len(resample(many, "MN1")) == len(many)
    assert len(resample(MINUTES[:1], "M1")) == 1


def test_nothing_optional_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, mt5crs.archive; "
        "print({'polars', 'duckdb', 'pyarrow', 'matplotlib', 'zmq', 'typer'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
