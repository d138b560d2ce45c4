"""What a lot needs as margin and what a move of its price is worth, by `SYMBOL_TRADE_CALC_MODE`.

The formulas are those of MetaTrader's documentation of that property. They know nothing of currencies:
margin is in the margin currency, the worth of a move in the profit currency.
"""

from collections.abc import Callable

from mt5crs import constants as c
from mt5crs.terminal.simulated.instruments.catalogue import Instrument

LEVERAGED = (c.SYMBOL_CALC_MODE_FOREX, c.SYMBOL_CALC_MODE_CFDLEVERAGE)
"""The modes whose margin is divided by the account's leverage, a fixed one too."""
EXCHANGE_PRICED = (
    c.SYMBOL_CALC_MODE_EXCH_STOCKS,
    c.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX,
    c.SYMBOL_CALC_MODE_EXCH_BONDS,
    c.SYMBOL_CALC_MODE_EXCH_BONDS_MOEX,
)
"""The modes whose margin on an exchange account follows the market, not the open price."""

# Each: instrument, contract size, price -> margin of a lot before leverage.
LotFormula = Callable[[Instrument, float, float], float]


def _contract(_symbol: Instrument, contract: float, _price: float) -> float:
    return contract


def _value(_symbol: Instrument, contract: float, price: float) -> float:
    return contract * price


def _index_value(symbol: Instrument, contract: float, price: float) -> float:
    return contract * price * (symbol.tick_value / symbol.tick_size if symbol.tick_value else 1.0)


def _bond_value(symbol: Instrument, contract: float, price: float) -> float:
    return contract * symbol.face_value * price / 100.0


def _nothing(_symbol: Instrument, _contract: float, _price: float) -> float:
    return 0.0


LOT_MARGIN: dict[int, LotFormula] = {
    c.SYMBOL_CALC_MODE_FOREX: _contract,
    c.SYMBOL_CALC_MODE_FUTURES: _nothing,  # `margin_initial` says it all
    c.SYMBOL_CALC_MODE_CFD: _value,
    c.SYMBOL_CALC_MODE_CFDINDEX: _index_value,
    c.SYMBOL_CALC_MODE_CFDLEVERAGE: _value,
    c.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE: _contract,
    c.SYMBOL_CALC_MODE_EXCH_STOCKS: _value,
    c.SYMBOL_CALC_MODE_EXCH_FUTURES: _nothing,
    # A terminal names FORTS futures with the number of EXCH_OPTIONS: both need `margin_initial`.
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS: _value,
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS_MARGIN: _value,
    c.SYMBOL_CALC_MODE_EXCH_BONDS: _bond_value,
    c.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX: _value,
    c.SYMBOL_CALC_MODE_EXCH_BONDS_MOEX: _bond_value,
    c.SYMBOL_CALC_MODE_SERV_COLLATERAL: _nothing,
}
"""Margin of a lot where the symbol fixes none."""


def _by_contract(symbol: Instrument) -> float:
    return symbol.contract_size


def _by_tick(symbol: Instrument) -> float:
    return symbol.tick_value / symbol.tick_size if symbol.tick_value else symbol.contract_size


def _by_face(symbol: Instrument) -> float:
    return symbol.contract_size * symbol.face_value / 100.0


def _by_nothing(_symbol: Instrument) -> float:
    return 0.0


WORTH: dict[int, Callable[[Instrument], float]] = {
    c.SYMBOL_CALC_MODE_FOREX: _by_contract,
    c.SYMBOL_CALC_MODE_FUTURES: _by_tick,
    c.SYMBOL_CALC_MODE_CFD: _by_contract,
    c.SYMBOL_CALC_MODE_CFDINDEX: _by_contract,
    c.SYMBOL_CALC_MODE_CFDLEVERAGE: _by_contract,
    c.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE: _by_contract,
    c.SYMBOL_CALC_MODE_EXCH_STOCKS: _by_contract,
    c.SYMBOL_CALC_MODE_EXCH_FUTURES: _by_tick,
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS: _by_tick,
    c.SYMBOL_CALC_MODE_EXCH_OPTIONS_MARGIN: _by_tick,
    # Accrued interest is the same when a bond is bought and sold here, so it leaves no trace in the profit.
    c.SYMBOL_CALC_MODE_EXCH_BONDS: _by_face,
    c.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX: _by_contract,
    c.SYMBOL_CALC_MODE_EXCH_BONDS_MOEX: _by_face,
    c.SYMBOL_CALC_MODE_SERV_COLLATERAL: _by_nothing,
}
"""What one lot gains in the profit currency when its price rises by 1."""


def price_worth(symbol: Instrument) -> float:
    """Return what one lot gains in the profit currency when its price rises by 1."""
    return WORTH[symbol.calc_mode](symbol)


def lot_margin(symbol: Instrument, price: float, leverage: int, *, held: bool = False) -> float:
    """Return the margin of one lot in the margin currency.

    A fixed margin (`margin_initial`) stands for the formula; a position that is held needs
    `margin_maintenance` where the symbol names one.

    Args:
        symbol: The instrument.
        price: The open price.
        leverage: 100 means 1:100.
        held: Whether it is for an open position, not for an order.
    """
    fixed = (held and symbol.margin_maintenance) or symbol.margin_initial
    return _leveraged(symbol, fixed, symbol.contract_size, price, leverage)


def hedged_lot_margin(symbol: Instrument, price: float, leverage: int) -> float:
    """Return the margin of one lot of matched volume in the margin currency.

    `margin_hedged` is an amount where the symbol fixes its margin, else a contract size.
    """
    fixed = symbol.margin_initial or symbol.margin_maintenance
    if fixed and not symbol.margin_hedged:
        return 0.0
    return _leveraged(symbol, symbol.margin_hedged if fixed else 0.0, symbol.margin_hedged, price, leverage)


def _leveraged(symbol: Instrument, fixed: float, contract: float, price: float, leverage: int) -> float:
    if symbol.calc_mode == c.SYMBOL_CALC_MODE_SERV_COLLATERAL:
        return 0.0
    amount = fixed or LOT_MARGIN[symbol.calc_mode](symbol, contract, price)
    return amount / leverage if symbol.calc_mode in LEVERAGED else amount
