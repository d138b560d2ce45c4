"""A pull brings the terminal's rows, each once, and other programs read them as they are."""

import json
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from mt5crs import Client
from mt5crs.archive.layout import Series
from mt5crs.archive.pull import pull
from mt5crs.archive.rows import read_footer
from mt5crs.constants import ORDER_FILLING_IOC, ORDER_TYPE_BUY, TRADE_ACTION_DEAL, TRADE_RETCODE_DONE
from mt5crs.errors import SettingError
from tests.archive.pulls import (
    BEGIN,
    COMMAND,
    DAY,
    EVERYTHING,
    Counting,
    data,
    pulled,
    rows,
    run,
    still,
    terminals_rows,
)
from tests.processes import Gateway

MONTH = 1_740_787_200  # 2025-03-01
YEAR = 1_735_689_600  # 2025-01-01
BEGINS = {"M1": MONTH, "H1": YEAR, "tick": BEGIN}


@pytest.mark.parametrize("series", EVERYTHING, ids=str)
def test_an_archive_has_what_the_terminal_has(client: Client, whole: Path, series: Series) -> None:
    assert rows(whole, series).tobytes() == terminals_rows(client, series, BEGINS[series.tf]).tobytes()


def test_a_file_says_what_it_holds(whole: Path) -> None:
    path = whole / "ticks/symbol=EURUSD/year=2025/2025-03-18.parquet"
    facts = {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items()}
    assert facts["mt5crs.symbol"] == "EURUSD"
    assert facts["mt5crs.server"] == "MT5CRS-Simulated"
    assert facts["mt5crs.period_end"] == facts["mt5crs.until"] == "2025-03-19T00:00:00.000"
    assert facts["mt5crs.complete"] == "true"
    assert "not UTC" in facts["mt5crs.time_convention"]
    month = read_footer(whole / "rates/symbol=EURUSD/tf=M1/year=2025/2025-03.parquet")
    assert not month.is_complete
    assert month.until == 1000 * (BEGIN + 2 * DAY + 10 * 3600 + 30 * 60)


def test_other_programs_read_it_as_it_is(whole: Path) -> None:
    expected = rows(whole, Series("EURUSD", "M1"))
    files = f"{whole}/rates/**/*.parquet"
    database = duckdb.connect()
    names, types = zip(
        *(
            (each[0], each[1])
            for each in database.sql(
                f"describe select * from read_parquet('{files}', hive_partitioning = true)"  # noqa: S608
            ).fetchall()
        ),
        strict=True,
    )
    assert dict(zip(names, types, strict=True)) | {
        "symbol": "VARCHAR",
        "tf": "VARCHAR",
        "year": "BIGINT",
    } == {
        "time": "TIMESTAMP",  # without a zone
        **dict.fromkeys(("open", "high", "low", "close"), "DOUBLE"),
        "tick_volume": "BIGINT",
        "spread": "INTEGER",
        "real_volume": "BIGINT",
        "symbol": "VARCHAR",
        "tf": "VARCHAR",
        "year": "BIGINT",
    }
    found = database.sql(
        "select epoch(time)::bigint as time, close from "  # noqa: S608 - a path of ours
        f"read_parquet('{files}', hive_partitioning = true) "
        "where symbol = 'EURUSD' and tf = 'M1' order by time"
    ).fetchnumpy()
    lazy = pl.scan_parquet(f"{whole}/rates", hive_partitioning=True)
    frame = lazy.filter(symbol="EURUSD", tf="M1").sort("time").collect()
    pandas = pd.read_parquet(f"{whole}/rates", filters=[("symbol", "==", "EURUSD"), ("tf", "==", "M1")])
    for times, closes in (
        (found["time"], found["close"]),
        (frame["time"].dt.epoch("s").to_numpy(), frame["close"].to_numpy()),
        (pandas["time"].to_numpy().astype("datetime64[s]").astype(np.int64), pandas["close"].to_numpy()),
    ):
        assert np.array_equal(np.asarray(times, np.int64), expected["time"])
        assert np.array_equal(closes, expected["close"])
    ticks = pl.scan_parquet(f"{whole}/ticks", hive_partitioning=True).filter(symbol="USDJPY").collect()
    assert len(ticks) == len(rows(whole, Series("USDJPY", "tick")))


