"""Orders from request to history on a hedging account; sections 4 to 6 of the semantics digest.

EURUSD has a contract of 100,000: with 0.1 lot a point is worth 0.10 USD and 0.00100 is worth 10.00 USD.
"""

from collections.abc import Callable
from typing import Any

import pytest

from mt5crs import constants as c
from tests.terminal.desk import OPENING, Desk

Quotes = Callable[..., Desk]
BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL


def closed_by(desk: Desk, position: int) -> Any:
    """The last order and the last deal of a position."""
    orders = desk.get("history_orders_get", position=position)
    deals = desk.get("history_deals_get", position=position)
    return orders[-1], deals[-1]


def test_the_life_of_a_position(quotes: Quotes) -> None:
    desk = quotes((0, 1.10000, 1.10010), (60, 1.10100, 1.10110), (120, 1.10100, 1.10110))
    opened = desk.deal(BUY, 0.1, sl=1.09, tp=1.12, magic=7, comment="first")
    assert (opened.retcode, opened.comment) == (10009, "Request executed")
    assert (opened.volume, opened.price, opened.bid, opened.ask) == (0.1, 1.1001, 1.1, 1.1001)
    assert opened.request.magic == 7

    (position,) = desk.get("positions_get")
    assert position.ticket == position.identifier == opened.order != opened.deal
    assert (position.type, position.reason) == (c.POSITION_TYPE_BUY, c.POSITION_REASON_EXPERT)
    assert (position.price_open, position.price_current, position.profit) == (1.1001, 1.1, -1.0)
    assert (position.sl, position.tp, position.magic, position.comment) == (1.09, 1.12, 7, "first")
    assert position.time_msc == OPENING * 1000

    desk.at(60)  # section 4: a partial close keeps ticket, open price and open time
    part = desk.deal(SELL, 0.04, position=opened.order)
    assert part.price == 1.101
    (position,) = desk.get("positions_get", symbol="EURUSD")
    assert (position.ticket, position.volume, position.price_open) == (opened.order, 0.06, 1.1001)
    assert (position.time, position.time_update) == (OPENING, OPENING + 60)
    assert position.profit == 5.4  # 0.0009 x 6000
    desk.deal(SELL, 0.06, position=opened.order)
    assert desk.get("positions_total") == 0
    assert desk.get("positions_get", ticket=opened.order) == ()

    deposit, *deals = desk.get("history_deals_get", 0, 1 << 40)
    assert (deposit.type, deposit.order, deposit.symbol, deposit.profit) == (2, 0, "", 10_000.0)
    assert [deal.entry for deal in deals] == [0, 1, 1]
    assert [deal.type for deal in deals] == [0, 1, 1]
    assert [deal.profit for deal in deals] == [0.0, 3.6, 5.4]
    assert {deal.position_id for deal in deals} == {opened.order}
    assert desk.get("account_info").balance == 10_009.0
    orders = desk.get("history_orders_get", position=opened.order)
    assert [order.ticket for order in orders] == [deal.order for deal in deals]
    for order in orders:
        assert (order.state, order.volume_current) == (c.ORDER_STATE_FILLED, 0.0)
        assert order.price_current > 0
        assert order.time_done_msc >= order.time_setup_msc
    assert desk.get("history_deals_get", ticket=opened.order) == (deals[0],)


def test_opposite_deals_are_positions_of_their_own(steady: Desk) -> None:
    steady.deal(BUY, 0.1)
    steady.deal(SELL, 0.1)
    assert [position.type for position in steady.get("positions_get")] == [0, 1]
    # Section 7: matched volume is charged margin_hedged instead of the contract, at the average price:
    # 0.1 x 50,000 / 100 x 1.10005 = 55.0025.
    assert steady.get("account_info").margin == 55.0


def test_account_identities(steady: Desk) -> None:
    steady.deal(BUY, 0.1)
    account = steady.get("account_info")
    # 0.1 x 100,000 / 100 EUR at 1.10010
    assert (account.margin, account.profit, account.equity) == (110.01, -1.0, 9999.0)
    assert account.margin_free == 9888.99
    assert account.margin_level == pytest.approx(100 * 9999 / 110.01)
    assert steady.get("account_info").balance == 10_000.0


