"""Finds out what became of orders without an answer: looks through the terminal, and has the evidence judged.

A look asks the terminal for orders, history and positions, one call after the other, while everything else
goes on. What it finds is told to the journal. That nothing was found means nothing until the terminal is
connected, shows the orders that are known to be there, and has had the time of the horizon.
"""

import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import Any, NamedTuple

from mt5crs.constants import ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
from mt5crs.gateway.comments import Comments
from mt5crs.gateway.inquiry import DAY, END, Flow, Inquiry
from mt5crs.gateway.orders import Orders
from mt5crs.gateway.strangers import look_for_strangers
from mt5crs.journal import tags
from mt5crs.journal.changes import is_overtaken, levels_before
from mt5crs.journal.entries import CORE, Entry
from mt5crs.journal.reconcile import Ambiguous, Done, Intent, Never, Observed, Verdict, can_be_of, judge
from mt5crs.journal.states import OPEN, State, Step
from mt5crs.journal.store import LEGACY, MAKERS, Journal, Told
from mt5crs.last_error import SUCCESS
from mt5crs.model import AccountInfo, SymbolInfo, TerminalInfo, TradeDeal, TradeOrder, TradePosition
from mt5crs.operation import Result
from mt5crs.terminal.port import TerminalPort

log = logging.getLogger(__name__)

HORIZON = 60.0
"""Seconds in doubt after which an order without a trace was not carried out."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 15.0
"""Seconds between two looks: the first pause, doubled up to the longest one."""
LATE_LOOK = 600.0
"""Seconds between two looks for late traces of what was found to be absent."""
LATE_TRACES = 3 * 86_400.0
"""Seconds for which they are looked for."""
LOOK_LIMIT = 60.0
"""Seconds after which a look that does not end is given up."""
WATCH = 30.0
"""Seconds between two looks for orders of other journals."""
TICK_EVERY = 5.0
"""Seconds between two looks at the server's time while orders are sent."""
_SYMBOL = {kind.n_fields: kind.__match_args__.index("symbol") for kind in (TradeOrder, TradePosition)}
"""Where a row has its symbol, by its length."""


class Proof(NamedTuple):
    """What the evidence is worth.

    Attributes:
        is_synchronised: Whether something that is not shown is not there.
        keeps_tags: Whether the broker leaves our tags on comments.
    """

    is_synchronised: bool
    keeps_tags: bool


