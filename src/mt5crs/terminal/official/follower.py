"""What all followers have in common: a topic, the terminal, and how often that is looked at."""

from math import inf
from typing import Any, ClassVar, NamedTuple

from mt5crs.terminal.port import News

FRESH = 0.02
"""Seconds for which the last tick of a symbol serves all that follow the symbol's bars."""


class Pace(NamedTuple):
    """Seconds between two looks: doubled after each that finds nothing.

    Attributes:
        shortest: After a look that found something.
        longest: Where the doubling ends.
    """

    shortest: float
    longest: float


class Source:
    """The official functions, and what one call of them tells several followers.

    Args:
        mt5: What has the functions.

    Attributes:
        mt5: See above.
    """

    def __init__(self, mt5: Any) -> None:
        self.mt5 = mt5
        self._seconds: dict[str, tuple[float, float]] = {}

    def last_second(self, symbol: str, now: float) -> float:
        """Return the second of a symbol's last tick; before all seconds where there is none."""
        asked, second = self._seconds.get(symbol, (-inf, -inf))
        if now - asked >= FRESH:
            tick = self.mt5.symbol_info_tick(symbol)
            second = -inf if tick is None else tick.time
            self._seconds[symbol] = now, second
        return second


class Follower:
    """Finds what is new of one topic, each thing once.

    A place says how far a topic was taken in, so that another follower goes on from there: of ticks, second
    and offset; of bars, the open time of the last one; of a state, the state. It is None at the beginning.

    Args:
        source: The terminal.
        topic: What is followed.
        place: How far it was taken in before; None to begin with the present.

    Attributes:
        due: When it is worth being asked again; seconds on the clock of those who ask.
    """

    PACE: ClassVar[Pace]

    def __init__(self, source: Source, topic: Any, place: Any) -> None:
        self._source = source
        self._mt5 = source.mt5
        self._topic = topic
        self._pause = self.PACE.shortest
        self._begin(place)
        self.due = -inf

    def _begin(self, place: Any) -> None:
        """Go on from a place."""
        raise NotImplementedError

    def poll(self, now: float) -> News | None:
        """Return what is new, None for nothing: then the terminal's last error may say why."""
        news = self._take(now)
        shortest, longest = self.PACE
        self._pause = shortest if news is not None else min(2 * self._pause, longest)
        self.due = now + self._pause
        return news

    def _take(self, now: float) -> News | None:
        raise NotImplementedError

    def end(self) -> None:
        """Let go of what the terminal holds for this follower alone."""
