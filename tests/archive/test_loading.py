"""A terminal that is loading its history: what it does not give at first is not lost."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import Client
from mt5crs.archive import asking
from mt5crs.archive.layout import Series, files
from mt5crs.archive.repair import repair
from mt5crs.archive.rows import read_footer
from tests.archive.pulls import BEGIN, DAY, Counting, data, pulled, rows, still

YEAR = 1_735_689_600  # 2025-01-01
M1, H1, TICK = Series("EURUSD", "M1"), Series("EURUSD", "H1"), Series("EURUSD", "tick")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOADING", (0.0,) * 5)


class Loading:
    """A client of a terminal that does not give all of its rows.

    Args:
        client: A client of one that does.
        begins: The second at which its history begins.
        page: Given the number of a page of bars and its rows, those that it gives.
    """

    def __init__(self, client: Any, begins: int = 0, page: Callable[[int, Any], Any] | None = None) -> None:
        self._client = client
        self._begins = begins
        self._page = page
        self.pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def copy_rates_from(self, *arguments: Any) -> Any:
        bars = self._client.copy_rates_from(*arguments)
        return None if bars is None else bars[bars["time"] >= self._begins]

    def copy_rates_range(self, *arguments: Any) -> Any:
        bars = self._client.copy_rates_range(*arguments)
        bars = bars[bars["time"] >= self._begins]
        self.pages += 1
        return bars if self._page is None else self._page(self.pages - 1, bars)

    def copy_ticks_from(self, symbol: str, begin: float, count: int, flags: int) -> Any:
        return self._client.copy_ticks_from(symbol, max(begin, self._begins), count, flags)


def _first_footer(root: Path, series: Series) -> Any:
    return read_footer(next(iter(files(root, series.symbol, series.tf).values())))


@pytest.mark.parametrize(
    ("series", "begin", "begins"),
    [
        (M1, YEAR, YEAR + 45 * DAY + 6 * 3600),  # inside of February
        (H1, YEAR, YEAR + 45 * DAY + 6 * 3600),
        (TICK, BEGIN, BEGIN + DAY + 5 * 3600),
    ],
    ids=str,
)
def test_history_that_loads_later_is_pulled_later(
    client: Client, tmp_path: Path, series: Series, begin: int, begins: int
) -> None:
    root = tmp_path / "a"
    pulled(Loading(client, begins), root, [series], begin=begin, end=BEGIN + 2 * DAY)
    since = _first_footer(root, series).since
    assert since >= begins * 1000
    early, last = data(root), int(rows(root, series)["time"][-1])
    again = Counting(Loading(client, begins))
    pulled(again, root, [series], begin=begin, end=BEGIN + 2 * DAY)
    assert data(root) == early, "there is nothing more yet"
    assert len(again.history()) <= 2

    pulled(Loading(client, begins - 7200), root, [series], begin=begin, end=BEGIN + DAY + 7200)
    assert _first_footer(root, series).since < since
    assert int(rows(root, series)["time"][-1]) == last, "a shorter range makes no file shorter"
    pulled(client, root, [series], begin=begin, end=BEGIN + 2 * DAY)
    pulled(client, tmp_path / "fresh", [series], begin=begin, end=BEGIN + 2 * DAY)
    assert _first_footer(root, series).since is None
    assert data(root) == data(tmp_path / "fresh")


def test_where_a_file_begins_is_kept_when_it_is_gone_on_with(client: Client, tmp_path: Path) -> None:
    begins = YEAR + 45 * DAY + 6 * 3600
    for root, ends in (("a", (BEGIN - DAY, BEGIN)), ("b", (BEGIN,))):
        for end in ends:
            pulled(Loading(client, begins), tmp_path / root, [H1], begin=YEAR, end=end)
    assert _first_footer(tmp_path / "a", H1).since == begins * 1000
    assert data(tmp_path / "a") == data(tmp_path / "b")


def _nothing(number: int, count: int) -> Callable[[int, Any], Any]:
    """Return what makes some pages, one after the other, empty."""
    return lambda page, bars: bars[:0] if number <= page < number + count else bars


def _late_half(page: int, bars: Any) -> Any:
    return bars[len(bars) // 2 :] if page == 0 else bars


def _early_half(page: int, bars: Any) -> Any:
    return bars[: len(bars) // 2] if page == 1 else bars


@pytest.mark.parametrize(
    "page",
    [_nothing(0, 1), _nothing(2, 1), _nothing(0, 2), _nothing(1, 2), _late_half, _early_half, _nothing(1, 5)],
)
def test_pages_that_lack_bars_are_asked_for_again(
    client: Client, tmp_path: Path, page: Callable[[int, Any], Any]
) -> None:
    begin, end = YEAR - 31 * DAY, YEAR + 31 * DAY
    loading = Loading(client, page=page)
    pulled(loading, tmp_path / "a", [M1], begin=begin, end=end)
    pulled(client, tmp_path / "b", [M1], begin=begin, end=end)
    assert data(tmp_path / "a") == data(tmp_path / "b")


def test_a_day_that_is_not_there_yet_is_asked_for_again(client: Client, tmp_path: Path) -> None:
    pulled(client, tmp_path / "a", [M1], end=BEGIN + DAY)
    pulled(Loading(client, page=_nothing(0, 1)), tmp_path / "a", [M1], end=BEGIN + 2 * DAY)
    pulled(client, tmp_path / "b", [M1], end=BEGIN + 2 * DAY)
    assert data(tmp_path / "a") == data(tmp_path / "b")


def test_a_hole_that_stays_is_believed(client: Client, tmp_path: Path) -> None:
    hole = (YEAR + 3 * DAY, YEAR + 50 * DAY)

    def without(_: int, bars: Any) -> Any:
        return bars[(bars["time"] < hole[0]) | (bars["time"] >= hole[1])]

    loading = Loading(client, page=without)
    pulled(loading, tmp_path / "a", [M1], begin=YEAR, end=YEAR + 60 * DAY)
    found = rows(tmp_path / "a", M1)["time"]
    assert int(np.diff(found).max()) >= 47 * DAY
    assert [read_footer(path).is_complete for path in files(tmp_path / "a", "EURUSD", "M1").values()] == [
        True,
        True,
        False,
    ]
    assert loading.pages <= 24, "each page of it twice, and once more at its end"


def _questions(client: Client, root: Path, wanted: Sequence[Series], begin: int, end: int) -> int:
    counting = Counting(client)
    pulled(counting, root, wanted, begin=begin, end=end)
    return sum(name == "copy_rates_range" for name, _ in counting.history())


def test_weekends_and_holidays_are_asked_for_once(tmp_path: Path) -> None:
    begin, end = YEAR - 61 * DAY, YEAR + 20 * DAY  # over Christmas
    with still(tmp_path, "--sessions", "real") as real, real.client() as client:
        assert _questions(client, tmp_path / "a", [M1], begin, end) == 6, "81 days, 20,000 minutes a page"
        assert _questions(client, tmp_path / "b", [H1], begin, end) == 7, (
            "from the year's first day, 8 weeks a page"
        )
        assert _questions(client, tmp_path / "b", [Series("EURUSD", "W1")], begin, end) == 7


def test_a_repaired_file_says_where_history_begins(client: Client, tmp_path: Path) -> None:
    root, loading = tmp_path / "a", Loading(client, YEAR + 45 * DAY + 6 * 3600)
    pulled(loading, root, [H1], begin=YEAR)
    (path,) = files(root, "EURUSD", "H1").values()
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes(100) + whole[2100:])
    assert [each.failure for each in repair(loading, root).done] == [None]
    assert path.read_bytes() == whole
