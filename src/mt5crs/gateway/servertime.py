"""What time it is at the trade server, as far as its ticks tell.

Server time is the broker's wall clock: any offset, with or without a summer time, and a replay may run years
ago and faster. So nothing is converted. A tick that was seen says that server time is at least its own; where
ticks come one after the other, the newest is the present, give or take the skew.
"""

from math import inf

SKEW = 120.0
"""Seconds by which clocks may differ, and a tick may be older than the present."""
FRESH = 60.0
"""Seconds within which two different ticks must have been seen for the newer one to be the present."""
ZONES = 1800.0
"""Seconds by which time zones differ, or a multiple of it: an old tick is hardly ever just so far away."""
SUMMER = 3600.0
"""Seconds that a change to or from summer time moves the clock."""


class ServerTime:
    """The trade server's time, between two bounds."""

    def __init__(self) -> None:
        self._tick = 0.0
        self._seen = -inf
        self._is_fresh = self._looks_fresh = False

    def see(self, tick: float, now: float, utc: float) -> None:
        """Take the time of a symbol's last tick.

        Args:
            tick: Its time, epoch seconds of the server.
            now: Seconds on the gateway's monotonic clock.
            utc: The time of day on the gateway's clock, epoch seconds.
        """
        if tick <= self._tick:
            return
        self._is_fresh = now - self._seen <= FRESH
        self._looks_fresh = abs((tick - utc + ZONES / 2) % ZONES - ZONES / 2) <= FRESH
        self._tick, self._seen = tick, now

    def is_fresh(self, now: float) -> bool:
        """Whether a new tick was seen within `FRESH` seconds.

        The first one may be old; it counts where its time is that of a time zone.
        """
        return now - self._seen <= FRESH and (self._is_fresh or self._looks_fresh)

    @property
    def tick(self) -> float:
        """The time of the newest tick that was seen; 0 without one."""
        return self._tick

    @property
    def earliest(self) -> float:
        """The server's time is not before this; 0 while no tick has been seen."""
        return max(0.0, self._tick - SKEW)

    def latest(self, now: float) -> float:
        """Return what the server's time is not after; infinite where nothing tells."""
        if not self._is_fresh or now - self._seen > FRESH:
            return inf
        return self._tick + (now - self._seen) + SKEW + SUMMER
