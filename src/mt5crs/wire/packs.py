"""Whether a connection asks for packed arrays: always, never, or where its link proves to be slow."""

from __future__ import annotations

from collections.abc import Callable

from mt5crs.wire.packing import ZSTD

SLOW_ROUND_TRIP = 0.003
"""Seconds of a greeting from which packing pays; on loopback one takes a fraction of it."""
SLOW_SPEED = 20e6
"""Bytes a second below which it pays: packing and unpacking are several times as fast."""
LARGE = 2 * 1024 * 1024
"""Bytes of an array whose speed says something of the link."""


def _nothing() -> None:
    pass


class Packs:
    """What one connection wants of the gateway; pure, time is given to it.

    Args:
        compress: The setting: `none`, `zstd` (always) or `auto` (where the link is slow).
        missed: Called where the gateway cannot do what was asked for.

    Attributes:
        wanted: What the next greeting says: the ways in which arrays are wanted packed.
        measures: Whether the link is still to be judged.
    """

    __slots__ = ("_explicit", "_has_connected", "_missed", "measures", "wanted")

    def __init__(self, compress: str = "none", missed: Callable[[], None] = _nothing) -> None:
        self._explicit = compress == "zstd"
        self._missed = missed
        self._has_connected = False  # by a greeting before
        self.measures = compress == "auto"
        self.wanted: list[str] = [ZSTD] if self._explicit else []

    def answered(self, packs: str) -> None:
        """Take what a gateway said that it will do."""
        if self._explicit and not packs:
            self._missed()

    def greeted(self, seconds: float) -> bool:
        """Take how long a greeting took; return whether to greet again.

        A first greeting waits for the connection as well, so that only a quick one says something of the
        link. The second one leaves at once, and nothing is asked before it is answered.
        """
        if not self.measures:
            return False
        if seconds < SLOW_ROUND_TRIP:
            self._has_connected = False
            return False
        if self._has_connected:
            self._slow()
        self._has_connected = True
        return True

    def took(self, size: int, seconds: float) -> bool:
        """Take how long so much of an array took; return whether to greet again, for the next ones."""
        if not self.measures or size < LARGE or size >= SLOW_SPEED * seconds:
            return False
        self._slow()
        return True

    def _slow(self) -> None:
        self.measures = False
        self.wanted = [ZSTD]
