"""What is published, and to whom: batches of a topic's rows, numbered, and the gateway's beat.

Nothing is collected for a topic that nobody subscribes to. The socket leaves it to us which wishes it grants;
in that mode it also passes on whatever a peer says of subscriptions that it never had, and does not say whose
connection has ended. So each wish has a token, which its subscriber alone knows, and who ends a subscription
names it by its token.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mt5crs.gateway.transfers import Frames
from mt5crs.security.policy import PRIVATE, Principal
from mt5crs.terminal.port import TerminalPort
from mt5crs.wire import topics
from mt5crs.wire.codec import encode
from mt5crs.wire.messages import Batch, Beat

BEAT_EVERY = 1.0
"""Seconds between two beats."""
ROOM = 65_536
"""Wishes that are granted at a time."""


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
        self._granted: dict[bytes, Counter[bytes]] = {}  # topic: tokens, as often as connections have them
        self._count = 0
        self._sequences: Counter[bytes] = Counter()
        self._next_beat = 0.0

    def grant(self, wished: bytes, principal: Principal) -> bytes | None:
        """Take a wish; return the topic that its connection is to be given, None where it is not.

        Args:
            wished: A topic in full and a token, see `mt5crs.wire.topics`.
            principal: Whose connection it is.
        """
        parts = topics.parts(wished)
        if parts is None or self._count >= ROOM:
            return None
        topic, token = parts
        if topics.name(topic) in PRIVATE - principal.streams:
            return None
        tokens = self._granted.get(topic)
        if tokens is None:
            if not self._begin(topic):
                return None
            tokens = self._granted[topic] = Counter()
        tokens[token] += 1
        self._count += 1
        return topic

    def _begin(self, topic: bytes) -> bool:
        symbol = topics.tick_symbol(topic)
        return topic == topics.BEAT or (symbol is not None and self._terminal.follow(symbol))

    def give_up(self, wished: bytes) -> bytes | None:
        """Take the end of a wish, or of its connection; return the topic that it had, None where none."""
        topic, token = topics.parts(wished) or (b"", b"")
        tokens = self._granted.get(topic)
        if tokens is None or not tokens[token]:
            return None
        tokens[token] -= 1
        self._count -= 1
        if not tokens[token]:
            del tokens[token]
        if not tokens:
            self._end(topic)
        return topic

    def _end(self, topic: bytes) -> None:
        del self._granted[topic]
        if topic in self._sequences:  # who comes back has missed something, and is to notice it
            self._sequences[topic] += 1
        symbol = topics.tick_symbol(topic)
        if symbol is not None:
            self._terminal.unfollow(symbol)

    def reset(self) -> None:
        """Forget all subscribers: their connections are gone, those who may will come again."""
        for topic in list(self._granted):
            self._end(topic)
        self._count = 0

    def news(self, now: float) -> Iterator[Frames]:
        """Yield the messages that are due."""
        for symbol, ticks in self._terminal.take_ticks():
            topic = topics.tick(symbol)
            batch = Batch(self._number(topic), self._epoch, len(ticks))
            yield [topic, encode(batch), ticks.view("u1").data]
        if topics.BEAT in self._granted and now >= self._next_beat:
            self._next_beat = now + BEAT_EVERY
            beat = Beat(self._number(topics.BEAT), self._epoch, int(now * 1000), self._state())
            yield [topics.BEAT, encode(beat)]

    def _number(self, topic: bytes) -> int:
        self._sequences[topic] += 1
        return self._sequences[topic]
