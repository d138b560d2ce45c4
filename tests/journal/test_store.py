"""The journal's file: durable, append only, one writer; and what is said where it cannot be used."""

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mt5crs.database import LARGEST
from mt5crs.errors import JournalUnusable, KeyConflict, SettingError
from mt5crs.journal import chain, export
from mt5crs.journal.entries import Entry
from mt5crs.journal.file import PAGE
from mt5crs.journal.states import OPEN, State, Step
from mt5crs.journal.store import Begin, Journal, Told

ACCOUNT = "5001001@MT5CRS-Simulated"
BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "comment": "mine"}
RESULT = [10009, 7, 8, 0.1, 1.1, 1.0, 1.1, "done", 3, 0, [1] + [0] * 16]
NOTED = {"retcode": 10009, "deal": 7, "order": 8, "volume": 0.1, "price": 1.1, "code": 1, "text": "Success"}
DONE = {**NOTED, "how": "answer", "makes": True}


class Clock:
    """Nanoseconds, by hand."""

    def __init__(self) -> None:
        self.now = 1_764_000_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000_000_000
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, ACCOUNT, Clock())
    yield opened
    opened.close()


def begin(journal: Journal, *keys: str, principal: str = "inf", request: dict[str, Any] = BUY) -> list[Entry]:
    return journal.begin([Begin(principal, key, request, {"tagged": True, "after": 0.0}) for key in keys])


def test_what_a_killed_start_has_left_hinders_no_other(path: Path) -> None:
    Journal(path, ACCOUNT, Clock()).close()
    with sqlite3.connect(path) as database:
        database.execute("insert into meta values ('room', zeroblob(4096))")  # made, and not yet removed
    opened = Journal(path, ACCOUNT, Clock())
    assert [entry.key for entry in begin(opened, "k1")] == ["k1"]
    opened.close()
    with sqlite3.connect(path) as database:
        assert database.execute("select count(*) from meta where name = 'room'").fetchone() == (0,)


def whole(journal: Journal) -> list[str]:
    return chain.faults(journal.id, journal.events())


# ---- what is kept -----------------------------------------------------------------------------------


def test_an_intent_and_its_outcome_outlive_the_process(path: Path) -> None:
    journal = Journal(path, ACCOUNT)
    (entry,) = begin(journal, "k")
    journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])
    begin(journal, "open")
    id_ = journal.id
    journal.close()

    again = Journal(path, ACCOUNT)
    found = again.find("inf", "k", BUY)
    assert again.id == id_
    assert found is not None
    assert (found.state, found.answer(), found.request) == (State.DONE, RESULT, BUY)
    assert [e.key for e in again.watched.values()] == ["open"]
    again.close()


