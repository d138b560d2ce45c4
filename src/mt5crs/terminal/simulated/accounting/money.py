"""Amounts of money: their digits, and what orders cost and bring in the account currency."""

from collections.abc import Callable, Iterable, Mapping
from math import floor

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.conversion import Conversion
from mt5crs.terminal.simulated.accounting.entities import MARKET_TYPES
from mt5crs.terminal.simulated.accounting.formulas import EXCHANGE_PRICED, lot_margin, price_worth
from mt5crs.terminal.simulated.instruments.catalogue import FOREX_MODES, Instrument

CURRENCY_DIGITS = 2
OTHER_DIGITS = {
    "CLP": 0, "ISK": 0, "JPY": 0, "KRW": 0, "VND": 0,
    "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3,
    "BTC": 8, "ETH": 8, "LTC": 8,
}  # fmt: skip
MOST_DIGITS = 8
HALF = 0.5 + 1e-9  # what a float makes of half a cent is still half a cent
SCALES = tuple(10.0**digits for digits in range(MOST_DIGITS + 1))

ORDER_NAMES = {
    c.ORDER_TYPE_BUY: "buy",
    c.ORDER_TYPE_SELL: "sell",
    c.ORDER_TYPE_BUY_LIMIT: "buy_limit",
    c.ORDER_TYPE_SELL_LIMIT: "sell_limit",
    c.ORDER_TYPE_BUY_STOP: "buy_stop",
    c.ORDER_TYPE_SELL_STOP: "sell_stop",
    c.ORDER_TYPE_BUY_STOP_LIMIT: "buy_stop_limit",
    c.ORDER_TYPE_SELL_STOP_LIMIT: "sell_stop_limit",
}
"""What the order types are called in `Instrument.margin_rates`."""


def money(amount: float, digits: int = CURRENCY_DIGITS) -> float:
    """Return an amount rounded to a currency's digits, half a cent away from zero."""
    if not amount:
        return 0.0
    scale = SCALES[digits]
    try:
        units = floor(abs(amount) * scale + HALF)  # a whole number: never -0.0
    except (OverflowError, ValueError):
        return amount  # beyond numbers
    return (units if amount > 0 else -units) / scale


def currency_digits(currency: str, chosen: int | None = None) -> int:
    """Return the digits of amounts in a currency.

    Args:
        currency: Its code.
        chosen: What the settings ask for instead of the currency's own.

    Raises:
        SettingError: The settings ask for more than an amount can have.
    """
    if chosen is None:
        return OTHER_DIGITS.get(currency, CURRENCY_DIGITS)
    if not 0 <= chosen <= MOST_DIGITS:
        raise SettingError(f"currency_digits is {chosen}: must be from 0 to {MOST_DIGITS}")
    return chosen


def margin_factor(symbol: Instrument, order_type: int) -> float:
    """Return what the margin of an order type is multiplied by: 1 for market orders, 0 for pending ones."""
    return symbol.margin_rates.get(ORDER_NAMES[order_type], 1.0 if order_type in MARKET_TYPES else 0.0)


def exchange_price(symbol: Instrument, tick: Tick, quoted: float) -> float:
    """Return the last price where an exchange publishes one for shares and bonds, else what is quoted."""
    return tick.last if symbol.calc_mode in EXCHANGE_PRICED and tick.last else quoted


