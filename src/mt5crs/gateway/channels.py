"""One topic's channel: numbers what is published on it, and knows where it stands.

What has come is sent at once where the topic was idle. Under load it is sent once in a `WINDOW`: more rows in
fewer messages, which is what a message costs most of its time for.
"""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from mt5crs.cursors import Cursor
from mt5crs.gateway.transfers import Frames
from mt5crs.terminal.port import NewBars, News, NewState, NewTicks
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Batch, Events, Snapshot

if TYPE_CHECKING:
    from mt5crs.model import RatesArray, TicksArray

WINDOW = 0.001
"""Seconds between two messages of a topic at the least."""
BATCH_ROWS = 1024
"""Rows of a batch at most, 60 KB: what waits for a slow subscriber is counted in messages."""
QUIET_FIRST, QUIET_LAST = 1.0, 64.0
"""Seconds after which it is told again where a quiet topic stands: from the first pause on doubled."""


class Channel:
    """What all channels have in common.

    Args:
        name: The topic's name on the wire.
        epoch: The gateway process, on every message.
        sequence: The number of the last message of this topic.

    Attributes:
        name: See above.
        sequence: The number of the last message.
        due: When what is pending may be sent; seconds on the gateway's clock, `inf` where nothing is.
        quiet_due: When it is to be told again where the topic stands, if nothing comes before.
    """

    def __init__(self, name: bytes, epoch: int, sequence: int) -> None:
        self.name = name
        self.sequence = sequence
        self.due = inf
        self._epoch = epoch
        self.quiet_due = inf
        self._sent = -inf
        self._pause = QUIET_FIRST

    def take(self, news: News, now: float) -> None:
        """Take in what is new."""
        raise NotImplementedError

    @property
    def is_known(self) -> bool:
        """Whether it is known where the topic stands."""
        raise NotImplementedError

    def mark(self, now: float) -> Iterator[Frames]:
        """Tell where the topic stands, or that this is not known: to who has just subscribed, and to all."""
        if self.quiet_due == inf:
            self._is_quiet_from(now)
        return self._mark(now)

    def flush(self, now: float) -> Iterator[Frames]:
        """Send what is pending."""
        self.due = inf
        self._sent = now
        self._is_quiet_from(now)
        return self._pending(now)

    def remind(self, now: float) -> Iterator[Frames]:
        """Tell again where a topic stands on which nothing has come for a while."""
        self.quiet_due = now + self._pause
        self._pause = min(2 * self._pause, QUIET_LAST)
        return self._mark(now)

    def _mark(self, now: float) -> Iterator[Frames]:
        raise NotImplementedError

    def _pending(self, now: float) -> Iterator[Frames]:
        raise NotImplementedError

    def _is_quiet_from(self, now: float) -> None:
        self._pause = QUIET_FIRST
        self.quiet_due = now + QUIET_FIRST

    def _has(self, now: float) -> None:
        """Note that something is pending."""
        self.due = max(now, self._sent + WINDOW)

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence


Place = tuple[int, int]


class _Rows(Channel):
    """Rows with a place in a history."""

    def __init__(self, name: bytes, epoch: int, sequence: int) -> None:
        super().__init__(name, epoch, sequence)
        self._place: Place | None = None  # behind what was sent
        self._end: Place | None = None  # behind what was taken
        self._stretches: list[tuple[Place, list[Any]]] = []

    def _take(self, place: Place, rows: "TicksArray | RatesArray", now: float) -> None:
        if self._place is None:
            self._place = self._end = place
        if not len(rows):
            return
        if not self._stretches or place != self._end:  # what the terminal itself missed is told as missing
            self._stretches.append((place, []))
        self._stretches[-1][1].append(rows)
        self._end = self._after(place, rows)
        self._has(now)

    def _after(self, place: Place, rows: Any) -> Place:
        """Return the place behind rows that come after another one."""
        raise NotImplementedError

    @property
    def is_known(self) -> bool:
        """See `Channel.is_known`."""
        return self._place is not None

    def _mark(self, now: float) -> Iterator[Frames]:
        if self._place is not None:
            yield [self.name, encode(Batch(self.sequence, self._epoch, int(now * 1000), self._place, 0))]

    def _pending(self, now: float) -> Iterator[Frames]:
        stretches, self._stretches = self._stretches, []
        for start, arrays in stretches:
            rows, place = _joined(arrays), start
            for first in range(0, len(rows), BATCH_ROWS):
                part = rows[first : first + BATCH_ROWS]
                batch = Batch(self._next(), self._epoch, int(now * 1000), place, len(part))
                place = self._after(place, part)
                yield [self.name, encode(batch), part.view("u1").data]
        self._place = self._end


