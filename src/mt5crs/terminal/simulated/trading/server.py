"""What the trade server does to an account by itself: it activates, closes, expires and rejects.

An order of the server's own (a stop, a stop-out) has a ticket of its own, names its reason in the comment,
and is filled in whole at one price. Activated orders meet the depth of market as those that are sent do.
"""

from mt5crs import constants as c
from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import (
    BUYS,
    LIMITS,
    STOP_LIMITS,
    Order,
    Position,
    market_price,
)
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.trading.execution import Execution
from mt5crs.terminal.simulated.trading.matching import (
    TRIGGERS,
    is_triggered,
    limit_price,
    stop_touched,
    trades_at_once,
)
from mt5crs.terminal.simulated.trading.retcodes import COMMENTS, HEDGE_PROHIBITED

STOP_NAMES = {c.ORDER_REASON_SL: "sl", c.ORDER_REASON_TP: "tp"}


class TradeServer:
    """Acts on an account at a moment of the market.

    Args:
        account: The account.
        market: The prices, as of the moment.
        ledger: What carries fills out.
        execution: What meets orders with the depth of market.
        hedge_allowed: Whether positions may be opened against those of the symbol.
    """

    def __init__(
        self,
        account: Account,
        market: Market,
        ledger: Ledger,
        execution: Execution,
        hedge_allowed: bool = True,
    ) -> None:
        self._account = account
        self._market = market
        self._ledger = ledger
        self._execution = execution
        self._hedge_allowed = hedge_allowed

    # ---- at a tick ----

    def trades(self, symbol: str, msc: int) -> bool:
        """Whether a symbol's market is open: outside of trade sessions quotes set nothing off."""
        return self._market.is_open(symbol, msc)

    def is_due(self, order: Order, tick: Tick) -> bool:
        """Whether a tick sets a pending order off."""
        return is_triggered(order.type, order.price_open, tick, self._by_last(order.symbol))

    def activate(self, order: Order, tick: Tick) -> None:
        """Carry out a pending order that was set off: at the market, or as the limit order that it becomes.

        Without the money for it, or against a position where hedging is prohibited, it is rejected. A limit
        order that must not trade at once (book or cancel) is cancelled if it would.
        """
        becomes = TRIGGERS[order.type].becomes
        if order.type in STOP_LIMITS:
            order.type, order.price_open = becomes, order.price_stoplimit
            if order.type_filling == c.ORDER_FILLING_BOC and trades_at_once(becomes, order.price_open, tick):
                self.end(order, c.ORDER_STATE_CANCELED, tick.time_msc)
            return
        is_buy = becomes == c.ORDER_TYPE_BUY
        price = market_price(is_buy, tick.bid, tick.ask)
        limit = limit_price(is_buy, order.price_open, price) if order.type in LIMITS else price
        if not self._hedge_allowed and self._is_against(order.symbol, is_buy):
            self._reject(order, HEDGE_PROHIBITED, tick.time_msc, price)
        elif self._affords(order, is_buy, limit):
            if limit == price:
                self._execution.execute(order, tick, tick.time_msc)
            else:  # of an exchange: a trade at its price or beyond, while the quote has not come there
                self._ledger.fill(order, limit, tick.time_msc)
        else:
            self._reject(order, c.TRADE_RETCODE_NO_MONEY, tick.time_msc, price)

    def _reject(self, order: Order, retcode: int, msc: int, price: float) -> None:
        order.comment = f"[{COMMENTS[retcode]}]"
        self._ledger.finish(order, c.ORDER_STATE_REJECTED, msc, price)

    def _is_against(self, symbol: str, is_buy: bool) -> bool:
        held = self._account.positions.values()
        return any(position.symbol == symbol and position.is_buy is not is_buy for position in held)

    def touched(self, position: Position, tick: Tick) -> int:
        """Return the reason for which a tick closes a position: SL, TP, or 0."""
        by_last = self._by_last(position.symbol)
        return stop_touched(position.is_buy, position.sl, position.tp, tick, by_last)

    def stop(self, position: Position, reason: int, tick: Tick) -> None:
        """Close a position by its SL or TP."""
        level = position.sl if reason == c.ORDER_REASON_SL else position.tp
        digits = self._account.symbols[position.symbol].digits
        price = market_price(not position.is_buy, tick.bid, tick.ask)
        if reason == c.ORDER_REASON_TP:
            price = limit_price(not position.is_buy, level, price)
        self.close(position, price, tick.time_msc, reason, f"[{STOP_NAMES[reason]} {level:.{digits}f}]")

    # ---- at any time ----

    def close(self, position: Position, price: float, msc: int, reason: int, comment: str) -> None:
        """Close a position in whole by an order of the server's own."""
        order = Order(
            ticket=self._account.next_order_ticket(),
            symbol=position.symbol,
            type=c.ORDER_TYPE_SELL if position.is_buy else c.ORDER_TYPE_BUY,
            volume_initial=position.volume,
            volume_current=position.volume,
            price_open=price,
            time_setup_msc=msc,
            magic=position.magic,
            reason=reason,
            comment=comment,
            position_id=position.ticket,
        )
        self._ledger.fill(order, price, msc)

    def end(self, order: Order, state: int, msc: int) -> None:
        """Move a pending order to history: expired or cancelled."""
        tick = self._market.tick(order.symbol)
        self._ledger.finish(order, state, msc, market_price(order.type in BUYS, tick.bid, tick.ask))

    def _affords(self, order: Order, is_buy: bool, price: float) -> bool:
        account = self._account
        side = c.ORDER_TYPE_BUY if is_buy else c.ORDER_TYPE_SELL
        totals = account.totals()
        after = account.margin_with(order.symbol, side, order.volume_current, price, order=order)
        # An order that does not raise the margin (a hedge) needs no free margin.
        return after <= totals.margin or after <= totals.equity

    def _by_last(self, symbol: str) -> bool:
        return self._account.symbols[symbol].has_last