class Money:
    """Calculates in one account currency.

    Args:
        symbols: All instruments; currency pairs among them convert.
        quote: Returns the last tick of a symbol.
        currency: The account currency.
        leverage: 100 means 1:100.
        digits: Digits of an amount; those that the currency has if not given.

    Attributes:
        conversion: Converts to the account currency.

    Raises:
        SettingError: Nothing that the terminal trades can be converted to the account currency.
    """

    def __init__(
        self,
        symbols: Mapping[str, Instrument],
        quote: Callable[[str], Tick],
        currency: str,
        leverage: int,
        digits: int | None = None,
    ) -> None:
        self.currency = currency
        self.leverage = leverage
        self.digits = currency_digits(currency, digits)
        self.scale = SCALES[self.digits]
        self.conversion = Conversion(symbols, quote, currency)
        self._quote = quote
        self._require(symbols.values())

    def _require(self, symbols: Iterable[Instrument]) -> None:
        if not any(self.converts(symbol) for symbol in symbols):
            known = ", ".join(self.conversion.known()) or "that of its symbols"
            raise SettingError(
                f"the account currency is {self.currency!r}: no pair converts to it what the symbols cost",
                hint=f"choose one of these: {known}",
            )

    def round(self, amount: float) -> float:
        """Return an amount rounded to the account currency's digits."""
        return money(amount, self.digits)

    def converts(self, symbol: Instrument) -> bool:
        """Whether what a symbol costs and brings can be told in the account currency."""
        route = self.conversion.route
        return route(symbol.currency_profit) is not None and route(symbol.currency_margin) is not None

    def rate(self, currency: str, *, dear: bool) -> float | None:
        """Return what one unit of a currency is worth in the account currency; see `Conversion.rate`."""
        return self.conversion.rate(currency, dear=dear)

    def closes_itself(self, symbol: Instrument) -> bool:
        """Whether a symbol's own close price converts its profit: the account currency is its base."""
        own = symbol.currency_base == self.currency != symbol.currency_profit
        return own and symbol.calc_mode in FOREX_MODES

    def profit_rates(self, symbol: Instrument, closed: float) -> tuple[float, float] | None:
        """Return what one unit of the profit currency is worth as a gain, and as a loss.

        A gain is converted at the rate at which its currency is sold, a loss at the rate at which it must
        be bought. Where the account currency is the pair's own base, the close price converts.

        Returns:
            None if the profit currency cannot be converted.
        """
        if self.closes_itself(symbol):
            return (1.0 / closed, 1.0 / closed) if closed else None
        return self.conversion.rates(symbol.currency_profit)

    def profit(
        self, symbol: Instrument, is_buy: bool, volume: float, opened: float, closed: float
    ) -> float | None:
        """Return the profit of a position in the account currency, rounded.

        Returns:
            None if the profit currency cannot be converted.
        """
        rates = self.profit_rates(symbol, closed)
        if rates is None:
            return None
        move = closed - opened if is_buy else opened - closed
        amount = move * price_worth(symbol) * volume
        return self.round(amount * rates[amount < 0])

    def margin_rate(self, symbol: Instrument, is_buy: bool, price: float) -> float | None:
        """Return what one unit of the margin currency is worth when a symbol is traded.

        A pair that itself converts does so at the price of the deal; else buys are converted at the ask,
        sells at the bid.
        """
        own = symbol.currency_margin == symbol.currency_base != self.currency == symbol.currency_profit
        if own and symbol.calc_mode in FOREX_MODES:
            return price
        return self.conversion.rate(symbol.currency_margin, dear=is_buy)

    def order_margin(self, symbol: Instrument, order_type: int, volume: float, price: float) -> float | None:
        """Return the margin of an order by itself in the account currency, rounded.

        A pending order that holds no margin needs that of its deal when it is filled.

        Args:
            symbol: The instrument.
            order_type: Market or pending.
            volume: Lots.
            price: The order's price; 0 for the present one.

        Returns:
            None if there is no quote to calculate with.
        """
        side = order_type % 2  # buys are even
        is_buy = side == c.ORDER_TYPE_BUY
        if not price:
            tick = self._quote(symbol.name)
            price = exchange_price(symbol, tick, tick.ask if is_buy else tick.bid)
        rate = self.margin_rate(symbol, is_buy, price)
        if not price or rate is None:
            return None
        factor = margin_factor(symbol, order_type) or margin_factor(symbol, side)
        return self.round(lot_margin(symbol, price, self.leverage) * volume * rate * factor)
