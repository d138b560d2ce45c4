"""One return code for each mistake; the table of section 8 of the semantics digest."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mt5crs import constants as c
from mt5crs.terminal.simulated.trading.retcodes import (
    CHECK_DONE,
    CLIENT_SIDE,
    COMMENTS,
    HEDGE_PROHIBITED,
    RETCODES,
)
from tests.terminal.depths import Offers
from tests.terminal.desk import OPENING, Desk
from tests.terminal.retcode_cases import BUY, CASES, SELL, Case, pending
from tests.terminal.test_invariants import story


def specify(desk: Desk, **changes: Any) -> None:
    """Change the specification of EURUSD as another broker would set it."""
    symbols = desk.terminal._market.symbols
    symbols["EURUSD"] = msgspec.structs.replace(symbols["EURUSD"], **changes)


def situation(quotes: Callable[..., Desk], case: Case) -> Desk:
    """Return a desk in the situation of a case."""
    desk = quotes((0, 1.1, 1.1001), (3600, 1.1, 1.1001), **case.settings)
    specify(desk, **case.symbol)
    if case.offered is not None:
        asks, bids = case.offered
        desk.terminal._market.depth = Offers([(1.1001, asks)], [(1.1, bids)])
    for request in case.before:
        assert desk.get("order_send", request).retcode in (10009, 10010)
    specify(desk, **case.after)
    for name, value in case.switches.items():
        setattr(desk.terminal.switches, name, value)
    desk.at(case.second)
    return desk


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_request_has_its_retcode(quotes: Callable[..., Desk], case: Case) -> None:
    desk = situation(quotes, case)
    before = story(desk)
    checked = desk.get("order_check", case.request)
    expected = case.retcode if case.checked is None else case.checked
    assert (checked.retcode, checked.comment) == (expected, COMMENTS[expected])
    assert story(desk) == before
    sent = desk.get("order_send", case.request)
    assert (sent.retcode, sent.comment) == (case.retcode, COMMENTS[case.retcode])
    assert (sent.request_id == 0) is (case.retcode in CLIENT_SIDE)
    if case.checked is None:  # refused: nothing happened
        assert (sent.deal, sent.order) == (0, 0)
        assert story(desk) == before


def test_every_retcode_that_needs_no_fault_has_a_case() -> None:
    expected = {code for code, row in RETCODES.items() if row.by != "fault"} - {CHECK_DONE}
    assert {case.retcode for case in CASES} == expected
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_constant_of_a_retcode_is_in_the_table() -> None:
    constants = {value for name, value in vars(c).items() if name.startswith("TRADE_RETCODE_")}
    assert set(RETCODES) == constants | {CHECK_DONE, HEDGE_PROHIBITED}


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


def test_beyond_the_freeze_level_all_can_be_changed(steady: Desk) -> None:
    order = steady.pend(2, 1.1).order
    ticket = steady.deal(0, 0.1, sl=1.0999).order
    specify(steady, freeze_level=9)
    assert steady.send(action=8, order=order).retcode == 10009
    assert steady.send(action=6, position=ticket).retcode == 10009


def test_a_requote_tells_the_present_prices(steady: Desk) -> None:
    specify(steady, exemode=c.SYMBOL_TRADE_EXECUTION_INSTANT)
    requote = steady.deal(0, 0.1, price=1.1, deviation=9)
    assert (requote.retcode, requote.bid, requote.ask) == (10004, 1.1, 1.1001)
    done = steady.deal(0, 0.1, price=1.1, deviation=10, type_filling=1)
    assert (done.retcode, done.price) == (10009, 1.1001)
    # instant execution fills or kills market orders and lets the others wait, whatever was asked for
    steady.pend(2, 1.09)
    (pending_,) = steady.get("orders_get")
    (market,) = steady.get("history_orders_get", ticket=done.order)
    assert (market.type_filling, pending_.type_filling) == (c.ORDER_FILLING_FOK, c.ORDER_FILLING_RETURN)


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
