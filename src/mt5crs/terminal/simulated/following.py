"""What is followed for the gateway's streams, and how far it was taken."""

from collections.abc import Callable
from typing import Any, Protocol

from mt5crs.cursors import START
from mt5crs.terminal.port import News, NewTicks
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.topics import AnyTopic, Ticks


class Follower(Protocol):
    """What follows one topic."""

    def take(self) -> News | None:
        """Return what is new since the last time, None where nothing is."""
        ...

    @property
    def due(self) -> float:
        """What the clock reads when something new may be there."""
        ...


class TickFollower:
    """The ticks of a symbol.

    Args:
        market: The prices.
        topic: The symbol.
    """

    def __init__(self, market: Market, topic: Ticks) -> None:
        self._market = market
        self._topic = topic
        self._seen_msc = market.clock.now_msc()
        last = market.tick(topic.symbol).time_msc // 1000 * 1000
        self._cursor = START.after(market.source(topic.symbol).ticks(last, self._seen_msc + 1))
        self._is_told = False

    def take(self) -> News | None:
        """See `Follower.take`."""
        is_new = self._market.tick(self._topic.symbol).time_msc > self._seen_msc
        if not is_new and self._is_told:
            return None
        now_msc = self._market.clock.now_msc() if is_new else self._seen_msc
        ticks = self._market.source(self._topic.symbol).ticks(self._seen_msc + 1, now_msc + 1)
        start, self._cursor = self._cursor, self._cursor.after(ticks)
        self._seen_msc, self._is_told = now_msc, True
        return NewTicks(self._topic, start, ticks)

    @property
    def due(self) -> float:
        """See `Follower.due`."""
        live = self._market.live(self._topic.symbol)
        live.refresh()
        return live.due


MAKES: dict[type[AnyTopic], Callable[[Market, Any], Follower]] = {Ticks: TickFollower}
"""What follows a topic, by its kind."""


class Following:
    """All that is followed.

    Args:
        market: The prices.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._followers: dict[AnyTopic, Follower] = {}

    def add(self, topic: AnyTopic) -> bool:
        """Follow a topic from now on; False for an unknown symbol."""
        make = MAKES.get(type(topic))
        if make is None or getattr(topic, "symbol", None) not in self._market.symbols:
            return False
        if topic not in self._followers:
            self._followers[topic] = make(self._market, topic)
        return True

    def remove(self, topic: AnyTopic) -> None:
        """Follow it no more."""
        self._followers.pop(topic, None)

    def clear(self) -> None:
        """Follow nothing."""
        self._followers.clear()

    def take(self) -> list[News]:
        """Return what is new."""
        taken = (follower.take() for follower in self._followers.values())
        return [news for news in taken if news is not None]

    def due(self, latest: float) -> float:
        """Return what the clock reads when something new may be there; `latest` if nothing is before."""
        return min((follower.due for follower in self._followers.values()), default=latest)
