"""Server time: offsets, summer time, and that it never goes back (section 1.6 of the semantics digest)."""

from collections.abc import Callable
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.live import ServerClock
from mt5crs.terminal.simulated.prices.zone import Rule, ServerZone
from tests.terminal.desk import Clock, Desk

Synthetic = Callable[..., Desk]


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def shown(hours: float, rule: Rule, utc: str) -> str:
    """What the wall clock of a server shows at a moment."""
    clock = ServerClock(Clock(at(utc)), None, 1.0, ServerZone(hours, rule))
    return datetime.fromtimestamp(clock.now(), timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("hours", "rule", "utc", "server"),
    [
        (0, "none", "2026-07-01 12:00:00", "2026-07-01 12:00:00"),
        (2, "none", "2026-07-01 12:00:00", "2026-07-01 14:00:00"),
        (-5, "none", "2026-07-01 02:00:00", "2026-06-30 21:00:00"),
        (5.5, "none", "2026-07-01 12:00:00", "2026-07-01 17:30:00"),
        # New York: from the second Sunday of March, 7:00 UTC, to the first of November, 6:00 UTC
        (2, "us", "2024-03-10 06:59:59", "2024-03-10 08:59:59"),
        (2, "us", "2024-03-10 07:00:00", "2024-03-10 10:00:00"),
        (2, "us", "2024-11-03 04:59:59", "2024-11-03 07:59:59"),
        (2, "us", "2024-11-03 07:00:00", "2024-11-03 09:00:00"),
        (2, "us", "2025-03-09 07:00:00", "2025-03-09 10:00:00"),
        (2, "us", "2025-11-02 07:00:00", "2025-11-02 09:00:00"),
        (2, "us", "2026-03-08 06:59:59", "2026-03-08 08:59:59"),
        (2, "us", "2026-03-08 07:00:00", "2026-03-08 10:00:00"),
        (2, "us", "2026-11-01 05:00:00", "2026-11-01 08:00:00"),
        (2, "us", "2026-11-01 07:00:00", "2026-11-01 09:00:00"),
        (2, "us", "2026-12-31 23:30:00", "2027-01-01 01:30:00"),
        # New York's 17:00 is midnight all year
        (2, "us", "2026-01-15 22:00:00", "2026-01-16 00:00:00"),
        (2, "us", "2026-07-15 21:00:00", "2026-07-16 00:00:00"),
        # Europe: from the last Sunday of March, 1:00 UTC, to the last of October, 1:00 UTC
        (2, "eu", "2024-03-31 00:59:59", "2024-03-31 02:59:59"),
        (2, "eu", "2024-03-31 01:00:00", "2024-03-31 04:00:00"),
        (2, "eu", "2024-10-27 02:00:00", "2024-10-27 04:00:00"),
        (2, "eu", "2026-03-29 01:00:00", "2026-03-29 04:00:00"),
        (2, "eu", "2026-10-25 00:00:00", "2026-10-25 03:00:00"),
        (2, "eu", "2026-10-25 02:00:00", "2026-10-25 04:00:00"),
        (0, "eu", "2030-03-31 01:00:00", "2030-03-31 02:00:00"),
        # the hour that a real server shows twice comes once, at half speed
        (2, "us", "2026-11-01 05:30:00", "2026-11-01 08:15:00"),
        (2, "us", "2026-11-01 06:00:00", "2026-11-01 08:30:00"),
        (2, "us", "2026-11-01 06:59:58", "2026-11-01 08:59:59"),
    ],
)
def test_what_the_server_shows(hours: float, rule: Rule, utc: str, server: str) -> None:
    assert shown(hours, rule, utc) == server


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["none", "us", "eu"]),
    st.sampled_from([-5.0, 0.0, 2.0, 5.75]),
    st.floats(at("2014-01-01"), at("2035-01-01")),
    st.lists(st.floats(0, 90 * 86_400), min_size=1, max_size=6),
    st.sampled_from([1.0, 3.0, 60.0]),
)
def test_time_never_goes_back_and_the_clock_can_be_told_from_it(
    rule: Rule, hours: float, origin: float, steps: list[float], speed: float
) -> None:
    clock = Clock(origin)
    server = ServerClock(clock, None, speed, ServerZone(hours, rule))
    before = server.now_msc()
    for step in sorted(steps):
        clock.now = origin + step
        msc = server.now_msc()
        assert msc >= before
        before = msc
        # half speed makes a millisecond two; a float of seconds holds less than a thousandth of one
        assert abs(server.reads_at(msc) - clock.now) * speed < 0.0021
        # when the clock reads that, the time is here, and not before
        with server.at(server.reads_at(msc + 1000)):
            assert msc + 999 <= server.now_msc() <= msc + 1000 + 3_600_000


