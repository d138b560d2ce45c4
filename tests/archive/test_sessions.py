"""When a symbol trades is learned from its bars: what is missing is found, and nothing else is."""

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mt5crs import constants as c
from mt5crs.archive.holidays import holidays, is_holiday
from mt5crs.archive.sessions import Stretch, learn
from mt5crs.bars import open_times
from mt5crs.timeframes import DAY, MINUTE, NAMES, PERIODS, WEEK

Times = NDArray[np.int64]
HOUR = 3600
SUNDAY = 1_704_585_600  # 2024-01-07
HOURS = {
    # Hours of a week in the exchange's time: seven days from Sunday, each begins and ends in minutes.
    "always": [[(0, 1440)]] * 7,
    "forex": [[], *[[(0, 1440)]] * 4, [(0, 1437)], []],
    "forex in London's time": [[(1320, 1440)], *[[(0, 1440)]] * 4, [(0, 1320)], []],
    "metals": [[], *[[(61, 1439)]] * 5, []],
    "an index": [[], *[[(60, 1335), (1350, 1380)]] * 5, []],
    "shares": [[], *[[(990, 1380)]] * 5, []],
}


def opened(name: str, start: int, weeks: int, summer: tuple[int, int] = (0, 0)) -> Times:
    """Return the minutes in which a market is open; an hour earlier from one week to another of each year."""
    open_ = np.zeros((7, 1440), np.bool_)
    for day, stretches in enumerate(HOURS[name]):
        for begin, end in stretches:
            open_[day, begin:end] = True
    parts: list[Times] = []
    for week in range(weeks):
        begin = start + week * WEEK
        of_year = (begin - SUNDAY) // WEEK % 52
        by = -60 if summer[0] <= of_year < summer[1] else 0
        parts.append(begin + np.flatnonzero(np.roll(open_.reshape(-1), by)) * MINUTE)
    return np.concatenate(parts)


def keep_holidays(times: Times, early: int) -> Times:
    """Return minutes without those of holidays: Christmas and New Year, and others from a minute on."""
    days, of_day = times // DAY, times % DAY // MINUTE
    dates = days.astype("datetime64[D]")
    closed = np.zeros(len(times), np.bool_)
    for day in np.unique(days).tolist():
        if is_holiday(day) and (day + 4) % 7:
            when = str(np.datetime64(day, "D"))
            shut = when[5:] in {"12-25", "01-01"}
            closed |= (dates == np.datetime64(day, "D")) & (shut | (of_day >= early))
    return times[~closed]


def thinned(times: Times, share: float, seed: int) -> Times:
    return times[np.random.default_rng(seed).random(len(times)) >= share]


@st.composite
def histories(draw: st.DrawFn) -> Times:
    """Minutes of any market, over any part of the year, thin or not, with holidays and summer time."""
    name = draw(st.sampled_from(sorted(HOURS)))
    start = SUNDAY + draw(st.integers(0, 80)) * WEEK
    weeks = draw(st.integers(1, 40))
    first = draw(st.integers(8, 14))
    summer = draw(st.sampled_from([(0, 0), (first, first + 3), (first, 44), (43, 44)]))
    times = opened(name, start, weeks, summer)
    if name != "always" and summer == (0, 0):  # a holiday may hide which time a week keeps
        times = keep_holidays(times, draw(st.sampled_from([780, 1140, 1200])))
    return thinned(times, draw(st.sampled_from([0.0, 0.001, 0.02])), draw(st.integers(0, 99)))


@given(histories())
@settings(deadline=None, max_examples=30)
def test_nothing_is_missing_of_what_is_whole(times: Times) -> None:
    assert learn(times, c.TIMEFRAME_M1).missing == []


