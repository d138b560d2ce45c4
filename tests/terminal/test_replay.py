"""Prices from files in the forms of MetaTrader, TrueFX and HistData."""

import gzip
from pathlib import Path

import pytest

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.replay import load_replays, starting_point, symbol_in
from mt5crs.topics import Ticks
from tests.terminal.desk import OPENING, Desk, new_ticks

BARS = "time,open,high,low,close,tick_volume,spread,real_volume\n"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("mt5_eurusd_m1_2025-11.csv.gz", "EURUSD"),
        ("truefx_usdjpy_ticks_2013-01-01.csv", "USDJPY"),
        ("GBPUSD.csv", "GBPUSD"),
        ("DAT_ASCII_EURCHF_T_202001.csv", "EURCHF"),
        ("EURUSD_M1_202511030000_202511282356.csv", "EURUSD"),
        ("US500.cash_202511030000_202511282356.csv.gz", "US500.cash"),
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
    desk.terminal.follow(Ticks(symbol))
    desk.clock.now += 5
    assert sum(len(ticks) for _topic, _start, ticks in new_ticks(desk.terminal)) > 0
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
    ticks = [load_replays([path])[0].ticks for path in (plain, packed)]
    assert ticks[0] is not None
    assert ticks[1] is not None
    assert ticks[0].tolist() == ticks[1].tolist()
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
        (
            BARS + "120,1.1,1.2,1.0,1.1,4,0,0\n60,1.1,1.2,1.0,1.1,4,0,0\n",
            "line 3: time goes back after row 1",
        ),
        (BARS + "60,1.1,1.2,1.0,1.1,4,0,0\n\n60,1.1,1.2,1.0,1.1,4,0,0\n", "line 4: a second bar"),
        (
            BARS + "60,1.1,1.2,1.0,1.1,4,0,0\n121,1.1,1.2,1.0,1.1,4,0,0\n",
            "line 3: an M1 bar opens at a whole",
        ),
        (BARS + "60,1.1,1.2,1.0,nan,4,0,0\n", "line 2: 'nan' is not a number"),
        (BARS + "60,1.1,inf,1.0,1.1,4,0,0\n", "line 2: 'inf' is not a number"),
        (BARS + "60,1.1,1.2,1.0,1.1,4,-1,0\n", "line 2: spread is -1.0"),
        (BARS + "60,1.1,1.2,1.0,1.1,4,0,0\n2020-01-01,1.1,1.2,1.0,1.1,4,0,0\n", "line 3"),
        (
            "<DATE>\t<TIME>\t<BID>\t<ASK>\n2020.01.01\t25:00:00\t1.1\t1.2\n",
            "line 2: '25:00:00' is not a time",
        ),
        ("<DATE>\t<TIME>\t<BID>\t<ASK>\n2020.02.30\t05:00:00\t1.1\t1.2\n", "line 2"),
        ("<DATE>\t<TIME>\t<BID>\t<ASK>\n2020.01.01\t05:00:00\t1.1\t\n", "has no prices"),
        ("timestamp,bid,ask\n2020-01-01 00:00:00,nan,1.1\n", "line 2: 'nan' is not a number"),
        (
            "timestamp,bid,ask\n2020-01-01 00:00:01,1.1,1.1\n2020-01-01 00:00:00,1.1,1.1\n",
            "line 3: time goes",
        ),
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
            load_replays([path], "EURUSD")
    with pytest.raises(SettingError, match="no symbol in the name"):
        symbol_in(Path("data.csv"))


MT5_BARS = """<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2025.11.03\t00:00:00\t1.15280\t1.15295\t1.15270\t1.15282\t31\t7\t2
2025.11.03\t00:01:00\t1.15282\t1.15290\t1.15280\t1.15288\t12\t0\t0
"""
NOVEMBER_3 = 1_762_128_000  # 2025-11-03 00:00:00 UTC
EXPORTED = [
    (NOVEMBER_3, 1.1528, 1.15295, 1.1527, 1.15282, 31, 2, 7),
    (NOVEMBER_3 + 60, 1.15282, 1.1529, 1.1528, 1.15288, 12, 0, 0),
]
EXPORT_NAME = "EURUSD_M1_202511030000_202511282356.csv"


