"""Amounts from one currency to another; section 7 of the digest, and the help page on conversion."""

from collections.abc import Callable
from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated.accounting.money import currency_digits, money
from tests.terminal.books import BUY, SELL, calculator, good, instrument
from tests.terminal.desk import Desk

PAIRS = [instrument(name) for name in ("EURUSD", "GBPUSD", "USDJPY", "USDCHF", "EURJPY", "AUDCAD", "AUDNZD")]


def test_profit_and_loss_each_at_the_worse_rate() -> None:
    # recorded: JPY to USD divides a profit by the ask and a loss by the bid
    usd = calculator(*PAIRS, USDJPY=(150.00, 150.02), GBPUSD=(1.25, 1.26))
    assert usd.rate("JPY", dear=False) == 1 / 150.02
    assert usd.rate("JPY", dear=True) == 1 / 150.00
    # a direct pair multiplies a profit by the bid and a loss by the ask
    assert usd.rate("GBP", dear=False) == 1.25
    assert usd.rate("GBP", dear=True) == 1.26
    # recorded: a EUR account divides USD by the ask and by the bid of EURUSD
    eur = calculator(*PAIRS, currency="EUR", EURUSD=(1.1, 1.1001))
    assert eur.rate("USD", dear=False) == 1 / 1.1001
    assert eur.rate("USD", dear=True) == 1 / 1.1


def test_the_base_itself_is_converted_by_the_close_price() -> None:
    pair = PAIRS[2]
    money = calculator(*PAIRS, USDJPY=(150.00, 150.02))
    # recorded: (close - open) x C x L / close, whatever is quoted: 150000 / 151.5
    assert money.profit(pair, True, 1.0, 150.0, 151.5) == 990.1
    assert money.profit(pair, False, 1.0, 150.0, 151.5) == -990.1


@pytest.mark.parametrize(
    ("currency", "source", "pairs"),
    [
        ("USD", "USD", []),
        ("USD", "EUR", ["EURUSD"]),
        ("CHF", "USD", ["USDCHF"]),
        ("JPY", "EUR", ["EURJPY"]),  # direct before by way of USD
        ("CHF", "GBP", ["GBPUSD", "USDCHF"]),
        ("JPY", "GBP", ["GBPUSD", "USDJPY"]),
        ("NZD", "CAD", ["AUDCAD", "AUDNZD"]),  # by way of AUD, which leads nowhere else
        ("USD", "CAD", None),
        ("USD", "SEK", None),
    ],
)
def test_the_way_from_one_currency_to_another(currency: str, source: str, pairs: list[str] | None) -> None:
    route = calculator(*PAIRS, currency=currency).conversion.route(source)
    assert (None if route is None else [step.symbol for step in route]) == pairs


def test_the_shortest_bridge_is_taken_and_at_each_step_the_worse_rate() -> None:
    quotes: dict[str, Any] = {"AUDCAD": (0.90, 0.91), "AUDNZD": (1.08, 1.10)}
    money = calculator(*PAIRS, currency="NZD", **quotes)
    # CAD is sold for AUD at the ask of AUDCAD, AUD for NZD at the bid of AUDNZD; bought the other way round
    assert money.rate("CAD", dear=False) == pytest.approx(1.08 / 0.91)
    assert money.rate("CAD", dear=True) == pytest.approx(1.10 / 0.90)


def test_usd_is_the_bridge_where_another_is_as_short() -> None:
    names = ("AUDCHF", "AUDJPY", "USDCHF", "USDJPY")
    route = calculator(*map(instrument, names), currency="JPY").conversion.route("CHF")
    assert route is not None
    assert [(step.symbol, step.forward) for step in route] == [("USDCHF", False), ("USDJPY", True)]


def test_of_several_pairs_alike_the_alphabetically_first_converts() -> None:
    names = ("GBPUSD.xyz", "GBPUSD.abc")
    route = calculator(*map(instrument, names)).conversion.route("GBP")
    assert route == (("GBPUSD.abc", True),)


def test_goods_convert_where_no_currency_pair_does() -> None:
    bitcoin = instrument("BTCUSD", calc_mode=c.SYMBOL_CALC_MODE_CFD, contract_size=1.0)
    euro_index = good("EU50", c.SYMBOL_CALC_MODE_CFD, currency_base="EUR", currency_profit="USD")
    money = calculator(bitcoin, euro_index, PAIRS[0], currency="BTC", BTCUSD=(100_000.0, 100_010.0))
    assert money.rate("USD", dear=True) == 1e-5
    assert money.digits == 8
    assert calculator(euro_index, PAIRS[0]).conversion.route("EUR") == (("EURUSD", True),)


