"""What an archive has is told in numbers, in blocks and as a picture; and what the commands say."""

from pathlib import Path

import pytest

from mt5crs.archive.info import BLOCKS, picture, save_plot, scale, shares, survey
from mt5crs.archive.layout import Series
from mt5crs.errors import ArchiveError
from mt5crs.timeframes import DAY
from tests.archive.making import MON, fill, fill_all, quotes, trading, walk, without
from tests.cli.commands import Run

MINUTES = walk(trading(MON, 60))
HOLE = without(MINUTES, MON + 21 * DAY, MON + 25 * DAY)
END = MON + 60 * DAY


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with a hole; nobody changes it."""
    root = tmp_path_factory.mktemp("info")
    fill_all(root, "EURUSD", HOLE, ("M1", "D1"), END)
    fill(root, Series("EURUSD", "tick"), quotes(MINUTES[:3000]))
    return root


def test_a_survey(root: Path) -> None:
    ticks, minutes, days = survey(root)
    assert [each.series.tf for each in (ticks, minutes, days)] == ["tick", "M1", "D1"]
    assert (minutes.rows, minutes.first, minutes.last) == (len(HOLE), MON, int(HOLE["time"][-1]))
    assert minutes.size == sum(
        path.stat().st_size for path in (root / "rates/symbol=EURUSD/tf=M1").rglob("*.parquet")
    )
    assert (ticks.rows, ticks.share, ticks.last) == (12_000, 1.0, int(quotes(MINUTES[2999:3000])["time"][-1]))
    assert len(minutes.absent) == 4 * 1440
    assert minutes.share == len(HOLE) / (len(HOLE) + 4 * 1440)
    assert len(days.absent) == 4


def test_a_picture(root: Path) -> None:
    found = survey(root)
    columns = scale(found)
    assert columns.name == "week"
    shown = [picture(shares(each, columns)) for each in found]
    assert shown[0] == "█" + " " * 8
    assert shown[1] == "███▂█████"
    assert shown[2] == "███▂█████"
    assert picture([None, 0.0, 0.001, 0.5, 0.9999, 1.0], BLOCKS) == " ·▁▄▇█"


def test_a_plot(root: Path, tmp_path: Path) -> None:
    save_plot(survey(root), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_the_commands(root: Path, tmp_path: Path, run: Run) -> None:
    info = run("archive", "info", str(root), "--json", "--png", str(tmp_path / "a.png"))
    assert [each["tf"] for each in info.json["series"]] == ["tick", "M1", "D1"]
    assert info.json["series"][1]["coverage"][3] == pytest.approx((5 * 1440 - 3 - 4 * 1440) / (5 * 1440 - 3))
    assert (tmp_path / "a.png").stat().st_size
    check = run("archive", "check", str(root), "--json")
    assert check.code == 1
    gap = next(each for each in check.json if each["tf"] == "M1" and each["kind"] == "gap")
    assert (gap["from"], gap["to"]) == (MON + 21 * DAY, MON + 25 * DAY)
    lines = run("archive", "check", str(root))
    assert "gap" in lines.out
    assert "2025-11-24 00:00:00" in lines.out
    plan = run("archive", "repair", str(root), "--dry-run", "--json")
    assert {"symbol": "EURUSD", "tf": "M1", "period": "2025-11", "why": "gap"} in plan.json
    nothing = run("archive", "check", str(tmp_path))
    assert (nothing.code, "has no archive in it" in nothing.err) == (1, True)


def test_an_archive_without_a_row_that_can_be_read(tmp_path: Path, run: Run) -> None:
    fill_all(tmp_path, "EURUSD", MINUTES[:100], ("M1",))
    for path in tmp_path.rglob("*.parquet"):
        path.write_bytes(b"PAR1")
    (held,) = survey(tmp_path)
    assert (held.rows, held.damaged, held.share) == (0, 1, 0.0)
    info = run("archive", "info", str(tmp_path))
    assert info.code == 0
    assert "100 %" not in info.out
    assert "1 files cannot be used" in info.err
    with pytest.raises(ArchiveError, match="no rows to draw"):
        save_plot([held], tmp_path / "a.png")
    (tmp_path / "_archive.json").write_text("[")
    assert "_archive.json is not as an archive writes it" in run("archive", "info", str(tmp_path)).err
