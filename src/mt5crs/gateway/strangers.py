"""Orders of other journals on our account: two gateways that do not know of each other trade on it.

Each would take an order that the other has sent already for a new one. So the first such order that is
younger than our journal latches trading off, until an operator has looked. One with the mark of our own
journal, which does not know it, is of a copy of the journal, or was sent before it was restored from one.
"""

import logging
from collections.abc import Callable, Iterable

from mt5crs.gateway.comments import Comments
from mt5crs.journal import tags
from mt5crs.journal.store import LEGACY, Journal
from mt5crs.model import TradeOrder

OTHER = "another gateway's journal"

log = logging.getLogger(__name__)


def look_for_strangers(
    journal: Journal,
    comments: Comments,
    orders: Iterable[TradeOrder],
    earliest: float,
    explains: Callable[[TradeOrder], bool],
) -> None:
    """Latch trading off where an order of another journal is younger than ours.

    Args:
        journal: Our journal.
        comments: Knows which tags are ours.
        orders: All that the terminal shows.
        earliest: The server's time is not before this.
        explains: Whether an order can be that of a request of ours whose outcome is not known yet.
    """
    if not journal.id or journal.latch:  # one in memory knows nothing of what was before its process
        return
    strange = {order.ticket: order for order in orders if _is_strange(comments, order)}
    newest = max((order.time_setup for order in strange.values()), default=0)
    legacy = journal.meta(LEGACY)
    if legacy is None:
        journal.set_meta(LEGACY, max(newest, earliest))
        return
    young = [
        order
        for order in strange.values()
        if order.time_setup > legacy and order.ticket not in journal.claims and not explains(order)
    ]
    if young:
        found = tags.read(young[0].comment)
        is_own = found is not None and found.mark == journal.mark
        whose = "this journal, which does not know it: it has lost events, or is a copy" if is_own else OTHER
        journal.latch = f"order {young[0].ticket} on this account was sent by {whose}"
        log.error("orders are refused: %s", journal.latch)


def _is_strange(comments: Comments, order: TradeOrder) -> bool:
    found = tags.read(order.comment)
    return found is not None and comments.is_ours(found) is False
