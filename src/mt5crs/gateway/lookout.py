"""Keeps a fresh picture of the account, as far as limits need one."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, NamedTuple

from mt5crs.constants import ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
from mt5crs.gateway.inquiry import DAY, END, Flow, Inquiry
from mt5crs.gateway.servertime import ServerTime
from mt5crs.guard.facts import Facts, Quote
from mt5crs.model import AccountInfo, SymbolInfo, Tick, TradeDeal, TradeOrder, TradePosition
from mt5crs.terminal.port import TerminalPort

FRESH = 1.0
"""Seconds for which a look's facts are good; after half of that the next look begins already."""
LOOK_LIMIT = 5.0
"""Seconds after which a look that does not end is given up."""
PAUSE = 0.1
"""Seconds from the beginning of a look that shows nothing to the next one."""
ALL_DEALS = 30.0
"""Seconds between two looks at all of the day's deals."""
OVERLAP = 60
"""Seconds of deals that are looked at again each time."""
TELLERS = 3
"""Symbols whose last tick is looked at for the server's day."""
WANTED = 30.0
"""Seconds for which a symbol is looked at after the last order about it."""
WISHES = 64
"""Symbols that are looked at because orders name them; then the oldest wish is dropped."""


class Wants(NamedTuple):
    """What a look is for, beyond orders and positions.

    Attributes:
        symbols: Symbols whose prices are needed.
        worth: Whether those of all that is held are.
        deals: Whether today's deals are.
    """

    symbols: frozenset[str] = frozenset()
    worth: bool = False
    deals: bool = False


class DaysDeals:
    """The deals of the server's day: all of them are asked for now and then, else the latest ones.

    A deal never changes its time, and a day can have tens of thousands. What the terminal comes to know late,
    after a spell without connection, is in the next full list.
    """

    def __init__(self) -> None:
        self._deals: dict[int, TradeDeal] = {}
        self._day = -inf
        self._full = -inf
        self._is_full = True
        self._latest = 0

    def since(self, day: float, now: float) -> int:
        """Return from when on deals are to be asked for, epoch seconds of the server.

        Args:
            day: When the server's day began.
            now: Seconds on the gateway's clock.
        """
        self._is_full = day != self._day or now - self._full >= ALL_DEALS or not self._deals
        if self._is_full:
            self._day, self._full = day, now
            return int(day)
        return max(int(day), self._latest - OVERLAP)

    def take(self, rows: Sequence[Any]) -> list[TradeDeal]:
        """Return the day's deals, given what the terminal answered."""
        if self._is_full:
            self._deals.clear()
            self._latest = 0
        for row in rows:
            deal = TradeDeal(row)
            self._deals[deal.ticket] = deal
            self._latest = max(self._latest, deal.time)
        return list(self._deals.values())


class Lookout:
    """What looks.

    Args:
        terminal: What is looked at.
        server_time: The trade server's time.
        utc: Returns epoch seconds.
        begins: Called when a look begins; says what it is for.
        shown: Called with what it has shown.
        ended: Called when a look has ended, with facts or without.

    Attributes:
        facts: What the last look has shown, None before the first one.
        hedging: Whether a symbol can have several positions, None while that is not known.
        number: How many looks have begun.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        server_time: ServerTime,
        utc: Callable[[], float],
        begins: Callable[[], Wants],
        shown: Callable[[Facts], None],
        ended: Callable[[], None],
    ) -> None:
        self._inquiry = Inquiry(terminal, "looking at the account", ended)
        self._server_time = server_time
        self._utc = utc
        self._begins = begins
        self._shown = shown
        self._next = -inf
        self._wanted: dict[str, float] = {}
        self._days_deals = DaysDeals()
        self.facts: Facts | None = None
        self.hedging: bool | None = None
        self.number = 0

    def want(self, symbol: str, now: float) -> None:
        """Have the next looks look at a symbol."""
        if not symbol:
            return
        self._wanted.pop(symbol, None)  # the latest wish is the last one
        self._wanted[symbol] = now
        if len(self._wanted) > WISHES:
            del self._wanted[next(iter(self._wanted))]

    def forget(self) -> None:
        """Take what was shown for old, and what is being looked at: something else is wanted."""
        self._inquiry.give_up()
        self.facts = None
        self._next = -inf

    def refresh(self, now: float) -> None:
        """Begin a look, unless one is under way or has just shown nothing."""
        if self._inquiry.is_under_way or now < self._next:
            return
        self._next = now + PAUSE
        self.number += 1
        for symbol in [symbol for symbol, at in self._wanted.items() if now - at > WANTED]:
            del self._wanted[symbol]
        self._inquiry.begin(self._look(now), now, limit=LOOK_LIMIT, until=now + LOOK_LIMIT)

    def pass_time(self, now: float) -> float:
        """Go on with a look; return the seconds until that is worth doing again."""
        self._inquiry.pass_time(now)
        return PAUSE if self._inquiry.is_under_way else inf

    @property
    def is_looking(self) -> bool:
        """Whether a look is under way."""
        return self._inquiry.is_under_way

    def _look(self, now: float) -> Flow:
        """Ask in an order in which nothing is lost: what moves meanwhile is seen twice rather than never."""
        wants = self._begins()
        if self.hedging is None:
            account = yield "account_info", ()
            if account.value is None:
                return
            self.hedging = AccountInfo(account.value).margin_mode == ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
        orders = yield "orders_get", (None, None, None)
        positions = yield "positions_get", (None, None, None)
        if orders.value is None or positions.value is None:
            return
        pending = {order.ticket: order for order in map(TradeOrder, orders.value)}
        open_ = {position.ticket: position for position in map(TradePosition, positions.value)}
        held = {each.symbol for each in pending.values()} | {each.symbol for each in open_.values()}
        quotes: dict[str, Quote | None] = {}
        for symbol in sorted({*self._wanted, *wants.symbols, *(held if wants.worth else ())}):
            info = yield "symbol_info", (symbol,)
            quotes[symbol] = None if info.value is None else Quote.of(SymbolInfo(info.value))
            if info.value is None:
                self._wanted.pop(symbol, None)
        deals: list[TradeDeal] | None = None
        day = 0.0
        if wants.deals:
            latest = list(self._wanted)[-TELLERS:]
            for symbol in latest or sorted(held)[:TELLERS]:
                tick = yield "symbol_info_tick", (symbol,)
                if tick.value is not None:
                    self._server_time.see(Tick(tick.value).time_msc / 1000, now, self._utc())
            day = self._server_time.earliest // DAY * DAY
            done = yield "history_deals_get", (self._days_deals.since(day, now), END, None, None, None)
            if done.value is None:
                return
            deals = self._days_deals.take(done.value)
        self.facts = Facts(self.number, now, self.hedging, pending, open_, quotes, deals, day)
        self._next = -inf
        self._shown(self.facts)