def test_what_another_process_wrote_is_there_after_it_was_killed(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from mt5crs.journal.store import *\n"
        f"journal = Journal(Path(sys.argv[1]), {ACCOUNT!r})\n"
        "journal.begin([Begin('inf', 'k', {'action': 1}, {'tagged': False, 'after': 0.0})])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    journal = Journal(path, ACCOUNT)  # the lease went with the process
    assert [(e.key, e.state) for e in journal.watched.values()] == [("k", State.SENT)]
    journal.close()


def test_a_key_belongs_to_an_account_a_principal_and_a_request(path: Path, journal: Journal) -> None:
    begin(journal, "k")
    assert journal.find("inf", "k") is not None
    assert journal.find("inf", "k", dict(reversed(BUY.items()))) is not None
    assert journal.find("gpu", "k") is None
    with pytest.raises(KeyConflict, match="belongs to another request"):
        journal.find("inf", "k", {**BUY, "volume": 0.2})
    begin(journal, "k", principal="gpu", request={**BUY, "volume": 0.2})
    journal.close()
    other = Journal(path, "1@Elsewhere")
    assert other.find("inf", "k") is None
    begin(other, "k")
    assert whole(other) == []
    other.close()


def test_steps_that_cannot_follow_are_left_out(journal: Journal) -> None:
    (entry,) = begin(journal, "k")
    first = Told(entry.number, Step.FINISH, DONE, RESULT)
    late = Told(entry.number, Step.REFUSE, {"code": -1, "text": "no"})
    (now,) = journal.record([first])
    (same,) = journal.record([late])
    assert now.state is same.state is State.DONE
    assert journal.head[0] == 2


def test_many_are_one_transaction(journal: Journal) -> None:
    entries = begin(journal, *map(str, range(100)))
    assert [e.number for e in entries] == list(range(1, 101))
    done = journal.record([Told(e.number, Step.FINISH, DONE, RESULT) for e in entries])
    assert {e.state for e in done} == {State.DONE}
    assert journal.watched == {}
    assert whole(journal) == []


def test_an_operators_step_is_taken_in_while_the_gateway_goes_on(path: Path, journal: Journal) -> None:
    (entry,) = begin(journal, "k")
    journal.record([Told(entry.number, Step.DOUBT, {"text": "?"})])
    operator = Journal(path, ACCOUNT, writes=False)
    operator.record([Told(entry.number, Step.DISMISS, {"text": "no", "how": "operator"})])
    operator.latch = "stop"
    operator.close()
    begin(journal, "next")  # behind what came meanwhile
    journal.refresh()
    assert journal.find("inf", "k").state is State.ABSENT  # type: ignore[union-attr]
    assert journal.latch == "stop"
    assert whole(journal) == []


def test_pruning_drops_bodies_and_nothing_else(path: Path, journal: Journal) -> None:
    old, open_, absent = begin(journal, "old", "open", "absent")
    journal.record([Told(old.number, Step.FINISH, DONE, RESULT)])
    journal.record([Told(n, Step.DOUBT, {"text": "?"}) for n in (open_.number, absent.number)])
    journal.record([Told(absent.number, Step.MISS, {"text": "no trace", "how": "no trace"})])
    assert journal.prune(keep=-1.0) == 3  # the old one has two
    assert journal.prune(keep=-1.0) == 0
    found = journal.find("inf", "old", BUY)  # its digest is there still
    assert found is not None
    assert found.request is None
    assert found.answer()[:5] == [10009, 7, 8, 0.1, 1.1]  # type: ignore[index]
    with pytest.raises(KeyConflict):
        journal.find("inf", "old", {**BUY, "volume": 0.2})
    assert journal.find("inf", "open").request == BUY  # type: ignore[union-attr]
    assert journal.claims == {8: old.number}
    assert whole(journal) == []
    journal.close()
    again = Journal(path, ACCOUNT)
    assert [e.key for e in again.watched.values()] == ["open"]
    again.close()


def test_one_in_memory_promises_nothing() -> None:
    journal = Journal(None, ACCOUNT)
    begin(journal, "k")
    assert journal.id == ""
    assert journal.find("inf", "k") is not None
    journal.close()


# ---- one writer -------------------------------------------------------------------------------------


def test_a_second_gateway_is_refused(path: Path, journal: Journal) -> None:
    with pytest.raises(SettingError, match="another gateway uses"):
        Journal(path, ACCOUNT)
    journal.close()
    Journal(path, ACCOUNT).close()


# ---- what goes wrong --------------------------------------------------------------------------------


def test_a_disk_that_takes_no_more_refuses_and_loses_nothing(path: Path, journal: Journal) -> None:
    begin(journal, "before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        with pytest.raises(JournalUnusable, match="cannot be used") as caught:
            begin(journal, "k")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.hint
    assert journal.find("inf", "before") is not None  # reading goes on
    number = len(journal.watched)
    (entry,) = begin(journal, "after")  # and writing, when there is room
    assert len(journal.watched) == number + 1
    assert whole(journal) == []
    journal.close()
    again = Journal(path, ACCOUNT)
    assert entry.number in again.watched
    assert len(again.watched) == number + 1
    again.close()


def test_a_file_that_is_locked_is_waited_for_and_refused(path: Path, journal: Journal) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    with pytest.raises(JournalUnusable, match="locked"):
        begin(journal, "k")
    assert journal.find("inf", "k") is None
    holder.execute("rollback")
    begin(journal, "k")
    assert whole(journal) == []
    holder.close()


def test_a_file_that_was_moved_away_is_not_written_to(path: Path, journal: Journal) -> None:
    begin(journal, "before")
    path.rename(path.with_name("aside"))
    with pytest.raises(JournalUnusable, match="moved or removed"):
        begin(journal, "k")
    path.with_name("aside").rename(path)
    begin(journal, "k")


@pytest.mark.parametrize("damage", ["head", "middle", "short"])
def test_a_damaged_file_is_refused_and_left_as_it_was(path: Path, damage: str) -> None:
    journal = Journal(path, ACCOUNT)
    for number in range(200):
        begin(journal, f"k{number}")
    journal.close()
    content = bytearray(path.read_bytes())
    if damage == "short":
        del content[len(content) // 2 :]
    else:
        start = 0 if damage == "head" else 4 * PAGE
        content[start : start + 3000] = bytes(3000)
    path.write_bytes(content)
    with pytest.raises((JournalUnusable, SettingError)) as caught:
        Journal(path, ACCOUNT)
    assert "left as it is" in caught.value.hint
    assert path.read_bytes() == bytes(content)


def test_other_files_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    database = sqlite3.connect(other)
    database.execute("create table things (x)")
    database.commit()
    database.close()
    with pytest.raises(SettingError, match="is not a journal"):
        Journal(other, ACCOUNT)
    with pytest.raises(SettingError, match="is a folder"):
        Journal(tmp_path, ACCOUNT, writes=False)
    with pytest.raises(JournalUnusable, match="cannot be used"):
        Journal(tmp_path / "nowhere" / "journal.db", ACCOUNT)
    with pytest.raises(SettingError, match="there is no file"):
        Journal(tmp_path / "absent.db", ACCOUNT, writes=False)
    newer = tmp_path / "newer.db"
    Journal(newer, ACCOUNT).close()
    database = sqlite3.connect(newer)
    database.execute("pragma user_version = 99")
    database.close()
    with pytest.raises(SettingError, match="version 99"):
        Journal(newer, ACCOUNT)


# ---- the chain --------------------------------------------------------------------------------------

TAMPERING = {
    "altered": ("update events set at = at + 1 where number = 3", "event 3 "),
    "another key": ("update events set key = 'x' where number = 2", "event 2 "),
    "another note": ("update events set note = x'80' where number = 4", "event 4 "),
    "another body": ("update events set body = x'80' where number = 2", "the body of event 2 "),
    "removed": ("delete from events where number = 3", "event 3 missing"),
    "cut off at the start": ("delete from events where number <= 2", "events 1 to 2 missing"),
    "swapped": (
        "update events set number = 99 where number = 2; update events set number = 2 where number = 3;"
        "update events set number = 3 where number = 99",
        "event 2 ",
    ),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_tampering_shows_where_it_happened(path: Path, kind: str) -> None:
    journal = Journal(path, ACCOUNT)
    entries = begin(journal, "a", "b", "c")
    journal.record([Told(e.number, Step.FINISH, DONE, RESULT) for e in entries])
    assert whole(journal) == []
    journal.close()
    statement, told = TAMPERING[kind]
    database = sqlite3.connect(path)
    database.executescript(statement)
    database.close()
    changed = Journal(path, ACCOUNT, writes=False)
    assert whole(changed)[0].startswith(told)
    changed.close()


def test_an_export_is_the_same_chain(path: Path, journal: Journal, tmp_path: Path) -> None:
    entries = begin(journal, "a", "b")
    journal.record([Told(entries[0].number, Step.FINISH, DONE, RESULT)])
    lines = list(export.lines(journal.id, journal.events()))
    id_, events = export.read(lines, "copy")
    found = list(events)
    assert id_ == journal.id
    assert found == list(journal.events())
    assert chain.faults(id_, found) == []
    assert json.loads(lines[1])["told"]["body"] == [BUY, ""]
    id_, events = export.read([*lines[:1], *lines[2:]], "copy")
    assert chain.faults(id_, events)[0] == "event 1 missing before event 2"
    with pytest.raises(SettingError, match="copy, line 1 is not"):
        export.read([b"{}"], "copy")
    with pytest.raises(SettingError, match="copy, line 2 is not"):
        list(export.read([lines[0], b"nonsense"], "copy")[1])


def test_a_copy_of_another_journal_is_not_this_one(path: Path, journal: Journal, tmp_path: Path) -> None:
    begin(journal, "a")
    assert chain.faults("another", journal.events())
    shutil.copy(path, tmp_path / "copy.db")


def test_open_states_are_the_ones_that_are_kept(journal: Journal) -> None:
    entries = begin(journal, "a", "b")
    journal.record([Told(entries[0].number, Step.DOUBT, {"text": "?"})])
    assert {e.state for e in journal.watched.values()} == set(OPEN)


def test_an_operator_and_an_answer_at_once_are_one_of_them(path: Path, journal: Journal) -> None:
    (entry,) = begin(journal, "k")
    journal.record([Told(entry.number, Step.DOUBT, {"text": "?"})])
    operator = Journal(path, ACCOUNT, writes=False)
    operator.record([Told(entry.number, Step.RESOLVE, {**DONE, "order": 4711, "how": "operator"})])
    operator.close()
    (now,) = journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])  # without having looked
    assert (now.state, now.outcome["order"]) == (State.DONE, 4711)
    assert [event.step for event in journal.events_of(entry.number)] == ["begin", "doubt", "resolve"]
    assert whole(journal) == []


def test_a_step_that_cannot_follow_is_found(path: Path, journal: Journal) -> None:
    (entry,) = begin(journal, "k")
    journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])
    events = list(journal.events())
    unlinked = chain.Event(3, entry.number, "finish", 1, None, None, None, b"\x80", b"", None)
    rogue = msgspec.structs.replace(unlinked, link=chain.link(events[-1].link, unlinked))
    assert chain.faults(journal.id, [*events, rogue]) == [
        f"event 3 (finish) cannot follow what entry {entry.number} was"
    ]
    assert Entry.of([*events, rogue]).state is State.DONE