@given(
    histories(),
    st.sampled_from([c.TIMEFRAME_M5, c.TIMEFRAME_M30, c.TIMEFRAME_H1, c.TIMEFRAME_H4, c.TIMEFRAME_D1]),
)
@settings(deadline=None, max_examples=20)
def test_nor_of_longer_bars(times: Times, timeframe: int) -> None:
    assert learn(np.unique(open_times(times, timeframe)), timeframe).missing == []


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_every_gap_within_sessions_is_found(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(HOURS)))
    summer = data.draw(st.sampled_from([(0, 0), (15, 40), (17, 19)]))
    times = opened(name, SUNDAY + 12 * WEEK, 10, summer)
    length = data.draw(st.integers(5, 3000))
    begin = data.draw(st.integers(20, len(times) - length - 20))
    gone = times[begin : begin + length]
    around = times[begin - 16], times[begin + length + 15]
    # At the edge of a session first prices may come late; on holidays sessions may end early.
    assume(around[1] - around[0] == (length + 31) * MINUTE or length > 30)
    assume(not any(map(is_holiday, np.unique(gone // DAY).tolist())))
    if summer != (0, 0):  # what begins or ends a week tells which time it keeps
        assume(all(26 * HOUR < (time - SUNDAY) % WEEK < 5 * DAY + 20 * HOUR for time in around))
        assume(around[1] - around[0] < DAY)
    found = learn(np.delete(times, slice(begin, begin + length)), c.TIMEFRAME_M1)
    edges = 15  # at the ends of what is missing, where they are edges of sessions
    assert len(found.missing) == 1
    (stretch,) = found.missing
    assert gone[0] <= stretch.start <= gone[min(edges, length - 1)]
    assert gone[max(length - 1 - edges, 0)] < stretch.stop <= gone[-1] + MINUTE
    assert len(found.absent) == stretch.bars
    assert set(found.absent.tolist()) <= set(gone.tolist())
    assert 0 < found.share < 1


@pytest.mark.parametrize("file", ["mt5_eurusd_m1_2025-11", "mt5_gbpusd_m1_2025-11", "mt5_usdcad_m1_2025-11"])
def test_a_recorded_month_is_whole_and_its_gaps_are_found(shared_data: Path, file: str) -> None:
    with gzip.open(shared_data / f"{file}.csv.gz", "rt", encoding="utf-8") as lines:
        times = np.array([int(line.partition(",")[0]) for line in lines.readlines()[1:]], np.int64)
    assert learn(times, c.TIMEFRAME_M1).missing == []
    noon = int(times[0]) // DAY * DAY + 9 * DAY + 12 * HOUR
    for length in (5, 60, 1440):
        gone = (times >= noon) & (times < noon + length * MINUTE)
        missing = learn(times[~gone], c.TIMEFRAME_M1).missing
        assert missing == [Stretch(noon, noon + length * MINUTE, int(gone.sum()))]


def test_what_is_known_to_have_ended_too_early_is_missing() -> None:
    times = opened("forex", SUNDAY + 20 * WEEK, 6)
    end = SUNDAY + 26 * WEEK
    cut = end - 3 * DAY
    (stretch,) = learn(times[times < cut], c.TIMEFRAME_M1, until=end).missing
    assert (stretch.start, stretch.stop) == (cut, end - DAY - 3 * MINUTE)
    assert learn(times[times < cut], c.TIMEFRAME_M1).missing == []


def test_weeks_on_end_may_be_missing() -> None:
    times = opened("forex", SUNDAY + 20 * WEEK, 60)
    begin, end = SUNDAY + 25 * WEEK, SUNDAY + 65 * WEEK
    (stretch,) = learn(times[(times < begin) | (times >= end)], c.TIMEFRAME_M1).missing
    assert (stretch.start, stretch.stop) == (begin + DAY, end - DAY - 3 * MINUTE)


def test_what_is_not_known_is_not_missing() -> None:
    times = opened("forex", SUNDAY + 20 * WEEK, 6)
    begin, end = SUNDAY + 22 * WEEK, SUNDAY + 23 * WEEK + 2 * DAY
    held = times[(times < begin) | (times >= end)]
    assert learn(held, c.TIMEFRAME_M1, unknown=[(begin, end)]).missing == []
    (stretch,) = learn(held, c.TIMEFRAME_M1, unknown=[(begin, end - DAY)]).missing
    assert (stretch.start, stretch.stop) == (end - DAY, end)


@pytest.mark.parametrize("timeframe", [c.TIMEFRAME_W1, c.TIMEFRAME_MN1])
def test_weeks_and_months_have_bars_each(timeframe: int) -> None:
    times = np.unique(open_times(opened("forex", SUNDAY, 100), timeframe))
    assert learn(times, timeframe).missing == []
    (stretch,) = learn(np.delete(times, [5, 6]), timeframe).missing
    assert stretch == Stretch(int(times[5]), int(times[7]), 2)
    (stretch,) = learn(times[:-1], timeframe, until=int(times[-1]) + 40 * DAY).missing
    assert stretch.start == times[-1]
    assert learn(np.delete(times, 5), timeframe, unknown=[(int(times[5]), int(times[6]))]).missing == []


@pytest.mark.parametrize("timeframe", PERIODS, ids=NAMES.get)
def test_no_bars_are_none_missing(timeframe: int) -> None:
    nothing = learn(np.zeros(0, np.int64), timeframe)
    assert (nothing.missing, nothing.share) == ([], 1.0)
    one = learn(np.array([SUNDAY], np.int64), timeframe)
    assert (one.missing, one.share) == ([], 1.0)


def test_a_symbol_that_hardly_trades_has_no_gaps() -> None:
    times = thinned(opened("forex", SUNDAY, 20), 0.97, 1)
    assert learn(times, c.TIMEFRAME_M1).missing == []


def test_a_gap_on_a_holiday_is_one_where_trading_went_on_around_it() -> None:
    christmas_eve = SUNDAY + 50 * WEEK + 2 * DAY
    assert date(2024, 12, 24).isoformat() == str(np.datetime64(christmas_eve, "s"))[:10]
    times = opened("forex", SUNDAY + 44 * WEEK, 12)
    begin, end = christmas_eve + 10 * HOUR, christmas_eve + 12 * HOUR
    (stretch,) = learn(times[(times < begin) | (times >= end)], c.TIMEFRAME_M1).missing
    assert (stretch.start, stretch.stop) == (begin, end)
    closed = (times >= christmas_eve + 20 * HOUR) & (times < christmas_eve + 2 * DAY + HOUR)
    assert learn(times[~closed], c.TIMEFRAME_M1).missing == []


@pytest.mark.parametrize(
    "day",
    [
        *("2024-01-01", "2024-01-15", "2024-02-19", "2024-03-29", "2024-04-01", "2024-05-27", "2024-06-19"),
        *("2024-07-04", "2024-09-02", "2024-11-28", "2024-11-29", "2024-12-25", "2025-04-18", "2026-07-03"),
    ],
)
def test_holidays(day: str) -> None:
    assert date.fromisoformat(day) in holidays(int(day[:4]))


def test_most_days_are_no_holidays() -> None:
    assert all(len(holidays(year)) < 30 for year in range(1990, 2100))
    assert not is_holiday(int(np.datetime64("2025-11-12", "D").astype(int)))
