"""What a terminal shows, as far as limits need it, and what that uses of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite

from msgspec import Struct

from mt5crs import constants as c
from mt5crs.model import SymbolInfo, TradeDeal, TradeOrder, TradePosition

BALANCE_OPERATIONS = frozenset({
    c.DEAL_TYPE_BALANCE, c.DEAL_TYPE_CREDIT, c.DEAL_TYPE_CHARGE, c.DEAL_TYPE_CORRECTION, c.DEAL_TYPE_BONUS,
})  # fmt: skip
"""Deals that move money in or out of the account: no result of trading."""
DAY = 86_400


class Quote(Struct, frozen=True):
    """A symbol's prices and worth.

    Attributes:
        bid: Its bid.
        ask: Its ask.
        worth: What one lot is worth, in the account currency, for each unit of the price; 0 if not known.
    """

    bid: float
    ask: float
    worth: float

    @classmethod
    def of(cls, info: SymbolInfo) -> "Quote":
        """Return what a symbol's specification says; the tick's value has contract and conversion in it."""
        size, value = info.trade_tick_size, info.trade_tick_value
        worth = value / size if size > 0 and value > 0 and isfinite(value / size) else 0.0
        return cls(info.bid, info.ask, worth)


def pending_price(price: float, stoplimit: float, quote: Quote | None) -> float:
    """Return what a lot of a pending order is counted at: one far below the market can be moved up to it."""
    return max(price, stoplimit, 0.0 if quote is None else quote.ask)


class Usage:
    """What is used of limits.

    Attributes:
        volumes: Lots by symbol, open and pending.
        exposure: In the account currency.
        unknown: A symbol whose worth is not known, which makes the exposure unknown; "" where there is none.
        loss: Lost today, in the account currency, what floats included; negative after a profit.
    """

    __slots__ = ("exposure", "loss", "unknown", "volumes")

    def __init__(self) -> None:
        self.volumes: dict[str, float] = {}
        self.exposure = 0.0
        self.unknown = ""
        self.loss = 0.0

    def add(self, symbol: str, volume: float, price: float, quote: Quote | None, extra: float = 0.0) -> None:
        """Add what is open, or may be.

        Args:
            symbol: Its symbol.
            volume: Lots.
            price: What a lot is counted at.
            quote: The symbol's prices and worth.
            extra: What lots that are counted already cost more than before, as lots times price.
        """
        self.volumes[symbol] = self.volumes.get(symbol, 0.0) + volume
        if quote is None or not quote.worth or not price > 0:
            self.unknown = symbol
        else:
            self.exposure += (volume * price + extra) * quote.worth


class Facts(Struct, frozen=True):
    """What a look at the terminal has shown.

    Attributes:
        number: Which look it was.
        began: When the look began, on the gateway's clock.
        hedging: Whether a symbol can have several positions.
        orders: The pending orders, by ticket.
        positions: The open positions, by ticket.
        quotes: The symbols that were looked at; None for what is no symbol.
        deals: Today's deals, and perhaps earlier ones; None where they were not asked for.
        day: When the server's day began.
    """

    number: int
    began: float
    hedging: bool
    orders: Mapping[int, TradeOrder]
    positions: Mapping[int, TradePosition]
    quotes: Mapping[str, Quote | None]
    deals: Sequence[TradeDeal] | None = None
    day: float = 0.0

    def position_of(self, symbol: str) -> TradePosition | None:
        """Return the position of a symbol on an account where it has one at most."""
        return next((each for each in self.positions.values() if each.symbol == symbol), None)

    def shown(self) -> set[int]:
        """Return the tickets of the orders that are in it themselves, by their position, or by their deal."""
        shown = {*self.orders, *self.positions, *(each.identifier for each in self.positions.values())}
        return shown.union(deal.order for deal in self.deals or ())

    def usage(self, counts: Callable[[int], bool] = lambda _ticket: True) -> Usage:
        """Return what all of it uses of limits.

        Args:
            counts: Whether what an order (by its ticket) has made counts.
        """
        used, quotes = Usage(), self.quotes
        for order in self.orders.values():
            if counts(order.ticket):
                quote = quotes.get(order.symbol)
                price = pending_price(order.price_open, order.price_stoplimit, quote)
                used.add(order.symbol, order.volume_current, price, quote)
        floating = 0.0
        for position in self.positions.values():
            if counts(position.identifier):
                price = position.price_current or position.price_open
                used.add(position.symbol, position.volume, price, quotes.get(position.symbol))
                floating += position.profit + position.swap
        used.loss = -(floating + sum(self._results(counts)))
        return used

    def _results(self, counts: Callable[[int], bool]) -> Iterable[float]:
        for deal in self.deals or ():
            if deal.type in BALANCE_OPERATIONS or deal.time < self.day:
                continue
            if counts(deal.position_id or deal.order):
                yield deal.profit + deal.commission + deal.swap + deal.fee
