"""One position a symbol: netting and exchange accounts; section 4 of the semantics digest.

EURUSD has a contract of 100,000: 0.00100 is worth 10.00 USD with 0.1 lot. Stands at 1.10000/1.10010, and from
the 60th second at 1.10200/1.10210.
"""

from collections.abc import Callable
from typing import Any

import pytest

from mt5crs import constants as c
from tests.terminal.desk import OPENING, Desk

BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL
IN, OUT, INOUT = c.DEAL_ENTRY_IN, c.DEAL_ENTRY_OUT, c.DEAL_ENTRY_INOUT


@pytest.fixture(params=["netting", "exchange"])
def desk(quotes: Callable[..., Desk], request: pytest.FixtureRequest) -> Desk:
    ticks = (0, 1.1, 1.1001), (60, 1.102, 1.1021), (3600, 1.102, 1.1021)
    return quotes(*ticks, margin_mode=request.param)


def position(desk: Desk) -> Any:
    (position,) = desk.get("positions_get")
    return position


def deals(desk: Desk) -> list[Any]:
    return list(desk.get("history_deals_get", 0, 1 << 40)[1:])  # the first is the deposit


def test_the_account_says_what_it_is(quotes: Callable[..., Desk]) -> None:
    modes = {
        mode: quotes((0, 1.1, 1.1001), margin_mode=mode, fifo_close=True).get("account_info")
        for mode in ("netting", "exchange", "hedging")
    }
    assert {name: info.margin_mode for name, info in modes.items()} == {
        "netting": c.ACCOUNT_MARGIN_MODE_RETAIL_NETTING,
        "exchange": c.ACCOUNT_MARGIN_MODE_EXCHANGE,
        "hedging": c.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
    }
    # MQL5's ACCOUNT_FIFO_CLOSE: always false on accounts that are not hedging
    assert [modes[name].fifo_close for name in modes] == [False, False, True]


def test_the_same_direction_averages(desk: Desk) -> None:
    first = desk.deal(BUY, 0.1, magic=1, comment="first").order
    desk.at(60)
    second = desk.deal(BUY, 0.3, magic=2, comment="second").order
    held = position(desk)
    # (0.1 x 1.1001 + 0.3 x 1.1021) / 0.4
    assert (held.ticket, held.identifier, held.volume, held.price_open) == (first, first, 0.4, 1.1016)
    assert (held.time, held.time_update) == (OPENING, OPENING + 60)
    assert (held.magic, held.comment) == (1, "first")
    assert held.profit == 16.0  # 0.0004 x 40,000
    assert [(deal.entry, deal.type, deal.position_id) for deal in deals(desk)] == [(IN, BUY, first)] * 2
    (order,) = desk.get("history_orders_get", ticket=second)
    assert (order.position_id, order.state) == (first, c.ORDER_STATE_FILLED)


def test_an_average_has_more_digits_than_the_symbol(desk: Desk) -> None:
    desk.deal(BUY, 0.1)
    desk.at(60)
    desk.deal(BUY, 0.2)
    # (0.1 x 1.1001 + 0.2 x 1.1021) / 0.3 = 1.101433...
    assert position(desk).price_open == 1.1014333333


def test_the_opposite_direction_reduces_then_closes(desk: Desk) -> None:
    ticket = desk.deal(BUY, 0.3, sl=1.09, tp=1.12).order
    desk.at(60)
    desk.deal(SELL, 0.1, sl=1.11, tp=1.1)
    held = position(desk)
    assert (held.ticket, held.volume, held.price_open, held.type) == (ticket, 0.2, 1.1001, BUY)
    assert (held.sl, held.tp) == (1.09, 1.12)  # a partial close does not touch them
    assert (held.time, held.time_update) == (OPENING, OPENING + 60)
    desk.deal(SELL, 0.2)
    assert desk.get("positions_total") == 0
    # 0.0019 x 10,000 and x 20,000
    assert [(d.entry, d.type, d.volume, d.profit) for d in deals(desk)[1:]] == [
        (OUT, SELL, 0.1, 19.0),
        (OUT, SELL, 0.2, 38.0),
    ]
    assert {deal.position_id for deal in deals(desk)} == {ticket}
    assert desk.get("account_info").balance == 10_057.0


