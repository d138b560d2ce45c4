"""Instruments as a terminal told them: the file that `mt5crs symbols --json` writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from mt5crs.cli.simulated import simulated_config
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.instruments.loading import load_catalogue
from tests.terminal.desk import OPENING, Desk

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
    return Desk(SimulatedConfig(instruments=(path,)))


def test_only_the_brokers_symbols_are_there(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", [EURNOK, USDNOK, DAX])
    assert [info.name for info in trader.get("symbols_get")] == ["EURNOK", "USDNOK", "DE40"]


def test_prices_are_the_brokers_at_the_time_of_its_list(tmp_path: Path) -> None:
    """To the minute, whatever the seed; there is a spread and a minute's move between them: 0.1 %."""
    told = [EURNOK, USDNOK | {"time": OPENING + 34_567}, DAX | {"time": OPENING}]
    for seed in (1, 2):
        path = tmp_path / "broker.json"
        path.write_text(json.dumps(told))
        trader = Desk(SimulatedConfig(instruments=(path,), seed=seed), OPENING + 34_567)
        for info in told:
            assert trader.get("symbol_info_tick", info["name"]).bid == pytest.approx(info["bid"], rel=1e-3)


def test_history_does_not_depend_on_the_start(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    path.write_text(json.dumps([EURNOK | {"time": OPENING}, USDNOK]))
    config = SimulatedConfig(instruments=(path,))
    early, late = (
        Desk(config, now).get("copy_rates_range", "EURNOK", 1, OPENING - 600, OPENING)
        for now in (OPENING + 60, OPENING + 864_000)
    )
    assert len(early) == 11
    assert (early == late).all()


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
        assert again[info["name"]].bid == pytest.approx(info["bid"], rel=1e-3)  # one minute, another walk


# ---- a list as brokers have it: most of it without prices, some of it no instrument at all ----

QUIET: dict[str, Any] = {"bid": 0.0, "ask": 0.0, "last": 0.0, "spread": 0, "visible": False, "select": False}
"""A symbol outside of Market Watch."""
EURUSD = USDNOK | {
    "name": "EURUSD", "currency_base": "EUR", "currency_profit": "USD", "currency_margin": "EUR", "digits": 5,
    "bid": 1.2, "ask": 1.2001, "trade_tick_size": 0.00001, "spread": 10,
}  # fmt: skip
NOKSEK = EURNOK | {
    "name": "NOKSEK", "currency_base": "NOK", "currency_profit": "SEK", "currency_margin": "NOK", "bid": 0.94,
}  # fmt: skip
VOLV = DAX | {
    "name": "VOLV-B.ST", "path": "Stocks\\Sweden\\VOLV-B.ST", "trade_exemode": 3,
    "currency_base": "SEK", "currency_profit": "SEK", "currency_margin": "SEK",
    "trade_calc_mode": 32, "digits": 2, "trade_tick_size": 0.01, "trade_tick_value": 0.0,
    "volume_min": 1.0, "volume_step": 1.0, "filling_mode": 0, **QUIET,
}  # fmt: skip
HK50 = DAX | {
    "name": "HK50", "path": "Indices\\HK50", "currency_base": "", "currency_profit": "HKD",
    "currency_margin": "HKD", "bid": 26_000.0,
}  # fmt: skip
FUTURE = DAX | {
    "name": "BRENT_F26", "path": "Futures\\BRENT_F26", "currency_base": "USD", "currency_profit": "USD",
    "currency_margin": "USD", "trade_calc_mode": 33, "digits": 2, "trade_tick_size": 0.01,
    "trade_tick_value": 0.0, "trade_contract_size": 1000.0, "margin_initial": 0.0, "bid": 64.0,
    "start_time": 1_690_000_059, "expiration_time": 1_893_542_399, "volume_min": 1.0, "volume_step": 1.0,
}  # fmt: skip
EXPIRED = FUTURE | {
    "name": "BRENT_F14", "start_time": 1_357_000_000, "expiration_time": 1_388_534_399, **QUIET,
}  # fmt: skip
SERIES = DAX | {
    "name": "US.CPI.YOY", "path": "Economic\\US.CPI.YOY", "currency_base": "", "currency_profit": "",
    "currency_margin": "", "digits": 0, "trade_mode": 0, "trade_contract_size": 0.0, "trade_tick_size": 0.0,
    "trade_tick_value": 0.0, "volume_min": 0.0, "volume_max": 0.0, "volume_step": 0.0, "filling_mode": 0,
    "expiration_mode": 0, "order_mode": 0, "trade_stops_level": -1, "volume_limit": -1.0, **QUIET,
}  # fmt: skip
OPTION = FUTURE | {
    "name": "ES 6000 C", "trade_calc_mode": 35, "path": "Options\\ES 6000 C", **QUIET,
}  # fmt: skip
BOND = VOLV | {"name": "OFZ-26238", "trade_calc_mode": 37, "trade_face_value": 0.0}
LONG = VOLV | {"name": "US0378331005.NASDAQ.APPLE.INC.CFD"}
USD_ETF = VOLV | {"name": "USD", "currency_base": "USD", "currency_profit": "USD", "bid": 55.0}
ODD = EURNOK | {
    "name": "EURNOK.x", "filling_mode": 15, "expiration_mode": 31, "order_mode": 255, "swap_mode": 9,
    "swap_rollover3days": 7, "volume_min": 0.05, "volume_step": 0.1, "volume_max": 0.0,
    "trade_tick_size": 0.00018, "expiration_time": 1_893_542_399,
}  # fmt: skip
LISTED = [EURUSD, EURNOK, NOKSEK, VOLV, HK50, FUTURE, EXPIRED, SERIES, OPTION, BOND, LONG, USD_ETF, ODD]


def test_a_whole_list_is_taken_and_what_is_made_up_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trader = desk(tmp_path / "broker.json", LISTED)
    names = [info.name for info in trader.get("symbols_get")]
    assert names == [told["name"] for told in LISTED if told not in (OPTION, BOND, LONG)]
    (record,) = caplog.records
    said = record.getMessage()
    assert (record.levelname, record.name.rpartition(".")[2]) == ("WARNING", "loading")
    for part in (
        "invented prices: VOLV-B.ST, BRENT_F14, US.CPI.YOY;",
        "worth 1 USD for want of a pair, which trading needs: HKD;",
        "without swap, whose mode is not known: EURNOK.x;",
        "ES 6000 C (calc_mode is 35: invalid enum value 35)",
        "OFZ-26238 (calc_mode is a bond's: expected face_value)",
        "US0378331005.NASDAQ.APPLE.INC.CFD (name is",
    ):
        assert part in said


def test_every_symbol_of_a_list_has_prices(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", LISTED)
    for info in trader.get("symbols_get"):
        assert info.ask > info.bid > 0 or info.name == "BRENT_F14"  # it expired before history begins
        assert trader.ask("copy_rates_from_pos", info.name, 1, 0, 5)[1][0] == 1


def test_a_list_without_anything_made_up_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk(tmp_path / "broker.json", [EURUSD, EURNOK, NOKSEK, DAX])
    assert not caplog.records


def test_long_lists_are_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    quiet = [VOLV | {"name": f"S{number}"} for number in range(1500)]
    desk(tmp_path / "broker.json", [EURUSD, EURNOK, NOKSEK, *quiet])
    assert "invented prices: S0, S1, S2, S3, S4 and 1495 more" in caplog.text


def test_currencies_are_worth_what_chains_of_pairs_say(tmp_path: Path) -> None:
    """EURUSD 1.2 and EURNOK 11.75: a NOK is 1.2 / 11.75 USD; NOKSEK 0.94: a SEK is that over 0.94."""
    path = tmp_path / "broker.json"
    path.write_text(json.dumps([NOKSEK, EURNOK, EURUSD, VOLV, HK50, USD_ETF]))
    legs = load_catalogue(path).legs
    assert legs["EUR"].price == pytest.approx(1.2)
    assert legs["NOK"].price == pytest.approx(1.2 / 11.75)
    assert legs["SEK"].price == pytest.approx(1.2 / 11.75 / 0.94)
    assert legs["VOLV-B.ST"].price == pytest.approx(100 * 1.2 / 11.75 / 0.94)  # 100 SEK
    assert (legs["HKD"].price, legs["HK50"].price) == (1.0, 26_000.0)
    assert (legs["USD"].price, legs["USD itself"].price) == (1.0, 55.0)


def test_without_a_pair_with_usd_what_ships_is_known(tmp_path: Path) -> None:
    """A EUR ships at 1.15."""
    path = tmp_path / "broker.json"
    path.write_text(json.dumps([EURNOK]))
    assert load_catalogue(path).legs["NOK"].price == pytest.approx(1.15 / 11.75)


@pytest.mark.parametrize(("field", "price"), [("last", 250.0), ("ask", 251.0), ("session_close", 249.0)])
def test_any_price_is_better_than_none(tmp_path: Path, field: str, price: float) -> None:
    path = tmp_path / "broker.json"
    path.write_text(json.dumps([EURUSD, EURNOK, NOKSEK, VOLV | {field: price}]))
    catalogue = load_catalogue(path)
    assert catalogue.legs["VOLV-B.ST"].price == pytest.approx(price * catalogue.legs["SEK"].price)


def test_what_a_field_leaves_open_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "broker.json"
    path.write_text(json.dumps(LISTED))
    symbols = load_catalogue(path).symbols
    odd, series, future = symbols["EURNOK.x"], symbols["US.CPI.YOY"], symbols["BRENT_F26"]
    assert (odd.filling_mode, odd.expiration_mode, odd.order_mode) == (7, 15, 127)
    assert (odd.swap_mode, odd.swap_rollover3days) == (0, 3)
    assert (odd.volume_min, odd.volume_step, odd.volume_max) == (0.1, 0.1, 0.1)  # the first whole step
    assert odd.tick_size == 0.0002  # 1.8 points
    assert odd.expiration_time == 1_893_542_340  # 2030-01-01 23:59:59, cut
    assert (series.currency_profit, series.contract_size, series.tick_size) == ("USD", 1.0, 1.0)
    assert (series.volume_min, series.volume_step, series.volume_max) == (1.0, 1.0, 1.0)
    assert (series.filling_mode, series.expiration_mode, series.order_mode) == (0, 0, 0)
    assert (series.trade_mode, series.stops_level, series.volume_limit) == (0, 0, 0.0)
    assert (future.start_time, future.expiration_time) == (1_690_000_020, 1_893_542_340)
    assert (future.tick_value, future.margin_initial) == (10.0, 0.0)  # 0.01 of 1000 barrels


def test_what_can_be_traded_of_a_list_is_traded(tmp_path: Path) -> None:
    trader = desk(tmp_path / "broker.json", LISTED)
    assert trader.deal(0, 1.0, symbol="BRENT_F26", type_filling=1).retcode == 10009
    assert trader.deal(0, 1.0, symbol="VOLV-B.ST", type_filling=2).retcode == 10009
    assert trader.deal(0, 1.0, symbol="US.CPI.YOY").retcode == 10035  # no order type has its bit
    assert trader.deal(0, 0.1, symbol="HK50", type_filling=1).retcode == 10021  # nothing converts HKD


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "broker.json"),
        ("[]", "does not list symbols"),
        ('[{"name": "EURUSD"}]', "does not list symbols"),
        (json.dumps([EURNOK | {"name": ["EURNOK"]}]), "does not list symbols"),
        (json.dumps([EURNOK | {"bid": "11.75"}]), "does not list symbols"),
        (json.dumps([EURNOK, DAX, EURNOK]), "lists EURNOK 2 times"),
        (json.dumps([OPTION, LONG]), "no symbol that can be simulated"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "broker.json"
    path.write_text(content)
    with pytest.raises(SettingError, match=said):
        Desk(SimulatedConfig(instruments=(path,)))


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY"])
def test_profits_survive_the_journey_in_any_currency(tmp_path: Path, currency: str) -> None:
    """A tick's worth is told in the account's currency, whichever that is: it is not converted twice."""
    own = Desk(SimulatedConfig(currency=currency))
    path = tmp_path / "own.json"
    path.write_text(json.dumps([info._asdict() for info in own.get("symbols_get")]))
    again = Desk(SimulatedConfig(currency=currency, instruments=(path,)))
    for symbol, opened, closed in (
        ("ESZ30", 6800.0, 6810.0),
        ("EURUSD", 1.1, 1.11),
        ("WTI-12.30", 60.0, 61.0),
    ):
        before, after = (
            desk.get("order_calc_profit", 0, symbol, 1.0, opened, closed) for desk in (own, again)
        )
        assert after == pytest.approx(before, rel=2e-3)  # but for the rate of another tick


# ---- files of a user's own beside the broker's ----

SESSIONS = '[symbols.DE40]\nquote_sessions = "mon-fri 01:00-23:00"\nspread = 3\n'
COMMISSION = (
    '[symbols.DE40]\ncommission = {per = "lot", value = 3.5}\nspread = 5\n[legs.DE40]\nvolatility = 0.02\n'
)


def written(folder: Path, **contents: str) -> list[Path]:
    """Return the files, in order, each with its content; `broker` is JSON, any other TOML."""
    paths: list[Path] = []
    for name, content in contents.items():
        paths.append(folder / f"{name}.{'json' if name.startswith('broker') else 'toml'}")
        paths[-1].write_text(content, encoding="utf-8")
    return paths


def test_files_add_to_the_brokers_in_their_order(tmp_path: Path) -> None:
    """Wherever the broker's file stands, it comes first."""
    hours, costs, broker = written(
        tmp_path, hours=SESSIONS, costs=COMMISSION, broker=json.dumps([DAX, EURUSD])
    )
    for order in ((broker, hours, costs), (hours, broker, costs), (hours, costs, broker)):
        catalogue = load_catalogue(*order)
        symbol = catalogue.symbols["DE40"]
        assert list(catalogue.symbols) == ["DE40", "EURUSD"]
        assert (symbol.quote_sessions, symbol.spread, symbol.volume_max) == ("mon-fri 01:00-23:00", 5, 20.0)
        assert symbol.commission is not None
        assert symbol.commission.value == 3.5
        assert catalogue.legs["DE40"].volatility == 0.02
        assert catalogue.legs["DE40"].price == pytest.approx(24_000.5 * 1.2)  # in USD
    assert load_catalogue(broker, costs, hours).symbols["DE40"].spread == 3


def test_a_mistake_is_said_of_its_file(tmp_path: Path) -> None:
    broker, hours, costs = written(
        tmp_path, broker=json.dumps([DAX, EURUSD]), hours=SESSIONS, costs="[symbols.DE40]\nspread = -1\n"
    )
    with pytest.raises(SettingError, match=r"costs\.toml: symbol DE40: spread is -1"):
        load_catalogue(broker, hours, costs)


def test_there_is_one_broker(tmp_path: Path) -> None:
    listed = json.dumps([EURUSD])
    with pytest.raises(SettingError, match=r"broker\.json and .*broker_2\.json are a broker's list each"):
        load_catalogue(*written(tmp_path, broker=listed, broker_2=listed))


def test_the_command_line_takes_several_files(tmp_path: Path) -> None:
    files = written(tmp_path, broker=json.dumps([DAX, EURUSD]), hours=SESSIONS, costs=COMMISSION)
    trader = Desk(simulated_config({"instruments": files}))
    assert [info.name for info in trader.get("symbols_get")] == ["DE40", "EURUSD"]
