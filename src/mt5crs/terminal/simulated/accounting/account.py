"""The account: its balance, what is open, its history and its totals."""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import NamedTuple

from mt5crs.constants import DEAL_ENTRY_IN, DEAL_REASON_CLIENT, DEAL_TYPE_BALANCE
from mt5crs.model import Tick, TradeDeal
from mt5crs.terminal.simulated.accounting.entities import Order, Position, market_price
from mt5crs.terminal.simulated.accounting.history import History
from mt5crs.terminal.simulated.accounting.money import Money, money
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

FIRST_ORDER = 50_000_001
FIRST_DEAL = 40_000_001


class Totals(NamedTuple):
    """The account in numbers; equity = balance + credit + profit, free margin = equity - margin."""

    balance: float
    credit: float
    profit: float
    equity: float
    margin: float
    margin_free: float
    margin_level: float

    @classmethod
    def of(cls, balance: float, credit: float, profit: float, margin: float) -> "Totals":
        """Return the totals that follow from these four; the level is 0 without margin."""
        equity = money(balance + credit + profit)
        level = 100.0 * equity / margin if margin else 0.0
        return cls(balance, credit, profit, equity, margin, money(equity - margin), level)


class Account:
    """A hedging account: every opening deal is a position of its own.

    Args:
        symbols: All instruments.
        quote: Returns the last tick of a symbol.
        calculator: Calculates in the account currency.
        deposit: The first balance.
        now_msc: Server time at which it opens.

    Attributes:
        positions: Open positions by ticket, oldest first.
        orders: Pending orders by ticket, oldest first.
        history: Orders done and deals made.
    """

    def __init__(
        self,
        symbols: Mapping[str, Instrument],
        quote: Callable[[str], Tick],
        calculator: Money,
        deposit: float,
        now_msc: int,
    ) -> None:
        self.symbols = symbols
        self.quote = quote
        self.money = calculator
        self.balance = 0.0
        self.credit = 0.0
        self.positions: dict[int, Position] = {}
        self.orders: dict[int, Order] = {}
        self.history = History()
        self._order_tickets = count(FIRST_ORDER)
        self._deal_tickets = count(FIRST_DEAL)
        self.deposit(deposit, now_msc)

    def next_order_ticket(self) -> int:
        """Return a ticket that no order had; a position takes that of its opening order."""
        return next(self._order_tickets)

    def next_deal_ticket(self) -> int:
        """Return a ticket that no deal had."""
        return next(self._deal_tickets)

    def deposit(self, amount: float, now_msc: int) -> None:
        """Book a balance operation."""
        self.book(
            TradeDeal((
                self.next_deal_ticket(), 0, now_msc // 1000, now_msc, DEAL_TYPE_BALANCE, DEAL_ENTRY_IN, 0, 0,
                DEAL_REASON_CLIENT, 0.0, 0.0, 0.0, 0.0, money(amount), 0.0, "", "Deposit", "",
            ))
        )  # fmt: skip

    def book(self, deal: TradeDeal) -> None:
        """Add a deal to history and its money to the balance."""
        self.history.add_deal(deal)
        self.balance = money(self.balance + deal.profit + deal.swap + deal.commission + deal.fee)

    def commission(self, symbol: Instrument, entry: int, volume: float, price: float) -> float:
        """Return what a deal is charged, account currency; 0 or below."""
        return 0.0

    def roll_over(self, msc: int) -> None:
        """Charge the open positions the swap of the rollover at a midnight of the server."""

    def current_price(self, position: Position) -> float:
        """Return the price that the position would be closed at."""
        tick = self.quote(position.symbol)
        return market_price(not position.is_buy, tick.bid, tick.ask)

    def floating_profit(self, position: Position, price: float) -> float:
        """Return the profit of a position if it were closed at a price, without swap."""
        symbol = self.symbols[position.symbol]
        profit = self.money.profit(symbol, position.is_buy, position.volume, position.price_open, price)
        return profit or 0.0

    def totals(self) -> Totals:
        """Return the account at present prices."""
        profit = sum(
            self.floating_profit(position, self.current_price(position)) + position.swap
            for position in self.positions.values()
        )
        return Totals.of(self.balance, self.credit, money(profit), self.margin(self.positions.values()))

    def margin(self, positions: Iterable[Position]) -> float:
        """Return the margin that positions hold together."""
        by_symbol: dict[str, list[Position]] = {}
        for position in positions:
            by_symbol.setdefault(position.symbol, []).append(position)
        return money(sum(self._symbol_margin(self.symbols[name], held) for name, held in by_symbol.items()))

    def _symbol_margin(self, symbol: Instrument, positions: list[Position]) -> float:
        """Return the margin of one symbol: the uncovered side in full, matched volume as hedged."""
        sides = [_weighted([p for p in positions if p.is_buy is is_buy]) for is_buy in (True, False)]
        margins = [
            self.money.margin(symbol, is_buy, volume, price) or 0.0 if volume else 0.0
            for is_buy, (volume, price) in zip((True, False), sides, strict=True)
        ]
        (bought, buy_price), (sold, sell_price) = sides
        matched = min(bought, sold)
        if not matched:
            return sum(margins)
        if symbol.margin_hedged_use_leg:
            return max(margins)
        is_buy = bought > sold
        uncovered = round(abs(bought - sold), 8)
        price = buy_price if is_buy else sell_price
        rest = self.money.margin(symbol, is_buy, uncovered, price) or 0.0 if uncovered else 0.0
        middle = (bought * buy_price + sold * sell_price) / (bought + sold)
        return rest + (self.money.margin(symbol, is_buy, matched, middle, symbol.margin_hedged) or 0.0)

    def stakes(self) -> dict[str, float]:
        """Return what is at stake in the price of each symbol that the account depends on.

        Returns:
            For each symbol the money by which equity and the margin together can change, for each unit of
            relative change of its price, at most; symbols whose prices convert are among them.
        """
        stakes: dict[str, float] = {}
        for position in self.positions.values():
            symbol = self.symbols[position.symbol]
            price = self.current_price(position)
            rate = self.money.rate(symbol.currency_profit, dear=True) or 0.0
            worth = symbol.contract_size * position.volume * max(price, position.price_open) * rate
            rest = abs(self.floating_profit(position, price)) + self.margin([position])
            stakes[symbol.name] = stakes.get(symbol.name, 0.0) + worth + rest
            for name in self._converting(symbol):
                stakes[name] = stakes.get(name, 0.0) + rest
        return stakes

    def _converting(self, symbol: Instrument) -> Iterable[str]:
        """Return the pairs that may convert the money of a symbol, directly or through USD."""
        money_of = {symbol.currency_profit, symbol.currency_margin, self.money.currency, "USD"}
        for other in self.symbols.values():
            pair = {other.currency_base, other.currency_profit}
            if len(pair) == 2 and other is not symbol and pair <= money_of:
                yield other.name


def _weighted(positions: list[Position]) -> tuple[float, float]:
    """Return volume and volume-weighted average open price."""
    volume = round(sum(position.volume for position in positions), 8)
    if not volume:
        return 0.0, 0.0
    return volume, sum(position.volume * position.price_open for position in positions) / volume
