"""The record's file: SQLite, the events with their numbers and the picture that they lead to.

Both are written in one transaction, before anybody hears of the events: what a process that was killed had
written it need not find again, and what it had not written is found by the next look. One gateway at a time
has it, by a lock on a file beside it that the operating system takes back whatever happens to the process.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

from mt5crs.database import DAMAGED, MEMORY, Place, Usable, distrust, make_private, surplus, take_lease
from mt5crs.errors import RecordUnusable, SettingError
from mt5crs.trades.picture import PARTS, Picture

APPLICATION = 0x4D543554  # "MT5T": marks the file as ours
VERSION = 1
TABLES = """
create table meta (name text primary key, value) without rowid;
create table events (serial integer primary key, at integer not null, fields blob not null);
create table picture (part text, ticket integer, value blob, primary key (part, ticket)) without rowid;
"""
NAME = "record of trade events"
KEEP = 30 * 24 * 3600.0
"""Seconds for which events are kept."""
MOST = 100_000
"""Events that are kept at most."""
PRUNED_AT_ONCE = 1000
"""Events that are dropped for their age in one go."""
STALE = 600.0
"""Seconds of server time after which the picture is written though nothing has happened."""
BUSY = 0.05
"""Seconds that another program is waited for."""

_encode = Encoder().encode
_decode = Decoder().decode


class TradeFile:
    """A record of trade events that is in use.

    Args:
        path: The file, made if it is not there; None for one in memory.
        account: Whose events they are: `login@server`.
        clock: Nanoseconds since the epoch, UTC.

    Attributes:
        path: Where it is, links followed.
        id: What it is told apart by.
        first: The number of the oldest event that is kept; one more than `last` where none is.
        last: The number of the latest event.
        picture: What was shown so far; None before the first look.

    Raises:
        SettingError: Another gateway uses it, it is another account's, or it is no such record.
        RecordUnusable: It cannot be used as it is.
    """

    def __init__(self, path: Path | None, account: str, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = None if path is None else path.resolve()
        self._clock = clock
        self._lease = None if self.path is None else take_lease(NAME, self.path, RecordUnusable)
        try:
            with self._usable():
                self._database = self._open()
        except BaseException:
            self._release()
            raise
        try:
            with self._usable():
                self._prepare(account)
                self._load()
                self._place = Place(self.path, clock)
        except BaseException:
            self.close()
            raise

    # ---- opening ----

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            if self.path.is_dir():
                raise SettingError(f"{NAME}: {self.path} is a folder", hint="name a file in it")
            make_private(self.path)
        where = self.path or MEMORY
        return sqlite3.connect(where, timeout=BUSY, isolation_level=None, check_same_thread=False)

    def _prepare(self, account: str) -> None:
        """Make the tables, or see that they are ours and the account's."""
        run = self._database.execute
        distrust(self._database)
        application, version = (self._one(f"pragma {name}") for name in ("application_id", "user_version"))
        if application != APPLICATION:
            if application or self._one("select count(*) from sqlite_master"):
                raise SettingError(f"{NAME}: {self.path} is something else", hint=DAMAGED)
            run("pragma journal_mode = wal")
            self._make(account)
        elif version != VERSION:
            raise SettingError(
                f"{NAME}: {self.path} is of version {version}, this program writes {VERSION}",
                hint="use the release that made it, or start with a new file",
            )
        other = surplus(self._database, TABLES)
        damage = (
            self._one("pragma quick_check(1)") if other is None else f"{other[0]} {other[1]!r} is strange"
        )
        if damage != "ok":
            raise sqlite3.DatabaseError(str(damage))
        run("pragma synchronous = full")
        whose = self._meta("account")
        if whose != account:
            raise SettingError(
                f"{NAME}: {self.path} is that of {whose}, this gateway is for {account}",
                hint="give each account's gateway a journal of its own: the record is beside it",
            )

    def _make(self, account: str) -> None:
        run = self._database.execute
        run("begin immediate")
        for statement in TABLES.strip().split(";\n"):
            run(statement)
        for name, value in (("id", os.urandom(16).hex()), ("account", account), ("last", 0)):
            run("insert into meta values (?, ?)", (name, value))
        run(f"pragma application_id = {APPLICATION}")
        run(f"pragma user_version = {VERSION}")
        run("commit")

    def _load(self) -> None:
        try:
            self._read()
        except (MsgspecError, KeyError, TypeError) as error:
            raise sqlite3.DatabaseError("what is in it is not what was written") from error

    def _read(self) -> None:
        self.id: str = self._meta("id")
        self.last: int = self._meta("last")
        self.first = self._one("select coalesce(min(serial), ?) from events", self.last + 1)
        times = self._meta("times")
        parts: dict[str, dict[int, Any]] = {part: {} for part in PARTS}
        for part, ticket, value in self._database.execute("select part, ticket, value from picture"):
            parts[part][ticket] = _decode(value)
        self._written = None if times is None else Picture(*_decode(times), *parts.values())
        self.picture = self._written

    def _meta(self, name: str) -> Any:
        return self._one("select (select value from meta where name = ?)", name)

    def _one(self, query: str, *values: Any) -> Any:
        return self._database.execute(query, values).fetchone()[0]

    # ---- use ----

    def keep(self, events: Sequence[list[Any]], picture: Picture) -> None:
        """Write what has happened and the picture as it is now; it is on disk when this returns.

        Args:
            events: The fields of `TradeEvent`s but their numbers.
            picture: What the terminal has shown, these events included.

        Raises:
            RecordUnusable: It is not known what is on disk: open the file anew.
        """
        with self._usable():
            self._place.check()
        changes = _changes(self._written, picture)
        if not events and self._written is not None and not changes.is_worth_writing:
            self.picture = picture
            return
        last, now = self.last + len(events), self._clock()
        with self._usable():
            run, many = self._database.execute, self._database.executemany
            run("begin immediate")
            numbered = enumerate(events, self.last + 1)
            many("insert into events values (?, ?, ?)", ((n, now, _encode(fields)) for n, fields in numbered))
            many("delete from picture where part = ? and ticket = ?", changes.gone)
            many("insert or replace into picture values (?, ?, ?)", changes.new)
            times = _encode((picture.begin, picture.time))
            many("insert or replace into meta values (?, ?)", (("last", last), ("times", times)))
            first = self._prune(last, now)
            run("commit")
        self.picture = self._written = picture
        self.first, self.last = first, last

    def _prune(self, last: int, now: int) -> int:
        """Drop what is too old or too much; return the number of the first event that is left."""
        old = self._one(
            "select coalesce(max(serial), 0) from (select serial, at from events order by serial limit ?)"
            " where at < ?",
            PRUNED_AT_ONCE,
            now - int(KEEP * 1e9),
        )
        self._database.execute("delete from events where serial <= ?", (max(old, last - MOST),))
        first: int = self._one("select coalesce(min(serial), ?) from events", last + 1)
        return first

    def begin_anew(self) -> None:
        """Become another record, with another id and nothing in it; it is on disk when this returns.

        Raises:
            RecordUnusable: It is not known what is on disk: open the file anew.
        """
        with self._usable():
            run = self._database.execute
            run("begin immediate")
            run("delete from events")
            run("delete from picture")
            run("delete from meta where name = 'times'")
            for name, value in (("id", os.urandom(16).hex()), ("last", 0)):
                run("insert or replace into meta values (?, ?)", (name, value))
            run("commit")
            self._load()

    def since(self, serial: int, count: int) -> list[list[Any]]:
        """Return the fields of the events after a number, so many at most.

        Raises:
            RecordUnusable: The file cannot be read.
        """
        with self._usable():
            rows = self._database.execute(
                "select serial, fields from events where serial > ? order by serial limit ?", (serial, count)
            ).fetchall()
            try:
                return [[number, *_decode(fields)] for number, fields in rows]
            except (MsgspecError, TypeError) as error:
                raise sqlite3.DatabaseError("an event in it is not what was written") from error

    def close(self) -> None:
        """Let the file and the lease go."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _usable(self) -> Usable:
        return Usable(NAME, self.path, RecordUnusable)


class _Changes:
    """What is to be written of a picture.

    Attributes:
        gone: Parts and tickets that are not in it any more.
        new: Those that are new or have changed, with their values.
        is_worth_writing: Whether it is more than what only time brings about.
    """

    def __init__(self, gone: list[tuple[str, int]], new: list[tuple[str, int, bytes]], passed: float) -> None:
        self.gone = gone
        self.new = new
        self.is_worth_writing = bool(new) or passed > STALE or any(part in _LASTING for part, _ in gone)


_LASTING = frozenset({"orders", "levels", "held"})
"""The parts that lose something only when something happens; the others forget what is old."""


def _changes(before: Picture | None, after: Picture) -> _Changes:
    gone: list[tuple[str, int]] = []
    new: list[tuple[str, int, bytes]] = []
    for part in PARTS:
        now: dict[int, Any] = getattr(after, part)
        was: dict[int, Any] = {} if before is None else getattr(before, part)
        gone += [(part, ticket) for ticket in was.keys() - now.keys()]
        new += [
            (part, ticket, _encode(value))
            for ticket, value in now.items()
            if ticket not in was or was[ticket] != value
        ]
    return _Changes(gone, new, 0.0 if before is None else after.time - before.time)