def test_a_second_pull_asks_for_nothing_and_writes_nothing(client: Client, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")}
    counting = Counting(client)
    pulled(counting, whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.parquet")} == before
    asked = counting.history()
    assert not [each for each in asked if each[0] == "copy_rates_range"]
    now = BEGIN + 2 * DAY + 10 * 3600 + 30 * 60
    assert all(arguments[1] >= now - 60 for name, arguments in asked if name == "copy_ticks_from")


def test_a_later_pull_asks_for_what_is_new(client: Client, whole: Path, tmp_path: Path) -> None:
    root, again = tmp_path / "archive", tmp_path / "again"
    with still(tmp_path, start="2025-03-19T21:15") as earlier, earlier.client() as early:
        pulled(early, root)
    known = {series: int(rows(root, series)["time"][-1]) for series in EVERYTHING}
    counting = Counting(client)
    pulled(counting, root)
    assert data(root) == data(whole)
    asked = [(name, arguments) for name, arguments in counting.history() if name != "copy_rates_from_pos"]
    of_timeframe = {1: "M1", 16385: "H1"}
    for name, arguments in asked:
        tf = of_timeframe[arguments[1]] if name == "copy_rates_range" else "tick"
        assert arguments[2 if tf != "tick" else 1] >= known[Series(arguments[0], tf)]
    pulled(client, again, begin=BEGIN - DAY)
    assert read_footer(again / "ticks/symbol=EURUSD/year=2025/2025-03-17.parquet").is_complete


def test_an_earlier_beginning_is_filled_in(client: Client, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    wanted = [Series("EURUSD", "tick"), Series("EURUSD", "M1")]
    pulled(client, root, wanted, begin=BEGIN + DAY, end=BEGIN + DAY + 7200)
    pulled(client, root, wanted, begin=BEGIN + 2 * DAY)
    pulled(client, root, wanted)
    ours, theirs = data(root), data(whole)
    assert {name for name in ours if name.endswith(".parquet")} == {
        name for name in theirs if "EURUSD" in name and "H1" not in name
    }
    assert all(theirs[name] == content for name, content in ours.items())


def test_an_end_is_kept_to_and_gone_beyond(client: Client, whole: Path, tmp_path: Path) -> None:
    ticks = Series("EURUSD", "tick")
    pulled(client, tmp_path / "a", [ticks], end=BEGIN + DAY + 3600)
    found = rows(tmp_path / "a", ticks)
    assert found.tobytes() == (all_ := rows(whole, ticks))[all_["time"] < BEGIN + DAY + 3600].tobytes()
    pulled(client, tmp_path / "a", [ticks], end=BEGIN + DAY)  # shorter: nothing is taken away
    assert len(rows(tmp_path / "a", ticks)) == len(found)


def test_the_terminals_history_may_begin_later(tmp_path: Path) -> None:
    begin = 946_684_800  # 2000, long before the simulated history begins
    wanted = [Series("EURUSD", "D1"), Series("EURUSD", "M30")]
    with still(tmp_path, start="2016-01-02T12:00") as late, late.client() as client:
        pulled(client, tmp_path / "a", wanted, begin=begin)
        for series in wanted:
            expected = terminals_rows(client, series, begin)
            assert len(expected)
            assert rows(tmp_path / "a", series).tobytes() == expected.tobytes()
        counting = Counting(client)
        pulled(counting, tmp_path / "a", wanted, begin=begin)
    assert len(counting.history()) <= 4, "what is not there is not looked for at length again"


def test_days_without_ticks_are_remembered(tmp_path: Path) -> None:
    weekend = BEGIN - 3 * DAY  # a Saturday
    ticks = Series("EURUSD", "tick")
    with still(tmp_path, "--sessions", "real", start="2025-03-17T03:00") as real, real.client() as client:
        pulled(client, tmp_path / "a", [ticks], begin=weekend - DAY)
        saturday = read_footer(ticks.path(tmp_path / "a", ticks.period(weekend)))
        assert (saturday.rows, saturday.is_complete) == (0, True)
        assert rows(tmp_path / "a", ticks).tobytes() == terminals_rows(client, ticks, weekend - DAY).tobytes()
        counting = Counting(client)
        pulled(counting, tmp_path / "a", [ticks], begin=weekend - DAY)
    assert [arguments[1] >= BEGIN - DAY for name, arguments in counting.history() if "ticks" in name] == [
        True
    ]
    assert pl.scan_parquet(f"{tmp_path}/a/ticks", hive_partitioning=True).collect().height


def test_the_command_tells_what_it_did(gateway: Gateway, whole: Path, tmp_path: Path) -> None:
    done = run(gateway, tmp_path / "a", *COMMAND, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [(each["symbol"], each["tf"]) for each in told] == [(s.symbol, s.tf) for s in EVERYTHING]
    assert [each["rows"] for each in told] == [len(rows(whole, series)) for series in EVERYTHING]
    assert data(tmp_path / "a") == data(whole)


def test_orders_are_answered_during_a_pull(gateway: Gateway, tmp_path: Path) -> None:
    class Ordering:
        """Sends an order for each page that comes."""

        def __init__(self, trader: Client) -> None:
            self.trader = trader
            self.retcodes: list[int] = []

        def begun(self, series: Series, begin: int, end: int) -> None: ...

        def done(self, pulled: Any) -> None: ...

        def got(self, series: Series, rows: int, until: int) -> None:
            result = self.trader.order_send(
                action=TRADE_ACTION_DEAL,
                symbol=series.symbol,
                volume=0.01,
                type=ORDER_TYPE_BUY,
                type_filling=ORDER_FILLING_IOC,
            )
            assert result is not None
            self.retcodes.append(result.retcode)

    with gateway.client() as client, gateway.client() as trader:
        ordering = Ordering(trader)
        pulled(client, tmp_path / "a", watcher=ordering, begin=BEGIN + DAY)
    assert len(ordering.retcodes) > len(EVERYTHING)
    assert set(ordering.retcodes) == {TRADE_RETCODE_DONE}


def test_more_bars_than_a_chart_may_have_are_pulled(client: Client, whole: Path, tmp_path: Path) -> None:
    with still(tmp_path, "--set", "maxbars=500") as small, small.client() as narrow:
        (done,) = pull(narrow, tmp_path / "a", [Series("EURUSD", "M1")], BEGIN)
    assert done.failure is None
    name = "rates/symbol=EURUSD/tf=M1/year=2025/2025-03.parquet"
    assert data(tmp_path / "a")[name] == data(whole)[name]


@pytest.mark.parametrize("tf", ["H4", "D1", "W1", "MN1"])
def test_long_bars_are_pulled_from_a_recent_day_on(client: Client, tmp_path: Path, tf: str) -> None:
    series = Series("EURUSD", tf)
    pulled(client, tmp_path / "a", [series], begin=BEGIN + 2 * DAY + 10 * 3600)
    assert rows(tmp_path / "a", series).tobytes() == terminals_rows(client, series, YEAR).tobytes()


def test_before_the_first_row_there_is_nothing(client: Client, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="nothing before 1970-01-01"):
        pull(client, tmp_path / "a", [Series("EURUSD", "M1")], -10 * DAY, -DAY)
    for tf in ("M1", "tick"):
        (done,) = pull(client, tmp_path / "a", [Series("EURUSD", tf)], 10 * DAY, 500 * DAY)
        assert isinstance(done.failure, SettingError)
        assert "has nothing of EURUSD" in str(done.failure)


def test_few_questions_are_under_way_at_once(client: Client, tmp_path: Path) -> None:
    class Watching(Counting):
        """Knows how many questions there were at the same time, and of how much time."""

        def __init__(self, client: Client) -> None:
            super().__init__(client)
            self.now = self.most = 0
            self.lock = Lock()

        def __getattr__(self, name: str) -> Any:
            method = super().__getattr__(name)

            def call(*arguments: Any) -> Any:
                with self.lock:
                    self.now += 1
                    self.most = max(self.most, self.now)
                try:
                    return method(*arguments)
                finally:
                    with self.lock:
                        self.now -= 1

            return call

    watching = Watching(client)
    wanted = [
        Series(symbol, tf) for symbol in ("EURUSD", "USDJPY") for tf in ("M1", "H4", "D1", "W1", "tick")
    ]
    pulled(watching, tmp_path / "a", wanted, jobs=32)
    assert 1 <= watching.most <= 2
    spans = [each[3] - each[2] for name, each in watching.asked if name == "copy_rates_range"]
    assert max(spans) <= 8 * 7 * DAY
