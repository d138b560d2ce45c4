"""All that is followed for the gateway's streams, in the order in which something new may be there.

What is not due costs nothing: a turn looks at the head of a queue, not at every topic.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from mt5crs.terminal.port import News
from mt5crs.terminal.simulated.followers import MAKES, Follower, Sight
from mt5crs.terminal.simulated.prices.zone import NEVER
from mt5crs.topics import Account, AnyTopic, Bars, Book, Ticks, Trades

OF_SYMBOLS = Ticks, Bars, Book
OF_THE_ACCOUNT = Book, Account, Trades
"""What may change when the account does: what is filled is missing in the book."""

SURPLUS = 64
"""Entries that do not count any more and may wait for their time."""
Entry: TypeAlias = tuple[float, int, Follower]


class Following:
    """The topics that are followed.

    Args:
        sight: What followers look at.
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._clock = sight.market.clock
        self._followers: dict[AnyTopic, Follower] = {}
        # An entry counts as long as its follower is followed, and due at the time that the entry says.
        self._agenda: list[Entry] = []
        self._numbers = count()

    def add(self, topic: AnyTopic) -> bool:
        """Follow a topic from now on; False for an unknown symbol."""
        make = MAKES.get(type(topic))
        if make is None:
            return False
        if isinstance(topic, OF_SYMBOLS) and topic.symbol not in self._sight.market.symbols:
            return False
        if topic not in self._followers:
            follower = self._followers[topic] = make(self._sight, topic)
            self._plan(follower)
        return True

    def remove(self, topic: AnyTopic) -> None:
        """Follow it no more."""
        self._followers.pop(topic, None)

    def clear(self) -> None:
        """Follow nothing."""
        self._followers.clear()
        self._agenda.clear()

    def changed(self) -> None:
        """Look again at what may change with the account."""
        self._wake([each for each in self._followers.values() if isinstance(each.topic, OF_THE_ACCOUNT)])

    def wake(self) -> None:
        """Look again at everything: time goes on otherwise than was foreseen."""
        self._wake(list(self._followers.values()))

    def _wake(self, followers: list[Follower]) -> None:
        for follower in followers:
            if follower.due > -NEVER:
                follower.due = -NEVER
                self._plan(follower)

    def take(self) -> list[News]:
        """Return what is new."""
        reading, due = self._clock.read(), dict[Follower, None]()  # each once, in their order
        while (follower := self._first()) is not None and follower.due <= reading:
            heappop(self._agenda)
            due[follower] = None
        taken: list[News] = []
        for follower in due:
            news = follower.take()
            if news is not None:
                taken.append(news)
            self._plan(follower)
        return taken

    @property
    def due(self) -> float:
        """What the clock reads when something new may be there."""
        first = self._first()
        return NEVER if first is None else first.due

    def _plan(self, follower: Follower) -> None:
        if len(self._agenda) > SURPLUS + 2 * len(self._followers):
            self._agenda = [entry for entry in self._agenda if self._counts(entry)]
            heapify(self._agenda)
        if follower.due < NEVER:
            heappush(self._agenda, (follower.due, next(self._numbers), follower))

    def _counts(self, entry: Entry) -> bool:
        due, _, follower = entry
        return due == follower.due and self._followers.get(follower.topic) is follower

    def _first(self) -> Follower | None:
        """Return what is due first; entries that do not count any more are dropped on the way."""
        while self._agenda:
            if self._counts(self._agenda[0]):
                return self._agenda[0][2]
            heappop(self._agenda)
        return None
