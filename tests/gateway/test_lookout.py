"""The deals of the server's day: all of them are known, and few are asked for."""

import random

from mt5crs.gateway.lookout import ALL_DEALS, DaysDeals
from mt5crs.model import TradeDeal

DAY = 1_763_942_400
FIELDS = TradeDeal.__match_args__


def deal(ticket: int, time: int) -> list[object]:
    return [
        {"ticket": ticket, "time": time, "symbol": "EURUSD", "comment": ""}.get(name, 0) for name in FIELDS
    ]


def test_whatever_was_asked_for_the_day_is_complete() -> None:
    rng = random.Random(3)  # noqa: S311 - repeatable on purpose
    days, history, now, asked = DaysDeals(), list[list[object]](), 100.0, list[int]()
    for ticket in range(1, 3000):
        now += rng.random()
        history.append(deal(ticket, DAY + int(now)))
        if not rng.randrange(5):
            since = days.since(DAY, now)
            rows = [row for row in history if row[FIELDS.index("time")] >= since]  # type: ignore[operator]
            asked.append(len(rows))
            assert [each.ticket for each in days.take(rows)] == list(range(1, ticket + 1))
    assert sorted(asked)[len(asked) // 2] < 200


def test_another_day_begins_anew() -> None:
    days = DaysDeals()
    assert days.since(DAY, 0.0) == DAY
    days.take([deal(1, DAY + 5)])
    assert days.since(DAY + 86_400, 1.0) == DAY + 86_400
    assert days.take([]) == []


def test_what_comes_to_be_known_late_is_in_the_next_full_list() -> None:
    days = DaysDeals()
    days.since(DAY, 0.0)
    days.take([deal(5, DAY + 5000)])
    assert days.since(DAY, 1.0) > DAY + 4000
    days.take([])
    assert days.since(DAY, ALL_DEALS) == DAY
    assert [each.ticket for each in days.take([deal(4, DAY + 100), deal(5, DAY + 5000)])] == [4, 5]
