"""Whose order made what is on the account: by the journal, which knows the orders that it has settled."""

from mt5crs.journal.store import Journal


class Owners:
    """Whose orders made what."""

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self._known: dict[int, str] = {}

    def read(self, journal: Journal) -> None:
        """Take another journal."""
        self._journal = journal
        self._known.clear()

    def of(self, ticket: int) -> str:
        """Return the principal whose order has a ticket, "" where the journal does not know it.

        Raises:
            JournalUnusable: The journal cannot be read.
        """
        known = self._known.get(ticket)
        if known is not None:
            return known
        journal = self._journal
        number = None if journal is None else journal.claims.get(ticket)
        if journal is None or number is None:
            return ""
        entry = journal.watched.get(number) or journal.entry(number)
        principal = self._known[ticket] = "" if entry is None else entry.principal
        return principal
