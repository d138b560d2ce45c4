"""Trade requests on their way: into the journal, to the terminal, into the journal again, to the client.

Nothing reaches the terminal before its intent is on disk, and no client hears of an outcome before that is.
What waits together is written together: one flush of the disk for all intents, one for all outcomes.
"""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from functools import partial
from math import inf
from typing import Any

from mt5crs import points
from mt5crs.api import OPERATIONS
from mt5crs.errors import (
    BadArguments,
    BridgeError,
    Busy,
    Expired,
    JournalUnusable,
    KeyConflict,
    KeyRefused,
    NotExecuted,
    OutcomeUnknown,
)
from mt5crs.gateway.custody import RETRY, Custody
from mt5crs.gateway.guarding import Guard
from mt5crs.gateway.line import Line
from mt5crs.gateway.order import Order, is_tagged, plain, told_of
from mt5crs.journal import tags
from mt5crs.journal.entries import Entry, encode
from mt5crs.journal.states import OPEN, State, Step
from mt5crs.journal.store import Begin, Journal, Told
from mt5crs.last_error import IPC_CALL_FAILED, IPC_TIMEOUT, NOT_FOUND, SUCCESS
from mt5crs.model import Tick
from mt5crs.operation import Result, Unasked, done
from mt5crs.principals import OWN
from mt5crs.terminal.port import Deferred, TerminalPort, then

log = logging.getLogger(__name__)

QUEUE = 256
"""Trade requests that wait or are under way at a time; further ones are answered `busy`."""
SHARE = QUEUE // 2
"""Of these, what one principal can have: it leaves room for the others."""
LOOK_AFTER = 2.0
"""Seconds without an answer after which the terminal is looked through for what became of an order."""
PATIENCE = 60.0
"""Seconds after which nobody waits any more for an answer without a deadline."""
OUT_LIMIT = 3600.0
"""Seconds after which an answer that the terminal owes is not expected any more."""
MARGIN = 0.4
"""Seconds before a client's deadline at which it is told that the outcome is unknown."""
TURN = 0.1
"""Seconds between two looks at what time means for orders under way."""
ORDER_SEND = OPERATIONS["order_send"]
NOT_YET = Result(None, IPC_TIMEOUT)
"""Stands for an answer that has not come yet."""


