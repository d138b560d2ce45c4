"""The passing of time: ticks that touch something, and what is due at its time, in their exact order.

A stretch of time is gone through event by event, and the account sees the prices of each event's moment.
So it does not matter in how many steps time passes: one long step does what many short ones do.

- Ticks come in the order that `prices/moment.py` states. At one tick all that it touches is carried out
  by ticket, the oldest first, orders before positions of the same ticket.
- What comes to be at a tick (the position of a fill with its stops, the limit order of a stop-limit) was
  not there when the tick came: the next tick is the first that can touch it.
- After each tick that touched something, and each that moves equity far enough, the margin level is looked
  at (`trading/stopout.py`); so it is after the requests of a millisecond, when that has passed.
- What is due at a time (`trading/schedule.py`) comes before the ticks of that millisecond.

A tick that touches nothing costs next to nothing: each symbol's ticks are searched ahead for the first one
outside the nearest levels, all levels as one, and until then there is nothing to do. The levels are
gathered again only when something has changed.
"""

from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.config import SimulatedConfig
from mt5crs.terminal.simulated.prices.buffered import Buffered
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.prices.moment import Moment, Past
from mt5crs.terminal.simulated.prices.zone import NEVER
from mt5crs.terminal.simulated.trading.execution import Execution
from mt5crs.terminal.simulated.trading.matching import Levels
from mt5crs.terminal.simulated.trading.schedule import Schedule
from mt5crs.terminal.simulated.trading.server import TradeServer
from mt5crs.terminal.simulated.trading.stopout import StopOut

FIRST_LOOK, LONGEST_LOOK = 256, 16_384
"""Ticks that are searched at a time: few at first, since the levels may change soon."""


class Watch:
    """How far one symbol's ticks have been searched for one that is outside its levels.

    Args:
        symbol: The symbol.
        source: Its prices.
        levels: Its levels.
        moment: Where to begin.

    Attributes:
        due: The time of the tick that was found, else the earliest at which there may be one.
        found: Whether one was found: the tick at `place`.
    """

    __slots__ = ("_levels", "_look", "_source", "due", "found", "place", "symbol", "window")

    def __init__(self, symbol: str, source: Buffered, levels: Levels, moment: Moment) -> None:
        self.symbol = symbol
        self._source = source
        self._levels = levels
        self._look = FIRST_LOOK
        self.window = source.window(moment.msc)
        self.place = moment.seen(symbol, self.window)
        self.due: float = moment.msc
        self.found = False

    def look(self, until: int) -> None:
        """Search a bit further.

        Args:
            until: The time up to which it will be searched.
        """
        if self.place >= len(self.window.msc):
            self._turn(until)
        else:
            self._search()

    def _turn(self, until: int) -> None:
        """Go on in the next window."""
        start = self.window.stop
        if self._source.is_over(start):
            self.due = NEVER
        elif start > until:
            self.due = start
        else:
            self.window = self._source.window(start, until)
            self.place = 0
            self.due = start

    def _search(self) -> None:
        stop = min(self.place + self._look, len(self.window.msc))
        self._look = min(self._look * 4, LONGEST_LOOK)
        place = self._levels.first_outside(self.window.prices, self.place, stop)
        self.found = place is not None
        self.place = stop if place is None else place
        self.due = int(self.window.msc[self.place]) if self.place < len(self.window.msc) else self.window.stop


