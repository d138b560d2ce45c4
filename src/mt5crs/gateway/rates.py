"""How often a key may ask, kind by kind: what comes faster is refused, and costs next to nothing."""

from collections.abc import Callable, Mapping

from mt5crs.errors import Busy
from mt5crs.operation import Kind

BURST = 1.0
"""Seconds' worth of requests that may come at once."""


class Rates:
    """What the keys have left.

    Args:
        of: Returns how many requests per second of each kind a name may ask; what is absent has no limit.
    """

    def __init__(self, of: Callable[[str], Mapping[Kind, float]]) -> None:
        self._of = of
        self._left: dict[tuple[str, Kind], tuple[float, float]] = {}  # how many, and as of when

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
        left, since = self._left.get((name, kind), (most, now))
        left = min(most, left + (now - since) * limit)
        if left < 1.0:
            self._left[name, kind] = left, now
            raise Busy(
                f"{name} asks more than {limit:g} {kind.value} requests a second",
                hint=f"that is {kind.value} in [keys.{name}.rates] of the gateway's policy",
            )
        self._left[name, kind] = left - 1.0, now
