"""Markets that keep their hours: no prices outside of quote sessions, no trades outside of trade sessions.

2023-11-15 is a Wednesday; the hours are those of the catalogue.
"""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import constants as c
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.topics import Ticks
from tests.terminal.desk import OPENING, Desk, new_ticks

M1, H1, D1, W1 = c.TIMEFRAME_M1, c.TIMEFRAME_H1, c.TIMEFRAME_D1, c.TIMEFRAME_W1
ALL = c.COPY_TICKS_ALL
CLOSED = 10018


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def real(now: str, **settings: Any) -> Desk:
    return Desk(SimulatedConfig(sessions="real", **settings), at(now))


def minutes(desk: Desk, symbol: str, start: str, stop: str) -> list[str]:
    """Return when the M1 bars of a stretch open; the last one may open at its end."""
    bars = desk.get("copy_rates_range", symbol, M1, at(start), at(stop))
    return [datetime.fromtimestamp(int(t), timezone.utc).strftime("%m-%d %H:%M") for t in bars["time"]]


def test_a_weekend_of_forex() -> None:
    desk = real("2023-11-21 12:00")
    opened = minutes(desk, "EURUSD", "2023-11-17 23:50", "2023-11-20 00:03")
    friday = [f"11-17 23:{minute}" for minute in range(50, 57)]
    assert opened == [*friday, "11-20 00:00", "11-20 00:01", "11-20 00:02", "11-20 00:03"]
    days = desk.get("copy_rates_range", "EURUSD", D1, at("2023-11-13"), at("2023-11-21"))
    assert [int(t) for t in days["time"]] == [at(f"2023-11-{day}") for day in (13, 14, 15, 16, 17, 20, 21)]
    weekend = at("2023-11-18"), at("2023-11-19 23:00")
    assert len(desk.get("copy_ticks_range", "EURUSD", *weekend, ALL)) == 0
    assert len(desk.get("copy_rates_range", "EURUSD", H1, *weekend)) == 0
    assert len(desk.get("copy_ticks_range", "BTCUSD", *weekend, ALL)) > 100_000


def test_too_many_bars_are_counted_by_the_hours() -> None:
    # 2023-11-13 00:00 to 2023-11-20 00:00: four days of 1440 minutes, one of 1437, and Monday's first
    desk = real("2023-11-21 12:00", maxbars=4 * 1440 + 1437 + 1)
    week = at("2023-11-13"), at("2023-11-20")
    assert desk.ask("copy_rates_range", "EURUSD", M1, *week) == (None, (-2, "Terminal: Invalid params"))
    assert len(desk.get("copy_rates_range", "EURUSD", M1, week[0] + 1, week[1])) == 4 * 1440 + 1437
    assert len(desk.get("copy_rates_range", "EURUSD", M1, week[0], week[1] - 1)) == 4 * 1440 + 1437


def test_the_price_moves_on_over_the_weekend() -> None:
    desk = real("2024-11-14 12:00")
    bars = desk.get("copy_rates_range", "GBPUSD", M1, at("2023-11-15"), at("2024-11-13"))
    after = np.flatnonzero(np.diff(bars["time"]) > 86_400) + 1
    assert len(after) == 52
    gaps = np.abs(bars["open"][after] / bars["close"][after - 1] - 1)
    ordinary = np.abs(bars["open"][1:] / bars["close"][:-1] - 1)
    ordinary[after - 1] = 0
    assert np.all(gaps > 0)
    # two days of a quarter of 0.52 % each: 0.18 %, so that most are between a tenth of it and three of it
    assert np.mean((gaps > 0.00018) & (gaps < 0.0055)) > 0.8
    assert ordinary.max() == 0  # Tuesday opens where Monday ended


@pytest.mark.parametrize(
    ("symbol", "start", "stop", "expected"),
    [
        ("XAUUSD", "2023-11-15 23:59", "2023-11-16 01:00", ["11-15 23:59", "11-16 01:00"]),
        ("US500", "2023-11-15 23:14", "2023-11-15 23:30", ["11-15 23:14", "11-15 23:30"]),
        ("US500", "2023-11-17 23:14", "2023-11-20 01:00", ["11-17 23:14", "11-20 01:00"]),
        ("AAPL", "2023-11-15 22:59", "2023-11-16 16:30", ["11-15 22:59", "11-16 16:30"]),
        ("AAPL", "2023-07-03 22:59", "2023-07-05 16:30", ["07-03 22:59", "07-05 16:30"]),
        ("EURUSD", "2022-12-23 23:56", "2022-12-26 00:00", ["12-23 23:56", "12-26 00:00"]),
        ("EURJPY", "2023-12-29 23:56", "2024-01-02 00:00", ["12-29 23:56", "01-02 00:00"]),
        ("USDRUB", "2023-11-15 18:59", "2023-11-16 10:00", ["11-15 18:59", "11-16 10:00"]),
        ("WTI-12.30", "2020-12-18", "2020-12-21 01:00", ["12-21 01:00"]),
    ],
)  # fmt: skip
def test_breaks_holidays_and_first_days(symbol: str, start: str, stop: str, expected: list[str]) -> None:
    assert minutes(real("2024-02-01 12:00"), symbol, start, stop) == expected


@pytest.mark.parametrize(
    ("symbol", "now", "retcode"),
    [
        ("EURUSD", "2023-11-17 23:56:59", 10009),
        ("EURUSD", "2023-11-17 23:57", CLOSED),
        ("EURUSD", "2023-11-18 12:00", CLOSED),
        ("EURUSD", "2023-11-20 00:00", 10009),
        ("EURUSD", "2023-12-25 12:00", CLOSED),
        ("XAUUSD", "2023-11-15 00:30", CLOSED),
        ("BTCUSD", "2023-11-18 12:00", 10009),
    ],
)
def test_trading_outside_of_sessions_is_refused(symbol: str, now: str, retcode: int) -> None:
    desk = real(now)
    assert desk.deal(0, 0.01, symbol=symbol).retcode == retcode
    # by default every market is open
    assert Desk(SimulatedConfig(), at(now)).deal(0, 0.01, symbol=symbol).retcode == 10009


