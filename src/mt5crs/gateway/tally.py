"""Counts what orders may have done that no look at the account has shown yet."""

from collections.abc import Callable

from mt5crs.gateway.order import Order
from mt5crs.guard.facts import Facts
from mt5crs.guard.requests import Asked
from mt5crs.guard.reservations import Reservation, Reservations, unread
from mt5crs.journal.entries import Entry
from mt5crs.journal.states import OPEN, State
from mt5crs.journal.store import MADE, Journal

LAG = 0.5
"""Seconds that a terminal may take until it shows what it has answered for."""


class Tally:
    """The count.

    Args:
        utc: Returns epoch seconds.

    Attributes:
        reservations: What is counted.
    """

    def __init__(self, utc: Callable[[], float]) -> None:
        self._utc = utc
        self._sure: list[Reservation] = []  # those that the look under way must show
        self._sure_at = 0.0
        self.reservations = Reservations()

    def add(self, order: Order, asked: Asked) -> None:
        """Count an order that was let through."""
        if asked.held or asked.turns or asked.extra:
            order.reservation = Reservation(order.principal, order, asked)
            self.reservations.add(order.reservation, asked.quote)

    def add_open(self, journal: Journal) -> None:
        """Count what is under way or in doubt, whoever sent it: an earlier process, or we without limits."""
        known = {each.order.entry.number for each in self.reservations if each.order.entry is not None}
        for number, entry in journal.watched.items():
            if entry.state in OPEN and number not in known and entry.request:
                order = Order(entry.request, entry.principal, entry.key, 0.0)
                order.entry = entry
                self.add(order, unread(entry.request))

    def heed(self, order: Order) -> None:
        """Take notice of what became of an order that something is counted for."""
        if order.reservation is not None:
            self._learn(order.reservation, order.entry)

    def _learn(self, reservation: Reservation, entry: Entry | None) -> None:
        """Count an order no more that was not carried out; note since when it is known that it was."""
        if entry is None:  # it was not even written
            self.reservations.drop(reservation)
        elif entry.state in OPEN:
            pass
        elif entry.state is State.DONE and entry.outcome.get("retcode") in MADE:
            reservation.known = entry.since / 1e9
            # What is shown of an order that gets another price may be the order as it was.
            reservation.ticket = 0 if reservation.extra else entry.outcome.get("order", 0)
        else:
            self.reservations.drop(reservation)

    def begin_look(self, journal: Journal | None) -> None:
        """Note which orders' effects a look that begins must show; those of later ones it need not."""
        for reservation in list(self.reservations):
            entry = reservation.order.entry
            if reservation.known or entry is None or journal is None:
                continue
            number = entry.number
            self._learn(reservation, journal.watched.get(number) or journal.entry(number))
        self._sure = [each for each in self.reservations if each.known]
        self._sure_at = self._utc()

    def take(self, facts: Facts) -> None:
        """Count no more what a look has shown, and the rest at its prices."""
        shown = facts.shown() if self._sure else set[int]()
        gone = {each for each in self._sure if self._sure_at >= each.known + LAG or each.ticket in shown}
        self.reservations.recount(lambda each: each not in gone, facts.quotes)
