"""The account: its balance, what is open, its history and its totals."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.model import Tick, TradeDeal
from mt5crs.terminal.simulated.accounting.commission import commission
from mt5crs.terminal.simulated.accounting.entities import Order, Position, market_price
from mt5crs.terminal.simulated.accounting.history import History
from mt5crs.terminal.simulated.accounting.money import CURRENCY_DIGITS, Money, money
from mt5crs.terminal.simulated.accounting.swap import (
    REOPENING,
    nights,
    reopening_price,
    swap_amount,
    weekday_before,
)
from mt5crs.terminal.simulated.accounting.valuation import EXCHANGE, HEDGING, Valuation
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

FIRST_ORDER = 50_000_001
FIRST_DEAL = 40_000_001


class Totals(NamedTuple):
    """The account in numbers; equity = balance + credit + profit + assets, free margin = equity - margin.

    Attributes:
        balance: What deals and balance operations have left.
        credit: What the broker has lent.
        profit: Floating, with swap.
        equity: What the account is worth.
        margin: What positions and pending orders hold of it.
        margin_free: What they leave.
        margin_level: Equity as percent of margin, not rounded; 0 without margin.
        margin_initial: Of the margin, what pending orders hold; told on exchange accounts alone.
        margin_maintenance: Of the margin, what positions hold; told on exchange accounts alone.
        assets: What collateral counts for.
    """

    balance: float
    credit: float
    profit: float
    equity: float
    margin: float
    margin_free: float
    margin_level: float
    margin_initial: float = 0.0
    margin_maintenance: float = 0.0
    assets: float = 0.0

    @classmethod
    def of(
        cls,
        balance: float,
        credit: float,
        profit: float,
        margin: float,
        assets: float = 0.0,
        digits: int = CURRENCY_DIGITS,
    ) -> "Totals":
        """Return the totals that follow from these, amounts rounded to `digits`."""
        equity = money(balance + credit + profit + assets, digits)
        level = 100.0 * equity / margin if margin else 0.0
        free = money(equity - margin, digits)
        return cls(balance, credit, profit, equity, margin, free, level, assets=assets)


class Account:
    """The account of record.

    Args:
        symbols: All instruments.
        quote: Returns the last tick of a symbol.
        calculator: Calculates in the account currency.
        margin_mode: How positions are kept: `hedging`, `netting` or `exchange`.

    What changes a position's volume, open price or side is a deal (`book`); who changes its swap or its open
    price without one says so with `refresh`.

    Attributes:
        margin_mode: As given.
        positions: Open positions by ticket, oldest first.
        orders: Pending orders by ticket, oldest first.
        history: Orders done and deals made.
        next_tickets: The next order's ticket and the next deal's.
    """

    def __init__(
        self,
        symbols: Mapping[str, Instrument],
        quote: Callable[[str], Tick],
        calculator: Money,
        margin_mode: str = HEDGING,
    ) -> None:
        self.symbols = symbols
        self.quote = quote
        self.money = calculator
        self.balance = 0.0
        self.credit = 0.0
        self.positions: dict[int, Position] = {}
        self.orders: dict[int, Order] = {}
        self.history = History()
        self.margin_mode = margin_mode
        self._valuation = Valuation(self.positions, self.orders, symbols, quote, calculator, margin_mode)
        self.next_tickets = FIRST_ORDER, FIRST_DEAL

    def restore(
        self,
        balance: float,
        credit: float,
        positions: Mapping[int, Position],
        orders: Mapping[int, Order],
        next_tickets: tuple[int, int],
    ) -> None:
        """Go on where another account stopped; its history is added by who calls.

        Raises:
            SettingError: One of the symbols is not known.
        """
        held = {position.symbol for position in positions.values()}
        unknown = held.union(order.symbol for order in orders.values()) - self.symbols.keys()
        if unknown:
            raise SettingError(
                f"state: there are positions or orders of {', '.join(sorted(unknown))}, which is not known",
                hint="give the instruments or the replay that it was used with",
            )
        self.balance, self.credit, self.next_tickets = balance, credit, next_tickets
        self.positions.update(positions)
        self.orders.update(orders)
        self.refresh(self.positions.values())

    def next_order_ticket(self) -> int:
        """Return a ticket that no order had; a position takes that of its opening order."""
        order, deal = self.next_tickets
        self.next_tickets = order + 1, deal
        return order

    def next_deal_ticket(self) -> int:
        """Return a ticket that no deal had."""
        order, deal = self.next_tickets
        self.next_tickets = order, deal + 1
        return deal

    def round(self, amount: float) -> float:
        """Return an amount rounded to the account currency's digits."""
        return money(amount, self.money.digits)

    # ---- money that comes and goes ----

    def deposit(self, amount: float, now_msc: int) -> None:
        """Book a balance operation; a negative amount is a withdrawal."""
        comment = "Deposit" if amount >= 0 else "Withdrawal"
        self.book(self._operation(c.DEAL_TYPE_BALANCE, amount, comment, now_msc))

    def lend(self, amount: float, now_msc: int) -> None:
        """Book a credit operation: it counts as equity, not as balance; a negative amount takes it back."""
        self.book(self._operation(c.DEAL_TYPE_CREDIT, amount, "Credit", now_msc))

    def _operation(self, deal_type: int, amount: float, comment: str, now_msc: int) -> TradeDeal:
        return TradeDeal((
            self.next_deal_ticket(), 0, now_msc // 1000, now_msc, deal_type, c.DEAL_ENTRY_IN, 0, 0,
            c.DEAL_REASON_CLIENT, 0.0, 0.0, 0.0, 0.0, self.round(amount), 0.0, "", comment, "",
        ))  # fmt: skip

    def book(self, deal: TradeDeal) -> None:
        """Add a deal to history and its money to the balance, or to the credit.

        The position of a deal with a symbol may change before this or right after it, but the totals must
        not be asked for in between.
        """
        self.history.add_deal(deal)
        amount = deal.profit + deal.swap + deal.commission + deal.fee
        if deal.type == c.DEAL_TYPE_CREDIT:
            self.credit = self.round(self.credit + amount)
            return
        self.balance = self.round(self.balance + amount)
        if deal.symbol:
            self._valuation.note(deal)

    def refresh(self, positions: Iterable[Position]) -> None:
        """Take note that positions have changed without a deal."""
        self._valuation.refresh(positions)

    def commission(self, symbol: Instrument, entry: int, volume: float, price: float) -> float:
        """Return what a deal is charged, account currency; 0 or below.

        Args:
            symbol: The instrument; its `commission` is the schedule.
            entry: A `DEAL_ENTRY_*` value; a reversal is charged as opening and as closing deals are.
            volume: Lots.
            price: The deal's price.
        """
        return commission(self.money, symbol, entry, volume, price)

    def roll_over(self, msc: int) -> None:
        """Charge the open positions the swap of the rollover at a midnight of the server.

        It is the day that ends that decides how many nights are charged; positions opened at this midnight
        or later are left alone. Prices are those that `quote` gives.

        Args:
            msc: The midnight that begins the new day, server time.
        """
        weekday = weekday_before(msc)
        rolled = [
            (position, count)
            for position in self.positions.values()
            if position.time_msc < msc and (count := nights(self.symbols[position.symbol], weekday))
        ]
        for position, count in rolled:
            symbol, tick = self.symbols[position.symbol], self.quote(position.symbol)
            if symbol.swap_mode in REOPENING:
                self._reopen(position, reopening_price(symbol, position, count, tick), msc)
            else:
                amount = swap_amount(self.money, symbol, position, count, tick)
                position.swap = self.round(position.swap + amount)
        self.refresh(position for position, _count in rolled)

    def _reopen(self, position: Position, price: float, msc: int) -> None:
        """Close a position at its present price and open it again under its ticket, in two deals."""
        closed = self.current_price(position)
        profit = self.floating_profit(position, closed)
        for entry, at, gained, gathered in (
            (c.DEAL_ENTRY_OUT, closed, profit, position.swap),
            (c.DEAL_ENTRY_IN, price, 0.0, 0.0),
        ):
            buys = position.is_buy is (entry == c.DEAL_ENTRY_IN)
            self.book(
                TradeDeal((
                    self.next_deal_ticket(), 0, msc // 1000, msc,
                    c.DEAL_TYPE_BUY if buys else c.DEAL_TYPE_SELL, entry, position.magic,
                    position.identifier, c.DEAL_REASON_ROLLOVER, position.volume, at, 0.0, gathered,
                    gained, 0.0, position.symbol, "", "",
                ))
            )  # fmt: skip
        position.swap = 0.0
        position.price_open = price
        position.time_msc = position.time_update_msc = msc

    # ---- values at present prices ----

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
        valuation, digits = self._valuation, self.money.digits
        held, resting, profit, assets = valuation.sums()
        margin = self.round(held + resting) if resting else held
        totals = Totals.of(self.balance, self.credit, profit, margin, assets, digits)
        if self.margin_mode != EXCHANGE:
            return totals
        return totals._replace(margin_initial=resting, margin_maintenance=held)

    def totals_with(self, margin: float, booked: float = 0.0) -> Totals:
        """Return the account at present prices as it would be after a deal.

        Args:
            margin: What it would hold.
            booked: The part of the floating profit that would have become balance.
        """
        now, digits = self.totals(), self.money.digits
        balance, profit = self.round(now.balance + booked), self.round(now.profit - booked)
        return Totals.of(balance, now.credit, profit, margin, now.assets, digits)

    def margin(self, positions: Iterable[Position], orders: Iterable[Order] = ()) -> float:
        """Return the margin that any positions and pending orders would hold together.

        It reads them one by one: for what the account itself holds `totals` is quick, and for what it
        would hold after a request `margin_with`.
        """
        return self._valuation.margin_of(positions, orders)

    def margin_with(
        self,
        symbol: str,
        order_type: int,
        volume: float,
        price: float,
        *,
        position: Position | None = None,
        order: Order | None = None,
    ) -> float:
        """Return the account's margin if an order were filled, or placed if it is a pending one.

        On a netting account a deal adds to the symbol's position, reduces or reverses it. Opening needs the
        initial margin, also where holding needs less.

        Args:
            symbol: A known symbol.
            order_type: `ORDER_TYPE_BUY` or `ORDER_TYPE_SELL` for a deal, or a pending type.
            volume: Lots.
            price: Of the deal or the pending order.
            position: The position that the deal closes, wholly or in part (hedging).
            order: The pending order that is filled: what it holds is set free.

        Returns:
            Infinity if the symbol's money cannot be converted to the account currency: no account has that.
        """
        return self._valuation.margin_with(symbol, order_type, volume, price, position, order)

    def stakes(self) -> dict[str, float]:
        """Return how much money moves with the prices of each symbol that moves equity or margin.

        Account currency for each unit of relative price change; the pairs that convert are symbols too. The
        sum of stake times change is never less than what a move of prices can take from equity and add
        to margin together, as long as no price has moved by more than a tenth.
        """
        return self._valuation.stakes()
