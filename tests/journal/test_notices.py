"""What the journal keeps besides orders: notices, however many there are to tell; and its checkpoints."""

import json
import sqlite3
from collections.abc import Iterator
from getpass import getuser
from math import inf
from pathlib import Path
from typing import Any

import pytest

from mt5crs.errors import KeyConflict
from mt5crs.heads import Head
from mt5crs.journal import chain, export, notices, store
from mt5crs.journal.changes import FAR, is_overtaken
from mt5crs.journal.notices import EVERY, HOUR, LONGEST, Notices
from mt5crs.journal.states import NoticeKind, State, Step
from mt5crs.journal.store import Begin, Journal, Notice, Told
from tests.cli.commands import process
from tests.journal.forgery import ACCOUNT, BUY, DONE, RESULT, Clock, asked, opening, proof, traded

DENIED = Notice(NoticeKind.DENIED, "gpu", {"op": "order_send"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path, clock: Clock) -> Iterator[Journal]:
    opened = opening(path, clock)
    yield opened
    opened.close()


def steps(journal: Journal) -> list[str]:
    return [event.step for event in journal.events()]


# ---- in the journal ---------------------------------------------------------------------------------


def test_notices_stand_alone_and_disturb_nothing(path: Path, journal: Journal, clock: Clock) -> None:
    journal.notify([DENIED, Notice(NoticeKind.STARTED, "gateway")])
    (entry,) = journal.begin([asked("k")])
    journal.notify([Notice(kind, "x", {"makes": True, "order": 8}) for kind in NoticeKind])
    journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])
    journal.notify([DENIED])
    journal_end = journal.head[0]
    assert [found.key for found in journal.latest(9)] == ["k"]
    assert journal.find("inf", "k", BUY).state is State.DONE  # type: ignore[union-attr]
    assert journal.claims == {8: entry.number}
    assert journal.named("1") == []
    assert journal.entry(1) is None
    assert not journal.has_tag(1)
    assert journal.has_tag(entry.number)
    assert journal.latest_note() == {"tagged": True, **_digests(journal, entry.number)}
    assert chain.faults(journal.id, journal.events()) == []
    journal.close()
    again = Journal(path, ACCOUNT, clock)
    assert again.watched == {}
    assert again.claims == {8: entry.number}
    assert [event.step for event in again.notices(2)] == ["denied", "checkpoint"]
    assert [event.number for event in again.notices(9, {NoticeKind.DENIED})] == [1, 4, journal_end]
    again.close()


def _digests(journal: Journal, number: int) -> dict[str, Any]:
    from mt5crs.journal.entries import decode

    return {name: decode(journal.events_of(number)[0].note)[name] for name in ("request", "signed")}


def test_a_flood_of_notices_hides_no_other_request(journal: Journal) -> None:
    change = {"action": 6, "symbol": "EURUSD", "position": 7, "sl": 1.0}
    (first,) = journal.begin([Begin("inf", "a", change, {"tagged": False})])
    journal.notify([DENIED] * 2 * FAR)
    assert not is_overtaken(journal, first)
    journal.begin([Begin("inf", "b", {**change, "sl": 1.1}, {"tagged": False})])
    assert is_overtaken(journal, first)


def test_what_a_client_signed_is_kept_with_its_request_and_goes_with_it(journal: Journal) -> None:
    intent = asked("k")
    (entry,) = journal.begin([intent])
    (event,) = journal.events_of(entry.number)
    assert entry.request == BUY
    assert intent.signed in (event.body or b"")
    assert journal.find("inf", "k", BUY) is not None  # another signature, the same request
    with pytest.raises(KeyConflict):
        journal.find("inf", "k", {**BUY, "volume": 0.2})
    journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])
    digests = _digests(journal, entry.number)
    journal.prune(keep=-1.0)
    assert journal.find("inf", "k", BUY).request is None  # type: ignore[union-attr]
    assert _digests(journal, entry.number) == digests
    assert digests["signed"] == chain.digest(intent.signed)


