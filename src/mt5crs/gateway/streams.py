"""What is published: batches of a topic's rows, numbered, and the gateway's beat.

Nothing is collected for a topic that nobody subscribes to.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mt5crs.gateway.transfers import Frames
from mt5crs.terminal.port import TerminalPort
from mt5crs.wire import topics
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Batch, Beat

BEAT_EVERY = 1.0
"""Seconds between two beats."""
SUBSCRIBE, UNSUBSCRIBE = b"\1", b"\0"


class Streams:
    """The topics that have subscribers, and what is new on them.

    Args:
        terminal: Where ticks come from.
        epoch: The gateway process, on every message.
        state: Returns how the gateway is, for beats.
    """

    def __init__(self, terminal: TerminalPort, epoch: int, state: Callable[[], dict[str, Any]]) -> None:
        self._terminal = terminal
        self._epoch = epoch
        self._state = state
        self._topics: set[bytes] = set()  # that somebody subscribes to
        self._sequences: Counter[bytes] = Counter()
        self._next_beat = 0.0

    def subscription(self, frame: bytes) -> bool:
        """Take the socket's news of a topic's first subscriber, or of its last one's leaving.

        The socket itself keeps who subscribed, connection by connection: what a peer says of others'
        subscriptions changes nothing.

        Returns:
            Whether it is about a topic that exists.
        """
        wish, topic = frame[:1], frame[1:]
        symbol = topics.tick_symbol(topic)
        if wish == UNSUBSCRIBE and topic in self._topics:
            self._topics.discard(topic)
            if symbol is not None:
                self._terminal.unfollow(symbol)
            return True
        if wish != SUBSCRIBE:
            return False
        if topic != topics.BEAT and (symbol is None or not self._terminal.follow(symbol)):
            return False
        self._topics.add(topic)
        return True

    def news(self, now: float) -> Iterator[Frames]:
        """Yield the messages that are due."""
        for symbol, ticks in self._terminal.take_ticks():
            topic = topics.tick(symbol)
            batch = Batch(self._number(topic), self._epoch, len(ticks))
            yield [topic, encode(batch), ticks.view("u1").data]
        if topics.BEAT in self._topics and now >= self._next_beat:
            self._next_beat = now + BEAT_EVERY
            beat = Beat(self._number(topics.BEAT), self._epoch, int(now * 1000), self._state())
            yield [topics.BEAT, encode(beat)]

    def _number(self, topic: bytes) -> int:
        self._sequences[topic] += 1
        return self._sequences[topic]
