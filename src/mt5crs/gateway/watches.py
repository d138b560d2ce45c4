"""What clients watch, counted, so that one client's `release` never takes it from another."""

from collections.abc import Iterator
from typing import TypeAlias

Watch: TypeAlias = tuple[str, str]
"""`symbol` or `book`, and the symbol's name."""


class Watches:
    """Who watches what."""

    def __init__(self) -> None:
        self._holders: dict[Watch, set[str]] = {}

    def hold(self, holder: str, watch: Watch) -> None:
        """Note that a holder watches something."""
        self._holders.setdefault(watch, set()).add(holder)

    def holds(self, holder: str, watch: Watch) -> bool:
        """Say whether a holder watches something."""
        return holder in self._holders.get(watch, ())

    def release(self, holder: str, watch: Watch) -> bool:
        """Note that a holder watches something no more; return whether nobody does now."""
        holders = self._holders.get(watch, set())
        holders.discard(holder)
        if not holders:
            self._holders.pop(watch, None)
        return not holders

    def end(self, holder: str) -> Iterator[Watch]:
        """Release everything of a holder; yield what nobody watches now."""
        held = [watch for watch, holders in self._holders.items() if holder in holders]
        return (watch for watch in held if self.release(holder, watch))
