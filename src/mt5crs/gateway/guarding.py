"""The guard: what stands between every trade request and the journal, whoever sends it.

It judges by the policy file and the kill switches, and where these need the account by what the terminal
showed within the last second, with everything on top that orders may have done since.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from mt5crs.errors import BridgeError, JournalUnusable, Killed, LimitExceeded
from mt5crs.gateway.deadmen import DeadMen
from mt5crs.gateway.lookout import FRESH, Lookout, Wants
from mt5crs.gateway.order import Order
from mt5crs.gateway.owners import Owners
from mt5crs.gateway.policyfile import LOOK, PolicyFile
from mt5crs.gateway.servertime import ServerTime
from mt5crs.gateway.switches import Switches
from mt5crs.gateway.tally import Tally
from mt5crs.guard.facts import Facts
from mt5crs.guard.kills import CLOSING, Kill
from mt5crs.guard.policy import Policy
from mt5crs.guard.requests import TARGETS, Asked, Effect, may_close, read, senseless
from mt5crs.guard.reservations import unread
from mt5crs.guard.rules import MINUTE
from mt5crs.guard.scope import Scope, shown
from mt5crs.journal.entries import SIGNED
from mt5crs.journal.notices import Notices
from mt5crs.journal.states import NoticeKind
from mt5crs.journal.store import Journal
from mt5crs.operation import Result, done
from mt5crs.principals import GATEWAY, GUARD
from mt5crs.terminal.port import Deferred, TerminalPort

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

FACTS_LIMIT = 2.0
"""Seconds that an order waits for facts that it is judged by; then it is refused."""
GLANCE = 0.005
"""Seconds for which the journal's file is not asked again whether an operator has written to it."""
LOOKBACK = 5_000
"""Events of the journal in which the orders of the last minute are looked for at the start."""
PLANS = 1024
"""Principals whose limits are kept at hand."""
LATE = f"the terminal has not shown the account within {FACTS_LIMIT:g} s"


