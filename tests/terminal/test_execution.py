"""Fillings and the depth of market; section 5 of the semantics digest, "Filling".

EURUSD stands at 1.10000/1.10010 for an hour and is executed by an exchange; the depth is what a test offers.
"""

from collections.abc import Callable
from typing import Any

import pytest

from mt5crs import constants as c
from tests.terminal.depths import Offer, Offers
from tests.terminal.desk import OPENING, Desk
from tests.terminal.test_retcodes import specify

BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL
FOK, IOC, RETURN, BOC = range(4)
ASKS: list[Offer] = [(1.1001, 0.1), (1.1002, 0.2), (1.1005, 0.1)]
BIDS: list[Offer] = [(1.1, 0.1), (1.0999, 0.2)]


@pytest.fixture(params=["hedging", "netting"])
def desk(quotes: Callable[..., Desk], request: pytest.FixtureRequest) -> Desk:
    ticks = [(second, 1.1, 1.1001) for second in (0, 10, 20, 30, 3600)]
    desk = quotes(*ticks, margin_mode=request.param)
    specify(desk, exemode=c.SYMBOL_TRADE_EXECUTION_EXCHANGE, filling_mode=7)
    offer(desk)
    return desk


def offer(desk: Desk, asks: list[Offer] = ASKS, bids: list[Offer] = BIDS) -> None:
    desk.terminal._market.depth = Offers(asks, bids)


def only(things: tuple[Any, ...]) -> Any:
    (thing,) = things
    return thing


@pytest.mark.parametrize("filling", [FOK, IOC, RETURN])
def test_an_order_walks_the_depth(desk: Desk, filling: int) -> None:
    sent = desk.deal(BUY, 0.25, type_filling=filling, sl=1.09)
    deals = desk.get("history_deals_get", ticket=sent.order)
    assert [(deal.volume, deal.price, deal.entry) for deal in deals] == [(0.1, 1.1001, 0), (0.15, 1.1002, 0)]
    assert sent.retcode == 10009
    # 0.1 x 1.1001 + 0.15 x 1.1002 = 0.27504, by 0.25
    assert (sent.volume, sent.price, sent.deal) == (0.25, 1.10016, deals[0].ticket)
    assert len({deal.ticket for deal in deals}) == 2
    assert {deal.position_id for deal in deals} == {sent.order}
    position = only(desk.get("positions_get"))
    assert (position.ticket, position.volume, position.price_open, position.sl) == (
        sent.order, 0.25, 1.10016, 1.09,
    )  # fmt: skip
    order = only(desk.get("history_orders_get", ticket=sent.order))
    assert (order.state, order.volume_initial, order.volume_current) == (c.ORDER_STATE_FILLED, 0.25, 0.0)


def test_fill_or_kill_takes_all_or_nothing(desk: Desk) -> None:
    killed = desk.deal(BUY, 0.41, type_filling=FOK)
    assert (killed.retcode, killed.deal, killed.volume, killed.price) == (10006, 0, 0.0, 0.0)
    order = only(desk.get("history_orders_get", ticket=killed.order))
    assert (order.state, order.volume_current, order.position_id) == (c.ORDER_STATE_REJECTED, 0.41, 0)
    assert desk.get("positions_total") == 0
    assert desk.deal(BUY, 0.4, type_filling=FOK).retcode == 10009  # nothing had been taken


def test_immediate_or_cancel_takes_what_there_is(desk: Desk) -> None:
    sent = desk.deal(BUY, 1.0, type_filling=IOC)
    # 0.1 x 1.1001 + 0.2 x 1.1002 + 0.1 x 1.1005 = 0.4401, by 0.4
    assert (sent.retcode, sent.volume, sent.price) == (10010, 0.4, 1.10025)
    order = only(desk.get("history_orders_get", ticket=sent.order))
    assert (order.state, order.volume_initial, order.volume_current) == (c.ORDER_STATE_CANCELED, 1.0, 0.6)
    assert order.position_id == sent.order
    assert only(desk.get("positions_get")).volume == 0.4
    assert desk.get("orders_total") == 0


def test_return_leaves_the_rest_waiting(desk: Desk) -> None:
    sent = desk.deal(BUY, 1.0, type_filling=RETURN)
    assert (sent.retcode, sent.volume) == (10010, 0.4)
    order = only(desk.get("orders_get"))
    assert (order.ticket, order.state, order.type) == (sent.order, c.ORDER_STATE_PARTIAL, BUY)
    assert (order.volume_initial, order.volume_current, order.position_id) == (1.0, 0.6, sent.order)
    assert desk.get("history_orders_get", ticket=sent.order) == ()
    assert desk.send(action=8, order=sent.order).retcode == 10009
    order = only(desk.get("history_orders_get", ticket=sent.order))
    assert (order.state, order.volume_current) == (c.ORDER_STATE_CANCELED, 0.6)
    assert only(desk.get("positions_get")).volume == 0.4


