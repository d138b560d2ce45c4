"""How a pull is shown while it goes on."""

import sys
from pathlib import Path

import pytest

from mt5crs.archive.layout import Series
from mt5crs.archive.pull import Pulled
from mt5crs.cli import progress
from mt5crs.cli.progress import Gauge, watching

ONE, TWO = Series("EURUSD", "M1"), Series("USDJPY", "tick")


def test_rows_rate_share_and_time_left_are_told() -> None:
    now = [100.0]
    gauge = Gauge(2, lambda: now[0])
    gauge.begun(ONE, 1000, 2000)
    gauge.got(ONE, 5000, 1500)
    now[0] += 10
    assert str(gauge) == "5,000 rows, 500 rows/s, 25%, 0:30 left"
    gauge.done(ONE)
    gauge.begun(TWO, 0, 100)
    gauge.got(TWO, 1, 100)
    gauge.got(TWO, 1, 200)  # more came than there was when it began
    assert str(gauge) == "5,002 rows, 500 rows/s, 100%"
    gauge.done(TWO)
    assert gauge.share == 1.0


def test_hours_are_told() -> None:
    now = [0.0]
    gauge = Gauge(1, lambda: now[0])
    gauge.begun(ONE, 0, 1000)
    gauge.got(ONE, 10, 1)
    now[0] = 10.0
    assert str(gauge).endswith("0%, 2:46:30 left")


def test_lines_come_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with watching(1) as watcher:
        watcher.begun(ONE, 0, 100)
        watcher.got(ONE, 7, 50)
        watcher.done(Pulled(ONE))
    out, err = capsys.readouterr()
    assert out == ""
    assert "7 rows" in err.splitlines()[0]
    assert "50%" in err.splitlines()[0]
    assert "100%" in err.splitlines()[-1]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Terminal:
        encoding = "utf-8"

        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None: ...

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with watching(1) as watcher:
        watcher.begun(ONE, 0, 100)
        watcher.got(ONE, 7, 50)
        watcher.done(Pulled(ONE))
    assert "100%" in terminal.text
