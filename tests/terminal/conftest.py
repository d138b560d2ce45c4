"""Terminals to trade on."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import OPENING, Desk

Quote = tuple[float, float, float]


@pytest.fixture
def quotes(tmp_path: Path) -> Callable[..., Desk]:
    """Return a desk for a list of (second, bid, ask)."""

    def make(*ticks: Quote, symbol: str = "EURUSD", **settings: Any) -> Desk:
        path = tmp_path / f"{symbol.lower()}_ticks.csv"
        rows = [f"{_iso(OPENING + second)},{bid},{ask}" for second, bid, ask in ticks]
        path.write_text("\n".join(["timestamp,bid,ask", *rows, ""]), encoding="utf-8")
        config = SimulatedConfig(replay=(path,), start=OPENING, speed=1.0, **settings)
        return Desk(config)

    return make


@pytest.fixture
def steady(quotes: Callable[..., Desk]) -> Desk:
    """Return a desk where EURUSD stands at 1.10000/1.10010 for an hour."""
    return quotes((0, 1.10000, 1.10010), (3600, 1.10000, 1.10010))


@pytest.fixture
def synthetic() -> Callable[..., Desk]:
    """Return a desk with seeded prices."""

    def make(**settings: Any) -> Desk:
        return Desk(SimulatedConfig(**settings))

    return make


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds")