@pytest.mark.parametrize(
    ("kind", "stops", "gap", "price", "profit", "reason", "comment"),
    [
        # a long position is closed at the bid, at the price behind the gap
        (BUY, {"sl": 1.099}, (1.098, 1.0981), 1.098, -21.0, 4, "[sl 1.09900]"),
        (BUY, {"tp": 1.101}, (1.1012, 1.1013), 1.1012, 11.0, 5, "[tp 1.10100]"),
        # a short one at the ask
        (SELL, {"sl": 1.101}, (1.1013, 1.1014), 1.1014, -14.0, 4, "[sl 1.10100]"),
        (SELL, {"tp": 1.099}, (1.0988, 1.0989), 1.0989, 11.0, 5, "[tp 1.09900]"),
    ],
)
def test_stops(
    quotes: Quotes,
    kind: int,
    stops: dict[str, float],
    gap: tuple[float, float],
    price: float,
    profit: float,
    reason: int,
    comment: str,
) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, *gap), (20, *gap))
    ticket = desk.deal(kind, 0.1, **stops).order
    desk.at(20)
    desk.terminal.advance()
    order, deal = closed_by(desk, ticket)
    assert (deal.price, deal.profit, deal.entry) == (price, profit, c.DEAL_ENTRY_OUT)
    assert (deal.reason, deal.comment, order.reason, order.comment) == (reason, comment, reason, comment)
    assert deal.time == OPENING + 10
    assert deal.type == order.type == 1 - kind
    assert desk.get("positions_total") == 0


@pytest.mark.parametrize(
    ("kind", "level", "untouched", "touched", "price"),
    [
        (c.ORDER_TYPE_BUY_LIMIT, 1.0990, (1.0990, 1.0991), (1.0988, 1.0989), 1.0989),
        (c.ORDER_TYPE_SELL_LIMIT, 1.1010, (1.1009, 1.1010), (1.1011, 1.1012), 1.1011),
        (c.ORDER_TYPE_BUY_STOP, 1.1010, (1.1008, 1.1009), (1.1012, 1.1013), 1.1013),
        (c.ORDER_TYPE_SELL_STOP, 1.0990, (1.0991, 1.0992), (1.0987, 1.0988), 1.0987),
    ],
)
def test_activation(
    quotes: Quotes,
    kind: int,
    level: float,
    untouched: tuple[float, float],
    touched: tuple[float, float],
    price: float,
) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, *untouched), (20, *touched), (30, *touched))
    placed = desk.pend(kind, level, comment="wait")
    assert (placed.retcode, placed.deal) == (10009, 0)
    desk.at(15)
    (order,) = desk.get("orders_get")
    assert (order.ticket, order.state, order.type) == (placed.order, c.ORDER_STATE_PLACED, kind)
    assert (order.position_id, order.price_open, order.volume_current) == (0, level, 0.1)
    desk.at(30)
    assert desk.get("orders_total") == 0
    (position,) = desk.get("positions_get")
    assert (position.ticket, position.price_open, position.time) == (placed.order, price, OPENING + 20)
    assert position.comment == "wait"
    (order,) = desk.get("history_orders_get", ticket=placed.order)
    assert (order.state, order.position_id, order.type) == (c.ORDER_STATE_FILLED, placed.order, kind)


def test_a_stop_limit_turns_into_its_limit_order(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.1012, 1.1013), (20, 1.1003, 1.1004), (30, 1.1, 1.1))
    placed = desk.pend(c.ORDER_TYPE_BUY_STOP_LIMIT, 1.1010, stoplimit=1.1005)
    desk.at(15)
    (order,) = desk.get("orders_get")
    assert (order.ticket, order.type, order.price_open) == (placed.order, c.ORDER_TYPE_BUY_LIMIT, 1.1005)
    desk.at(25)
    (position,) = desk.get("positions_get")
    assert (position.ticket, position.price_open) == (placed.order, 1.1004)


@pytest.mark.parametrize(
    ("fields", "alive", "gone", "done"),
    [
        ({"type_time": c.ORDER_TIME_GTC}, 172_800, None, None),
        ({"type_time": c.ORDER_TIME_DAY}, 86_399, 86_400, 86_400),
        ({"type_time": c.ORDER_TIME_SPECIFIED, "expiration": OPENING + 100}, 99, 150, 100),
        ({"type_time": c.ORDER_TIME_SPECIFIED_DAY, "expiration": OPENING + 100}, 86_398, 86_400, 86_399),
    ],
)
def test_expiration(
    quotes: Quotes, fields: dict[str, int], alive: float, gone: float | None, done: int | None
) -> None:
    desk = quotes((0, 1.1, 1.1001), (200_000, 1.1, 1.1001))
    ticket = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, **fields).order
    desk.at(alive)
    assert desk.get("orders_total") == 1
    if gone is not None and done is not None:
        desk.at(gone)
        assert desk.get("orders_get", ticket=ticket) == ()
        (order,) = desk.get("history_orders_get", ticket=ticket)
        assert (order.state, order.time_done) == (c.ORDER_STATE_EXPIRED, OPENING + done)