@pytest.mark.parametrize(
    "content",
    [
        MT5_BARS.encode(),
        MT5_BARS.replace("\t", ",").encode(),
        MT5_BARS.replace("\n", "\r\n").encode(),
        b"\xff\xfe" + MT5_BARS.encode("utf-16-le"),
        b"\xef\xbb\xbf" + MT5_BARS.encode(),
    ],
    ids=["tabs", "commas", "crlf", "utf-16", "bom"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bars_as_the_terminal_exports_them(tmp_path: Path, content: bytes, packed: bool) -> None:
    path = tmp_path / (EXPORT_NAME + ".gz" * packed)
    path.write_bytes(gzip.compress(content) if packed else content)
    (replay,) = load_replays([path])
    assert (replay.symbol, replay.digits, replay.ticks) == ("EURUSD", 5, None)
    assert replay.bars.tolist() == EXPORTED


def test_bars_of_the_old_kind_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD1.csv"
    rows = ("2025.11.03,00:00,1.15280,1.15295,1.15270,1.15282,31", "2025.11.03,00:01,1.2,1.3,1.1,1.2,12")
    path.write_text("\n".join(rows), encoding="utf-8")
    (replay,) = load_replays([path], "EURUSD")
    assert replay.bars.tolist() == [
        (NOVEMBER_3, 1.1528, 1.15295, 1.1527, 1.15282, 31, 0, 0),
        (NOVEMBER_3 + 60, 1.2, 1.3, 1.1, 1.2, 12, 0, 0),
    ]


def test_ticks_as_the_terminal_exports_them(tmp_path: Path) -> None:
    path = tmp_path / "USDJPY_202511030000_202511030001.csv"
    path.write_text(
        "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n"
        "2025.11.03\t00:00:00.100\t\t154.010\t\t\t4\n"  # no bid yet: left out
        "2025.11.03\t00:00:00.345\t154.001\t\t\t\t2\n"
        "2025.11.03\t00:00:01.000\t\t154.012\t\t\t4\n"
        "2025.11.03\t00:00:01.000\t154.003\t154.013\t\t\t134\n"
        "2025.11.03\t00:00:02.007\t154.004\n",
        encoding="utf-8",
    )
    (replay,) = load_replays([path])
    assert (replay.symbol, replay.digits) == ("USDJPY", 3)
    assert replay.ticks is not None
    columns = replay.ticks[["time_msc", "bid", "ask", "last", "volume", "flags"]].tolist()
    start = NOVEMBER_3 * 1000
    assert columns == [
        (start + 345, 154.001, 154.01, 0.0, 0, 6),  # the first states both
        (start + 1000, 154.001, 154.012, 0.0, 0, 4),
        (start + 1000, 154.003, 154.013, 0.0, 0, 134),  # as newer builds write it
        (start + 2007, 154.004, 154.013, 0.0, 0, 2),  # no flags: what changed
    ]


def test_exported_ticks_of_an_exchange_carry_trades(tmp_path: Path) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(
        "<DATE>,<TIME>,<BID>,<ASK>,<LAST>,<VOLUME>\n"
        "2025.11.03,00:00:00.000,100.25,100.50,,\n"
        "2025.11.03,00:00:01.000,,,100.50,3\n"
        "2025.11.03,00:00:02.000,100.00,100.25,,\n"
        "2025.11.03,00:00:03.000,,,100.00,2\n",
        encoding="utf-8",
    )
    desk = Desk(SimulatedConfig(replay=(path,), replay_symbol="SHARES"), now=NOVEMBER_3)
    desk.clock.now += 86_400
    every = desk.get("copy_ticks_from", "SHARES", 0, 9, c.COPY_TICKS_ALL)
    # section 3: rows always carry the last known values; flags 2 bid, 4 ask, 8 last, 16 volume, 32/64 side
    assert every[["bid", "last", "volume", "volume_real", "flags"]].tolist() == [
        (100.25, 0.0, 0, 0.0, 6),
        (100.25, 100.5, 3, 3.0, 8 | 16 | 32),
        (100.0, 100.5, 3, 3.0, 6),
        (100.0, 100.0, 2, 2.0, 8 | 16 | 64),
    ]
    quotes = desk.get("copy_ticks_from", "SHARES", 0, 9, c.COPY_TICKS_INFO)
    trades = desk.get("copy_ticks_from", "SHARES", 0, 9, c.COPY_TICKS_TRADE)
    assert (quotes["flags"].tolist(), trades["flags"].tolist()) == ([6, 6], [56, 88])
    (bar,) = desk.get("copy_rates_from_pos", "SHARES", c.TIMEFRAME_M1, 0, 1)
    assert bar["real_volume"] == 5


@pytest.mark.parametrize("step", [120, 300, 3600, 86_400])
def test_bars_of_another_timeframe_are_refused(tmp_path: Path, step: int) -> None:
    path = tmp_path / "eurusd.csv"
    rows = "".join(f"{step * place},1.1,1.2,1.0,1.1,4,0,0\n" for place in (1, 2, 3, 6))
    path.write_text(BARS + rows, encoding="utf-8")
    with pytest.raises(SettingError, match=f"its bars are {step // 60} minutes apart, so they are not M1"):
        load_replays([path])


def test_recorded_bids_and_asks_are_one_symbol(shared_data: Path) -> None:
    sides = [shared_data / f"fxcm_usdjpy_m1_{side}_2013-02.csv.gz" for side in ("bid", "ask")]
    (replay,) = load_replays(sides)
    assert (replay.symbol, replay.digits, len(replay.bars)) == ("USDJPY", 3, 28_761)
    desk = Desk(SimulatedConfig(replay=tuple(reversed(sides))))
    first, second = desk.get("copy_rates_range", "USDJPY", c.TIMEFRAME_M1, 1_359_676_800, 1_359_676_860)
    # asks open at 91.717 and 91.655 and close at 91.655 and 91.666; bids at 91.715, 91.653, 91.653, 91.661
    assert first.item() == (1_359_676_800, 91.715, 91.715, 91.653, 91.653, 4, 2, 0)
    assert second.item() == (1_359_676_860, 91.653, 91.707, 91.653, 91.661, 4, 2, 0)
    tick = desk.get("symbol_info_tick", "USDJPY")
    assert tick.ask >= tick.bid > 0


def test_one_side_of_a_pair(tmp_path: Path) -> None:
    rows = "timestamp,open,high,low,close\n2013-02-01 00:00:00,1.1,1.2,1.0,1.1\n"
    bid, ask = tmp_path / "eurusd_bid.csv", tmp_path / "eurusd_ask.csv"
    bid.write_text(rows, encoding="utf-8")
    ask.write_text(rows.replace("02-01", "02-02"), encoding="utf-8")
    assert load_replays([bid])[0].bars["spread"].tolist() == [0]
    with pytest.raises(SettingError, match="only asks of EURUSD"):
        load_replays([ask])
    with pytest.raises(SettingError, match="no minute in common"):
        load_replays([bid, ask])


def minutes(path: Path, first: int, volumes: list[int]) -> Path:
    rows = [f"{60 * (first + place)},1.1,1.2,1.0,1.1,{volume},0,0" for place, volume in enumerate(volumes)]
    path.write_text(BARS + "\n".join(rows), encoding="utf-8")
    return path


def test_files_of_a_symbol_are_joined(tmp_path: Path) -> None:
    early, late = minutes(tmp_path / "eurusd_a.csv", 1, [5, 5]), minutes(tmp_path / "eurusd_b.csv", 3, [7])
    (replay,) = load_replays([late, early])
    assert replay.bars["time"].tolist() == [60, 120, 180]
    again = minutes(tmp_path / "eurusd_c.csv", 2, [9])
    with pytest.raises(SettingError, match="have prices of EURUSD for the same time"):
        load_replays([early, again])
    ticks = tmp_path / "eurusd_ticks.csv"
    ticks.write_text("timestamp,bid,ask\n2020-01-01 00:00:00,1.1,1.2\n", encoding="utf-8")
    with pytest.raises(SettingError, match="both bars and ticks"):
        load_replays([early, ticks])


def test_several_symbols_start_together(tmp_path: Path) -> None:
    # EURUSD has minutes 1 to 10, GBPUSD 6 to 25: in common are 6 to 10. There EURUSD has no minute of 30
    # ticks past 80 % (minute 10), so it is the busiest of the second half (8 to 10): 9. GBPUSD: minute 10.
    euro = minutes(tmp_path / "eurusd.csv", 1, [50, 9, 9, 9, 9, 50, 9, 9, 12, 9])
    pound = minutes(tmp_path / "gbpusd.csv", 6, [5, 5, 5, 5, 40] + [90] * 15)
    desk = Desk(SimulatedConfig(replay=(euro, pound)))
    # the latest, minute 10; together there are 9 + 40 ticks in it: no need to hurry
    assert desk.get("symbol_info_tick", "GBPUSD").time_msc == 600_000
    assert desk.get("symbol_info_tick", "EURUSD").time_msc == 600_000
    desk.clock.now += 60
    assert desk.get("symbol_info_tick", "GBPUSD").time == 660
    # EURUSD has ended: its last price stays
    assert desk.get("symbol_info_tick", "EURUSD").time < 660


def test_a_quiet_start_is_played_faster(tmp_path: Path) -> None:
    euro, pound = (minutes(tmp_path / f"{name}.csv", 1, [4] * 10) for name in ("eurusd", "gbpusd"))
    alone = starting_point(load_replays([euro]))
    both = starting_point(load_replays([euro, pound]))
    assert (alone.speed, both.speed) == (5.0, 2.5)
    assert alone.time == both.time == 360.0  # the busiest of minutes 6 to 10 is the first
    assert starting_point(load_replays([euro]), 100_000.0) == (100_000.0, 1.0)


def test_symbols_without_a_common_time(tmp_path: Path) -> None:
    early, late = minutes(tmp_path / "eurusd.csv", 1, [5]), minutes(tmp_path / "gbpusd.csv", 9, [5])
    with pytest.raises(SettingError, match="no time that all of EURUSD, GBPUSD have prices for"):
        Desk(SimulatedConfig(replay=(early, late)))
    desk = Desk(SimulatedConfig(replay=(early, late), start=3600.0))
    assert desk.get("symbol_info_tick", "EURUSD").time >= 60
    with pytest.raises(SettingError, match="is to be the symbol of 2 files"):
        load_replays([early, late], "EURUSD")


def test_prices_of_known_symbols_are_in_their_points(tmp_path: Path) -> None:
    path = tmp_path / "eurusd.csv"
    path.write_text(BARS + "60,1.1,1.2,1.0,1.1,40,20,0\n", encoding="utf-8")
    tick = Desk(SimulatedConfig(replay=(path,), start=60.0)).get("symbol_info_tick", "EURUSD")
    assert (tick.bid, tick.ask) == (1.1, 1.1002)


def test_ohlc_modelling_of_a_replay(tmp_path: Path) -> None:
    path = tmp_path / EXPORT_NAME
    path.write_text(MT5_BARS, encoding="utf-8")
    desk = Desk(SimulatedConfig(replay=(path,), start=NOVEMBER_3 + 200, modelling="ohlc"))
    ticks = desk.get("copy_ticks_from", "EURUSD", 0, 99, c.COPY_TICKS_ALL)
    assert ticks["bid"].tolist() == [1.1528, 1.1527, 1.15295, 1.15282, 1.15282, 1.1528, 1.1529, 1.15288]
    assert (ticks["time"] - NOVEMBER_3).tolist() == [0, 20, 40, 59, 60, 80, 100, 119]
    made_up = Desk(SimulatedConfig(modelling="ohlc")).get("copy_ticks_from", "EURUSD", OPENING - 600, 40, -1)
    assert (made_up["time"] - OPENING + 600)[:6].tolist() == [0, 20, 40, 59, 60, 80]


@pytest.mark.parametrize("settings", [{"deposit": 0.0}, {"leverage": -1}, {"maxbars": 0}, {"speed": 0.0}])
def test_impossible_settings(settings: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="must be above 0"):
        SimulatedConfig(**settings)  # type: ignore[arg-type]


def test_prices_older_than_all_time_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "eurusd_ticks.csv"
    path.write_text("timestamp,bid,ask\n1969-12-31T23:59:00,1.1,1.1001\n1970-01-01T00:01:00,1.1,1.1001\n")
    with pytest.raises(SettingError, match="prices of EURUSD are older than 1970"):
        load_replays([path])


def test_a_replay_of_the_first_day_of_all(tmp_path: Path) -> None:
    path = tmp_path / "eurusd_ticks.csv"
    path.write_text("timestamp,bid,ask\n1970-01-01T00:01:00,1.1,1.1001\n1970-01-01T01:00:00,1.2,1.2001\n")
    desk = Desk(SimulatedConfig(replay=(path,), start=120.0, speed=1.0))
    assert len(desk.get("symbols_get")) == desk.get("symbols_total")
    assert desk.deal(c.ORDER_TYPE_BUY, 0.1).price == 1.1001
    assert len(desk.get("copy_rates_from_pos", "GBPUSD", c.TIMEFRAME_M1, 0, 10)) == 3
