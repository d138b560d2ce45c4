"""The gateway's journal: opened, taken up, and tried again where it cannot be used."""

import logging
from collections import defaultdict
from collections.abc import Callable

from mt5crs._version import __version__
from mt5crs.errors import JournalUnusable, SettingError, SplitBrain
from mt5crs.journal.states import NoticeKind, State, Step
from mt5crs.journal.store import Journal, Notice, Told
from mt5crs.principals import GATEWAY

log = logging.getLogger(__name__)

RETRY = 0.5
"""Seconds between two attempts to open the journal, or to write what could not be written."""


class Custody:
    """The journal, and why orders are refused where it cannot be used.

    Args:
        open_journal: Opens it; raises `JournalUnusable` where it cannot be used for now.
        opened: Called with it when it was opened.
        counters: How often what happened, by name.

    Attributes:
        journal: The journal, None while it cannot be opened.
        why: Why orders are refused, None where they are not.
        is_behind: Whether outcomes are kept in memory that could not be written yet.

    Raises:
        SettingError: Another gateway uses it, or it is not a journal.
    """

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        opened: Callable[[Journal], None],
        counters: "defaultdict[str, int]",
    ) -> None:
        self._open_journal = open_journal
        self._opened = opened
        self._counters = counters
        self._next_try = self._blocked_until = 0.0
        self.journal: Journal | None = None
        self.why: JournalUnusable | None = None
        self.is_behind = False
        self._open(first=True)

    def get(self, now: float) -> Journal:
        """Return the journal.

        Raises:
            JournalUnusable: It cannot be opened.
        """
        if self.journal is None and self.is_time(now):
            self._open()
        if self.journal is None:
            raise self.why or JournalUnusable("the journal is closed")
        return self.journal

    def is_time(self, now: float) -> bool:
        """Whether it is time for another attempt; then the next one is some time away."""
        if now < self._next_try:
            return False
        self._next_try = now + RETRY
        return True

    def check(self, journal: Journal, now: float) -> None:
        """See that orders may go on.

        Raises:
            SplitBrain: Another journal's orders were found on the account.
            JournalUnusable: What became of earlier orders could not be written yet.
        """
        if journal.latch:
            raise SplitBrain(
                journal.latch,
                hint="find out why (docs/orders.md); `mt5crs journal resolve --latch` lets orders go on",
            )
        if self.why is not None and (self.is_behind or now < self._blocked_until):
            raise self.why

    def pass_time(self, now: float) -> None:
        """Open it again, or see whether what has refused orders is over."""
        if self.journal is None:
            if self.is_time(now):
                self._open()
        elif self.why is not None and not self.is_behind and now >= self._blocked_until:
            self._probe(self.journal, now)

    def _open(self, *, first: bool = False) -> None:
        try:
            journal = self._open_journal()
            try:
                _take_up(journal)
            except BaseException:
                journal.close()
                raise
        except SettingError as error:
            if first:  # the gateway does not start
                raise
            self.why = JournalUnusable(error.message, hint=error.hint)
        except JournalUnusable as error:
            self._refuse(error)
        else:
            self.journal = journal
            self._clear()
            self._opened(journal)

    def _probe(self, journal: Journal, now: float) -> None:
        try:
            journal.probe()
        except JournalUnusable as error:
            self.block(error, now)
        else:
            self._clear()

    def _clear(self) -> None:
        if self.why is not None:
            log.warning("the journal can be used again: orders go on")
        self.why = None

    def block(self, error: JournalUnusable, now: float) -> None:
        """Note that intents could not be written: for a while none are tried."""
        self._refuse(error)
        self._blocked_until = now + RETRY

    def _refuse(self, error: JournalUnusable) -> None:
        if self.why is None:
            log.error("orders are refused: %s", error)
        self.why = error

    def fall_behind(self, error: JournalUnusable) -> None:
        """Note that outcomes could not be written: no order goes on until they are."""
        if not self.is_behind:
            log.error("outcomes are kept in memory, orders are refused: %s", error)
        self.is_behind = True
        self.why = error
        self._counters[error.code] += 1

    def close(self) -> None:
        """Let it go."""
        if self.journal is not None:
            _let_go(self.journal)
            self.journal = None


def _take_up(journal: Journal) -> None:
    """Begin to use a journal: whatever another process had sent and not heard of is in doubt."""
    if journal.id:
        journal.notify([Notice(NoticeKind.STARTED, GATEWAY, {"software": f"mt5crs/{__version__}"})])
        journal.checkpoint()
    sent = [number for number, entry in journal.watched.items() if entry.state is State.SENT]
    note = {"text": "the gateway was started again before its answer came"}
    if sent:
        journal.record([Told(number, Step.DOUBT, note) for number in sent])
        log.warning("%d orders of an earlier process have no outcome yet", len(sent))


def _let_go(journal: Journal) -> None:
    """End the use of a journal; it signs where it ends."""
    try:
        if journal.id:
            journal.notify([Notice(NoticeKind.STOPPED, GATEWAY)])
    except JournalUnusable as error:
        log.warning("%s", error)
    journal.close()
