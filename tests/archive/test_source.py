"""What is asked of terminals that are not ready, and what is missing of a series."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs.archive import asking
from mt5crs.archive.layout import Period, Series
from mt5crs.archive.pull import Span, missing, pull
from mt5crs.archive.rows import Footer
from mt5crs.errors import ArchiveError, Busy, SettingError, TerminalMissing, Unreachable
from mt5crs.model import RATES, TICKS, AccountInfo, RatesArray, SymbolInfo, TerminalInfo, TicksArray
from tests.archive.pulls import BEGIN, DAY, rows

M1, TICK = Series("EURUSD", "M1"), Series("EURUSD", "tick")
NOTHING = {"login": 7, "server": "Broker", "maxbars": 100_000}


def _record(kind: Any) -> Any:
    return kind(NOTHING.get(name, 0) for name in kind.__match_args__)


class Loading:
    """A terminal with two days of bars and ticks, of which it gives what a test lets it give.

    Args:
        answer: Given a function's name and how often it was called before, an error to fail with, an
            exception to raise, or how many of its oldest days are not loaded yet.
    """

    def __init__(self, answer: Callable[[str, int], Any]) -> None:
        self._answer = answer
        self._calls: dict[str, int] = {}
        self._error = (1, "Success")
        self.bars = np.zeros(2 * 1440, RATES.dtype)
        self.bars["time"] = BEGIN + 60 * np.arange(len(self.bars))
        self.bars["close"] = np.arange(len(self.bars))
        self.ticks = np.zeros(4 * len(self.bars), TICKS.dtype)
        self.ticks["time_msc"] = 1000 * BEGIN + 15_000 * np.arange(len(self.ticks))
        self.ticks["time"] = self.ticks["time_msc"] // 1000
        self.ticks["bid"] = np.arange(len(self.ticks))

    def _loaded(self, name: str, all_: Any) -> Any:
        count = self._calls.get(name, 0)
        self._calls[name] = count + 1
        answer = self._answer(name, count)
        self._error = (1, "Success")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            self._error = answer
            return None
        return all_[all_["time"] >= BEGIN + answer * DAY]

    def account_info(self) -> AccountInfo | None:
        return _record(AccountInfo)  # type: ignore[no-any-return]

    def terminal_info(self) -> TerminalInfo | None:
        return _record(TerminalInfo)  # type: ignore[no-any-return]

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        return _record(SymbolInfo)  # type: ignore[no-any-return]

    def copy_rates_from(self, symbol: str, timeframe: int, when: float, count: int, /) -> RatesArray | None:
        bars = self._loaded("copy_rates_from", self.bars)
        return None if bars is None else bars[bars["time"] <= when][-count:]

    def copy_rates_from_pos(self, symbol: str, timeframe: int, pos: int, count: int, /) -> RatesArray | None:
        bars = self._loaded("copy_rates_from_pos", self.bars)
        return None if bars is None else bars[len(bars) - pos - count : len(bars) - pos]

    def copy_rates_range(self, symbol: str, timeframe: int, begin: float, end: float, /) -> RatesArray | None:
        bars = self._loaded("copy_rates_range", self.bars)
        return None if bars is None else bars[(bars["time"] >= begin) & (bars["time"] <= end)]

    def copy_ticks_from(self, symbol: str, when: float, count: int, flags: int, /) -> TicksArray | None:
        ticks = self._loaded("copy_ticks_from", self.ticks)
        return None if ticks is None else ticks[ticks["time"] >= when][:count]

    def last_error(self) -> tuple[int, str]:
        return self._error


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOADING", (0.0,) * 5)
    monkeypatch.setattr(asking, "PAUSES", (0.0,))


NOT_READY = [(-1, "Terminal: Call failed"), (-2, "Terminal: Invalid params"), (-4, "Terminal: Not found")]


@pytest.mark.parametrize("error", [*NOT_READY, (-10005, "IPC timeout"), (-10004, "No IPC connection")])
def test_a_terminal_that_is_not_ready_is_asked_again(tmp_path: Path, error: tuple[int, str]) -> None:
    terminal = Loading(lambda _, count: error if count in {0, 2} else 0)
    done = pull(terminal, tmp_path / "a", [M1, TICK], BEGIN)
    assert [each.failure for each in done] == [None, None]
    assert rows(tmp_path / "a", M1).tobytes() == terminal.bars[:-1].tobytes()
    assert rows(tmp_path / "a", TICK).tobytes() == terminal.ticks[:-1].tobytes()


@pytest.mark.parametrize("error", [Busy("b"), Unreachable("u"), TerminalMissing("t")], ids=str)
def test_a_gateway_that_has_no_time_is_asked_again(tmp_path: Path, error: Exception) -> None:
    terminal = Loading(lambda _, count: error if count in {0, 1, 3} else 0)
    done = pull(terminal, tmp_path / "a", [M1, TICK], BEGIN)
    assert [each.failure for each in done] == [None, None]
    assert rows(tmp_path / "a", TICK).tobytes() == terminal.ticks[:-1].tobytes()


@pytest.mark.parametrize("error", NOT_READY)
def test_a_terminal_that_never_gives_anything_is_told(tmp_path: Path, error: tuple[int, str]) -> None:
    terminal = Loading(lambda name, _: error if name == "copy_rates_range" else 0)
    done = pull(terminal, tmp_path / "a", [M1, TICK], BEGIN)
    assert isinstance(done[0].failure, ArchiveError)
    assert error[1] in str(done[0].failure)
    assert done[1].failure is None, "the others go on"
    assert not list((tmp_path / "a" / "rates").rglob("*.parquet"))


def test_history_that_is_being_loaded_is_waited_for(tmp_path: Path) -> None:
    terminal = Loading(lambda _, count: 1 if count < 3 else 0)
    done = pull(terminal, tmp_path / "a", [TICK], BEGIN)
    assert done[0].failure is None
    assert rows(tmp_path / "a", TICK).tobytes() == terminal.ticks[:-1].tobytes()


def test_history_that_was_loaded_later_is_pulled_later(tmp_path: Path) -> None:
    late = Loading(lambda *_: 1)
    pull(late, tmp_path / "a", [TICK], BEGIN)
    assert len(rows(tmp_path / "a", TICK)) == len(late.ticks) // 2 - 1
    pull(Loading(lambda *_: 0), tmp_path / "a", [TICK], BEGIN)
    assert rows(tmp_path / "a", TICK).tobytes() == late.ticks[:-1].tobytes()


def test_rows_out_of_order_and_ticks_with_two_times_are_refused(tmp_path: Path) -> None:
    terminal = Loading(lambda *_: 0)
    terminal.ticks["time"][5] += 1
    (done,) = pull(terminal, tmp_path / "a", [TICK], BEGIN)
    assert "time_msc" in str(done.failure)
    terminal = Loading(lambda *_: 0)
    terminal.ticks["time_msc"][[5, 6]] = terminal.ticks["time_msc"][[6, 5]]
    (done,) = pull(terminal, tmp_path / "a", [TICK], BEGIN)
    assert "order of time" in str(done.failure)
    terminal.bars["time"][[5, 6]] = terminal.bars["time"][[6, 5]]
    (done,) = pull(terminal, tmp_path / "a", [M1], BEGIN)
    assert "order of time" in str(done.failure)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingError, match=r"mt5crs\[archive\]"):
        pull(Loading(lambda *_: 0), tmp_path / "a", [M1], BEGIN)
    assert not (tmp_path / "a").exists()


def _footer(period: Period, until: int) -> Footer:
    return Footer(TICK, period, "Broker", until, 1, "")


def test_what_is_missing_is_told_in_spans() -> None:
    days = list(TICK.periods(BEGIN, BEGIN + 6 * DAY))
    known = {
        days[1]: _footer(days[1], days[1].end * 1000),
        days[2]: _footer(days[2], days[2].start * 1000 + 500),
        days[4]: _footer(days[4], days[4].end * 1000),
    }
    assert list(missing(TICK, known, BEGIN + 5, BEGIN + 5 * DAY + 60)) == [
        Span(BEGIN * 1000, days[1].start, True),
        Span(days[2].start * 1000 + 500, days[4].start, False),
        Span(days[5].start * 1000, BEGIN + 5 * DAY + 60, False),
    ]
    assert list(missing(TICK, known, days[1].start, days[2].start)) == []
    assert list(missing(TICK, {}, BEGIN + 5, BEGIN + 6)) == [Span(BEGIN * 1000, BEGIN + 6, True)]