def test_an_order_that_expired_is_not_filled_by_a_later_tick(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (200, 1.08, 1.0801), (300, 1.08, 1.0801))
    fields = {"type_time": c.ORDER_TIME_SPECIFIED, "expiration": OPENING + 100}
    desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, **fields)
    desk.at(250)
    assert desk.get("positions_total") == desk.get("orders_total") == 0


def test_modify_sets_exactly_what_is_sent(steady: Desk) -> None:
    ticket = steady.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, sl=1.08, tp=1.12).order
    assert steady.send(action=7, order=ticket, price=1.095, tp=1.11).retcode == 10009
    (order,) = steady.get("orders_get")
    assert (order.price_open, order.sl, order.tp) == (1.095, 0.0, 1.11)
    assert steady.send(action=7, order=ticket, price=1.095, tp=1.11).retcode == 10025
    assert steady.send(action=8, order=ticket).retcode == 10009
    (order,) = steady.get("history_orders_get", ticket=ticket)
    assert (order.state, order.position_id) == (c.ORDER_STATE_CANCELED, 0)
    assert steady.send(action=8, order=ticket).retcode == 10013


def test_sltp_of_a_position(steady: Desk) -> None:
    ticket = steady.deal(BUY, 0.1).order
    changed = steady.send(action=6, position=ticket, sl=1.09, tp=1.12)
    # A recorded answer: no deal, no order, no numbers, but a request id.
    assert (changed.retcode, changed.deal, changed.order, changed.bid, changed.ask) == (10009, 0, 0, 0.0, 0.0)
    assert changed.request_id > 0
    assert steady.send(action=6, position=ticket, sl=1.09, tp=1.12).retcode == 10025
    assert steady.send(action=6, position=ticket, sl=1.1001).retcode == 10016
    assert steady.send(action=6, position=ticket).retcode == 10009
    (position,) = steady.get("positions_get")
    assert (position.sl, position.tp) == (0.0, 0.0)


def test_close_by(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.102, 1.1021), (120, 1.102, 1.1021))
    long = desk.deal(BUY, 0.3).order
    desk.at(60)
    short = desk.deal(SELL, 0.1).order
    result = desk.send(action=10, position=long, position_by=short)
    assert result.retcode == 10009
    # 0.1 lot bought at 1.1001 and sold at 1.1020: 0.0019 x 10,000 = 19.00, no second spread
    first, second = desk.get("history_deals_get", ticket=result.order)
    assert (first.entry, second.entry) == (c.DEAL_ENTRY_OUT_BY, c.DEAL_ENTRY_OUT_BY)
    assert (first.volume, second.volume, first.profit, second.profit) == (0.1, 0.1, 19.0, 0.0)
    assert (first.position_id, second.position_id) == (long, short)
    (order,) = desk.get("history_orders_get", ticket=result.order)
    assert (order.type, order.position_id, order.position_by_id) == (c.ORDER_TYPE_CLOSE_BY, long, short)
    assert str(long) in order.comment
    assert str(short) in order.comment
    (position,) = desk.get("positions_get")
    assert (position.ticket, position.volume, position.price_open) == (long, 0.2, 1.1001)
    assert desk.get("account_info").balance == 10_019.0


def test_stop_out_closes_the_largest_loss_first(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.09, 1.0901), (120, 1.09, 1.0901), deposit=1100.0)
    big, small = desk.deal(BUY, 0.6).order, desk.deal(BUY, 0.2).order
    # Margin 660.06 + 220.02 = 880.08. At 1.09 the loss is 606 + 202 = 808: equity 292 is 33.18 %.
    desk.at(60)
    desk.terminal.advance()
    (position,) = desk.get("positions_get")
    assert position.ticket == small
    order, deal = closed_by(desk, big)
    assert (order.reason, deal.reason, deal.profit) == (6, 6, -606.0)
    assert deal.comment == "so: 33.18%/292.00/880.08"


def test_an_activation_without_money_is_rejected(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.08, 1.0801), (20, 1.08, 1.0801))
    ticket = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, volume=50.0).order
    desk.at(20)
    (order,) = desk.get("history_orders_get", ticket=ticket)
    assert order.state == c.ORDER_STATE_REJECTED
    assert desk.get("positions_total") == 0


