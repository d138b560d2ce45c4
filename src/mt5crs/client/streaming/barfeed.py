"""The feed of a symbol's closed bars of one timeframe."""

from typing import TYPE_CHECKING

from mt5crs.client.streaming.feeds import Question
from mt5crs.client.streaming.reading import are_in_order
from mt5crs.client.streaming.rowfeed import CUT, MIXED, OTHER, PATIENCE, SHORT, RowFeed
from mt5crs.cursors import Cursor
from mt5crs.streams import AnyEvent, BarBatch
from mt5crs.timeframes import PERIODS
from mt5crs.topics import Bars

if TYPE_CHECKING:
    from mt5crs.model import RatesArray

BARS = 2000
"""Bars of a page of history: fewer than any terminal is set to give."""
IDLE = 250
"""Questions in a row that bring nothing new, after which history is given up: a search needs fewer."""
PRICES = 40
"""Bytes of a bar that are compared: time and prices. A terminal may correct volumes and spread later."""


class BarFeed(RowFeed):
    """The closed bars of a symbol and timeframe. A place is the open time of the bar before it.

    Pages span a time, since a question for a time is what terminals answer exactly. Where a page is empty the
    next bar is searched for by doubling and halving the time in which it is, a bar at a time: so the number
    of questions does not depend on how long there was none.

    Args:
        topic: Which.
        since: From when on, in seconds; from the present on without it.
    """

    def __init__(self, topic: Bars, since: int | None = None) -> None:
        self._symbol, self._timeframe = topic.symbol, topic.timeframe
        super().__init__(topic, max(PATIENCE, PERIODS[topic.timeframe]))
        self._since = since
        self._is_bar = False  # whether there is a bar at the cursor
        self._shortest = BARS * PERIODS[topic.timeframe]
        self._span = self._shortest  # of what is asked for
        self._start = self._until = 0
        self._is_search = self._is_found = False
        self._idle = 0

    def _begin(self, place: Cursor) -> Cursor:
        cursor = place if self._since is None else min(place, Cursor(max(self._since - 1, 0), 0))
        self._is_bar = cursor == place and place.second > 0
        return cursor

    def _after(self, place: Cursor, rows: "RatesArray | None") -> Cursor:
        return place if rows is None else Cursor(int(rows["time"][-1]), 0)

    def _ask_hole(self) -> None:
        self._is_bar = self._is_bar or self._last is not None
        self._start, self._idle = self._cursor.second, 0
        self._ask_page()

    def _ask_page(self) -> None:
        self._is_search = self._is_found = False
        self._span = self._shortest
        self._until = min(self._start + self._span, self._place.second)
        self._ask_range(self._start, self._until)

    def _ask_range(self, start: int, end: int) -> None:
        self.question = Question("copy_rates_range", (self._symbol, self._timeframe, start, end))

    def _ask_newest(self) -> None:
        self._is_search = True
        self._until = min(self._start + self._span, self._place.second)
        self.question = Question("copy_rates_from", (self._symbol, self._timeframe, self._until, 1))

    def _ask_last(self) -> None:
        self._ask_range(self._last_place.second, self._last_place.second)

    def _is_same(self, value: "RatesArray | None") -> bool | None:
        if value is None or not len(value) or int(value["time"][0]) != self._last_place.second:
            return None
        return bool(value[0].tobytes()[:PRICES] == self._last)

    def _deliver(self, place: Cursor, rows: "RatesArray") -> list[AnyEvent]:
        new = rows[int(rows["time"].searchsorted(self._cursor.second, side="right")) :]
        if not len(new):
            return []
        new.flags.writeable = False
        self._last, self._is_bar = new[-1].tobytes()[:PRICES], True
        self._cursor = self._last_place = Cursor(int(new["time"][-1]), 0)
        return [BarBatch(self._symbol, self._timeframe, new)]

    def _skip(self) -> list[AnyEvent]:
        self._is_bar = self._place.second > 0
        return super()._skip()

    def _page(self, value: "RatesArray | None") -> list[AnyEvent]:
        self._idle += 1
        if value is None or self._idle > IDLE:
            return self.give_up(SHORT)
        if not are_in_order(value, 0 if self._is_search else self._start):
            return self.give_up(MIXED)
        if self._is_search:
            return self._searched(int(value["time"][-1]) if len(value) else 0)
        events: list[AnyEvent] = []
        page = value[: int(value["time"].searchsorted(self._until, side="right"))]
        if self._is_bar and (why := self._broken(page)):
            end = int(page["time"][0]) if why == CUT and len(page) else self._until
            events.append(self._gap(self._cursor.second, end, why))
        new = self._deliver(self._cursor, page)
        # Of the next page the first second is the last one of this: its bar is known, if there is one.
        self._is_bar = self._cursor.second == self._until
        self._start = self._until
        if self._until >= self._place.second:
            return events + new + self._finish()
        if new:
            self._idle = 0
            self._ask_page()
        else:
            self._span = 2 * self._shortest
            self._ask_newest()
        return events + new

    def _broken(self, page: "RatesArray") -> str:
        """Return why a page does not go on behind the bar at the cursor; "" where it does."""
        if not len(page) or int(page["time"][0]) != self._cursor.second:
            return CUT  # history has lost it, and maybe some that came after it
        is_same = self._last is None or page[0].tobytes()[:PRICES] == self._last
        return "" if is_same else OTHER

    def _searched(self, newest: int) -> list[AnyEvent]:
        """Go on where the newest bar up to the end of what is searched opens at a time."""
        self._is_found = self._is_found or newest > self._start
        if newest <= self._start:
            self._start = self._until
            if self._until >= self._place.second:
                return self._finish()
        self._span = self._span // 2 if self._is_found else 2 * self._span
        if self._span <= self._shortest:
            self._ask_page()
        else:
            self._ask_newest()
        return []

    def _finish(self) -> list[AnyEvent]:
        return self._skip() if self._cursor >= self._place else self.give_up(SHORT)
