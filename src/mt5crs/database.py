"""What the gateway's SQLite files have in common: who may use one, what is in it, what is wrong with it."""

import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from mt5crs.errors import BridgeError, SettingError

MEMORY = ":memory:"
LARGEST = 1 << 24
"""Bytes of the largest value that is read: ours are far smaller, a made-up one may fill the memory."""
HINTS = (
    ("locked", "another program writes to it: end that one, all goes on by itself then"),
    ("full", "the disk is full: make room, all goes on by itself then"),
    ("readonly", "the gateway may not write there: mend the permissions of the file and of its folder"),
    ("moved or removed", "put it back where it was, with its log: all goes on by itself then"),
    ("unable to open", "see that its folder exists and that the gateway may write there"),
    ("disk I/O", "the disk does not take what is written: look at its room, its quota and its health"),
)
DAMAGED = "it was left as it is: restore a copy that is whole, or keep it aside and start with a new file"
LOOK = 250_000_000
"""Nanoseconds between two looks whether a file is still in its place."""
_SCHEMA = "select type, name, tbl_name, sql from sqlite_master order by type, name"
_TASKS = 100_000
"""Instructions of SQLite after which reading what tables there are is given up: ours take a few dozen."""


class Usable:
    """Says what is wrong with a file where SQLite fails, while something is done with it.

    Args:
        name: What the file is, as people call it.
        path: Where it is; None for one in memory.
        failure: What is raised.
    """

    __slots__ = ("_failure", "_name", "_path")

    def __init__(self, name: str, path: Path | None, failure: type[BridgeError]) -> None:
        self._name = name
        self._path = path
        self._failure = failure

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            hint = next((hint for word, hint in HINTS if word in str(error)), DAMAGED)
            where = self._path or "in memory"
            raise self._failure(f"the {self._name} {where} cannot be used: {error}", hint=hint) from error


def make_private(path: Path) -> None:
    """Make a file that its owner alone can read, unless there is one; SQLite makes its log alike."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError:  # SQLite says what is wrong with it
        pass


def log_of(path: Path) -> Path:
    """Return where SQLite keeps a file's log."""
    return path.with_name(f"{path.name}-wal")


class Place:
    """Where a file that is in use was when it was opened, with its log.

    Args:
        path: The file; None for one in memory.
        clock: Nanoseconds since the epoch, UTC.
    """

    def __init__(self, path: Path | None, clock: Callable[[], int]) -> None:
        self._paths = () if path is None else (path, log_of(path))
        self._clock = clock
        self._looked = 0
        self._found = self._look()

    def check(self) -> None:
        """See whether the file or its log is another one by now, or is shorter; looked at now and then.

        To ask a file for its times makes its next write keep new ones, which a flush then has to write as
        well: with a look before each commit, a commit took half as long again.

        Raises:
            sqlite3.OperationalError: It is, and what is written would be lost.
        """
        now = self._clock()
        if now - self._looked < LOOK:
            return
        found = self._look()
        for (which, size), (before, size_before) in zip(found, self._found, strict=True):
            if which != before or size < size_before:
                raise sqlite3.OperationalError("its file was moved or removed while in use")
        self._looked, self._found = now, found

    def _look(self) -> list[tuple[tuple[int, int], int]]:
        """Return which file there is and its size, of the file and of its log; zeros where there is none."""
        found: list[tuple[tuple[int, int], int]] = []
        for path in self._paths:
            try:
                status = path.stat()
                found.append(((status.st_dev, status.st_ino), status.st_size))
            except OSError:  # noqa: PERF203 - two files
                found.append(((0, 0), 0))
        return found


def take_lease(name: str, path: Path, failure: type[BridgeError]) -> sqlite3.Connection:
    """Lock the file beside a file; the operating system gives it back when the process ends.

    Raises:
        SettingError: Another gateway has it.
        BridgeError: The `failure`: it cannot be locked.
    """
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
                f"{name}: another gateway uses {path}",
                hint=f"stop that one, or give this one its own {name}",
            ) from error
        raise failure(
            f"the {name} {path} cannot be used: {error}",
            hint="see that its folder exists and that the gateway may write there",
        ) from error
    return lease


def distrust(database: sqlite3.Connection) -> None:
    """Let a file that somebody else may have written to do no harm."""
    database.execute("pragma trusted_schema = off")
    if sys.version_info >= (3, 11):
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)


def surplus(database: sqlite3.Connection, tables: str) -> tuple[str, str] | None:
    """Return the kind and the name of something that is not as we made it, None where all is.

    Somebody's trigger or view would run with us.

    Args:
        database: The open file.
        tables: The statements that made it.
    """
    database.set_progress_handler(lambda: 1, _TASKS)  # it may be made so that reading would never end
    try:
        found = database.execute(_SCHEMA).fetchall()
    finally:
        database.set_progress_handler(None, 0)
    with closing(sqlite3.connect(MEMORY)) as ours:
        ours.executescript(tables)
        expected = ours.execute(_SCHEMA).fetchall()
    if found == expected:
        return None
    others = [row for row in found if row not in expected] or [row for row in expected if row not in found]
    kind, name = others[0][:2]
    return str(kind), str(name)
