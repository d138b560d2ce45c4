"""An account without a terminal: instruments and prices that a test writes down, deals that it makes."""

from dataclasses import replace
from typing import Any

from mt5crs import constants as c
from mt5crs.model import Tick, TradeDeal
from mt5crs.terminal.simulated.accounting.account import Account
from mt5crs.terminal.simulated.accounting.entities import Order, Position
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from mt5crs.terminal.simulated.instruments.loading import load_catalogue

BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL
MIDNIGHT = 1_700_006_400_000  # 2023-11-15 00:00 of a Wednesday: the day that ends is a Tuesday
DAY = 86_400_000
DEFAULTS = load_catalogue().symbols["EURUSD"]
FIELDS = {name: getattr(DEFAULTS, name) for name in DEFAULTS.__struct_fields__}


def instrument(name: str, **fields: Any) -> Instrument:
    """Return an instrument: a currency pair by its name, with the catalogue's defaults and without swap."""
    own = {"name": name, "currency_base": name[:3], "currency_profit": name[3:6], "swap_mode": 0}
    derived = {"currency_margin": "", "price_leg": "", "tick_size": 0.0}
    return Instrument(**FIELDS | derived | own | fields)


def good(name: str, calc_mode: int, **fields: Any) -> Instrument:
    """Return an instrument that is no currency pair, in USD, of one unit a lot."""
    own = {"currency_base": "USD", "currency_profit": "USD", "digits": 2, "contract_size": 1.0}
    return instrument(name, calc_mode=calc_mode, **own | fields)


class Prices(dict[str, tuple[float, float]]):
    """Bid and ask by symbol, and the last price of those that have one."""

    def __init__(self, **quotes: tuple[float, float]) -> None:
        super().__init__(quotes)
        self.last: dict[str, float] = {}

    def quote(self, symbol: str) -> Tick:
        bid, ask = self.get(symbol, (0.0, 0.0))
        return Tick((1 if bid else 0, bid, ask, self.last.get(symbol, 0.0), 0, 0, 0, 0.0))


def calculator(*symbols: Instrument, currency: str = "USD", leverage: int = 100, **quotes: Any) -> Money:
    """Return a calculator for some instruments; quotes are `SYMBOL=(bid, ask)`."""
    return Money({symbol.name: symbol for symbol in symbols}, Prices(**quotes).quote, currency, leverage)


class Books:
    """An account, its prices, and deals made by hand."""

    def __init__(
        self,
        *symbols: Instrument,
        currency: str = "USD",
        leverage: int = 100,
        mode: str = "hedging",
        deposit: float = 10_000.0,
        **quotes: Any,
    ) -> None:
        self.prices = Prices(**quotes)
        known = {symbol.name: symbol for symbol in symbols}
        money = Money(known, self.prices.quote, currency, leverage)
        self.account = Account(known, self.prices.quote, money, mode)
        self.account.deposit(deposit, 0)

    def open(self, symbol: str, side: int, volume: float, price: float, msc: int = 1) -> Position:
        """Open a position."""
        ticket = self.account.next_order_ticket()
        position = Position(ticket, ticket, symbol, side, volume, price, msc, msc, 0, 3, 0.0, 0.0, "")
        self.account.positions[ticket] = position
        self.deal(position, side, c.DEAL_ENTRY_IN, volume, price)
        return position

    def close(self, position: Position, volume: float, price: float) -> None:
        """Close a position, wholly or in part."""
        self.deal(position, 1 - position.type, c.DEAL_ENTRY_OUT, volume, price)
        position.volume = round(position.volume - volume, 8)
        if not position.volume:
            del self.account.positions[position.ticket]

    def deal(self, position: Position, side: int, entry: int, volume: float, price: float) -> None:
        """Book a deal of a position, without any money."""
        self.account.book(
            TradeDeal((
                self.account.next_deal_ticket(), position.ticket, 0, 0, side, entry, 0, position.identifier,
                3, volume, price, 0.0, 0.0, 0.0, 0.0, position.symbol, "", "",
            ))
        )  # fmt: skip

    def pend(self, symbol: str, order_type: int, volume: float, price: float) -> Order:
        """Place a pending order."""
        ticket = self.account.next_order_ticket()
        order = Order(ticket, symbol, order_type, volume, volume, price, 1, 0, 3, "")
        self.account.orders[ticket] = order
        return order

    def fresh(self) -> tuple[list[Position], list[Order]]:
        """Return copies of what is open, to be valued one by one."""
        account = self.account
        return [replace(p) for p in account.positions.values()], list(account.orders.values())
