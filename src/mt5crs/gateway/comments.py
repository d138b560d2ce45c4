"""Comments as their users wrote them: our tags are taken off again wherever orders are read."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mt5crs.journal import tags
from mt5crs.journal.store import Journal
from mt5crs.model import Record, TradeDeal, TradeOrder, TradePosition
from mt5crs.operation import Result

KNOWN_TAGS = 65_536
"""Tags that are remembered as ours, so that they are looked up once."""


class _Places(NamedTuple):
    """Where a structure has what matters here."""

    comment: int
    order: int
    time: int


def _places(kind: type[Record], order: str, time: str) -> _Places:
    names = kind.__match_args__
    return _Places(names.index("comment"), names.index(order), names.index(time))


_ORDER = _places(TradeOrder, "ticket", "time_setup")
PLACES = {
    "orders_get": _ORDER,
    "history_orders_get": _ORDER,
    "history_deals_get": _places(TradeDeal, "order", "time"),
    "positions_get": _places(TradePosition, "identifier", "time"),
}
"""The operations whose results have comments of orders."""


class Stranger(NamedTuple):
    """An order with the tag of another journal.

    Attributes:
        order: Its ticket.
        time: When it was set up, server time.
        mark: The other journal's mark.
    """

    order: int
    time: int
    mark: int


class Comments:
    """Takes tags off.

    Args:
        journal: Returns the journal that knows which tags are ours, None where there is none to be had.
        notice: Called with each order that has the tag of another journal.
    """

    def __init__(self, journal: Callable[[], Journal | None], notice: Callable[[Stranger], None]) -> None:
        self._journal = journal
        self._notice = notice
        self._ours: set[int] = set()

    def restore(self, name: str, result: Result) -> Result:
        """Return a result of one of `PLACES` with each comment as its user wrote it."""
        places = PLACES[name]
        rows = result.value
        if not rows:
            return result
        changed = [self._restored(row, places) for row in rows]
        return Result(changed, result.error)

    def notice_strangers(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        """Look through rows of one of `PLACES` for tags of other journals."""
        for row in rows:
            self._restored(row, PLACES[name])

    def _restored(self, row: Sequence[Any], places: _Places) -> Sequence[Any]:
        comment = row[places.comment]
        found = tags.read(comment)
        if found is None:
            return row
        if not self._is_ours(found):
            self._notice(Stranger(row[places.order], row[places.time], found.mark))
            return row
        return [*row[: places.comment], found.comment, *row[places.comment + 1 :]]

    def _is_ours(self, found: tags.Tag) -> bool:
        journal = self._journal()
        if journal is None or found.mark != journal.mark:
            return False
        if found.entry in self._ours:
            return True
        if not journal.has_tag(found.entry):
            return False
        if len(self._ours) >= KNOWN_TAGS:
            self._ours.clear()
        self._ours.add(found.entry)
        return True
