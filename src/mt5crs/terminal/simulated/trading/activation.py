"""What the passing of time does to an account: activations, stops, expirations, stop-out."""

from heapq import merge
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mt5crs import constants as c
from mt5crs.model import TicksArray
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import BUYS, Order, Position, market_price
from mt5crs.terminal.simulated.accounting.ledger import Ledger
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.trading.matching import (
    NO_LEVELS,
    STOP_LIMITS,
    TRIGGERS,
    Levels,
    is_triggered,
    order_levels,
    stop_levels,
    stop_touched,
)

STOP_NAMES = {c.ORDER_REASON_SL: "sl", c.ORDER_REASON_TP: "tp"}


class Quote(NamedTuple):
    """A tick, as far as matching needs it; sorts by time."""

    msc: int
    symbol: str
    bid: float
    ask: float


class Activation:
    """Carries the account through the ticks of its symbols.

    Args:
        account: The account.
        market: Where the ticks come from.
        ledger: What carries fills out.
        stop_out: Margin level in percent at which positions are closed.
        now_msc: Server time up to which everything has been seen.
    """

    def __init__(
        self, account: Account, market: Market, ledger: Ledger, stop_out: float, now_msc: int
    ) -> None:
        self._account = account
        self._market = market
        self._ledger = ledger
        self._stop_out = stop_out
        self._seen = now_msc

    def run(self, now_msc: int) -> None:
        """Match the ticks after those already seen up to `now_msc`, in the order of their time."""
        account = self._account
        if now_msc <= self._seen:
            return
        start, self._seen = self._seen + 1, now_msc
        if not account.orders and not account.positions:
            return
        while start <= now_msc:
            start = self._first_touch(start, now_msc)
        self._expire(now_msc)
        self._close_by_margin(now_msc)

    def _first_touch(self, start_msc: int, stop_msc: int) -> int:
        """Match the first tick that touches anything; return the time to go on from."""
        touching = [self._touching(symbol, start_msc, stop_msc) for symbol in self._symbols()]
        for quote in merge(*touching):
            self._expire(quote.msc)
            if self._match(quote):
                return quote.msc
        return stop_msc + 1

    def _symbols(self) -> set[str]:
        symbols = {order.symbol for order in self._account.orders.values()}
        return symbols.union(position.symbol for position in self._account.positions.values())

    def _touching(self, symbol: str, start_msc: int, stop_msc: int) -> list[Quote]:
        """Return the ticks that may set something off: those outside the nearest levels."""
        levels = self._levels(symbol)
        if levels == NO_LEVELS:
            return []
        ticks = self._market.source(symbol).ticks(start_msc, stop_msc + 1)
        found = ticks[_outside(ticks, levels)]
        columns = (found[name].tolist() for name in ("time_msc", "bid", "ask"))
        return [Quote(msc, symbol, bid, ask) for msc, bid, ask in zip(*columns, strict=True)]

    def _levels(self, symbol: str) -> Levels:
        levels = NO_LEVELS
        for order in self._account.orders.values():
            if order.symbol == symbol:
                levels = order_levels(levels, order.type, order.price_open)
        for position in self._account.positions.values():
            if position.symbol == symbol:
                levels = stop_levels(levels, position.is_buy, position.sl, position.tp)
        return levels

    def _match(self, quote: Quote) -> bool:
        """Match one tick with everything of its symbol; whether anything happened."""
        orders = [o for o in self._account.orders.values() if o.symbol == quote.symbol]
        hit = [o for o in orders if is_triggered(o.type, o.price_open, quote.bid, quote.ask)]
        for order in hit:
            self._activate(order, quote)
        positions = [p for p in self._account.positions.values() if p.symbol == quote.symbol]
        closed = [self._stop(position, quote) for position in positions]
        return bool(hit) or any(closed)

    def _activate(self, order: Order, quote: Quote) -> None:
        becomes = TRIGGERS[order.type].becomes
        if order.type in STOP_LIMITS:
            order.type, order.price_open = becomes, order.price_stoplimit
            return
        is_buy = becomes == c.ORDER_TYPE_BUY
        price = market_price(is_buy, quote.bid, quote.ask)
        if self._affords(order, is_buy, price):
            self._ledger.fill(order, price, quote.msc)
        else:
            self._ledger.finish(order, c.ORDER_STATE_REJECTED, quote.msc, price)

    def _affords(self, order: Order, is_buy: bool, price: float) -> bool:
        account = self._account
        held = account.positions.values()
        side = c.POSITION_TYPE_BUY if is_buy else c.POSITION_TYPE_SELL
        new = Position.proposed(order.symbol, side, order.volume_initial, price)
        totals = account.totals()
        after = account.margin([*held, new])
        return after <= totals.margin or after <= totals.equity

    def _stop(self, position: Position, quote: Quote) -> bool:
        reason = stop_touched(position.is_buy, position.sl, position.tp, quote.bid, quote.ask)
        if not reason:
            return False
        level = position.sl if reason == c.ORDER_REASON_SL else position.tp
        digits = self._account.symbols[position.symbol].digits
        comment = f"[{STOP_NAMES[reason]} {level:.{digits}f}]"
        price = market_price(not position.is_buy, quote.bid, quote.ask)
        self._close(position, price, quote.msc, reason, comment)
        return True

    def _close(self, position: Position, price: float, msc: int, reason: int, comment: str) -> None:
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

    def _expire(self, msc: int) -> None:
        """Move the orders that are past their time to history, each at its own moment."""
        due = [(order.expires_msc(), order) for order in self._account.orders.values()]
        for moment, order in sorted(((m, o) for m, o in due if m <= msc), key=lambda pair: pair[0]):
            price = self._present(order)
            self._ledger.finish(order, c.ORDER_STATE_EXPIRED, int(moment), price)

    def _present(self, order: Order) -> float:
        tick = self._market.tick(order.symbol)
        return market_price(order.type in BUYS, tick.bid, tick.ask)

    def _close_by_margin(self, now_msc: int) -> None:
        """Stop-out: close the position that loses most until the margin level is above the limit."""
        account = self._account
        while account.positions:
            totals = account.totals()
            if not totals.margin or totals.margin_level > self._stop_out:
                return
            losses = [
                (account.floating_profit(p, account.current_price(p)) + p.swap, p)
                for p in account.positions.values()
            ]
            position = min(losses, key=lambda pair: pair[0])[1]
            comment = f"so: {totals.margin_level:.2f}%/{totals.equity:.2f}/{totals.margin:.2f}"
            self._close(position, account.current_price(position), now_msc, c.ORDER_REASON_SO, comment)


def _outside(ticks: TicksArray, levels: Levels) -> NDArray[np.bool_]:
    bid, ask = ticks["bid"], ticks["ask"]
    by_bid = (bid <= levels.bid_low) | (bid >= levels.bid_high)
    by_ask = (ask <= levels.ask_low) | (ask >= levels.ask_high)
    outside: NDArray[np.bool_] = by_bid | by_ask
    return outside