def test_a_larger_opposite_deal_reverses(desk: Desk) -> None:
    first = desk.deal(BUY, 0.1, sl=1.09, magic=1, comment="long").order
    desk.at(60)
    sent = desk.deal(SELL, 0.3, tp=1.08, magic=2, comment="short")
    assert (sent.volume, sent.price) == (0.3, 1.102)
    held = position(desk)
    assert (held.identifier, held.ticket) == (first, sent.order)
    assert (held.type, held.volume, held.price_open) == (SELL, 0.2, 1.102)
    assert (held.sl, held.tp, held.magic, held.comment) == (0.0, 1.08, 2, "short")
    assert held.time == OPENING + 60
    (deal,) = desk.get("history_deals_get", ticket=sent.order)
    # ONE deal: the closed 0.1 lot earns 0.0019 x 10,000
    assert (deal.entry, deal.type, deal.volume, deal.profit) == (INOUT, SELL, 0.3, 19.0)
    assert deal.position_id == first
    assert [order.ticket for order in desk.get("history_orders_get", position=first)] == [first, sent.order]
    assert desk.get("positions_get", ticket=first) == ()
    # by its new ticket it is changed and closed
    assert desk.send(action=6, position=sent.order, sl=1.12).retcode == 10009
    closed = desk.deal(BUY, 0.2, position=sent.order)
    (deal,) = desk.get("history_deals_get", ticket=closed.order)
    assert (deal.entry, deal.position_id, deal.profit) == (OUT, first, -2.0)  # the spread: 0.0001 x 20,000
    assert desk.get("positions_total") == 0


@pytest.mark.parametrize(
    ("levels", "expected"),
    [({"sl": 1.095, "tp": 1.13}, (1.095, 1.13)), ({"sl": 1.095}, (1.095, 0.0)), ({}, (0.0, 0.0))],
)
def test_the_last_order_of_the_direction_sets_the_stops(
    desk: Desk, levels: dict[str, float], expected: tuple[float, float]
) -> None:
    desk.deal(BUY, 0.1, sl=1.09, tp=1.12)
    desk.deal(BUY, 0.1, **levels)
    assert (position(desk).sl, position(desk).tp) == expected


def test_stops_are_set_by_the_symbol(desk: Desk) -> None:
    ticket = desk.deal(BUY, 0.1).order
    assert desk.send(action=6, symbol="EURUSD", sl=1.09, tp=1.12).retcode == 10009
    assert (position(desk).sl, position(desk).tp) == (1.09, 1.12)
    assert desk.send(action=6, position=ticket, sl=1.08).retcode == 10009
    assert (position(desk).sl, position(desk).tp) == (1.08, 0.0)


def test_a_named_position_is_closed_and_never_reversed(desk: Desk) -> None:
    ticket = desk.deal(BUY, 0.1).order
    assert desk.deal(SELL, 0.2, position=ticket).retcode == 10038
    assert desk.deal(SELL, 0.1, position=ticket).retcode == 10009
    assert desk.get("positions_total") == 0


def test_symbols_have_positions_of_their_own(desk: Desk) -> None:
    eur, jpy = desk.deal(BUY, 0.1).order, desk.deal(SELL, 0.1, symbol="USDJPY").order
    assert [held.ticket for held in desk.get("positions_get")] == [eur, jpy]


def test_a_pending_order_meets_the_position(desk: Desk) -> None:
    first = desk.deal(BUY, 0.1, sl=1.09).order
    stop = desk.pend(c.ORDER_TYPE_BUY_STOP, 1.102, volume=0.1, sl=1.095).order
    limit = desk.pend(c.ORDER_TYPE_SELL_LIMIT, 1.102, volume=0.3).order
    assert {order.position_id for order in desk.get("orders_get")} == {0}
    desk.at(61)
    held = position(desk)
    assert (held.identifier, held.ticket, held.type, held.volume) == (first, limit, SELL, 0.1)
    done = desk.get("history_orders_get", position=first)
    assert [order.ticket for order in done] == [first, stop, limit]
    assert [deal.entry for deal in deals(desk)] == [IN, IN, INOUT]


def test_a_stop_closes_the_whole_position(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.08, 1.0801), (120, 1.08, 1.0801), margin_mode="netting")
    ticket = desk.deal(BUY, 0.1).order
    desk.deal(BUY, 0.1, sl=1.09)
    desk.at(60)
    assert desk.get("positions_total") == 0
    last = deals(desk)[-1]
    assert (last.entry, last.volume, last.position_id, last.reason) == (OUT, 0.2, ticket, c.DEAL_REASON_SL)
    assert last.profit == -402.0  # 0.0201 x 20,000


def test_order_check_nets_the_position(desk: Desk) -> None:
    desk.deal(BUY, 0.3)
    desk.at(60)
    before = desk.get("account_info")
    part = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": SELL}
    checked = desk.get("order_check", part)
    # a third of the floating 57.00 would be booked; equity stays, margin is that of 0.2 lot at 1.1001
    assert (checked.retcode, checked.balance, checked.profit) == (0, 10_019.0, 38.0)
    assert (checked.equity, checked.margin) == (before.equity, 220.02)
    checked = desk.get("order_check", part | {"volume": 0.4})
    # a reversal: 0.1 lot short at 1.1020
    assert (checked.balance, checked.profit, checked.margin) == (10_057.0, 0.0, 110.2)
    desk.get("order_send", part | {"volume": 0.4})
    after = desk.get("account_info")
    assert (after.balance, after.margin) == (checked.balance, checked.margin)