def test_trade_sessions_of_their_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[symbols.EURUSD]\ntrade_sessions = 'mon-fri 09:00-17:00'\n", encoding="utf-8")
    desk = real("2023-11-15 08:59:59", instruments=(own,))
    assert desk.get("symbol_info_tick", "EURUSD").time >= at("2023-11-15 08:59")
    assert desk.deal(0, 0.01).retcode == CLOSED
    desk.clock.now += 1
    assert desk.deal(0, 0.01).retcode == 10009
    assert desk.deal(0, 0.01, symbol="GBPUSD").retcode == 10009


@pytest.mark.parametrize("sessions", ["always", "real"])
def test_a_future_trades_from_its_start_to_its_expiration(sessions: Any) -> None:
    # 2020-12-21 01:00, a Monday, to 2030-11-20 21:30, a Wednesday
    cases = {
        "2020-12-21 00:59:59": False,
        "2020-12-21 01:00": True,
        "2030-11-20 21:29:59": True,
        "2030-11-20 21:30": False,
    }
    for now, is_open in cases.items():
        desk = Desk(SimulatedConfig(sessions=sessions), at(now))
        assert desk.terminal._market.is_open("WTI-12.30", desk.terminal._market.clock.now_msc()) is is_open
    # after it the last price stays
    tick = desk.get("symbol_info_tick", "WTI-12.30")
    assert at("2030-11-20 21:29") <= tick.time < at("2030-11-20 21:30")
    assert len(desk.get("copy_rates_from_pos", "WTI-12.30", M1, 0, 10)) == 10
    early = Desk(SimulatedConfig(sessions=sessions), at("2020-12-20 12:00"))
    assert early.get("symbol_info_tick", "WTI-12.30").time == 0
    assert early.get("symbol_info", "WTI-12.30").bid == 0.0
    assert early.deal(0, 1.0, symbol="WTI-12.30").retcode == 10021
    early.clock.now = at("2020-12-21 01:00")
    assert early.get("symbol_info_tick", "WTI-12.30").time == at("2020-12-21 01:00")


def test_market_watch_on_a_sunday_shows_friday() -> None:
    desk = real("2023-11-17 23:56:59.999")
    friday = desk.get("symbol_info", "EURUSD")
    day = desk.get("copy_rates_from_pos", "EURUSD", D1, 0, 1)[0]
    assert at("2023-11-17 23:56") < friday.time < at("2023-11-17 23:57")
    assert (friday.session_open, friday.bidhigh, friday.bidlow) == (day["open"], day["high"], day["low"])
    desk.clock.now = at("2023-11-19 15:00")
    assert desk.get("symbol_info", "EURUSD") == friday
    newest = desk.get("copy_rates_from_pos", "EURUSD", M1, 0, 2)
    assert newest["time"].tolist() == [at("2023-11-17 23:55"), at("2023-11-17 23:56")]
    assert desk.get("copy_rates_from_pos", "EURUSD", W1, 0, 1)["time"].tolist() == [at("2023-11-12")]
    desk.clock.now = at("2023-11-20 00:00")
    monday = desk.get("symbol_info", "EURUSD")
    assert (monday.time, monday.session_close) == (at("2023-11-20 00:00"), friday.bid)
    assert monday.session_open == monday.bid != friday.bid


def test_the_next_tick_after_a_weekend_is_waited_for() -> None:
    desk = real("2023-11-17 23:56:30")
    desk.terminal.follow(Ticks("EURUSD"))
    seen: list[int] = []
    while not seen or seen[-1] < at("2023-11-20 00:00") * 1000:
        desk.clock.now += desk.terminal.advance()
        for _topic, _start, ticks in new_ticks(desk.terminal):
            seen += ticks["time_msc"].tolist()
    stamps = np.array(seen)
    assert np.sum(stamps < at("2023-11-17 23:57") * 1000) > 5
    between = (stamps >= at("2023-11-17 23:57") * 1000) & (stamps < at("2023-11-20 00:00") * 1000)
    assert not between.any()
    assert stamps[-1] == at("2023-11-20 00:00") * 1000


def test_a_replay_ends_with_its_file_whatever_the_hours(quotes: Callable[..., Desk]) -> None:
    for sessions in ("always", "real"):
        desk = quotes((0, 1.1, 1.2), (60, 1.1, 1.2), sessions=sessions)
        desk.at(60)
        assert desk.deal(0, 0.1).retcode == 10009
        desk.at(60.002)
        assert desk.deal(0, 0.1).retcode == CLOSED
        # nothing is made up of a replayed symbol, also not before its file
        assert len(desk.get("copy_rates_range", "EURUSD", M1, 0, OPENING + 120)) == 2


def test_activity_goes_with_utc() -> None:
    """Twice as busy when London and New York overlap, whatever the server calls that hour."""
    busy = {}
    for hours in (0, 7):
        desk = Desk(SimulatedConfig(server_offset=hours), at("2023-11-15 23:30"))
        bars = desk.get("copy_rates_range", "EURUSD", H1, at("2023-11-01"), at("2023-11-15"))
        hour = bars["time"] // 3600 % 24
        busy[hours] = [float(bars["tick_volume"][hour == h].mean()) for h in range(24)]
    assert int(np.argmax(busy[0])) == 14
    assert int(np.argmax(busy[7])) == 21
    assert busy[0] == pytest.approx(np.roll(busy[7], -7), rel=0.05)
