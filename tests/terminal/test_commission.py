"""What a broker charges for a deal; section 7 of the semantics digest, and the help page on commissions."""

from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.terminal.simulated.instruments.catalogue import Commission
from tests.terminal.books import Books, good, instrument

IN, OUT, INOUT, OUT_BY = (
    c.DEAL_ENTRY_IN, c.DEAL_ENTRY_OUT, c.DEAL_ENTRY_INOUT, c.DEAL_ENTRY_OUT_BY,
)  # fmt: skip
QUOTES: dict[str, Any] = {"EURUSD": (1.1, 1.1002), "EURJPY": (165.0, 165.1), "USDJPY": (150.0, 150.02)}


def charged(
    symbol: str, entry: int, volume: float, price: float, currency: str = "USD", **schedule: Any
) -> float:
    commission = Commission(**schedule)
    symbols = [instrument(name, commission=commission) for name in QUOTES]
    symbols.append(good("GOLD", 2, contract_size=100.0, commission=commission))
    symbols.append(good("F", 33, tick_size=0.1, tick_value=1.0, contract_size=100.0, commission=commission))
    books = Books(*symbols, currency=currency, **QUOTES)
    return books.account.commission(books.account.symbols[symbol], entry, volume, price)


def test_without_a_schedule_nothing_is_charged() -> None:
    books = Books(instrument("EURUSD"), **QUOTES)
    assert books.account.commission(books.account.symbols["EURUSD"], IN, 1.0, 1.1) == 0.0


@pytest.mark.parametrize(
    ("on", "entries"),
    [("in", {IN, INOUT}), ("out", {OUT, OUT_BY, INOUT}), ("both", {IN, OUT, INOUT, OUT_BY})],
)
def test_the_deals_that_are_charged(on: str, entries: set[int]) -> None:
    deals = {entry: charged("EURUSD", entry, 1.0, 1.1, per="deal", value=2.0, on=on) for entry in range(4)}
    assert deals == {entry: -2.0 if entry in entries else 0.0 for entry in (IN, OUT, INOUT, OUT_BY)}


def test_per_lot_and_per_deal() -> None:
    assert charged("EURUSD", IN, 0.15, 1.1, per="lot", value=3.5) == -0.53  # 0.525
    assert charged("EURUSD", IN, 2.0, 1.1, per="lot", value=3.5) == -7.0
    assert charged("EURUSD", IN, 2.0, 1.1, per="deal", value=3.5) == -3.5
    assert charged("EURUSD", IN, 0.01, 1.1, currency="JPY", per="lot", value=149.0) == -1.0


@pytest.mark.parametrize(
    ("symbol", "price", "currency", "amount"),
    [
        ("EURUSD", 1.2, "USD", -4.8),  # 2 x 100000 EUR at the deal's price x 0.002%
        ("EURUSD", 1.2, "EUR", -4.0),
        ("EURJPY", 165.0, "USD", -4.4),  # 200000 EUR at 1.1002
        ("USDJPY", 150.0, "USD", -4.0),
        ("GOLD", 2000.0, "USD", -8.0),  # 2 x 100 x 2000
        ("F", 33_000.0, "USD", -13.2),  # 2 x 33000 x 1 / 0.1
    ],
)
def test_percent_of_the_turnover(symbol: str, price: float, currency: str, amount: float) -> None:
    assert charged(symbol, IN, 2.0, price, currency=currency, per="turnover", value=0.002) == amount


def test_a_deal_is_charged_the_minimum_at_least() -> None:
    schedule: dict[str, Any] = {"per": "lot", "value": 3.5, "minimum": 1.0}
    assert charged("EURUSD", IN, 0.01, 1.1, **schedule) == -1.0
    assert charged("EURUSD", IN, 1.0, 1.1, **schedule) == -3.5
    assert charged("EURUSD", OUT, 0.01, 1.1, **schedule, on="in") == 0.0
