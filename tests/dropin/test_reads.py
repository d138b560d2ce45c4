"""What the reading functions select and return: masks, tickets, dates, arrays."""

import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from tests.dropin.surface import SURFACE

SUCCESS = (1, "Success")
NEW_YORK = timezone(timedelta(hours=-5))
MOMENT = 1_700_000_040  # a Tuesday

# mask, and whether it selects EURUSD and GBPUSD
MASKS: list[tuple[str, bool, bool]] = [
    ("*", True, True),
    ("EURUSD", True, False),
    ("EURUSD,GBPUSD", True, True),
    (" EURUSD , GBPUSD ", True, True),
    ("*USD", True, True),
    ("EUR*", True, False),
    ("E*D", True, False),
    ("*URU*", True, False),
    ("eurusd", False, False),
    ("EUR", False, False),
    ("EURUS?", False, False),
    ("*,!EURUSD", False, True),
    ("!EURUSD,*", False, True),
    ("*, !EUR", True, True),
    ("*,!EUR*", False, True),
    ("!EURUSD", False, False),
    ("!*", False, False),
    ("EURUSD,!*USD", False, False),
    ("", True, True),
]


@pytest.fixture
def held(flat: Any) -> Any:
    """The module on an account with a position and an order in each of two symbols."""
    for symbol in ("EURUSD", "GBPUSD"):
        deal = {"action": 1, "symbol": symbol, "volume": 0.01, "type": 0, "type_filling": 1}
        price = round(flat.symbol_info_tick(symbol).bid * 0.9, 5)
        assert flat.order_send(deal).retcode == 10009
        assert flat.order_send({**deal, "action": 5, "type": 2, "price": price}).retcode == 10009
    return flat


def test_a_group_mask_selects_by_name(held: Any) -> None:
    reads = (held.positions_get, held.orders_get, held.symbols_get)
    for mask, *expected in MASKS:
        for read in reads:
            names = {each.symbol if hasattr(each, "symbol") else each.name for each in read(group=mask)}
            assert [name in names for name in ("EURUSD", "GBPUSD")] == expected, (mask, read)


def test_a_group_mask_on_history(held: Any) -> None:
    held.Close("EURUSD")
    held.Close("GBPUSD")
    for mask, *expected in MASKS:
        for read in (held.history_deals_get, held.history_orders_get):
            names = {row.symbol for row in read(0, 1 << 33, group=mask)}
            assert [name in names for name in ("EURUSD", "GBPUSD")] == expected, (mask, read)
    everything = held.history_deals_get(0, 1 << 33, group="*")
    assert "" in {deal.symbol for deal in everything}  # a balance operation has no symbol, which `*` matches


def test_ticket_then_symbol_then_group(held: Any) -> None:
    position = held.positions_get(symbol="GBPUSD")[0]
    order = held.orders_get(symbol="GBPUSD")[0]
    for read, ticket in ((held.positions_get, position.ticket), (held.orders_get, order.ticket)):
        assert [each.ticket for each in read(ticket=ticket, symbol="EURUSD", group="EURUSD")] == [ticket]
        assert [each.symbol for each in read(symbol="GBPUSD", group="EURUSD")] == ["GBPUSD"]


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("positions_get", {"ticket": 1}),
        ("positions_get", {"symbol": "NOPE"}),
        ("positions_get", {"group": "NOPE"}),
        ("orders_get", {"ticket": 1}),
        ("orders_get", {"symbol": "NOPE"}),
        ("history_orders_get", {"ticket": 1}),
        ("history_orders_get", {"position": 1}),
        ("history_deals_get", {"ticket": 1}),
        ("history_deals_get", {"position": 1}),
        ("symbols_get", {"group": "NOPE"}),
    ],
)
def test_what_is_not_there_is_an_empty_tuple_and_success(
    name: str, keywords: dict[str, Any], mt5: Any
) -> None:
    assert getattr(mt5, name)(**keywords) == ()
    assert mt5.last_error() == SUCCESS


