"""What the feeds of ticks and bars have in common: each row once and in order, holes filled, or told.

Each message says after which place in the topic's history its rows come. Within one gateway process a newer
message never begins before the end of an older one. Another process may have another history behind it: so
the last row that was yielded is compared with what history has in its place before anything is added to it.
"""

from typing import Any

from mt5crs.client.streaming.feeds import Feed
from mt5crs.client.streaming.reading import Received
from mt5crs.cursors import START, Cursor
from mt5crs.streams import AnyEvent, Gap
from mt5crs.topics import AnyTopic
from mt5crs.wire.messages import Batch

PATIENCE = 60
"""Seconds of server time that a terminal which was started again may still have to catch up with."""

SHORT = "the terminal's history does not have it"
CUT = "the terminal's history does not reach back to it"
OTHER = "the gateway's history is another one than what came before"
BACK = "time went back at the terminal: what comes next is older than what came before"
GONE = "the terminal's history does not show what came before any more"
MIXED = "the terminal's history is not in the order of time"


class RowFeed(Feed):
    """Rows with a place in a history.

    Args:
        topic: Which.
        patience: Seconds that another process may begin before the end of what was yielded.
    """

    def __init__(self, topic: AnyTopic, patience: int = PATIENCE) -> None:
        super().__init__(topic)
        self._patience = patience
        self._cursor = START  # behind all that was yielded, once that is known
        self._last: bytes | None = None  # the last row that was yielded; None where a gap has come since
        self._last_place = START  # behind it
        self._held: Any = None  # rows of the message that is being dealt with
        self._place = START  # where that begins
        self._end = START  # behind the latest message of the process
        self._epoch = self._sequence = -1
        self._is_proved = True  # whether the process has the history that was yielded so far
        self._was_compared = False  # whether that was asked
        self._is_comparing = False  # whether `question` is about that

    # ---- what ticks and bars have different ----

    def _begin(self, place: Cursor) -> Cursor:
        """Return where the stream begins, given where the topic stands."""
        raise NotImplementedError

    def _after(self, place: Cursor, rows: Any) -> Cursor:
        """Return the place behind rows that begin at one."""
        raise NotImplementedError

    def _deliver(self, place: Cursor, rows: Any) -> list[AnyEvent]:
        """Yield what is new of rows that begin at a place which was reached."""
        raise NotImplementedError

    def _ask_hole(self) -> None:
        """Ask for what is between the cursor and the message."""
        raise NotImplementedError

    def _ask_last(self) -> None:
        """Ask for the last row that was yielded."""
        raise NotImplementedError

    def _is_same(self, value: Any) -> bool | None:
        """Return whether the answer to that has this row; None where history is too short to say."""
        raise NotImplementedError

    def _page(self, value: Any) -> list[AnyEvent]:
        """Take in the answer to a question for what is missing."""
        raise NotImplementedError

    # ---- what they have in common ----

    def take(self, received: Received) -> list[AnyEvent]:
        """See `Feed.take`."""
        message = received.message
        assert isinstance(message, Batch)  # noqa: S101 - `read` has seen to it
        place = Cursor(*message.place)
        end, is_back = self._after(place, received.content), False
        if not self.is_known:
            self.is_known = True
            self._cursor = self._begin(place)
        elif message.epoch != self._epoch:
            self._is_proved = self._was_compared = False
        elif message.sequence < self._sequence:  # all up to the latest message is dealt with
            return []
        elif message.sequence == self._sequence:
            end = max(end, self._end)
        else:
            is_back = place < self._end
        self._epoch, self._sequence, self._end = message.epoch, message.sequence, end
        self._place, self._held = place, received.content
        if is_back:
            return self._begin_again(BACK)
        return self._join() if self._is_proved else self._meet()

    def _join(self) -> list[AnyEvent]:
        """Yield the message, which continues what was yielded, or ask for what is between."""
        if self._place <= self._cursor:
            return self._go_on()
        self._ask_hole()
        return []

    def _meet(self) -> list[AnyEvent]:
        """Deal with the message of a process of which it is not known whether it continues the last one."""
        if self._place.second < self._cursor.second - self._patience:
            return self._begin_again(BACK)
        if self._place > self._cursor or self._last is None:
            # What is asked begins with the last row, and is compared with it.
            if self._last is not None:
                self._cursor = self._last_place
            self._is_proved = True
            return self._join()
        if self._was_compared and self._end < self._cursor:  # it is still catching up
            return self._wait()
        self._was_compared = self._is_comparing = True
        self._ask_last()
        return []

    def _wait(self) -> list[AnyEvent]:
        self._held = self.question = None
        return []

    def answer(self, value: Any) -> list[AnyEvent]:
        """See `Feed.answer`."""
        if not self._is_comparing:
            return self._page(value)
        is_same = self._is_same(value)
        if is_same is None:
            return self.give_up(GONE)
        self._is_comparing, self.question = False, None
        if not is_same:
            return self._begin_again(OTHER)
        self._is_proved = True
        return self._join()

    def give_up(self, why: str) -> list[AnyEvent]:
        """See `Feed.give_up`."""
        if not self._is_comparing:
            return [self._gap(self._cursor.second, self._place.second, why), *self._skip()]
        self._is_comparing = False
        return self._wait() if self._end < self._cursor else self._begin_again(why)

    def _begin_again(self, why: str) -> list[AnyEvent]:
        """Yield the message as if it were the first one."""
        return [self._gap(None, self._place.second, why), *self._skip()]

    def _gap(self, start: int | None, end: int, why: str) -> Gap:
        self._last = None
        return Gap(self.topic, start, end, why)

    def _skip(self) -> list[AnyEvent]:
        """Yield what waited behind a hole which is filled, or told."""
        self._cursor = self._place
        self._is_proved = True
        return self._go_on()

    def _go_on(self) -> list[AnyEvent]:
        held, self._held, self.question = self._held, None, None
        return [] if held is None else self._deliver(self._place, held)
