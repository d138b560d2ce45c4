"""Keys from which something must be heard: known across restarts, by marks in the journal."""

from math import inf

from mt5crs.journal.store import Journal

MARK = "awaited:"
"""What the mark of such a key in the journal begins with."""
GAP = 2.0
"""Seconds without a turn after which the gateway itself was not there: nobody could be heard."""


class DeadMen:
    """Who is to be heard, and when that was.

    Attributes:
        awaited: The keys from which something must be heard.
    """

    def __init__(self) -> None:
        self.awaited: set[str] = set()
        self._heard: dict[str, float] = {}
        self._passed = -inf
        self._rests = False
        self._journal: Journal | None = None

    def read(self, journal: Journal) -> None:
        """Take in who was awaited before this process, or this journal."""
        self._journal = journal
        self.awaited.update(mark.removeprefix(MARK) for mark in journal.marks(MARK))

    def hear(self, name: str, now: float) -> None:
        """Note a sign of life."""
        self._heard[name] = now

    def expect(self, name: str, now: float) -> None:
        """Expect signs of life from now on.

        Raises:
            JournalUnusable: That could not be written.
        """
        if name not in self.awaited and self._journal is not None:
            self._journal.set_meta(MARK + name, 1)
            self.awaited.add(name)
        self._heard[name] = now

    def is_missed(self, name: str, limit: float, now: float) -> bool:
        """Whether nothing was heard for longer than a limit."""
        return not self._rests and now - self._heard.setdefault(name, now) > limit

    def rest(self) -> None:
        """Miss nobody any more: nobody is listened to. The next process counts anew."""
        self._rests = True

    def release(self, name: str) -> None:
        """Expect nothing any more.

        Raises:
            JournalUnusable: That could not be written.
        """
        self.awaited.discard(name)
        if self._journal is not None:
            self._journal.set_meta(MARK + name, None)

    def pass_time(self, now: float) -> None:
        """Leave out time in which the gateway did not run."""
        gap = now - self._passed
        self._passed = now
        if GAP < gap < inf:
            for name in self._heard:
                self._heard[name] += gap
