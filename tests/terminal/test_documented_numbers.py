"""The figures that the documentation of the official package prints, and other ones that were recorded.

Digest section 7. The quotes are those that give the printed figures: of `order_calc_margin` for 0.1 lot at
1:100 the asks, of `order_calc_profit` for 1.0 lot and 300 points 30,000 JPY divided by the close price.
"""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from mt5crs import constants as c
from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import OPENING, Desk

BUY, SELL = c.ORDER_TYPE_BUY, c.ORDER_TYPE_SELL
QUOTES = {
    "EURUSD": (1.0990, 1.0991),
    "GBPUSD": (1.2271, 1.2273),
    "USDJPY": (108.180, 108.183),
    "EURJPY": (118.890, 118.910),
}


def desk(folder: Path, currency: str = "USD") -> Desk:
    paths: list[Path] = []
    for symbol, (bid, ask) in QUOTES.items():
        paths.append(folder / f"{symbol}_ticks.csv")
        moments = [datetime.fromtimestamp(OPENING + s, timezone.utc).isoformat() for s in (0, 3600)]
        rows = [f"{moment},{bid},{ask}" for moment in moments]
        paths[-1].write_text("\n".join(["timestamp,bid,ask", *rows, ""]), encoding="utf-8")
    return Desk(SimulatedConfig(replay=tuple(paths), start=OPENING, speed=1.0, currency=currency))


@pytest.mark.parametrize(
    ("symbol", "margin"),
    [("EURUSD", 109.91), ("GBPUSD", 122.73), ("USDJPY", 100.0), ("EURJPY", 109.91), ("GBPJPY", 122.73)],
)
def test_margin(tmp_path: Path, symbol: str, margin: float) -> None:
    trader = desk(tmp_path)
    ask = trader.get("symbol_info_tick", symbol).ask
    assert trader.get("order_calc_margin", BUY, symbol, 0.1, ask) == margin


@pytest.mark.parametrize(
    ("side", "symbol", "profit"),
    [
        (BUY, "EURUSD", 300.0),
        (SELL, "EURUSD", 300.0),
        (BUY, "GBPUSD", 300.0),
        (BUY, "USDJPY", 276.54),
        (SELL, "USDJPY", 278.09),
    ],
)
def test_profit_of_300_points(tmp_path: Path, side: int, symbol: str, profit: float) -> None:
    trader = desk(tmp_path)
    bid, ask = QUOTES[symbol]
    points = 0.3 if symbol == "USDJPY" else 0.003
    opened, closed = (ask, ask + points) if side == BUY else (bid, bid - points)
    assert trader.get("order_calc_profit", side, symbol, 1.0, opened, closed) == profit


def test_the_worse_rate_converts(tmp_path: Path) -> None:
    """A profit in JPY is divided by the ask of USDJPY, a loss by the bid: 10,000 / 108.183 and / 108.180."""
    trader = desk(tmp_path)
    assert trader.get("order_calc_profit", BUY, "EURJPY", 0.1, 118.0, 119.0) == 92.44
    assert trader.get("order_calc_profit", BUY, "EURJPY", 0.1, 119.0, 118.0) == -92.44
    # 1,000,000 JPY show the difference: 9,243.5965 and 9,243.8528.
    assert trader.get("order_calc_profit", BUY, "EURJPY", 10.0, 118.0, 119.0) == 9243.60
    assert trader.get("order_calc_profit", BUY, "EURJPY", 10.0, 119.0, 118.0) == -9243.85


def test_an_account_in_euro(tmp_path: Path) -> None:
    """A short of EURUSD wins 1,000 USD and closes at the ask, a long loses them and closes at the bid."""
    trader = desk(tmp_path, "EUR")
    # 1000 / 1.0991 = 909.8353; 1000 / 1.0990 = 909.918
    assert trader.get("order_calc_profit", SELL, "EURUSD", 1.0, 1.1091, 1.0991) == 909.84
    assert trader.get("order_calc_profit", BUY, "EURUSD", 1.0, 1.1090, 1.0990) == -909.92
    assert trader.get("order_calc_margin", BUY, "EURUSD", 0.1, 1.0991) == 100.0