class Recovery:
    """The looks.

    Args:
        terminal: What is looked through.
        orders: Whose requests are in doubt.
        comments: Knows which tags are ours.
        horizon: See `HORIZON`.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        orders: Orders,
        comments: Comments,
        horizon: float = HORIZON,
    ) -> None:
        self._orders = orders
        self._comments = comments
        self._horizon = horizon
        self._inquiry = Inquiry(terminal, "looking for orders")
        self._started = -inf
        self._late_look = 0.0
        self._pause = FIRST_PAUSE
        self._unknown = 0
        self._next_tick = 0.0
        self._before: dict[int, float] = {}  # server time by which an entry's order was set up, if it was
        self._told: dict[int, str] = {}  # why an entry is ambiguous, as far as the log has it

    def pass_time(self, now: float) -> float:
        """Begin a look where one is due; return the seconds until the next one is."""
        journal = self._orders.journal
        if journal is None:
            return inf
        journal.refresh()
        self._settle_what_others_decided(journal)
        self._see_time(now)
        due = self._due(journal)
        self._inquiry.pass_time(now)
        if not self._inquiry.is_under_way and now >= due:
            self._started = now
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._inquiry.begin(self._look(journal, now), now, limit=LOOK_LIMIT)
            due = self._due(journal)
        return FIRST_PAUSE if self._inquiry.is_stalled else max(0.0, due - now)

    def _settle_what_others_decided(self, journal: Journal) -> None:
        for entry in self._orders.in_doubt():
            current = journal.watched.get(entry.number) or journal.entry(entry.number)
            if current is not None and current.state not in OPEN:
                self._orders.settle(current)

    def _due(self, journal: Journal) -> float:
        """Return when the next look is due."""
        unknown = sum(entry.state is State.UNKNOWN for entry in journal.watched.values())
        if unknown > self._unknown:
            self._pause = FIRST_PAUSE
        self._unknown = unknown
        if unknown:
            return self._started + self._pause
        return self._started + WATCH if journal.id or journal.watched else inf

    def _looked_for(self, journal: Journal, now: float) -> dict[int, Entry]:
        """Return the entries whose traces this look is for; those that seem absent have fewer looks."""
        is_late_look = now >= self._late_look
        if is_late_look:
            self._late_look = now + LATE_LOOK
        return {
            number: entry
            for number, entry in journal.watched.items()
            if entry.state in OPEN or (is_late_look and self._orders.age(entry) < LATE_TRACES)
        }

    def _see_time(self, now: float) -> None:
        """Keep the server's time while orders are sent: they are looked for from there on."""
        if self._orders.latest_symbol and now >= self._next_tick:
            self._next_tick = now + TICK_EVERY
            self._orders.see_time(self._orders.latest_symbol, now)

    # ---- a look ----

    def _look(self, journal: Journal, now: float) -> Flow:
        """Ask, in an order in which nothing can slip through, and judge."""
        terminal = yield "terminal_info", ()
        account = yield "account_info", ()
        if terminal.value is None or account.value is None or not TerminalInfo(terminal.value).connected:
            return
        # What is open comes first: an order that leaves it meanwhile is in the history that follows.
        orders = yield "orders_get", (None, None, None)
        looked_for = self._looked_for(journal, now)
        recent = self._orders.server_time.earliest - DAY
        earliest = min((entry.note["after"] for entry in looked_for.values()), default=recent)
        start = max(0, int(earliest)) if looked_for or recent > 0 else END
        if journal.id and journal.meta(LEGACY) is None:
            start = 0  # once in a journal's life: what was there before it
        history = yield "history_orders_get", (start, END, None, None, None)
        deals = yield "history_deals_get", (start, END, None, None, None)
        positions = yield "positions_get", (None, None, None)
        points: dict[str, float] = {}
        for symbol in sorted(_symbols(journal, (orders, history, positions))):
            info = yield "symbol_info", (symbol,)
            if info.value is not None:
                points[symbol] = SymbolInfo(info.value).point
            self._orders.see_time(symbol, now)
        terminal = yield "terminal_info", ()
        if None in (orders.value, history.value, deals.value, positions.value, terminal.value):
            return
        done = [TradeOrder(row) for row in history.value]
        tickets = {order.ticket for order in done}
        observed = Observed(
            orders=[order for order in map(TradeOrder, orders.value) if order.ticket not in tickets],
            history=done,
            deals=[TradeDeal(row) for row in deals.value],
            positions=[TradePosition(row) for row in positions.value],
            points=points,
            claimed=journal.claims,
            hedging=AccountInfo(account.value).margin_mode == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING,
        )
        shown = (*observed.orders, *observed.history)
        self._conclude(journal, observed, now, looked_for, TerminalInfo(terminal.value).connected)
        if start < END:  # without history nothing shows what was there before
            earliest = self._orders.server_time.earliest
            look_for_strangers(journal, self._comments, shown, earliest, self.explains(journal, now))

    # ---- conclusions ----

    def _conclude(
        self, journal: Journal, observed: Observed, now: float, looked_for: dict[int, Entry], connected: bool
    ) -> None:
        # All that is open now, not when the look began: what was sent meanwhile explains orders too.
        waiting = {
            number: entry
            for number, entry in journal.watched.items()
            if entry.request is not None and (entry.state in OPEN or number in looked_for)
        }
        if not waiting:
            return
        verdicts = judge([self._intent(journal, entry, now) for entry in waiting.values()], observed)
        proof = Proof(
            connected and _shows_what_is_known(journal, observed, min(waiting)),
            _keeps_tags(journal, observed),
        )
        told: list[Told] = []
        for number, verdict in verdicts.items():
            entry = waiting[number]
            step = self._step(journal, entry, verdict, proof, now)
            if step is not None:
                told.append(step)
        if not told:
            return
        for step, entry in zip(told, journal.record(told), strict=True):
            log.warning(
                "order %s of %s: %s (%s)", entry.key, entry.principal, entry.state.value, step.note["how"]
            )
            self._before.pop(entry.number, None)
            self._told.pop(entry.number, None)
            self._orders.settle(entry)

    def explains(self, journal: Journal, now: float) -> Callable[[TradeOrder], bool]:
        """Return what says whether an order can be that of a request whose outcome is not known yet."""
        open_ = [
            self._intent(journal, entry, now)
            for entry in journal.watched.values()
            if entry.request is not None and entry.state in OPEN
        ]
        return lambda order: any(can_be_of(intent, order) for intent in open_)

    def _intent(self, journal: Journal, entry: Entry, now: float) -> Intent:
        latest = self._orders.server_time.latest(now)
        if latest < inf:
            self._before.setdefault(entry.number, latest + self._horizon)
        before = entry.outcome.get("before", self._before.get(entry.number, inf))
        tag = tags.tag(journal.mark, entry.number) if entry.note["tagged"] else ""
        levels = levels_before(journal, entry)
        return Intent(entry.number, entry.request or {}, tag, (entry.note["after"], before), levels)

    def _step(
        self, journal: Journal, entry: Entry, verdict: Verdict, proof: Proof, now: float
    ) -> Told | None:
        """Return what a verdict has the journal told, None where everything stays as it is."""
        if isinstance(verdict, Done):
            # What is taken for not carried out may be brought about by another request later.
            if entry.state is State.SENT or (entry.state is State.ABSENT and verdict.how == "state"):
                return None
            if verdict.how == "traits" and entry.note["vague"]:
                self._note_unknown(entry, f"order {verdict.order} is like it, and may be older")
                return None
            if verdict.how == "traits" and entry.note["tagged"] and proof.keeps_tags:
                self._note_unknown(entry, f"order {verdict.order} is like it, and has not its tag")
                return None
            return _proven(entry, verdict)
        if entry.state is not State.UNKNOWN:
            return None
        if isinstance(verdict, Never):
            return self._absent(entry, verdict.why, "state")
        if isinstance(verdict, Ambiguous):
            self._note_unknown(entry, verdict.why)
            return None
        in_doubt = self._orders.seconds_in_doubt(entry, now)
        if not proof.is_synchronised or in_doubt < self._horizon:
            return None
        if is_overtaken(journal, entry):
            self._note_unknown(entry, "a later request has changed the same since")
            return None
        return self._absent(entry, f"no trace of it within {in_doubt:.0f} s", "no trace")

    def _note_unknown(self, entry: Entry, why: str) -> None:
        if self._told.get(entry.number) != why:
            self._told[entry.number] = why
            log.warning("order %s of %s stays unknown: %s", entry.key, entry.principal, why)

    def _absent(self, entry: Entry, why: str, how: str) -> Told:
        before = self._before.get(entry.number)
        note: dict[str, Any] = {"text": why, "how": how}
        return Told(entry.number, Step.MISS, note if before is None else {**note, "before": before})


