"""Prices from Parquet: files and Hive-partitioned folders, of bars and of ticks."""

import sys
from pathlib import Path
from typing import Any

import pytest

from mt5crs import constants as c
from mt5crs.errors import SettingError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.terminal.simulated.prices.replay import load_replays
from tests.terminal.desk import Desk

START = 1_762_128_000  # 2025-11-03 00:00:00 UTC
BARS: dict[str, list[Any]] = {
    "time": [START, START + 60],
    "open": [1.1528, 1.15282],
    "high": [1.15295, 1.1529],
    "low": [1.1527, 1.1528],
    "close": [1.15282, 1.15288],
    "tick_volume": [31, 12],
    "spread": [2, 0],
    "real_volume": [7, 0],
}
ROWS = [
    (START, 1.1528, 1.15295, 1.1527, 1.15282, 31, 2, 7),
    (START + 60, 1.15282, 1.1529, 1.1528, 1.15288, 12, 0, 0),
]


@pytest.fixture(scope="module")
def arrow() -> Any:
    return pytest.importorskip("pyarrow")


def write(arrow: Any, path: Path, columns: dict[str, Any]) -> Path:
    from importlib import import_module

    path.parent.mkdir(parents=True, exist_ok=True)
    import_module("pyarrow.parquet").write_table(arrow.table(columns), path)
    return path


@pytest.mark.parametrize("unit", ["s", "ns", "seconds", "milliseconds"])
def test_a_file_of_bars(arrow: Any, tmp_path: Path, unit: str) -> None:
    times: Any = BARS["time"]
    if unit in {"s", "ns"}:
        scale = 1 if unit == "s" else 10**9
        times = arrow.array([time * scale for time in times], arrow.timestamp(unit, "UTC"))
    elif unit == "milliseconds":
        times = [time * 1000 for time in times]
    (replay,) = load_replays([write(arrow, tmp_path / "eurusd.parquet", BARS | {"time": times})])
    assert (replay.symbol, replay.digits) == ("EURUSD", 5)
    assert replay.bars.tolist() == ROWS


def test_a_file_of_ticks(arrow: Any, tmp_path: Path) -> None:
    ticks = {
        "time": [START, START + 1],
        "time_msc": [START * 1000 + 5, START * 1000 + 1007],
        "bid": [1.1, 1.1001],
        "ask": [1.1002, 1.1002],
        "last": [0.0, 0.0],
        "volume": [0, 0],
        "flags": [6, 2],
        "volume_real": [0.0, 0.0],
    }
    (replay,) = load_replays([write(arrow, tmp_path / "eurusd_ticks.parquet", ticks)])
    assert replay.ticks is not None
    assert replay.ticks[["time_msc", "bid", "ask", "flags"]].tolist() == [
        (START * 1000 + 5, 1.1, 1.1002, 6),
        (START * 1000 + 1007, 1.1001, 1.1002, 2),
    ]


def test_a_partitioned_folder_holds_several_symbols(arrow: Any, tmp_path: Path) -> None:
    later = BARS | {"time": [START + 86_400 * 60, START + 86_400 * 60 + 60]}
    for symbol in ("EURUSD", "US500.cash"):
        write(arrow, tmp_path / f"symbol={symbol}/tf=M1/year=2026/a.parquet", later)
        write(arrow, tmp_path / f"symbol={symbol}/tf=M1/year=2025/b.parquet", BARS)
        write(arrow, tmp_path / f"symbol={symbol}/tf=H1/year=2025/b.parquet", BARS)
    replays = load_replays([tmp_path])
    assert [replay.symbol for replay in replays] == ["EURUSD", "US500.cash"]
    for replay in replays:
        assert replay.bars["time"].tolist() == [*BARS["time"], *later["time"]]
        assert replay.bars[:2].tolist() == ROWS
    desk = Desk(SimulatedConfig(replay=(tmp_path,)))
    assert desk.get("symbol_info", "US500.cash").visible
    assert len(desk.get("copy_rates_range", "EURUSD", c.TIMEFRAME_M1, 0, START + 60)) == 2
    with pytest.raises(SettingError, match="holds 2 symbols"):
        load_replays([tmp_path], "EURUSD")


def test_a_column_tells_symbols_apart(arrow: Any, tmp_path: Path) -> None:
    both = {name: [*values, *values] for name, values in BARS.items()}
    path = write(arrow, tmp_path / "prices.parquet", both | {"symbol": ["EURUSD"] * 2 + ["GBPUSD"] * 2})
    assert [(replay.symbol, replay.bars.tolist()) for replay in load_replays([path])] == [
        ("EURUSD", ROWS),
        ("GBPUSD", ROWS),
    ]


def test_bad_files_are_refused(arrow: Any, tmp_path: Path) -> None:
    broken = tmp_path / "eurusd.parquet"
    broken.write_bytes(b"not parquet")
    strange = write(arrow, tmp_path / "gbpusd.parquet", {"a": [1], "b": [2]})
    back = write(arrow, tmp_path / "usdjpy.parquet", BARS | {"time": [START + 60, START]})
    wrong = write(arrow, tmp_path / "usdchf.parquet", BARS | {"high": [1.2, 1.1]})
    hole = write(arrow, tmp_path / "usdcad.parquet", BARS | {"open": [1.1528, None]})
    for path, said in (
        (broken, "cannot be read as Parquet"),
        (strange, "columns 'a,b' are unknown"),
        (back, "row 2: time goes back after row 1"),
        (wrong, "row 2: .* do not make a bar"),
        (hole, "row 2: open nan, .* do not make a bar"),
    ):
        with pytest.raises(SettingError, match=said):
            load_replays([path])
    other = tmp_path / "folder"
    write(arrow, other / "symbol=EURUSD/tf=H1/a.parquet", BARS)
    with pytest.raises(SettingError, match="has no prices"):
        load_replays([other])


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    path = tmp_path / "eurusd.parquet"
    path.write_bytes(b"")
    with pytest.raises(SettingError, match="Parquet needs pyarrow") as refusal:
        load_replays([path])
    assert "pip install 'mt5crs[archive]'" in str(refusal.value)