def test_of_the_hour_left_out_the_clock_reads_its_end() -> None:
    clock = Clock(at("2026-03-08 06:00"))
    server = ServerClock(clock, None, 1.0, ServerZone(2, "us"))
    for left_out in ("2026-03-08 09:00", "2026-03-08 09:30", "2026-03-08 10:00"):
        assert server.reads_at(int(at(left_out)) * 1000) == at("2026-03-08 07:00")


def test_a_start_is_server_time(synthetic: Synthetic) -> None:
    start = at("2026-10-31 12:00")
    desk = synthetic(server_offset=2, server_dst="us", start=start)
    assert desk.get("symbol_info_tick", "EURUSD").time == start
    desk.clock.now += 20 * 3600  # 2026-11-01 08:00 of the server: half speed begins
    assert desk.get("symbol_info_tick", "EURUSD").time == at("2026-11-01 08:00")
    desk.clock.now += 4 * 3600  # a real server: 08:00 + 4 hours - 1 hour
    assert desk.get("symbol_info_tick", "EURUSD").time == at("2026-11-01 11:00")


def test_when_summer_time_ends_history_stays_in_order(synthetic: Synthetic) -> None:
    desk = synthetic(server_offset=2, server_dst="us")
    desk.clock.now = at("2026-11-01 04:30")
    desk = Desk(desk.terminal.config, desk.clock.now)
    times: list[int] = []
    for _ in range(40):
        desk.clock.now += 300
        assert desk.deal(0, 0.01).retcode == 10009
        times.append(desk.get("symbol_info_tick", "EURUSD").time_msc)
    assert times == sorted(times)
    deals = desk.get("history_deals_get", 0, 1 << 40)
    stamps = [deal.time_msc for deal in deals]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == len(stamps) == 41
    # 40 times 5 minutes are 200; from 05:00 to 07:00 UTC time passed at half speed
    assert stamps[-1] - stamps[1] == (39 * 300 - 3600) * 1000
    bars = desk.get("copy_rates_range", "EURUSD", 1, int(at("2026-11-01 07:00")), int(at("2026-11-01 11:00")))
    assert {int(step) for step in bars["time"][1:] - bars["time"][:-1]} == {60}


def test_an_offset_beyond_the_globe_is_refused() -> None:
    with pytest.raises(SettingError, match="server_offset is 15"):
        SimulatedConfig(server_offset=15)


@pytest.mark.parametrize("start", [-1.0, 32_503_680_001.0, float("nan"), float("inf")])
def test_a_start_outside_of_every_calendar_is_refused(start: float) -> None:
    with pytest.raises(SettingError, match="start is"):
        SimulatedConfig(start=start)


@pytest.mark.parametrize("speed", [float("nan"), float("inf")])
def test_a_speed_that_is_no_number_is_refused(speed: float) -> None:
    with pytest.raises(SettingError, match="speed is"):
        SimulatedConfig(speed=speed)


def test_server_time_waits_for_a_clock_that_was_set_back() -> None:
    clock = Clock(1000.0)
    server = ServerClock(clock, None, 1.0)
    shown = []
    for reading in (1010.0, 1005.0, 1009.0, 1011.0):
        clock.now = reading
        shown.append(server.now())
    assert shown == [1010.0, 1010.0, 1010.0, 1011.0]
