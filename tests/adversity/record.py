"""Compares what clients were told with the account of record.

The journal is never asked: what counts are the deals, orders and positions of the terminal that executed.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from mt5crs import Client
from mt5crs import constants as c
from mt5crs.model import TradeDeal, TradeOrder, TradePosition
from tests.adversity.orders import Order, Told

EVER = (0, 2**32 - 1)
DEALS = frozenset({"open", "part", "close"})
SAME = 1e-9
"""Volumes and prices that differ by less are the same."""


@dataclass
class Findings:
    """What must not be.

    Attributes:
        doubled: Orders that were carried out more than once.
        lost: Orders of which something else was told than what happened.
        unknown: Orders of which nobody could tell what happened, though the account of record shows it.
    """

    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class Record:
    """What is on the account.

    Args:
        client: A client of the account of record's own gateway.
    """

    def __init__(self, client: Client) -> None:
        active = client.orders_get()
        done = client.history_orders_get(*EVER)
        deals = client.history_deals_get(*EVER)
        positions = client.positions_get()
        if active is None or done is None or deals is None or positions is None:
            raise RuntimeError(f"the account of record cannot be read: {client.last_error()}")
        self.active: dict[int, TradeOrder] = {order.ticket: order for order in active}
        self.orders: dict[int, TradeOrder] = {order.ticket: order for order in (*done, *active)}
        self.positions: dict[int, TradePosition] = {position.ticket: position for position in positions}
        self.deals: defaultdict[int, list[TradeDeal]] = defaultdict(list)
        self._by_magic: defaultdict[int, set[int]] = defaultdict(set)
        for deal in deals:
            self.deals[deal.order].append(deal)
            self._by_magic[deal.magic].add(deal.order)
        for order in self.orders.values():
            if order.state != c.ORDER_STATE_REJECTED:
                self._by_magic[order.magic].add(order.ticket)

    def found(self, order: Order) -> set[int]:
        """Return the tickets that were made by an order."""
        return self._by_magic.get(order.magic, set())

    def volume(self, ticket: int) -> float:
        """Return what was dealt for an order."""
        return sum(deal.volume for deal in self.deals.get(ticket, ()))


def compare(orders: Iterable[Order], record: Record) -> Findings:
    """Return what was told wrongly or not at all."""
    findings = Findings()
    changes: defaultdict[int, list[Order]] = defaultdict(list)
    for order in orders:
        if order.told is Told.UNKNOWN:
            findings.unknown.append(f"{_about(order)}: {_truth(order, record)}")
        if order.magic:
            _compare_made(order, record, findings)
        elif order.kind == "remove":
            _compare_removed(order, record, findings)
        else:
            changes[_object(order)].append(order)
    for of_one in changes.values():
        _compare_changed(of_one, record, findings)
    return findings


def _about(order: Order) -> str:
    ticket = order.result.order if order.result is not None else 0
    told = f"{order.told.value} ({order.result.retcode})" if order.result is not None else order.told.value
    return f"{order.kind} {order.key} magic {order.magic}, told {told} ticket {ticket}"


def _truth(order: Order, record: Record) -> str:
    if order.magic:
        return f"on record as {sorted(record.found(order))}" if record.found(order) else "not on record"
    return "a change"


def _compare_made(order: Order, record: Record, findings: Findings) -> None:
    """Compare an order that leaves an order and perhaps deals of its own."""
    found = record.found(order)
    if len(found) > 1:
        findings.doubled.append(f"{_about(order)}: on record as {sorted(found)}")
    if order.told is Told.DONE and order.result is not None:
        ticket = order.result.order
        if ticket not in found:
            findings.lost.append(f"{_about(order)}: on record as {sorted(found)}")
        elif order.kind in DEALS and abs(record.volume(ticket) - order.result.volume) > SAME:
            findings.lost.append(
                f"{_about(order)}: {order.result.volume} told, {record.volume(ticket)} dealt"
            )
    elif order.told in {Told.REJECTED, Told.REFUSED} and found:
        findings.lost.append(f"{_about(order)}: on record as {sorted(found)}")


def _compare_removed(order: Order, record: Record, findings: Findings) -> None:
    ticket = _object(order)
    if order.told is Told.DONE and ticket in record.active:
        findings.lost.append(f"{_about(order)}: order {ticket} is there still")
    elif order.told in {Told.REJECTED, Told.REFUSED} and ticket not in record.active:
        findings.lost.append(f"{_about(order)}: order {ticket} is gone")


def _object(order: Order) -> int:
    ticket: int = order.request.get("position") or order.request["order"]
    return ticket


def _compare_changed(changes: list[Order], record: Record, findings: Findings) -> None:
    """Compare the changes of one position or order, in their order, with how it is in the end."""
    ticket = _object(changes[0])
    if changes[0].kind == "stops":
        position = record.positions.get(ticket)
        level = None if position is None else position.sl
    else:
        order = record.orders.get(ticket)
        level = None if order is None else order.price_open
    if level is None:  # a position that was closed keeps no levels
        return
    done = [change for change in changes if change.told is Told.DONE]
    if done and changes[-1].told is not Told.UNKNOWN and abs(done[-1].level - level) > SAME:
        findings.lost.append(f"{_about(done[-1])}: {ticket} has {level}, not {done[-1].level}")
    for change in changes:
        if change.told in {Told.REJECTED, Told.REFUSED} and abs(change.level - level) < SAME:
            findings.lost.append(f"{_about(change)}: {ticket} has {level} all the same")
