"""Margin, profit and currency conversion.

Formulas by `SYMBOL_TRADE_CALC_MODE` as in MetaTrader's documentation; results are rounded to the digits of
the account currency.
"""

from collections.abc import Callable, Mapping

from mt5crs.constants import (
    SYMBOL_CALC_MODE_CFD,
    SYMBOL_CALC_MODE_CFDLEVERAGE,
    SYMBOL_CALC_MODE_FOREX,
    SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE,
)
from mt5crs.model import Tick
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

CURRENCY_DIGITS = 2
BRIDGE = "USD"

# Each: amount of the contract (lots x contract size), price, leverage -> margin in the margin currency.
MarginFormula = Callable[[float, float, int], float]
MARGIN: dict[int, MarginFormula] = {
    SYMBOL_CALC_MODE_FOREX: lambda contract, _price, leverage: contract / leverage,
    SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE: lambda contract, _price, _leverage: contract,
    SYMBOL_CALC_MODE_CFD: lambda contract, price, _leverage: contract * price,
    SYMBOL_CALC_MODE_CFDLEVERAGE: lambda contract, price, leverage: contract * price / leverage,
}
FOREX_MODES = (SYMBOL_CALC_MODE_FOREX, SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE)


def money(amount: float) -> float:
    """Return an amount rounded to the account currency's digits."""
    return round(float(amount), CURRENCY_DIGITS) + 0.0  # never -0.0


class Money:
    """Calculates in one account currency.

    Args:
        symbols: All instruments; currency pairs among them convert.
        quote: Returns the last tick of a symbol.
        currency: The account currency.
        leverage: 100 means 1:100.
    """

    def __init__(
        self, symbols: Mapping[str, Instrument], quote: Callable[[str], Tick], currency: str, leverage: int
    ) -> None:
        self.currency = currency
        self._quote = quote
        self._leverage = leverage
        self._pairs = {
            (symbol.currency_base, symbol.currency_profit): symbol.name
            for symbol in symbols.values()
            if symbol.calc_mode in FOREX_MODES
        }

    def rate(self, currency: str, *, dear: bool) -> float | None:
        """Return what one unit of a currency is worth in the account currency.

        Args:
            currency: Its code.
            dear: At the trader's buying price of that currency, not its selling price.

        Returns:
            The rate; None if no pair has both currencies, directly or through USD, and a quote.
        """
        direct = self._pair_rate(currency, self.currency, dear)
        if direct is not None:
            return direct
        first = self._pair_rate(currency, BRIDGE, dear)
        second = self._pair_rate(BRIDGE, self.currency, dear)
        return None if first is None or second is None else first * second

    def _pair_rate(self, source: str, target: str, dear: bool) -> float | None:
        if source == target:
            return 1.0
        name = self._pairs.get((source, target))
        if name is not None:
            tick = self._quote(name)
            return (tick.ask if dear else tick.bid) or None
        name = self._pairs.get((target, source))
        if name is None:
            return None
        tick = self._quote(name)
        price = tick.bid if dear else tick.ask
        return 1.0 / price if price else None

    def profit(
        self, symbol: Instrument, is_buy: bool, volume: float, opened: float, closed: float
    ) -> float | None:
        """Return the profit of a position in the account currency, rounded.

        A profit is converted at the rate at which its currency is sold, a loss at the rate at which it
        must be bought. Where the account currency is the pair's own base, the close price converts.

        Returns:
            None if the profit currency cannot be converted.
        """
        move = closed - opened if is_buy else opened - closed
        amount = move * symbol.contract_size * volume
        own_base = symbol.calc_mode in FOREX_MODES and symbol.currency_base == self.currency
        if own_base and symbol.currency_profit != self.currency:
            return money(amount / closed) if closed else None
        rate = self.rate(symbol.currency_profit, dear=amount < 0)
        return None if rate is None else money(amount * rate)

    def margin(
        self, symbol: Instrument, is_buy: bool, volume: float, price: float, contract: float | None = None
    ) -> float | None:
        """Return the margin in the account currency, rounded.

        Args:
            symbol: The instrument.
            is_buy: Buys are converted at the ask, sells at the bid.
            volume: Lots.
            price: The order's price; 0 for the present one.
            contract: What stands for the contract size, as `margin_hedged` does for matched volume.

        Returns:
            None if there is no quote to calculate with.
        """
        if not price:
            tick = self._quote(symbol.name)
            price = tick.ask if is_buy else tick.bid
        size = contract if contract is not None else symbol.margin_initial or symbol.contract_size
        amount = MARGIN[symbol.calc_mode](volume * size, price, self._leverage)
        rate: float | None
        own = symbol.calc_mode in FOREX_MODES and symbol.currency_margin == symbol.currency_base
        if own and symbol.currency_profit == self.currency != symbol.currency_base:
            rate = price  # the pair itself converts
        else:
            rate = self.rate(symbol.currency_margin, dear=is_buy)
        return None if not price or rate is None else money(amount * rate)
