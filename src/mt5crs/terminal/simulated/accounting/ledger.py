"""What changes the account: fills, closes, cancellations. Every change of a position is a deal here."""

from mt5crs import constants as c
from mt5crs.model import TradeDeal
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import (
    BUYS,
    MARKET_TYPES,
    Order,
    Position,
    less,
    position_of,
)
from mt5crs.terminal.simulated.config import MarginMode


class Ledger:
    """Carries accepted orders out.

    The accounting models differ in one thing: which position an order meets. On a hedging account it is
    the one that the order names, or has opened already; on a netting or exchange account the one of its
    symbol. What happens then is the same for all: nothing met is opened, the same direction adds, the
    opposite one reduces, closes or (never on a hedging account, where the checks forbid it) reverses.

    Args:
        account: The account.
        margin_mode: The accounting model.
    """

    def __init__(self, account: Account, margin_mode: MarginMode = "hedging") -> None:
        self._account = account
        self._hedging = margin_mode == "hedging"

    def fill(self, order: Order, price: float, msc: int) -> TradeDeal:
        """Fill what is left of an order at one price, which ends it.

        Args:
            order: A market order, or a pending one that was set off.
            price: The fill price.
            msc: Server time.
        """
        deal = self.deal(order, order.volume_current, price, msc)
        self.finish(order, c.ORDER_STATE_FILLED, msc, price)
        return deal

    def deal(self, order: Order, volume: float, price: float, msc: int) -> TradeDeal:
        """Make one deal of an order, for all or part of what is left of it; the order lives on.

        Args:
            order: A market order, or a pending one that was set off.
            volume: Lots, not more than the order's `volume_current`.
            price: The deal's price.
            msc: Server time.
        """
        position = self._met(order)
        if position is None:
            deal = self._open(order, volume, price, msc)
        elif position.is_buy is (order.type in BUYS):
            deal = self._add(order, position, volume, price, msc)
        else:
            deal = self._oppose(order, position, volume, price, msc)
        order.volume_current = less(order.volume_current, volume)
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
        opened, closed = one.price_open, other.price_open
        profit = self._profit(one, volume, closed)
        entry = c.DEAL_ENTRY_OUT_BY
        first = self._book(order, one, not one.is_buy, volume, closed, entry, msc, volume, profit)
        self._book(order, other, not other.is_buy, volume, opened, entry, msc, volume)
        self._reduce(order, one, volume, closed, msc)
        self._reduce(order, other, volume, opened, msc)
        order.volume_current = 0.0
        self.finish(order, c.ORDER_STATE_FILLED, msc, closed)
        return first

    def rest(self, order: Order) -> None:
        """Keep what is left of an order waiting; a market order waits for any price."""
        if order.volume_current < order.volume_initial:
            order.state = c.ORDER_STATE_PARTIAL
        if order.type in MARKET_TYPES:
            order.price_open = 0.0
        self._account.orders[order.ticket] = order

    def finish(self, order: Order, state: int, msc: int, price: float) -> None:
        """Move an order to history.

        Args:
            order: The order; what it still has as `volume_current` was not filled.
            state: An `ORDER_STATE_*` value.
            msc: Server time.
            price: The price at that moment.
        """
        self._account.orders.pop(order.ticket, None)
        order.state = state
        order.time_done_msc = msc
        self._account.history.add_order(order.record(price))

    # ---- the position that an order meets, and what becomes of it ----

    def _met(self, order: Order) -> Position | None:
        positions = self._account.positions
        if self._hedging:
            return positions.get(order.position_id)
        return position_of(positions.values(), order.symbol)

    def _open(self, order: Order, volume: float, price: float, msc: int) -> TradeDeal:
        order.position_id = order.ticket
        is_buy = order.type in BUYS
        position = Position(
            ticket=order.ticket,
            identifier=order.ticket,
            symbol=order.symbol,
            type=c.POSITION_TYPE_BUY if is_buy else c.POSITION_TYPE_SELL,
            volume=volume,
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
        return self._book(order, position, is_buy, volume, price, c.DEAL_ENTRY_IN, msc)

    def _add(self, order: Order, position: Position, volume: float, price: float, msc: int) -> TradeDeal:
        """Add to a position; a later order's stops replace those that it has, also by none."""
        order.position_id = position.identifier
        deal = self._book(order, position, position.is_buy, volume, price, c.DEAL_ENTRY_IN, msc)
        position.meet(position.is_buy, volume, price)
        position.time_update_msc = msc
        if order.ticket != position.ticket:  # the order that opened it has set them already
            position.sl, position.tp = order.sl, order.tp
        return deal

    def _oppose(self, order: Order, position: Position, volume: float, price: float, msc: int) -> TradeDeal:
        """Reduce, close or reverse a position, by one deal with the result of the part that it closes."""
        order.position_id = position.identifier
        reverses = less(volume, position.volume) > 0
        closed = position.volume if reverses else volume
        entry = c.DEAL_ENTRY_INOUT if reverses else c.DEAL_ENTRY_OUT
        profit = self._profit(position, closed, price)
        deal = self._book(order, position, not position.is_buy, volume, price, entry, msc, closed, profit)
        self._reduce(order, position, volume, price, msc)
        if reverses:
            self._renew(position, order, msc)
        return deal

    def _renew(self, position: Position, order: Order, msc: int) -> None:
        """Make a reversed position that of the order: all but its identifier."""
        del self._account.positions[position.ticket]
        position.ticket = order.ticket
        position.time_msc = msc
        position.magic, position.reason, position.comment = order.magic, order.reason, order.comment
        position.sl, position.tp = order.sl, order.tp
        self._account.positions[position.ticket] = position

    def _reduce(self, order: Order, position: Position, volume: float, price: float, msc: int) -> None:
        position.meet(not position.is_buy, volume, price)
        position.time_update_msc = msc
        if position.volume:
            return
        del self._account.positions[position.ticket]
        if self._hedging:  # what was closing it has nothing to close; on a netting account it trades on
            resting = self._account.orders.values()
            for other in [o for o in resting if o is not order and is_closing(o, position)]:
                self.finish(other, c.ORDER_STATE_CANCELED, msc, price)

    # ---- deals ----

    def _profit(self, position: Position, volume: float, price: float) -> float:
        symbol = self._account.symbols[position.symbol]
        opened = position.price_open
        return self._account.money.profit(symbol, position.is_buy, volume, opened, price) or 0.0

    def _book(
        self,
        order: Order,
        position: Position,
        is_buy: bool,
        volume: float,
        price: float,
        entry: int,
        msc: int,
        closed: float = 0.0,
        profit: float = 0.0,
    ) -> TradeDeal:
        """Add a deal; it takes the closed volume's share of the position's swap along."""
        account = self._account
        swap = account.round(position.swap * closed / position.volume) if closed and position.swap else 0.0
        symbol = account.symbols[position.symbol]
        commission = account.commission(symbol, entry, volume, price)
        deal: TradeDeal = TradeDeal.of((
            account.next_deal_ticket(), order.ticket, msc // 1000, msc,
            c.DEAL_TYPE_BUY if is_buy else c.DEAL_TYPE_SELL, entry, order.magic, position.identifier,
            order.reason, volume, price, commission, swap, profit, 0.0, order.symbol, order.comment, "",
        ))  # fmt: skip
        if swap:
            position.swap = account.round(position.swap - swap)
        account.book(deal)
        return deal


def is_closing(order: Order, position: Position) -> bool:
    """Whether a resting order is the rest of a market order that closes a position."""
    names = order.position_id == position.identifier and order.type in MARKET_TYPES
    return names and (order.type in BUYS) is not position.is_buy
