"""Orders, positions and their history: the calls that concern the account."""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Any, TypeVar

from mt5crs.constants import ORDER_TYPE_BUY, ORDER_TYPE_CLOSE_BY, ORDER_TYPE_SELL
from mt5crs.groups import group_filter
from mt5crs.last_error import AUTO_TRADING_DISABLED, CALL_FAILED, INVALID_PARAMS, NOT_FOUND
from mt5crs.model import TradeOrder, TradePosition
from mt5crs.operation import Result, done
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import BUYS, Order, Position, market_price
from mt5crs.terminal.simulated.prices.market import Market
from mt5crs.terminal.simulated.switches import Switches
from mt5crs.terminal.simulated.trading.requests import Trading

Held = TypeVar("Held", Order, Position)


class Dealing:
    """Answers what concerns the account; each method is the operation of its name.

    Who calls lets time pass before.

    Args:
        account: The account.
        market: The prices.
        trading: What judges requests and carries them out.
        switches: What is allowed at present.
    """

    def __init__(self, account: Account, market: Market, trading: Trading, switches: Switches) -> None:
        self._account = account
        self._market = market
        self._trading = trading
        self._switches = switches

    # ---- orders and positions ----

    def orders_total(self) -> Result:
        """See `Terminal.orders_total` in the API table."""
        return done(len(self._account.orders))

    def orders_get(self, ticket: int | None, symbol: str | None, group: str | None) -> Result:
        """See `Terminal.orders_get` in the API table."""
        orders = self._account.orders
        return done(tuple(self._order_record(order) for order in _select(orders, ticket, symbol, group)))

    def positions_total(self) -> Result:
        """See `Terminal.positions_total` in the API table."""
        return done(len(self._account.positions))

    def positions_get(self, ticket: int | None, symbol: str | None, group: str | None) -> Result:
        """See `Terminal.positions_get` in the API table."""
        positions = self._account.positions
        return done(tuple(self._position_record(held) for held in _select(positions, ticket, symbol, group)))

    def _order_record(self, order: Order) -> TradeOrder:
        tick = self._market.tick(order.symbol)
        return order.record(market_price(order.type in BUYS, tick.bid, tick.ask))

    def _position_record(self, position: Position) -> TradePosition:
        price = self._account.current_price(position)
        return position.record(price, self._account.floating_profit(position, price))

    def order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> Result:
        """See `Terminal.order_calc_margin` in the API table."""
        possible = 0 < volume < inf and 0 <= price < inf
        if not (ORDER_TYPE_BUY <= action < ORDER_TYPE_CLOSE_BY and possible):
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        margin = self._account.money.order_margin(self._market.symbols[symbol], action, volume, price)
        return Result(None, CALL_FAILED) if margin is None else done(margin)

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float
    ) -> Result:
        """See `Terminal.order_calc_profit` in the API table."""
        possible = all(0 < number < inf for number in (volume, price_open, price_close))
        if action not in (ORDER_TYPE_BUY, ORDER_TYPE_SELL) or not possible:
            return Result(None, INVALID_PARAMS)
        if symbol not in self._market.symbols:
            return Result(None, NOT_FOUND)
        instrument = self._market.symbols[symbol]
        profit = self._account.money.profit(
            instrument, action == ORDER_TYPE_BUY, volume, price_open, price_close
        )
        return Result(None, CALL_FAILED) if profit is None else done(profit)

    def order_check(self, request: Mapping[str, object]) -> Result:
        """See `Terminal.order_check` in the API table."""
        if self._switches.tradeapi_disabled:
            return Result(None, CALL_FAILED)  # the official package has the text of the reason in order_send
        return done(self._trading.check(request))

    def order_send(self, request: Mapping[str, object]) -> Result:
        """See `Terminal.order_send` in the API table."""
        if self._switches.tradeapi_disabled:
            return Result(None, AUTO_TRADING_DISABLED)
        return done(self._trading.send(request))

    # ---- history of trades ----

    def history_orders_total(self, date_from: int, date_to: int) -> Result:
        """See `Terminal.history_orders_total` in the API table."""
        return done(len(self._account.history.orders_between(date_from, date_to)))

    def history_orders_get(self, *wire: Any) -> Result:
        """See `Terminal.history_orders_get` in the API table."""
        history = self._account.history
        return self._recorded(history.orders_between, history.orders_of, *wire)

    def history_deals_total(self, date_from: int, date_to: int) -> Result:
        """See `Terminal.history_deals_total` in the API table."""
        return done(len(self._account.history.deals_between(date_from, date_to)))

    def history_deals_get(self, *wire: Any) -> Result:
        """See `Terminal.history_deals_get` in the API table."""
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
        if date_from is None or date_to is None:
            return done(tuple(of(ticket=ticket or 0, position=position or 0)))
        selects = group_filter(group or "")
        return done(tuple(row for row in between(date_from, date_to) if selects(row.symbol)))


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
