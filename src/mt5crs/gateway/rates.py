"""How often a key may ask, kind by kind: what comes faster is refused, and costs next to nothing."""

from collections.abc import Callable, Mapping

from mt5crs.errors import Busy
from mt5crs.operation import Kind

BURST = 1.0
"""Seconds' worth of requests that may come at once."""


class Bucket:
    """What is left of what may be taken at once; it fills again with time.

    Args:
        left: What there is.
        since: As of when.
    """

    __slots__ = ("_left", "_since")

    def __init__(self, left: float, since: float) -> None:
        self._left = left
        self._since = since

    def take(self, amount: float, most: float, rate: float, now: float) -> bool:
        """Take some; return whether there was as much.

        Args:
            amount: How much.
            most: What it can hold.
            rate: What comes in a second.
            now: Seconds on the gateway's clock.
        """
        self._left = min(most, self._left + (now - self._since) * rate)
        self._since = now
        if self._left < amount:
            return False
        self._left -= amount
        return True


class Rates:
    """What the keys have left.

    Args:
        of: Returns how many requests per second of each kind a name may ask; what is absent has no limit.
    """

    def __init__(self, of: Callable[[str], Mapping[Kind, float]]) -> None:
        self._of = of
        self._left: dict[tuple[str, Kind], Bucket] = {}

    def take(self, name: str, kind: Kind, now: float) -> None:
        """Count a request.

        Args:
            name: Whose it is.
            kind: What kind of operation it asks for.
            now: Seconds on the gateway's clock.

        Raises:
            Busy: There were too many.
        """
        limit = self._of(name).get(kind)
        if limit is None:
            return
        most = max(1.0, limit * BURST)
        bucket = self._left.get((name, kind))
        if bucket is None:
            bucket = self._left[name, kind] = Bucket(most, now)
        if not bucket.take(1.0, most, limit, now):
            raise Busy(
                f"{name} asks more than {limit:g} {kind.value} requests a second",
                hint=f"that is {kind.value} in [keys.{name}.rates] of the gateway's policy",
            )
