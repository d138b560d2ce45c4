"""The simulated terminal behind the port."""

import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, TypeVar

from mt5crs.api import OPERATIONS
from mt5crs.arguments import Bound
from mt5crs.constants import (
    BOOK_TYPE_BUY,
    BOOK_TYPE_SELL,
    COPY_TICKS_ALL,
    COPY_TICKS_INFO,
    COPY_TICKS_TRADE,
    ORDER_TYPE_BUY,
    ORDER_TYPE_CLOSE_BY,
    ORDER_TYPE_SELL,
    TICK_FLAG_ASK,
    TICK_FLAG_BID,
    TICK_FLAG_LAST,
    TICK_FLAG_VOLUME,
    TRADE_RETCODE_DONE,
    TRADE_RETCODE_DONE_PARTIAL,
    TRADE_RETCODE_PLACED,
)
from mt5crs.last_error import (
    AUTHORIZATION_FAILED,
    AUTO_TRADING_DISABLED,
    CALL_FAILED,
    INVALID_PARAMS,
    NOT_FOUND,
    OUT_OF_MEMORY,
    SUCCESS,
)
from mt5crs.model import BookInfo, TicksArray, TradeOrder, TradePosition
from mt5crs.operation import Operation, Result
from mt5crs.terminal.groups import group_filter
from mt5crs.terminal.port import Deferred
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import BUYS, Order, Position, market_price
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.faults.effects import Faults
from mt5crs.terminal.simulated.faults.plan import Schedule
from mt5crs.terminal.simulated.information import account_info, terminal_info, version
from mt5crs.terminal.simulated.prices.live import NEVER
from mt5crs.terminal.simulated.prices.market import Market, Playback
from mt5crs.terminal.simulated.prices.timeframes import PERIODS
from mt5crs.terminal.simulated.specification import Specification
from mt5crs.terminal.simulated.switches import Switches
from mt5crs.terminal.simulated.trading.activation import Activation
from mt5crs.terminal.simulated.trading.draft import Rules
from mt5crs.terminal.simulated.trading.execution import Execution
from mt5crs.terminal.simulated.trading.requests import Trading

END_OF_TIME = 1 << 36  # seconds: the year 4147
IDLE = 60.0  # seconds until `advance` is worth calling when nothing rests and nobody follows
EAGER = 0.001
EARLY = 0.02  # milliseconds
DONE = frozenset({TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL})

TICK_MASKS = {
    COPY_TICKS_ALL: 0xFFFF,
    COPY_TICKS_INFO: TICK_FLAG_BID | TICK_FLAG_ASK,
    COPY_TICKS_TRADE: TICK_FLAG_LAST | TICK_FLAG_VOLUME,
    COPY_TICKS_INFO | COPY_TICKS_TRADE: 0xFFFF,
}

Handler = Callable[..., Result]
Held = TypeVar("Held", Order, Position)


def _ok(value: object) -> Result:
    return Result(value, SUCCESS)


def _some(ticks: TicksArray | None) -> Result:
    return _ok(ticks) if ticks is not None else Result(None, OUT_OF_MEMORY)


