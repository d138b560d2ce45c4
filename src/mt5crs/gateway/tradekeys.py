"""Whose orders are ours: the idempotency keys of trade events."""

from collections.abc import Callable, Iterable

from mt5crs.errors import JournalUnusable
from mt5crs.gateway.orders import Orders
from mt5crs.journal import tags
from mt5crs.journal.evidence import SERVER_REASONS
from mt5crs.journal.store import Journal
from mt5crs.model import TradeOrder
from mt5crs.trades.derive import Happened, Row
from mt5crs.trades.picture import Shown

Explains = Callable[[Journal, float], Callable[[TradeOrder], bool]]


class TradeKeys:
    """Finds the keys of the requests that made orders.

    Args:
        orders: Has the journal.
        explains: Says whether an order can be that of a request whose outcome is not known yet.
        patience: Seconds for which events wait until that is known.
    """

    def __init__(self, orders: Orders, explains: Explains, patience: float) -> None:
        self._orders = orders
        self._explains = explains
        self._patience = patience
        self._waiting: dict[int, float] = {}  # since when, by the order's ticket

    def of(self, happened: Iterable[Happened], shown: Shown, now: float) -> tuple[dict[int, str], set[int]]:
        """Return the keys by the tickets of the orders that they made, and the tickets that have to wait.

        Other orders have no key. Those wait that a request can have made whose outcome is not known yet.

        Args:
            happened: The events.
            shown: The look that they come of.
            now: Seconds on the gateway's clock.

        Raises:
            JournalUnusable: The journal cannot be read.
        """
        makers: dict[int, Row] = {each.maker: each.details for each in happened if each.maker}
        if not makers:
            return {}, set()
        journal = self._orders.journal
        if journal is None:
            raise JournalUnusable("the journal, which knows whose orders are whose, cannot be used")
        orders = {order.ticket: order for order in (*shown.orders, *shown.history)}
        explains = self._explains(journal, now)
        keys: dict[int, str] = {}
        waiting: dict[int, float] = {}
        for ticket, details in makers.items():
            order = orders.get(ticket)
            key = _key(journal, ticket, order or details)
            if key:
                keys[ticket] = key
            elif order is not None and order.reason not in SERVER_REASONS and explains(order):
                waiting[ticket] = self._waiting.get(ticket, now)
        self._waiting = waiting
        return keys, {ticket for ticket, since in waiting.items() if now - since < self._patience}


def _key(journal: Journal, ticket: int, shown: Row) -> str:
    """Return the key of the request that made an order; "" where none of ours did, as far as is known."""
    number = journal.claims.get(ticket)
    if number is not None:
        entry = journal.watched.get(number) or journal.entry(number)
        return "" if entry is None else entry.key
    tag = None if shown.reason in SERVER_REASONS else tags.read(shown.comment)
    if tag is None or tag.mark != journal.mark or (number := journal.tagged(tag.entry)) is None:
        return ""
    entry = journal.watched.get(number) or journal.entry(number)
    # Some brokers give the comment of an order to others that come of it: a request makes one order.
    return "" if entry is None or entry.outcome.get("order", 0) not in {0, ticket} else entry.key
