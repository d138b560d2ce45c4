"""What stands between a request and the terminal, put together: operations, orders, recovery."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from mt5crs.errors import (
    BadSignature,
    BridgeError,
    ClockSkew,
    Denied,
    JournalUnusable,
    KeyRefused,
    Replayed,
)
from mt5crs.gateway.access import Change
from mt5crs.gateway.clearing import Clearing
from mt5crs.gateway.comments import Comments
from mt5crs.gateway.guarding import Guard
from mt5crs.gateway.operations import Operations
from mt5crs.gateway.orders import Orders
from mt5crs.gateway.policyfile import PolicyFile
from mt5crs.gateway.rates import Rates
from mt5crs.gateway.recovery import HORIZON, Recovery
from mt5crs.gateway.tradewatch import TradeWatch
from mt5crs.journal.notices import Notices
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import PRUNED_AT_ONCE, Journal
from mt5crs.operation import Kind
from mt5crs.principals import GATEWAY
from mt5crs.terminal.port import TerminalPort
from mt5crs.trades.record import TradeFile

log = logging.getLogger(__name__)

RETRY = 1.0
"""Seconds until a journal that could not be read is looked at again."""
PRUNE_EVERY = 60.0
"""Seconds between two looks for bodies that are old enough to be dropped, and whether a checkpoint is due."""
NOTICED: dict[str, NoticeKind] = {
    Denied.code: NoticeKind.DENIED,
    KeyRefused.code: NoticeKind.DENIED,
    BadSignature.code: NoticeKind.BAD_SIGNATURE,
    ClockSkew.code: NoticeKind.BAD_SIGNATURE,
    Replayed.code: NoticeKind.REPLAYED,
}
"""The refusals that the journal notes, by their codes; what the guard refuses it notes itself."""


class Desk:
    """What stands between a request and the terminal.

    Args:
        terminal: What executes.
        open_journal: Opens the journal of an account (`login@server`); one in memory without it.
        horizon: See `mt5crs.gateway.recovery.HORIZON`.
        clock: Nanoseconds since the epoch, UTC.
        policy: The policy and its file; no limits without it.
        open_record: Opens the record of trade events of an account; one in memory without it.

    Attributes:
        counters: How often what happened, by name.
        guard: What judges trade requests.
        orders: The trade requests.
        operations: Carries operations out.
        rates: How often the keys may ask.
        trades: What becomes of orders, deals and positions.
        clock: Nanoseconds since the epoch, UTC.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        open_journal: Callable[[str], Journal] | None = None,
        horizon: float = HORIZON,
        clock: Callable[[], int] = time.time_ns,
        policy: PolicyFile | None = None,
        open_record: Callable[[str], TradeFile] | None = None,
    ) -> None:
        account = str(terminal.account)
        opens, opens_record = open_journal or in_memory, open_record or partial(TradeFile, None)
        self.clock = clock
        self._terminal = terminal
        self._next_pruning = 0.0
        self.counters: defaultdict[str, int] = defaultdict(int)  # a Counter takes three times as long
        self._now = 0.0  # the loop's time as of its last turn, which is at most a second ago
        self._notices = Notices(lambda: self.orders.journal, lambda: self._now)
        self._policy = policy or PolicyFile(None)
        self.guard = Guard(terminal, self._policy, self._notices, self.counters, clock)
        self.rates = Rates(self._rates)
        self.orders = Orders(terminal, lambda: opens(account), self.guard, self.counters, clock)
        self.guard.looked = self.orders.note_facts
        comments = Comments(lambda: self.orders.journal)
        self._recovery = Recovery(terminal, self.orders, comments, horizon)
        try:
            self.trades = TradeWatch(
                terminal,
                lambda: opens_record(account),
                self.orders,
                comments,
                self._recovery.explains,
                horizon,
                clock,
            )
        except BaseException:
            self.orders.close()
            raise
        self.orders.told = self.trades.look
        self.operations = Operations(terminal, self.orders, self.guard, comments, self.trades, self.counters)
        self._clearing = Clearing(terminal, self.orders, self.guard, clock)

    def _rates(self, name: str) -> Mapping[Kind, float]:
        return self._policy.policy.rates(name)

    def admits(self, address: str) -> bool:
        """Whether clients may connect from an address."""
        return self._policy.policy.addresses.admits(address)

    @property
    def account(self) -> str:
        """The account, as `login@server`."""
        return str(self._terminal.account)

    @property
    def journal(self) -> str:
        """The journal's id; "" for one that does not outlive the process."""
        journal = self.orders.journal
        return "" if journal is None else journal.id

    @property
    def head(self) -> tuple[int, bytes]:
        """Where the journal ends: its number of events, and the link of the last one."""
        journal = self.orders.journal
        return (0, b"") if journal is None else journal.head

    def holds(self, heads: Sequence[tuple[str, int, bytes]]) -> bool:
        """Whether the journal has what a client knows of it; one that cannot be read takes no order anyway.

        Args:
            heads: Journals' ids, their number of events and their last link, as they were told before.
        """
        journal = self.orders.journal
        try:
            return journal is None or all(
                journal.link_of(events) == link for id_, events, link in heads if id_ and id_ == journal.id
            )
        except JournalUnusable:
            return True

    def pass_time(self, now: float) -> float:
        """Look after what nobody answers; return the seconds until that is worth doing again."""
        self._now = now
        try:
            due = min(
                self._notices.flush(now),
                self.orders.pass_time(now),
                self.guard.pass_time(self.orders.journal, now),
                self._clearing.pass_time(now),
                self._recovery.pass_time(now),
            )
        except JournalUnusable as error:  # reads and streams go on without
            log.warning("%s", error)
            due = RETRY
        if now >= self._next_pruning:
            self._prune(now)
        return min(due, self.trades.pass_time(now))

    def rest(self) -> None:
        """Begin nothing by time alone any more: no kill of a dead man, and no closing."""
        self.guard.rest()
        self._clearing.rest()

    def _prune(self, now: float) -> None:
        self._next_pruning = now + PRUNE_EVERY
        journal = self.orders.journal
        try:
            if journal is not None:
                journal.checkpoint_if_due()
                if journal.prune() == PRUNED_AT_ONCE:
                    self._next_pruning = now  # there is more
        except JournalUnusable as error:
            log.warning("%s", error)

    def refused(self, principal: str, error: BridgeError) -> None:
        """Have the journal note a refusal that somebody may have to answer for."""
        kind = NOTICED.get(error.code)
        if kind is not None:
            self._notices.add(kind, principal, {"code": error.code, "why": error.message})

    def keys_changed(self, change: Change) -> None:
        """Have the journal note that other keys are known than before."""
        self._notices.add(
            NoticeKind.KEYS, GATEWAY, {name: ", ".join(who) for name, who in change._asdict().items()}
        )

    def state(self, *, is_admin: bool = True) -> dict[str, Any]:
        """Return how it is, for pongs and beats."""
        condition = self._terminal.condition()
        return {
            "terminal": self._terminal.name,
            "answers": condition.terminal,
            "broker": condition.broker,
            "account": condition.account,
            "lanes": dict(condition.lanes),
            "orders": self.orders.state(),
            "guard": self.guard.state(is_admin=is_admin),
            "trades": self.trades.state(is_admin=is_admin),
            "counters": dict(self.counters),
        }

    def close(self) -> None:
        """Let the journal and the record of trade events go."""
        self.trades.close()
        self._notices.flush(inf)
        self.orders.close()


def in_memory(account: str) -> Journal:
    """Open a journal that ends with the process."""
    return Journal(None, account)
