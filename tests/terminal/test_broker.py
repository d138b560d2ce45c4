"""Instruments as a terminal told them: the file that `mt5crs symbols --json` writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from tests.terminal.desk import Desk

# A broker's own: a pair whose currency does not ship, its cross, and an index in euros.
EURNOK: dict[str, Any] = {
    "name": "EURNOK", "description": "Euro vs Krone", "path": "Exotics\\EURNOK", "digits": 4,
    "currency_base": "EUR", "currency_profit": "NOK", "currency_margin": "EUR", "trade_calc_mode": 0,
    "trade_mode": 4, "trade_exemode": 2, "trade_stops_level": 30, "trade_freeze_level": 5,
    "trade_contract_size": 100000.0, "trade_tick_size": 0.0001, "trade_tick_value": 9.9, "spread": 300,
    "volume_min": 0.1, "volume_max": 20.0, "volume_step": 0.1, "filling_mode": 2, "expiration_mode": 15,
    "order_mode": 127, "swap_mode": 1, "swap_long": -40.5, "swap_short": 3.25, "swap_rollover3days": 3,
    "margin_hedged": 100000.0, "visible": True, "select": True, "bid": 11.75, "ask": 11.78, "last": 0.0,
    "ticks_bookdepth": 0, "order_gtc_mode": 0,
}  # fmt: skip
USDNOK = EURNOK | {
    "name": "USDNOK", "currency_base": "USD", "currency_margin": "USD", "bid": 10.15,
    "path": "Exotics\\USDNOK",
}  # fmt: skip
DAX = EURNOK | {
    "name": "DE40", "description": "Germany 40", "path": "Indices\\DE40", "digits": 1, "currency_base": "EUR",
    "currency_profit": "EUR", "currency_margin": "EUR", "trade_calc_mode": 4, "trade_contract_size": 1.0,
    "trade_tick_size": 0.1, "trade_tick_value": 0.1154, "spread": 12, "bid": 24000.5, "volume_step": 0.1,
}  # fmt: skip


def desk(path: Path, told: object) -> Desk:
    path.write_text(json.dumps(told))
    return Desk(SimulatedConfig(instruments=path))


def test_only_the_brokers_symbols_are_there(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", [EURNOK, USDNOK, DAX])
    assert [info.name for info in trader.get("symbols_get")] == ["EURNOK", "USDNOK", "DE40"]


@pytest.mark.parametrize("told", [EURNOK, DAX])
def test_what_the_broker_fixes_is_told_again(tmp_path: Path, told: dict[str, Any]) -> None:
    info = desk(tmp_path / "broker.json", [EURNOK, USDNOK, DAX]).get("symbol_info", told["name"])._asdict()
    moving = {"bid", "ask", "spread", "trade_tick_value"}
    assert {name: info[name] for name in told if name not in moving} == {
        name: value for name, value in told.items() if name not in moving
    }


def test_prices_are_where_the_broker_has_them(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", [EURNOK, USDNOK, DAX])
    for told in (EURNOK, USDNOK, DAX):
        tick = trader.get("symbol_info_tick", told["name"])
        assert 0.6 < tick.bid / told["bid"] < 1.6  # a walk of some weeks from there
        assert tick.ask > tick.bid


def test_orders_keep_to_the_brokers_specification(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", [EURNOK, USDNOK])
    assert trader.deal(0, 0.15, symbol="EURNOK", type_filling=1).retcode == 10014
    assert trader.deal(0, 0.1, symbol="EURNOK", type_filling=0).retcode == 10030  # the mask has IOC alone
    assert trader.deal(0, 0.1, symbol="EURNOK", type_filling=1).retcode == 10009
    assert trader.deal(0, 0.1, symbol="EURUSD", type_filling=1).retcode == 10021


def test_our_own_symbols_survive_the_journey(tmp_path: Path) -> None:
    """What the simulated terminal tells, told to another one, is told again."""
    fixed = ("digits", "trade_calc_mode", "trade_contract_size", "volume_min", "volume_step", "filling_mode",
             "order_mode", "expiration_mode", "swap_mode", "swap_long", "margin_initial", "trade_tick_size",
             "currency_base", "currency_profit", "currency_margin", "ticks_bookdepth", "path")  # fmt: skip
    told = [info._asdict() for info in Desk(SimulatedConfig()).get("symbols_get")]
    again = {info.name: info for info in desk(tmp_path / "own.json", told).get("symbols_get")}
    for info in told:
        assert [getattr(again[info["name"]], name) for name in fixed] == [info[name] for name in fixed]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "broker.json"),
        ("[]", "does not list symbols"),
        ('[{"name": "EURUSD"}]', "does not list symbols"),
        (json.dumps([EURNOK]), "no leg NOK"),
        (json.dumps([EURNOK | {"volume_step": 0.0}, USDNOK]), "volume_step"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "broker.json"
    path.write_text(content)
    with pytest.raises(SettingError, match=said):
        Desk(SimulatedConfig(instruments=path))
