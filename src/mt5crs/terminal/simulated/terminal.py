"""The simulated terminal behind the port."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt5crs import points
from mt5crs.api import OFFICIAL
from mt5crs.arguments import Bound
from mt5crs.constants import (
    ACCOUNT_TRADE_MODE_DEMO,
    TRADE_ACTION_DEAL,
    TRADE_ACTION_PENDING,
    TRADE_RETCODE_DONE,
    TRADE_RETCODE_DONE_PARTIAL,
    TRADE_RETCODE_PLACED,
)
from mt5crs.errors import SettingError
from mt5crs.last_error import AUTHORIZATION_FAILED
from mt5crs.model import AccountInfo
from mt5crs.operation import Operation, Result, done
from mt5crs.terminal.port import Account as Fence
from mt5crs.terminal.port import Condition, Deferred, News
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.charts import Charts
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.dealing import Dealing
from mt5crs.terminal.simulated.faults.effects import Faults
from mt5crs.terminal.simulated.faults.plan import Schedule
from mt5crs.terminal.simulated.followers import Sight
from mt5crs.terminal.simulated.following import Following
from mt5crs.terminal.simulated.information import account_info, terminal_info, version
from mt5crs.terminal.simulated.prices.market import Market, Playback
from mt5crs.terminal.simulated.prices.zone import NEVER
from mt5crs.terminal.simulated.switches import Switches
from mt5crs.terminal.simulated.trading.activation import Activation
from mt5crs.terminal.simulated.trading.draft import Rules
from mt5crs.terminal.simulated.trading.execution import Execution
from mt5crs.terminal.simulated.trading.requests import Trading
from mt5crs.topics import AnyTopic

if TYPE_CHECKING:
    import zmq

    from mt5crs.terminal.simulated.state import State, StateFile

IDLE = 60.0  # seconds until `advance` is worth calling when nothing rests and nobody follows
EAGER = 0.001
EARLY = 0.02  # milliseconds
SAVE_EVERY = 1.0
"""Seconds after which the time that has been seen is saved, whatever else has happened."""
DONE = frozenset({TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL})
OPENING = frozenset({TRADE_ACTION_DEAL, TRADE_ACTION_PENDING})
TIMELESS = frozenset({"order_calc_margin", "order_calc_profit"})
"""Calls about the account for which time need not have passed."""

Handler = Callable[..., Result]


class SimulatedTerminal:
    """A terminal with made-up or replayed prices and one account.

    Deterministic: the same settings, the same clock readings and the same calls give the same answers.

    Args:
        config: The settings.
        clock: Returns seconds; server time is derived from it.
        playback: What a tester plays.

    Attributes:
        switches: What is allowed at present; may be changed at any time.
        faults: What goes wrong; more can be set at any time.

    Raises:
        SettingError: A setting or the replay file cannot be used.
    """

    name = "simulated"
    sources: "Sequence[zmq.Socket[bytes]]" = ()

    def __init__(
        self,
        config: SimulatedConfig | None = None,
        clock: Callable[[], float] = time.time,
        playback: Playback | None = None,
    ) -> None:
        self.config = config = config or SimulatedConfig()
        self.account = Fence(config.login, config.server, ACCOUNT_TRADE_MODE_DEMO)
        self._state = None if config.state is None else _state_file(config.state, config)
        saved = None if self._state is None else self._state.load()
        self._market = market = Market(config, clock, playback, 0 if saved is None else saved.seen_msc)
        if saved is not None and saved.market != market.identity:
            self._refuse_other_market(saved.market)
        _check_faults(config, market)
        now_msc = market.clock.now_msc()
        money = Money(market.symbols, market.tick, config.currency, config.leverage, config.currency_digits)
        self._account = Account(market.symbols, market.tick, money, config.margin_mode)
        ledger = Ledger(self._account, config.margin_mode)
        self.switches = Switches.of(config)
        execution = Execution(ledger, market)
        self._trading = Trading(self._account, market, ledger, execution, Rules.of(config), self.switches)
        if saved is None:
            self._account.deposit(config.deposit, now_msc)
        else:
            self._restore(saved)
        seen_msc = now_msc if saved is None else saved.seen_msc
        self._activation = Activation(self._account, market, ledger, execution, config, seen_msc)
        self._due = -NEVER  # what the clock reads when the passing of time may do something
        self._button = self.switches.terminal_trade_allowed  # as it was before a spell without
        self._read_clock = clock
        self._charts = Charts(market, money, self._held_symbols, config.maxbars, clock)
        movers = self._account.stakes
        self._following = Following(Sight(market, self._charts.book, self._present_account, movers))
        self._noticed: tuple[object, ...] = ()
        self._dealing = Dealing(self._account, market, self._trading, self.switches)
        self._handlers: dict[str, Handler] = {name: self._handler(name) for name in OFFICIAL}
        self.faults = Faults(Schedule(config.seed, config.faults, clock()), self, clock)
        self._save()

    def _handler(self, name: str) -> Handler:
        """Return what answers an operation."""
        own: Handler | None = getattr(self, f"_{name}", None) or getattr(self._charts, name, None)
        if own is not None:
            return own
        answer: Handler = getattr(self._dealing, name)
        if name in TIMELESS:
            return answer

        def timely(*wire: Any) -> Result:
            self._pass_time()
            return answer(*wire)

        return timely

    @property
    def market(self) -> Market:
        """The prices."""
        return self._market

    # ---- the port ----

    def call(self, op: Operation[..., Any], wire: Bound, until: float = inf) -> Result | Deferred:
        """See `TerminalPort.call`."""
        if self.faults.armed:
            return self.faults.call(op, wire)
        return self._handlers[op.name](*wire)

    def carry_out(self, op: Operation[..., Any], wire: Bound) -> Result:
        """Carry out one operation at once, whatever faults are set."""
        return self._handlers[op.name](*wire)

    def condition(self) -> Condition:
        """See `TerminalPort.condition`."""
        return Condition(terminal=True, broker=self.switches.connected, account=True)

    def follow(self, topic: AnyTopic) -> bool:
        """See `TerminalPort.follow`."""
        return self._following.add(topic)

    def unfollow(self, topic: AnyTopic) -> None:
        """See `TerminalPort.unfollow`."""
        self._following.remove(topic)

    def take_news(self) -> list[News]:
        """See `TerminalPort.take_news`."""
        self._notice()
        return self._following.take()

    def advance(self) -> float:
        """See `TerminalPort.advance`."""
        if self._is_stale():
            self._save()
        due = self.faults.pass_time() if self.faults.armed else NEVER
        self._pass_time()
        self._notice()
        if not self._market.clock.is_held:  # while time stands still nothing comes by itself
            due = min(due, self._due, self._following.due)
        return min(max(due - self._read_clock(), EAGER), IDLE)

    def close(self) -> None:
        """See `TerminalPort.close`."""
        self._following.clear()
        if self._state is not None:
            self._save()
            self._state.close()
            self._state = None

    def _pass_time(self) -> None:
        if self._read_clock() >= self._due:
            clock = self._market.clock
            before = self._activation.changes
            due = self._activation.run(clock.now_msc())
            if self._activation.changes != before:
                self._save()
            # A bit early: what a float cannot hold must not cost a millisecond.
            self._due = due if due == NEVER else clock.reads_at(due - EARLY)

    def _notice(self) -> None:
        """Have the account looked at by who follows it, where it may have changed."""
        mark = self._activation.changes, self._trading.request_id, *self._account.next_tickets
        if mark != self._noticed:
            self._noticed = mark
            self._following.changed()

    # ---- what faults move ----

    def set_spell(self, name: str, on: bool, reading: float) -> None:
        """See `Levers.set_spell`; while it is disconnected, the terminal knows nothing newer."""
        switches = self.switches
        if name == "disconnect":
            switches.connected = not on
            self._market.clock.hold(on, reading)
        elif on:
            self._button, switches.terminal_trade_allowed = switches.terminal_trade_allowed, False
        else:
            switches.terminal_trade_allowed = self._button
        for live in self._market.live_ticks.values():
            live.due = -NEVER
        self._following.wake()
        self._due = -NEVER

    def at(self, reading: float) -> AbstractContextManager[None]:
        """See `Levers.at`."""
        return self._market.clock.at(reading)

    def refuse(self, request: Mapping[str, object], retcode: int) -> Result:
        """See `Levers.refuse`."""
        return done(self._trading.refuse(request, retcode))

    def carry_out_scarce(self, op: Operation[..., Any], wire: Bound, share: float) -> Result:
        """See `Levers.carry_out_scarce`."""
        with self._market.depth.scarce(share):
            return self.carry_out(op, wire)

    # ---- session ----

    def _initialize(
        self,
        _path: str | None,
        login: int | None,
        password: str | None,
        server: str | None,
        _timeout: int | None,
        _portable: object,
    ) -> Result:
        return self._authorize(login, password, server)

    def _login(self, login: int, password: str | None, server: str | None, _timeout: int | None) -> Result:
        return self._authorize(login, password, server)

    def _authorize(self, login: int | None, password: str | None, server: str | None) -> Result:
        """Compare the credentials that were given with the account's; what is absent is not compared."""
        config = self.config
        pairs = ((login, config.login), (password, config.password), (server, config.server))
        fits = all(given is None or given == own for given, own in pairs)
        return done(True) if fits else Result(False, AUTHORIZATION_FAILED)

    def _shutdown(self) -> Result:
        return done(True)

    def _version(self) -> Result:
        return done(version())

    def _terminal_info(self) -> Result:
        return done(terminal_info(self.config, self.switches))

    def _account_info(self) -> Result:
        return done(self._present_account())

    def _present_account(self) -> AccountInfo:
        self._pass_time()
        return account_info(self.config, self.switches, self._account.totals())

    def _order_send(self, request: Mapping[str, object]) -> Result:
        clock, before = self._market.clock, self._activation.changes
        was_held = clock.is_held
        clock.hold(True)  # a request has one time: ticks that come meanwhile come after it
        try:
            self._activation.run(clock.now_msc())
            points.reach(points.SENT)
            result = self._dealing.order_send(request)
            points.reach(points.FILLED)
        finally:
            clock.hold(was_held)
        if result.value is not None and result.value.retcode in DONE:
            if result.value.request.action in OPENING:  # what is held is in Market Watch
                self._market.selected.add(result.value.request.symbol)
            self._activation.changed()
            self._due = -NEVER
        if result.value is not None or self._activation.changes != before:
            self._save()
        return result

    def _symbol_select(self, symbol: str, enable: bool) -> Result:
        before = len(self._market.selected)
        result = self._charts.symbol_select(symbol, enable)
        if len(self._market.selected) != before:
            self._save()
        return result

    # ---- the account, kept ----

    def _held_symbols(self) -> set[str]:
        self._pass_time()
        held = {order.symbol for order in self._account.orders.values()}
        return held.union(position.symbol for position in self._account.positions.values())

    def _is_stale(self) -> bool:
        """Whether the time in the file is so old that after a crash it would go back for who watches."""
        if self._state is None or self.config.keeps_wall_time:
            return False
        return self._read_clock() >= self._saved_at + SAVE_EVERY

    def _save(self) -> None:
        if self._state is None:
            return
        from mt5crs.terminal.simulated.state import State

        self._saved_at = self._read_clock()
        self._activation.run(self._market.clock.now_msc())
        account, history = self._account, self._account.history
        order_ticket, deal_ticket = account.next_tickets
        self._state.save(
            State(
                balance=account.balance,
                credit=account.credit,
                seen_msc=self._activation.seen_msc,
                request_id=self._trading.request_id,
                order_ticket=order_ticket,
                deal_ticket=deal_ticket,
                selected=sorted(self._market.selected),
                market=self._market.identity,
                positions=account.positions,
                orders=account.orders,
                history_orders=history.orders,
                history_deals=history.deals,
            )
        )

    def _refuse_other_market(self, before: str) -> None:
        """Refuse a state file whose account would meet prices that are not those it was left with."""
        if self._state is not None:
            self._state.close()
        raise SettingError(
            f"state: {self.config.state} was used with {before}; now it would be {self._market.identity}",
            hint="give the same settings, or another file",
        )

    def _restore(self, saved: "State") -> None:
        account = self._account
        tickets = saved.order_ticket, saved.deal_ticket
        account.restore(saved.balance, saved.credit, saved.positions, saved.orders, tickets)
        for order in saved.history_orders:
            account.history.add_order(order)
        for deal in saved.history_deals:
            account.history.add_deal(deal)
        self._trading.request_id = saved.request_id
        self._market.selected = set(saved.selected) & self._market.symbols.keys()


def _check_faults(config: SimulatedConfig, market: Market) -> None:
    for fault in config.faults:
        if fault.symbol and fault.symbol not in market.symbols:
            raise SettingError(f"fault {fault.kind}: there is no symbol {fault.symbol!r}")


def _state_file(path: Path, config: SimulatedConfig) -> "StateFile":
    from mt5crs.terminal.simulated.state import Owner, StateFile  # SQLite is for who keeps an account

    return StateFile(path, Owner(config.login, config.server, config.currency, config.margin_mode))
