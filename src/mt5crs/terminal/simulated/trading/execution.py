"""How an order meets the depth of market: its deals, and what becomes of a rest."""

from mt5crs import constants as c
from mt5crs.model import Tick, TradeDeal
from mt5crs.terminal.simulated.accounting.entities import BUYS, LIMITS, Order, market_price
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.prices.depth import Level
from mt5crs.terminal.simulated.prices.market import Market

# How an order ends whose filling does not let it wait for more volume; those of other fillings wait.
ENDS = {
    c.ORDER_FILLING_FOK: c.ORDER_STATE_REJECTED,
    c.ORDER_FILLING_IOC: c.ORDER_STATE_CANCELED,
}


class Execution:
    """Trades orders against the volume that is there.

    Args:
        ledger: What carries deals out.
        market: Prices and depth.
    """

    def __init__(self, ledger: Ledger, market: Market) -> None:
        self._ledger = ledger
        self._market = market

    def execute(self, order: Order, tick: Tick, msc: int) -> list[TradeDeal]:
        """Trade as much of an order as the depth holds, one deal for each price, and settle the rest.

        Fill-or-kill trades all or nothing. Afterwards the order is in history (FILLED, or with a rest as
        `ENDS` says), or its rest waits among the account's orders: PARTIAL, or PLACED if nothing traded.

        Args:
            order: A market order, or a pending one that was set off; a limit order keeps to its price.
            tick: The quote.
            msc: Server time.

        Returns:
            The deals in the order in which they were made.
        """
        levels = self._levels(order, tick)
        deals = [self._ledger.deal(order, level.volume, level.price, msc) for level in levels]
        price = deals[-1].price if deals else market_price(order.type in BUYS, tick.bid, tick.ask)
        if not order.volume_current:
            self._ledger.finish(order, c.ORDER_STATE_FILLED, msc, price)
        elif order.type_filling in ENDS:
            self._ledger.finish(order, ENDS[order.type_filling], msc, price)
        else:
            self._ledger.rest(order)
        return deals

    def _levels(self, order: Order, tick: Tick) -> list[Level]:
        depth, symbol = self._market.depth, self._market.symbols[order.symbol]
        limit = order.price_open if order.type in LIMITS else None
        wanted = order.volume_current
        least = wanted if order.type_filling == c.ORDER_FILLING_FOK else 0.0
        return depth.take(symbol, tick, order.type in BUYS, wanted, limit, least)
