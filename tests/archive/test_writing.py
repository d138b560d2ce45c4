"""The bytes of a file depend on its rows alone, and any symbol's files are read by its name."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.archive import writing
from mt5crs.archive.folder import admit
from mt5crs.archive.folder import writing as locked
from mt5crs.archive.layout import Series
from mt5crs.archive.writing import SeriesWriter
from mt5crs.model import RATES, TICKS
from tests.archive.pulls import BEGIN, DAY, data, rows

MONTH = 1_740_787_200  # 2025-03-01
TICK = Series("EURUSD", "tick")


def _ticks(times: list[int]) -> Any:
    ticks = np.zeros(len(times), TICKS.dtype)
    ticks["time_msc"] = np.array(times, np.int64)
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"] = np.arange(len(times))
    return ticks


def _write(root: Path, series: Series, begin: int, pages: list[tuple[Any, int]]) -> None:
    with locked(root), ThreadPoolExecutor(2) as pool:
        admit(root, "7@Broker", accept=False)
        with SeriesWriter(root, series, "Broker", begin, pool) as writer:
            for page, until in pages:
                writer.add(page, until)
            writer.finish()


@settings(deadline=None, max_examples=12)
@given(
    times=st.lists(st.integers(0, 3 * DAY * 1000 - 2), max_size=60).map(sorted),
    cuts=st.lists(st.integers(0, 60), max_size=5).map(sorted),
    stop=st.integers(0, 60),
)
def test_the_bytes_do_not_depend_on_how_rows_came(times: list[int], cuts: list[int], stop: int) -> None:
    ticks = _ticks([1000 * BEGIN + time for time in times])
    end = 1000 * (BEGIN + 3 * DAY) - 1

    def until(place: int) -> int:
        return int(ticks["time_msc"][place]) if place < len(ticks) else end

    def pages(begin: int, upto: int) -> list[tuple[Any, int]]:
        places = [place for place in sorted({*cuts, upto}) if begin < place <= upto]
        found = []
        for place in places:
            found.append((ticks[begin:place], until(place)))
            begin = place
        return found

    def distinct(place: int) -> int:
        """The first row of that millisecond: what a pull ends at."""
        return int(ticks["time_msc"].searchsorted(until(place)))

    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "GROUP", 8)
        cuts = sorted({distinct(place) for place in cuts})
        stop = distinct(stop)
        at_once, in_parts = Path(name) / "a", Path(name) / "b"
        _write(at_once, TICK, 1000 * BEGIN, [(ticks, end)])
        _write(in_parts, TICK, 1000 * BEGIN, pages(0, stop))
        known = until(stop) if stop > 0 else 1000 * BEGIN
        _write(in_parts, TICK, known, [*pages(stop, len(ticks)), (ticks[:0], end)])
        assert data(at_once) == data(in_parts)
        assert rows(at_once, TICK).tobytes() == ticks.tobytes()


@pytest.mark.parametrize("symbol", ["EUR/USD", "US30.m#", "a b", "100%", "日経225", "..", "BTC?USD:x*", "x="])
def test_any_symbol_is_read_by_its_name(tmp_path: Path, symbol: str) -> None:
    bars = np.zeros(3, RATES.dtype)
    bars["time"] = BEGIN + 60 * np.arange(3)
    _write(tmp_path / "a", Series(symbol, "M1"), 1000 * MONTH, [(bars, 1000 * (BEGIN + 180))])
    tree = tmp_path / "a" / "rates"
    assert pl.scan_parquet(tree, hive_partitioning=True).filter(symbol=symbol, tf="M1").collect().height == 3
    query = (
        f"select count(*) from read_parquet('{tree}/**/*.parquet', hive_partitioning = true) where symbol = ?"  # noqa: S608
    )
    assert duckdb.connect().execute(query, [symbol]).fetchone() == (3,)
    assert ds.dataset(tree, partitioning="hive").count_rows(filter=ds.field("symbol") == symbol) == 3
