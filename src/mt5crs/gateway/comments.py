"""Comments as their users wrote them: our tags are taken off again wherever orders are read."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from mt5crs.errors import JournalUnusable
from mt5crs.journal import tags
from mt5crs.journal.store import Journal
from mt5crs.model import TradeDeal, TradeOrder, TradePosition
from mt5crs.operation import Result

log = logging.getLogger(__name__)

KNOWN_TAGS = 65_536
"""Tags that are remembered as ours, so that they are looked up once."""
PLACES = {
    "orders_get": TradeOrder.__match_args__.index("comment"),
    "history_orders_get": TradeOrder.__match_args__.index("comment"),
    "history_deals_get": TradeDeal.__match_args__.index("comment"),
    "positions_get": TradePosition.__match_args__.index("comment"),
}
"""Where the rows of an operation have their comment; others have none of an order."""


class Comments:
    """Takes tags off.

    Args:
        journal: Returns the journal that knows which tags are ours, None where there is none to be had.
    """

    def __init__(self, journal: Callable[[], Journal | None]) -> None:
        self._journal = journal
        self._ours: set[int] = set()

    def restore(self, name: str, result: Result) -> Result:
        """Return a result of one of `PLACES` with each comment as its user wrote it."""
        place = PLACES[name]
        return (
            Result([self.restored(row, place) for row in result.value], result.error)
            if result.value
            else result
        )

    def restored(self, row: Sequence[Any], place: int) -> Sequence[Any]:
        """Return a row with its comment, which is at a place of it, as its user wrote that."""
        found = tags.read(row[place])
        if found is None or not self.is_ours(found):
            return row
        return [*row[:place], found.comment, *row[place + 1 :]]

    def is_ours(self, found: tags.Tag) -> bool | None:
        """Whether a tag is that of an entry of our journal; None where that cannot be told."""
        journal = self._journal()
        if journal is None:
            return None
        if found.mark != journal.mark:
            return False
        if found.entry in self._ours:
            return True
        try:
            is_there = journal.has_tag(found.entry)
        except JournalUnusable as error:
            log.warning("%s", error)
            return None
        if is_there:
            if len(self._ours) >= KNOWN_TAGS:
                self._ours.clear()
            self._ours.add(found.entry)
        return is_there
