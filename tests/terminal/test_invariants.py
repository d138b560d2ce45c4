"""What holds whatever is traded, on accounts of every kind."""

from collections import defaultdict
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.config import MarginMode
from tests.terminal.depths import Thin
from tests.terminal.desk import Desk

SYMBOLS = ("EURUSD", "USDJPY")
VOLUMES = st.sampled_from([0.01, 0.05, 0.1, 0.15, 0.3])
OFFSETS = st.integers(-300, 300)
STOPS = st.sampled_from([None, None, None, -200, -20, 20, 200])
FILLINGS = st.integers(0, 2)
BOOK = {"exemode": 3, "filling_mode": 7}

OPEN = st.tuples(
    st.just("open"), st.sampled_from(SYMBOLS), st.integers(0, 1), VOLUMES, STOPS, STOPS, FILLINGS
)
STEPS = st.one_of(
    OPEN,
    OPEN.filter(bool),  # twice as often
    st.tuples(st.just("wait"), st.floats(0.1, 3000.0)),
    st.tuples(st.just("pend"), st.sampled_from(SYMBOLS), st.integers(2, 7), VOLUMES, OFFSETS, OFFSETS),
    st.tuples(st.just("close"), st.integers(0, 9), VOLUMES, FILLINGS),
    st.tuples(st.just("stops"), st.integers(0, 9), STOPS, STOPS),
    st.tuples(st.just("close_by"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
)


def near(desk: Desk, symbol: str, points: int | None) -> float:
    if points is None:
        return 0.0
    info = desk.get("symbol_info", symbol)
    return float(round(info.bid + points * info.point, info.digits))


def open_desk(seed: int, mode: MarginMode) -> Desk:
    """A desk where EURUSD is traded on an exchange with little volume, USDJPY over the counter."""
    desk = Desk(SimulatedConfig(seed=seed, margin_mode=mode))
    market = desk.terminal._market
    market.depth = Thin(seed)
    market.symbols["EURUSD"] = msgspec.structs.replace(market.symbols["EURUSD"], **BOOK)
    return desk


def perform(desk: Desk, step: tuple[Any, ...]) -> None:
    kind, *values = step
    positions, orders = desk.get("positions_get"), desk.get("orders_get")
    if kind == "wait":
        desk.clock.now += values[0]
    elif kind == "open":
        symbol, side, volume, sl, tp, filling = values
        stops = {"sl": near(desk, symbol, sl), "tp": near(desk, symbol, tp)}
        desk.deal(side, volume, symbol=symbol, type_filling=filling, **stops)
    elif kind == "pend":
        symbol, side, volume, price, limit = values
        levels = {"stoplimit": near(desk, symbol, limit)}
        desk.pend(side, near(desk, symbol, price), symbol=symbol, volume=volume, **levels)
    elif kind == "close" and positions:
        position = positions[values[0] % len(positions)]
        fields = {"symbol": position.symbol, "position": position.ticket, "type_filling": values[2]}
        desk.deal(1 - position.type, values[1], **fields)
    elif kind == "stops" and positions:
        position = positions[values[0] % len(positions)]
        sl, tp = (near(desk, position.symbol, points) for points in values[1:])
        desk.send(action=6, symbol=position.symbol, position=position.ticket, sl=sl, tp=tp)
    elif kind == "close_by" and positions:
        one, other = (positions[value % len(positions)].ticket for value in values)
        desk.send(action=10, position=one, position_by=other)
    elif kind == "remove" and orders:
        desk.send(action=8, order=orders[values[0] % len(orders)].ticket)


def check(desk: Desk, mode: str) -> None:
    account = desk.get("account_info")
    positions, orders = desk.get("positions_get"), desk.get("orders_get")
    done, deals = desk.get("history_orders_get", 0, 1 << 40), desk.get("history_deals_get", 0, 1 << 40)
    assert account.equity == round(account.balance + account.credit + account.profit, 2)
    assert account.margin_free == round(account.equity - account.margin, 2)
    assert account.margin_level == (100 * account.equity / account.margin if account.margin else 0.0)
    booked = sum(deal.profit + deal.swap + deal.commission + deal.fee for deal in deals)
    assert abs(account.balance - booked) < 0.005
    assert abs(account.profit - sum(position.profit + position.swap for position in positions)) < 0.005
    check_numbers(orders, done, deals)
    check_volumes(positions, (*orders, *done), deals)
    if mode != "hedging":
        assert len({position.symbol for position in positions}) == len(positions)


def check_numbers(orders: Any, done: Any, deals: Any) -> None:
    """Tickets are unique and ascend, history is in the order of time, deals have their orders."""
    tickets = [order.ticket for order in (*orders, *done)]
    assert len(set(tickets)) == len(tickets)
    made = [deal.ticket for deal in deals]
    assert made == sorted(set(made))
    assert {deal.order for deal in deals} <= {0, *tickets}
    for times in ([order.time_done_msc for order in done], [deal.time_msc for deal in deals]):
        assert times == sorted(times)
    assert {order.state for order in orders} <= {1, 3}
    assert {order.state for order in done} <= {2, 4, 5, 6}


def check_volumes(positions: Any, orders: Any, deals: Any) -> None:
    """What is open is the signed sum of its deals, and an order has traded what its deals have."""
    signed: dict[int, float] = defaultdict(float)
    traded: dict[int, float] = defaultdict(float)
    for deal in deals:
        signed[deal.position_id] += deal.volume if deal.type == 0 else -deal.volume
        traded[deal.order] += deal.volume
    known = set(signed)
    for position in positions:
        volume = signed.pop(position.identifier)
        assert position.volume > 0
        assert abs(volume - (position.volume if position.type == 0 else -position.volume)) < 1e-9
    assert all(abs(volume) < 1e-9 for volume in signed.values())
    for order in orders:
        volume = traded[order.ticket] / (2 if order.type == 8 else 1)
        assert abs(order.volume_initial - order.volume_current - volume) < 1e-9
        if volume:
            assert order.position_id in known
        elif order.type > 1:  # a pending order has none until it trades
            assert order.position_id == 0
        if order.state == 4:
            assert order.volume_current == 0


def story(desk: Desk) -> list[Any]:
    names = ("account_info", "positions_get", "orders_get")
    history = [desk.get(name, 0, 1 << 40) for name in ("history_orders_get", "history_deals_get")]
    return [*(desk.get(name) for name in names), *history]


@pytest.mark.parametrize("mode", ["hedging", "netting", "exchange"])
@settings(max_examples=50, deadline=None)
@given(steps=st.lists(STEPS, min_size=10, max_size=30), seed=st.integers(1, 3))
def test_the_books_balance_and_repeat(mode: MarginMode, steps: list[tuple[Any, ...]], seed: int) -> None:
    desks = [open_desk(seed, mode) for _ in range(2)]
    for step in steps:
        for desk in desks:
            perform(desk, step)
        check(desks[0], mode)
    assert story(desks[0]) == story(desks[1])
