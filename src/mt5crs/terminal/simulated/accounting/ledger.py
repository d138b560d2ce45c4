"""What changes the account: fills, closes, cancellations. Every change of a position is a deal here."""

from mt5crs import constants as c
from mt5crs.model import TradeDeal
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import BUYS, Order, Position
from mt5crs.terminal.simulated.accounting.money import money

VOLUME_DIGITS = 8


class Ledger:
    """Carries accepted orders out on a hedging account.

    Another accounting model (netting, exchange) is another `fill`.

    Args:
        account: The account.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def fill(self, order: Order, price: float, msc: int) -> TradeDeal:
        """Fill an order in whole: close what its `position_id` names, or open a position.

        Args:
            order: A market order, or a pending one that was set off.
            price: The fill price.
            msc: Server time.
        """
        position = self._account.positions.get(order.position_id)
        deal = self._open(order, price, msc) if position is None else self._close(order, position, price, msc)
        self.finish(order, c.ORDER_STATE_FILLED, msc, price)
        return deal

    def close_by(self, order: Order, one: Position, other: Position, msc: int) -> TradeDeal:
        """Close two opposite positions against each other, the smaller one in whole.

        Two deals, the result in the first: what `one` gains by being closed at the other's open price.

        Args:
            order: Of type CLOSE_BY.
            one: The position of the request's `position`.
            other: The position of its `position_by`.
            msc: Server time.
        """
        volume = min(one.volume, other.volume)
        symbol = self._account.symbols[one.symbol]
        opened, closed = one.price_open, other.price_open
        profit = self._account.money.profit(symbol, one.is_buy, volume, opened, closed) or 0.0
        first = self._book(order, one, volume, closed, profit, c.DEAL_ENTRY_OUT_BY, msc)
        self._book(order, other, volume, opened, 0.0, c.DEAL_ENTRY_OUT_BY, msc)
        self._reduce(one, volume, msc)
        self._reduce(other, volume, msc)
        self.finish(order, c.ORDER_STATE_FILLED, msc, closed)
        return first

    def finish(self, order: Order, state: int, msc: int, price: float) -> None:
        """Move an order to history.

        Args:
            order: The order.
            state: An `ORDER_STATE_*` value.
            msc: Server time.
            price: The price at that moment.
        """
        self._account.orders.pop(order.ticket, None)
        order.state = state
        order.time_done_msc = msc
        if state == c.ORDER_STATE_FILLED:
            order.volume_current = 0.0
        self._account.history.add_order(order.record(price))

    def _open(self, order: Order, price: float, msc: int) -> TradeDeal:
        order.position_id = order.ticket
        is_buy = order.type in BUYS
        position = Position(
            ticket=order.ticket,
            identifier=order.ticket,
            symbol=order.symbol,
            type=c.POSITION_TYPE_BUY if is_buy else c.POSITION_TYPE_SELL,
            volume=order.volume_initial,
            price_open=price,
            time_msc=msc,
            time_update_msc=msc,
            magic=order.magic,
            reason=order.reason,
            sl=order.sl,
            tp=order.tp,
            comment=order.comment,
        )
        self._account.positions[position.ticket] = position
        return self._book(order, position, position.volume, price, 0.0, c.DEAL_ENTRY_IN, msc)

    def _close(self, order: Order, position: Position, price: float, msc: int) -> TradeDeal:
        volume = order.volume_initial
        symbol = self._account.symbols[position.symbol]
        opened = position.price_open
        profit = self._account.money.profit(symbol, position.is_buy, volume, opened, price) or 0.0
        deal = self._book(order, position, volume, price, profit, c.DEAL_ENTRY_OUT, msc)
        self._reduce(position, volume, msc)
        return deal

    def _book(
        self,
        order: Order,
        position: Position,
        volume: float,
        price: float,
        profit: float,
        entry: int,
        msc: int,
    ) -> TradeDeal:
        """Add a deal; a closing one takes its share of the position's swap along."""
        opens = entry == c.DEAL_ENTRY_IN
        swap = 0.0 if opens else money(position.swap * volume / position.volume)
        buys = position.is_buy is opens
        deal = TradeDeal((
            self._account.next_deal_ticket(), order.ticket, msc // 1000, msc,
            c.DEAL_TYPE_BUY if buys else c.DEAL_TYPE_SELL, entry, order.magic, position.identifier,
            order.reason, volume, price, 0.0, swap, profit, 0.0, order.symbol, order.comment, "",
        ))  # fmt: skip
        position.swap = money(position.swap - swap)
        self._account.book(deal)
        return deal

    def _reduce(self, position: Position, volume: float, msc: int) -> None:
        position.volume = round(position.volume - volume, VOLUME_DIGITS)
        position.time_update_msc = msc
        if position.volume <= 0:
            del self._account.positions[position.ticket]
