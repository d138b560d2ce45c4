"""The record's file: one account's, one gateway's; whole or refused; and what is too old goes."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import RecordUnusable, SettingError
from mt5crs.trades import record
from mt5crs.trades.picture import Picture
from mt5crs.trades.record import TradeFile
from tests.conftest import ROOT

MINE, OTHER = "1@mine", "2@mine"
EVENT: list[Any] = ["order_add", 1, "EURUSD", 5, 0, 0, "expert", "", []]


def picture(time: float = 1000.0, **parts: Any) -> Picture:
    given: dict[str, Any] = {"orders": {}, "done": {}, "deals": {}, "levels": {}, "held": {}}
    return Picture(0.0, time, **(given | parts))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db.trades"


def test_what_was_kept_is_there_when_it_is_opened_again(path: Path) -> None:
    file = TradeFile(path, MINE)
    assert (file.first, file.last, file.picture) == (1, 0, None)
    file.keep([], picture())
    full = picture(
        orders={5: [0, 1.5]}, done={4: 9.5}, deals={3: 8.5}, levels={2: [1.0, 0.0]}, held={1: True}
    )
    file.keep([EVENT, EVENT], full)
    file.keep([], picture(1001.0, orders={5: [0, 1.5]}, levels={2: [1.0, 0.0]}, held={1: True}))
    file.close()
    again = TradeFile(path, MINE)
    assert (again.id, again.first, again.last) == (file.id, 1, 2)
    assert again.picture == full, "what only time brings about is not worth a write"
    assert again.since(1, 10) == [[2, *EVENT]]
    again.keep([EVENT], picture(1002.0))
    assert again.since(0, 2) == [[1, *EVENT], [2, *EVENT]]
    again.close()
    last = TradeFile(path, MINE)
    assert (last.picture, last.last) == (picture(1002.0), 3)
    last.close()


def test_a_record_is_one_accounts_and_one_gateways(path: Path) -> None:
    file = TradeFile(path, MINE)
    with pytest.raises(SettingError, match="another gateway uses"):
        TradeFile(path, MINE)
    file.close()
    with pytest.raises(SettingError, match="is that of 1@mine, this gateway is for 2@mine") as caught:
        TradeFile(path, OTHER)
    assert "journal of its own" in caught.value.hint
    TradeFile(path, MINE).close()
    assert path.stat().st_mode & 0o77 == 0


def test_what_is_no_record_is_left_as_it_is(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("create table mine (a)")
    database.close()
    with pytest.raises(SettingError, match="is something else"):
        TradeFile(path, MINE)
    with pytest.raises(SettingError, match="is a folder"):
        TradeFile(path.parent, MINE)
    path.write_bytes(b"nothing of SQLite's" * 100)
    with pytest.raises(RecordUnusable, match="not a database"):
        TradeFile(path, MINE)
    assert path.read_bytes().startswith(b"nothing")


def test_a_strangers_trigger_and_another_version_are_refused(path: Path) -> None:
    TradeFile(path, MINE).close()
    with sqlite3.connect(path) as database:
        database.execute("create trigger t after insert on events begin delete from picture; end")
    with pytest.raises(RecordUnusable, match="trigger 't'"):
        TradeFile(path, MINE)
    with database:
        database.execute("drop trigger t")
        database.execute("pragma user_version = 9")
    database.close()
    with pytest.raises(SettingError, match="of version 9"):
        TradeFile(path, MINE)


def test_what_was_not_written_by_us_is_no_event(path: Path) -> None:
    file = TradeFile(path, MINE)
    file.keep([EVENT], picture(orders={5: [0]}))
    other = sqlite3.connect(path)
    with other:
        other.execute("update events set fields = x'c1'")
    with pytest.raises(RecordUnusable, match="not what was written"):
        file.since(0, 9)
    file.close()
    with other:
        other.execute("update picture set value = x'c1'")
    other.close()
    with pytest.raises(RecordUnusable, match="not what was written"):
        TradeFile(path, MINE)


def test_a_write_that_fails_leaves_nothing_behind(path: Path) -> None:
    file = TradeFile(path, MINE)
    file.keep([EVENT], picture())
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(RecordUnusable, match="locked") as caught:
        file.keep([EVENT], picture(2000.0, done={1: 5.0}))
    assert caught.value.hint
    other.close()
    file.close()
    again = TradeFile(path, MINE)
    assert (again.last, again.picture) == (1, picture())
    again.close()


def test_a_full_disk_is_no_half_record(path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from mt5crs.errors import RecordUnusable
from tests.trades.test_record import EVENT, MINE, TradeFile, picture
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = TradeFile(Path(sys.argv[1]), MINE)
file.keep([EVENT], picture())
size = Path(sys.argv[1] + "-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, resource.RLIM_INFINITY))
try:
    file.keep([EVENT] * 2000, picture(2000.0, done=dict.fromkeys(range(2000), 5.0)))
except RecordUnusable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "cannot be used" in done.stdout
    again = TradeFile(path, MINE)
    assert (again.last, again.since(0, 9), again.picture) == (1, [[1, *EVENT]], picture())
    again.close()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_a_record_that_begins_anew_is_another_one(path: Path) -> None:
    file = TradeFile(path, MINE)
    file.keep([EVENT], picture(done={4: 9.5}))
    before = file.id
    file.begin_anew()
    assert (file.first, file.last, file.picture) == (1, 0, None)
    file.keep([EVENT], picture())
    file.close()
    again = TradeFile(path, MINE)
    assert again.id == file.id != before
    assert (again.since(0, 9), again.picture) == ([[1, *EVENT]], picture())
    again.close()


def test_old_events_go_and_numbers_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MOST", 10)
    now = [0]
    file = TradeFile(path, MINE, lambda: now[0])
    file.keep([EVENT] * 25, picture())
    assert (file.first, file.last) == (16, 25)
    now[0] = int((record.KEEP + 1) * 1e9)
    file.keep([EVENT], picture(1001.0))
    assert (file.first, file.last) == (26, 26)
    now[0] *= 3
    file.keep([], picture(9e9))
    assert (file.first, file.last, file.since(0, 9)) == (27, 26, [])
    file.close()
    again = TradeFile(path, MINE)
    assert (again.first, again.last) == (27, 26)
    again.close()