def test_an_export_has_notices_and_reads_them_back(journal: Journal) -> None:
    traded(journal, "a")
    journal.notify([DENIED])
    journal.checkpoint()
    lines = list(export.lines(journal.id, journal.events()))
    assert json.loads(lines[3])["told"] == {"note": {"op": "order_send"}, "body": None}
    assert list(export.read(lines, "copy")[1]) == list(journal.events())


# ---- checkpoints ------------------------------------------------------------------------------------


def test_a_checkpoint_is_written_where_something_was_since_the_last(path: Path, clock: Clock) -> None:
    journal = opening(path, clock)
    assert not journal.checkpoint()  # nothing was written yet
    journal.notify([Notice(NoticeKind.STARTED, "gateway")])
    assert journal.checkpoint()
    assert not journal.checkpoint()
    journal.close()
    again = opening(path, clock)
    assert not again.checkpoint()
    again.notify([DENIED])
    again.close()
    last = opening(path, clock)
    assert steps(last) == ["started", "checkpoint", "denied", "checkpoint"]
    last.close()


def test_checkpoints_are_due_by_number_and_by_time(
    journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CHECKPOINT_EVERY", 5)
    journal.notify([DENIED] * 4)
    assert not journal.checkpoint_if_due()
    journal.notify([DENIED])
    assert journal.checkpoint_if_due()
    clock.now += int(2 * store.CHECKPOINT_AFTER * 1e9)
    assert not journal.checkpoint_if_due()  # nothing was written since
    journal.notify([DENIED])
    assert journal.checkpoint_if_due()


def test_without_a_key_there_are_none_and_pruning_says_so_all_the_same(path: Path, clock: Clock) -> None:
    journal = Journal(path, ACCOUNT, clock)
    traded(journal, "a")
    assert not journal.checkpoint()
    assert not journal.checkpoint_if_due()
    assert journal.prune(keep=-1.0) == 2
    journal.close()
    again = Journal(path, ACCOUNT, clock)
    assert steps(again) == ["begin", "finish", "pruned"]
    again.close()


def test_what_an_operator_writes_in_between_is_signed_too(path: Path, journal: Journal) -> None:
    traded(journal, "a")
    operator = Journal(path, ACCOUNT, writes=False)
    operator.notify([Notice(NoticeKind.OPERATOR, "root", {"did": "resolve"})])
    operator.close()
    assert journal.checkpoint()
    whole = proof(journal.id, list(journal.events()))
    assert (whole.faults, whole.covered) == ([], 4)


def test_a_body_stays_where_its_notice_cannot_be_written(path: Path, journal: Journal) -> None:
    traded(journal, "a")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("create trigger stop before insert on events begin select raise(abort, 'no'); end")
    holder.close()
    with pytest.raises(Exception, match="cannot be used"):
        journal.prune(keep=-1.0)
    assert all(event.body is not None for event in journal.events())


# ---- however many there are -------------------------------------------------------------------------


class Seconds:
    """Seconds, by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(journal: Journal) -> list[tuple[str, str, dict[str, Any]]]:
    from mt5crs.journal.entries import decode

    return [(event.step, event.principal or "", decode(event.note)) for event in journal.events()]


def test_notices_are_written_together_and_too_many_are_counted(journal: Journal) -> None:
    seconds = Seconds()
    collected = Notices(lambda: journal, seconds, per_second=3)
    assert collected.flush(seconds.now) == inf
    for number in range(10):
        collected.add(NoticeKind.DENIED, "gpu", {"number": number})
    collected.add(NoticeKind.REPLAYED, "gpu", {})
    assert collected.flush(seconds.now) == EVERY
    assert told(journal) == []
    seconds.now += EVERY
    assert collected.flush(seconds.now) == inf
    assert told(journal) == [
        *(("denied", "gpu", {"number": number}) for number in range(3)),
        ("denied", "gateway", {"left_out": 7}),
        ("replayed", "gateway", {"left_out": 1}),
    ]
    collected.add(NoticeKind.DENIED, "gpu", {"number": 10})
    assert collected.flush(inf) == inf  # the end
    assert told(journal)[5:] == [("denied", "gpu", {"number": 10})]


def test_a_peer_that_goes_on_for_hours_fills_no_disk(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PER_HOUR", 20)
    seconds = Seconds()
    collected = Notices(lambda: journal, seconds, per_second=3)
    for _ in range(int(2 * HOUR / 60)):
        for _ in range(50):
            collected.add(NoticeKind.BAD_SIGNATURE, "gpu", {"key": "k" * 10_000})
        seconds.now += 60.0
        collected.flush(seconds.now)
    collected.flush(inf)
    found = told(journal)
    assert len(found) < 70
    assert sum(note.get("left_out", 1) for _, _, note in found) == 120 * 50
    assert max(len(note.get("key", "")) for _, _, note in found) == LONGEST


def test_a_journal_that_fails_is_tried_again_and_holds_up_nobody(path: Path, journal: Journal) -> None:
    seconds = Seconds()
    there: list[Journal | None] = [None]
    collected = Notices(lambda: there[0], seconds, per_second=10**6)
    for _ in range(3000):
        collected.add(*DENIED)
    seconds.now += EVERY
    assert collected.flush(seconds.now) == EVERY
    there[0] = journal
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    seconds.now += EVERY
    assert collected.flush(seconds.now) == EVERY
    holder.execute("rollback")
    holder.close()
    seconds.now += EVERY
    collected.flush(seconds.now)
    found = told(journal)
    assert len(found) == 1001
    assert found[-1] == ("denied", "gateway", {"left_out": 2000})


# ---- commands ---------------------------------------------------------------------------------------


def test_the_latest_are_listed(path: Path, journal: Journal) -> None:
    traded(journal, "a")
    journal.notify([DENIED, Notice(NoticeKind.KEYS, "gateway", {"id": b"\x01\x02"})])
    listed = process("journal", "notices", "--journal", str(path), "--json").json
    assert [(each["number"], each["kind"], each["principal"], each["note"]) for each in listed] == [
        (3, "denied", "gpu", {"op": "order_send"}),
        (4, "keys", "gateway", {"id": "0102"}),
    ]
    denied = process("journal", "notices", "--journal", str(path), "--kind", "denied", "--csv").csv
    assert [each["number"] for each in denied] == ["3"]
    table = process("journal", "notices", "--journal", str(path), COLUMNS="120")
    assert "id 0102" in table.out


def test_a_checkpoint_is_listed_with_the_head_that_can_be_kept(path: Path, journal: Journal) -> None:
    heads = traded(journal, "a")
    journal.checkpoint()
    (listed,) = process("journal", "notices", "--journal", str(path), "--kind", "checkpoint", "--json").json
    note = listed["note"]
    assert Head.parse(f"{note['journal']}:{note['events']}:{note['link']}") == heads[0]


def test_who_decided_what_is_recorded(path: Path, journal: Journal) -> None:
    (entry,) = journal.begin([asked("k")])
    journal.record([Told(entry.number, Step.DOUBT, {"text": "?"})])
    where = ("--journal", str(path))
    assert process("journal", "resolve", "k", "--executed", "4711", *where).code == 0
    assert process("journal", "resolve", "k", "--not-executed", *where).code == 1  # too late: no notice
    journal.latch = "orders of another journal"
    assert process("journal", "resolve", "--latch", *where).code == 0
    user = getuser()
    assert told(journal)[2:] == [
        ("resolve", "", told(journal)[2][2]),
        ("operator", user, {"did": "resolve", "entry": entry.number, "order": 4711}),
        ("operator", user, {"did": "latch taken off", "latch": "orders of another journal"}),
    ]
    journal.refresh()
    assert journal.latch == ""