def test_history_by_ticket_is_by_order_and_comes_before_position(held: Any) -> None:
    first, second = held.positions_get()
    (deal,) = held.history_deals_get(ticket=first.ticket)
    assert (deal.order, deal.position_id) == (first.ticket, first.identifier)
    assert held.history_deals_get(ticket=first.ticket, position=second.ticket) == (deal,)
    (order,) = held.history_orders_get(position=second.identifier)
    assert order.ticket == second.ticket


# ---- dates ----


class Timestamp(datetime):
    """A subclass, as pandas' is."""


DATES: list[tuple[Any, int]] = [
    (MOMENT, MOMENT),
    (float(MOMENT), MOMENT),
    (MOMENT + 0.999, MOMENT),
    (np.float64(MOMENT + 0.5), MOMENT),
    (datetime.fromtimestamp(MOMENT, timezone.utc), MOMENT),
    (datetime.fromtimestamp(MOMENT, NEW_YORK), MOMENT),
    (datetime.fromtimestamp(MOMENT + 0.999, timezone.utc), MOMENT),
    (datetime.fromtimestamp(MOMENT), MOMENT),  # noqa: DTZ006 - local time, as a naive datetime is read
    (Timestamp.fromtimestamp(MOMENT, timezone.utc), MOMENT),
]


@pytest.mark.parametrize(("date", "seconds"), DATES, ids=lambda each: repr(each)[:60])
def test_a_date(date: Any, seconds: int, mt5: Any) -> None:
    (bar,) = mt5.copy_rates_from("EURUSD", mt5.TIMEFRAME_M1, date, 1)
    assert bar["time"] == seconds
    (bar,) = mt5.copy_rates_range("EURUSD", mt5.TIMEFRAME_M1, date, date)
    assert bar["time"] == seconds


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_naive_datetime_is_local_time(zone: str, mt5: Any) -> None:
    code = (
        "import MetaTrader5 as mt5; from datetime import datetime; assert mt5.initialize(); "
        "print(mt5.copy_rates_from('EURUSD', 1, datetime(2024, 5, 15, 12, 0), 1)[0]['time'])"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-m", "mt5crs", "run", "-m", "timeit", "-n1", "-r1", code],
        env={**os.environ, "TZ": zone, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    offset = {"UTC": 0, "America/New_York": -4 * 3600, "Asia/Kolkata": 19800}[zone]
    assert int(shown.split()[0]) == 1_715_774_400 - offset


# ---- arrays ----

ARRAYS: list[tuple[str, tuple[Any, ...], str]] = [
    ("copy_rates_from", ("EURUSD", 1, MOMENT, 5), "rates"),
    ("copy_rates_from_pos", ("EURUSD", 1, 0, 5), "rates"),
    ("copy_rates_range", ("EURUSD", 1, MOMENT - 240, MOMENT), "rates"),
    ("copy_ticks_from", ("EURUSD", MOMENT, 5, -1), "ticks"),
    ("copy_ticks_range", ("EURUSD", MOMENT, MOMENT + 60, -1), "ticks"),
    ("copy_rates_range", ("EURUSD", 1, MOMENT, MOMENT - 60), "rates"),
    ("copy_ticks_range", ("EURUSD", MOMENT, MOMENT - 60, -1), "ticks"),
]


@pytest.mark.parametrize(("name", "args", "kind"), ARRAYS)
def test_an_array_is_made_as_the_official_one(name: str, args: tuple[Any, ...], kind: str, mt5: Any) -> None:
    """`flags` are the creation flags read from the official package; they were not seen on a live one."""
    row = SURFACE["dtypes"][kind]
    array = getattr(mt5, name)(*args)
    assert array.dtype.itemsize == row["itemsize"] == 60
    assert [
        [field, array.dtype.fields[field][0].str, array.dtype.fields[field][1]] for field in array.dtype.names
    ] == row["fields"]
    assert (array.ndim, array.flags.owndata, array.flags.writeable) == (1, True, False)
    assert array.flags.c_contiguous
    assert mt5.last_error() == SUCCESS
    if len(array):
        with pytest.raises(ValueError, match="read-only"):
            array["time"][0] = 1
        assert (np.diff(array["time"]) >= 0).all()
        assert type(array[0]) is np.void
