"""A repair fetches what is wrong again and nothing else; what the terminal lacks as well is recorded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mt5crs import Client
from mt5crs import constants as c
from mt5crs.archive.check import check
from mt5crs.archive.findings import Kind
from mt5crs.archive.layout import WORK, Series, files
from mt5crs.archive.repair import ASIDE, Repair, plan, repair
from mt5crs.archive.rows import read_footer, read_rows
from mt5crs.errors import ArchiveError, BridgeError
from mt5crs.terminal.simulated import SimulatedConfig
from mt5crs.timeframes import TIMEFRAMES
from tests.archive.making import Rows, put, without
from tests.archive.pulls import BEGIN, EVERYTHING, Counting, rows
from tests.cli.commands import Run
from tests.processes import Gateway
from tests.terminal.desk import Desk

M1, H1, TICK = (Series("EURUSD", name) for name in ("M1", "H1", "tick"))
DAY, HOUR = 86_400, 3600
NOON = BEGIN + DAY + 12 * HOUR


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of an archive that a test may spoil."""
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def spoil(root: Path, series: Series, change: Callable[[Rows], Rows]) -> None:
    """Change the rows of the file that has the noon, with a checksum that is that of the changed rows."""
    period = series.period(NOON)
    path = series.path(root, period)
    put(root, series, period, change(read_rows(path).copy()), read_footer(path).until // 1000)


def flip(root: Path, series: Series) -> Path:
    """Flip a bit in the middle of that file."""
    path = series.path(root, series.period(NOON))
    whole = path.read_bytes()
    place = len(whole) // 3
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    return path


def hole(rows_: Rows) -> Rows:
    rest: Rows = without(rows_, NOON, NOON + HOUR)
    return rest


def double(rows_: Rows) -> Rows:
    return np.insert(rows_, 50, rows_[50])


def turn(rows_: Rows) -> Rows:
    rows_[[50, 60]] = rows_[[60, 50]]
    return rows_


def lift(rows_: Rows) -> Rows:
    rows_["high" if "high" in (rows_.dtype.names or ()) else "ask"][-20] += 1
    return rows_


class Lacking(Counting):
    """A client of a terminal that has no bars from noon on for an hour, or none before that."""

    def __init__(self, client: Client, start: int = NOON, stop: int = NOON + HOUR) -> None:
        super().__init__(client)
        self._stretch = (start, stop)

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name != "copy_rates_range":
            return method

        def without_some(*arguments: Any) -> Any:
            found = method(*arguments)
            return None if found is None else without(found, *self._stretch)

        return without_some


def test_a_pulled_archive_is_whole(whole: Path) -> None:
    assert check(whole).wrong == []


def test_what_is_whole_is_let_be(client: Client, root: Path) -> None:
    counting = Counting(client)
    assert repair(counting, root) == Repair([], [], [], [])
    assert counting.asked == []


@pytest.mark.parametrize("change", [hole, double, turn])
@pytest.mark.parametrize("series", [M1, TICK], ids=str)
def test_a_fault_is_repaired(
    client: Client, whole: Path, root: Path, series: Series, change: Callable[[Rows], Rows]
) -> None:
    spoil(root, series, change)
    assert check(root).wrong
    counting = Counting(client)
    mended = repair(counting, root)
    assert mended.repaired
    assert (mended.confirmed, mended.left, check(root).wrong) == ([], [], [])
    assert {str(each.step) for each in mended.done} == {f"{series} {series.period(NOON).name}"}
    assert {arguments[0] for _, arguments in counting.history()} == {"EURUSD"}
    for each in EVERYTHING:
        assert rows(root, each).tobytes()[: len(rows(whole, each)) * 60] == rows(whole, each).tobytes()


def test_of_a_mismatch_both_sides_are_fetched(client: Client, whole: Path, root: Path) -> None:
    spoil(root, H1, lift)
    (finding,) = check(root).wrong
    assert [str(step) for step in plan([finding])] == ["EURUSD M1 2025-03", "EURUSD H1 2025"]
    mended = repair(client, root)
    assert (mended.repaired, mended.left, check(root).wrong) == ([finding], [], [])
    assert rows(root, H1).tobytes() == rows(whole, H1).tobytes()


@pytest.mark.parametrize("series", [M1, H1, TICK], ids=str)
def test_a_damaged_file_is_replaced(client: Client, whole: Path, root: Path, series: Series) -> None:
    path = flip(root, series)
    (finding,) = check(root).wrong
    assert finding.kind is Kind.DAMAGED
    mended = repair(client, root)
    assert (mended.repaired, mended.left, check(root).wrong) == ([finding], [], [])
    assert read_rows(path).tobytes() == read_rows(series.path(whole, series.period(NOON))).tobytes()
    assert not (root / ASIDE).exists()


def test_a_file_that_is_not_there_is_fetched(client: Client, whole: Path, root: Path) -> None:
    path = TICK.path(root, TICK.period(NOON))
    path.unlink()
    assert repair(client, root).left == []
    assert path.read_bytes() == TICK.path(whole, TICK.period(NOON)).read_bytes()


def test_half_written_files_are_removed(root: Path) -> None:
    (root / WORK).mkdir(exist_ok=True)
    (root / WORK / "M1.EURUSD.2025-03").write_bytes(b"PAR1")
    mended = repair(None, root)  # type: ignore[arg-type]  # nobody is asked
    assert ([each.kind for each in mended.repaired], mended.left) == ([Kind.TEMPORARY], [])


def test_what_the_terminal_does_not_have_is_confirmed(client: Client, root: Path) -> None:
    spoil(root, M1, hole)
    before = check(root).wrong
    mended = repair(Lacking(client), root)
    assert mended.confirmed == before
    assert (mended.repaired, mended.left) == ([], [])
    report = check(root)
    assert (report.wrong, report.confirmed) == ([], len(before))
    counting = Counting(client)
    assert repair(counting, root).done == []
    assert counting.asked == []


def test_rows_older_than_the_terminals_stay(client: Client, whole: Path, root: Path) -> None:
    spoil(root, M1, hole)
    mended = repair(Lacking(client, 0, NOON - 12 * HOUR), root)
    assert (mended.left, check(root).wrong) == ([], [])
    assert rows(root, M1).tobytes() == rows(whole, M1).tobytes()


def test_a_damaged_file_is_kept_where_the_terminal_has_less(client: Client, root: Path) -> None:
    path = flip(root, M1)
    damaged = path.read_bytes()
    (done,) = repair(Lacking(client, 0, NOON), root).done
    assert done.kept == f"{ASIDE}/rates/symbol=EURUSD/tf=M1/year=2025/2025-03.damaged"
    assert (root / done.kept).read_bytes() == damaged
    assert read_rows(path)["time"][0] == NOON


def test_a_damaged_file_stays_where_the_terminal_has_nothing(client: Client, root: Path) -> None:
    path = flip(root, M1)
    damaged = path.read_bytes()
    mended = repair(Lacking(client, 0, 1 << 40), root)
    assert [each.kind for each in mended.left] == [Kind.DAMAGED]
    assert "so .* stays as it is" in str(mended.done[0].failure) or "stays as it is" in str(
        mended.done[0].failure
    )
    assert path.read_bytes() == damaged


def test_nothing_changes_where_the_gateway_is_away(root: Path) -> None:
    path = flip(root, M1)
    damaged = path.read_bytes()
    with Client("127.0.0.1", 9, timeout=0.2) as nobody, pytest.raises(BridgeError):
        repair(nobody, root, patience=0.1)
    assert path.read_bytes() == damaged


def test_another_account_is_refused(root: Path, tmp_path: Path) -> None:
    flip(root, M1)
    with Gateway(tmp_path, ("--login", "77")) as other, other.client() as client:
        with pytest.raises(ArchiveError, match="is an archive of account"):
            repair(client, root)


def test_the_command(gateway: Gateway, root: Path, run: Run) -> None:
    flip(root, M1)
    spoil(root, TICK, double)
    port = ("--port", str(gateway.port))
    planned = run("archive", "repair", str(root), "--dry-run", "--json", *port)
    assert [(each["tf"], each["why"]) for each in planned.json] == [("tick", "duplicate"), ("M1", "damaged")]
    assert run("archive", "check", str(root)).code == 1
    done = run("archive", "repair", str(root), "--json", *port)
    assert done.code == 0
    assert {each["became"] for each in done.json["findings"]} == {"repaired"}
    assert {each["outcome"] for each in done.json["files"]} == {"done"}
    assert "0 not repaired" in done.err
    assert run("archive", "check", str(root)).code == 0
    assert "findings: none" in run("archive", "repair", str(root), *port).out


def test_an_archive_that_was_pulled_can_be_replayed(whole: Path) -> None:
    later = BEGIN + 4 * DAY
    desk = Desk(SimulatedConfig(replay=(whole,), start=later))
    for symbol in ("EURUSD", "USDJPY"):
        for name in ("M1", "H1"):
            bars = desk.get("copy_rates_range", symbol, TIMEFRAMES[name], BEGIN, later)
            kept = rows(whole, Series(symbol, name))
            kept = kept[kept["time"] >= BEGIN]
            assert bars[: len(kept)].tolist() == kept.tolist()
        ticks = desk.get("copy_ticks_range", symbol, BEGIN + 60, later, c.COPY_TICKS_ALL)
        pulled = rows(whole, Series(symbol, "tick"))
        assert ticks.tolist() == pulled[pulled["time"] >= BEGIN + 60].tolist()


def test_every_file_has_its_place_still(root: Path, client: Client) -> None:
    spoil(root, M1, double)
    before = {str(each): list(files(root, each.symbol, each.tf)) for each in EVERYTHING}
    repair(client, root)
    assert {str(each): list(files(root, each.symbol, each.tf)) for each in EVERYTHING} == before
