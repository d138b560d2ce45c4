"""One return code for each mistake; the table of section 8 of the semantics digest."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mt5crs import constants as c
from tests.terminal.desk import OPENING, Desk

EURUSD: dict[str, Any] = {"symbol": "EURUSD", "volume": 0.1}
BUY = EURUSD | {"action": 1, "type": 0}
SELL = EURUSD | {"action": 1, "type": 1}


def pending(kind: int, price: float, **fields: Any) -> dict[str, Any]:
    return EURUSD | {"action": 5, "type": kind, "price": price} | fields


# The quote is 1.10000/1.10010, stops and freeze level are 0 unless a test says otherwise.
MISTAKES: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing", {}, 10013, "Invalid request"),
    ("unknown action", BUY | {"action": 99}, 10013, "Invalid request"),
    ("no symbol", {"action": 1, "type": 0, "volume": 0.1}, 10013, "Invalid request"),
    ("unknown symbol", BUY | {"symbol": "NOSUCH"}, 10021, "No prices"),
    ("pending type in a deal", BUY | {"type": 2}, 10035, "Invalid order"),
    ("market type pending", BUY | {"action": 5, "price": 1.0}, 10035, "Invalid order"),
    ("volume 0", BUY | {"volume": 0.0}, 10014, "Invalid volume"),
    ("volume negative", BUY | {"volume": -0.1}, 10014, "Invalid volume"),
    ("volume below min", BUY | {"volume": 0.001}, 10014, "Invalid volume"),
    ("volume above max", BUY | {"volume": 100.01}, 10014, "Invalid volume"),
    ("volume off step", BUY | {"volume": 0.015}, 10014, "Invalid volume"),
    ("no volume", {"action": 1, "type": 0, "symbol": "EURUSD"}, 10014, "Invalid volume"),
    ("RETURN at market", BUY | {"type_filling": 2}, 10030, "Unsupported filling mode"),
    ("BOC", BUY | {"type_filling": 3}, 10030, "Unsupported filling mode"),
    ("buy stops: sl", BUY | {"sl": 1.10001}, 10016, "Invalid stops"),
    ("buy stops: tp", BUY | {"tp": 1.09999}, 10016, "Invalid stops"),
    ("sell stops: sl", SELL | {"sl": 1.10009}, 10016, "Invalid stops"),
    ("sell stops: tp", SELL | {"tp": 1.10011}, 10016, "Invalid stops"),
    ("negative sl", BUY | {"sl": -1.0}, 10016, "Invalid stops"),
    ("too much", BUY | {"volume": 50.0}, 10019, "No money"),
    ("unknown position", SELL | {"position": 12345}, 10036, "Position closed"),
    ("buy limit above", pending(2, 1.10011), 10015, "Invalid price"),
    ("sell limit below", pending(3, 1.09999), 10015, "Invalid price"),
    ("buy stop below", pending(4, 1.10009), 10015, "Invalid price"),
    ("sell stop above", pending(5, 1.10001), 10015, "Invalid price"),
    ("price 0", pending(2, 0.0), 10015, "Invalid price"),
    ("buy stop-limit: stoplimit", pending(6, 1.102, stoplimit=1.10201), 10015, "Invalid price"),
    ("sell stop-limit: stoplimit", pending(7, 1.098, stoplimit=1.09799), 10015, "Invalid price"),
    ("buy limit: sl", pending(2, 1.09, sl=1.09001), 10016, "Invalid stops"),
    ("buy limit: tp", pending(2, 1.09, tp=1.08999), 10016, "Invalid stops"),
    ("sell stop: sl", pending(5, 1.09, sl=1.08999), 10016, "Invalid stops"),
    ("stop-limit: sl by stoplimit", pending(6, 1.102, stoplimit=1.101, sl=1.1015), 10016, "Invalid stops"),
    ("past", pending(2, 1.09, type_time=2, expiration=OPENING - 1), 10022, "Invalid expiration"),
    ("no expiration", pending(2, 1.09, type_time=2), 10022, "Invalid expiration"),
    ("kind of expiration", pending(2, 1.09, type_time=9), 10022, "Invalid expiration"),
    ("modify unknown", {"action": 7, "order": 5, "price": 1.0}, 10013, "Invalid request"),
    ("remove unknown", {"action": 8, "order": 5}, 10013, "Invalid request"),
    ("stops of unknown", {"action": 6, "position": 5, "sl": 1.0}, 10036, "Position closed"),
    ("stops of nothing", {"action": 6, "symbol": "EURUSD", "sl": 1.0}, 10013, "Invalid request"),
    ("close by unknown", {"action": 10, "position": 5, "position_by": 6}, 10036, "Position closed"),
]


@pytest.mark.parametrize(
    ("fields", "retcode", "comment"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_has_its_retcode(steady: Desk, fields: dict[str, Any], retcode: int, comment: str) -> None:
    checked = steady.get("order_check", fields)
    sent = steady.get("order_send", fields)
    assert (checked.retcode, checked.comment) == (retcode, comment)
    assert (sent.retcode, sent.comment) == (retcode, comment)
    assert (sent.deal, sent.order) == (0, 0)
    assert steady.get("positions_total") == steady.get("orders_total") == 0
    assert steady.get("history_orders_total", 0, 1 << 40) == 0


@pytest.mark.parametrize(
    "fields",
    [
        BUY | {"sl": 1.1, "tp": 1.1},
        SELL | {"sl": 1.1001, "tp": 1.1001},
        BUY | {"type_filling": 1},
        pending(2, 1.1001),
        pending(3, 1.1),
        pending(4, 1.1001, sl=1.1, tp=1.1002),
        pending(5, 1.1, type_filling=2),
        pending(6, 1.102, stoplimit=1.102),
        pending(2, 1.09, type_time=3, expiration=OPENING + 1),
    ],
)
def test_the_edge_itself_is_allowed(steady: Desk, fields: dict[str, Any]) -> None:
    assert steady.get("order_check", fields).retcode == 0
    assert steady.get("order_send", fields).retcode == 10009


def test_closing_mistakes(steady: Desk) -> None:
    ticket = steady.deal(0, 0.1).order
    assert steady.deal(1, 0.2, position=ticket).retcode == 10038
    assert steady.deal(0, 0.1, position=ticket).retcode == 10013
    assert steady.deal(1, 0.1, symbol="GBPUSD", position=ticket).retcode == 10013
    other = steady.deal(0, 0.1).order
    assert steady.send(action=10, position=ticket, position_by=other).retcode == 10013
    assert steady.deal(1, 0.1, position=ticket).retcode == 10009
    assert steady.deal(1, 0.1, position=ticket).retcode == 10036


def specify(desk: Desk, **changes: Any) -> None:
    """Change the specification of EURUSD as another broker would set it."""
    symbols = desk.terminal._market.symbols
    symbols["EURUSD"] = msgspec.structs.replace(symbols["EURUSD"], **changes)


@pytest.mark.parametrize(
    ("mode", "on_buy", "on_sell"),
    [(0, 10017, 10017), (1, 10009, 10042), (2, 10043, 10009), (3, 10044, 10044)],
)
def test_trade_modes(steady: Desk, mode: int, on_buy: int, on_sell: int) -> None:
    specify(steady, trade_mode=mode)
    assert steady.deal(0, 0.1).retcode == on_buy
    assert steady.deal(1, 0.1).retcode == on_sell


@pytest.mark.parametrize(
    ("fields", "near", "far"),
    [
        # 20 points from the quote that each type refers to (section 5)
        (BUY, {"sl": 1.09981}, {"sl": 1.0998}),
        (BUY, {"tp": 1.10019}, {"tp": 1.1002}),
        (SELL, {"sl": 1.10029}, {"sl": 1.1003}),
        (SELL, {"tp": 1.09991}, {"tp": 1.0999}),
        (pending(2, 0.0), {"price": 1.09991}, {"price": 1.0999}),
        (pending(3, 0.0), {"price": 1.10019}, {"price": 1.1002}),
        (pending(4, 0.0), {"price": 1.10029}, {"price": 1.1003}),
        (pending(5, 0.0), {"price": 1.09981}, {"price": 1.0998}),
        (pending(2, 1.09), {"sl": 1.08981}, {"sl": 1.0898}),
        (pending(6, 1.102), {"stoplimit": 1.10181}, {"stoplimit": 1.1018}),
    ],
)
def test_the_stops_level_keeps_a_distance(
    steady: Desk, fields: dict[str, Any], near: dict[str, float], far: dict[str, float]
) -> None:
    specify(steady, stops_level=20)
    assert steady.get("order_check", fields | near).retcode in (10015, 10016)
    assert steady.get("order_check", fields | far).retcode == 0


def test_the_freeze_level_refuses_changes(steady: Desk) -> None:
    order = steady.pend(2, 1.1).order
    ticket = steady.deal(0, 0.1, sl=1.0999).order
    specify(steady, freeze_level=10)
    assert steady.send(action=7, order=order, price=1.09).retcode == 10029
    assert steady.send(action=8, order=order).retcode == 10029
    assert steady.send(action=6, position=ticket).retcode == 10029
    assert steady.deal(1, 0.1, position=ticket).retcode == 10029
    specify(steady, freeze_level=9)
    assert steady.send(action=8, order=order).retcode == 10009
    assert steady.send(action=6, position=ticket).retcode == 10009


def test_instant_execution_wants_a_price(steady: Desk) -> None:
    specify(steady, exemode=c.SYMBOL_TRADE_EXECUTION_INSTANT)
    assert steady.deal(0, 0.1).retcode == 10015
    requote = steady.deal(0, 0.1, price=1.1, deviation=9)
    assert (requote.retcode, requote.bid, requote.ask) == (10004, 1.1, 1.1001)
    assert steady.deal(0, 0.1, price=1.1, deviation=10).retcode == 10009
    assert steady.deal(0, 0.1, price=1.1001, type_filling=1).retcode == 10030


def test_limits(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.1, 1.1001), (3600, 1.1, 1.1001), limit_orders=1)
    assert desk.pend(2, 1.09).retcode == 10009
    assert desk.pend(2, 1.09).retcode == 10033
    specify(desk, volume_limit=0.3)
    assert desk.deal(0, 0.2).retcode == 10009
    assert desk.deal(0, 0.01).retcode == 10034
    assert desk.deal(1, 0.3).retcode == 10009


def test_masks_of_the_symbol(steady: Desk) -> None:
    specify(steady, expiration_mode=1, order_mode=1 | 2, filling_mode=1)
    assert steady.pend(2, 1.09, type_time=c.ORDER_TIME_DAY).retcode == 10022
    assert steady.pend(4, 1.11).retcode == 10035
    assert steady.deal(0, 0.1, sl=1.09).retcode == 10035
    assert steady.deal(0, 0.1, type_filling=1).retcode == 10030


def test_the_market_closes_when_the_replay_ends(steady: Desk) -> None:
    ticket = steady.pend(2, 1.09).order
    steady.at(3601)
    assert steady.get("symbol_info_tick", "EURUSD").time == OPENING + 3600
    assert steady.deal(0, 0.1).retcode == 10018
    assert steady.send(action=8, order=ticket).retcode == 10018
    assert steady.deal(0, 0.1, symbol="USDJPY").retcode == 10009


def test_before_the_first_price_there_is_none(quotes: Callable[..., Desk]) -> None:
    desk = quotes((100, 1.1, 1.1001), (200, 1.1, 1.1001))
    assert desk.get("symbol_info_tick", "EURUSD").time == 0
    assert desk.deal(0, 0.1).retcode == 10021


def test_request_ids_are_the_servers(steady: Desk) -> None:
    assert steady.send().request_id == 0  # the terminal refuses it by itself
    first, second = steady.deal(0, 0.1), steady.pend(2, 1.09)
    assert 0 < first.request_id < second.request_id
    # A recorded answer to a pending order: no price, but the quote.
    assert (second.price, second.bid, second.ask, second.volume) == (0.0, 1.1, 1.1001, 0.1)


def test_order_check_counts_the_account_after_it(steady: Desk) -> None:
    steady.deal(0, 0.1)
    checked = steady.get("order_check", BUY)
    # twice 110.01; section 6: retcode 0 and "Done"
    assert (checked.retcode, checked.comment, checked.margin) == (0, "Done", 220.02)
    assert (checked.balance, checked.equity, checked.margin_free) == (10_000.0, 9999.0, 9778.98)
    assert checked.margin_level == pytest.approx(100 * 9999 / 220.02)
    assert checked.request.symbol == "EURUSD"
    refused = steady.get("order_check", BUY | {"volume": 0.0})
    assert tuple(refused[1:7]) == (0.0,) * 6
    assert steady.get("positions_total") == 1
