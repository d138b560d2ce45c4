"""Orders of other journals on our account: two gateways that do not know of each other trade on it.

Each would take an order that the other has sent already for a new one. So the first such order that is
younger than our journal latches trading off, until an operator has looked.
"""

import logging
from collections.abc import Callable

from mt5crs.gateway.comments import Stranger
from mt5crs.journal.store import Journal

log = logging.getLogger(__name__)

LEGACY = "legacy"
"""The journal's mark up to which server time other journals' orders were there before it."""


class Strangers:
    """The orders of other journals that were seen.

    Args:
        journal: Returns the journal, None where there is none to be had.
    """

    def __init__(self, journal: Callable[[], Journal | None]) -> None:
        self._journal = journal
        self._seen: dict[int, Stranger] = {}

    def notice(self, stranger: Stranger) -> None:
        """Take an order with the tag of another journal; the next look decides what it means."""
        self._seen[stranger.order] = stranger

    def looked(self, journal: Journal, earliest: float) -> None:
        """Decide, now that the terminal has been looked through.

        Args:
            journal: The journal.
            earliest: The server's time is not before this.
        """
        if not journal.id:  # one in memory knows nothing of what its own process did before
            return
        newest = max((stranger.time for stranger in self._seen.values()), default=0)
        legacy = journal.meta(LEGACY)
        if legacy is None:
            journal.set_meta(LEGACY, max(newest, earliest))
            return
        claimed = journal.claims if newest > legacy else {}
        young = [s for s in self._seen.values() if s.time > legacy and s.order not in claimed]
        self._seen.clear()
        if young and not journal.latch:
            stranger = young[0]
            journal.latch = (
                f"order {stranger.order} on this account was sent by another gateway's journal"
                f" (mark {stranger.mark}, ours is {journal.mark})"
            )
            log.error("orders are refused: %s", journal.latch)
