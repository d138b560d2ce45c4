"""The instruments that ship, and a user's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from tests.terminal.desk import Desk

Own = Callable[[str], Path]
SHIPPED = (
    "EURUSD GBPUSD USDJPY USDCHF USDCAD AUDUSD NZDUSD EURGBP EURJPY GBPJPY EURAUD EURCAD AUDCAD CHFJPY "
    "USDRUB XAUUSD XAGUSD BTCUSD ETHUSD US500 WTI-12.30 ESZ30 AAPL UST4.25-34"
)
NOK = "[legs.NOK]\nprice = 0.0985\nvolatility = 0.006\n"
EURNOK = NOK + '[symbols.EURNOK]\ncurrency_base = "EUR"\ncurrency_profit = "NOK"\n'


@pytest.fixture
def own(tmp_path: Path) -> Own:
    """Return a file of a user's instruments."""

    def write(text: str) -> Path:
        path = tmp_path / "instruments.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def info(path: Path, symbol: str) -> Any:
    return Desk(SimulatedConfig(instruments=(path,))).get("symbol_info", symbol)


def test_what_ships() -> None:
    symbols = load_catalogue().symbols
    assert list(symbols) == SHIPPED.split()
    assert {symbol.calc_mode for symbol in symbols.values()} == {0, 1, 2, 4, 32, 33, 37}
    assert {symbol.swap_mode for symbol in symbols.values()} == {0, 1, 3, 4, 5, 6}
    assert {symbol.exemode for symbol in symbols.values()} == {2, 3}
    # what the documents say: the majors cost nothing but their spread
    assert all(symbols[name].commission is None for name in SHIPPED.split()[:14])
    stock = symbols["AAPL"]
    assert stock.commission is not None
    assert (stock.commission.per, stock.commission.value, stock.commission.minimum) == ("lot", 0.02, 1.0)
    assert stock.margin_rates["sell_stop_limit"] == 1.0


def test_a_new_symbol_of_a_user(own: Own) -> None:
    path = own(
        EURNOK
        + """
description = "Euro vs Norwegian Krone"
path = "Forex\\\\Nordic"
spread = 350
volume_min = 1
volume_step = 1
holidays = [2026-05-17, "12-25"]
expiration_time = 2030-01-02T12:30:00
start_time = 2020-01-02T12:30:00+01:00
commission = {per = "lot", value = 3.5, on = "in"}
margin_rates = {buy = 1.5, sell_limit = 0.5}
swap_days = [1, 1, 3, 1, 1, 0, 0]
"""
    )
    symbol = load_catalogue(path).symbols["EURNOK"]
    assert symbol.holidays == ("2026-05-17", "12-25")
    assert symbol.expiration_time == 1_893_587_400  # 2030-01-02 12:30 of the server
    assert symbol.start_time == 1_577_964_600  # 2020-01-02 11:30 UTC
    assert symbol.commission is not None
    assert (symbol.commission.on, symbol.commission.minimum) == ("in", 0.0)
    assert symbol.margin_rates == {"buy": 1.5, "sell_limit": 0.5}
    shown = info(path, "EURNOK")
    assert (shown.path, shown.digits, shown.volume_min) == ("Forex\\Nordic\\EURNOK", 5, 1.0)
    assert type(shown.volume_min) is float
    # a kind that is not named is forex: its sessions
    assert symbol.quote_sessions == "mon-thu 00:00-24:00, fri 00:00-23:57"
    assert shown.spread > 200
    assert 9 < shown.bid < 15  # 1.15 / 0.0985 on 2025-11-01, two years before


def test_a_shipped_symbol_changed(own: Own) -> None:
    path = own("[symbols.EURUSD]\ndigits = 4\nspread = 2\n[legs.EUR]\nweekend = 0.5\n")
    before, after = (load_catalogue(*files).symbols["EURUSD"] for files in ((), (path,)))
    assert (after.digits, after.spread, after.tick_size) == (4, 2, 0.0001)
    assert (after.swap_long, after.description) == (before.swap_long, before.description)
    assert list(load_catalogue(path).symbols) == SHIPPED.split()
    leg = load_catalogue(path).legs["EUR"]
    assert (leg.price, leg.weekend) == (1.15, 0.5)


