"""How many wishes to subscribe a key may send: its connections are closed where they are far too many.

The transport takes all that comes, and keeps each wish letter by letter until it is ended, whether it was
granted or not. So they are counted in bytes, and those that are refused a second time, as what stays.
"""

from mt5crs.gateway.rates import Bucket

WEIGHT = 32
"""Bytes that a wish counts beside its own."""
BURST, RATE = float(2 << 20), float(256 << 10)
"""Bytes of wishes that may come at once, and those that may follow in a second: what several programs with
thousands of topics send when they all come back at the same time is less."""
REFUSED_BURST, REFUSED_RATE = float(256 << 10), 128.0
"""The same of those that are refused: one in a second, for ever."""
BEHIND = 30.0
"""Seconds for which there may be more wishes than are taken."""


class Floods:
    """What the keys have left."""

    def __init__(self) -> None:
        self._wishes: dict[str, Bucket] = {}
        self._refused: dict[str, Bucket] = {}
        self._behind_since: float | None = None

    def is_one(self, name: str, size: int, now: float, *, refused: bool) -> bool:
        """Count a wish; return whether it is one too many.

        Args:
            name: Whose it is.
            size: Its bytes.
            now: Seconds on the gateway's clock.
            refused: Whether it was not granted.
        """
        size += WEIGHT
        if refused and not _of(self._refused, name, REFUSED_BURST, now).take(
            size, REFUSED_BURST, REFUSED_RATE, now
        ):
            return True
        return not _of(self._wishes, name, BURST, now).take(size, BURST, RATE, now)

    def is_behind(self, now: float, *, more: bool) -> bool:
        """Note whether there are more wishes than were taken; return whether that has lasted too long."""
        if not more:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        return self._behind_since is not None and now - self._behind_since > BEHIND


def _of(buckets: dict[str, Bucket], name: str, most: float, now: float) -> Bucket:
    bucket = buckets.get(name)
    if bucket is None:
        bucket = buckets[name] = Bucket(most, now)
    return bucket
