"""Whatever interrupts a pull, the next one ends with the bytes of a pull that nothing interrupted."""

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from mt5crs import Client
from mt5crs.archive.folder import is_written, put, read_description, writing
from mt5crs.archive.layout import WORK, Series
from mt5crs.archive.pull import pull
from mt5crs.errors import ArchiveError, DamagedFile, SettingError, UnknownSymbol
from tests.archive.pulls import (
    BEGIN,
    COMMAND,
    DAY,
    EVERYTHING,
    PATIENCE,
    Counting,
    command,
    data,
    pulled,
    run,
    still,
)
from tests.cli.commands import Run, environment
from tests.processes import Gateway

M1 = "rates/symbol=EURUSD/tf=M1/year=2025/2025-03.parquet"
DAY_FILE = "ticks/symbol=EURUSD/year=2025/2025-03-18.parquet"
LAST_DAY_FILE = "ticks/symbol=EURUSD/year=2025/2025-03-20.parquet"
SMALL = 60_000
"""Bytes of a file: some of the archive's are larger."""


class Deed:
    """Does something once, when so many pages have come."""

    def __init__(self, pages: int, deed: Any) -> None:
        self._left = pages
        self._deed = deed

    def begun(self, series: Series, begin: int, end: int) -> None: ...

    def done(self, pulled: Any) -> None: ...

    def got(self, series: Series, rows: int, until: int) -> None:
        self._left -= 1
        if self._left == 0:
            self._deed()


