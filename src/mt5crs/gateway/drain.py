"""A gateway that stops: what it still has in hand, and for how long that is waited for. Pure."""

import logging
from math import inf
from typing import NamedTuple

log = logging.getLogger(__name__)

LIMIT = 10.0
"""Seconds that a stopping gateway takes at most to finish what it has in hand."""
LONGEST = 3600.0
"""The most that may be asked for: a terminal that never answers must not keep a gateway for good."""
STALL = 1.0
"""Seconds without progress after which what clients have to take in is not waited for any more."""


class InHand(NamedTuple):
    """What a gateway has in hand.

    Attributes:
        orders: Orders that came and whose outcome is not in the journal yet.
        answers: Requests that wait for the terminal; orders are among them.
        arrays: Arrays on their way.
        unsent: Connections that do not take their answers as fast as they come.
        news: Topics with something that was not published yet.
        chunks: Chunks of arrays that were sent so far.
    """

    orders: int = 0
    answers: int = 0
    arrays: int = 0
    unsent: int = 0
    news: int = 0
    chunks: int = 0

    @property
    def is_at_terminal(self) -> bool:
        """Whether the terminal has to do something for it, or the journal."""
        return bool(self.orders or self.answers)

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to wait for."""
        return not any(self[:-1])

    def __str__(self) -> str:
        return ", ".join(
            f"{count} {one if count == 1 else many}"
            for count, (one, many) in zip(self, _WORDS, strict=False)
            if count
        )


_WORDS = (
    ("order", "orders"),
    ("request at the terminal", "requests at the terminal"),
    ("array on its way", "arrays on their way"),
    ("slow client", "slow clients"),
    ("topic with news", "topics with news"),
)


class Drain:
    """Decides how long to wait.

    Args:
        in_hand: What there is when it begins.
        now: The time, in seconds on the gateway's clock.
        limit: Seconds that it may take at most.

    Attributes:
        until: When it ends at the latest.
    """

    def __init__(self, in_hand: InHand, now: float, limit: float = LIMIT) -> None:
        self.until = now + limit
        self._began = self._moved = now
        self._last = in_hand
        self._is_told = not in_hand.is_nothing
        if self._is_told:
            log.warning("stopping: waits up to %g s for %s; a second signal ends it at once", limit, in_hand)

    def goes_on(self, in_hand: InHand, now: float) -> bool:
        """Whether to wait on, with what is in hand now."""
        if in_hand != self._last:
            self._last, self._moved = in_hand, now
        return not in_hand.is_nothing and now < self.until and now < self._stalls

    @property
    def _stalls(self) -> float:
        return inf if self._last.is_at_terminal else self._moved + STALL

    def end(self, now: float) -> None:
        """Say what came of it."""
        if not self._last.is_nothing:
            log.warning("stopped after %.1f s, and gave up %s", now - self._began, self._last)
        elif self._is_told:
            log.warning("stopped after %.1f s, all was answered", now - self._began)