def _symbols(journal: Journal, shown: Sequence[Result]) -> set[str]:
    """Return the symbols that open requests are about, by name or by the order or position that they name."""
    requests = [entry.request or {} for entry in journal.watched.values()]
    named = {request.get(name, 0) for request in requests for name in ("position", "order")} - {0}
    rows = [row for result in shown for row in result.value or ()]
    about = {row[_SYMBOL[len(row)]] for row in rows if row[0] in named}
    about |= {str(request.get("symbol", "")) for request in requests} - {""}
    return about or {row[_SYMBOL[len(row)]] for row in rows[:1]}  # any one tells the time


def _proven(entry: Entry, verdict: Done) -> Told:
    """Return what evidence has the journal told: the answer that the terminal would have given."""
    code, text = SUCCESS
    core = {name: getattr(verdict, name) for name in CORE}
    makes = (entry.request or {}).get("action") in MAKERS
    return Told(
        entry.number, Step.PROVE, {**core, "code": code, "text": text, "how": verdict.how, "makes": makes}
    )


def _shows_what_is_known(journal: Journal, observed: Observed, first: int) -> bool:
    """Whether the terminal shows the orders that it has answered for since the first entry in doubt."""
    shown: set[int] = {order.ticket for orders in (observed.orders, observed.history) for order in orders}
    return shown.issuperset(ticket for ticket, entry in journal.answered.items() if entry >= first)


def _keeps_tags(journal: Journal, observed: Observed) -> bool:
    """Whether the terminal shows a tag of ours: then an order without one is not that of a tagged request."""
    found = (tags.read(order.comment) for orders in (observed.orders, observed.history) for order in orders)
    return any(tag is not None and tag.mark == journal.mark for tag in found)