class Guard:
    """Judges trade requests.

    Args:
        terminal: What the account is on.
        policy: The policy and its file.
        notices: What the journal is to note.
        counters: How often what happened, by name.
        clock: Nanoseconds since the epoch, UTC.

    Attributes:
        server_time: The trade server's time.
        switches: The kill switches.
        reservations: What orders may have done that was not shown yet.
        progress: What closing is at, in words, by the name of its kill switch.
        looked: Called when a look has ended.
        knows: Whether a key of a name exists; any name is taken without it.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        policy: PolicyFile,
        notices: Notices,
        counters: "defaultdict[str, int]",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._file = policy
        self._counters = counters
        self._clock = clock
        self._journal: Journal | None = None
        self._rereads = -1
        self._owners = Owners()
        self._scopes: dict[str, Scope] = {}
        self._plans: dict[str, tuple[Scope, ...]] = {}
        self._tally = Tally(self._utc)
        self._asking: list[tuple[str, bool, Deferred]] = []
        self._saw = -inf
        self._dead_men = DeadMen()
        self._notices = notices
        self.server_time = ServerTime()
        self.switches = Switches()
        self.reservations = self._tally.reservations
        self.progress: dict[str, str] = {}
        self.looked: Callable[[], None] = lambda: None
        self.knows: Callable[[str], bool] = lambda _name: True
        self.lookout = Lookout(
            terminal, self.server_time, self._utc, self._begin_look, self._install, self._end_look
        )
        self._take_policy()

    @property
    def policy(self) -> Policy:
        """The policy that holds."""
        return self._file.policy

    def _utc(self) -> float:
        return self._clock() / 1e9

    # ---- judging ----

    def judge(self, order: Order, journal: Journal | None, now: float) -> bool:
        """Let an order go on, or say that it has to wait for a look.

        Args:
            order: The order, which is not in the journal yet.
            journal: The journal, None while it cannot be used.
            now: Seconds on the gateway's clock.

        Returns:
            Whether it goes on; False: judge it again when a look has ended, or after a while.

        Raises:
            LimitExceeded: A limit does not allow it.
            Killed: A kill switch is on.
            JournalUnusable: The journal cannot be read.
        """
        if journal is None:  # it will be refused where it is to be written
            return True
        self.see(journal, now)
        principal = order.principal
        if not order.is_guarded:
            self._tally.add(order, unread(order.request))
            return True
        plan = self._plans.get(principal)
        if plan is None:
            plan = self._plan(principal)
        kill = self.switches.of(principal) if self.switches.on else None
        if not plan and kill is None:
            return True
        request, utc = order.request, self._clock() / 1e9
        facts: Facts | None = None
        if self._needs_account(request, plan, kill, now, utc):
            facts = self._at_hand(request, now)
            if facts is None:
                hopeless = self._foresee(request, plan, kill, now, utc)
                if hopeless is not None:
                    raise self._refusal(order, hopeless)
                facts = self._facts(order, now)
            if facts is None and now < order.came + FACTS_LIMIT:
                return False
            if facts is None:
                raise self._refusal(order, self._blind(plan, kill, request))
        asked = read(request, facts, self.reservations.under_way)
        wrong = self._wrong(asked, request, plan, kill, now, utc)
        if wrong is not None:
            raise self._refusal(order, wrong)
        for scope in plan:
            scope.count(now)
        self._tally.add(order, asked)
        if self._dead_man(principal):
            self._dead_men.expect(principal, now)
        return True

    def _needs_account(
        self, request: "Mapping[str, Any]", plan: tuple[Scope, ...], kill: Kill | None, now: float, utc: float
    ) -> bool:
        hedging = self.lookout.hedging
        for scope in plan:
            if scope.needs(request, hedging, now, utc):
                return True
        # With a kill switch on, only a deal may or may not reduce the risk.
        return kill is not None and may_close(request, hedging)

    def _foresee(
        self, request: "Mapping[str, Any]", plan: tuple[Scope, ...], kill: Kill | None, now: float, utc: float
    ) -> BridgeError | None:
        """Return why a request may not go on whatever is on the account, None where that decides."""
        asked, hedging = Asked(request), self.lookout.hedging
        if kill is not None and asked.effect is not Effect.REDUCES and not may_close(request, hedging):
            return self._killed(kill)
        nonsense = senseless(request)
        if nonsense:
            return LimitExceeded(f"{nonsense}: no limit can be judged by that")
        for scope in plan:
            exceeded = scope.foresee(asked, hedging, now, utc)
            if exceeded is not None:
                return exceeded
        return None

    def _wrong(
        self,
        asked: Asked,
        request: "Mapping[str, Any]",
        plan: tuple[Scope, ...],
        kill: Kill | None,
        now: float,
        utc: float,
    ) -> BridgeError | None:
        """Return why a request may not go on, None where it may."""
        if kill is not None and asked.effect is not Effect.REDUCES:
            return self._killed(kill)
        nonsense = senseless(request)
        if nonsense:
            return LimitExceeded(f"{nonsense}: no limit can be judged by that")
        if asked.strange:
            return LimitExceeded(f"{asked.strange}: no limit can be judged by that")
        for scope in plan:
            is_needed = scope.names or (scope.needs_worth and asked.effect is Effect.ADDS)
            if asked.missing and is_needed and request.get("action") in TARGETS:
                return LimitExceeded(
                    f"{asked.missing} is not on the account, by which {scope.standing.who} is limited"
                    f" ({scope.setting})"
                )
            exceeded = scope.check(asked, now, utc)
            if exceeded is not None:
                return exceeded
        return None

    def _killed(self, kill: Kill, more: str = "") -> Killed:
        name = next((name for name, each in self.switches.on.items() if each is kill), "")
        whose, which = (f" of {name}", f" {name}") if name else ("", "")
        return Killed(
            f"the kill switch{whose} is {kill}{more}", hint=f"an admin's `mt5crs resume{which}` turns it off"
        )

    def _blind(self, plan: tuple[Scope, ...], kill: Kill | None, request: "Mapping[str, Any]") -> BridgeError:
        """Return the refusal of an order that cannot be judged."""
        if kill is not None:
            return self._killed(kill, f"; whether this order only closes is not known: {LATE}")
        where = " and ".join(scope.setting for scope in plan)
        return LimitExceeded(
            f"the order cannot be judged: {LATE} ({where})",
            hint="`mt5crs health` tells whether the terminal answers",
        )

    def _at_hand(self, request: "Mapping[str, Any]", now: float) -> Facts | None:
        """Return what the last look has shown, where it is enough: for what names nothing on the account."""
        facts, symbol = self.lookout.facts, request.get("symbol", "")
        if facts is None or now - facts.began > FRESH / 2:
            return None
        if any(request.get(name) for name in TARGETS.get(request.get("action", 0), ())):
            return None
        return None if self._prices and facts.quotes.get(symbol) is None else facts

    def _facts(self, order: Order, now: float) -> Facts | None:
        """Return facts that are fresh and show what an order is about; None where a look is needed first.

        A look may end while it begins: what is judged by is read after that, as what is counted is.
        """
        if order.look < 0:
            order.look = self.lookout.number
            if self._wants:
                self.lookout.want(order.request.get("symbol", ""), now)
        for _ in range(3):  # the second look may show which symbol it is about
            facts = self.lookout.facts
            is_enough = facts is not None and self._is_enough(facts, order, now)
            if facts is not None and is_enough and now - facts.began <= FRESH / 2:
                return facts
            self.lookout.refresh(now)
            if is_enough and facts is self.lookout.facts:  # the next look is under way, or fails
                return facts
        return None

    def _is_enough(self, facts: Facts, order: Order, now: float) -> bool:
        if now - facts.began > FRESH:
            return False
        request = order.request
        symbol = request.get("symbol", "")
        for name in TARGETS.get(request.get("action", 0), ()):
            ticket = request.get(name)
            if not ticket:
                continue
            target = (facts.orders if name == "order" else facts.positions).get(ticket)
            if target is None:
                if facts.number <= order.look:  # it may be younger than that
                    return False
                continue
            symbol = target.symbol
        if self._prices and symbol and symbol not in facts.quotes:
            self.lookout.want(symbol, now)
            return False
        return True

    def heed(self, order: Order) -> None:
        """Take notice of what became of an order that something is counted for."""
        self._tally.heed(order)

    # ---- looks ----

    def _begin_look(self) -> Wants:
        """Note which orders' effects the look must show; those of later ones it need not."""
        self._tally.begin_look(self._journal)
        scopes = self._scopes.values()
        worth = any(scope.needs_worth for scope in scopes)
        symbols = frozenset(self.reservations.symbols) if worth else frozenset[str]()
        return Wants(symbols, worth, any(scope.needs_deals for scope in scopes))

    def _install(self, facts: Facts) -> None:
        """Judge by what a look has shown from now on."""
        self._tally.take(facts)
        for name, scope in self._scopes.items():
            scope.standing.used = facts.usage(self._counts(name)) if name else facts.usage()

    def _counts(self, name: str) -> Callable[[int], bool]:
        of = self._owners.of
        return lambda ticket: of(ticket) == name

    def _end_look(self) -> None:
        asking, self._asking = self._asking, []
        for principal, is_admin, deferred in asking:
            deferred.settle(self._limits(principal, is_admin))
        self.looked()

    # ---- policy and journal ----

    def _take_policy(self) -> None:
        """Make the limits of a policy hold."""
        policy, before = self._file.policy, self._scopes
        tables: dict[str, Mapping[str, Any]] = {"": policy.account, **policy.keys}
        self._scopes = {
            name: Scope(name, limits, policy.setting(name), self.reservations.usage(name))
            for name, limits in tables.items()
            if limits
        }
        for name in self._scopes.keys() & before.keys():
            self._scopes[name].standing.sent = before[name].standing.sent
        self._prices = any(scope.needs_prices for scope in self._scopes.values())
        self._wants = self._prices or any(scope.needs_deals for scope in self._scopes.values())
        self._plans.clear()
        self.lookout.forget()
        for name in [name for name in self.awaited if not self._dead_man(name)]:
            self.awaited.discard(name)

    def warn_of_unknown_keys(self) -> None:
        """Say where limits are for a key that there is not: a slip of the pen would take them off."""
        for name in self.policy.keys:
            if not self.knows(name):
                log.warning(
                    "%s: there is no key %s, so that its limits hold for nobody",
                    self.policy.setting(name),
                    name,
                )

    def _plan(self, principal: str) -> tuple[Scope, ...]:
        """Return the limits that a principal's orders are judged by."""
        plan = tuple(self._scopes[name] for name in ("", principal) if name in self._scopes)
        if len(self._plans) >= PLANS:
            self._plans.clear()
        self._plans[principal] = plan
        return plan

    def see(self, journal: Journal, now: float) -> None:
        """Take in what the journal says now.

        Raises:
            JournalUnusable: It cannot be read.
        """
        if now - self._saw < GLANCE and journal is self._journal:
            return
        self._saw = now
        journal.refresh()
        if journal is self._journal and journal.rereads == self._rereads:
            return
        is_new = journal is not self._journal
        self.switches.read(journal)
        if is_new:
            self._owners.read(journal)
            self._dead_men.read(journal)
            self._count_latest(journal, now)
        self._tally.add_open(journal)
        self._journal, self._rereads = journal, journal.rereads

    def _count_latest(self, journal: Journal, now: float) -> None:
        """Count the orders of the last minute, which an earlier process has sent."""
        for scope in self._scopes.values():
            scope.standing.sent.clear()
        last = journal.head[0]
        for entry in journal.requests_before(last + 1, LOOKBACK):
            age = self._utc() - entry.at / 1e9
            if age < MINUTE and entry.principal != GUARD:
                for scope in self._plan(entry.principal):
                    scope.count(now - age)

    # ---- kill switches ----

    @property
    def why(self) -> str:
        """Why no orders are taken at all, "" where they are."""
        kill = self.switches.on.get("")
        return "" if kill is None else f"the kill switch is {kill}"

    def kill(self, name: str, by: str, why: str, *, close: bool, signed: bytes = b"") -> None:
        """Turn a kill switch on, for a key's orders or ("") for all; where it is on, `close` can be added.

        Args:
            name: Whose.
            by: Who does it.
            why: Why.
            close: Whether positions are closed, and pending orders removed.
            signed: The request as its admin signed it.

        Raises:
            JournalUnusable: It is on, and could not be written yet.
        """
        before = self.switches.on.get(name)
        kill = Kill(self._clock(), by, why, CLOSING if close else "")
        if before is not None and not close:
            return
        self.progress.pop(name, None)
        try:
            self.switches.turn_on(name, kill)
        finally:
            note = {"name": name, "why": why, "close": close}
            self._notices.write(NoticeKind.KILL, by, note | _proof(signed))
            if self._journal is not None:
                self._tally.add_open(self._journal)
            self.lookout.forget()

    def resume(self, name: str, by: str, signed: bytes = b"") -> bool:
        """Turn a kill switch off; say whether it was on.

        Args:
            name: Whose.
            by: Who does it.
            signed: The request as its admin signed it.

        Raises:
            JournalUnusable: That could not be written: it stays on.
        """
        was_on = self.switches.turn_off(name)
        if was_on:
            self.progress.pop(name, None)
            self._notices.write(NoticeKind.RESUME, by, {"name": name} | _proof(signed))
        return was_on

    def is_known(self, name: str) -> bool:
        """Whether a name is that of a key, or was: one whose entry is gone may have orders yet."""
        journal = self._journal
        return (
            name in self.policy.keys
            or name in self.switches.on
            or any(each.principal == name for each in self.reservations)
            or self.knows(name)
            or (journal is not None and journal.has_asked(name))
        )

    def owner(self, ticket: int) -> str:
        """Return whose order has a ticket, "" where that is not known."""
        return self._owners.of(ticket)

    # ---- dead men ----

    @property
    def awaited(self) -> set[str]:
        """The keys from which something must be heard; the set stays the same one."""
        return self._dead_men.awaited

    def heard(self, name: str, now: float) -> None:
        """Note a sign of life of a key that is in `awaited`."""
        self._dead_men.hear(name, now)

    def rest(self) -> None:
        """Miss no dead men any more: nobody is listened to."""
        self._dead_men.rest()

    def _dead_man(self, name: str) -> float:
        """Return how long nothing need be heard of a key, 0 where that has no limit."""
        scope = self._scopes.get(name)
        return scope.limits.get("dead_man", 0.0) if scope is not None else 0.0

    def _miss(self, now: float) -> None:
        """Turn the kill switch on of keys from which nothing was heard for too long."""
        for name in list(self.awaited):
            limit = self._dead_man(name)
            if not limit or not self._dead_men.is_missed(name, limit, now):
                continue
            close = bool(self._scopes[name].limits.get("dead_man_close"))
            try:
                self.kill(name, GUARD, f"nothing was heard of it for {limit:g} s", close=close)
                self._dead_men.release(name)
            except JournalUnusable as error:  # it is on in memory, and is written as soon as that can be
                self.awaited.discard(name)
                log.error("%s", error)

    # ---- time ----

    def pass_time(self, journal: Journal | None, now: float) -> float:
        """Look after the policy, dead men and looks; return the seconds until that is worth doing again."""
        self._dead_men.pass_time(now)
        try:
            if journal is not None:
                self.see(journal, now)
        except JournalUnusable as error:  # orders are refused anyway; all else goes on
            log.warning("%s", error)
        fault = self._file.fault
        if self._file.pass_time(now):
            self._take_policy()
            self.warn_of_unknown_keys()
            dropped = {"dropped": self._file.told_dropped} if self._file.dropped else {}
            self._notices.add(NoticeKind.POLICY, GATEWAY, {"file": self.policy.where} | dropped)
        elif self._file.fault != fault:
            self._notices.add(
                NoticeKind.POLICY, GATEWAY, {"kept": "the limits of before", "why": self._file.fault}
            )
        self._miss(now)
        due = self.lookout.pass_time(now)
        try:
            self.switches.write()
        except JournalUnusable:  # orders are refused anyway, and it is on in memory
            pass
        return min(due, LOOK) if self._file.path is not None or self.awaited else due

    # ---- telling ----

    def _refusal(self, order: Order, error: BridgeError) -> BridgeError:
        """Return a refusal, after it was noted."""
        self._counters[f"guard-{error.code}"] += 1
        note = {"code": error.code, "why": error.message, "key": order.key}
        self._notices.add(NoticeKind.LIMIT, order.principal, note)
        return error

    def limits(self, principal: str, now: float, *, is_admin: bool) -> Result | Deferred:
        """Return the limits that hold for a principal, all of them for an admin, and what is used of them."""
        facts = self.lookout.facts
        needs = any(scope.needs_account for scope in self._scopes.values())
        if needs and (facts is None or now - facts.began > FRESH):
            deferred = Deferred()
            self._asking.append((principal, is_admin, deferred))
            self.lookout.refresh(now)
            if self.lookout.is_looking or deferred.result is not None:
                return deferred
            self._asking.remove((principal, is_admin, deferred))
        return self._limits(principal, is_admin)

    def _limits(self, principal: str, is_admin: bool) -> Result:
        names = {"", principal}
        rows = [
            [
                name or "account",
                limit,
                value if isinstance(value, float) else shown(value),
                used,
                scope.setting,
            ]
            for name, scope in self._scopes.items()
            if is_admin or name in names
            for limit, value, used in scope.uses()
        ]
        rows += [
            [name or "account", "kill", self._told(name), None, "the kill switch"]
            for name in self.switches.on
            if is_admin or name in names
        ]
        if self._file.fault and is_admin:
            rows.append(["policy", "fault", self._file.fault, None, str(self._file.path)])
        return done(rows)

    def _told(self, name: str) -> str:
        progress = self.progress.get(name) or self.switches.on[name].close
        return f"{self.switches.on[name]}" + (f" ({progress})" if progress else "")

    def state(self, *, is_admin: bool) -> dict[str, Any]:
        """Return how it is with the guard, for pongs and beats; names and files are for admins alone."""
        if not is_admin:
            return {"fault": bool(self._file.fault), "killed": "" in self.switches.on}
        return {
            "policy": "" if self._file.path is None else str(self._file.path),
            "fault": self._file.fault,
            "killed": {name: self._told(name) for name in self.switches.on},
            "counted": len(self.reservations),
        }


def _proof(signed: bytes) -> dict[str, Any]:
    """Return what a notice holds of a request that was signed."""
    return {SIGNED: signed} if signed else {}
