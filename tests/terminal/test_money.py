"""Margin, profit and conversion; section 7 of the semantics digest."""

from collections.abc import Callable

import pytest

from tests.terminal.desk import Desk

Quotes = Callable[..., Desk]
BUY, SELL = 0, 1


def test_forex_margin_in_the_accounts_own_currency_needs_no_price(steady: Desk) -> None:
    # the recorded 0.1 lot of USDJPY at 1:100
    assert steady.get("order_calc_margin", BUY, "USDJPY", 0.1, 155.0) == 100.0
    assert steady.get("order_calc_margin", SELL, "USDJPY", 0.1, 0.0) == 100.0


def test_forex_margin_is_the_base_currencys(steady: Desk) -> None:
    assert steady.get("order_calc_margin", BUY, "EURUSD", 1.0, 1.2) == 1200.0
    assert steady.get("order_calc_margin", BUY, "EURUSD", 1.0, 0.0) == 1100.1
    # a cross costs what its base costs, whatever its own price
    assert steady.get("order_calc_margin", BUY, "EURJPY", 1.0, 170.0) == 1100.1
    assert steady.get("order_calc_margin", BUY, "EURJPY", 1.0, 10.0) == 1100.1


def test_margin_takes_any_order_type_and_ignores_what_is_open(steady: Desk) -> None:
    steady.deal(BUY, 1.0)
    for action in range(8):
        assert steady.get("order_calc_margin", action, "EURUSD", 1.0, 1.2) == 1200.0


@pytest.mark.parametrize(
    ("symbol", "volume", "price", "margin"),
    [
        ("XAUUSD", 1.0, 4000.0, 4000.0),  # CFD leverage: 1 x 100 x 4000 / 100
        ("US500", 2.0, 6700.0, 134.0),  # CFD leverage: 2 x 1 x 6700 / 100
        ("BTCUSD", 0.5, 90_000.0, 45_000.0),  # CFD: 0.5 x 1 x 90000
    ],
)
def test_cfd_margin(steady: Desk, symbol: str, volume: float, price: float, margin: float) -> None:
    assert steady.get("order_calc_margin", BUY, symbol, volume, price) == margin


@pytest.mark.parametrize(
    ("action", "symbol", "volume", "opened", "closed", "profit"),
    [
        (BUY, "EURUSD", 0.1, 1.1, 1.101, 10.0),
        (SELL, "EURUSD", 0.1, 1.1, 1.101, -10.0),
        # the account currency is the base: the close price converts, 150000 / 151.5
        (BUY, "USDJPY", 1.0, 150.0, 151.5, 990.1),
        (SELL, "USDJPY", 1.0, 150.0, 151.5, -990.1),
        (BUY, "XAUUSD", 0.5, 4000.0, 4010.0, 500.0),
    ],
)
def test_profit(
    steady: Desk, action: int, symbol: str, volume: float, opened: float, closed: float, profit: float
) -> None:
    assert steady.get("order_calc_profit", action, symbol, volume, opened, closed) == profit


def test_a_profit_and_a_loss_are_both_converted_at_the_worse_rate(quotes: Quotes) -> None:
    desk = quotes((0, 150.00, 150.02), (60, 150.00, 150.02), symbol="USDJPY")
    # 100,000 JPY: a profit is divided by the ask, a loss by the bid
    assert desk.get("order_calc_profit", BUY, "EURJPY", 1.0, 160.0, 161.0) == 666.58
    assert desk.get("order_calc_profit", BUY, "EURJPY", 1.0, 161.0, 160.0) == -666.67
    info = desk.get("symbol_info", "EURJPY")
    assert info.trade_tick_value == info.trade_tick_value_profit == pytest.approx(100 / 150.02)
    assert info.trade_tick_value_loss == pytest.approx(100 / 150.00)


def test_a_direct_pair_multiplies_by_bid_for_profit_and_by_ask_for_loss(quotes: Quotes) -> None:
    desk = quotes((0, 1.25, 1.26), (60, 1.25, 1.26), symbol="GBPUSD")
    # EURGBP: 0.001 x 100,000 = 100 GBP
    assert desk.get("order_calc_profit", BUY, "EURGBP", 1.0, 0.87, 0.871) == 125.0
    assert desk.get("order_calc_profit", SELL, "EURGBP", 1.0, 0.87, 0.871) == -126.0


def test_an_account_in_another_currency(quotes: Quotes) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.1, 1.1001), currency="EUR")
    assert desk.get("order_calc_margin", BUY, "EURUSD", 0.1, 1.1) == 100.0
    # USD has to be converted: 0.1 lot of XAUUSD at 4000 is 400 USD, bought at 1 / 1.1000
    assert desk.get("order_calc_margin", BUY, "XAUUSD", 0.1, 4000.0) == 363.64


def test_what_cannot_be_calculated(steady: Desk) -> None:
    not_found, invalid = (None, (-4, "Terminal: Not found")), (None, (-2, "Terminal: Invalid params"))
    assert steady.ask("order_calc_margin", BUY, "NOSUCH", 1.0, 1.0) == not_found
    assert steady.ask("order_calc_profit", BUY, "NOSUCH", 1.0, 1.0, 1.0) == not_found
    assert steady.ask("order_calc_profit", 2, "EURUSD", 1.0, 1.0, 1.0) == invalid
    assert steady.ask("order_calc_margin", 8, "EURUSD", 1.0, 1.0) == invalid
