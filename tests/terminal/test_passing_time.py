"""What time does: the order of events, gaps, the end of days and contracts; digest sections 5 and 6.

Each case is worked out by hand from the quotes that it writes down; EURUSD has a contract of 100,000.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mt5crs import constants as c
from tests.terminal.desk import OPENING, Desk

Quotes = Callable[..., Desk]
BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL
MIDNIGHT = 86_400


def specify(desk: Desk, **fields: Any) -> None:
    """Change EURUSD as a broker would have set it up."""
    symbols = desk.terminal.market.symbols
    symbols["EURUSD"] = msgspec.structs.replace(symbols["EURUSD"], **fields)


def done(desk: Desk) -> list[Any]:
    return list(desk.get("history_orders_get", 0, 1 << 40))


def deals(desk: Desk) -> list[Any]:
    return [deal for deal in desk.get("history_deals_get", 0, 1 << 40) if deal.type < 2]


@pytest.mark.parametrize(
    ("kind", "level", "gap", "price"),
    [
        # a limit fills at the quote, which is better than its level
        (c.ORDER_TYPE_BUY_LIMIT, 1.0990, (1.0950, 1.0951), 1.0951),
        (c.ORDER_TYPE_SELL_LIMIT, 1.1010, (1.1050, 1.1051), 1.1050),
        # a stop behind a gap at the quote, which is worse
        (c.ORDER_TYPE_BUY_STOP, 1.1010, (1.1050, 1.1051), 1.1051),
        (c.ORDER_TYPE_SELL_STOP, 1.0990, (1.0950, 1.0951), 1.0950),
    ],
)
def test_gaps(quotes: Quotes, kind: int, level: float, gap: tuple[float, float], price: float) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, *gap), (20, *gap))
    desk.pend(kind, level)
    desk.at(20)
    (deal,) = deals(desk)
    assert (deal.price, deal.time) == (price, OPENING + 10)


def test_a_position_is_looked_at_from_the_tick_after_the_one_that_opened_it(quotes: Quotes) -> None:
    # The gap is beyond the order's take profit: it opens at 10 and is closed by the next tick, at 20.
    desk = quotes((0, 1.1, 1.1001), (10, 1.105, 1.1051), (20, 1.1052, 1.1053), (30, 1.1, 1.1001))
    ticket = desk.pend(c.ORDER_TYPE_BUY_STOP, 1.1010, tp=1.1020).order
    desk.at(30)
    opened, closed = deals(desk)
    assert (opened.price, opened.time) == (1.1051, OPENING + 10)
    assert (closed.price, closed.time, closed.position_id) == (1.1052, OPENING + 20, ticket)
    assert closed.comment == "[tp 1.10200]"


def test_a_stop_limit_becomes_a_limit_and_fills_at_a_later_tick(quotes: Quotes) -> None:
    # Price and stoplimit are the same: the tick at 10 sets it off, and only the one at 20 fills it.
    desk = quotes((0, 1.1, 1.1001), (10, 1.1009, 1.1010), (20, 1.1008, 1.1009), (30, 1.1, 1.1001))
    ticket = desk.pend(c.ORDER_TYPE_BUY_STOP_LIMIT, 1.1010, stoplimit=1.1010).order
    desk.at(30)
    (deal,) = deals(desk)
    assert (deal.order, deal.price, deal.time) == (ticket, 1.1009, OPENING + 20)


def test_what_one_tick_touches_is_carried_out_by_ticket(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.09, 1.0901), (20, 1.09, 1.0901))
    first = desk.pend(c.ORDER_TYPE_SELL_STOP, 1.0990).order
    second = desk.deal(BUY, 0.1, sl=1.0980).order
    third = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.0995).order
    desk.at(20)
    opening, *caused = deals(desk)
    assert opening.order == second
    assert [deal.position_id for deal in caused] == [first, second, third]
    assert {deal.time for deal in caused} == {OPENING + 10}


def test_expirations_come_before_the_tick_of_their_time_and_by_time_then_ticket(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (100, 1.08, 1.0801), (300, 1.08, 1.0801))
    specified = {"type_time": c.ORDER_TIME_SPECIFIED}
    late = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.09, expiration=OPENING + 100, **specified).order
    early = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.05, expiration=OPENING + 50, **specified).order
    other = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.05, expiration=OPENING + 100, **specified).order
    filled = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.085).order
    desk.at(200)
    orders = done(desk)
    assert [order.ticket for order in orders] == [early, late, other, filled]
    assert [order.state for order in orders] == [6, 6, 6, 4]
    assert [order.time_done - OPENING for order in orders] == [50, 100, 100, 100]
    assert orders[0].price_current == 1.1001  # the ask then quoted


@pytest.mark.parametrize(
    ("mode", "alive", "stops"),
    [(0, True, (1.09, 1.12)), (1, False, (0.0, 0.0)), (2, False, (1.09, 1.12))],
)
def test_the_end_of_the_day(quotes: Quotes, mode: int, alive: bool, stops: tuple[float, float]) -> None:
    """`order_gtc_mode`: 1 ends pendings and stops with the day, 2 pendings alone; other expirations stay."""
    desk = quotes((0, 1.1, 1.1001), (2 * MIDNIGHT, 1.1, 1.1001))
    specify(desk, order_gtc_mode=mode)
    desk.deal(BUY, 0.1, sl=1.09, tp=1.12)
    ticket = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.08).order
    fields = {"type_time": c.ORDER_TIME_SPECIFIED, "expiration": OPENING + MIDNIGHT + 100}
    specified = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.08, **fields).order
    desk.at(MIDNIGHT - 1)
    assert desk.get("orders_total") == 2
    desk.at(MIDNIGHT + 50)
    assert [order.ticket for order in desk.get("orders_get")] == ([ticket] if alive else []) + [specified]
    (position,) = desk.get("positions_get")
    assert (position.sl, position.tp) == stops
    if not alive:
        (order,) = desk.get("history_orders_get", ticket=ticket)
        assert (order.state, order.time_done) == (c.ORDER_STATE_EXPIRED, OPENING + MIDNIGHT)


def test_every_midnight_rolls_over_once(quotes: Quotes, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = quotes((0, 1.1, 1.1001), (5 * MIDNIGHT, 1.1, 1.1001))
    seen: list[int] = []
    monkeypatch.setattr(desk.terminal._account, "roll_over", seen.append)
    desk.at(100)
    desk.deal(BUY, 0.1)
    desk.at(MIDNIGHT * 2.5)
    desk.terminal.advance()
    desk.at(MIDNIGHT * 3)
    desk.terminal.advance()
    desk.terminal.advance()
    assert seen == [(OPENING + MIDNIGHT * day) * 1000 for day in (1, 2, 3)]


def test_a_contract_ends(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (50, 1.105, 1.1051), (100, 1.2, 1.2001), (300, 1.2, 1.2001))
    specify(desk, expiration_time=OPENING + 100)
    desk.deal(BUY, 0.1)
    ticket = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.08).order
    desk.at(200)
    assert desk.get("positions_total") == desk.get("orders_total") == 0
    _opened, closed = deals(desk)
    # The last quote before the end: (1.1050 - 1.1001) x 10,000
    assert (closed.price, closed.profit, closed.time) == (1.105, 49.0, OPENING + 100)
    (order,) = desk.get("history_orders_get", ticket=ticket)
    assert (order.state, order.time_done) == (c.ORDER_STATE_EXPIRED, OPENING + 100)


def test_money_is_that_of_the_moment(quotes: Quotes) -> None:
    """A pending order is affordable or not by the prices at which it is set off, not by later ones."""
    # 0.8 lot from 1.1001 cost 880.08 of margin; at 10 the bid is 1.0990: 88.00 lost, equity 912.00.
    # Another 0.1 lot at 1.0991 costs 109.91, together 989.99: too much. At 20 equity would be enough.
    desk = quotes(
        (0, 1.1, 1.1001), (10, 1.0990, 1.0991), (20, 1.12, 1.1201), (30, 1.12, 1.1201), deposit=1000.0
    )
    desk.deal(BUY, 0.8)
    ticket = desk.pend(c.ORDER_TYPE_BUY_LIMIT, 1.0995).order
    desk.at(20)
    (order,) = desk.get("history_orders_get", ticket=ticket)
    assert (order.state, order.comment) == (c.ORDER_STATE_REJECTED, "[No money]")
    assert order.time_done == OPENING + 10
    assert desk.get("positions_total") == 1


def test_nothing_happens_twice_and_the_clock_may_stand(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (10, 1.09, 1.0901), (20, 1.09, 1.0901))
    desk.pend(c.ORDER_TYPE_SELL_STOP, 1.0990)
    desk.at(10)
    for _ in range(3):
        desk.terminal.advance()
    assert len(deals(desk)) == 1


def test_a_request_has_one_time(quotes: Callable[..., Desk]) -> None:
    """The clock goes on by half a second with every look at it; nothing is touched by what came before it."""
    desk = quotes((0, 1.1, 1.1001), (1, 1.2, 1.2001), (2, 1.3, 1.3001), (3600, 1.3, 1.3001))
    readings = iter([OPENING + 0.4 + n / 2 for n in range(10_000)])
    desk.terminal.market.clock.read = lambda: next(readings)
    ticket = desk.deal(0, 0.1, tp=1.2).order
    orders = desk.get("history_orders_get", position=ticket)
    deals = desk.get("history_deals_get", position=ticket)
    assert len(deals) == 2  # by now the price has come to the take profit
    assert (deals[0].price, deals[0].time) == (1.1001, OPENING)
    assert deals[0].time_msc == orders[0].time_setup_msc == orders[0].time_done_msc < deals[1].time_msc
