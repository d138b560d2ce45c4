"""What keeping a position over midnight costs or brings, by `SYMBOL_SWAP_MODE`."""

from collections.abc import Callable
from typing import NamedTuple

from mt5crs import constants as c
from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.entities import Position, market_price
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.calendar import DAY
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

REOPENING = (c.SYMBOL_SWAP_MODE_REOPEN_CURRENT, c.SYMBOL_SWAP_MODE_REOPEN_BID)
"""The modes that close a position at the end of the day and open it again at another price."""
THURSDAY = 4  # the day of the week of 1970-01-01; Sunday is 0
WORKING_DAYS = range(1, 6)
TRIPLE = 3
BANK_YEAR = 360


class Charge(NamedTuple):
    """The swap of one night: an amount, and the currency that it is in; the account's where that is empty."""

    amount: float
    currency: str


def weekday_before(msc: int) -> int:
    """Return the day of the week that ends at a midnight of the server, 0 for Sunday."""
    return (msc // 1000 // DAY - 1 + THURSDAY) % 7


def nights(symbol: Instrument, weekday: int) -> int:
    """Return how many nights the rollover after a day of the week counts for.

    Args:
        symbol: The instrument.
        weekday: The day that ends, 0 for Sunday.
    """
    if symbol.swap_days:
        return symbol.swap_days[weekday]
    if weekday not in WORKING_DAYS:
        return 0
    return TRIPLE if weekday == symbol.swap_rollover3days else 1


def swap_rate(symbol: Instrument, position: Position) -> float:
    """Return the symbol's swap for the position's side, in the units of its swap mode."""
    return symbol.swap_long if position.is_buy else symbol.swap_short


# Each: instrument, swap rate, position, the price that it would be closed at -> charge of one night.
ChargeFormula = Callable[[Instrument, float, Position, float], Charge]


def _points(symbol: Instrument, rate: float, position: Position, _price: float) -> Charge:
    worth = position.volume * price_worth(symbol) * symbol.point
    return Charge(worth * rate, symbol.currency_profit)


def _base_currency(symbol: Instrument, rate: float, position: Position, _price: float) -> Charge:
    return Charge(position.volume * rate, symbol.currency_base)


def _margin_currency(symbol: Instrument, rate: float, position: Position, _price: float) -> Charge:
    return Charge(position.volume * rate, symbol.currency_margin)


def _deposit_currency(_symbol: Instrument, rate: float, position: Position, _price: float) -> Charge:
    return Charge(position.volume * rate, "")


def _interest(symbol: Instrument, rate: float, position: Position, price: float) -> Charge:
    worth = position.volume * price_worth(symbol) * price
    return Charge(worth * rate / 100.0 / BANK_YEAR, symbol.currency_profit)


def _interest_open(symbol: Instrument, rate: float, position: Position, _price: float) -> Charge:
    return _interest(symbol, rate, position, position.price_open)


CHARGES: dict[int, ChargeFormula] = {
    c.SYMBOL_SWAP_MODE_POINTS: _points,
    c.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL: _base_currency,
    c.SYMBOL_SWAP_MODE_CURRENCY_MARGIN: _margin_currency,
    c.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT: _deposit_currency,
    c.SYMBOL_SWAP_MODE_INTEREST_CURRENT: _interest,
    c.SYMBOL_SWAP_MODE_INTEREST_OPEN: _interest_open,
}


def swap_amount(calculator: Money, symbol: Instrument, position: Position, count: int, tick: Tick) -> float:
    """Return the swap of a rollover in the account currency, rounded.

    What is paid is converted at the rate at which its currency is bought, what is received at the one at
    which it is sold.

    Args:
        calculator: Calculates in the account currency.
        symbol: The position's instrument.
        position: The position.
        count: Nights that are charged.
        tick: The symbol's prices at the rollover.
    """
    formula = CHARGES.get(symbol.swap_mode)
    if formula is None:
        return 0.0
    closed = market_price(not position.is_buy, tick.bid, tick.ask)
    amount, currency = formula(symbol, swap_rate(symbol, position), position, closed)
    rate = calculator.rate(currency or calculator.currency, dear=amount < 0)
    return calculator.round(amount * count * (rate or 0.0))


def reopening_price(symbol: Instrument, position: Position, count: int, tick: Tick) -> float:
    """Return the price at which a position is opened again after a rollover.

    From the price that it was closed at, or from the bid, away by the swap's points: what is paid makes
    the new price worse for the trader.

    Args:
        symbol: The position's instrument, of a mode in `REOPENING`.
        position: The position.
        count: Nights that are charged.
        tick: The symbol's prices at the rollover.
    """
    at_bid = position.is_buy or symbol.swap_mode == c.SYMBOL_SWAP_MODE_REOPEN_BID
    points = swap_rate(symbol, position) * count * symbol.point
    return symbol.normalize((tick.bid if at_bid else tick.ask) + (-points if position.is_buy else points))
