"""Who is subscribed to what: wishes that were granted, each known by a token that its subscriber alone knows.

The socket leaves it to us which wishes it grants; in that mode it also passes on whatever a peer says of
subscriptions that it never had, and does not say whose connection has ended. So each wish has a token, and
who ends a subscription names it by its token.
"""

from collections import Counter

ROOM = 65_536
"""Wishes that are granted at a time."""
PER_KEY = 8_192
"""Wishes of one key that are granted at a time."""
COPIES = 2
"""How often the same wish counts: once for a connection, once more for the one that takes its place."""


class _Granted:
    """A wish that was granted.

    Attributes:
        owner: The name of the key that it is of.
        copies: How many connections have it, as far as that is told.
    """

    __slots__ = ("copies", "owner")

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.copies = 0


class Wishes:
    """The wishes of all topics."""

    def __init__(self) -> None:
        self._granted: dict[bytes, dict[bytes, _Granted]] = {}  # by topic and token
        self._counts: Counter[str] = Counter()  # by key

    def __contains__(self, topic: bytes) -> bool:
        """Whether somebody is subscribed to a topic."""
        return topic in self._granted

    def may_add(self, topic: bytes, token: bytes, owner: str) -> bool:
        """Whether a wish of somebody's can be granted: it is theirs, or new and not one too many."""
        granted = self._granted.get(topic, {}).get(token)
        if granted is not None:
            return granted.owner == owner
        return self._counts[owner] < PER_KEY and self._counts.total() < ROOM

    def add(self, topic: bytes, token: bytes, owner: str) -> None:
        """Grant a wish that may be added."""
        tokens = self._granted.setdefault(topic, {})
        granted = tokens.get(token)
        if granted is None:
            granted = tokens[token] = _Granted(owner)
            self._counts[owner] += 1
        # Said more often it would count more often than it ends: a connection's end is told once.
        granted.copies = min(granted.copies + 1, COPIES)

    def end(self, topic: bytes, token: bytes) -> bool:
        """Take the end of a wish, or of its connection; return whether it had been granted."""
        tokens = self._granted.get(topic, {})
        granted = tokens.get(token)
        if granted is None:
            return False
        granted.copies -= 1
        if not granted.copies:
            del tokens[token]
            self._counts[granted.owner] -= 1
        if not tokens:
            del self._granted[topic]
        return True

    def clear(self) -> None:
        """Forget all of them."""
        self._granted.clear()
        self._counts.clear()
