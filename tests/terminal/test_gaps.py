"""History with holes, as real prices have: weekends, quiet minutes, seconds without a tick (section 3)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.model import RATES, RatesArray
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.expand import flag_changes
from mt5crs.terminal.simulated.prices.rates import Rates, SpanCache
from mt5crs.terminal.simulated.prices.sources import BarSource, TickSource
from mt5crs.timeframes import PERIODS
from tests.terminal.desk import OPENING, Desk
from tests.terminal.test_timeframes import FILES, NAMES, TIMEFRAMES, built

SATURDAY = 1_762_560_000  # 2025-11-08 00:00
MONDAY = SATURDAY + 2 * 86_400
M1 = c.TIMEFRAME_M1


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Desk:
    return Desk(SimulatedConfig(replay=(shared_data / FILES[0],), start=1_764_374_400))


@pytest.mark.parametrize("timeframe", [M1, c.TIMEFRAME_H4, c.TIMEFRAME_D1])
def test_a_weekend_has_no_bars(recorded: Desk, timeframe: int) -> None:
    bars = recorded.get("copy_rates_range", "EURUSD", timeframe, SATURDAY, MONDAY - 1)
    assert (len(bars), bars.dtype) == (0, RATES.dtype)


def test_a_weekend_has_no_ticks(recorded: Desk) -> None:
    assert len(recorded.get("copy_ticks_range", "EURUSD", SATURDAY, MONDAY - 1, c.COPY_TICKS_ALL)) == 0
    (first,) = recorded.get("copy_ticks_from", "EURUSD", SATURDAY, 1, c.COPY_TICKS_ALL)
    assert int(first["time"]) == MONDAY


def test_bars_are_counted_across_a_weekend(recorded: Desk) -> None:
    around = recorded.get("copy_rates_range", "EURUSD", M1, SATURDAY - 600, MONDAY + 600)
    before = around[around["time"] < SATURDAY]
    assert 0 < len(before) < len(around)
    for date in (SATURDAY, MONDAY - 1):
        assert np.array_equal(recorded.get("copy_rates_from", "EURUSD", M1, date, 3), before[-3:])
    across = recorded.get("copy_rates_from", "EURUSD", M1, int(around["time"][-1]), len(around))
    assert np.array_equal(across, around)
    days = recorded.get("copy_rates_from", "EURUSD", c.TIMEFRAME_D1, MONDAY, 2)["time"].tolist()
    assert days == [SATURDAY - 86_400, MONDAY]
    assert len(recorded.get("copy_rates_from", "EURUSD", M1, 0, 5)) == 0


def test_positions_count_bars_and_not_minutes(recorded: Desk) -> None:
    every = recorded.get("copy_rates_range", "EURUSD", M1, 0, 1 << 40)
    for start, count in ((0, 1), (5, 10), (20_000, 3_000), (28_760, 100)):
        expected = every[max(len(every) - start - count, 0) : len(every) - start]
        assert np.array_equal(recorded.get("copy_rates_from_pos", "EURUSD", M1, start, count), expected), (
            start
        )
    assert len(recorded.get("copy_rates_from_pos", "EURUSD", M1, 28_767, 1)) == 0


def test_the_last_tick_stays_over_a_weekend(shared_data: Path) -> None:
    desk = Desk(SimulatedConfig(replay=(shared_data / FILES[0],), start=SATURDAY + 3600))
    tick = desk.get("symbol_info_tick", "EURUSD")
    friday = desk.get("copy_rates_from", "EURUSD", M1, SATURDAY, 1)[0]
    assert (tick.bid, tick.time // 60 * 60) == (friday["close"], friday["time"])


def test_ranges_of_ticks_are_whole_seconds(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0.0, 1.1, 1.2), (0.5, 1.2, 1.3), (1.0, 1.3, 1.4), (1.001, 1.4, 1.5), (9, 1.5, 1.6))
    desk.at(5)

    def bids(first: float, last: float) -> Any:
        return desk.get("copy_ticks_range", "EURUSD", first, last, c.COPY_TICKS_ALL)["bid"].tolist()

    # both ends included (section 3), fractions cut off (section 1.6): a second ends with its first ms
    assert bids(OPENING, OPENING + 1) == [1.1, 1.2, 1.3]
    assert bids(OPENING + 0.9, OPENING + 1.9) == [1.1, 1.2, 1.3]
    assert bids(OPENING, OPENING) == [1.1]
    assert bids(OPENING + 1, OPENING + 2) == [1.3, 1.4]
    assert bids(OPENING + 2, OPENING + 3) == []
    assert bids(OPENING + 3, OPENING + 2) == []
    assert bids(OPENING, OPENING + 99) == [1.1, 1.2, 1.3, 1.4]  # nothing of the future


@st.composite
def sparse(draw: st.DrawFn) -> RatesArray:
    steps = draw(
        st.lists(st.sampled_from((1, 2, 7, 61, 1441, 3000, 50_000, 5_000_000)), min_size=1, max_size=12)
    )
    bars = np.zeros(len(steps), RATES.dtype)
    bars["time"] = 60 * (np.cumsum(steps) + 10_000_000)
    for place, name in enumerate(("open", "low", "high", "close")):
        bars[name] = (1.1, 1.0, 1.3, 1.2)[place]
    bars["tick_volume"] = 4
    return bars


@given(sparse(), st.sampled_from(NAMES), st.integers(1, 9), st.integers(0, 9), st.integers(-90, 10_000))
def test_the_last_bars_of_history_with_holes(
    bars: RatesArray, name: str, count: int, start: int, later: int
) -> None:
    now = int(bars["time"][-1]) + later
    seen = [row for row in bars.tolist() if row[0] <= now]
    expected = [row[0] for row in built(seen, name)]
    rates = Rates("EURUSD", BarSource(bars, 1), SpanCache())
    last = rates.last(TIMEFRAMES[name], now, count, now * 1000)
    assert last["time"].tolist() == expected[-count:]
    placed = rates.position(TIMEFRAMES[name], start, count, now * 1000)
    assert placed["time"].tolist() == expected[
        max(len(expected) - start - count, 0) : len(expected) - start
    ] * (start <= len(expected))


def test_what_lies_in_a_hole_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = np.zeros(2, RATES.dtype)
    bars["time"] = (60, 60 * 20_000_000)
    bars["open"] = bars["high"] = bars["low"] = bars["close"] = 1.0
    bars["tick_volume"] = 4
    asked: list[int] = []
    whole = Rates.between

    def counted(rates: Rates, *args: int) -> RatesArray:
        asked.append(1)
        return whole(rates, *args)

    monkeypatch.setattr(Rates, "between", counted)
    for timeframe in PERIODS:
        asked.clear()
        rates = Rates("EURUSD", BarSource(bars, 1), SpanCache())
        assert len(rates.last(timeframe, 1 << 40, 2, 60_000 * 20_000_001)) == 2
        assert len(asked) <= 2  # days for weeks and months


def test_a_minute_without_a_tick_yet_is_not_the_last_bar() -> None:
    ticks = np.zeros(3, [("time", "i8"), ("bid", "f8"), ("ask", "f8"), ("last", "f8"), ("volume", "u8"),
                         ("time_msc", "i8"), ("flags", "u4"), ("volume_real", "f8")])  # fmt: skip
    ticks["time_msc"] = (60_000, 120_000, 210_000)
    ticks["time"] = ticks["time_msc"] // 1000
    ticks["bid"] = ticks["ask"] = 1.0
    flag_changes(ticks)
    rates = Rates("EURUSD", TickSource(ticks, 1), SpanCache())
    assert rates.last(M1, 200, 1, 200_000)["time"].tolist() == [120]
    assert rates.last(M1, 210, 1, 210_000)["time"].tolist() == [180]
    assert rates.last(M1, 210, 2, 210_000)["time"].tolist() == [120, 180]
