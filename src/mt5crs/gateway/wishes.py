"""Who is subscribed to what: wishes that were granted, each known by a token that its subscriber alone knows.

The socket leaves it to us which wishes it grants; in that mode it also passes on whatever a peer says of
subscriptions that it never had, and does not say whose connection has ended. So each wish has a token, and
who ends a subscription names it by its token. A token is for one connection: a wish counts once however
often it is said, since its end is told once, and a connection that ends late takes nothing from another one.
"""

from collections import Counter

ROOM = 65_536
"""Wishes that are granted at a time."""
PER_KEY = 8_192
"""Wishes of one key that are granted at a time."""


class Wishes:
    """The wishes of all topics."""

    def __init__(self) -> None:
        self._granted: dict[bytes, dict[bytes, str]] = {}  # whose, by topic and token
        self._counts: Counter[str] = Counter()  # by key

    def __contains__(self, topic: bytes) -> bool:
        """Whether somebody is subscribed to a topic."""
        return topic in self._granted

    def __len__(self) -> int:
        """Return how many topics somebody is subscribed to."""
        return len(self._granted)

    def may_add(self, topic: bytes, token: bytes, owner: str) -> bool:
        """Whether a wish of somebody's can be granted: it is theirs, or new and not one too many."""
        whose = self._granted.get(topic, {}).get(token)
        if whose is not None:
            return whose == owner
        return self._counts[owner] < PER_KEY and self._counts.total() < ROOM

    def add(self, topic: bytes, token: bytes, owner: str) -> None:
        """Grant a wish that may be added."""
        tokens = self._granted.setdefault(topic, {})
        if token not in tokens:
            tokens[token] = owner
            self._counts[owner] += 1

    def end(self, topic: bytes, token: bytes) -> bool:
        """Take the end of a wish, or of its connection; return whether it had been granted."""
        tokens = self._granted.get(topic, {})
        owner = tokens.pop(token, None)
        if owner is None:
            return False
        self._counts[owner] -= 1
        if not tokens:
            del self._granted[topic]
        return True

    def clear(self) -> None:
        """Forget all of them."""
        self._granted.clear()
        self._counts.clear()
