"""The feed of trade events."""

from mt5crs.client.streaming.feeds import Feed, Question
from mt5crs.client.streaming.reading import Received
from mt5crs.model import TradeEvent, TradeLog
from mt5crs.streams import AnyEvent, Bookmark, Gap
from mt5crs.topics import Trades
from mt5crs.wire.messages import Events

EVENTS = 1000
"""Trade events of a page of history."""

ANOTHER = "the gateway keeps another record of trade events now: all that it has follows"
LOST = "the gateway's record does not reach back to it: all that it has follows"
HOLE = "the gateway's record does not have it"


class TradeFeed(Feed):
    """What becomes of orders, deals and positions.

    Args:
        topic: The topic.
        after: The last event that is not wanted; without it, the last one there is at present.

    Attributes:
        serial: The serial number of the last event that was yielded.
    """

    def __init__(self, topic: Trades, after: Bookmark | None = None) -> None:
        super().__init__(topic)
        self.serial = None if after is None else after.serial
        self._log = "" if after is None else after.log
        self._epoch = -1
        self._time: int | None = None  # of the last event
        self._held: list[TradeEvent] = []
        self._place = 0
        self._is_anew = False  # whether the record is read from its first event on

    @property
    def log(self) -> str:
        """The id of the record that `serial` is of; "" while that is not known."""
        return self._log

    def take(self, received: Received) -> list[AnyEvent]:
        """See `Feed.take`."""
        message, events = received.message, received.content
        assert isinstance(message, Events)  # noqa: S101 - `read` has seen to it
        if not message.log:  # it is granted, and nothing is known yet
            return []
        told: list[AnyEvent] = []
        end = message.serial + len(events)
        is_other, is_new = self._log not in {"", message.log}, message.epoch != self._epoch
        self.is_known, self._epoch, self._log = True, message.epoch, message.log
        self._held, self._place = events, message.serial
        if self.serial is None:
            self.serial = message.serial
        elif is_other:
            return self._begin_anew(ANOTHER)
        elif is_new and end < self.serial:
            told.append(self._gap(f"the gateway's record ends with event {end}, before event {self.serial}"))
            self.serial = message.serial
        if message.serial <= self.serial:
            return told + self._go_on()
        self._is_anew = False
        self._ask()
        return told

    def _ask(self) -> None:
        named = {"after": self.serial, "count": EVENTS, "log": self._log}
        self.question = Question("trade_events", (), named)

    def _begin_anew(self, why: str) -> list[AnyEvent]:
        """Say that something is missing, and ask where the record begins."""
        gap = self._gap(why)
        self.serial, self._time, self._is_anew = 0, None, True
        self.question = Question("trade_log")
        return [gap]

    def _gap(self, why: str, end: int | None = None) -> Gap:
        return Gap(self.topic, self._time, end, why)

    def _deliver(self, events: list[TradeEvent]) -> list[AnyEvent]:
        new = [event for event in events if self.serial is None or event.serial > self.serial]
        if new:
            self.serial, self._time = new[-1].serial, new[-1].time_msc // 1000
        return [*new]

    def _go_on(self) -> list[AnyEvent]:
        held, self._held, self.question = self._held, [], None
        self.serial = max(self.serial or 0, self._place)
        return self._deliver(held)

    def give_up(self, why: str) -> list[AnyEvent]:
        """See `Feed.give_up`."""
        end = self._held[0].time_msc // 1000 if self._held else None
        return [self._gap(why, end), *self._go_on()]

    def answer(self, value: tuple[TradeEvent, ...] | TradeLog | None) -> list[AnyEvent]:
        """See `Feed.answer`."""
        if isinstance(value, TradeLog):
            return self._read_from(value)
        if value is None:
            return self.give_up(HOLE) if self._is_anew else self._begin_anew(LOST)
        assert self.serial is not None  # noqa: S101 - it was asked for what comes after it
        page = [event for event in value if event.serial <= self._place]
        expected = range(self.serial + 1, self.serial + 1 + len(page))
        if not page or [event.serial for event in page] != [*expected]:
            return self.give_up(HOLE)
        events = self._deliver(page)
        if self.serial < self._place:
            self._ask()
            return events
        return events + self._go_on()

    def _read_from(self, log: TradeLog) -> list[AnyEvent]:
        if log.log != self._log:  # there is yet another one: the next message is of that
            return self.give_up(HOLE)
        self.serial = max(log.first - 1, 0)
        if self.serial >= self._place:
            return self._go_on()
        self._ask()
        return []
