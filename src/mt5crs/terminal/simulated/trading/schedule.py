"""What happens at a time whatever the prices: expirations, the end of the day, the end of a contract.

At the same time it happens in this order, each before the ticks of that millisecond:

1. orders expire, the earliest first, then by ticket;
2. at midnight of the server the day ends: where orders are good for the day only (`order_gtc_mode`), those
   good till cancelled expire, and stops are removed where they are too; then swap is charged;
3. a contract (`expiration_time`) ends: its orders expire, and its positions are closed at the last prices.
"""

from mt5crs import constants as c
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import Order, market_price
from mt5crs.terminal.simulated.instruments.calendar import DAY
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.prices.zone import NEVER
from mt5crs.terminal.simulated.trading.server import TradeServer

DAY_MSC = DAY * 1000
GOOD_TILL_CANCELLED, DAILY_WITH_STOPS = c.SYMBOL_ORDERS_GTC, 1
EXPIRED_CONTRACT = "[expiration]"


class Schedule:
    """Does what is due at its time.

    Args:
        account: The account.
        market: The prices, as of the moment.
        server: What acts on the account.
    """

    def __init__(self, account: Account, market: Market, server: TradeServer) -> None:
        self._account = account
        self._market = market
        self._server = server

    def next(self, msc: int) -> float:
        """Return the server time in ms of what is due next after a time; infinity if nothing is."""
        account = self._account
        times = [order.expires_msc() for order in account.orders.values()]
        times += [ends for name in self._held() if (ends := self._ends_msc(name)) > msc]
        if account.positions or any(map(self._is_daily, account.orders.values())):
            times.append((msc // DAY_MSC + 1) * DAY_MSC)
        return min(times, default=NEVER)

    def run(self, msc: int) -> None:
        """Do all that is due at a time."""
        self._expire(msc)
        if msc % DAY_MSC == 0:
            self._end_day(msc)
        for name in sorted(self._held()):
            if 0 < self._ends_msc(name) <= msc:
                self._end_contract(name, msc)

    def _held(self) -> set[str]:
        """Return the symbols of all that is open."""
        names = {order.symbol for order in self._account.orders.values()}
        return names.union([position.symbol for position in self._account.positions.values()])

    def _ends_msc(self, symbol: str) -> int:
        return self._account.symbols[symbol].expiration_time * 1000

    def _expire(self, msc: int) -> None:
        due = [(order.expires_msc(), order.ticket, order) for order in self._account.orders.values()]
        for expires, _ticket, order in sorted(due, key=lambda entry: entry[:2]):
            if expires > msc:
                return
            self._server.end(order, c.ORDER_STATE_EXPIRED, msc)

    def _end_day(self, msc: int) -> None:
        account = self._account
        for order in [*account.orders.values()]:
            if self._is_daily(order):
                self._server.end(order, c.ORDER_STATE_EXPIRED, msc)
        for position in account.positions.values():
            mode = account.symbols[position.symbol].order_gtc_mode
            if mode == DAILY_WITH_STOPS and (position.sl or position.tp):
                position.sl = position.tp = 0.0
                position.time_update_msc = msc
        account.roll_over(msc)

    def _is_daily(self, order: Order) -> bool:
        mode = self._account.symbols[order.symbol].order_gtc_mode
        return mode != GOOD_TILL_CANCELLED and order.type_time == c.ORDER_TIME_GTC

    def _end_contract(self, symbol: str, msc: int) -> None:
        account = self._account
        for order in [*account.orders.values()]:
            if order.symbol == symbol:
                self._server.end(order, c.ORDER_STATE_EXPIRED, msc)
        tick = self._market.tick(symbol)
        for position in [*account.positions.values()]:
            if position.symbol == symbol:
                price = tick.last or market_price(not position.is_buy, tick.bid, tick.ask)
                self._server.close(position, price, msc, c.ORDER_REASON_CLIENT, EXPIRED_CONTRACT)
