"""What stands between a request and the terminal, put together: operations, orders, recovery."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from mt5crs.errors import JournalUnusable
from mt5crs.gateway.comments import Comments
from mt5crs.gateway.operations import Operations
from mt5crs.gateway.orders import Orders
from mt5crs.gateway.recovery import HORIZON, Recovery
from mt5crs.journal.store import PRUNED_AT_ONCE, Journal
from mt5crs.terminal.port import TerminalPort

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds until a journal that could not be read is looked at again."""
PRUNE_EVERY = 3600.0
"""Seconds between two looks for bodies that are old enough to be dropped."""


class Desk:
    """What stands between a request and the terminal.

    Args:
        terminal: What executes.
        open_journal: Opens the journal of an account (`login@server`); one in memory without it.
        horizon: See `mt5crs.gateway.recovery.HORIZON`.
        clock: Nanoseconds since the epoch, UTC.

    Attributes:
        counters: How often what happened, by name.
        orders: The trade requests.
        operations: Carries operations out.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        open_journal: Callable[[str], Journal] | None = None,
        horizon: float = HORIZON,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        account = str(terminal.account)
        opens = open_journal or in_memory
        self._terminal = terminal
        self._next_pruning = 0.0
        self.counters: defaultdict[str, int] = defaultdict(int)  # a Counter takes three times as long
        self.orders = Orders(terminal, lambda: opens(account), self.counters, clock)
        comments = Comments(lambda: self.orders.journal)
        self.operations = Operations(terminal, self.orders, comments, self.counters)
        self._recovery = Recovery(terminal, self.orders, comments, horizon)

    @property
    def account(self) -> str:
        """The account, as `login@server`."""
        return str(self._terminal.account)

    @property
    def journal(self) -> str:
        """The journal's id; "" for one that does not outlive the process."""
        journal = self.orders.journal
        return "" if journal is None else journal.id

    def pass_time(self, now: float) -> float:
        """Look after what nobody answers; return the seconds until that is worth doing again."""
        try:
            due = min(self.orders.pass_time(now), self._recovery.pass_time(now))
        except JournalUnusable as error:  # reads and streams go on without
            log.warning("%s", error)
            due = RETRY
        if now >= self._next_pruning:
            self._prune(now)
        return due

    def _prune(self, now: float) -> None:
        self._next_pruning = now + PRUNE_EVERY
        journal = self.orders.journal
        try:
            if journal is not None and journal.prune() == PRUNED_AT_ONCE:
                self._next_pruning = now  # there is more
        except JournalUnusable as error:
            log.warning("%s", error)

    def state(self) -> dict[str, Any]:
        """Return how it is, for pongs and beats."""
        condition = self._terminal.condition()
        return {
            "terminal": self._terminal.name,
            "answers": condition.terminal,
            "broker": condition.broker,
            "account": condition.account,
            "lanes": dict(condition.lanes),
            "orders": self.orders.state(),
            "counters": dict(self.counters),
        }

    def close(self) -> None:
        """Let the journal go."""
        self.orders.close()


def in_memory(account: str) -> Journal:
    """Open a journal that ends with the process."""
    return Journal(None, account)
