"""How much money moves with a price: bounds on what a change of prices can do to an account.

A stake is account money for each unit of relative change: a stake of 5,000 loses 50 at most when its
price moves by one percent. The bounds hold as long as no price has moved by more than `REACH`.
"""

from mt5crs.model import Tick
from mt5crs.terminal.simulated.accounting.formulas import price_worth
from mt5crs.terminal.simulated.accounting.holdings import Leg
from mt5crs.terminal.simulated.accounting.money import Money
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

REACH = 0.1
QUOTIENT = 1.2  # dividing by a price that falls by a tenth makes more than a tenth: 1 / 0.9


def add_stakes(
    stakes: dict[str, float],
    calculator: Money,
    symbol: Instrument,
    tick: Tick,
    legs: tuple[Leg, Leg],
    margin: float,
) -> None:
    """Add the stakes of what is held in a symbol: in its own price, and in the pairs that convert it.

    Args:
        stakes: By symbol, added to.
        calculator: Calculates in the account currency.
        symbol: The instrument.
        tick: Its prices.
        legs: What is held of it.
        margin: The part of its margin that follows the price.
    """
    rates = calculator.profit_rates(symbol, tick.bid)
    if rates is None:
        return
    rate, price, worth = max(rates), max(tick.bid, tick.ask), price_worth(symbol)
    buys, sells = legs[0].side(), legs[1].side()
    volume = buys.volume + sells.volume
    if calculator.closes_itself(symbol):
        opened = buys.volume * buys.price + sells.volume * sells.price
        add(stakes, symbol.name, QUOTIENT * opened * worth * rate)
        return
    pledged = volume * symbol.contract_size * symbol.liquidity_rate * price * rate if not worth else 0.0
    exposed = volume * worth * price * rate + pledged
    gross = (legs[0].gross(tick.bid) + legs[1].gross(tick.ask)) * rate + pledged
    add(stakes, symbol.name, exposed + margin)
    for pair, _forward in calculator.conversion.route(symbol.currency_profit) or ():
        add(stakes, pair, QUOTIENT * (gross + REACH * exposed))


def add(stakes: dict[str, float], symbol: str, stake: float) -> None:
    """Add one stake."""
    stakes[symbol] = stakes.get(symbol, 0.0) + stake
