"""Sessions: what the text says, which minutes are open, and when that changes."""

from datetime import datetime, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.terminal.simulated.instruments.calendar import Calendar, parse_holidays, parse_sessions

FOREX = "mon-thu 00:00-24:00, fri 00:00-23:57"
METAL = "mon-thu 01:00-24:00, fri 01:00-23:57"
DAY = 86_400


def at(text: str) -> int:
    """Epoch seconds of `2023-11-17 23:57`."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())


def test_a_week_of_sessions() -> None:
    week = parse_sessions("mon-tue 01:00-10:00 10:30-24:00, sun 22:00-23:00, FRI 00:00-00:01")
    assert week.shape == (7, 1440)  # from Sunday
    assert week.sum(axis=1).tolist() == [60, 540 + 810, 540 + 810, 0, 0, 1, 0]
    assert week[1, 59:61].tolist() == [False, True]
    assert week[2, 599:631].tolist() == [True, *[False] * 30, True]
    # a range may go past Saturday
    assert parse_sessions("fri-mon 00:00-24:00").all(axis=1).tolist() == [1, 1, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no session"),
        ("weekdays 00:00-24:00", "is no session"),
        ("mon 0:00-24:00", "is no session"),
        ("mon-fry 00:00-24:00", "'fry' is no day"),
        ("mon 00:00-24:01", "24:01 is no time"),
        ("mon 00:60-12:00", "00:60 is no time"),
        ("mon 22:00-06:00", "two sessions"),
        ("mon 12:00-12:00", "ends before it begins"),
    ],
)
def test_what_is_no_session(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_sessions(text)


def test_holidays_of_one_year_and_of_every_year() -> None:
    days = parse_holidays(("12-25", "2024-03-29"))
    assert {at(f"{year}-12-25 00:00") // DAY for year in (2015, 2023, 2031)} < days
    assert at("2024-03-29 00:00") // DAY in days
    assert at("2025-03-29 00:00") // DAY not in days
    with pytest.raises(ValueError, match="'2024-02-30' is no day"):
        parse_holidays(("2024-02-30",))


@pytest.mark.parametrize(
    ("moment", "is_open", "next_change", "next_open", "last_open"),
    [
        # Wednesday, Friday's last minute, its end, Saturday, Sunday's last second, Monday's first
        ("2023-11-15 12:00:30", True, "2023-11-17 23:57", "2023-11-15 12:00:30", "2023-11-15 12:00"),
        ("2023-11-17 23:56:59", True, "2023-11-17 23:57", "2023-11-17 23:56:59", "2023-11-17 23:56"),
        ("2023-11-17 23:57", False, "2023-11-20 00:00", "2023-11-20 00:00", "2023-11-17 23:56"),
        ("2023-11-18 12:00", False, "2023-11-20 00:00", "2023-11-20 00:00", "2023-11-17 23:56"),
        ("2023-11-19 23:59:59", False, "2023-11-20 00:00", "2023-11-20 00:00", "2023-11-17 23:56"),
        ("2023-11-20 00:00", True, "2023-11-24 23:57", "2023-11-20 00:00", "2023-11-20 00:00"),
        # Christmas of 2023 is a Monday: from Friday to Tuesday
        ("2023-12-23 08:00", False, "2023-12-26 00:00", "2023-12-26 00:00", "2023-12-22 23:56"),
        ("2023-12-25 08:00", False, "2023-12-26 00:00", "2023-12-26 00:00", "2023-12-22 23:56"),
    ],
)
def test_a_week_of_forex(
    moment: str, is_open: bool, next_change: str, next_open: str, last_open: str
) -> None:
    calendar = Calendar(FOREX, ("01-01", "12-25"))
    now = at(moment)
    assert calendar.is_open(now) is is_open
    assert calendar.next_change(now) == at(next_change)
    assert calendar.next_open(now) == at(next_open)
    assert calendar.last_open(now) == at(last_open)


def test_a_first_and_a_last_day() -> None:
    start, end = at("2020-12-21 01:00"), at("2030-11-20 21:30")
    calendar = Calendar(start=start, end=end)
    assert not calendar.always
    assert [calendar.is_open(now) for now in (start - 1, start, end - 1, end)] == [False, True, True, False]
    assert calendar.next_change(start - DAY) == start
    assert calendar.next_change(end - 300 * DAY) == end
    assert calendar.next_open(end) is None
    assert calendar.last_open(start - 1) is None
    assert calendar.last_open(end + DAY) == end - 60


def test_a_market_that_never_closes() -> None:
    calendar = Calendar()
    assert calendar.always
    assert calendar.is_open(0)
    assert calendar.next_change(at("2023-11-18 12:00")) is None
    assert calendar.open_minutes(19_000, 7).all()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([FOREX, METAL, "mon-fri 16:30-23:00", "tue 10:00-10:01, sat 00:00-24:00"]),
    st.integers(at("2022-01-01 00:00"), at("2027-01-01 00:00")),
    st.booleans(),
)
def test_all_ways_to_ask_agree(sessions: str, now: int, bounded: bool) -> None:
    limits = (at("2023-06-01 12:34"), at("2025-06-01 09:30")) if bounded else (0, 0)
    calendar = Calendar(sessions, ("01-01", "2024-02-27"), *limits)
    day = now // DAY
    minutes = calendar.open_minutes(day - 1, 3).reshape(-1)
    first = (day - 1) * DAY
    assert bool(minutes[(now - first) // 60]) is calendar.is_open(now)
    change = calendar.next_change(now)
    if change is not None:
        assert change > now
        assert calendar.is_open(change) is not calendar.is_open(now)
        assert calendar.is_open(change - 1) is calendar.is_open(now)
        inside = minutes[(now - first) // 60 : max((change - first) // 60, 0)]
        assert np.all(inside == calendar.is_open(now))
    last, following = calendar.last_open(now), calendar.next_open(now)
    assert last is None or (last <= now and calendar.is_open(last))
    assert following is None or (following >= now and calendar.is_open(following))
