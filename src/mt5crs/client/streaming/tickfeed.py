"""The feed of a symbol's ticks."""

from typing import TYPE_CHECKING

from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.reading import are_in_order
from mt5crs.client.streaming.rowfeed import CUT, MIXED, OTHER, SHORT, RowFeed
from mt5crs.constants import COPY_TICKS_ALL
from mt5crs.cursors import START, Cursor, TickPages
from mt5crs.streams import AnyEvent, TickBatch
from mt5crs.topics import Ticks

if TYPE_CHECKING:
    from mt5crs.model import TicksArray


class TickFeed(RowFeed):
    """The ticks of a symbol.

    Args:
        topic: Which.
        since: From when on, in seconds; from the present on without it.
    """

    def __init__(self, topic: Ticks, since: int | None = None) -> None:
        super().__init__(topic)
        self._symbol = topic.symbol
        self._since = since
        self._pages = TickPages(START)

    def _begin(self, place: Cursor) -> Cursor:
        return place if self._since is None else min(place, Cursor(max(self._since, 0), 0))

    def _after(self, place: Cursor, rows: "TicksArray | None") -> Cursor:
        return place if rows is None else place.after(rows)

    def _ask_hole(self) -> None:
        self._pages = TickPages(self._cursor)
        self._ask()

    def _ask(self) -> None:
        self.question = self._ticks(*self._pages.question)

    def _ask_last(self) -> None:
        self.question = self._ticks(*self._last_place)

    def _ticks(self, second: int, count: int) -> Question:
        return Question("copy_ticks_from", (self._symbol, second, count, COPY_TICKS_ALL))

    def _deliver(self, place: Cursor, rows: "TicksArray") -> list[AnyEvent]:
        new = rows[place.rows_before(rows, self._cursor) :]
        return self._batch(new, max(self._cursor, place.after(rows)))

    def _batch(self, ticks: "TicksArray", end: Cursor) -> list[AnyEvent]:
        """Yield ticks behind the cursor, which is at their end then."""
        self._cursor = end
        if not len(ticks):
            return []
        self._last, self._last_place = ticks[-1].tobytes(), end
        ticks.flags.writeable = False
        return [TickBatch(self._symbol, ticks)]

    def _is_same(self, value: "TicksArray | None") -> bool | None:
        second, offset = self._last_place
        if value is None or not are_in_order(value, second):
            return None
        kept = int(value["time"].searchsorted(second + 1))
        if kept >= offset:
            return bool(value[offset - 1].tobytes() == self._last)
        return False if 0 < kept < len(value) else None  # of a second that is over there are fewer

    def _page(self, value: "TicksArray | None") -> list[AnyEvent]:
        cursor = self._pages.cursor
        if value is None:
            return self.give_up(SHORT)
        if not are_in_order(value, cursor.second):
            return self.give_up(MIXED)
        kept = int(value["time"].searchsorted(cursor.second + 1))
        if kept < cursor.offset:  # of this second we have seen more than there is now
            return self._after_a_cut(cursor, value, kept)
        is_known = self._last is not None and self._last_place == cursor
        if is_known and value[cursor.offset - 1].tobytes() != self._last:
            return self.give_up(OTHER)
        new = self._pages.take(value)
        ours = cursor.rows_before(new, self._place)
        end = cursor.after(new[:ours])
        events = self._batch(new[:ours], end)
        if ours < len(new) or self._pages.cursor >= self._place:
            is_reached = end == self._place or not self._place.offset
            return events + (self._skip() if is_reached else self.give_up(SHORT))
        if not self._pages.is_at_end:
            self._ask()
            return events
        # At the end of history, yet not at a place that is said to come after other ticks. A place at the
        # beginning of a second need not: then nothing is missing, if nothing is known to have followed.
        is_whole = not self._place.offset and self._held is None
        return events + (self._skip() if is_whole else self.give_up(SHORT))

    def _after_a_cut(self, cursor: Cursor, value: "TicksArray", kept: int) -> list[AnyEvent]:
        if kept == len(value) or cursor.second >= self._place.second:
            return self.give_up(CUT)
        end = min(int(value["time"][kept]), self._place.second)
        self._cursor = Cursor(cursor.second + 1, 0)
        self._ask_hole()
        return [self._gap(cursor.second, end, CUT)]
