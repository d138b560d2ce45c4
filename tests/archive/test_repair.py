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
from mt5crs.archive.mending import ASIDE, merged
from mt5crs.archive.repair import Repair, plan, repair
from mt5crs.archive.rows import read_footer, read_rows
from mt5crs.errors import ArchiveError, BridgeError
from mt5crs.model import RATES
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
    assert (report.wrong, report.confirmed) == ([], before)
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


def test_good_rows_that_the_terminal_lacks_are_not_lost(client: Client, whole: Path, root: Path) -> None:
    """A wrong bar elsewhere in the file is no reason to take them away, or to call their loss confirmed."""
    spoil(root, H1, lift)
    mended = repair(Lacking(client), root)
    assert ([each.failure for each in mended.done], mended.confirmed, mended.left) == ([None, None], [], [])
    for series in (M1, H1):
        assert rows(root, series).tobytes() == rows(whole, series).tobytes()
    assert check(root).confirmed == []
    assert not list((root / WORK).iterdir())


def test_rows_of_a_doubted_stretch_stay_where_their_loss_is_no_help(
    client: Client, whole: Path, root: Path
) -> None:
    shutil.rmtree(root / "ticks")
    minute = NOON + 30 * 60
    spoil(root, H1, lambda rows_: lift_at(rows_, NOON))
    mended = repair(Lacking(client, minute, minute + 60), root)
    assert "does not go together" in str(mended.done[0].failure)
    assert (mended.confirmed, check(root).confirmed) == ([], [])
    assert rows(root, M1).tobytes() == rows(whole, M1).tobytes()
    assert not list((root / ASIDE).rglob("*.damaged"))


def test_rows_that_are_left_out_are_kept_aside(client: Client, whole: Path, root: Path) -> None:
    def move(rows_: Rows) -> Rows:
        rows_["time"][0] -= 40 * DAY
        return rows_

    spoil(root, M1, move)
    (done,) = repair(client, root).done
    assert read_rows(root / done.kept)["time"][0] < M1.period(NOON).start
    assert rows(root, M1).tobytes() == rows(whole, M1).tobytes()


@pytest.mark.parametrize(
    ("theirs", "doubted", "expected", "is_lost"),
    [
        ([1, 2, 3, 4], [], [1, 2, 3, 4], False),
        ([2, 4], [], [1, 2, 3, 4], False),  # what the terminal lacks stays
        ([2, 4, 5], [(3, 5)], [1, 2, 4, 5], True),  # but where it has others of a doubted stretch
        ([2], [(3, 5)], [1, 2, 3, 4], False),  # it says nothing of that stretch
        ([], [(1, 5)], [1, 2, 3, 4], False),
    ],
)
def test_two_histories_become_one(
    theirs: list[int], doubted: list[tuple[int, int]], expected: list[int], is_lost: bool
) -> None:
    old, new = np.zeros(4, RATES.dtype), np.zeros(len(theirs), RATES.dtype)
    old["time"], new["time"], new["open"] = [1, 2, 3, 4], theirs, 7
    found, lost = merged(old, new, doubted)
    assert (found["time"].tolist(), lost) == (expected, is_lost)
    assert found["time"][found["open"] == 7].tolist() == theirs


def lift_at(rows_: Rows, time: int) -> Rows:
    rows_["high"][rows_["time"] == time] += 1
    return rows_


class Lying(Counting):
    """A client of a terminal whose H1 bars of one day are others than they were."""

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)

        def changed(*arguments: Any) -> Any:
            found = method(*arguments).copy()
            if arguments[1] == c.TIMEFRAME_H1:
                found["high"][found["time"] // DAY == BEGIN // DAY] += 1
            return found

        return changed if name == "copy_rates_range" else method


def test_a_repair_that_makes_something_worse_is_taken_back(client: Client, root: Path) -> None:
    spoil(root, H1, lift)
    (finding,) = check(root).wrong
    path = H1.path(root, H1.period(NOON))
    before = path.read_bytes()
    mended = repair(Lying(client), root)
    assert (mended.repaired, mended.confirmed, mended.left) == ([], [], [finding])
    assert "EURUSD H1 2025 does not go together with the archive: high " in str(mended.done[1].failure)
    assert path.read_bytes() == before
    assert check(root).wrong == [finding]


def test_what_the_terminals_history_does_not_cover_is_not_confirmed(client: Client, root: Path) -> None:
    spoil(root, M1, hole)
    before = check(root).wrong

    class Short(Lacking):
        """A terminal whose history begins after the hole."""

        def __getattr__(self, name: str) -> Any:
            method = super().__getattr__(name)
            return (lambda *_: None) if name == "copy_rates_from" else method

    mended = repair(Short(client, 0, NOON + HOUR), root)
    assert (mended.confirmed, mended.left) == ([], before)
    assert check(root).wrong == before


def test_a_file_of_another_place_is_kept(client: Client, root: Path) -> None:
    place = TICK.path(root, TICK.period(NOON))
    other = TICK.path(root, TICK.period(NOON - DAY)).read_bytes()
    place.write_bytes(other)
    mended = repair(client, root)
    (done,) = mended.done
    assert (root / done.kept).read_bytes() == other
    place.write_bytes(other)
    (again,) = repair(client, root).done
    assert again.kept != done.kept
    assert (root / done.kept).read_bytes() == (root / again.kept).read_bytes() == other


def test_nonsense_is_replaced(client: Client, whole: Path, root: Path) -> None:
    def nonsense(rows_: Rows) -> Rows:
        rows_["close"][50] = np.nan
        rows_["time"][70] += 17
        return rows_

    spoil(root, M1, nonsense)
    assert Kind.VALUE in {each.kind for each in check(root).wrong}
    mended = repair(client, root)
    assert (mended.confirmed, mended.left, check(root).wrong) == ([], [], [])
    assert rows(root, M1).tobytes() == rows(whole, M1).tobytes()


def test_a_file_of_a_later_version_stays(client: Client, root: Path) -> None:
    path = newer(root, M1)
    before = path.read_bytes()
    mended = repair(client, root)
    assert [each.what for each in mended.left] == ["is of format 2, this is format 1"]
    assert path.read_bytes() == before


def newer(root: Path, series: Series) -> Path:
    import pyarrow.parquet as pq

    path = series.path(root, series.period(NOON))
    facts = {**pq.read_metadata(path).metadata, b"mt5crs.format": b"2"}
    pq.write_table(pq.read_table(path).replace_schema_metadata(facts), path)
    return path


def test_confirmed_findings_are_told_with_all(client: Client, root: Path, run: Run) -> None:
    spoil(root, M1, hole)
    repair(Lacking(client), root)
    check_ = run("archive", "check", str(root), "--json")
    assert (check_.code, [each["kind"] for each in check_.json if each["kind"] != "note"]) == (0, [])
    assert "1 confirmed by the terminal" in check_.err
    assert "--all" in check_.err
    told = run("archive", "check", str(root), "--all", "--json")
    assert told.code == 0
    assert [each["kind"] for each in told.json if "confirmed by the terminal" in each["what"]] == ["gap"]


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