def test_what_is_held_stays_in_market_watch(steady: Desk) -> None:
    assert steady.ask("symbol_select", "EURUSD", False) == (True, (1, "Success"))
    assert not steady.get("symbol_info", "EURUSD").select
    steady.deal(BUY, 0.1)
    steady.get("symbol_select", "EURUSD", True)
    assert steady.ask("symbol_select", "EURUSD", False)[0] is False


def test_open_things_are_found_by_ticket_then_symbol_then_group(steady: Desk) -> None:
    eur, jpy = steady.deal(BUY, 0.1), steady.deal(BUY, 0.1, symbol="USDJPY")
    found = steady.get("positions_get", ticket=eur.order, symbol="USDJPY")
    assert [position.ticket for position in found] == [eur.order]
    found = steady.get("positions_get", symbol="USDJPY", group="EUR*")
    assert [position.ticket for position in found] == [jpy.order]
    assert len(steady.get("positions_get", group="*USD*")) == 2
    assert len(steady.get("history_deals_get", 0, 1 << 40, group="*,!USDJPY")) == 2  # with the deposit
    assert steady.get("history_deals_total", 0, 1 << 40) == 3
    assert steady.get("history_orders_total", OPENING, OPENING) == 2
    assert steady.get("history_orders_get", OPENING + 1, 1 << 40) == ()


def test_every_deal_is_charged_and_a_closing_one_takes_its_share_of_the_swap(
    quotes: Quotes, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.101, 1.1011), (120, 1.101, 1.1011))
    account = desk.terminal._account
    asked: list[tuple[str, int, float, float]] = []

    def commission(symbol: Any, entry: int, volume: float, price: float) -> float:
        asked.append((symbol.name, entry, volume, price))
        return round(-3.5 * volume, 2)

    monkeypatch.setattr(account, "commission", commission)
    ticket = desk.deal(BUY, 0.4).order
    account.positions[ticket].swap = -2.0
    desk.at(60)
    desk.deal(SELL, 0.1, position=ticket)
    desk.deal(SELL, 0.3, position=ticket)
    deals = desk.get("history_deals_get", position=ticket)
    assert [deal.commission for deal in deals] == [-1.4, -0.35, -1.05]
    assert [deal.swap for deal in deals] == [0.0, -0.5, -1.5]  # a quarter, then the rest
    assert asked == [("EURUSD", 0, 0.4, 1.1001), ("EURUSD", 1, 0.1, 1.101), ("EURUSD", 1, 0.3, 1.101)]
    # 0.0009 x 40,000 = 36.00, less 2.80 and 2.00
    assert desk.get("account_info").balance == 10_031.2