def _msc(seconds: int) -> int:
    """Return a time in milliseconds; what lies beyond every calendar is as good as its end."""
    return min(max(seconds, 0), END_OF_TIME) * 1000


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

    def __init__(
        self,
        config: SimulatedConfig | None = None,
        clock: Callable[[], float] = time.time,
        playback: Playback | None = None,
    ) -> None:
        self.config = config or SimulatedConfig()
        self._market = Market(self.config, clock, playback)
        now_msc = self._market.clock.now_msc()
        symbols = self._market.symbols
        self._money = self._calculator()
        quote, deposit, mode = self._market.tick, self.config.deposit, self.config.margin_mode
        self._account = Account(symbols, quote, self._money, deposit, now_msc, mode)
        ledger = Ledger(self._account, self.config.margin_mode)
        self.switches = Switches.of(self.config)
        execution = Execution(ledger, self._market)
        rules = Rules.of(self.config)
        self._trading = Trading(self._account, self._market, ledger, execution, rules, self.switches)
        self._activation = Activation(self._account, self._market, ledger, execution, self.config, now_msc)
        self._due = -NEVER  # what the clock reads when the passing of time may do something
        self._specifications: dict[str, Specification] = {}
        self._books: set[str] = set()
        self._followed: dict[str, int] = {}
        self._read_clock = clock
        self.faults = Faults(Schedule(self.config.seed, self.config.faults, clock()), self, clock)
        self._live = self._market.live_ticks
        self._handlers: dict[str, Handler] = {name: getattr(self, f"_{name}") for name in OPERATIONS}

    def _calculator(self) -> Money:
        config, market = self.config, self._market
        return Money(market.symbols, market.tick, config.currency, config.leverage, config.currency_digits)

    @property
    def market(self) -> Market:
        """The prices."""
        return self._market

    # ---- the port ----

    def call(self, op: Operation[..., Any], wire: Bound) -> Result | Deferred:
        """See `TerminalPort.call`."""
        if self.faults.armed:
            return self.faults.call(op, wire)
        return self._handlers[op.name](*wire)

    def carry_out(self, op: Operation[..., Any], wire: Bound) -> Result:
        """Carry out one operation at once, whatever faults are set."""
        return self._handlers[op.name](*wire)

    def follow(self, symbol: str) -> bool:
        """See `TerminalPort.follow`."""
        if symbol not in self._market.symbols:
            return False
        self._followed.setdefault(symbol, self._market.clock.now_msc())
        return True

    def unfollow(self, symbol: str) -> None:
        """See `TerminalPort.unfollow`."""
        self._followed.pop(symbol, None)

    def take_ticks(self) -> list[tuple[str, TicksArray]]:
        """See `TerminalPort.take_ticks`."""
        taken: list[tuple[str, TicksArray]] = []
        for symbol, seen in self._followed.items():
            if self._market.tick(symbol).time_msc <= seen:
                continue
            now = self._market.clock.now_msc()
            ticks = self._market.source(symbol).ticks(seen + 1, now + 1)
            self._followed[symbol] = now
            if len(ticks):
                taken.append((symbol, ticks))
        return taken

    def advance(self) -> float:
        """See `TerminalPort.advance`."""
        due = self.faults.pass_time() if self.faults.armed else NEVER
        self._pass_time()
        due = min(due, self._due)
        for symbol in self._followed:
            live = self._market.live(symbol)
            live.refresh()
            due = min(due, live.due)
        return min(max(due - self._read_clock(), EAGER), IDLE)

    def close(self) -> None:
        """See `TerminalPort.close`."""
        self._followed.clear()

    def _pass_time(self) -> None:
        if self._read_clock() >= self._due:
            clock = self._market.clock
            due = self._activation.run(clock.now_msc())
            # A bit early: what a float cannot hold must not cost a millisecond.
            self._due = due if due == NEVER else clock.reads_at(due - EARLY)

    # ---- what faults move ----

    def set_spells(self, spells: frozenset[str]) -> None:
        """See `Levers.set_spells`; while it is disconnected, the terminal knows nothing newer."""
        self.switches.connected = "disconnect" not in spells
        self.switches.terminal_trade_allowed = self.config.terminal_trade_allowed and "disable" not in spells
        self._market.clock.hold(not self.switches.connected)
        for live in self._live.values():
            live.due = -NEVER
        self._due = -NEVER

    def refuse(self, request: Mapping[str, object], retcode: int) -> Result:
        """See `Levers.refuse`."""
        return _ok(self._trading.refuse(request, retcode))

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
        return _ok(True) if fits else Result(False, AUTHORIZATION_FAILED)

    def _shutdown(self) -> Result:
        return _ok(True)

    def _version(self) -> Result:
        return _ok(version())

    def _terminal_info(self) -> Result:
        return _ok(terminal_info(self.config, self.switches))

    def _account_info(self) -> Result:
        self._pass_time()
        return _ok(account_info(self.config, self.switches, self._account.totals()))

    # ---- symbols ----

    def _symbols_total(self) -> Result:
        return _ok(len(self._market.symbols))

    def _symbols_get(self, group: str | None) -> Result:
        selects = group_filter(group or "")
        return _ok(tuple(self._specification(name).info() for name in self._market.symbols if selects(name)))

    def _symbol_info(self, symbol: str) -> Result:
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        return _ok(self._specification(symbol).info())

    def _symbol_info_tick(self, symbol: str) -> Result:
        live = self._live.get(symbol)
        if live is not None and self._read_clock() < live.due:
            return live.result
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        live = self._market.live(symbol)
        live.refresh()
        return live.result

    def _symbol_select(self, symbol: str, enable: bool) -> Result:
        if symbol not in self._market.symbols:
            return Result(False, NOT_FOUND)
        if enable:
            self._market.selected.add(symbol)
            return _ok(True)
        self._pass_time()
        held = {order.symbol for order in self._account.orders.values()}
        held.update(position.symbol for position in self._account.positions.values())
        if symbol in held:
            return Result(False, CALL_FAILED)
        self._market.selected.discard(symbol)
        return _ok(True)

    def _market_book_add(self, symbol: str) -> Result:
        if symbol not in self._market.symbols:
            return _ok(False)  # the official package leaves the error text untouched here
        self._books.add(symbol)
        return _ok(True)

    def _market_book_get(self, symbol: str) -> Result:
        if symbol not in self._books:
            return Result(None, NOT_FOUND)
        instrument = self._market.symbols[symbol]
        if not instrument.book_depth:
            return _ok(())
        asks, bids = self._market.depth.levels(instrument, self._market.tick(symbol))
        rows = [(BOOK_TYPE_SELL, level) for level in reversed(asks)]
        rows += [(BOOK_TYPE_BUY, level) for level in bids]
        return _ok(tuple(BookInfo((kind, price, int(lots), lots)) for kind, (price, lots) in rows))

    def _market_book_release(self, symbol: str) -> Result:
        known = symbol in self._books
        self._books.discard(symbol)
        return _ok(known)

    def _specification(self, symbol: str) -> Specification:
        specification = self._specifications.get(symbol)
        if specification is None:
            instrument = self._market.symbols[symbol]
            specification = Specification(instrument, self._market, self._money)
            self._specifications[symbol] = specification
        return specification

    # ---- history of prices ----

    def _rates_refusal(self, symbol: str, timeframe: int, count: int) -> Result | None:
        if timeframe not in PERIODS or not 0 < count < self.config.maxbars:
            return Result(None, INVALID_PARAMS)
        return None if symbol in self._market.symbols else Result(None, NOT_FOUND)

    def _copy_rates_from(self, symbol: str, timeframe: int, date_from: int, count: int) -> Result:
        refusal = self._rates_refusal(symbol, timeframe, count)
        if refusal is not None:
            return refusal
        now_msc = self._market.clock.now_msc()
        return _ok(self._market.rates(symbol).last(timeframe, date_from, count, now_msc))

    def _copy_rates_from_pos(self, symbol: str, timeframe: int, start_pos: int, count: int) -> Result:
        refusal = self._rates_refusal(symbol, timeframe, count)
        if refusal is not None:
            return refusal
        if not 0 <= start_pos < self.config.maxbars:
            return Result(None, INVALID_PARAMS)
        now_msc = self._market.clock.now_msc()
        return _ok(self._market.rates(symbol).position(timeframe, start_pos, count, now_msc))

    def _copy_rates_range(self, symbol: str, timeframe: int, date_from: int, date_to: int) -> Result:
        refusal = self._rates_refusal(symbol, timeframe, 1)
        if refusal is not None:
            return refusal
        now_msc = self._market.clock.now_msc()
        rates = self._market.rates(symbol)
        if rates.is_full(timeframe, date_from, date_to, now_msc, self.config.maxbars):
            return Result(None, INVALID_PARAMS)
        return _ok(rates.between(timeframe, date_from, date_to, now_msc))

    def _copy_ticks_from(self, symbol: str, date_from: int, count: int, flags: int) -> Result:
        if flags not in TICK_MASKS or count <= 0:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        return _some(self._market.first_ticks(symbol, _msc(date_from), count, TICK_MASKS[flags]))

    def _copy_ticks_range(self, symbol: str, date_from: int, date_to: int, flags: int) -> Result:
        if flags not in TICK_MASKS:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        # Whole seconds are asked for: the last one ends with its first millisecond, as in MetaTrader.
        return _some(self._market.ticks(symbol, _msc(date_from), _msc(date_to), TICK_MASKS[flags]))

    # ---- orders and positions ----

    def _orders_total(self) -> Result:
        self._pass_time()
        return _ok(len(self._account.orders))

    def _orders_get(self, ticket: int | None, symbol: str | None, group: str | None) -> Result:
        self._pass_time()
        orders = self._account.orders
        return _ok(tuple(self._order_record(order) for order in _select(orders, ticket, symbol, group)))

    def _positions_total(self) -> Result:
        self._pass_time()
        return _ok(len(self._account.positions))

    def _positions_get(self, ticket: int | None, symbol: str | None, group: str | None) -> Result:
        self._pass_time()
        positions = self._account.positions
        return _ok(tuple(self._position_record(held) for held in _select(positions, ticket, symbol, group)))

    def _order_record(self, order: Order) -> TradeOrder:
        tick = self._market.tick(order.symbol)
        return order.record(market_price(order.type in BUYS, tick.bid, tick.ask))

    def _position_record(self, position: Position) -> TradePosition:
        price = self._account.current_price(position)
        return position.record(price, self._account.floating_profit(position, price))

    def _order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> Result:
        possible = 0 < volume < inf and 0 <= price < inf
        if not (ORDER_TYPE_BUY <= action < ORDER_TYPE_CLOSE_BY and possible):
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        margin = self._money.order_margin(self._market.symbols[symbol], action, volume, price)
        return Result(None, CALL_FAILED) if margin is None else _ok(margin)

    def _order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float
    ) -> Result:
        possible = all(0 < number < inf for number in (volume, price_open, price_close))
        if action not in (ORDER_TYPE_BUY, ORDER_TYPE_SELL) or not possible:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        instrument = self._market.symbols[symbol]
        profit = self._money.profit(instrument, action == ORDER_TYPE_BUY, volume, price_open, price_close)
        return Result(None, CALL_FAILED) if profit is None else _ok(profit)

    def _order_check(self, request: Mapping[str, object]) -> Result:
        if self.switches.tradeapi_disabled:
            return Result(None, CALL_FAILED)  # the official package has the text of the reason in order_send
        self._pass_time()
        return _ok(self._trading.check(request))

    def _order_send(self, request: Mapping[str, object]) -> Result:
        if self.switches.tradeapi_disabled:
            return Result(None, AUTO_TRADING_DISABLED)
        self._activation.run(self._market.clock.now_msc())
        result = self._trading.send(request)
        if result.retcode in DONE:
            self._activation.changed()
            self._due = -NEVER
        return _ok(result)

    # ---- history of trades ----

    def _history_orders_total(self, date_from: int, date_to: int) -> Result:
        self._pass_time()
        return _ok(len(self._account.history.orders_between(date_from, date_to)))

    def _history_orders_get(self, *wire: Any) -> Result:
        history = self._account.history
        return self._recorded(history.orders_between, history.orders_of, *wire)

    def _history_deals_total(self, date_from: int, date_to: int) -> Result:
        self._pass_time()
        return _ok(len(self._account.history.deals_between(date_from, date_to)))

    def _history_deals_get(self, *wire: Any) -> Result:
        history = self._account.history
        return self._recorded(history.deals_between, history.deals_of, *wire)

    def _recorded(
        self,
        between: Callable[[int, int], Iterable[Any]],
        of: Callable[..., Iterable[Any]],
        date_from: int | None,
        date_to: int | None,
        group: str | None,
        ticket: int | None,
        position: int | None,
    ) -> Result:
        """Return rows of history: of a stretch of time and a group, or of one ticket or position."""
        self._pass_time()
        if date_from is None or date_to is None:
            return _ok(tuple(of(ticket=ticket or 0, position=position or 0)))
        selects = group_filter(group or "")
        return _ok(tuple(row for row in between(date_from, date_to) if selects(row.symbol)))


def _select(
    things: Mapping[int, Held], ticket: int | None, symbol: str | None, group: str | None
) -> list[Held]:
    """Return what is open: of one ticket, else of one symbol, else of a group."""
    if ticket is not None:
        found = things.get(ticket)
        return [] if found is None else [found]
    if symbol is not None:
        return [thing for thing in things.values() if thing.symbol == symbol]
    selects = group_filter(group or "")
    return [thing for thing in things.values() if selects(thing.symbol)]
