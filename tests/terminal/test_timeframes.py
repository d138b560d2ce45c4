"""Bars of every timeframe, and where they begin (section 3)."""

import gzip
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.bars import collect
from mt5crs.model import RATES
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.expand import expand
from mt5crs.terminal.simulated.prices.replay import load_replays
from mt5crs.timeframes import PERIODS
from tests.terminal.desk import Desk

NAMES = [
    *("M1", "M2", "M3", "M4", "M5", "M6", "M10", "M12", "M15", "M20", "M30"),
    *("H1", "H2", "H3", "H4", "H6", "H8", "H12", "D1", "W1", "MN1"),
]
TIMEFRAMES = {name: getattr(c, f"TIMEFRAME_{name}") for name in NAMES}
FILES = ("mt5_eurusd_m1_2025-11.csv.gz", "mt5_gbpusd_m1_2025-11.csv.gz", "mt5_usdcad_m1_2025-11.csv.gz")


def opened(time: int, name: str) -> int:
    """When the bar of a time opens, by the calendar and not by division."""
    moment = datetime.fromtimestamp(time, timezone.utc)
    midnight = moment.replace(hour=0, minute=0, second=0)
    if name == "MN1":
        start = midnight.replace(day=1)
    elif name == "W1":
        start = midnight - timedelta(days=(moment.weekday() + 1) % 7)
    elif name == "D1":
        start = midnight
    elif name.startswith("H"):
        hours = int(name[1:])
        start = midnight.replace(hour=moment.hour // hours * hours)
    else:
        minutes = int(name[1:])
        start = moment.replace(minute=moment.minute // minutes * minutes, second=0)
    return int(start.timestamp())


def built(minutes: list[tuple[Any, ...]], name: str) -> list[tuple[Any, ...]]:
    """Bars made one by one from M1 rows."""
    bars: list[list[Any]] = []
    for time, open_, high, low, close, volume, spread, real in minutes:
        start = opened(time, name)
        if not bars or bars[-1][0] != start:
            bars.append([start, open_, high, low, close, volume, spread, real])
            continue
        bar = bars[-1]
        bar[2], bar[3], bar[4] = max(bar[2], high), min(bar[3], low), close
        bar[5], bar[6], bar[7] = bar[5] + volume, min(bar[6], spread), bar[7] + real
    return [tuple(bar) for bar in bars]


def test_all_21_timeframes_are_known() -> None:
    assert sorted(PERIODS) == sorted(TIMEFRAMES.values())


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Desk:
    return Desk(SimulatedConfig(replay=tuple(shared_data / name for name in FILES), start=1_764_374_400))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("symbol", "rows"), [("EURUSD", 28_767), ("GBPUSD", 28_764), ("USDCAD", 28_763)])
def test_a_recorded_month_aggregates_exactly(recorded: Desk, symbol: str, rows: int, name: str) -> None:
    minutes = recorded.get("copy_rates_range", symbol, c.TIMEFRAME_M1, 0, 1 << 40)
    bars = recorded.get("copy_rates_range", symbol, TIMEFRAMES[name], 0, 1 << 40)
    assert len(minutes) == rows
    assert bars.tolist() == built(minutes.tolist(), name)


def test_recorded_minutes_are_those_of_the_file(recorded: Desk, shared_data: Path) -> None:
    with gzip.open(shared_data / FILES[1], "rt", encoding="utf-8") as lines:
        rows = [tuple(map(float, line.split(","))) for line in lines.readlines()[1:]]
    minutes = recorded.get("copy_rates_range", "GBPUSD", c.TIMEFRAME_M1, 0, 1 << 40)
    names = ["time", "open", "high", "low", "close", "tick_volume", "spread", "real_volume"]
    assert [tuple(map(float, row)) for row in minutes[names].tolist()] == rows


@pytest.mark.parametrize("name", FILES)
def test_ticks_of_recorded_bars_make_the_same_bars(shared_data: Path, name: str) -> None:
    (replay,) = load_replays([shared_data / name])
    bars = replay.bars
    again = collect(expand(bars, replay.digits), replay.digits)
    for field in ("time", "open", "high", "low", "close", "spread"):
        assert np.array_equal(again[field], bars[field]), field
    assert np.all(again["tick_volume"] >= bars["tick_volume"])
    assert np.mean(again["tick_volume"] == bars["tick_volume"]) > 0.99


def test_a_rising_minute_goes_down_first() -> None:
    bar = np.array([(60, 1.2, 1.5, 1.1, 1.4, 4, 2, 0)], RATES.dtype)
    ticks = expand(bar, 1)
    assert ticks["bid"].tolist() == [1.2, 1.1, 1.5, 1.4]
    assert ticks["ask"].tolist() == [1.4, 1.3, 1.7, 1.6]
    assert ticks["time_msc"].tolist() == [60_000, 75_000, 90_000, 105_000]


def test_a_falling_minute_goes_up_first() -> None:
    bar = np.array([(60, 1.4, 1.5, 1.1, 1.2, 2, 0, 0)], RATES.dtype)
    assert expand(bar, 1)["bid"].tolist() == [1.4, 1.5, 1.1, 1.2]


@pytest.mark.parametrize(
    ("prices", "volume", "bids"),
    [
        ((1.2, 1.2, 1.2, 1.2), 1, [1.2]),
        ((1.2, 1.3, 1.2, 1.3), 2, [1.2, 1.3]),
        ((1.2, 1.4, 1.2, 1.3), 3, [1.2, 1.4, 1.3]),
        ((1.2, 1.3, 1.1, 1.3), 3, [1.2, 1.1, 1.3]),
        ((1.2, 1.2, 1.2, 1.2), 3, [1.2, 1.2, 1.2]),
    ],
)
def test_few_ticks_show_what_they_can(prices: tuple[float, ...], volume: int, bids: list[float]) -> None:
    bar = np.array([(0, *prices, volume, 0, 0)], RATES.dtype)
    assert expand(bar, 1)["bid"].tolist() == bids