class Orders:
    """The trade requests that the gateway holds.

    Args:
        terminal: Where they go.
        open_journal: Opens the journal; raises `JournalUnusable` where it cannot be used for now.
        guard: Judges them before anything is written.
        counters: How often what happened, by name.
        clock: Nanoseconds since the epoch, UTC.

    Attributes:
        server_time: The trade server's time.
        latest_symbol: The symbol of the latest order, until somebody has looked at it.
        told: Called when the terminal has answered for orders.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        open_journal: Callable[[], Journal],
        guard: Guard,
        counters: "defaultdict[str, int]",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._terminal = terminal
        self._guard = guard
        self._counters = counters
        self._clock = clock
        self._answered: list[tuple[Order, Result]] = []
        self._held: dict[tuple[str, str], Order] = {}
        self.server_time = guard.server_time
        self.latest_symbol = ""
        self.told: Callable[[], None] = lambda: None
        self._out: dict[int, float] = {}  # entries that the terminal owes an answer to, and since when
        self._line = Line(self._judge, self._refuse, self.see_time, self.server_time)
        self._custody = Custody(open_journal, self._take_up, counters)

    @property
    def journal(self) -> Journal | None:
        """The journal, None while it cannot be opened."""
        return self._custody.journal

    def _take_up(self, journal: Journal) -> None:
        """Take in how far the server's time was when the journal's latest intent was written."""
        self.server_time.see(journal.latest_note().get("after", 0.0), -inf, -inf)

    # ---- asking ----

    def send(
        self,
        wire: Any,
        principal: str,
        key: str,
        until: float,
        now: float,
        *,
        signed: bytes = b"",
        is_guarded: bool = True,
    ) -> Result | Deferred:
        """Take a trade request; a key that is known gets its own outcome, whoever asks again and when.

        Args:
            wire: The arguments of `order_send`.
            principal: Whose request it is.
            key: Its idempotency key; a fresh one without it.
            until: Seconds on the gateway's clock after which nobody waits for it.
            now: Seconds on the gateway's clock.
            signed: The request as its client signed it.
            is_guarded: Whether the guard judges it; its own orders it does not.

        Returns:
            Its answer; `Unasked` where the guard refuses it.

        Raises:
            KeyConflict: The key belongs to another request.
            NotExecuted: The request of this key was not carried out, and will not be.
            Busy: Too many wait already.
            BadArguments: Its comment looks like what a gateway puts there.
            JournalUnusable: It could not be recorded.
            SplitBrain: Another journal's orders are on the account.
        """
        request: dict[str, Any] = wire[0]
        key = key or os.urandom(16).hex()
        held = self._held.get((principal, key))
        if held is not None:
            return self._join(held, request, until)
        journal = self._custody.get(now)
        entry = journal.find(principal, key, request)
        if entry is not None:
            self._counters["repeated-key"] += 1
            return self._known(entry, until, now)
        self._custody.check(journal, now)
        self._check_tag(journal, request)
        if is_guarded:
            self._check_room(principal)
        order = Order(request, principal, key, until if until < inf else now + PATIENCE)
        order.came, order.is_guarded, order.signed = now, is_guarded, signed
        self._held[principal, key] = order
        self._line.join(order, now)
        return order.deferred

    def _check_room(self, principal: str) -> None:
        """See whether a client's order may wait; the guard's own always may."""
        waiting = len(self._held)
        if waiting >= QUEUE:
            raise Busy(f"{QUEUE} orders wait for the terminal already")
        if waiting >= SHARE and sum(who == principal for who, _ in self._held) >= SHARE:
            raise Busy(f"{SHARE} orders of {principal} wait for the terminal already")

    def _check_tag(self, journal: Journal, request: dict[str, Any]) -> None:
        """Refuse a comment that would be taken for the tag of another order, or of another gateway's.

        With a journal in memory nobody looks for others' tags: that is how one gateway stands behind another.
        """
        found = tags.read(request.get("comment", "")) if journal.id else None
        if found is not None and (found.mark != journal.mark or not is_tagged(request)):
            raise BadArguments(
                "the comment ends in what looks like a gateway's tag",
                hint=f"use a comment without {tags.SIGIL!r} and {tags.LENGTH - 1} letters at its end",
            )

    def _judge(self, order: Order, now: float) -> bool:
        return self._guard.judge(order, self.journal, now)

    def _refuse(self, order: Order, error: BridgeError) -> None:
        self._settle(order, Unasked(ORDER_SEND, error))

    def shut_out(self, known: Collection[str]) -> None:
        """Refuse the orders that wait of those whose keys are not known any more.

        Args:
            known: The names of those whose keys are known.
        """
        for order in self._line.leave({*known, *OWN}):
            self._refuse(order, KeyRefused(f"the key of {order.principal} is not known any more"))

    def note_facts(self) -> None:
        """Note that a look of the guard has ended."""
        self._line.note_facts()

    def _join(self, held: Order, request: dict[str, Any], until: float) -> Result | Deferred:
        self._counters["repeated-key"] += 1
        if held.encoded != encode(request):
            raise KeyConflict(f"the key {held.key!r} belongs to another request")
        held.until = max(held.until, until if until < inf else 0.0)
        return held.deferred

    def _known(self, entry: Entry, until: float, now: float) -> Result | Deferred:
        """Answer with what is recorded; what is still open is waited for."""
        outcome = entry.outcome
        if entry.state is State.DONE:
            return Result(entry.answer(), (outcome["code"], outcome["text"]))
        if entry.state is State.REFUSED and "code" in outcome:
            return Result(None, (outcome["code"], outcome["text"]))
        if entry.state not in OPEN:
            raise NotExecuted(f"the request of the key {entry.key!r} was not carried out: {outcome['text']}")
        order = Order(
            entry.request or {}, entry.principal, entry.key, until if until < inf else now + PATIENCE
        )
        order.entry = entry
        self._held[entry.principal, entry.key] = order
        return order.deferred

    def outcome(self, principal: str, key: str, now: float) -> Result:
        """Return what is known of a key as an `Outcome`'s fields, None where the journal does not have it.

        Raises:
            JournalUnusable: The journal cannot be read.
        """
        entry = self._custody.get(now).find(principal, key)
        if entry is None:
            return Result(None, NOT_FOUND)
        told = entry.outcome
        error = [told.get("code", SUCCESS[0]), told.get("text", SUCCESS[1])]
        return done([key, entry.state.value, entry.answer(), error, told.get("how", ""), entry.since / 1e9])

    # ---- going on ----

    @property
    def is_waiting(self) -> bool:
        """Whether `flush` has something to do."""
        line = self._line
        return bool(line.through or self._answered or line.is_ripe) and not self._custody.is_behind

    @property
    def under_way(self) -> int:
        """How many orders came and have no outcome yet that is written, other than in doubt."""
        return len(self._line) + len(self._out) + len(self._answered)

    def flush(self, now: float) -> None:
        """Carry everything as far as it goes without waiting for anybody."""
        self._line.pass_time(now)
        while self._line.through:
            for order in self._begin(now):
                self._tell_terminal(order, now)
        if self._answered and not self._custody.is_behind:
            self._conclude()

    def _begin(self, now: float) -> list[Order]:
        """Write the intents of all that wait; return those that may go on."""
        waiting, self._line.through = self._line.through, []
        for order in [order for order in waiting if order.until < now]:
            self._refuse(order, Expired("order_send waited longer than its deadline"))
        going = [order for order in waiting if order.until >= now]
        if not going:
            return going
        points.reach(points.BEFORE_INTENT)
        try:
            journal = self._custody.get(now)
            entries = journal.begin(
                [
                    Begin(
                        order.principal,
                        order.key,
                        order.request,
                        self._noted(order.request, now),
                        order.signed,
                    )
                    for order in going
                ]
            )
        except JournalUnusable as error:
            self._custody.block(error, now)
            self._counters[error.code] += len(going)
            for order in going:
                self._refuse(order, error)
            return []
        self._custody.why = None
        for order, entry in zip(going, entries, strict=True):
            order.entry = entry
        points.reach(points.AFTER_INTENT)
        return going

    def _noted(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        return {
            "tagged": is_tagged(request),
            "after": self.server_time.earliest,
            "vague": not self.server_time.is_fresh(now),
        }

    def see_time(self, symbol: str, now: float, seen: Callable[[], None] = lambda: None) -> None:
        """Look at the server's time.

        Args:
            symbol: Whose last tick tells it.
            now: Seconds on the gateway's clock.
            seen: Called when it was looked at, whether that told the time or not.
        """

        def take(result: Result) -> None:
            if result.value is not None:
                self.server_time.see(Tick(result.value).time_msc / 1000, now, self._clock() / 1e9)
            seen()

        try:
            answer = self._terminal.call(OPERATIONS["symbol_info_tick"], [symbol])
        except Busy:
            seen()
        except Exception:  # a defect of ours: the order goes on without
            log.exception("defect while looking at the time")
            seen()
        else:
            then(answer, take)

    def _tell_terminal(self, order: Order, now: float) -> None:
        order.sent, order.is_out = now, True
        if order.entry is not None:
            self._out[order.entry.number] = now
        self.latest_symbol = order.request.get("symbol") or self.latest_symbol
        try:
            answer = self._terminal.call(ORDER_SEND, [order.tagged(self.journal)], order.until)
        except Busy as error:
            self._take_answer(order, Unasked(ORDER_SEND, error))
            return
        except Exception:  # a defect of ours: the terminal may have heard of it
            log.exception("defect while sending an order")
            self._take_answer(order, Result(None, IPC_CALL_FAILED))
            return
        then(answer, partial(self._take_answer, order))

    def _take_answer(self, order: Order, result: Result) -> None:
        order.is_out = False
        if order.entry is not None:
            self._out.pop(order.entry.number, None)
        self._answered.append((order, result))

    def _conclude(self) -> None:
        """Write the outcomes of all that was answered, then let the clients have them."""
        points.reach(points.BEFORE_OUTCOME)
        if self.journal is None:
            return
        answered = [(order, plain(order, result)) for order, result in self._answered]
        told = [told_of(order, result) for order, result in answered]
        try:
            entries = self.journal.record(told)
        except JournalUnusable as error:
            self._answered = answered
            self._custody.fall_behind(error)
            return
        self._answered.clear()
        self._custody.is_behind = False
        points.reach(points.BEFORE_REPLY)
        for (order, result), entry, step in zip(answered, entries, told, strict=True):
            order.entry = entry
            if step.step is Step.DOUBT:
                order.doubtful = result
            if entry.state not in OPEN:
                self.settle(entry, result if step.step is not Step.DOUBT else None)
        self.told()

    def settle(self, entry: Entry, result: Result | None = None) -> None:
        """Let whoever waits for an entry have its outcome."""
        order = self._held.get((entry.principal, entry.key))
        if order is None:
            return
        if result is None:
            try:
                known = self._known(entry, 0.0, 0.0)
            except NotExecuted as error:
                known = Unasked(ORDER_SEND, error)
            if isinstance(known, Deferred):
                return
            result = known
        self._settle(order, result)

    def _settle(self, order: Order, result: Result) -> None:
        self._held.pop((order.principal, order.key), None)
        if order.reservation is not None:
            self._guard.heed(order)
        order.deferred.settle(result)

    def in_doubt(self) -> list[Entry]:
        """Return the entries whose outcome somebody waits for, though the terminal owes no answer."""
        return [o.entry for o in self._held.values() if o.entry is not None and not o.is_out]

    def seconds_in_doubt(self, entry: Entry, now: float) -> float:
        """Return how long ago an order must have left its traces; 0 while the terminal still has it."""
        out = self._out.get(entry.number)
        if out is not None and now - out < OUT_LIMIT:
            return 0.0
        return (self._clock() - entry.since) / 1e9

    def age(self, entry: Entry) -> float:
        """Return how many seconds ago an entry was begun."""
        return (self._clock() - entry.at) / 1e9

    # ---- time ----

    def pass_time(self, now: float) -> float:
        """Open or write what could not be, doubt what has no answer, and say so to who can wait no longer.

        Returns:
            Seconds until that is worth doing again.
        """
        custody = self._custody
        custody.pass_time(now)
        if custody.journal is None or custody.is_behind:
            if custody.journal is not None and custody.is_time(now):
                self._conclude()
            return RETRY
        self._line.pass_time(now)
        late = [
            o for o in self._held.values() if o.is_out and now - o.sent > LOOK_AFTER and o.doubtful is None
        ]
        if late:
            self._doubt(late)
        for order in list(self._held.values()):
            is_known_late = not order.is_out or order.doubtful is not None
            if order.entry is not None and order.until - MARGIN <= now and is_known_late:
                self._give_up(order)
            elif order.until + PATIENCE < now:
                self._held.pop((order.principal, order.key), None)  # its client has long given up
        return TURN if self._held else inf

    def _doubt(self, late: list[Order]) -> None:
        journal = self.journal
        waiting = [o for o in late if o.entry is not None and o.entry.state is State.SENT]
        if journal is None:
            return
        note = {"text": f"no answer within {LOOK_AFTER:g} s"}
        try:
            journal.record([Told(o.entry.number, Step.DOUBT, note) for o in waiting if o.entry is not None])
        except JournalUnusable as error:
            self._custody.fall_behind(error)
            return
        for order in late:
            order.doubtful = NOT_YET

    def _give_up(self, order: Order) -> None:
        """Tell a client that the outcome is not known, just before it finds out by itself."""
        doubtful = order.doubtful
        if doubtful is None or doubtful is NOT_YET:
            failure = OutcomeUnknown("what became of it is not known yet", key=order.key)
            self._settle(order, Unasked(ORDER_SEND, failure))
        else:
            self._settle(order, doubtful)

    def state(self) -> dict[str, Any]:
        """Return how it is with orders, for pongs and beats."""
        journal = self.journal
        return {
            "journal": "" if journal is None else journal.id,
            "trading": str(self._custody.why or (journal and journal.latch) or self._guard.why),
            "held": len(self._held),
            "unknown": 0 if journal is None else sum(e.state in OPEN for e in journal.watched.values()),
        }

    def close(self) -> None:
        """Write what the terminal said when it was closed, and let the journal go."""
        if self._answered:
            self._conclude()
        self._custody.close()
