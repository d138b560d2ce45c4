"""Margin and profit by `SYMBOL_TRADE_CALC_MODE`: section 7 of the semantics digest, and the documentation of
that property. Every number is worked out by hand from the formula beside it."""

from typing import Any

import pytest
from msgspec.structs import replace

from mt5crs import constants as c
from mt5crs.terminal.simulated.accounting.formulas import LOT_MARGIN, WORTH
from mt5crs.terminal.simulated.instruments.catalogue import Instrument
from tests.terminal.books import BUY, SELL, Books, calculator, good, instrument

Case = tuple[str, Instrument, float, float]
CONTRACT: dict[str, Any] = {"contract_size": 100.0}
FUTURE: dict[str, Any] = {"margin_initial": 1500.0, "tick_size": 0.25, "tick_value": 12.5}
BOND: dict[str, Any] = {"face_value": 1000.0, "contract_size": 10.0, "accrued_interest": 7.0}

# What it is, the instrument; margin of 2 lots at 50 and leverage 1:100, their profit from 50 to 51.5.
CASES: list[Case] = [
    ("2 x 100000 / 100", instrument("USDUSD"), 2000.0, 300_000.0),
    ("2 x 100000", instrument("USDUSD", calc_mode=5), 200_000.0, 300_000.0),
    ("2 x 1500; 1.5 / 0.25 x 12.5 x 2", good("F", c.SYMBOL_CALC_MODE_FUTURES, **FUTURE), 3000.0, 150.0),
    ("2 x 100 x 50", good("C", c.SYMBOL_CALC_MODE_CFD, **CONTRACT), 10_000.0, 300.0),
    (
        "2 x 100 x 50 x 0.5 / 0.25: the tick's worth counts in the margin alone",
        good("I", c.SYMBOL_CALC_MODE_CFDINDEX, **CONTRACT, tick_size=0.25, tick_value=0.5),
        20_000.0,
        300.0,
    ),
    ("2 x 100 x 50 / 100", good("L", c.SYMBOL_CALC_MODE_CFDLEVERAGE, **CONTRACT), 100.0, 300.0),
    ("2 x 100 x 50", good("S", c.SYMBOL_CALC_MODE_EXCH_STOCKS, **CONTRACT), 10_000.0, 300.0),
    ("as a future", good("E", c.SYMBOL_CALC_MODE_EXCH_FUTURES, **FUTURE), 3000.0, 150.0),
    ("as a future", good("O", c.SYMBOL_CALC_MODE_EXCH_OPTIONS, **FUTURE), 3000.0, 150.0),
    (
        "2 x 100 x 50 where no margin is fixed; 1.5 / 0.25 x 12.5 x 2",
        good("M", c.SYMBOL_CALC_MODE_EXCH_OPTIONS_MARGIN, **CONTRACT, tick_size=0.25, tick_value=12.5),
        10_000.0,
        150.0,
    ),
    # A bond's price is percent of its face value; what has accrued is the same on both days.
    (
        "2 x 10 x 1000 x 50 / 100; x 1.5 / 100",
        good("B", c.SYMBOL_CALC_MODE_EXCH_BONDS, **BOND),
        10_000.0,
        300.0,
    ),
    ("2 x 100 x 50", good("X", c.SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX, **CONTRACT), 10_000.0, 300.0),
    ("as a bond", good("Y", c.SYMBOL_CALC_MODE_EXCH_BONDS_MOEX, **BOND), 10_000.0, 300.0),
    ("none at all", good("Z", c.SYMBOL_CALC_MODE_SERV_COLLATERAL, **CONTRACT), 0.0, 0.0),
]


def test_every_mode_that_the_package_names_has_its_formulas_and_its_case() -> None:
    modes = {value for name, value in vars(c).items() if name.startswith("SYMBOL_CALC_MODE_")}
    assert modes == set(LOT_MARGIN) == set(WORTH) == {symbol.calc_mode for _why, symbol, _m, _p in CASES}


@pytest.mark.parametrize(("why", "symbol", "margin", "profit"), CASES)
def test_margin_and_profit(why: str, symbol: Instrument, margin: float, profit: float) -> None:
    money = calculator(symbol)
    assert money.order_margin(symbol, BUY, 2.0, 50.0) == margin
    assert money.order_margin(symbol, SELL, 2.0, 50.0) == margin
    assert money.profit(symbol, True, 2.0, 50.0, 51.5) == profit
    assert money.profit(symbol, False, 2.0, 50.0, 51.5) == -profit


@pytest.mark.parametrize(("why", "symbol", "margin", "profit"), CASES)
def test_a_fixed_margin_stands_for_the_formula(
    why: str, symbol: Instrument, margin: float, profit: float
) -> None:
    fixed = replace(symbol, margin_initial=700.0)
    # per lot; divided by the leverage for FOREX and CFDLEVERAGE alone; collateral has none
    expected = {0: 14.0, 4: 14.0, 64: 0.0}.get(symbol.calc_mode, 1400.0)
    assert calculator(fixed).order_margin(fixed, BUY, 2.0, 50.0) == expected


def test_without_a_price_buys_take_the_ask_and_sells_the_bid() -> None:
    symbol = good("OIL", c.SYMBOL_CALC_MODE_CFD, contract_size=100.0)
    money = calculator(symbol, OIL=(79.0, 80.0))
    assert money.order_margin(symbol, BUY, 1.0, 0.0) == 8000.0  # the help's example: 1 x 100 x 80
    assert money.order_margin(symbol, SELL, 1.0, 0.0) == 7900.0
    assert calculator(symbol).order_margin(symbol, SELL, 1.0, 0.0) is None


def test_shares_without_a_price_take_the_last_one_where_there_is_one() -> None:
    share = good("LKOH", c.SYMBOL_CALC_MODE_EXCH_STOCKS, contract_size=10.0)
    books = Books(share, LKOH=(99.0, 101.0))
    assert books.account.money.order_margin(share, BUY, 1.0, 0.0) == 1010.0
    books.prices.last["LKOH"] = 100.0
    assert books.account.money.order_margin(share, BUY, 1.0, 0.0) == 1000.0


def test_a_future_without_a_tick_value_gains_by_its_contract() -> None:
    symbol = good("F", c.SYMBOL_CALC_MODE_FUTURES, margin_initial=10.0, contract_size=50.0)
    assert calculator(symbol).profit(symbol, True, 1.0, 100.0, 101.0) == 50.0


def test_margin_rates_multiply() -> None:
    # the help's example: 1279 USD for a lot of EURUSD, times 1.15
    symbol = instrument("EURUSD", margin_rates={"buy": 1.15, "sell": 0.5, "sell_stop": 2.0})
    money = calculator(symbol, EURUSD=(1.2788, 1.2790))
    assert money.order_margin(symbol, BUY, 1.0, 0.0) == 1470.85
    assert money.order_margin(symbol, SELL, 1.0, 0.0) == 639.4
    assert money.order_margin(symbol, c.ORDER_TYPE_SELL_STOP, 1.0, 1.0) == 2000.0
    # pending types that hold none need what their deal will
    assert money.order_margin(symbol, c.ORDER_TYPE_BUY_LIMIT, 1.0, 1.0) == 1150.0
    assert money.order_margin(symbol, c.ORDER_TYPE_SELL_STOP_LIMIT, 1.0, 1.0) == 500.0