def test_a_log_that_was_taken_away_refuses_what_comes(path: Path, journal: Journal) -> None:
    begin(journal, "before")
    log = path.with_name(f"{path.name}-wal")
    log.rename(log.with_suffix(".aside"))
    with pytest.raises(JournalUnusable, match="moved or removed"):
        begin(journal, "k")


def test_a_link_to_a_journal_is_that_journal(path: Path, journal: Journal, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(SettingError, match="another gateway uses"):
        Journal(link, ACCOUNT)


def test_what_an_export_says_is_what_it_holds(journal: Journal) -> None:
    begin(journal, "a")
    heading, line = export.lines(journal.id, journal.events())
    changed = line.replace(b'"volume":0.1', b'"volume":9.1')
    assert changed != line
    with pytest.raises(SettingError, match="not what its event holds"):
        list(export.read([heading, changed], "copy")[1])


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("create table more (x)", "table 'more'"),
        ("create index more on events (at)", "index 'more'"),
        ("create trigger more after insert on events begin delete from meta; end", "trigger 'more'"),
        ("create view more as select 1", "view 'more'"),
        ("drop index keys", "index 'keys'"),
        ("alter table meta add column more", "table 'meta'"),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_tables_that_somebody_changed_are_not_used(
    path: Path, journal: Journal, statement: str, told: str, writes: bool
) -> None:
    journal.close()
    other = sqlite3.connect(path)
    other.execute(statement)
    other.close()
    with pytest.raises(JournalUnusable, match=f"its {told} is not as the gateway made it"):
        Journal(path, ACCOUNT, writes=writes)


def test_a_view_without_an_end_in_place_of_the_events_holds_up_nobody(path: Path, journal: Journal) -> None:
    journal.close()
    other = sqlite3.connect(path)
    other.execute("alter table events rename to more")
    other.execute(
        "create view events as with recursive c (x) as (select 1 union all select x + 1 from c)"
        " select more.* from more, c where c.x < 0"
    )
    other.close()
    with pytest.raises(JournalUnusable, match="not as the gateway made it"):
        Journal(path, ACCOUNT, writes=False)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sqlite3 has no limits before")
def test_a_value_that_fills_the_memory_is_not_read(path: Path, journal: Journal) -> None:
    begin(journal, "k")
    journal.close()
    other = sqlite3.connect(path)
    other.execute("update events set body = zeroblob(?)", (LARGEST + 1,))
    other.commit()
    other.close()
    with pytest.raises(JournalUnusable, match="too big"):
        Journal(path, ACCOUNT, writes=False)
