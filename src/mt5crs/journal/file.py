"""The journal's file: SQLite, append only, one row for each event, flushed to the disk with each commit.

One gateway at a time writes: it holds the lease, a lock on a file beside it that the operating system takes
back whatever happens to the process. An operator's command writes without: it commits between two others.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mt5crs.database import (
    DAMAGED,
    MEMORY,
    Place,
    Usable,
    distrust,
    log_of,
    make_private,
    surplus,
    take_lease,
)
from mt5crs.errors import JournalUnusable, SettingError
from mt5crs.journal import chain
from mt5crs.journal.chain import Event

APPLICATION = 0x4D54354A  # "MT5J": marks the file as ours
VERSION = 2
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
INSERT = "insert into events values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
DROP = "update events set body = null where number = ?"
PAGE = 1024
"""Bytes of a page: an order changes a few, and each is written whole."""
LOG_PAGES = 1000
"""Pages that the write-ahead log grows to before it is written over."""
BUSY = 0.05
"""Seconds that another writer (an operator's command) is waited for."""
NO_MARKS: dict[str, Any] = {}


class EventFile:
    """A file of events that is in use.

    Args:
        path: The file, made if it is not there; None for one in memory.
        clock: Nanoseconds since the epoch, UTC.
        writes: Whether the lease is taken.

    Attributes:
        path: Where it is, links followed.
        id: What it is told apart by.
        head: The number and the link of the last event.

    Raises:
        SettingError: Another gateway uses it, or it is not a journal.
        JournalUnusable: It cannot be used as it is.
    """

    def __init__(self, path: Path | None, clock: Callable[[], int], *, writes: bool) -> None:
        self.path = None if path is None else path.resolve()
        self._lease = (
            take_lease("journal", self.path, JournalUnusable) if writes and self.path is not None else None
        )
        try:
            with self._usable():
                self._database = self._open(writes)
        except BaseException:
            self._release()
            raise
        try:
            with self._usable():
                self.id: str = self._prepare()
                self.read_head()
                if self._lease is not None:
                    self._grow()
                self._place = Place(self.path, clock)
        except BaseException:
            self.close()
            raise

    # ---- opening ----

    def _open(self, writes: bool) -> sqlite3.Connection:
        path = self.path
        if path is not None and path.is_dir():
            raise SettingError(f"journal: {path} is a folder", hint="name a file in it")
        if path is not None and not writes and not path.is_file():
            raise SettingError(f"journal: there is no file {path}")
        if (
            path is not None
            and not writes
            and not os.access(path.parent, os.W_OK)
            and not log_of(path).exists()
        ):
            # Nobody can write there, as on a medium that is kept as evidence.
            return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        if path is not None and writes:
            make_private(path)
        return sqlite3.connect(path or MEMORY, timeout=BUSY, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> str:
        """Make the tables, or see that they are ours; return the journal's id."""
        run = self._database.execute
        distrust(self._database)
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if application != APPLICATION:
            if application or self.rows("select 1 from sqlite_master limit 1"):
                raise SettingError(f"journal: {self.path} is not a journal", hint=DAMAGED)
            run(f"pragma page_size = {PAGE}")
            run("pragma journal_mode = wal")
            self._make()
        elif version != VERSION:
            raise SettingError(
                f"journal: {self.path} is of version {version}, this program writes {VERSION}",
                hint="use the release that made it, or start with a new file",
            )
        self._check_tables()
        run("pragma synchronous = full")
        run(f"pragma wal_autocheckpoint = {LOG_PAGES}")
        damage = self.rows("pragma quick_check(1)")[0][0]
        if damage != "ok":
            raise sqlite3.DatabaseError(str(damage))
        journal: str = self.meta("id")
        return journal

    def _check_tables(self) -> None:
        """See that there is what we made and nothing else."""
        other = surplus(self._database, TABLES)
        if other is not None:
            kind, name = other
            raise JournalUnusable(
                f"the journal {self.path} cannot be used: its {kind} {name!r} is not as the gateway made it",
                hint=DAMAGED,
            )

    def _make(self) -> None:
        run = self._database.execute
        run("begin immediate")
        for statement in TABLES.strip().split(";\n"):
            run(statement)
        run("insert into meta values ('id', ?)", (os.urandom(16).hex(),))
        run(f"pragma application_id = {APPLICATION}")
        run(f"pragma user_version = {VERSION}")
        run("commit")

    def _grow(self) -> None:
        """Give the log its full size at once: a commit that makes it grow takes half as long again.

        The log is written over from its start after each checkpoint, and only grows. Each statement is a
        commit of its own, since what one commit makes and removes is not written at all: so what a killed
        process has made, and not removed, may be there.
        """
        self._database.execute(
            "insert or replace into meta values ('room', zeroblob(?))", (PAGE * LOG_PAGES,)
        )
        self._database.execute("delete from meta where name = 'room'")
        self._database.execute("pragma wal_checkpoint(restart)")

    # ---- reading ----

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query.

        Raises:
            JournalUnusable: The file cannot be read.
        """
        with self._usable():
            return self._database.execute(query, values).fetchall()

    def stream(self, query: str) -> Iterator[Any]:
        """Yield the rows of a query, one by one.

        Raises:
            JournalUnusable: The file cannot be read.
        """
        with self._usable():
            yield from self._database.execute(query)

    def meta(self, name: str) -> Any:
        """Return a mark that was set, None where it was not."""
        rows = self.rows("select value from meta where name = ?", (name,))
        return rows[0][0] if rows else None

    def marks(self, prefix: str) -> dict[str, Any]:
        """Return the marks whose names begin so."""
        return dict(
            self.rows("select name, value from meta where substr(name, 1, ?) = ?", (len(prefix), prefix))
        )

    def has_changed(self) -> bool:
        """Whether another program has written since `read_head`; asked often, so the short way."""
        if self.path is None:
            return False
        try:
            version: int = self._database.execute("pragma data_version").fetchone()[0]
        except sqlite3.Error:
            with self._usable():
                raise
        return version != self._version

    def read_head(self) -> None:
        """Read where the chain ends."""
        self._version = self._pragma("data_version")  # first: what comes after it shows the next time
        rows = self.rows("select number, link from events order by number desc limit 1")
        self.head: tuple[int, bytes] = rows[0] if rows else (0, chain.start(self.id))

    # ---- writing ----

    def append(
        self,
        events: Callable[[tuple[int, bytes]], Iterable[Event]],
        reread: Callable[[], None],
        drops: Sequence[int] = (),
        marks: Mapping[str, Any] = NO_MARKS,
    ) -> None:
        """Write events behind the last one, in one transaction; they are on disk when this returns.

        Args:
            events: Makes them, given the head; called again where another program came between.
            reread: Called before that: to take in what the other one wrote, and the new head.
            drops: The events whose bodies are dropped in the same transaction.
            marks: What is set in it, as `set_meta` does.

        Raises:
            JournalUnusable: None of them is on disk.
        """
        with self._usable():
            self._place.check()
            for last in (False, True):
                rows: list[tuple[Any, ...]] = []
                link = self.head[1]
                for event in events(self.head):
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
                    self._write(rows, drops, marks)
                except sqlite3.IntegrityError:
                    if last:
                        raise
                    reread()
                    continue
                self.head = rows[-1][0], link
                return

    def _write(self, rows: list[tuple[Any, ...]], drops: Sequence[int], marks: Mapping[str, Any]) -> None:
        if len(rows) == 1 and not drops and not marks:  # a statement alone is a transaction
            self._database.execute(INSERT, rows[0])
            return
        self._database.execute("begin immediate")
        try:
            self._database.executemany(INSERT, rows)
            if drops:
                self._database.executemany(DROP, [(number,) for number in drops])
            for name, value in marks.items():
                self.set_meta(name, value)
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise

    def set_meta(self, name: str, value: Any) -> None:
        """Set a mark, durably; None takes it away."""
        if value is None:
            self.change("delete from meta where name = ?", (name,))
        else:
            self.change("insert or replace into meta values (?, ?)", (name, value))

    def probe(self) -> None:
        """See whether the file can be written, and is in its place.

        Raises:
            JournalUnusable: It cannot, or is not.
        """
        with self._usable():
            self._place.check()
        self.set_meta("probe", None)

    def change(self, statement: str, values: Sequence[Any]) -> int:
        """Carry out a statement that changes what is no part of the chain; return how many rows it changed.

        Raises:
            JournalUnusable: It has changed nothing.
        """
        with self._usable():
            return self._database.execute(statement, values).rowcount

    # ---- the file itself ----

    def close(self) -> None:
        """Let the file and the lease go."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def _pragma(self, name: str) -> int:
        return int(self.rows(f"pragma {name}")[0][0])

    def _usable(self) -> Usable:
        return Usable("journal", self.path, JournalUnusable)