def _joined(arrays: list[Any]) -> Any:
    if len(arrays) == 1:
        return arrays[0]
    import numpy

    # As bytes: NumPy copies structured rows field by field.
    return numpy.concatenate([array.view("u1") for array in arrays]).view(arrays[0].dtype)


class TickChannel(_Rows):
    """The ticks of a symbol."""

    def take(self, news: News, now: float) -> None:
        """See `Channel.take`."""
        if isinstance(news, NewTicks):
            self._take(news.start, news.ticks, now)

    def _after(self, place: Place, rows: "TicksArray") -> Place:
        return Cursor(*place).after(rows)


class BarChannel(_Rows):
    """The closed bars of a symbol and timeframe."""

    def take(self, news: News, now: float) -> None:
        """See `Channel.take`."""
        if isinstance(news, NewBars):
            self._take((news.after, 0), news.bars, now)

    def _after(self, place: Place, rows: "RatesArray") -> Place:
        return int(rows["time"][-1]), 0


class StateChannel(Channel):
    """A state, of which the latest counts."""

    def __init__(self, name: bytes, epoch: int, sequence: int) -> None:
        super().__init__(name, epoch, sequence)
        self._new: list[Any] = []
        self._value: list[Any] | None = None  # that was sent

    def take(self, news: News, now: float) -> None:
        """See `Channel.take`."""
        if isinstance(news, NewState):
            self._new = news.value
            self._has(now)

    @property
    def is_known(self) -> bool:
        """See `Channel.is_known`; before the first state was sent there is none to tell again."""
        return self._value is not None

    def _mark(self, now: float) -> Iterator[Frames]:
        yield self._message(self.sequence, now)

    def _pending(self, now: float) -> Iterator[Frames]:
        self._value = self._new
        yield self._message(self._next(), now)

    def _message(self, sequence: int, now: float) -> Frames:
        return [self.name, encode(Snapshot(sequence, self._epoch, int(now * 1000), self._value))]


class TradeRecord(Protocol):
    """The record of what becomes of orders, deals and positions, as a channel needs it."""

    @property
    def place(self) -> tuple[str, int] | None:
        """The record's id and the serial number of its last event; None while that is not known."""
        ...

    @property
    def due(self) -> float:
        """When it is to be given a turn again, on the gateway's clock; `inf` where it needs none."""
        ...

    def look(self) -> None:
        """Look for events, soon."""
        ...

    def follow(self, on: bool) -> None:
        """Look for events from now on without being told to, or do so no more."""
        ...

    def since(self, serial: int) -> list[list[Any]]:
        """Return the fields of the events after a serial number, those that are not many too many."""
        ...


class TradeChannel(Channel):
    """What becomes of orders, deals and positions.

    Args:
        name: As for `Channel`, as are the next two.
        epoch: The gateway process.
        sequence: The number of the last message of this topic.
        record: Where events are.

    Attributes:
        record: See above.
    """

    def __init__(self, name: bytes, epoch: int, sequence: int, record: TradeRecord) -> None:
        super().__init__(name, epoch, sequence)
        self.record = record
        self._place: tuple[str, int] | None = None  # of what was sent

    def take(self, news: News, now: float) -> None:
        """See `Channel.take`."""
        self.record.look()

    def see(self, now: float) -> None:
        """See whether there are events that were not sent."""
        place = self.record.place
        if place is None or place == self._place:
            return
        if self._place is None or self._place[0] != place[0]:
            self._place = place  # the stream begins with the present
        else:
            self._has(now)

    @property
    def is_known(self) -> bool:
        """See `Channel.is_known`."""
        return self._place is not None

    def _mark(self, now: float) -> Iterator[Frames]:
        log, serial = self._place or ("", 0)
        yield [self.name, encode(Events(self.sequence, self._epoch, int(now * 1000), log, serial, []))]

    def _pending(self, now: float) -> Iterator[Frames]:
        assert self._place is not None  # noqa: S101 - `see` is what says that something is pending
        log, serial = self._place
        events = self.record.since(serial)
        self._place = log, serial + len(events)
        yield [
            self.name,
            encode(Events(self._next(), self._epoch, int(now * 1000), log, serial, events)),
        ]
        self.see(now)  # there may be more than fit in a message
