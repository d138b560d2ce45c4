"""Prices from files in the forms of MetaTrader, TrueFX and HistData."""

import gzip
from pathlib import Path

import pytest

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.replay import load_replay, symbol_in
from tests.terminal.desk import Desk

BARS = "time,open,high,low,close,tick_volume,spread,real_volume\n"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("mt5_eurusd_m1_2025-11.csv.gz", "EURUSD"),
        ("truefx_usdjpy_ticks_2013-01-01.csv", "USDJPY"),
        ("GBPUSD.csv", "GBPUSD"),
        ("DAT_ASCII_EURCHF_T_202001.csv", "EURCHF"),
    ],
)
def test_the_symbol_is_in_the_name(name: str, symbol: str) -> None:
    assert symbol_in(Path(name)) == symbol


@pytest.mark.parametrize(
    ("name", "symbol", "ticks", "first", "last"),
    [
        (
            "truefx_usdjpy_ticks_2013-01-01.csv",
            "USDJPY",
            1000,
            (1_357_077_600_295, 86.655, 86.728),
            (1_357_079_713_494, 86.836, 86.854),
        ),
        (
            "histdata_eurusd_ticks_2020-01-01.csv.gz",
            "EURUSD",
            9500,
            (1_577_898_000_065, 1.1212, 1.12172),
            (1_577_919_652_125, 1.1213, 1.12132),
        ),
    ],
)
def test_recorded_ticks(
    shared_data: Path,
    name: str,
    symbol: str,
    ticks: int,
    first: tuple[float, ...],
    last: tuple[float, ...],
) -> None:
    desk = Desk(SimulatedConfig(replay=(shared_data / name,)))
    desk.clock.now += 86_400 * 3
    every = desk.get("copy_ticks_range", symbol, 0, 1 << 40, c.COPY_TICKS_ALL)
    assert len(every) == ticks
    assert every[0][["time_msc", "bid", "ask"]].item() == first
    assert every[-1][["time_msc", "bid", "ask"]].item() == last


@pytest.mark.parametrize(
    "name",
    [
        "mt5_eurusd_m1_2025-11.csv.gz",
        "mt5_gbpusd_m1_2025-11.csv.gz",
        "mt5_usdcad_m1_2025-11.csv.gz",
        "truefx_usdjpy_ticks_2013-01-01.csv",
        "histdata_eurusd_ticks_2020-01-01.csv.gz",
    ],
)
def test_a_replay_starts_with_history_behind_it_and_ticks_before_it(shared_data: Path, name: str) -> None:
    desk = Desk(SimulatedConfig(replay=(shared_data / name,)))
    symbol = symbol_in(Path(name))
    assert len(desk.get("copy_rates_from_pos", symbol, c.TIMEFRAME_H1, 0, 24)) > 0
    desk.terminal.follow(symbol)
    desk.clock.now += 5
    assert sum(len(ticks) for _symbol, ticks in desk.terminal.take_ticks()) > 0
    assert desk.deal(0, 0.1, symbol=symbol).retcode == 10009


def test_an_unknown_symbol_is_specified_from_its_name_and_digits(tmp_path: Path) -> None:
    path = tmp_path / "eurnok.csv"
    path.write_text(BARS + "60,11.50123,11.5020,11.5000,11.5010,4,20,0\n", encoding="utf-8")
    desk = Desk(SimulatedConfig(replay=(path,)))
    info = desk.get("symbol_info", "EURNOK")
    assert (info.currency_base, info.currency_profit, info.digits) == ("EUR", "NOK", 5)
    assert info.visible


def test_a_gzipped_file_is_read_as_the_plain_one(tmp_path: Path) -> None:
    rows = "20200101 170000065,1.12120,1.12172,0\n20200101 170010447,1.12120,1.12192,0\n"
    plain, packed = tmp_path / "eurusd.csv", tmp_path / "eurusd.csv.gz"
    plain.write_text(rows, encoding="utf-8")
    packed.write_bytes(gzip.compress(rows.encode()))
    ticks = [load_replay(path).source.ticks(0, 1 << 50).tolist() for path in (plain, packed)]
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (BARS, "has no prices"),
        ("a,b,c\n1,2,3\n", "line 1"),
        (BARS + "60,1.1,1.2,1.0,1.1,4,0,0\n120,1.1,oops,1.0,1.1,4,0,0\n", "line 3"),
        (BARS + "60,1.1,1.2\n", "line 2"),
        (BARS + "60,1.1,1.0,1.2,1.1,4,0,0\n", "do not make a bar"),
        (BARS + "120,1.1,1.2,1.0,1.1,4,0,0\n60,1.1,1.2,1.0,1.1,4,0,0\n", "time goes back after row 1"),
        ("timestamp,bid,ask\n2020-01-01 00:00:00,1.2,1.1\n", "line 2"),
        ("timestamp,bid,ask\nyesterday,1.1,1.2\n", "line 2"),
        ("20200101 170000065,1.1,1.2,0\n20200101 990000065,1.1,1.2,0\n", "line 2"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "eurusd.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingError, match="expected MetaTrader M1 bars") as refusal:
        Desk(SimulatedConfig(replay=(path,)))
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    broken = tmp_path / "eurusd.csv.gz"
    broken.write_bytes(b"not gzip at all")
    for path in (tmp_path / "eurusd_missing.csv", broken, tmp_path):
        with pytest.raises(SettingError, match="replay: "):
            load_replay(path, "EURUSD")
    with pytest.raises(SettingError, match="no symbol in the name"):
        symbol_in(Path("data.csv"))


@pytest.mark.parametrize("settings", [{"deposit": 0.0}, {"leverage": -1}, {"maxbars": 0}, {"speed": 0.0}])
def test_impossible_settings(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="must be above 0"):
        SimulatedConfig(**settings)  # type: ignore[arg-type]