def _work_seen(root: Path) -> int:
    """Return how many files there are, finished or not."""
    return sum(path.is_file() for path in root.rglob("*parquet")) + sum(
        path.stat().st_size > 0 for path in (root / WORK).glob("*")
    )


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_it_may_be_killed_at_any_time(gateway: Gateway, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    kills = 0
    for files in (1, 4, 8):
        process = subprocess.Popen(
            command(gateway, root, *COMMAND, "--jobs", "3"),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        give_up = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < give_up:
            try:
                if _work_seen(root) >= files:
                    break
            except FileNotFoundError:  # a draft that has just got its name
                continue
        if process.poll() is None:
            process.kill()
            kills += 1
        process.communicate(timeout=PATIENCE)
    assert kills >= 2
    done = run(gateway, root, *COMMAND)
    assert (done.returncode, done.stderr) == (0, "")
    assert data(root) == data(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_it_ends_at_once_when_it_is_asked_to(gateway: Gateway, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    longer = ("EURUSD", "USDJPY", "--tf", "tick", "--from", "2024-03-18")
    with subprocess.Popen(
        command(gateway, root, *longer), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        give_up = time.monotonic() + PATIENCE
        while not list(root.rglob("*.parquet")) and time.monotonic() < give_up:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert b"Traceback" not in out + err
    assert len(list(root.rglob("*.parquet"))) < 200, "of 732 days"
    assert not list((root / WORK).iterdir())


def test_a_gateway_may_go_away_and_come_back(whole: Path, tmp_path: Path) -> None:
    with still(tmp_path) as mortal, mortal.client(timeout=2) as client:

        def die() -> None:
            mortal.kill()
            mortal.start()

        pulled(client, tmp_path / "a", watcher=Deed(5, die))
    assert data(tmp_path / "a") == data(whole)


def test_a_gateway_that_stays_away_is_told(
    gateway: Gateway, client: Client, whole: Path, tmp_path: Path
) -> None:
    root = tmp_path / "a"
    with still(tmp_path) as mortal, mortal.client(timeout=0.5) as briefly:
        done = pull(briefly, root, EVERYTHING, BEGIN, patience=0.2, watcher=Deed(6, mortal.kill), jobs=2)
    failures = [each.failure for each in done if each.failure is not None]
    assert failures
    assert all("waited for 0.2 s" in str(each) and "pull again" in str(each) for each in failures)
    pulled(client, root)
    assert data(root) == data(whole)


def test_a_gateway_that_comes_back_with_another_account_is_refused(tmp_path: Path) -> None:
    with still(tmp_path) as mortal, mortal.client(timeout=2) as client:

        def become_another() -> None:
            mortal.kill()
            mortal._command += ["--login", "77"]
            mortal.start()

        done = pull(client, tmp_path / "a", EVERYTHING[2:3], BEGIN, watcher=Deed(3, become_another))
    assert isinstance(done[0].failure, ArchiveError)
    assert "5001001@MT5CRS-Simulated" in str(done[0].failure)
    assert "77@MT5CRS-Simulated" in str(done[0].failure)


def test_another_account_is_refused_until_it_is_accepted(tmp_path: Path, client: Client) -> None:
    root, wanted = tmp_path / "a", [Series("EURUSD", "H1")]
    pulled(client, root, wanted, end=BEGIN + DAY)
    before = data(root)
    with still(tmp_path, "--login", "77") as other, other.client() as another:
        with pytest.raises(ArchiveError, match="5001001@MT5CRS-Simulated.*77@MT5CRS-Simulated"):
            pull(another, root, wanted, BEGIN)
        assert data(root) == before
        pulled(another, root, wanted, accept_account=True)
        pulled(another, root, wanted)
    pulled(client, root, wanted)
    assert read_description(root).accounts == ("5001001@MT5CRS-Simulated", "77@MT5CRS-Simulated")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_loses_nothing(gateway: Gateway, whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "a"

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))

    done = run(gateway, root, *COMMAND, before=no_room)
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "pull again" in done.stderr
    assert "Traceback" not in done.stderr
    theirs = data(whole)
    assert data(root) == {name: content for name, content in theirs.items() if name in data(root)}
    assert 0 < len(data(root)) < len(theirs)
    assert run(gateway, root, *COMMAND).returncode == 0
    assert data(root) == theirs


@pytest.mark.parametrize(("name", "place"), [(LAST_DAY_FILE, 200), (DAY_FILE, -20), (M1, 5000)])
def test_a_damaged_file_is_named_and_left_alone(
    client: Client, whole: Path, tmp_path: Path, name: str, place: int
) -> None:
    root = tmp_path / "a"
    with still(tmp_path, start="2025-03-20T09:00") as earlier, earlier.client() as early:
        pulled(early, root)
    path = root / name
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    done = pull(client, root, EVERYTHING, BEGIN)
    (failure,) = [each.failure for each in done if each.failure is not None]
    assert isinstance(failure, DamagedFile)
    assert str(path) in str(failure)
    assert "repair" in str(failure)
    assert path.read_bytes() == content
    others = {key: value for key, value in data(whole).items() if "EURUSD" not in key}
    assert others.items() <= data(root).items(), "the others come to their end"


def test_a_file_that_lies_in_the_wrong_place_is_told(client: Client, whole: Path, tmp_path: Path) -> None:
    path = Series("USDJPY", "M1").path(tmp_path / "a", Series("USDJPY", "M1").period(BEGIN))
    pulled(client, tmp_path / "a", [Series("EURUSD", "M1")])
    path.parent.mkdir(parents=True)
    path.write_bytes((whole / M1).read_bytes())
    (done,) = pull(client, tmp_path / "a", [Series("USDJPY", "M1")], BEGIN)
    assert "EURUSD M1 2025-03" in str(done.failure)


def test_one_pull_at_a_time(gateway: Gateway, client: Client, whole: Path) -> None:
    before = data(whole)
    with writing(whole):
        with pytest.raises(ArchiveError, match="another program is writing"):
            pull(client, whole, EVERYTHING, BEGIN)
        done = run(gateway, whole, *COMMAND)
    assert done.returncode == 1
    assert "another program is writing" in done.stderr
    assert data(whole) == before


def test_a_folder_that_is_something_else_is_left_alone(client: Client, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter").write_text("dear")
    (tmp_path / "file").write_text("dear")
    (tmp_path / "newer").mkdir()
    (tmp_path / "newer" / "_archive.json").write_text('{"format": 9, "accounts": []}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "_archive.json").write_text("{")
    for name, message in (
        ("letters", "no archive, and not empty"),
        ("file", "is a file"),
        ("newer", "format 9"),
        ("broken", "not as an archive writes it"),
    ):
        before = sorted(str(path) for path in tmp_path.rglob("*"))
        with pytest.raises((SettingError, ArchiveError), match=message):
            pull(client, tmp_path / name, EVERYTHING, BEGIN)
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_what_cannot_be_pulled_is_said_before_anything_is(client: Client, ask: Run, tmp_path: Path) -> None:
    root = tmp_path / "a"
    with pytest.raises(UnknownSymbol, match="EURUSX"):
        pull(client, root, [*EVERYTHING, Series("EURUSX", "M1")], BEGIN)
    with pytest.raises(SettingError, match="nothing is between"):
        pull(client, root, EVERYTHING, BEGIN, BEGIN)
    assert not root.exists()
    for arguments, message in (
        (("EURUSD", "--tf", "M7", "--from", "2025-03-18"), "'M7' is no timeframe"),
        (("EURUSD", "--tf", ",", "--from", "2025-03-18"), "names no timeframe"),
        (("EURUSD", "--tf", "M1", "--from", "soon"), "no date in server time"),
        (("EURUSD", "--tf", "M1", "--from", "2025-03-18", "--to", "2025-03-17"), "--from is not before"),
        (("EURUSD", "--tf", "M1", "--from", "2031-03-18"), "newest is of 2025-03-20"),
        (("EURUSD", "--tf", "tick", "--from", "2031-03-18"), "newest is of 2025-03-20"),
    ):
        done = ask("archive", "pull", *arguments, "--out", str(root))
        assert done.code == 2, done.err
        assert message in " ".join(done.err.replace("│", "").split())
        assert not list(root.rglob("*.parquet"))


def test_a_folder_that_cannot_be_made_is_told(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match="cannot be written: Not a directory"):
        pull(client, tmp_path / "file" / "a", EVERYTHING, BEGIN)


def test_looking_whether_anybody_writes_hinders_nobody(tmp_path: Path) -> None:
    root = tmp_path / "a"
    with writing(root):
        assert is_written(root)
    assert not is_written(root)
    with (root / "_lock").open("rb+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_written(root), "somebody else who looks writes nothing"
        timer = Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        with writing(root):
            pass
        timer.join()


def test_an_archive_that_is_removed_meanwhile_is_told(client: Client, tmp_path: Path) -> None:
    root = tmp_path / "a"
    done = pull(client, root, EVERYTHING, BEGIN, watcher=Deed(2, lambda: shutil.rmtree(root)), jobs=1)
    assert any("cannot be written" in str(each.failure) for each in done)
    pulled(client, root, EVERYTHING[:1])


def test_a_draft_whose_archive_was_removed_leaves_no_folders_behind(tmp_path: Path) -> None:
    root = tmp_path / "a"
    root.mkdir()
    with (root / "draft").open("wb") as file:
        shutil.rmtree(root)
        with pytest.raises(FileNotFoundError):
            put(file, root / "draft", root / "rates" / "file")
    assert not root.exists()


def test_a_description_that_is_removed_meanwhile_is_written_again(
    client: Client, whole: Path, tmp_path: Path
) -> None:
    root = tmp_path / "a"
    pulled(client, root, watcher=Deed(2, (root / "_archive.json").unlink))
    assert data(root) == data(whole)
    (root / "_archive.json").unlink()
    with pytest.raises(SettingError, match=r"no _archive\.json") as told:
        pulled(client, root)
    assert "copy _archive.json" in str(told.value)


def test_a_folder_among_the_drafts_is_in_nobodys_way(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a" / WORK / "folder").mkdir(parents=True)
    pulled(client, tmp_path / "a", EVERYTHING[:1])
    assert (tmp_path / "a" / WORK / "folder").is_dir()


def test_a_place_where_nothing_can_be_is_told(client: Client, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path, message in (
        (tmp_path / ("x" * 300), "File name too long"),
        (tmp_path / "link", "link to what is not there"),
        (Path("/proc/archive"), "cannot be written"),
    ):
        with pytest.raises((SettingError, ArchiveError), match=message) as told:
            pull(client, path, EVERYTHING, BEGIN)
        assert "as it was" not in str(told.value)
        assert "state another folder" in str(told.value)


def test_a_folder_that_may_not_be_read_is_told_before_anything_is_asked(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, series = tmp_path / "a", EVERYTHING[0]
    pulled(client, root, [series])
    closed = series.folder(root)

    def access(path: Path, mode: int) -> bool:  # root may do everything
        return Path(path) != closed

    monkeypatch.setattr(os, "access", access)
    counting = Counting(client)
    (done,) = pull(counting, root, [series], BEGIN)
    assert str(closed) in str(done.failure)
    assert "permissions" in str(done.failure)
    assert not counting.history()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"format": "1", "accounts": []}',
        '{"format": true, "accounts": []}',
        '{"format": 1, "accounts": "7@Broker"}',
        '{"format": 1, "accounts": [7]}',
        '{"format": 1}',
        "[]",
        "null",
    ],
    ids=range(8),
)
def test_a_description_that_makes_no_sense_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "_archive.json").write_text(text)
    with pytest.raises(ArchiveError, match="not as an archive writes it"):
        read_description(tmp_path)
