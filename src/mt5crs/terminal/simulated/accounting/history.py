"""Orders done and deals made, as the history functions select them."""

from bisect import bisect_left, bisect_right

from mt5crs.model import TradeDeal, TradeOrder


class History:
    """What happened, in the order in which it happened.

    Attributes:
        orders: The orders that are done.
        deals: The deals.
    """

    def __init__(self) -> None:
        self.orders: list[TradeOrder] = []
        self.deals: list[TradeDeal] = []
        self._order_times: list[int] = []
        self._deal_times: list[int] = []

    def add_order(self, order: TradeOrder) -> None:
        """Add an order that is done; not earlier than the one before."""
        self.orders.append(order)
        self._order_times.append(order.time_done)

    def add_deal(self, deal: TradeDeal) -> None:
        """Add a deal; not earlier than the one before."""
        self.deals.append(deal)
        self._deal_times.append(deal.time)

    def orders_between(self, start: int, stop: int) -> list[TradeOrder]:
        """Return the orders done from `start` to `stop`, epoch seconds, both included."""
        return self.orders[bisect_left(self._order_times, start) : bisect_right(self._order_times, stop)]

    def deals_between(self, start: int, stop: int) -> list[TradeDeal]:
        """Return the deals made from `start` to `stop`, epoch seconds, both included."""
        return self.deals[bisect_left(self._deal_times, start) : bisect_right(self._deal_times, stop)]

    def orders_of(self, *, ticket: int = 0, position: int = 0) -> list[TradeOrder]:
        """Return the order of a ticket, or the orders of a position's whole life."""
        if ticket:
            return [order for order in self.orders if order.ticket == ticket]
        return [order for order in self.orders if position in (order.position_id, order.position_by_id)]

    def deals_of(self, *, ticket: int = 0, position: int = 0) -> list[TradeDeal]:
        """Return the deals of an order's ticket, or those of a position's whole life."""
        if ticket:
            return [deal for deal in self.deals if deal.order == ticket]
        return [deal for deal in self.deals if deal.position_id == position]
