"""The account in numbers: section 7 of the semantics digest."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.accounting import holdings
from tests.terminal.books import BUY, SELL, Books, good, instrument
from tests.terminal.desk import Desk

SYMBOLS = (instrument("EURUSD"), instrument("USDJPY"), instrument("EURJPY"), good("G", 4, contract_size=10.0))
QUOTES: dict[str, Any] = {
    "EURUSD": (1.1, 1.1002),
    "USDJPY": (150.0, 150.02),
    "EURJPY": (165.0, 165.03),
    "G": (50.0, 50.5),
}


def by_hand(books: Books) -> float:
    """Return the floating profit, position by position."""
    account = books.account
    return sum(
        account.floating_profit(position, account.current_price(position)) + position.swap
        for position in account.positions.values()
    )


# ---- columns of numbers are the positions ----

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("open"), st.sampled_from(tuple(QUOTES)), st.sampled_from((BUY, SELL)), st.integers(1, 300)
        ),
        st.tuples(st.just("close"), st.integers(0, 200), st.booleans()),
        st.tuples(st.just("move"), st.sampled_from(tuple(QUOTES)), st.floats(0.8, 1.25)),
        st.tuples(st.just("ask")),
        st.tuples(st.just("swap"), st.integers(0, 200), st.floats(-50, 50)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS, st.sampled_from((0, 3, holdings.FEW)), st.sampled_from(("USD", "EUR", "JPY")))
def test_totals_are_those_of_the_positions_one_by_one(
    steps: list[tuple[object, ...]], few: int, currency: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holdings, "FEW", few)  # so that arrays are used for a handful too
        books = Books(*SYMBOLS, currency=currency, **QUOTES)
        for step in steps:
            perform(books, *step)
        totals = books.account.totals()
    account = books.account
    assert totals.profit == pytest.approx(by_hand(books), abs=0.5 / account.money.scale)
    assert totals.margin == pytest.approx(account.margin(*books.fresh()), abs=1.5 / account.money.scale)
    assert totals.equity == pytest.approx(totals.balance + totals.credit + totals.profit)
    assert totals.margin_free == pytest.approx(totals.equity - totals.margin)
    assert totals.margin_level == (100 * totals.equity / totals.margin if totals.margin else 0.0)


def perform(books: Books, kind: object, *values: object) -> None:
    account = books.account
    positions = list(account.positions.values())
    if kind == "open":
        symbol, side, volume = values
        assert isinstance(symbol, str)
        assert isinstance(side, int)
        assert isinstance(volume, int)
        bid, ask = books.prices[symbol]
        books.open(symbol, side, volume / 100, ask if side == BUY else bid)
    elif kind == "move":
        symbol, factor = values
        assert isinstance(symbol, str)
        assert isinstance(factor, float)
        bid, ask = QUOTES[symbol]
        books.prices[symbol] = (round(bid * factor, 3), round(ask * factor, 3))
    elif kind == "ask":
        account.totals()
    elif positions:
        number, value = values
        assert isinstance(number, int)
        position = positions[number % len(positions)]
        if kind == "swap":
            assert isinstance(value, float)
            position.swap = account.round(value)
            account.refresh([position])
        else:
            books.close(position, position.volume if value else round(position.volume / 2, 3), 1.0)


def test_positions_that_came_or_went_without_a_deal_are_seen() -> None:
    books = Books(*SYMBOLS, **QUOTES)
    position = books.open("EURUSD", BUY, 1.0, 1.1002)
    assert books.account.totals().profit == -20.0
    del books.account.positions[position.ticket]
    assert books.account.totals().profit == 0.0
    books.account.positions[position.ticket] = position
    assert books.account.totals().profit == -20.0


def test_each_position_is_rounded_by_itself() -> None:
    books = Books(*SYMBOLS, **QUOTES)
    for _ in range(3):
        books.open("EURJPY", BUY, 0.01, 165.001)
    # 0.001 x 1000 = 1 JPY lost, bought at 1 / 150.00: 0.00667, a cent each; not 0.02
    assert books.account.totals().profit == -0.03


# ---- credit, withdrawals, collateral, exchange ----


def test_credit_is_equity_but_no_balance() -> None:
    books = Books(*SYMBOLS, **QUOTES)
    books.account.lend(500.0, 1000)
    totals = books.account.totals()
    assert (totals.balance, totals.credit, totals.equity) == (10_000.0, 500.0, 10_500.0)
    books.account.lend(-200.0, 2000)
    assert books.account.totals().credit == 300.0
    deals = books.account.history.deals_between(0, 10)
    assert [(d.type, d.profit, d.symbol, d.volume) for d in deals] == [
        (c.DEAL_TYPE_BALANCE, 10_000.0, "", 0.0),
        (c.DEAL_TYPE_CREDIT, 500.0, "", 0.0),
        (c.DEAL_TYPE_CREDIT, -200.0, "", 0.0),
    ]


def test_a_withdrawal_is_a_negative_balance_operation() -> None:
    books = Books(*SYMBOLS, **QUOTES)
    books.account.deposit(-2500.0, 1000)
    assert books.account.totals().balance == 7500.0
    deal = books.account.history.deals_between(1, 1)[0]
    assert (deal.type, deal.entry, deal.order, deal.profit) == (c.DEAL_TYPE_BALANCE, 0, 0, -2500.0)
    assert deal.comment == "Withdrawal"


def test_collateral_counts_as_an_asset() -> None:
    pledge = good("GOLD", c.SYMBOL_CALC_MODE_SERV_COLLATERAL, contract_size=10.0, liquidity_rate=0.8)
    books = Books(pledge, *SYMBOLS, **QUOTES, GOLD=(2000.0, 2001.0))
    books.open("GOLD", BUY, 0.5, 1000.0)
    totals = books.account.totals()
    # 0.5 x 10 x 2000 x 0.8; it has neither margin nor profit
    assert (totals.assets, totals.profit, totals.margin) == (8000.0, 0.0, 0.0)
    assert (totals.balance, totals.equity, totals.margin_free) == (10_000.0, 18_000.0, 18_000.0)
    assert books.account.totals_with(1000.0).margin_free == 17_000.0


def test_shares_on_an_exchange_account_are_charged_at_the_market() -> None:
    share = good(
        "LKOH", c.SYMBOL_CALC_MODE_EXCH_STOCKS, contract_size=100.0, margin_rates={"buy": 0.1, "sell": 0.2}
    )
    books = Books(share, mode="exchange", deposit=1e6, LKOH=(150.0, 150.0))
    books.open("LKOH", BUY, 10.0, 150.0)
    totals = books.account.totals()
    assert (totals.margin, totals.profit) == (15_000.0, 0.0)  # the help's example: 1000 x 150 x 0.1
    books.prices["LKOH"] = (50.0, 50.0)
    totals = books.account.totals()
    assert (totals.margin, totals.equity) == (5000.0, 900_000.0)
    books.prices.last["LKOH"] = 60.0
    assert books.account.totals().margin == 6000.0
    retail = Books(share, mode="netting", LKOH=(50.0, 50.0))
    retail.open("LKOH", BUY, 10.0, 150.0)
    assert retail.account.totals().margin == 15_000.0


def test_initial_and_maintenance_margin_are_told_on_exchange_accounts() -> None:
    future = good("F", 33, margin_initial=100.0, margin_maintenance=60.0, margin_rates={"buy_limit": 1.0})
    numbers = {}
    for mode in ("netting", "exchange"):
        books = Books(future, mode=mode, F=(50.0, 50.0))
        books.open("F", BUY, 2.0, 50.0)
        books.pend("F", c.ORDER_TYPE_BUY_LIMIT, 1.0, 40.0)
        totals = books.account.totals()
        assert totals.margin == 220.0
        numbers[mode] = (totals.margin_initial, totals.margin_maintenance)
    assert numbers == {"netting": (0.0, 0.0), "exchange": (100.0, 120.0)}


# ---- through the terminal ----


def test_order_check_tells_the_totals_after_the_deal(steady: Desk) -> None:
    checked = steady.get("order_check", {"action": 1, "symbol": "EURUSD", "volume": 1.0, "type": BUY})
    before = steady.get("account_info")
    assert (before.margin, checked.margin, checked.margin_free) == (0.0, 1100.1, 8899.9)
    assert checked.margin_level == 100 * 10_000.0 / 1100.1
    assert (checked.balance, checked.equity, checked.profit) == (10_000.0, 10_000.0, 0.0)
    steady.deal(BUY, 1.0)
    account = steady.get("account_info")
    assert (account.margin, account.profit, account.equity) == (1100.1, -10.0, 9990.0)
    assert account.margin_level == 100 * 9990.0 / 1100.1
    assert (account.assets, account.liabilities, account.margin_initial, account.margin_maintenance) == (
        0,
        0,
        0,
        0,
    )


def test_order_check_tells_what_a_pending_order_would_hold(steady: Desk) -> None:
    request = {"action": 5, "symbol": "EURUSD", "volume": 1.0, "type": 2, "price": 1.05, "type_filling": 2}
    assert steady.get("order_check", request).margin == 0.0


def test_more_money_than_there_is_is_refused_whatever_the_currency(quotes: Callable[..., Desk]) -> None:
    desk = quotes((0, 1.1, 1.1001), (60, 1.1, 1.1001), currency="EUR", deposit=100.0)
    assert desk.deal(BUY, 0.1).retcode == c.TRADE_RETCODE_DONE  # 100 EUR of margin, exactly
    assert desk.deal(BUY, 0.01).retcode == c.TRADE_RETCODE_NO_MONEY


@pytest.mark.parametrize("number", [float("inf"), float("nan"), -1.0])
def test_what_is_no_number_is_not_calculated(steady: Desk, number: float) -> None:
    invalid = (None, (-2, "Terminal: Invalid params"))
    assert steady.ask("order_calc_margin", BUY, "EURUSD", number, 1.1) == invalid
    assert steady.ask("order_calc_margin", BUY, "EURUSD", 1.0, number) == invalid
    assert steady.ask("order_calc_profit", BUY, "EURUSD", 1.0, 1.1, number) == invalid


@pytest.mark.parametrize(
    ("mode", "value"), [("percent", c.ACCOUNT_STOPOUT_MODE_PERCENT), ("money", c.ACCOUNT_STOPOUT_MODE_MONEY)]
)
def test_the_account_tells_how_its_levels_are_meant(mode: Any, value: int) -> None:
    """Section 7: `margin_so_mode` is 0 for percent and 1 for money."""
    assert Desk(SimulatedConfig(margin_so_mode=mode)).get("account_info").margin_so_mode == value


@pytest.mark.parametrize("name", ["deposit", "margin_so_call", "margin_so_so"])
def test_an_amount_that_is_no_number_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is nan"):
        SimulatedConfig(**{name: float("nan")})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["limit_orders", "limit_positions"])
def test_a_limit_below_zero_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=f"{name} is -1"):
        SimulatedConfig(**{name: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize("volume", [1e307, 1e308, float("inf"), float("nan"), 1e-320])
def test_volumes_beyond_numbers_are_refused(steady: Desk, volume: float) -> None:
    """Section 8: a volume above the most or below the least is 10014."""
    assert steady.deal(c.ORDER_TYPE_BUY, volume).retcode == c.TRADE_RETCODE_INVALID_VOLUME
