"""The kill switches of a gateway, kept in its journal: what is on stays on, whatever starts again."""

import logging

from mt5crs.errors import JournalUnusable
from mt5crs.guard.kills import PREFIX, Kill, kills_of
from mt5crs.journal.chain import Event
from mt5crs.journal.states import NoticeKind
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
        self._told: dict[str, Event] = {}  # the latest notice of each
        self._heard = 0  # the last event that was looked at for them
        self._unwritten: dict[str, Kill] = {}

    def read(self, journal: Journal) -> None:
        """Take in what the journal says; what could not be written yet is on as well.

        A mark says that one is on. Its notice, which is in the chain, says so too: where the mark is gone and
        no notice says that it was turned off, somebody took it away, and the switch stays on.
        """
        marked = {**kills_of(journal.marks(PREFIX)), **self._unwritten}
        held = {name: kill for name, kill in self._noticed(journal).items() if name not in marked}
        before, self.on = self.on, held | marked
        for name in held.keys() - before.keys():
            log.error(
                "the mark of the kill switch of %s was taken out of the journal, and no notice says that it"
                " was turned off: it stays on until `mt5crs resume`; see `mt5crs journal verify`",
                name or "all orders",
            )
        for name in self.on.keys() - before.keys():
            log.warning("the kill switch of %s is %s", name or "all orders", self.on[name])
        for name in before.keys() - self.on.keys():
            log.warning("the kill switch of %s is off", name or "all orders")

    def _noticed(self, journal: Journal) -> dict[str, Kill]:
        """Return those that are on by their notices."""
        if journal is not self._journal:
            self._journal, self._told, self._heard = journal, {}, 0
        last = journal.head[0]
        self._told |= journal.switched(self._heard)
        self._heard = last
        return {
            name: Kill(event.at, event.principal or "", "its mark was taken out of the journal")
            for name, event in self._told.items()
            if event.step == NoticeKind.KILL.value
        }

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
