"""Made-up prices: longer bars equal those of M1, crosses agree, exchanges have deals and tick sizes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.bars import aggregate
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.legs import activity, noise
from mt5crs.terminal.simulated.prices.sources import GroupedSource
from mt5crs.timeframes import PERIODS
from tests.terminal.desk import OPENING, Desk

Quotes = Callable[..., Desk]
DAY = 86_400
M1, D1, W1, MN1 = c.TIMEFRAME_M1, c.TIMEFRAME_D1, c.TIMEFRAME_W1, c.TIMEFRAME_MN1


@pytest.mark.parametrize("sessions", ["always", "real"])
@pytest.mark.parametrize("symbol", ["EURUSD", "EURJPY", "BTCUSD", "US500", "ESZ30", "AAPL", "UST4.25-34"])
def test_longer_bars_are_what_the_minutes_make(symbol: str, sessions: Any) -> None:
    desk = Desk(SimulatedConfig(sessions=sessions, seed=9))
    source = desk.terminal._market.source(symbol)
    assert isinstance(source, GroupedSource)
    start = OPENING - 37 * DAY
    minutes = source.bars(start, OPENING)
    for timeframe, period in PERIODS.items():
        if timeframe in (M1, W1, MN1):
            continue
        built = source.grouped(period, start, OPENING)
        expected = aggregate(minutes, timeframe)
        assert np.array_equal(built, expected), period


@pytest.mark.parametrize("sessions", ["always", "real"])
def test_weeks_and_months_are_what_the_minutes_make(sessions: Any) -> None:
    desk = Desk(SimulatedConfig(sessions=sessions))
    start = 1_698_537_600  # Sunday 2023-10-29
    for timeframe in (D1, W1):
        desk.at(-1)
        minutes = desk.get("copy_rates_range", "GBPJPY", M1, start, OPENING)
        bars = desk.get("copy_rates_range", "GBPJPY", timeframe, start, OPENING)
        assert np.array_equal(bars, aggregate(minutes, timeframe))
    october = desk.get("copy_rates_range", "GBPJPY", MN1, 1_696_118_400, 1_696_118_400)
    minutes = desk.get("copy_rates_range", "GBPJPY", M1, 1_696_118_400, 1_698_796_800 - 60)
    assert np.array_equal(october, aggregate(minutes, MN1))


def test_history_of_a_day_does_not_depend_on_how_it_was_asked_for() -> None:
    """A day at the seam of what is made at once, alone and with its neighbours."""
    source = Desk(SimulatedConfig()).terminal._market.source("EURJPY")
    for day in range(19_663, 19_697):
        alone = Desk(SimulatedConfig()).terminal._market.source("EURJPY").bars(day * DAY, (day + 1) * DAY)
        among = source.bars((day - 1) * DAY, (day + 2) * DAY)
        assert np.array_equal(alone, among[1440:2880])
        assert np.array_equal(among["open"][1:], among["close"][:-1])


@pytest.mark.parametrize("now", [315_532_800, 631_152_000, 4_102_444_800, 7_999_948_800])
def test_there_are_prices_at_any_time(now: int) -> None:
    """In 1980, 1990, 2100 and 2223; years of history before them too."""
    desk = Desk(SimulatedConfig(), float(now))
    assert desk.get("symbol_info_tick", "EURJPY").time == now
    for symbol in ("EURUSD", "EURJPY"):
        days = desk.get("copy_rates_from_pos", symbol, D1, 1, 1000)
        minutes = desk.get("copy_rates_from_pos", symbol, M1, 1, 1440)
        assert days["time"].tolist() == [now - DAY * back for back in range(1000, 0, -1)]
        assert np.array_equal(days[-1:], aggregate(minutes, D1))
        assert np.all(days["open"][1:] == days["close"][:-1])


def test_random_bytes_are_even_and_differ_by_day_and_name() -> None:
    one, other = (noise(1, name, 19_000, 40) for name in ("EUR", "USD"))
    assert one.shape == (40, 4, 1440)
    assert np.array_equal(noise(1, "EUR", 19_017, 3), one[17:20])
    counts = np.bincount(one.reshape(-1), minlength=256)
    assert abs(counts / counts.mean() - 1).max() < 0.2  # 900 of each: 3 % is one standard deviation
    days = [one[day].tobytes() for day in range(40)]
    assert len(set(days)) == 40
    assert np.mean(one == other) == pytest.approx(1 / 256, rel=0.1)


def test_how_far_a_day_goes() -> None:
    """A day of EUR has a standard deviation of 0.45 %, its busy hours more than its quiet ones."""
    source = Desk(SimulatedConfig()).terminal._market.source("EURUSD")
    bars = source.bars(18_000 * DAY, 18_600 * DAY)
    closes = np.log(bars["close"].reshape(600, 1440))
    days = np.diff(closes[:, -1])
    assert days.std() == pytest.approx(0.0045, rel=0.1)
    minutes = np.diff(closes, axis=1)
    assert np.sqrt((minutes**2).sum(axis=1).mean()) == pytest.approx(0.0045, rel=0.1)
    by_hour = minutes[:, 59:].std(axis=0)[: 23 * 60].reshape(23, 60).mean(axis=1)  # hours 1 to 23
    assert by_hour[13] / by_hour[22] == pytest.approx(1.7 / 0.5, rel=0.1)  # as in the profile
    kurtosis = float(np.mean((minutes[:, 900] / minutes[:, 900].std()) ** 4))
    assert 2.4 < kurtosis < 3.6


def test_activity_is_one_on_average() -> None:
    active = activity(0)
    assert float(active.profile.mean()) == pytest.approx(1.0, rel=0.02)
    assert float((active.weight.astype(float) ** 2).sum()) == pytest.approx(1.0, rel=1e-5)
    assert np.array_equal(activity(3600).profile, np.roll(active.profile, 60))


def test_an_exchange_has_real_volume_and_others_have_none() -> None:
    desk = Desk(SimulatedConfig())
    for symbol, listed in (("AAPL", True), ("ESZ30", True), ("EURUSD", False), ("WTI-12.30", False)):
        bars = desk.get("copy_rates_from_pos", symbol, M1, 1, 3000)
        assert bool(np.any(bars["real_volume"])) is listed
        if listed:  # a deal is a lot or more
            assert np.all(bars["real_volume"] >= bars["tick_volume"])
            assert np.all(bars["real_volume"] % bars["tick_volume"] == 0)
    info = desk.get("symbol_info", "AAPL")
    assert info.session_volume == info.volume_real > 0  # the first tick of the day is its first trade
    desk.at(7200)
    bars = desk.get("copy_rates_range", "AAPL", M1, OPENING, OPENING + 7140)
    info = desk.get("symbol_info", "AAPL")
    assert info.session_volume >= bars["real_volume"].sum() > 0
    assert bars["low"].min() < info.session_aw < bars["high"].max()


def test_prices_keep_to_the_tick_size() -> None:
    """A quarter of a point for the E-mini: bars, ticks, and the bar that is made of ticks."""
    desk = Desk(SimulatedConfig())
    desk.at(3 * 3600 + 29.5)
    bars = desk.get("copy_rates_from_pos", "ESZ30", M1, 0, 5000)
    for name in ("open", "high", "low", "close"):
        assert np.all(bars[name] % 0.25 == 0)
    assert np.all(bars["spread"] % 25 == 0)
    ticks = desk.get("copy_ticks_range", "ESZ30", OPENING, OPENING + 3600, c.COPY_TICKS_ALL)
    for name in ("bid", "ask", "last"):
        assert np.all(ticks[name] % 0.25 == 0)
    assert np.all(ticks["ask"] > ticks["bid"])
    first = ticks[ticks["time"] < OPENING + 60]
    bar = desk.get("copy_rates_range", "ESZ30", M1, OPENING, OPENING)[0]
    assert (first["bid"].max(), first["bid"].min(), first["bid"][-1]) == (
        bar["high"],
        bar["low"],
        bar["close"],
    )


def test_made_up_crosses_agree_with_a_replayed_pair(quotes: Quotes) -> None:
    """EURUSD at 1.60, as in 2008: EURJPY is 1.60 USDJPY, and all other prices stay."""
    desk = quotes((-5, 1.59990, 1.60010), (0, 1.60000, 1.60010), (9, 1.7, 1.8))
    alone = Desk(SimulatedConfig())
    bids = {
        name: desk.get("symbol_info_tick", name).bid
        for name in ("EURUSD", "USDJPY", "EURJPY", "GBPUSD", "EURGBP")
    }
    assert bids["EURUSD"] == 1.6
    assert bids["EURJPY"] == pytest.approx(1.6 * bids["USDJPY"], rel=2e-5)
    assert bids["EURGBP"] == pytest.approx(1.6 / bids["GBPUSD"], rel=2e-5)
    for name in ("USDJPY", "GBPUSD"):
        assert bids[name] == alone.get("symbol_info_tick", name).bid


def test_a_replayed_quote_currency_and_a_replayed_cross(quotes: Quotes) -> None:
    alone = Desk(SimulatedConfig())
    desk = quotes((0, 90.0, 90.02), symbol="USDJPY")
    eurusd, eurjpy = (desk.get("symbol_info_tick", name).bid for name in ("EURUSD", "EURJPY"))
    assert eurusd == alone.get("symbol_info_tick", "EURUSD").bid
    assert eurjpy == pytest.approx(eurusd * 90, rel=2e-5)
    # of a cross the first currency is moved
    desk = quotes((0, 200.0, 200.02), symbol="EURJPY")
    eurusd, usdjpy = (desk.get("symbol_info_tick", name).bid for name in ("EURUSD", "USDJPY"))
    assert usdjpy == alone.get("symbol_info_tick", "USDJPY").bid
    assert eurusd * usdjpy == pytest.approx(200.0, rel=2e-5)
    # at the start of the day the history before it goes with it
    bars = desk.get("copy_rates_from_pos", "EURUSD", D1, 0, 30)
    assert np.all(np.abs(bars["close"] / eurusd - 1) < 0.2)


def test_a_replay_of_what_has_no_leg_leaves_the_rest_alone(quotes: Quotes) -> None:
    desk = quotes((0, 10.5, 10.6), symbol="EURSEK")
    assert desk.get("symbol_info_tick", "EURUSD") == Desk(SimulatedConfig()).get("symbol_info_tick", "EURUSD")


def test_a_replay_that_starts_inside_a_minute_agrees_there(quotes: Quotes) -> None:
    desk = quotes((0, 1.3, 1.3001), (12 * 3600 + 90, 1.35, 1.3501))
    config: dict[str, Any] = {name: getattr(desk.terminal.config, name) for name in ("replay", "speed")}
    desk = Desk(SimulatedConfig(start=OPENING + 12 * 3600 + 120, **config))
    bids = [desk.get("symbol_info_tick", name).bid for name in ("EURUSD", "USDCHF", "USDCAD", "EURCAD")]
    assert bids[0] == 1.35
    assert bids[3] == pytest.approx(1.35 * bids[2], rel=2e-5)
