"""What is published, and to whom: the topics that have subscribers, and the gateway's beat.

Nothing is collected for a topic that nobody subscribes to.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from typing import Any

from mt5crs.gateway.channels import BarChannel, Channel, StateChannel, TickChannel, TradeChannel, TradeRecord
from mt5crs.gateway.transfers import Frames
from mt5crs.gateway.wishes import Wishes
from mt5crs.security.policy import PRIVATE, Principal
from mt5crs.terminal.port import TerminalPort
from mt5crs.topics import Account, AnyTopic, Bars, Beat, Book, Ticks, Trades
from mt5crs.wire import messages, topics
from mt5crs.wire.codec import encode

BEAT_EVERY = 1.0
"""Seconds between two beats."""
BEAT, TRADES = Beat(), Trades()


class Streams:
    """The topics that have subscribers, and what is new on them.

    Args:
        terminal: Where news come from.
        epoch: The gateway process, on every message.
        state: Returns how the gateway is, for beats.
        record: What becomes of orders, deals and positions; without it there is no such topic.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        epoch: int,
        state: Callable[[], dict[str, Any]],
        record: TradeRecord | None = None,
    ) -> None:
        self._terminal = terminal
        self._epoch = epoch
        self._state = state
        self._record = record
        self._makes: dict[type[AnyTopic], Callable[[bytes, int, int], Channel]] = {
            Ticks: TickChannel,
            Bars: BarChannel,
            Book: StateChannel,
            Account: StateChannel,
        }
        if record is not None:
            self._makes[Trades] = partial(TradeChannel, record=record)
        self._wishes = Wishes()
        self._channels: dict[AnyTopic, Channel] = {}
        self._fresh: set[AnyTopic] = set()  # that somebody has just subscribed to
        self._unknown: set[AnyTopic] = set()  # those of them of which nothing is known yet
        self._pending: dict[Channel, None] = {}  # with something to send
        self._sequences: Counter[AnyTopic] = Counter()  # of topics that nobody is subscribed to now
        self._beats = 0
        self._next_beat = 0.0
        self._trades: TradeChannel | None = None

    def grant(self, wished: bytes, principal: Principal) -> bytes | None:
        """Take a wish; return the topic that its connection is to be given, None where it is not.

        Args:
            wished: A topic in full and a token, see `mt5crs.wire.topics`.
            principal: Whose connection it is.
        """
        name, token = topics.parts(wished) or (b"", b"")
        topic = topics.topic(name)
        if topic is None or topics.KINDS[type(topic)] in PRIVATE - principal.streams:
            return None
        if not self._wishes.may_add(name, token, principal.name):
            return None
        if name not in self._wishes and not self._begin(topic, name):
            return None
        self._wishes.add(name, token, principal.name)
        self._fresh.add(topic)
        return name

    def _begin(self, topic: AnyTopic, name: bytes) -> bool:
        if topic == BEAT:
            return True
        make = self._makes.get(type(topic))
        if make is None:
            return False
        # A terminal that does not tell when something is traded is looked at every few seconds all the same.
        if not self._terminal.follow(topic) and topic != TRADES:
            return False
        channel = self._channels[topic] = make(name, self._epoch, self._sequences.pop(topic, 0))
        if isinstance(channel, TradeChannel):
            self._trades = channel
            channel.record.follow(True)
        return True

    def give_up(self, wished: bytes) -> bytes | None:
        """Take the end of a wish, or of its connection; return the topic that it had, None where none."""
        name, token = topics.parts(wished) or (b"", b"")
        if not self._wishes.end(name, token):
            return None
        topic = topics.topic(name)
        if topic is not None and name not in self._wishes:
            self._end(topic)
        return name

    def _end(self, topic: AnyTopic) -> None:
        self._fresh.discard(topic)
        self._unknown.discard(topic)
        channel = self._channels.pop(topic, None)
        if channel is None:
            return
        if channel.sequence:  # who comes back has missed something, and is to notice it
            self._sequences[topic] = channel.sequence + 1
        self._pending.pop(channel, None)
        self._terminal.unfollow(topic)
        if isinstance(channel, TradeChannel):
            self._trades = None
            channel.record.follow(False)

    def reset(self) -> None:
        """Forget all subscribers: their connections are gone, those who may will come again."""
        for topic in list(self._channels):
            self._end(topic)
        self._wishes.clear()

    def news(self, now: float) -> Iterator[Frames]:
        """Yield the messages that are due."""
        pending = self._pending
        for news in self._terminal.take_news():
            channel = self._channels.get(news.topic)
            if channel is not None:
                channel.take(news, now)
                pending[channel] = None
        if self._trades is not None:
            self._trades.see(now)
            pending[self._trades] = None
        due = [channel for channel in pending if channel.due <= now]
        for channel in due:
            yield from channel.flush(now)
        self._pending = {channel: None for channel in pending if channel.due < inf}
        is_new = BEAT in self._fresh
        if self._fresh or self._unknown:
            yield from self._marks(now, due)
        if now >= self._next_beat:
            self._next_beat = max(self._next_beat + BEAT_EVERY, now)
            is_new = True
            for channel in self._channels.values():
                if now >= channel.quiet_due:
                    yield from channel.remind(now)
        if is_new:
            yield from self._beat(now)

    def _marks(self, now: float, told: list[Channel]) -> Iterator[Frames]:
        """Tell who has just subscribed where a topic stands, as soon as that is known.

        Of a private one it is told at once if that is not known yet: silence would be taken for a refusal.
        """
        fresh, self._fresh = self._fresh, set()
        waiting, self._unknown = (fresh | self._unknown) - {BEAT}, set()
        for topic in waiting:
            channel = self._channels[topic]
            if not channel.is_known:
                self._unknown.add(topic)
                if topic not in fresh or topics.KINDS[type(topic)] not in PRIVATE:
                    continue
            if channel not in told:  # what was sent tells it as well
                yield from channel.mark(now)

    @property
    def is_watched(self) -> bool:
        """Whether somebody is subscribed to what the terminal tells."""
        return bool(self._channels)

    @property
    def pending(self) -> int:
        """How many topics have something that was not published yet."""
        return sum(channel.due < inf for channel in self._pending)

    @property
    def due(self) -> float:
        """When `news` is worth calling again, whatever the terminal says."""
        beat = self._next_beat if self._wishes else inf
        record = inf if self._record is None else self._record.due
        return min([beat, record, *[channel.due for channel in self._pending]])

    def _beat(self, now: float) -> Iterator[Frames]:
        name = topics.name(BEAT)
        if name in self._wishes:
            self._beats += 1
            yield [name, encode(messages.Beat(self._beats, self._epoch, int(now * 1000), self._state()))]
