"""A gateway's folder of keys: what is where, the lock of who changes it, and the log of all changes.

::

    gateway.json         the gateway's own keys
    clients/NAME.json    what it knows of each client
    changes.log          a line for each change: when, what, whose key, its id
    lock                 held while a command changes something

A line is added to `changes.log` after each change, so its size tells a running gateway that there was one.
"""

import errno
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mt5crs import private
from mt5crs.principals import OWN
from mt5crs.security.keyfiles import HOW_TO_MAKE, ClientEntry, KeyFileError, decode, stamp

GATEWAY, CLIENTS, CHANGES, LOCK = "gateway.json", "clients", "changes.log", "lock"
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What it is where a file cannot be opened for want of descriptors: that says nothing about the file."""
PATIENCE = 10.0
"""Seconds that a command waits for another one."""


def entry_path(folder: Path, name: str) -> Path:
    """Return where the entry of a client is."""
    return folder / CLIENTS / f"{name}.json"


def read_entry(path: Path) -> ClientEntry:
    """Read a client's entry; its name is the file's, so that no two clients can share a name.

    Raises:
        KeyFileError: It cannot be read, is damaged, or others can change it.
    """
    try:
        entry = decode(path, private.read_unchangeable(path), ClientEntry)
    except private.NotPrivate as error:
        raise KeyFileError(f"{path} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        problem = KeyFileError(f"{path} cannot be read: {error.strerror or error}")
        problem.passes = error.errno in NO_ROOM
        raise problem from None
    if entry.name != path.stem:
        raise KeyFileError(f"{path} is the entry of {entry.name!r}", hint="an entry has its client's name")
    if entry.name in OWN:
        raise KeyFileError(f"{path}: {entry.name} is a name of the gateway's own", hint="use another one")
    return entry


def check(folder: Path) -> None:
    """See that a folder is a gateway's, and that only its owner can change who is let in.

    Raises:
        KeyFileError: It is not, or others can.
    """
    path = folder
    try:
        for path in (folder, folder / CLIENTS):
            private.check_unchangeable(path, path.stat())
        path = folder / CHANGES
        path.stat()
        if not os.access(path, os.R_OK):  # which, unlike opening it, takes no descriptor
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except private.NotPrivate as error:
        raise KeyFileError(f"{path} {error.strerror}", hint=error.hint) from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror or error}", hint=HOW_TO_MAKE) from None


@contextmanager
def locked(folder: Path) -> Generator[None, None, None]:
    """Keep other commands from changing a folder meanwhile; the system gives the lock back in any case.

    Raises:
        KeyFileError: Another one holds it and does not end, or there is no such folder.
    """
    path = folder / LOCK
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        lock = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be made: {error.strerror or error}", hint=HOW_TO_MAKE) from None
    try:
        lock.execute("begin exclusive")
        yield
    except sqlite3.DatabaseError as error:
        raise KeyFileError(
            f"{folder} cannot be locked: {error}", hint="does another command use it?"
        ) from None
    finally:
        lock.close()


def note(folder: Path, now: datetime, what: str, name: str, key_id: str) -> None:
    """Write down a change that was made.

    Raises:
        OSError: It cannot be written.
    """
    private.append(folder / CHANGES, f"{stamp(now)} {what} {name} {key_id}\n".encode())
