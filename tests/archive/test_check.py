"""Whatever is wrong with an archive is found, and nothing is found that is not."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mt5crs.archive import scan
from mt5crs.archive.check import check
from mt5crs.archive.confirmed import NAME, Confirmed
from mt5crs.archive.faults import examine
from mt5crs.archive.findings import Finding, Kind
from mt5crs.archive.folder import writing
from mt5crs.archive.layout import DESCRIPTION, WORK, Series, all_series, files
from mt5crs.errors import ArchiveError
from mt5crs.timeframes import DAY, MINUTE
from tests.archive.making import MON, Rows, fill, fill_all, put, quotes, trading, walk, without

END = MON + 25 * DAY + 7 * 3600 + 1800
"""A Friday morning: the archive's last files are of periods that are not over."""
MINUTES = walk(trading(MON, 26))
MINUTES = MINUTES[MINUTES["time"] < END]
TICKS = quotes(without(MINUTES, 0, MON + 20 * DAY))
M1, TICK = Series("EURUSD", "M1"), Series("EURUSD", "tick")
SOME = ("M1", "M5", "H1", "D1", "W1", "MN1")
ADAPTED = settings(
    deadline=None,
    max_examples=6,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive without a fault; nobody changes it."""
    root = tmp_path_factory.mktemp("made") / "archive"
    fill_all(root, "EURUSD", MINUTES, SOME, END)
    fill(root, TICK, TICKS, END)
    fill_all(root, "US500.cash", walk(MINUTES["time"], seed=3), ("M5",), END)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "archive"))


def wrong(root: Path) -> list[tuple[Any, ...]]:
    return [(each.kind, each.timeframe, each.start, each.stop) for each in check(root).wrong]


def spoil(root: Path, series: Series, change: Callable[[Rows], Rows], time: int = MON) -> None:
    """Change the rows of a file, with a checksum that is that of the changed rows."""
    rows = MINUTES if series == M1 else TICKS
    period = series.period(time)
    begin, end = np.searchsorted(rows["time"], (period.start, period.end))
    put(root, series, period, change(rows[begin:end].copy()), END)


def test_nothing_is_wrong_with_what_was_not_touched(made: Path) -> None:
    report = check(made)
    assert report.wrong == []
    assert report.series == 8
    assert report.rows == sum(
        each.rows for each in [check(made, [name]) for name in ("EURUSD", "US500.cash")]
    )
    (counted,) = report.findings
    assert (counted.kind, counted.timeframe) == (Kind.NOTE, "M1")
    assert "count other ticks than there are" in counted.what


@given(st.integers(1, len(MINUTES) - 400), st.integers(1, 300))
@ADAPTED
def test_every_gap_is_found(root: Path, place: int, length: int) -> None:
    """Even of a single minute: the other bars know of it."""
    gone = MINUTES["time"][place : place + length]
    spoil(root, M1, lambda rows: np.delete(rows, slice(place, place + length)))
    found = [each for each in check(root).wrong if each.timeframe == "M1" and each.kind is Kind.GAP]
    others = [each for each in check(root).wrong if each.kind is Kind.MISMATCH]
    assert found or others
    assert any(each.meets(int(gone[0]), int(gone[-1]) + MINUTE) for each in found or others)


@given(st.integers(0, len(MINUTES) - 1))
@ADAPTED
def test_every_bar_that_comes_twice_is_found(root: Path, place: int) -> None:
    spoil(root, M1, lambda rows: np.insert(rows, place, rows[place]))
    time = int(MINUTES["time"][place])
    assert wrong(root) == [(Kind.DUPLICATE, "M1", time, time + 1)]


@given(st.integers(0, len(MINUTES) - 400), st.integers(1, 300))
@ADAPTED
def test_every_swap_is_found(root: Path, place: int, distance: int) -> None:
    def swap(rows: Rows) -> Rows:
        rows[[place, place + distance]] = rows[[place + distance, place]]
        return rows

    spoil(root, M1, swap)
    ((kind, timeframe, start, stop),) = wrong(root)
    assert (kind, timeframe) == (Kind.ORDER, "M1")
    assert MINUTES["time"][place] <= start < stop <= MINUTES["time"][place + distance] + 1


@given(st.data())
@ADAPTED
def test_every_bit_that_flips_is_found(root: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in root.rglob("*.parquet"))))
    whole = path.read_bytes()
    place, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    try:
        report = check(root)
        # A few bits mean nothing: of names of columns' encodings, or of the program that wrote the file.
        assert len(report.wrong) == 1 or _reads_the_same(path, whole)
        assert all(each.kind is Kind.DAMAGED for each in report.wrong)
    finally:
        path.write_bytes(whole)


def _reads_the_same(path: Path, whole: bytes) -> bool:
    """Whether a file means what it meant: its rows are the same to the bit, as its checksum says."""
    from mt5crs.archive.rows import read_rows

    rows = read_rows(path)
    path.write_bytes(whole)
    return rows.tobytes() == read_rows(path).tobytes()


@pytest.mark.parametrize("size", [0, 4, 1000, -1])
def test_a_file_that_was_cut_off_is_damaged(root: Path, size: int) -> None:
    path = M1.path(root, M1.period(MON))
    path.write_bytes(path.read_bytes()[:size])
    period = M1.period(MON)
    assert wrong(root) == [(Kind.DAMAGED, "M1", period.start, period.end)]


def test_a_file_in_anothers_place_is_damaged(root: Path) -> None:
    first, second = list(files(root, "EURUSD", "tick").values())[:2]
    second.write_bytes(first.read_bytes())
    (finding,) = check(root).wrong
    assert finding.kind is Kind.DAMAGED
    assert "lies in another's place" in finding.what
    assert finding.path == second.relative_to(root).as_posix()


def test_a_file_that_is_not_there_is_a_gap(root: Path) -> None:
    periods = files(root, "EURUSD", "tick")
    period = list(periods)[2]
    periods[period].unlink()
    assert wrong(root) == [(Kind.GAP, "tick", period.start, period.end)]


@pytest.mark.parametrize("by", [-40 * DAY, 40 * DAY])
def test_rows_outside_of_their_period_are_found(root: Path, by: int) -> None:
    def move(rows: Rows) -> Rows:
        rows["time"][0 if by < 0 else -1] += by
        return rows

    spoil(root, M1, move)
    outside = [each for each in check(root).wrong if each.kind is Kind.OUTSIDE]
    assert [each.what for each in outside] == ["a row outside of the time that the file is for"]


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "tick_volume", "spread", "real_volume"])
def test_a_bar_that_shorter_ones_do_not_make_is_found(root: Path, field: str) -> None:
    hours = Series("EURUSD", "H1")
    rows = np.concatenate([_rows(path) for path in files(root, "EURUSD", "H1").values()])
    rows[field][100] += 1
    fill(root, hours, rows, END)
    (finding,) = [each for each in check(root).wrong if each.kind is not Kind.VALUE]
    time = int(rows["time"][100])
    assert finding[:5] == (Kind.MISMATCH, "EURUSD", "H1", time, time + 3600)
    assert finding.what.startswith(f"{field} ")
    assert "M1 make" in finding.what


def test_a_bar_that_is_not_there_of_a_longer_timeframe_is_found(root: Path) -> None:
    days = Series("EURUSD", "D1")
    rows = np.concatenate([_rows(path) for path in files(root, "EURUSD", "D1").values()])
    fill(root, days, np.delete(rows, 4), END)
    time = int(rows["time"][4])
    assert wrong(root) == [(Kind.GAP, "D1", time, time + DAY)]


def test_bars_are_held_against_ticks(root: Path) -> None:
    day = MON + 21 * DAY
    changed = int(np.searchsorted(MINUTES["time"], day + 600))

    def change(rows: Rows) -> Rows:
        rows["close"][changed] += 0.5
        rows["high"][changed] += 0.5
        return rows

    spoil(root, M1, change)
    found = [each for each in check(root).wrong if each.timeframe == "M1"]
    assert [each[:5] for each in found] == [(Kind.MISMATCH, "EURUSD", "M1", day + 600, day + 660)]
    assert "ticks make" in found[0].what


def test_ticks_that_are_missing_are_found_by_bars(root: Path) -> None:
    begin, end = MON + 21 * DAY + 3600, MON + 21 * DAY + 3600 + 2 * MINUTE
    spoil(root, TICK, lambda rows: without(rows, begin, end), begin)
    assert wrong(root) == [(Kind.GAP, "tick", begin, end)]


def test_trades_are_not_held_against_quotes(root: Path) -> None:
    ticks = TICKS.copy()
    ticks["last"] = ticks["bid"] + 0.1
    fill(root, TICK, ticks, END)
    report = check(root)
    assert report.wrong == []
    assert [each.what for each in report.findings] == [
        "not held against ticks: these have trades, and bars may be of them"
    ]


def test_ticks_of_equal_times_are_right_and_equal_quotes_are_not() -> None:
    ticks = TICKS[:4].copy()
    ticks["time_msc"], ticks["time"] = ticks["time_msc"][0], ticks["time"][0]
    ticks["bid"] = [1.1, 1.2, 1.2, 1.1]
    ticks["ask"] = 1.3
    (fault,), kept = examine(ticks, 0, 1 << 50)
    assert (fault.kind, fault.what, len(kept)) == (Kind.DUPLICATE, "a row twice", 3)
    ticks["flags"] = 8 | 16
    assert examine(ticks, 0, 1 << 50)[0] == []


def test_half_written_files_are_found(root: Path) -> None:
    draft = root / WORK / "M1.EURUSD.2025-11"
    draft.parent.mkdir()
    draft.write_bytes(b"PAR1")
    stray = root / "rates/symbol=EURUSD/tf=M1/year=2025/2025-11.parquet.tmp"
    stray.write_bytes(b"PAR1")
    found = check(root).wrong
    assert [(each.kind, each.path) for each in found] == [
        (Kind.TEMPORARY, path.relative_to(root).as_posix()) for path in (draft, stray)
    ]


@pytest.mark.parametrize(
    ("source", "place", "said"),
    [
        ("tf=M1/year=2025/2025-11.parquet", "tf=M1/year=2024/2025-11.parquet", "remove it: that is there"),
        ("tf=H1/year=2025/2025.parquet", "tf=M1/year=2025/2025.parquet", "it is of EURUSD H1 2025, and lies"),
        ("tf=M1/year=2025/2025-11.parquet", "2025-11.parquet", "lies in another's place"),
        ("tf=M1/year=2025/2025-11.parquet", "tf=m1/year=2025/2025-11.parquet", "lies in another's place"),
        (
            "tf=M1/year=2025/2025-11.parquet",
            "../symbol=%45URUSD/tf=M1/year=2025/2025-11.parquet",
            "its own is rates/symbol=EURUSD/tf=M1/year=2025/2025-11.parquet",
        ),
    ],
)
def test_files_in_wrong_folders_are_found(root: Path, source: str, place: str, said: str) -> None:
    """Readers that take all files of a folder would read them twice."""
    bars = root / "rates/symbol=EURUSD"
    path = Path(os.path.normpath(bars / place))
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(bars / source, path)
    (finding,) = check(root).wrong
    assert (finding.kind, finding.path) == (Kind.TEMPORARY, path.relative_to(root).as_posix())
    assert said in finding.what
    assert "EURUSD" in {each.symbol for each in all_series(root)}
    assert len(all_series(root)) == 8


def test_a_file_that_was_moved_is_told_with_its_place(root: Path) -> None:
    path = M1.path(root, M1.period(MON))
    wrong_ = path.parents[1] / "year=2024" / path.name
    wrong_.parent.mkdir()
    path.rename(wrong_)
    found = check(root).findings
    assert any(each.what.endswith(f"{path.relative_to(root).as_posix()}; move it there") for each in found)
    assert files(root, "EURUSD", "M1") == {}


def test_one_odd_file_does_not_end_a_check(root: Path) -> None:
    days = list(files(root, "EURUSD", "tick").items())
    days[1][1].unlink()
    days[1][1].symlink_to("nowhere")
    days[2][1].unlink()
    days[2][1].symlink_to(days[2][1].name)
    days[3][1].unlink()
    days[3][1].mkdir()
    found = check(root).wrong
    assert [(each.kind, each.start) for each in found] == [
        (Kind.DAMAGED, period.start) for period, _ in days[1:4]
    ]
    assert all("cannot be read" in each.what for each in found[:2])


def test_a_folder_that_cannot_be_read_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, scandir = M1.folder(root), os.scandir

    def refusing(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (finding,) = check(root).wrong
    assert finding.path == closed.relative_to(root).as_posix()
    assert finding.what == "the folder cannot be read: Permission denied; nothing in it was looked at"
    with pytest.raises(ArchiveError, match="cannot be read: Permission denied"):
        files(root, "EURUSD", "M1")


@pytest.mark.parametrize("content", ["[", '{"format": 2, "accounts": []}'])
def test_a_description_that_cannot_be_used_is_told(root: Path, content: str) -> None:
    (root / DESCRIPTION).write_text(content)
    (finding,) = check(root).wrong
    assert (finding.kind, finding.path) == (Kind.DAMAGED, DESCRIPTION)
    assert "format 2" in finding.what or "not as an archive writes it" in finding.what
    with pytest.raises(ArchiveError, match=r"format 2|not as an archive writes it"):
        scan(root, "EURUSD")


def _set(name: str, value: float) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        rows[name][50] = value
        return rows

    return change


@pytest.mark.parametrize(
    ("series", "name", "value", "said"),
    [
        (M1, "close", np.nan, "a row with a price that is no number"),
        (M1, "low", np.inf, "a row with a price that is no number"),
        (M1, "low", 0, "a row with a price of 0 or less"),
        (M1, "open", 9, "a row whose open, high, low and close do not go together"),
        (M1, "low", 9, "a row whose open, high, low and close do not go together"),
        (M1, "time", MON + 50 * 60 + 17, "a row at times at which no bar of the timeframe opens"),
        (TICK, "ask", -1, "a row with a price below 0"),
    ],
)
def test_values_that_cannot_be_are_found(
    root: Path, series: Series, name: str, value: float, said: str
) -> None:
    time = MON if series == M1 else MON + 21 * DAY
    spoil(root, series, _set(name, value), time)
    found = [each for each in check(root).wrong if each.kind is Kind.VALUE]
    assert [(each.timeframe, each.what) for each in found] == [(series.tf, said)]


def test_series_that_end_or_begin_otherwise_are_noted(tmp_path: Path) -> None:
    minutes = walk(trading(MON, 75))
    end = int(minutes["time"][-1]) + MINUTE
    fill_all(tmp_path, "EURUSD", minutes, ("M1", "M5", "H1"), end)
    fill(tmp_path, TICK, quotes(minutes[-4000:]), end)
    assert [each.what for each in check(tmp_path).findings if "count other ticks" not in each.what] == []
    paths = files(tmp_path, "EURUSD", "M5")
    next(iter(paths.values())).unlink()
    list(paths.values())[-1].unlink()
    list(files(tmp_path, "EURUSD", "tick").values())[-1].unlink()
    notes = [(each.timeframe, each.what.partition(",")[0]) for each in check(tmp_path).findings]
    assert [each for each in notes if "count other ticks" not in each[1]] == [
        ("tick", "ends with the file of 2026-01-15"),
        ("M5", "begins with the file of 2025-12"),
        ("M5", "ends with the file of 2025-12"),
    ]


@pytest.mark.parametrize("content", ["[1]", '{"a": 1}', '[{"kind": "gap"}]', "[" * 100_000, "3"])
def test_what_was_confirmed_has_to_be_as_it_was_written(root: Path, content: str) -> None:
    (root / NAME).write_text(content)
    with pytest.raises(ArchiveError, match=r"_confirmed.json cannot be read"):
        check(root)


def test_files_that_are_being_written_are_let_be(root: Path) -> None:
    (root / DESCRIPTION).write_text('{"format": 1, "accounts": []}')
    with writing(root):
        (root / WORK / "M1.EURUSD.2025-11").write_bytes(b"PAR1")
        assert check(root).wrong == []
    assert [each.kind for each in check(root).wrong] == [Kind.TEMPORARY]


def test_what_is_confirmed_is_not_told(root: Path) -> None:
    begin = MON + 3 * DAY + 3600
    spoil(root, M1, lambda rows: without(rows, begin, begin + 3600))
    found = check(root).wrong
    confirmed = Confirmed(root)
    for each in found:
        confirmed.add(each)
    confirmed.save()
    report = check(root)
    assert (report.wrong, report.confirmed) == ([], found)
    spoil(root, M1, lambda rows: without(rows, begin, begin + 3660))
    assert check(root).wrong  # there is more missing than was confirmed


def test_parts_of_a_confirmed_gap_are_confirmed(tmp_path: Path) -> None:
    confirmed = Confirmed(tmp_path)
    gap = Finding(Kind.GAP, "EURUSD", "M1", 100, 200, "")
    confirmed.add(gap)
    assert confirmed.has(gap._replace(start=120, what="other words"))
    assert not confirmed.has(gap._replace(stop=260))
    assert not confirmed.has(gap._replace(timeframe="M5"))
    assert not confirmed.has(gap._replace(kind=Kind.MISMATCH))
    (tmp_path / NAME).write_text("{")
    with pytest.raises(ArchiveError, match=r"_confirmed.json cannot be read"):
        Confirmed(tmp_path)


def test_only_some_symbols_are_looked_at(root: Path, tmp_path: Path) -> None:
    spoil(root, M1, lambda rows: without(rows, MON + DAY, MON + 2 * DAY))
    assert check(root, ["US500.cash"]).wrong == []
    with pytest.raises(ArchiveError, match=r"has nothing of USDCHF .it has EURUSD, US500.cash"):
        check(root, ["USDCHF"])
    with pytest.raises(ArchiveError, match="has no archive in it"):
        check(tmp_path)
    with pytest.raises(ArchiveError, match="is not there"):
        check(tmp_path / "nowhere")


def _rows(path: Path) -> Rows:
    from mt5crs.archive.rows import read_rows

    return read_rows(path)
