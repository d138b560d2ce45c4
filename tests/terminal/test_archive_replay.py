"""Replays of an archive's folder: all its symbols, ticks where there are any and M1 bars elsewhere."""

from pathlib import Path

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.archive.layout import Series
from mt5crs.bars import aggregate, collect
from mt5crs.errors import DamagedFile, SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.replay import load_replays
from mt5crs.timeframes import DAY, MINUTE, TIMEFRAMES
from tests.archive.making import MON, Rows, fill, fill_all, quotes, trading, walk
from tests.terminal.desk import Desk

MINUTES = walk(trading(MON, 3))
OTHERS = walk(trading(MON, 3), seed=2, start=1.31)
TICKS = quotes(MINUTES)
LATER = MON + 5 * DAY


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive of EURUSD and GBPUSD."""
    fill_all(tmp_path, "EURUSD", MINUTES, ("M1", "H1"))
    fill_all(tmp_path, "GBPUSD", OTHERS, ("M1",))
    return tmp_path


def day(ticks: Rows, number: int) -> Rows:
    begin, end = np.searchsorted(ticks["time"], (MON + number * DAY, MON + (number + 1) * DAY))
    return ticks[begin:end]


@pytest.mark.parametrize("name", ["M1", "M5", "H1", "D1", "W1", "MN1"])
def test_bars_come_out_equal(root: Path, name: str) -> None:
    desk = Desk(SimulatedConfig(replay=(root,), start=LATER))
    for symbol, minutes in (("EURUSD", MINUTES), ("GBPUSD", OTHERS)):
        bars = desk.get("copy_rates_range", symbol, TIMEFRAMES[name], 0, LATER)
        assert bars.tolist() == aggregate(minutes, TIMEFRAMES[name]).tolist()


def test_ticks_hold_where_there_are_any(root: Path) -> None:
    fill(root, Series("EURUSD", "tick"), day(TICKS, 1), MON + 2 * DAY)
    desk = Desk(SimulatedConfig(replay=(root,), start=LATER))
    ticks = desk.get("copy_ticks_range", "EURUSD", MON, LATER, c.COPY_TICKS_ALL)
    first = MON + DAY + MINUTE  # of the very first minute ticks may be there in part: bars know more
    inside = (ticks["time"] >= first) & (ticks["time"] < MON + 2 * DAY)
    assert ticks[inside].tolist() == day(TICKS, 1)[4:].tolist()
    assert {int(time) // DAY for time in ticks[~inside]["time"]} == {MON // DAY + each for each in range(3)}
    bars = desk.get("copy_rates_range", "EURUSD", c.TIMEFRAME_M1, 0, LATER)
    made = collect(day(TICKS, 1)[4:], 5)
    assert bars["time"].tolist() == MINUTES["time"].tolist()
    of_ticks = np.isin(bars["time"], made["time"])
    assert bars[of_ticks].tolist() == made.tolist()
    assert bars[~of_ticks].tolist() == MINUTES[~of_ticks].tolist()
    for field in ("open", "high", "low", "close", "spread"):
        assert np.array_equal(bars[field], MINUTES[field])


def test_time_goes_on_from_bars_to_ticks_and_back(root: Path) -> None:
    fill(root, Series("EURUSD", "tick"), day(TICKS, 1), MON + 2 * DAY)
    (replay, _) = load_replays([root])
    desk = Desk(SimulatedConfig(replay=(root,), start=LATER))
    source = replay.source(desk.terminal.market.symbols["EURUSD"])
    for edge in (MON + DAY, MON + DAY + MINUTE, MON + 2 * DAY):
        begin, end = (edge - 2 * MINUTE) * 1000, (edge + 2 * MINUTE) * 1000
        ticks = source.ticks(begin, end)
        assert np.all(np.diff(ticks["time_msc"]) >= 0)
        now, seen = begin - 1, []
        while (following := source.next_msc(now)) is not None and following < end:
            seen += source.ticks(now + 1, following + 1)["time_msc"].tolist()
            now = following
        assert seen == ticks["time_msc"].tolist()
        for tick in ticks:
            assert source.last_tick(int(tick["time_msc"]))[-1]["time_msc"] == tick["time_msc"]


def test_ticks_alone_are_enough(tmp_path: Path) -> None:
    fill(tmp_path, Series("EURUSD", "tick"), TICKS)
    desk = Desk(SimulatedConfig(replay=(tmp_path,), start=LATER))
    bars = desk.get("copy_rates_range", "EURUSD", c.TIMEFRAME_M1, 0, LATER)
    assert bars.tolist() == collect(TICKS, 5).tolist()
    ticks = desk.get("copy_ticks_range", "EURUSD", MON, LATER, c.COPY_TICKS_ALL)
    assert ticks.tolist() == TICKS.tolist()


def test_an_archive_starts_where_prices_are_live(root: Path) -> None:
    fill(root, Series("EURUSD", "tick"), day(TICKS, 2), MON + 3 * DAY)
    desk = Desk(SimulatedConfig(replay=(root,)))
    tick = desk.get("symbol_info_tick", "EURUSD")
    assert MON + 2 * DAY < tick.time < MON + 3 * DAY


def test_one_symbol_can_be_chosen(root: Path) -> None:
    assert [replay.symbol for replay in load_replays([root], "GBPUSD")] == ["GBPUSD"]
    with pytest.raises(
        SettingError, match=r"no ticks and no M1 bars of USDCHF .it has those of EURUSD, GBPUSD"
    ):
        load_replays([root], "USDCHF")


def test_what_cannot_be_replayed_is_said(root: Path, tmp_path: Path) -> None:
    file = next((root / "rates/symbol=EURUSD/tf=M1").rglob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(DamagedFile, match="2025-11.parquet is damaged"):
        load_replays([root])
    empty = tmp_path / "empty"
    fill_all(empty, "EURUSD", MINUTES, ("H1",))
    with pytest.raises(SettingError, match="has no ticks and no M1 bars"):
        load_replays([empty])


def test_a_symbol_comes_once(root: Path) -> None:
    other = root / "rates/symbol=EURUSD/tf=M1/year=2025/2025-11.parquet"
    copy = root.parent / "eurusd_m1.parquet"
    copy.write_bytes(other.read_bytes())
    with pytest.raises(SettingError, match="prices of EURUSD twice"):
        load_replays([root, copy])