def test_kinds_are_shared(own: Own) -> None:
    path = own(
        """
[kinds.exotic]
spread = 400
stops_level = 50
[kinds.stock]
spread = 7
[symbols.EURCHF]
kind = "exotic"
currency_base = "EUR"
currency_profit = "CHF"
[symbols.MSFT]
kind = "stock"
price_leg = "AAPL"
spread = 3
"""
    )
    symbols = load_catalogue(path).symbols
    assert (symbols["EURCHF"].spread, symbols["EURCHF"].stops_level, symbols["EURCHF"].path) == (
        400,
        50,
        "Custom",
    )
    assert (symbols["MSFT"].calc_mode, symbols["MSFT"].spread, symbols["MSFT"].volume_step) == (32, 3, 1.0)
    assert symbols["AAPL"].spread == 2  # its own goes before its kind's


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("symbols = 1", "Expected `object`, got `int`"),
        ("[symbols.EURUSD", "instruments.toml: "),
        ("[symbol.EURUSD]", "unknown field `symbol`"),
        ("[symbols.EURUSD]\nspreads = 1", "symbol EURUSD: Object contains unknown field `spreads`"),
        ("[symbols.EURCHF]", "symbol EURCHF: Object missing required field `currency_base`"),
        ("[symbols.EURUSD]\nspread = '1'", "symbol EURUSD: spread is '1': expected `int`, got `str`"),
        ("[symbols.EURUSD]\nvolume_min = 0", "volume_min is 0: expected `float` > 0.0"),
        ("[symbols.EURUSD]\nvolume_step = -0.1", "volume_step is -0.1: expected `float` > 0.0"),
        ("[symbols.EURUSD]\nvolume_step = 0.03", "volume_min is 0.01: expected a multiple of volume_step"),
        ("[symbols.EURUSD]\nvolume_max = 0.001", "volume_max is 0.001: expected volume_min (0.01) or more"),
        ("[symbols.EURUSD]\ndigits = 9", "digits is 9: expected `int` <= 8"),
        ("[symbols.EURUSD]\ncalc_mode = 7", "calc_mode is 7: invalid enum value 7"),
        ("[symbols.EURUSD]\ncalc_mode = 1", "calc_mode is a future's: expected tick_value"),
        ("[symbols.EURUSD]\ncalc_mode = 33\ntick_value = 1", "expected margin_initial"),
        ("[symbols.EURUSD]\ncalc_mode = 37", "calc_mode is a bond's: expected face_value"),
        ("[symbols.EURUSD]\ncalc_mode = 3", "calc_mode is an index's: expected tick_value"),
        ("[symbols.EURUSD]\nfilling_mode = 8", "filling_mode is 8: expected `int` <= 7"),
        ("[symbols.EURUSD]\ntick_size = 0.000015", "tick_size is 1.5e-05: expected a multiple of the last"),
        ("[symbols.EURUSD]\nbook_depth = 5", "book_depth is 5: expected a book_volume"),
        ("[symbols.EURUSD]\nvolume_max = inf", "symbol EURUSD: volume_max is inf: expected a finite number"),
        ("[symbols.EURUSD]\nswap_long = nan", "swap_long is nan: expected a finite number"),
        ("[symbols.EURUSD]\nmargin_rates = {buy = inf}", "margin_rates is {'buy': inf}: expected a finite"),
        ("[legs.EUR]\nprice = 1e300", "leg EUR: price is 1e+300: expected `float` <= 1"),
        ("[legs.EUR]\nvolatility = 5.0", "leg EUR: volatility is 5.0: expected `float` <= 1"),
        ("[symbols.EURUSD]\nswap_days = [1, 1]", "swap_days has 2 numbers: expected 7"),
        ("[symbols.EURUSD]\nmargin_rates = {long = 1}", "margin_rates has 'long': expected order types, buy"),
        (
            "[symbols.EURUSD]\nquote_sessions = 'mon 9-17'",
            "quote_sessions: 'mon 9-17' is no session, such as",
        ),
        ("[symbols.EURUSD]\ntrade_sessions = 'daily'", "trade_sessions: 'daily' is no session"),
        ("[symbols.EURUSD]\nholidays = ['25-12']", "holidays: '1990-25-12' is no day"),
        ("[symbols.EURUSD]\nstart_time = 'soon'", "start_time is 'soon': expected `int`, got `str`"),
        ("[symbols.EURUSD]\nstart_time = 61", "start_time is 61: expected a whole minute"),
        ("[symbols.ESZ30]\nexpiration_time = 60", "expiration_time is 60: expected a time after start_time"),
        ("[symbols.EURUSD]\nkind = 'fx'", "kind is 'fx'"),
        ("[symbols.EURUSD]\nkind = ['forex']", "kind is ['forex']"),
        ("[symbols.EURUSD]\ncommission = {per = 'share', value = 1}", "commission.per is"),
        ("[legs.EUR]\nprice = 0", "leg EUR: price is 0: expected `float` >= 1e-12"),
        ("[symbols.EURNOK]\ncurrency_base = 'EUR'\ncurrency_profit = 'NOK'", "there is no leg NOK"),
        (f"[symbols.{'A' * 30}]\nkind = 'stock'", "expected `str` of length <= 29"),
    ],
)
def test_a_mistake_is_named_with_its_place(own: Own, text: str, said: str) -> None:
    path = own(text)
    with pytest.raises(SettingError) as refusal:
        Desk(SimulatedConfig(instruments=(path,)))
    assert said in str(refusal.value)
    assert str(refusal.value).startswith(f"instruments: {path}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing.toml", tmp_path, binary):
        with pytest.raises(SettingError, match="instruments: "):
            load_catalogue(path)
