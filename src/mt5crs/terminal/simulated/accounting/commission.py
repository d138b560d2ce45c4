"""What a broker charges for a deal."""

from mt5crs.constants import DEAL_ENTRY_IN, DEAL_ENTRY_INOUT, DEAL_ENTRY_OUT, DEAL_ENTRY_OUT_BY
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.catalogue import FOREX_MODES, Commission, Instrument

CHARGED = {
    "in": frozenset({DEAL_ENTRY_IN, DEAL_ENTRY_INOUT}),
    "out": frozenset({DEAL_ENTRY_OUT, DEAL_ENTRY_OUT_BY, DEAL_ENTRY_INOUT}),
    "both": frozenset({DEAL_ENTRY_IN, DEAL_ENTRY_OUT, DEAL_ENTRY_OUT_BY, DEAL_ENTRY_INOUT}),
}
"""The entries of the deals that a schedule charges; a reversal closes and opens."""


def commission(calculator: Money, symbol: Instrument, entry: int, volume: float, price: float) -> float:
    """Return what a deal is charged, account currency, rounded; 0 or below.

    Args:
        calculator: Calculates in the account currency.
        symbol: The instrument; its `commission` is the schedule.
        entry: A `DEAL_ENTRY_*` value.
        volume: Lots.
        price: The deal's price.
    """
    schedule = symbol.commission
    if schedule is None or entry not in CHARGED[schedule.on]:
        return 0.0
    charge = _charge(calculator, symbol, schedule, volume, price)
    return calculator.round(-max(charge, schedule.minimum))


def _charge(
    calculator: Money, symbol: Instrument, schedule: Commission, volume: float, price: float
) -> float:
    if schedule.per == "deal":
        return schedule.value
    if schedule.per == "lot":
        return schedule.value * volume
    return schedule.value / 100.0 * turnover(calculator, symbol, volume, price)


def turnover(calculator: Money, symbol: Instrument, volume: float, price: float) -> float:
    """Return what a deal moves, account currency: a currency pair's contract, or what the lots are worth."""
    if symbol.calc_mode in FOREX_MODES:
        own = symbol.currency_profit == calculator.currency
        rate = price if own else calculator.rate(symbol.currency_base, dear=True)
        return volume * symbol.contract_size * (rate or 0.0)
    rate = calculator.rate(symbol.currency_profit, dear=True)
    return volume * price_worth(symbol) * price * (rate or 0.0)
