"""The kill switches of a gateway, kept in its journal: what is on stays on, whatever starts again."""

import logging

from mt5crs.errors import JournalUnusable
from mt5crs.guard.kills import PREFIX, Kill, kills_of
from mt5crs.journal.store import Journal

log = logging.getLogger(__name__)


class Switches:
    """The kill switches.

    Attributes:
        on: Those that are on, by key; "" is that for all orders.
    """

    def __init__(self) -> None:
        self.on: dict[str, Kill] = {}
        self._journal: Journal | None = None
        self._unwritten: dict[str, Kill] = {}

    def read(self, journal: Journal) -> None:
        """Take in what the journal says; what could not be written yet is on as well."""
        self._journal = journal
        before, self.on = self.on, {**kills_of(journal.marks(PREFIX)), **self._unwritten}
        for name in self.on.keys() - before.keys():
            log.warning("the kill switch of %s is %s", name or "all orders", self.on[name])
        for name in before.keys() - self.on.keys():
            log.warning("the kill switch of %s is off", name or "all orders")

    def of(self, principal: str) -> Kill | None:
        """Return the switch that is on for a principal's orders, None where none is."""
        return self.on.get("") or self.on.get(principal)

    def turn_on(self, name: str, kill: Kill) -> None:
        """Turn one on, or write how far its closing is: at once, whether it can be written or not.

        Raises:
            JournalUnusable: It could not be written yet: that is tried again.
        """
        if name not in self.on:
            log.warning("the kill switch of %s is %s", name or "all orders", kill)
        self.on[name] = self._unwritten[name] = kill
        self.write()

    def turn_off(self, name: str) -> bool:
        """Turn one off; say whether it was on.

        Raises:
            JournalUnusable: That could not be written: it stays on.
        """
        if name not in self.on:
            return False
        if self._journal is None:
            raise JournalUnusable("the journal is closed: the kill switch stays on")
        self._journal.set_meta(PREFIX + name, None)
        self._unwritten.pop(name, None)
        del self.on[name]
        log.warning("the kill switch of %s is off", name or "all orders")
        return True

    def write(self) -> None:
        """Write what could not be written.

        Raises:
            JournalUnusable: It still cannot.
        """
        if not self._unwritten:
            return
        if self._journal is None:
            raise JournalUnusable("the journal is closed: the kill switch is on, and not written yet")
        for name, kill in list(self._unwritten.items()):
            self._journal.set_meta(PREFIX + name, kill.mark())
            del self._unwritten[name]
