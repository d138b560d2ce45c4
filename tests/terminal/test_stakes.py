"""How much money moves with prices: what a move takes is never more than stake times move."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mt5crs import constants as c
from tests.terminal.books import BUY, SELL, Books, good, instrument

RATES = {"buy_limit": 1.0, "sell_stop": 1.0}
SYMBOLS = (
    instrument("EURUSD", margin_rates=RATES),
    instrument("USDJPY"),
    instrument("EURJPY", margin_rates=RATES),
    instrument("AUDCAD"),
    instrument("USDCAD"),
    good("G", 4, contract_size=10.0),
    good("S", 32, contract_size=10.0, margin_rates={"buy": 0.2, "sell": 0.3}),
    good("P", 64, contract_size=10.0, liquidity_rate=0.5),
)
QUOTES: dict[str, Any] = {
    "EURUSD": (1.1, 1.1002),
    "USDJPY": (150.0, 150.02),
    "EURJPY": (165.0, 165.03),
    "AUDCAD": (0.9, 0.9003),
    "USDCAD": (1.4, 1.4003),
    "G": (50.0, 50.5),
    "S": (70.0, 70.1),
    "P": (30.0, 31.0),
}
MOVES = st.fixed_dictionaries({name: st.floats(-0.1, 0.1) for name in QUOTES})


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(tuple(QUOTES)),
            st.sampled_from((BUY, SELL)),
            st.integers(1, 300),
            st.floats(0.5, 2.0),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(("hedging", "exchange")),
    st.sampled_from(("USD", "EUR", "JPY")),
    MOVES,
)
def test_no_move_takes_more_than_the_stakes_say(
    deals: list[tuple[str, int, int, float]], mode: str, currency: str, moves: dict[str, float]
) -> None:
    books = Books(*SYMBOLS, currency=currency, mode=mode, **QUOTES)
    for symbol, side, volume, factor in deals:
        books.open(symbol, BUY if symbol == "P" else side, volume / 100, QUOTES[symbol][0] * factor)
    books.pend("EURJPY", c.ORDER_TYPE_BUY_LIMIT, 0.5, 160.0)
    stakes, before = books.account.stakes(), books.account.totals()
    for name, move in moves.items():
        bid, ask = QUOTES[name]
        books.prices[name] = (bid * (1 + move), ask * (1 + move))
    after = books.account.totals()
    bound = sum(stakes.get(name, 0.0) * abs(move) for name, move in moves.items())
    rounding = 2.0 * (len(deals) + 3) / books.account.money.scale
    assert abs(after.equity - before.equity) + max(after.margin - before.margin, 0.0) <= bound + rounding


@pytest.mark.parametrize(
    ("symbol", "currency", "price", "stakes"),
    [
        ("EURUSD", "USD", 1.1, {"EURUSD": 110_020.0}),
        # the profit, 100000 JPY, follows the pair that converts it; the rest is for what it may grow by
        ("EURJPY", "USD", 164.0, {"EURJPY": 110_020.0, "USDJPY": 1.2 * (100_000 / 150 + 11_002.0)}),
        ("USDJPY", "USD", 150.0, {"USDJPY": 120_000.0}),
        ("G", "USD", 40.0, {"G": 505.0}),
    ],
)
def test_stakes(symbol: str, currency: str, price: float, stakes: dict[str, float]) -> None:
    books = Books(*SYMBOLS, currency=currency, **QUOTES)
    books.open(symbol, BUY, 1.0, price)
    assert books.account.stakes() == pytest.approx(stakes, rel=1e-3)


def test_nothing_held_has_no_stakes() -> None:
    assert Books(*SYMBOLS, **QUOTES).account.stakes() == {}
