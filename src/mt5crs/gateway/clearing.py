"""Closes what there is when a kill switch says so: pending orders first, then positions, till none is left.

Its orders go the way of all others, through the journal, as those of the principal `guard`. Their keys are
made of the kill switch, of what is closed and of the attempt, so that a restart sends nothing twice.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Any, NamedTuple

import msgspec

from mt5crs.errors import BridgeError
from mt5crs.gateway.guarding import Guard
from mt5crs.gateway.inquiry import Flow, Inquiry
from mt5crs.gateway.orders import Orders
from mt5crs.guard.closing import closing, removing
from mt5crs.guard.kills import CLOSED, GIVEN_UP, Kill
from mt5crs.journal.states import OPEN
from mt5crs.journal.store import MADE, Journal
from mt5crs.model import SymbolInfo, TradeOrder, TradePosition
from mt5crs.operation import Result, Unasked
from mt5crs.principals import GUARD
from mt5crs.terminal.port import Deferred, TerminalPort, then

log = logging.getLogger(__name__)

ATTEMPTS = 10
"""Attempts at one position or order that fail until it is given up."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds between two of them, doubled each time."""
ROUND = 0.5
"""Seconds between two looks at what is left."""
LOOK_LIMIT = 10.0
"""Seconds after which a look that does not end is given up."""
PATIENCE = 60.0
"""Seconds that an order of ours may take."""
SETTLED = 1.0
"""Seconds after a kill switch went on until what was under way then is counted or shows."""


class _Target(NamedTuple):
    """What is to be closed or removed."""

    ticket: int
    what: str
    request: dict[str, Any]


class _Work:
    """What was done about one target."""

    __slots__ = ("due", "failures", "is_out", "number", "pause")

    def __init__(self) -> None:
        self.number = 1
        self.failures = 0
        self.is_out = False
        self.pause = FIRST_PAUSE
        self.due = -inf


