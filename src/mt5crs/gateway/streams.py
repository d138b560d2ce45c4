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
PER_KEY = 8_192
"""Wishes of one key that are granted at a time."""
COPIES = 2
"""How often the same wish counts: once for a connection, once more for the one that takes its place."""


class _Granted:
    """A wish that was granted.

    Attributes:
        owner: The name of the key that it is of.
        copies: How many connections have it, as far as that is told.
    """

    __slots__ = ("copies", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.copies = 0


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
        self._granted: dict[bytes, dict[bytes, _Granted]] = {}  # by topic and token
        self._counts: Counter[str] = Counter()  # by key
        self._sequences: Counter[bytes] = Counter()
        self._next_beat = 0.0

    def grant(self, wished: bytes, principal: Principal) -> bytes | None:
        """Take a wish; return the topic that its connection is to be given, None where it is not.

        Args:
            wished: A topic in full and a token, see `mt5crs.wire.topics`.
            principal: Whose connection it is.
        """
        parts = topics.parts(wished)
        if parts is None:
            return None
        topic, token = parts
        if topics.name(topic) in PRIVATE - principal.streams:
            return None
        tokens = self._granted.get(topic, {})
        granted = tokens.get(token)
        if granted is None:
            granted = self._new(topic, token, principal.name)
        if granted is None or granted.owner != principal.name:
            return None
        # Said more often it would count more often than it ends: a connection's end is told once.
        granted.copies = min(granted.copies + 1, COPIES)
        return topic

    def _new(self, topic: bytes, token: bytes, owner: str) -> _Granted | None:
        if self._counts[owner] >= PER_KEY or self._counts.total() >= ROOM:
            return None
        if topic not in self._granted:
            if not self._begin(topic):
                return None
            self._granted[topic] = {}
        granted = self._granted[topic][token] = _Granted(owner)
        self._counts[owner] += 1
        return granted

    def _begin(self, topic: bytes) -> bool:
        symbol = topics.tick_symbol(topic)
        return topic == topics.BEAT or (symbol is not None and self._terminal.follow(symbol))

    def give_up(self, wished: bytes) -> bytes | None:
        """Take the end of a wish, or of its connection; return the topic that it had, None where none."""
        topic, token = topics.parts(wished) or (b"", b"")
        tokens = self._granted.get(topic, {})
        granted = tokens.get(token)
        if granted is None:
            return None
        granted.copies -= 1
        if not granted.copies:
            del tokens[token]
            self._counts[granted.owner] -= 1
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
        self._counts.clear()

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