class Activation:
    """Carries the account through time.

    Args:
        account: The account.
        market: The prices.
        ledger: What carries fills out.
        execution: What meets orders with the depth of market.
        config: Where stop-out begins.
        now_msc: Server time up to which everything has been seen.

    Attributes:
        seen_msc: The same, at present.
        changes: How often the passing of time has changed the account.
    """

    def __init__(
        self,
        account: Account,
        market: Market,
        ledger: Ledger,
        execution: Execution,
        config: SimulatedConfig,
        now_msc: int,
    ) -> None:
        self._account = account
        self._market = market
        self._past = Past(market.buffered)
        may_hedge = config.hedge_allowed or config.margin_mode != "hedging"
        self._server = TradeServer(account, market, ledger, execution, may_hedge)
        self._schedule = Schedule(account, market, self._server)
        in_money = config.margin_so_mode == "money"
        self._stop_out = StopOut(account, self._server, self._past, config.margin_so_so, in_money)
        self._moment = Moment(now_msc)
        self._levels: dict[str, Levels] | None = None
        self._watches: list[Watch] = []
        self._alarm = NEVER
        self._armed = False
        self.seen_msc = now_msc
        self.changes = 0

    def changed(self) -> None:
        """Be told that a request has changed the account, at the time that was last run to."""
        self._moment = Moment(self.seen_msc)
        self._levels = None
        self._armed = False

    def run(self, now_msc: int) -> float:
        """Let time pass up to `now_msc`, server time.

        Returns:
            The server time in ms up to which nothing can happen, as things are.
        """
        if now_msc <= self.seen_msc:
            return self.seen_msc + 1
        self.seen_msc = now_msc
        self._market.past = self._past
        try:
            while True:
                if not self._armed:
                    self._arm()
                watch = min(self._watches, key=_order, default=None)
                due = NEVER if watch is None else watch.due
                if min(due, self._alarm) > now_msc:
                    return min(due, self._alarm)
                if watch is None or self._alarm <= due:
                    self._time(int(self._alarm))
                elif watch.found:
                    self._tick(watch)
                else:
                    watch.look(now_msc)
        finally:
            self._market.past = None

    def _go_to(self, moment: Moment) -> None:
        self._moment = moment
        self._armed = False
        self._past.go_to(moment)

    def _time(self, msc: int) -> None:
        """Do what is due at a time."""
        before = self._moment
        self._go_to(Moment(msc, "") if msc > before.msc else before)
        self._schedule.run(max(msc, before.msc))
        self.changes += 1
        self._levels = None

    def _tick(self, watch: Watch) -> None:
        """Do what the tick does that was found."""
        symbol, msc = watch.symbol, int(watch.due)
        self._go_to(Moment(msc, symbol, watch.place + 1 - watch.window.ahead(msc)))
        if self._match(symbol, self._market.tick(symbol)):
            self.changes += 1
            self._levels = None

    def _match(self, symbol: str, tick: Tick) -> bool:
        """Carry out all that a tick touches; whether there was anything."""
        account, server = self._account, self._server
        if not server.trades(symbol, tick.time_msc):
            return False
        orders = [o for o in account.orders.values() if o.symbol == symbol and server.is_due(o, tick)]
        stops = [p for p in account.positions.values() if p.symbol == symbol and server.touched(p, tick)]
        touched = sorted([(o.ticket, 0) for o in orders] + [(p.ticket, 1) for p in stops])
        for ticket, is_position in touched:
            # What came before may have taken or changed it.
            if not is_position:
                order = account.orders.get(ticket)
                if order is not None and server.is_due(order, tick):
                    server.activate(order, tick)
                continue
            position = account.positions.get(ticket)
            reason = 0 if position is None else server.touched(position, tick)
            if position is not None and reason:
                server.stop(position, reason, tick)
        return bool(touched)

    def _arm(self) -> None:
        """Look at the margin level, then set a watch on every symbol that matters."""
        self._past.go_to(self._moment)
        acted, parts = self._stop_out.settle(self._moment.msc)
        self.changes += acted
        if acted or self._levels is None:
            self._levels = self._gathered()
        self._watches = []
        for symbol in sorted(self._levels.keys() | parts.keys()):
            levels = self._levels.get(symbol) or Levels(self._account.symbols[symbol].has_last)
            if symbol in parts:
                levels = levels.within(self._past.tick(symbol), parts[symbol])
            self._watches.append(Watch(symbol, self._market.buffered(symbol), levels, self._moment))
        self._alarm = self._schedule.next(self._moment.msc)
        self._armed = True

    def _gathered(self) -> dict[str, Levels]:
        """Return the nearest levels of all orders and stops, by symbol."""
        found: dict[str, Levels] = {}
        symbols = self._account.symbols
        for order in self._account.orders.values():
            levels = found.get(order.symbol)
            if levels is None:
                levels = found[order.symbol] = Levels(symbols[order.symbol].has_last)
            levels.add_order(order.type, order.price_open)
        for position in self._account.positions.values():
            if not (position.sl or position.tp):
                continue
            levels = found.get(position.symbol)
            if levels is None:
                levels = found[position.symbol] = Levels(symbols[position.symbol].has_last)
            levels.add_stops(position.is_buy, position.sl, position.tp)
        return found


def _order(watch: Watch) -> tuple[float, str]:
    return watch.due, watch.symbol
