"""Margin call and stop-out, exact at every tick and calculated at few of them.

While nothing is at or below the stop-out level, the room above it says how far prices may move before it
can be reached: each price that the account depends on may move by the same part of itself, which all
together, by their stakes, costs no more than the room. A tick inside need not be looked at; one that
leaves it has the account calculated at that tick, and the room measured anew.

A margin call closes nothing. At or below the stop-out level pending orders that hold margin are deleted,
the one that holds most first, then positions are closed, the one that loses most first, until the level
is passed. Positions whose market is closed must wait until it opens.
"""

from mt5crs import constants as c
from mt5crs.terminal.simulated.accounting.account import Account, Totals
from mt5crs.terminal.simulated.accounting.entities import MARKET_TYPES, Order
from mt5crs.terminal.simulated.accounting.money import margin_factor
from mt5crs.terminal.simulated.prices.moment import Past
from mt5crs.terminal.simulated.trading.server import TradeServer

FARTHEST = 0.02
"""The part of itself that a price may move at most before the account is calculated again."""
CURVATURE = ((1 + FARTHEST) / (1 - FARTHEST)) ** 3
"""What a stake can grow to within that: profits are products and quotients of up to three prices."""


class StopOut:
    """Watches the margin level of an account.

    Args:
        account: The account.
        server: What acts on it.
        past: The quotes of the moment.
        level: Where positions are closed: a margin level in percent, or equity.
        in_money: Whether that is equity.
    """

    def __init__(
        self, account: Account, server: TradeServer, past: Past, level: float, in_money: bool
    ) -> None:
        self._account = account
        self._server = server
        self._past = past
        self._level = level
        self._in_money = in_money

    def settle(self, msc: int) -> tuple[bool, dict[str, float]]:
        """Close what must be closed at this moment.

        Args:
            msc: Server time.

        Returns:
            Whether anything was closed, and by which part of itself the price of each symbol may now move;
            symbols that are not there do not matter.
        """
        acted = False
        while self._holds():
            self._past.quotes.clear()
            totals = self._account.totals()
            if not self._is_reached(totals):
                return acted, self._parts(totals)
            open_before = self._volume()
            self._reduce(totals, msc)
            acted = True
            if self._volume() == open_before:  # nobody takes it: the next tick is another try
                return acted, dict.fromkeys(self._past.quotes, 0.0)
        return acted, {}

    def _parts(self, totals: Totals) -> dict[str, float]:
        account = self._account
        stakes = account.stakes()
        matters = self._past.quotes.keys() | stakes.keys()
        # Every amount of money is rounded by itself.
        amounts = len(account.positions) + len(account.orders) + len(matters) + 2
        room = self._room(totals) - amounts / account.money.scale
        together = sum(stakes.values()) * CURVATURE * (1.0 if self._in_money else max(1.0, self._level / 100))
        part = FARTHEST if together * FARTHEST <= room else max(room, 0.0) / (together or 1.0)
        # What was asked for and has no stake is looked at tick by tick.
        return {name: part if name in stakes else 0.0 for name in matters}

    def _holds(self) -> bool:
        """Whether there is anything that a stop-out could take."""
        account = self._account
        return bool(account.positions) or any(map(self._rate, account.orders.values()))

    def _volume(self) -> float:
        account = self._account
        held = sum(position.volume for position in account.positions.values())
        return held + sum(order.volume_current for order in account.orders.values())

    def _is_reached(self, totals: Totals) -> bool:
        if self._in_money:
            return totals.equity <= self._level
        return bool(totals.margin) and totals.margin_level <= self._level

    def _room(self, totals: Totals) -> float:
        """Return how far equity is above the stop-out."""
        if self._in_money:
            return totals.equity - self._level
        return totals.equity - totals.margin * self._level / 100.0

    def _reduce(self, totals: Totals, msc: int) -> None:
        account = self._account
        comment = f"so: {totals.margin_level:.2f}%/{totals.equity:.2f}/{totals.margin:.2f}"
        holding = [order for order in account.orders.values() if self._rate(order)]
        if holding:
            order = max(holding, key=lambda order: (self._margin(order), -order.ticket))
            order.comment = comment
            self._server.end(order, c.ORDER_STATE_CANCELED, msc)
            return
        losses = [
            (account.floating_profit(p, account.current_price(p)) + p.swap, p.ticket, p)
            for p in account.positions.values()
            if self._server.trades(p.symbol, msc)
        ]
        if losses:
            position = min(losses, key=lambda entry: entry[:2])[2]
            self._server.close(position, account.current_price(position), msc, c.ORDER_REASON_SO, comment)

    def _rate(self, order: Order) -> float:
        """Return what a pending order's margin is multiplied by; the rest of a market order holds none."""
        symbol = self._account.symbols[order.symbol]
        return 0.0 if order.type in MARKET_TYPES else margin_factor(symbol, order.type)

    def _margin(self, order: Order) -> float:
        money, symbol = self._account.money, self._account.symbols[order.symbol]
        return money.order_margin(symbol, order.type, order.volume_current, order.price_open) or 0.0