def test_a_waiting_rest_is_filled_by_a_later_quote(desk: Desk) -> None:
    sent = desk.deal(BUY, 0.5, type_filling=RETURN)
    assert desk.send(action=6, position=sent.order, sl=1.05).retcode == 10009
    offer(desk, [(1.1001, 5.0)])
    desk.at(10)
    assert desk.get("orders_total") == 0
    position = only(desk.get("positions_get"))
    # 0.1 x 1.1001 + 0.2 x 1.1002 + 0.1 x 1.1005 + 0.1 x 1.1001 = 0.55011, by 0.5
    assert (position.ticket, position.volume, position.price_open) == (sent.order, 0.5, 1.10022)
    assert position.sl == 1.05  # what was set since is not undone by the order that opened it
    order = only(desk.get("history_orders_get", ticket=sent.order))
    assert (order.state, order.volume_current) == (c.ORDER_STATE_FILLED, 0.0)
    assert order.time_done == OPENING + 10
    assert len(desk.get("history_deals_get", ticket=sent.order)) == 4


def test_an_order_may_wait_before_anything_is_there(desk: Desk) -> None:
    offer(desk, [])
    sent = desk.deal(BUY, 0.1, type_filling=RETURN)
    assert (sent.retcode, sent.deal, sent.volume, sent.price) == (10008, 0, 0.0, 0.0)
    order = only(desk.get("orders_get"))
    assert (order.ticket, order.state, order.position_id) == (sent.order, c.ORDER_STATE_PLACED, 0)


def test_a_close_by_parts(desk: Desk) -> None:
    ticket = desk.deal(BUY, 0.4).order
    sent = desk.deal(SELL, 0.4, position=ticket, type_filling=IOC)
    # 0.1 lot sold at the bid, 0.2 a point and a half pip below
    assert (sent.retcode, sent.volume) == (10010, 0.3)
    position = only(desk.get("positions_get"))
    assert (position.ticket, position.volume, position.price_open) == (ticket, 0.1, 1.10025)
    deals = desk.get("history_deals_get", ticket=sent.order)
    # (1.1 - 1.10025) x 10,000 and (1.0999 - 1.10025) x 20,000
    assert [(d.entry, d.profit, d.position_id) for d in deals] == [(1, -2.5, ticket), (1, -7.0, ticket)]


def test_the_rest_of_a_close_ends_with_its_position(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.1, 1.1001), (3600, 1.1, 1.1001))
    specify(desk, exemode=c.SYMBOL_TRADE_EXECUTION_EXCHANGE, filling_mode=7)
    offer(desk, [(1.1001, 5.0)])
    long = desk.deal(BUY, 0.5).order
    closing = desk.deal(SELL, 0.5, position=long, type_filling=RETURN)
    assert (closing.retcode, closing.volume) == (10010, 0.3)
    assert only(desk.get("orders_get")).position_id == long
    assert desk.deal(SELL, 0.1, position=long).retcode == 10039
    ledger, account = desk.terminal._trading._ledger, desk.terminal._account
    short = desk.pend(c.ORDER_TYPE_SELL_LIMIT, 1.2, volume=0.2).order
    stop = account.orders[short]
    stop.position_id = long  # as the close by a stop that was touched
    ledger.fill(stop, 1.09, OPENING * 1000)
    assert desk.get("positions_total") == desk.get("orders_total") == 0
    order = only(desk.get("history_orders_get", ticket=closing.order))
    assert (order.state, order.volume_current) == (c.ORDER_STATE_CANCELED, 0.2)


def test_a_limit_order_keeps_to_its_price(desk: Desk) -> None:
    offer(desk, ASKS, [(1.1, 0.1), (1.0999, 0.2)])
    terminal = desk.terminal
    placed = desk.pend(c.ORDER_TYPE_SELL_LIMIT, 1.1, volume=0.3, type_filling=RETURN).order
    order, tick = terminal._account.orders[placed], desk.get("symbol_info_tick", "EURUSD")
    deals = terminal._trading._execution.execute(order, tick, OPENING * 1000)
    assert [(deal.volume, deal.price) for deal in deals] == [(0.1, 1.1)]
    order = only(desk.get("orders_get"))
    assert (order.state, order.volume_current, order.price_open) == (c.ORDER_STATE_PARTIAL, 0.2, 1.1)
    assert (order.type, order.position_id) == (c.ORDER_TYPE_SELL_LIMIT, placed)
    # what is left can be modified and removed as before
    assert desk.send(action=7, order=placed, price=1.2).retcode == 10009
    assert only(desk.get("orders_get")).state == c.ORDER_STATE_PARTIAL
    assert desk.send(action=8, order=placed).retcode == 10009


def test_over_the_counter_any_volume_is_at_the_quote(steady: Desk) -> None:
    sent = steady.deal(BUY, 5.0, type_filling=IOC)
    assert (sent.retcode, sent.volume, sent.price) == (10009, 5.0, 1.1001)
    assert len(steady.get("history_deals_get", ticket=sent.order)) == 1
