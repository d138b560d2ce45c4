"""Notices on their way into the journal: few writes, however much there is to tell.

A peer that is refused thousands of times a second must neither fill the disk nor keep the gateway waiting
for it. So notices are collected, and written together once a second; beyond a limit they are only counted.
"""

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import Any

from mt5crs.errors import JournalUnusable
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import Journal, Notice
from mt5crs.principals import GATEWAY

EVERY = 1.0
"""Seconds between two writes."""
HOUR = 3600.0
PER_HOUR = 10_000
"""Notices that are written in an hour at most; some 2 MB."""
LONGEST = 200
"""Characters, or bytes, of what a notice tells, piece by piece: some of it comes from the peer."""
ROOM = 1000
"""Notices that are kept while the journal cannot be written."""


class Notices:
    """Collects notices, and writes them from time to time.

    Args:
        journal: Returns the journal, None while there is none.
        clock: Seconds, the same clock as `flush` is given.
        per_second: How many are kept in a second; of further ones their number is told.

    Attributes:
        left_out: How many were not kept since the last write, by kind.
    """

    def __init__(
        self, journal: Callable[[], Journal | None], clock: Callable[[], float], per_second: int = 100
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._per_second = per_second
        self._kept: list[Notice] = []
        self._second = self._hour = -inf
        self._in_second = self._in_hour = 0
        self._due = inf
        self.left_out: Counter[NoticeKind] = Counter()

    def add(self, kind: NoticeKind, principal: str, note: dict[str, Any]) -> None:
        """Keep a notice for the next write, or count it where there are too many."""
        now = self._clock()
        self._due = min(self._due, now + EVERY)
        if now - self._second >= 1.0:
            self._second, self._in_second = now, 0
        if now - self._hour >= HOUR:
            self._hour, self._in_hour = now, 0
        if self._in_second >= self._per_second or self._in_hour >= PER_HOUR or len(self._kept) >= ROOM:
            self.left_out[kind] += 1
            return
        self._in_second += 1
        self._in_hour += 1
        self._kept.append(Notice(kind, principal, {name: _shortened(value) for name, value in note.items()}))

    def write(self, kind: NoticeKind, principal: str, note: dict[str, Any]) -> None:
        """Write a notice at once, however many there are; where that fails it is kept for the next time."""
        self._kept.append(Notice(kind, principal, note))
        self._due = -inf
        self.flush(self._clock())

    def flush(self, now: float) -> float:
        """Write what is there and due; where the journal fails, it is kept for the next time.

        Args:
            now: Seconds; infinity at the end, when all that is left is written.

        Returns:
            Seconds until there is something to do again.
        """
        if now < self._due:
            return self._due - now
        if self._in_hour >= PER_HOUR and now - self._hour < HOUR and not self._kept:
            self._due = self._hour + HOUR  # what is left out for an hour is told once, at its end
            return self._due - now
        if not self._kept and not self.left_out:
            return inf
        journal = self._journal()
        counted = [Notice(kind, GATEWAY, {"left_out": count}) for kind, count in self.left_out.items()]
        try:
            if journal is None:
                raise JournalUnusable("there is no journal")
            journal.notify([*self._kept, *counted])
        except JournalUnusable:
            self._due = now + EVERY
            return EVERY
        self._kept.clear()
        self.left_out.clear()
        self._due = inf
        return inf


def _shortened(value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str | bytes) else value
