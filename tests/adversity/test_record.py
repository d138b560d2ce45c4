"""The checker itself: what was told against what is on a real account."""

import random
from collections.abc import Iterator
from copy import copy

import pytest

from mt5crs import Client
from tests.adversity.orders import Order, Told, Trader
from tests.adversity.record import Findings, Record, compare
from tests.processes import Gateway


def send(mt5: Client, order: Order) -> None:
    result = mt5.order_send(order.request)
    assert order.take(result, mt5.last_error()[0])


def live(mt5: Client, seed: int, count: int) -> list[Order]:
    """Carry out some orders, each once, and tell the truth about them."""
    trader, orders = Trader(random.Random(seed)), list[Order]()  # noqa: S311
    while len(orders) < count:
        for order in trader.live():
            send(mt5, order)
            orders.append(order)
    return orders


def found(orders: list[Order], mt5: Client) -> tuple[int, int, int]:
    findings: Findings = compare(orders, Record(mt5))
    return len(findings.doubled), len(findings.lost), len(findings.unknown)


def test_the_truth_is_found_true(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client() as mt5:
        orders = live(mt5, 1, 150)
        assert {order.kind for order in orders} == {
            "open",
            "part",
            "close",
            "place",
            "modify",
            "stops",
            "remove",
        }
        assert {order.told for order in orders} == {Told.DONE}
        assert found(orders, mt5) == (0, 0, 0)


def first(mt5: Client, kind: str) -> Order:
    """Carry out orders until one of a kind is next; return that one, not sent."""
    trader = Trader(random.Random(2))  # noqa: S311
    for _ in range(200):
        for order in trader.live():
            if order.kind == kind:
                return order
            send(mt5, order)
    raise AssertionError(f"there was no {kind}")


@pytest.mark.parametrize("kind", ["open", "part", "place"])
def test_an_order_that_was_sent_twice_is_doubled(fresh_gateway: Gateway, kind: str) -> None:
    with fresh_gateway.client() as mt5:
        order = first(mt5, kind)
        send(mt5, order)
        assert found([order], mt5) == (0, 0, 0)
        send(mt5, order)
        assert found([order], mt5) == (1, 0, 0)


@pytest.fixture(scope="module")
def lived(gateway: Gateway) -> Iterator[tuple[Client, list[Order]]]:
    """A client of an account on which orders were carried out, and these."""
    with gateway.client() as mt5:
        yield mt5, live(mt5, 3, 150)


@pytest.mark.parametrize("kind", ["open", "part", "close", "place", "modify", "stops", "remove"])
def test_an_order_that_is_told_as_refused_is_lost(lived: tuple[Client, list[Order]], kind: str) -> None:
    mt5, orders = lived[0], [copy(order) for order in lived[1]]
    assert found(orders, mt5) == (0, 0, 0)
    record = Record(mt5)
    kept = [order for order in orders if order.kind == kind and _is_last(order, orders, record)]
    kept[0].told = Told.REFUSED
    assert found(orders, mt5) == (0, 1, 0)


def _is_last(order: Order, orders: list[Order], record: Record) -> bool:
    """Whether what a change asked for can be seen on the account still."""
    if order.kind not in {"stops", "modify"}:
        return True
    ticket = order.request.get("position") or order.request["order"]
    last = [other for other in orders if other.kind == order.kind and ticket in other.request.values()][-1]
    return last is order and (order.kind == "modify" or ticket in record.positions)


@pytest.mark.parametrize("kind", ["open", "part", "close", "place", "stops", "modify", "remove"])
def test_an_order_that_was_not_sent_and_is_told_as_done_is_lost(fresh_gateway: Gateway, kind: str) -> None:
    with fresh_gateway.client() as mt5:
        order = first(mt5, kind)
        other = Order("open", {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1})
        send(mt5, other)
        order.told, order.result = Told.DONE, other.result  # with a ticket that is another order's
        assert found([order], mt5) == (0, 1, 0)


def test_what_is_unknown_is_found_unknown(fresh_gateway: Gateway) -> None:
    with fresh_gateway.client() as mt5:
        orders = live(mt5, 5, 20)
        orders[3].told = Told.UNKNOWN
        assert found(orders, mt5) == (0, 0, 1)
