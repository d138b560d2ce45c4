"""How far behind the gateway a subscriber is, by the clock in each message."""

from math import inf

FIRST = 1.0
"""Seconds behind of which it is told; then at each doubling."""
CAUGHT_UP = 0.5
"""Seconds below which it is no more."""
DRIFT = 2e-4
"""What two clocks may part by in each second: what they do is not taken for being behind."""


class Lag:
    """Compares each message's delay with the smallest one; the two clocks have nothing else in common."""

    def __init__(self) -> None:
        self._epoch = -1
        self._least = inf
        self._at = 0.0
        self._next = FIRST

    def take(self, epoch: int, clock: int, now: float) -> float | None:
        """Take in a message's clock; return how many seconds behind it is where that is to be told.

        Args:
            epoch: The gateway process whose clock it is.
            clock: Its milliseconds.
            now: The subscriber's own clock, in seconds.
        """
        delay = now - clock / 1000
        if epoch != self._epoch:
            self._epoch, self._least = epoch, delay
        self._least = min(delay, self._least + (now - self._at) * DRIFT)
        self._at = now
        behind = delay - self._least
        if behind >= self._next:
            while self._next <= behind:
                self._next *= 2
            return behind
        if self._next > FIRST and behind < CAUGHT_UP:
            self._next = FIRST
            return 0.0
        return None
