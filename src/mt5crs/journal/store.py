"""The journal in a file: SQLite, append only, one row for each event.

A step is on disk when `begin` or `record` returns, and several that are written together share one flush of
the disk. Nothing is ever changed but for bodies, which `prune` drops. One gateway at a time writes: it holds
the lease, a lock on a file beside the journal that the operating system takes back whatever happens to the
process.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mt5crs.constants import (
    TRADE_ACTION_CLOSE_BY,
    TRADE_ACTION_DEAL,
    TRADE_ACTION_PENDING,
    TRADE_RETCODE_DONE,
    TRADE_RETCODE_DONE_PARTIAL,
    TRADE_RETCODE_PLACED,
)
from mt5crs.errors import JournalUnusable, KeyConflict, SettingError
from mt5crs.journal import chain, tags
from mt5crs.journal.chain import Event
from mt5crs.journal.entries import NOTHING_NOTED, Entry, decode, encode
from mt5crs.journal.states import NEXT, OPEN, WATCHED, State, Step, is_step

APPLICATION = 0x4D54354A  # "MT5J": marks the file as ours
VERSION = 1
"""Of the tables and of what is in them; a file of another version is refused, never rewritten."""
TABLES = """
create table meta (name text primary key, value) without rowid;
create table events (
    number integer primary key, entry integer not null, step text not null, at integer not null, account text,
    principal text, key text, note blob not null, digest blob not null, body blob, link blob not null
);
create unique index keys on events (account, principal, key) where key is not null;
create index steps on events (entry) where key is null;
"""
COLUMNS = "number, entry, step, at, account, principal, key, note, digest, body, link"
INSERT = "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PAGE = 1024
"""Bytes of a page: an order changes a few, and each is written whole."""
LOG_PAGES = 1000
"""Pages that the write-ahead log grows to before it is written over."""
LOOK = 250_000_000
"""Nanoseconds between two looks whether the file is still in its place."""
BUSY = 0.05
"""Seconds that another writer (an operator's command) is waited for."""
KEEP = 30 * 24 * 3600.0
"""Seconds for which the bodies of settled entries are kept."""
PRUNED_AT_ONCE = 1000
"""Bodies that are dropped in one go."""
MEMORY = ":memory:"
ANSWER = "answer"
"""How an outcome is known that the terminal itself has told."""
MAKERS = frozenset({TRADE_ACTION_DEAL, TRADE_ACTION_PENDING, TRADE_ACTION_CLOSE_BY})
"""The actions that make an order."""
LEGACY = "legacy"
"""The mark up to which server time other journals' orders were there before this one."""
MADE = frozenset({TRADE_RETCODE_PLACED, TRADE_RETCODE_DONE, TRADE_RETCODE_DONE_PARTIAL})

HINTS = (
    ("locked", "another program writes to it: end that one, orders go on by themselves then"),
    ("full", "the disk is full: make room, orders go on by themselves then"),
    ("readonly", "the gateway may not write there: mend the permissions of the file and of its folder"),
    ("unable to open", "see that its folder exists and that the gateway may write there"),
    ("disk I/O", "the disk does not take what is written: look at its room, its quota and its health"),
)
DAMAGED = "it was left as it is: restore a copy that is whole, or keep it aside and start with a new file"


class Begin(NamedTuple):
    """What is to be journaled before it is sent: whose request it is, and what is asked."""

    principal: str
    key: str
    request: dict[str, Any]
    note: dict[str, Any]


class Told(NamedTuple):
    """What became of an entry, for `record`."""

    entry: int
    step: Step
    note: dict[str, Any] = NOTHING_NOTED
    body: Any = None


class Journal:
    """A journal that is in use.

    Args:
        path: Its file, made if it is not there; None for one that lives in memory and ends with the process.
        account: `login@server`, part of every key.
        clock: Nanoseconds since the epoch, UTC.
        writes: Whether it is for writing as its gateway: then the lease is taken.

    Attributes:
        id: What it is told apart by; "" for one in memory, which promises nothing beyond the process.
        mark: What marks its orders; see `mt5crs.journal.tags`.

    Raises:
        SettingError: Another gateway uses it, or it is not a journal.
        JournalUnusable: It cannot be used as it is.
    """

    def __init__(
        self,
        path: Path | None,
        account: str,
        clock: Callable[[], int] = time.time_ns,
        *,
        writes: bool = True,
    ) -> None:
        self._path = path = None if path is None else path.resolve()
        self._log = "" if path is None else f"{path}-wal"
        self._account = account
        self._clock = clock
        self._latch = ""
        self._looked = 0
        self._claims: dict[int, int] | None = None
        self._answered: dict[int, int] = {}
        self._lease = _take_lease(path) if writes and path is not None else None
        try:
            with self._usable():
                self._database = self._open(path, writes)
        except BaseException:
            self._release()
            raise
        try:
            with self._usable():
                self.id: str = self._prepare()
                self._load()
                if self._lease is not None:
                    self._grow()
                self._opened = self._files()
        except BaseException:
            self.close()
            raise
        self.mark = tags.mark_of(self.id)
        if path is None:
            self.id = ""

    # ---- opening ----

    def _open(self, path: Path | None, writes: bool) -> sqlite3.Connection:
        if path is not None and path.is_dir():
            raise SettingError(f"journal: {path} is a folder", hint="name a file in it")
        if path is not None and not writes and not path.is_file():
            raise SettingError(f"journal: there is no file {path}")
        return sqlite3.connect(path or MEMORY, timeout=BUSY, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> str:
        """Make the tables, or see that they are ours; return the journal's id."""
        run = self._database.execute
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if application != APPLICATION:
            if application or self._rows("select 1 from sqlite_master limit 1"):
                raise SettingError(f"journal: {self._path} is not a journal", hint=DAMAGED)
            run(f"pragma page_size = {PAGE}")
            run("pragma journal_mode = wal")
            self._make()
        elif version != VERSION:
            raise SettingError(
                f"journal: {self._path} is of version {version}, this program writes {VERSION}",
                hint="use the release that made it, or start with a new file",
            )
        run("pragma synchronous = full")
        run(f"pragma wal_autocheckpoint = {LOG_PAGES}")
        damage = self._rows("pragma quick_check(1)")[0][0]
        if damage != "ok":
            raise sqlite3.DatabaseError(str(damage))
        journal: str = self._rows("select value from meta where name = 'id'")[0][0]
        self.born = int(self._rows("select value from meta where name = 'born'")[0][0])
        return journal

    def _grow(self) -> None:
        """Give the log its full size at once: a commit that makes it grow takes half as long again.

        The log is written over from its start after each checkpoint, and only grows.
        """
        self._database.execute("insert into meta values ('room', zeroblob(?))", (PAGE * LOG_PAGES,))
        self._database.execute("delete from meta where name = 'room'")
        self._database.execute("pragma wal_checkpoint(restart)")

    def _make(self) -> None:
        run = self._database.execute
        run("begin immediate")
        for statement in TABLES.strip().split(";\n"):
            run(statement)
        run("insert into meta values ('id', ?), ('born', ?)", (os.urandom(16).hex(), self._clock()))
        run(f"pragma application_id = {APPLICATION}")
        run(f"pragma user_version = {VERSION}")
        run("commit")

    def _load(self) -> None:
        """Read the chain's end, and the entries whose outcome may still change."""
        self._tail()
        settled = self.meta("settled") or 0
        waiting = self._rows(
            "select number from events e where key is not null and number > ? and not exists (select 1 from"
            " events s where s.key is null and s.entry = e.number and s.step in ('finish', 'refuse', 'prove',"
            " 'resolve')) order by number",
            (settled,),
        )
        self.watched: dict[int, Entry] = {}
        for (number,) in waiting:
            entry = self.entry(number)
            if entry is not None and (entry.state in OPEN or (entry.state in WATCHED and entry.request)):
                self.watched[number] = entry

    @property
    def latch(self) -> str:
        """Why orders are refused until an operator says otherwise; "" where they are not."""
        return self._latch

    @latch.setter
    def latch(self, why: str) -> None:
        self.set_meta("latch", why or None)
        self._latch = why

    def _tail(self) -> None:
        """Read what another program may have changed: the end of the chain, and the latch."""
        self._version = self._pragma("data_version")  # first: what comes after it shows the next time
        self._latch = self.meta("latch") or ""
        rows = self._rows("select number, link from events order by number desc limit 1")
        self._head: tuple[int, bytes] = rows[0] if rows else (0, chain.start(self._stored_id()))

    def _stored_id(self) -> str:
        found: str = self._rows("select value from meta where name = 'id'")[0][0]
        return found

    # ---- writing ----

    def begin(self, batch: Sequence[Begin]) -> list[Entry]:
        """Write the intents of some requests; they are on disk when this returns.

        Raises:
            JournalUnusable: None of them is.
        """
        now = self._clock()
        begun: list[Entry] = []

        def events(number: int) -> Iterator[Event]:
            begun.clear()
            for place, (principal, key, request, note) in enumerate(batch, number + 1):
                body = encode(request)
                digest = chain.digest(body)
                noted = encode(note) if note else b"\x80"
                begun.append(Entry(place, self._account, principal, key, now, digest, request, note))
                yield Event(
                    place, place, Step.BEGIN.value, now, self._account, principal, key, noted, digest, body
                )

        self._append(events)
        for entry in begun:
            self.watched[entry.number] = entry
        return begun

    def record(self, batch: Sequence[Told]) -> list[Entry]:
        """Write what became of some entries; it is on disk when this returns.

        A step that cannot follow the entry's state, since somebody else told of it before, is left out.

        Returns:
            The entries as they are now, in the order of the batch.

        Raises:
            JournalUnusable: Nothing of it is on disk.
        """
        now = self._clock()
        entries: dict[int, Entry] = {}
        accepted: list[Told] = []

        def events(number: int) -> Iterator[Event]:
            # Made anew for each attempt: an operator's command may have come between.
            entries.update((told.entry, self._known(told.entry)) for told in batch)
            accepted.clear()
            states = {entry.number: entry.state for entry in entries.values()}
            for told in batch:
                if not is_step(states[told.entry], told.step):
                    continue
                number += 1
                accepted.append(told)
                states[told.entry] = NEXT[states[told.entry], told.step]
                body = None if told.body is None else encode(told.body)
                digest = b"" if body is None else chain.digest(body)
                yield Event(
                    number,
                    told.entry,
                    told.step.value,
                    now,
                    None,
                    None,
                    None,
                    encode(told.note),
                    digest,
                    body,
                )

        self._append(events)
        for told in accepted:
            entry = entries[told.entry]
            entry.take(told.step, now, told.note, told.body)
            self._claim(entry.number, told.note)
            if entry.state not in WATCHED:
                self.watched.pop(entry.number, None)
            else:
                self.watched[entry.number] = entry
        return [entries[told.entry] for told in batch]

    def _append(self, events: Callable[[int], Iterable[Event]]) -> None:
        """Write events behind the last one, in one transaction; again where an operator's came between."""
        with self._usable():
            if self._is_displaced():
                raise sqlite3.OperationalError("unable to open: its file was moved or removed while in use")
            for last in (False, True):
                rows: list[tuple[Any, ...]] = []
                link = self._head[1]
                for event in events(self._head[0]):
                    link = chain.link(link, event)
                    rows.append(
                        (
                            event.number, event.entry, event.step, event.at, event.account, event.principal,
                            event.key, event.note, event.digest, event.body, link,
                        )
                    )  # fmt: skip
                if not rows:
                    return
                try:
                    self._write(rows)
                except sqlite3.IntegrityError:
                    if last:
                        raise
                    self._reread()
                    continue
                self._head = rows[-1][0], link
                return

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        if len(rows) == 1:  # a statement alone is a transaction
            self._database.execute(INSERT, rows[0])
            return
        self._database.execute("begin immediate")
        try:
            self._database.executemany(INSERT, rows)
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise

    def refresh(self) -> None:
        """Take in what another program (an operator's command) has written since."""
        with self._usable():
            if self._pragma("data_version") != self._version:
                self._reread()

    def _reread(self) -> None:
        before = self._head[0]
        self._tail()
        for (number,) in self._rows("select distinct entry from events where number > ?", (before,)):
            entry = self.entry(number)
            if entry is not None:
                self._claim(number, entry.outcome)
                self.watched.pop(number, None)
                if entry.state in WATCHED:
                    self.watched[number] = entry

    # ---- reading ----

    def find(self, principal: str, key: str, request: dict[str, Any] | None = None) -> Entry | None:
        """Return the entry of a key, None where there is none.

        Args:
            principal: Whose key it is.
            key: The key.
            request: What is asked under this key now; None where only its outcome is.

        Raises:
            KeyConflict: The key belongs to another request.
            JournalUnusable: The journal cannot be read.
        """
        with self._usable():
            rows = self._rows(
                "select number from events where account = ? and principal = ? and key = ?",
                (self._account, principal, key),
            )
        if not rows:
            return None
        entry = self._known(rows[0][0])
        if request is not None and chain.digest(encode(request)) != entry.digest:
            raise KeyConflict(f"the key {key!r} belongs to another request")
        return entry

    def entry(self, number: int) -> Entry | None:
        """Return an entry as the file has it, None where there is none of that number."""
        events = self.events_of(number)
        return Entry.of(events) if events else None

    def events_of(self, number: int) -> list[Event]:
        """Return the events of an entry, in order; none where there is none of that number."""
        with self._usable():
            rows = self._rows(f"select {COLUMNS} from events where number = ? and key is not null", (number,))  # noqa: S608
            if rows:
                rows += self._rows(
                    f"select {COLUMNS} from events where key is null and entry = ? order by number",  # noqa: S608
                    (number,),
                )
        return [Event(*row) for row in rows]

    def latest(self, count: int, states: Collection[State] = tuple(State)) -> list[Entry]:
        """Return the latest entries, of all accounts, the oldest of them first.

        Args:
            count: How many at most.
            states: Those in one of these states alone.
        """
        found: list[Entry] = []
        with self._usable():
            numbers = self._database.execute(
                "select number from events where key is not null order by number desc"
            )
            for (number,) in numbers:
                entry = self.entry(number)
                if entry is not None and entry.state in states:
                    found.append(entry)
                if len(found) >= count:
                    break
        return found[::-1]

    def requests(self, numbers: range) -> list[Entry]:
        """Return the entries with a number in a range as they were begun, whatever became of them."""
        with self._usable():
            rows = self._rows(
                f"select {COLUMNS} from events where key is not null and number >= ? and number < ?"  # noqa: S608
                " order by number",
                (numbers.start, numbers.stop),
            )
        return [Entry.of([Event(*row)]) for row in rows]

    def named(self, name: str) -> list[Entry]:
        """Return the entries of a key, or of a number, of whatever account and principal."""
        with self._usable():
            rows = self._rows(
                "select number from events where key = ? or (key is not null and number = ?)",
                (name, int(name) if name.isdecimal() and len(name) < 19 else 0),
            )
        return [entry for (number,) in rows if (entry := self.entry(number)) is not None]

    def latest_note(self) -> dict[str, Any]:
        """Return what was noted with the latest intent; empty where there is none."""
        with self._usable():
            rows = self._rows("select note from events where key is not null order by number desc limit 1")
        noted: dict[str, Any] = decode(rows[0][0]) if rows else {}
        return noted

    def has_tag(self, entry: int) -> bool:
        """Whether there is an entry of a tag's number, which is modulo `tags.ENTRIES`."""
        numbers = range(entry, self._head[0] + 1, tags.ENTRIES)
        with self._usable():
            return any(
                self._rows("select 1 from events where number = ? and entry = number", (number,))
                for number in numbers
            )

    @property
    def claims(self) -> dict[int, int]:
        """Which entry made an order, by the order's ticket, of what was settled within `KEEP` seconds."""
        if self._claims is None:
            oldest = min((entry.at for entry in self.watched.values()), default=self._clock())
            since = min(oldest, self._clock()) - int(KEEP * 1e9)
            with self._usable():
                rows = self._rows(
                    f"select {COLUMNS} from events where key is null and at >= ? order by number",  # noqa: S608
                    (since,),
                )
            self._claims, self._answered = {}, {}
            for row in rows:
                self._claim(Event(*row).entry, decode(Event(*row).note))
        return self._claims

    def _claim(self, entry: int, note: dict[str, Any]) -> None:
        ticket = note.get("order", 0) if note.get("makes") else 0
        if not ticket or self._claims is None:
            return
        self._claims[ticket] = entry
        if note["how"] == ANSWER and note["retcode"] in MADE:
            self._answered[ticket] = entry

    @property
    def answered(self) -> dict[int, int]:
        """Of `claims`, those whose order the terminal has answered for: it must show them."""
        return self._answered if self.claims else {}

    def events(self) -> Iterator[Event]:
        """Yield all events in order."""
        with self._usable():
            for row in self._database.execute(f"select {COLUMNS} from events order by number"):  # noqa: S608
                yield Event(*row)

    def meta(self, name: str) -> Any:
        """Return a mark that was set, None where it was not."""
        with self._usable():
            rows = self._rows("select value from meta where name = ?", (name,))
        return rows[0][0] if rows else None

    def set_meta(self, name: str, value: Any) -> None:
        """Set a mark, durably; None takes it away."""
        with self._usable():
            if value is None:
                self._database.execute("delete from meta where name = ?", (name,))
            else:
                self._database.execute("insert or replace into meta values (?, ?)", (name, value))

    @property
    def head(self) -> tuple[int, bytes]:
        """The number and the link of the last event."""
        return self._head

    # ---- keeping ----

    def prune(self, keep: float = KEEP) -> int:
        """Drop old bodies of settled entries, some at a time; keys, digests and open entries stay.

        Args:
            keep: Seconds for which they are kept.

        Returns:
            How many were dropped; as many as can be at a time where there may be more.
        """
        before = self._clock() - int(keep * 1e9)
        open_ = [number for number, entry in self.watched.items() if entry.state in OPEN]
        marks = ", ".join("?" * len(open_))
        with self._usable():
            self._forget_absent(before)
            done = self._database.execute(
                "update events set body = null where number in (select number from events where at < ? and"  # noqa: S608
                f" body is not null and entry not in ({marks}) limit {PRUNED_AT_ONCE})",
                (before, *open_),
            )
            return done.rowcount

    def _forget_absent(self, before: int) -> None:
        """Look no more for traces of what was found to be absent long ago."""
        for number in [n for n, e in self.watched.items() if e.state is State.ABSENT and e.at < before]:
            del self.watched[number]
        self.set_meta("settled", min(self.watched, default=self._head[0] + 1) - 1)

    def _is_displaced(self) -> bool:
        """Whether the file or its log is not what was opened any more, or is shorter; looked at now and then.

        To ask a file for its times makes its next write keep new ones, which a flush then has to write as
        well: with a look before each commit, a commit took half as long again.
        """
        now = self._clock()
        if now - self._looked < LOOK:
            return False
        found = self._files()
        is_shorter = any(size < before for size, before in zip(found[1::2], self._opened[1::2], strict=True))
        if is_shorter or found[::2] != self._opened[::2]:
            return True
        self._looked, self._opened = now, found
        return False

    def _files(self) -> tuple[int, ...]:
        """Return number and size of the file and of its log; zeros where there is none."""
        if self._path is None:
            return ()
        found: list[int] = []
        for name in (self._path, self._log):
            try:
                status = os.stat(name)  # noqa: PTH116 - with each write: a Path costs as much as the call
                found += (status.st_ino, status.st_size)
            except OSError:  # noqa: PERF203 - two files
                found += (0, 0)
        return tuple(found)

    def close(self) -> None:
        """Let the file and the lease go."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    # ---- SQLite ----

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._database.execute(query, values).fetchall()

    def _pragma(self, name: str) -> int:
        return int(self._rows(f"pragma {name}")[0][0])

    def _known(self, number: int) -> Entry:
        found = self.watched.get(number) or self.entry(number)
        if found is None:
            raise JournalUnusable(f"journal: {self._path} has no entry {number}", hint=DAMAGED)
        return found

    def _usable(self) -> "_Usable":
        return _Usable(self._path)


class _Usable:
    """Says what is wrong with the journal where SQLite fails."""

    __slots__ = ("_path",)

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            hint = next((hint for word, hint in HINTS if word in str(error)), DAMAGED)
            where = self._path or "in memory"
            raise JournalUnusable(f"the journal {where} cannot be used: {error}", hint=hint) from error


def _take_lease(path: Path) -> sqlite3.Connection:
    """Lock the file beside the journal; the operating system gives it back when the process ends."""
    beside = path.with_name(f"{path.name}.lease")
    try:
        lease = sqlite3.connect(beside, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            lease.execute("begin exclusive")
        except BaseException:
            lease.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise SettingError(
                f"journal: another gateway uses {path}",
                hint="stop that one, or give this one its own journal",
            ) from error
        raise JournalUnusable(
            f"the journal {path} cannot be used: {error}",
            hint="see that its folder exists and that the gateway may write there",
        ) from error
    return lease