def test_margin_is_bought_at_the_ask_and_sold_at_the_bid() -> None:
    pair = PAIRS[4]
    money = calculator(*PAIRS, EURUSD=(1.1000, 1.1002), EURJPY=(160.0, 160.1))
    # a cross costs what its base costs, whatever its own price: 1000 EUR
    assert money.order_margin(pair, BUY, 1.0, 160.0) == 1100.2
    assert money.order_margin(pair, SELL, 1.0, 10.0) == 1100.0
    chf = calculator(*PAIRS, currency="CHF", EURUSD=(1.1, 1.1002), USDCHF=(0.88, 0.8802))
    assert chf.order_margin(pair, BUY, 1.0, 160.0) == 968.4  # 1000 x 1.1002 x 0.8802 = 968.39604
    assert chf.order_margin(pair, SELL, 1.0, 160.0) == 968.0


def test_without_a_quote_nothing_is_converted() -> None:
    money = calculator(*PAIRS)
    assert money.profit(PAIRS[4], True, 1.0, 160.0, 161.0) is None
    assert money.order_margin(PAIRS[4], BUY, 1.0, 160.0) is None


@pytest.mark.parametrize(("currency", "digits"), [("USD", 2), ("JPY", 0), ("KWD", 3), ("BTC", 8), ("SEK", 2)])
def test_currencies_have_their_digits(currency: str, digits: int) -> None:
    assert currency_digits(currency) == digits
    assert currency_digits(currency, 4) == 4


def test_more_digits_than_an_amount_has_are_refused() -> None:
    with pytest.raises(SettingError, match="currency_digits is 9"):
        currency_digits("USD", 9)


@pytest.mark.parametrize(
    ("amount", "digits", "rounded"),
    [
        (276.544, 2, 276.54),
        (0.525, 2, 0.53),  # half a cent goes away from zero, as mathematical rounding has it
        (-0.525, 2, -0.53),
        (0.285, 2, 0.29),
        (-0.001, 2, 0.0),
        (1234.56, 0, 1235.0),
        (0.123456789, 8, 0.12345679),
        (1e300, 2, 1e300),
    ],
)
def test_amounts_are_rounded(amount: float, digits: int, rounded: float) -> None:
    assert money(amount, digits) == rounded
    assert str(money(-0.0, digits)) == "0.0"


def test_an_account_that_nothing_can_be_converted_to_is_refused(synthetic: Callable[..., Desk]) -> None:
    with pytest.raises(SettingError, match="'usd'") as refused:
        synthetic(currency="usd")
    assert "EUR" in str(refused.value.hint)
    assert "BTC" in str(refused.value.hint)


@pytest.mark.parametrize("currency", ["USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "BTC", "XAU"])
def test_an_account_in_any_currency_of_the_catalogue(synthetic: Callable[..., Desk], currency: str) -> None:
    desk = synthetic(currency=currency, deposit=1e7)
    account = desk.get("account_info")
    assert (account.currency, account.currency_digits) == (currency, currency_digits(currency))
    for symbol in ("EURUSD", "USDJPY", "CHFJPY", "XAUUSD", "BTCUSD"):
        assert desk.get("order_calc_margin", BUY, symbol, 1.0, 0.0) > 0
        price = desk.get("symbol_info_tick", symbol).ask
        assert desk.get("order_calc_profit", BUY, symbol, 1.0, price, price * 1.01) > 0
    assert desk.deal(BUY, 0.1).retcode == c.TRADE_RETCODE_DONE


def test_amounts_of_a_yen_account_have_no_decimals(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 150.003, 150.017), (60, 150.003, 150.017), symbol="USDJPY", currency="JPY", deposit=1e6)
    assert desk.get("account_info").currency_digits == 0
    assert desk.get("order_calc_margin", BUY, "USDJPY", 0.1, 150.017) == 15_002.0  # 100 USD x 150.017
    assert desk.deal(BUY, 0.01, symbol="USDJPY").retcode == c.TRADE_RETCODE_DONE
    account = desk.get("account_info")
    assert (account.profit, account.margin) == (-14.0, 1500.0)  # 1000 x 0.014; 10 USD x 150.017
    assert account.equity == 999_986.0


def test_a_symbol_whose_money_cannot_be_told_is_not_traded() -> None:
    lost = instrument("SEKNOK")
    money = calculator(lost, *PAIRS, SEKNOK=(0.95, 0.96))
    assert not money.converts(lost)
    assert money.order_margin(lost, BUY, 1.0, 0.0) is None
    assert money.profit(lost, True, 1.0, 0.95, 0.96) is None