class Clearing:
    """What closes.

    Args:
        terminal: Where.
        orders: What sends.
        guard: Has the kill switches.
        clock: Nanoseconds since the epoch, UTC.
    """

    def __init__(
        self, terminal: TerminalPort, orders: Orders, guard: Guard, clock: Callable[[], int]
    ) -> None:
        self._orders = orders
        self._guard = guard
        self._clock = clock
        self._inquiry = Inquiry(terminal, "looking for what is to be closed")
        self._work: dict[tuple[str, int, int], _Work] = {}
        self._next = -inf
        self._now = -inf
        self._rests = False

    def rest(self) -> None:
        """Begin nothing any more; what was sent is answered. The next process goes on with the rest."""
        self._rests = True
        self._inquiry.give_up()

    def pass_time(self, now: float) -> float:
        """Look for what is left, and close it; return the seconds until that is worth doing again."""
        self._now = now
        if self._rests:
            return inf
        self._inquiry.pass_time(now)
        kills = self._kills()
        if not kills:
            self._work.clear()
            return inf
        if not self._inquiry.is_under_way and now >= self._next and self._orders.journal is not None:
            self._next = now + ROUND
            self._guard.lookout.refresh(now)  # what was under way is counted until a look has shown it
            self._inquiry.begin(self._look(), now, limit=LOOK_LIMIT, until=now + LOOK_LIMIT)
        return ROUND

    def _kills(self) -> dict[str, Kill]:
        return {name: kill for name, kill in self._guard.switches.on.items() if kill.is_closing}

    def _look(self) -> Flow:
        began = self._clock()
        pending = yield "orders_get", (None, None, None)
        open_ = yield "positions_get", (None, None, None)
        if pending.value is None or open_.value is None:
            return
        orders = [TradeOrder(row) for row in pending.value]
        positions = [TradePosition(row) for row in open_.value]
        infos: dict[str, SymbolInfo] = {}
        for symbol in sorted({position.symbol for position in positions}):
            info = yield "symbol_info", (symbol,)
            if info.value is not None and not SymbolInfo(info.value).visible:
                yield "symbol_select", (symbol, True)  # there are no prices of what is not shown
                info = yield "symbol_info", (symbol,)
            if info.value is not None:
                infos[symbol] = SymbolInfo(info.value)
        for name, kill in self._kills().items():
            self._clear(name, kill, self._targets(name, orders, positions, infos), began)

    def _targets(
        self,
        name: str,
        orders: list[TradeOrder],
        positions: list[TradePosition],
        infos: Mapping[str, SymbolInfo],
    ) -> list[_Target]:
        """Return what a kill switch is for; pending orders first, so that none is filled meanwhile."""
        owner = self._guard.owner
        targets = [
            _Target(order.ticket, f"order {order.ticket} of {order.symbol}", removing(order))
            for order in orders
            if not name or owner(order.ticket) == name
        ]
        targets += [
            _Target(
                each.ticket, f"position {each.ticket} of {each.symbol}", closing(each, infos[each.symbol])
            )
            for each in positions
            if each.symbol in infos and (not name or owner(each.identifier) == name)
        ]
        return targets

    def _clear(self, name: str, kill: Kill, targets: list[_Target], began: int) -> None:
        journal = self._orders.journal
        if journal is None:
            return
        given_up = [target for target in targets if not self._attempt(journal, name, kill, target)]
        left = len(targets)
        self._guard.progress[name] = f"closing, {left} left"
        if left and len(given_up) == left:
            log.error("kill switch of %s: %s", name or "all orders", f"{left} could not be closed")
            self._finish(name, kill, f"{GIVEN_UP}, {left} left")
        elif not left and began - kill.since >= SETTLED * 1e9 and not self._is_expecting(name):
            log.warning("kill switch of %s: nothing is left open", name or "all orders")
            self._finish(name, kill, CLOSED)

    def _finish(self, name: str, kill: Kill, how: str) -> None:
        self._guard.progress.pop(name, None)
        self._guard.switches.turn_on(name, msgspec.structs.replace(kill, close=how))

    def _is_expecting(self, name: str) -> bool:
        """Whether an order is under way that may open something yet."""
        return any(not name or each.principal == name for each in self._guard.reservations)

    # ---- orders ----

    def _attempt(self, journal: Journal, name: str, kill: Kill, target: _Target) -> bool:
        """Send what closes a target, unless that is under way or has just failed; False: it is given up."""
        work = self._work.setdefault((name, kill.since, target.ticket), _Work())
        if work.is_out or self._now < work.due:
            return True
        symbol = target.request["symbol"]
        if not self._guard.lookout.hedging and self._guard.reservations.under_way.get(symbol):
            return True  # else it could be turned round
        key = f"{kill.since}-{target.ticket}-{work.number}"
        while (entry := journal.find(GUARD, key)) is not None:
            if entry.state in OPEN:
                return True
            work.failures += entry.outcome.get("retcode") not in MADE
            work.number += 1
            key = f"{kill.since}-{target.ticket}-{work.number}"
        if work.failures >= ATTEMPTS:
            return False
        log.warning("kill switch of %s: closing %s", name or "all orders", target.what)
        try:
            until = self._now + PATIENCE
            answer = self._orders.send([target.request], GUARD, key, until, self._now, is_guarded=False)
        except BridgeError as error:
            self._fail(work, target, str(error))
        else:
            work.is_out = isinstance(answer, Deferred)
            then(answer, partial(self._take, work, target))
        return True

    def _take(self, work: _Work, target: _Target, result: Result) -> None:
        work.is_out = False
        if isinstance(result, Unasked):
            self._fail(work, target, str(result.failure))
        elif result.value is None or result.value[0] not in MADE:
            why = result.error[1] if result.value is None else f"retcode {result.value[0]}"
            self._fail(work, target, why)
        else:
            work.pause = FIRST_PAUSE

    def _fail(self, work: _Work, target: _Target, why: str) -> None:
        log.error("%s could not be closed: %s", target.what, why)
        work.due = self._now + work.pause
        work.pause = min(2 * work.pause, LONGEST_PAUSE)