def test_close_by_shares_swap_and_leaves_the_bigger_position(
    steady: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = steady.terminal._account
    small, big = steady.deal(BUY, 0.1).order, steady.deal(SELL, 0.4).order
    monkeypatch.setattr(account, "commission", lambda _symbol, entry, *_rest: -0.1 * entry)
    account.positions[small].swap, account.positions[big].swap = -1.0, -2.0
    result = steady.send(action=10, position=small, position_by=big)
    first, second = steady.get("history_deals_get", ticket=result.order)
    # bought at 1.1001, sold at 1.1000; all of the small one's swap, a quarter of the big one's
    assert (first.profit, first.swap, first.commission, first.type) == (-1.0, -1.0, pytest.approx(-0.3), SELL)
    assert (second.profit, second.swap, second.commission, second.type) == (
        0.0,
        -0.5,
        pytest.approx(-0.3),
        BUY,
    )
    (position,) = steady.get("positions_get")
    assert (position.ticket, position.volume, position.swap) == (big, 0.3, -1.5)
    # the order is part of both lives
    for ticket in (small, big):
        assert steady.get("history_orders_get", position=ticket)[-1].ticket == result.order
    (order,) = steady.get("history_orders_get", ticket=result.order)
    assert (order.volume_initial, order.volume_current) == (0.1, 0.0)


def test_order_check_of_a_close_by_frees_the_margin(steady: Desk) -> None:
    long, short = steady.deal(BUY, 0.1).order, steady.deal(SELL, 0.1).order
    checked = steady.get("order_check", {"action": 10, "position": long, "position_by": short})
    assert (checked.retcode, checked.comment, checked.margin) == (0, "Done", 0.0)
    assert steady.get("positions_total") == 2


def test_prices_are_rounded_to_the_digits(steady: Desk) -> None:
    request = {"symbol": "EURUSD", "volume": 0.1, "action": 5, "type": 2, "price": 1.0900049}
    sent = steady.get("order_send", request | {"sl": 1.0800051, "tp": 1.1199999})
    (order,) = steady.get("orders_get")
    assert (order.price_open, order.sl, order.tp) == (1.09, 1.08001, 1.12)
    assert (sent.request.price, sent.request.sl) == (1.0900049, 1.0800051)  # as it was asked
    ticket = steady.deal(BUY, 0.1).order
    steady.send(action=6, position=ticket, sl=1.0899999)
    (position,) = steady.get("positions_get")
    assert position.sl == 1.09
    assert steady.send(action=6, position=ticket, sl=1.0900001).retcode == 10025


def test_a_removed_order_keeps_the_price_of_that_moment(steady: Desk) -> None:
    for kind, level, price in ((c.ORDER_TYPE_BUY_LIMIT, 1.09, 1.1001), (c.ORDER_TYPE_SELL_LIMIT, 1.11, 1.1)):
        ticket = steady.pend(kind, level).order
        steady.send(action=8, order=ticket)
        (order,) = steady.get("history_orders_get", ticket=ticket)
        assert (order.price_current, order.price_open, order.volume_current) == (price, level, 0.1)


def test_a_modification_sets_the_expiration_as_well(steady: Desk) -> None:
    ticket = steady.pend(2, 1.09, type_time=c.ORDER_TIME_SPECIFIED, expiration=OPENING + 60).order
    assert steady.send(action=7, order=ticket, price=1.09).retcode == 10009
    (order,) = steady.get("orders_get")
    assert (order.type_time, order.time_expiration) == (c.ORDER_TIME_GTC, 0)
    later = {"type_time": c.ORDER_TIME_SPECIFIED, "expiration": OPENING + 90}
    assert steady.send(action=7, order=ticket, price=1.09, **later).retcode == 10009
    (order,) = steady.get("orders_get")
    assert (order.type_time, order.time_expiration) == (c.ORDER_TIME_SPECIFIED, OPENING + 90)


def test_other_fields_do_not_turn_a_new_order_into_a_change(steady: Desk) -> None:
    ticket = steady.pend(c.ORDER_TYPE_SELL_LIMIT, 1.11).order
    placed = steady.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, order=ticket, sl=1.08)
    assert placed.retcode == 10009
    assert {order.ticket for order in steady.get("orders_get")} == {ticket, placed.order}


def test_the_switches_are_shown(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001))
    terminal, account = desk.get("terminal_info"), desk.get("account_info")
    assert (terminal.connected, terminal.trade_allowed, terminal.tradeapi_disabled) == (True, True, False)
    assert (account.trade_allowed, account.trade_expert) == (True, True)
    switches = desk.terminal.switches
    switches.connected = switches.terminal_trade_allowed = False
    switches.account_trade_allowed = switches.account_trade_expert = False
    switches.tradeapi_disabled = True
    terminal, account = desk.get("terminal_info"), desk.get("account_info")
    assert (terminal.connected, terminal.trade_allowed, terminal.tradeapi_disabled) == (False, False, True)
    assert (account.trade_allowed, account.trade_expert) == (False, False)


def test_trading_from_python_can_be_disabled(quotes: Quotes) -> None:
    """Section 1.3: None and the error -8; the official package has its text in `order_send` alone."""
    desk = quotes((0, 1.1, 1.1001), tradeapi_disabled=True)
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": BUY}
    disabled = (-8, "Auto-Trading using Python API disabled in Terminal")
    assert desk.ask("order_send", request) == (None, disabled)
    assert desk.ask("order_check", request) == (None, (-1, "Terminal: Call failed"))
    assert desk.get("symbol_info_tick", "EURUSD").bid == 1.1


def test_what_is_held_is_in_market_watch(synthetic: Callable[..., Desk]) -> None:
    """Section 2: a symbol with a position or a pending order cannot be removed, so trading puts it there."""
    desk = synthetic()
    assert desk.get("symbol_select", "GBPUSD", False)
    assert not desk.get("symbol_info", "GBPUSD").select
    ticket = desk.deal(c.ORDER_TYPE_BUY, 0.1, symbol="GBPUSD").order
    info = desk.get("symbol_info", "GBPUSD")
    assert (info.select, info.visible) == (True, True)
    assert desk.ask("symbol_select", "GBPUSD", False) == (False, (-1, "Terminal: Call failed"))
    desk.deal(c.ORDER_TYPE_SELL, 0.1, symbol="GBPUSD", position=ticket)
    assert desk.get("symbol_select", "GBPUSD", False)
