"""What holds whatever is traded."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import Desk

SYMBOLS = ("EURUSD", "USDJPY", "EURJPY", "XAUUSD")
VOLUMES = st.sampled_from([0.01, 0.02, 0.1, 0.15, 0.5])
OFFSETS = st.integers(-300, 300)

STEPS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.1, 3000.0)),
    st.tuples(st.just("open"), st.sampled_from(SYMBOLS), st.integers(0, 1), VOLUMES, OFFSETS, OFFSETS),
    st.tuples(st.just("pend"), st.sampled_from(SYMBOLS), st.integers(2, 7), VOLUMES, OFFSETS, OFFSETS),
    st.tuples(st.just("close"), st.integers(0, 9), VOLUMES),
    st.tuples(st.just("close_by"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
)


def near(desk: Desk, symbol: str, points: int) -> float:
    info = desk.get("symbol_info", symbol)
    return float(round(info.bid + points * info.point, info.digits))


def perform(desk: Desk, step: tuple[Any, ...]) -> None:
    kind, *values = step
    positions, orders = desk.get("positions_get"), desk.get("orders_get")
    if kind == "wait":
        desk.clock.now += values[0]
    elif kind == "open":
        symbol, side, volume, sl, tp = values
        desk.deal(side, volume, symbol=symbol, sl=near(desk, symbol, sl), tp=near(desk, symbol, tp))
    elif kind == "pend":
        symbol, side, volume, price, limit = values
        levels = {"stoplimit": near(desk, symbol, limit)}
        desk.pend(side, near(desk, symbol, price), symbol=symbol, volume=volume, **levels)
    elif kind == "close" and positions:
        position = positions[values[0] % len(positions)]
        desk.deal(1 - position.type, values[1], symbol=position.symbol, position=position.ticket)
    elif kind == "close_by" and positions:
        one, other = (positions[value % len(positions)].ticket for value in values)
        desk.send(action=10, position=one, position_by=other)
    elif kind == "remove" and orders:
        desk.send(action=8, order=orders[values[0] % len(orders)].ticket)


def check(desk: Desk) -> None:
    account = desk.get("account_info")
    positions, orders = desk.get("positions_get"), desk.get("orders_get")
    done, deals = desk.get("history_orders_get", 0, 1 << 40), desk.get("history_deals_get", 0, 1 << 40)
    assert account.equity == round(account.balance + account.credit + account.profit, 2)
    assert account.margin_free == round(account.equity - account.margin, 2)
    assert account.margin_level == (100 * account.equity / account.margin if account.margin else 0.0)
    booked = sum(deal.profit + deal.swap + deal.commission + deal.fee for deal in deals)
    assert abs(account.balance - booked) < 0.005
    assert abs(account.profit - sum(position.profit + position.swap for position in positions)) < 0.005
    tickets = [order.ticket for order in (*orders, *done)]
    assert len(set(tickets)) == len(tickets)
    assert len({deal.ticket for deal in deals}) == len(deals)
    assert {deal.order for deal in deals} <= {0, *tickets}
    times = [order.time_done_msc for order in done]
    assert times == sorted(times)
    for position in positions:
        life = [deal for deal in deals if deal.position_id == position.identifier]
        signed = sum(deal.volume if deal.entry == 0 else -deal.volume for deal in life)
        assert abs(signed - position.volume) < 1e-9


def story(desk: Desk) -> list[Any]:
    names = ("account_info", "positions_get", "orders_get")
    history = [desk.get(name, 0, 1 << 40) for name in ("history_orders_get", "history_deals_get")]
    return [*(desk.get(name) for name in names), *history]


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25), st.integers(1, 3))
def test_the_books_balance_and_repeat(steps: list[tuple[Any, ...]], seed: int) -> None:
    desks = [Desk(SimulatedConfig(seed=seed)) for _ in range(2)]
    for step in steps:
        for desk in desks:
            perform(desk, step)
        check(desks[0])
    assert story(desks[0]) == story(desks[1])
