"""Files that only their owner can read: made whole or not at all, and refused when others can read them.

On POSIX the mode says who can, on Windows the access control list (`windows.py`, `sddl.py`). What is made is
on the disk when a function returns. A draft is written beside the file and then takes its name, so whatever
ends the process meanwhile, nobody ever reads half a file.
"""

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LIMIT = 65_536
"""Bytes of the largest file that is read; keys and passwords are far smaller."""


class NotPrivate(PermissionError):
    """Others than its owner can read a file, or change what only its owner may.

    Attributes:
        hint: The command that mends it.
    """

    def __init__(self, path: Path, problem: str, hint: str) -> None:
        super().__init__(errno.EACCES, problem, str(path))
        self.hint = hint


def create(path: Path, content: bytes) -> None:
    """Create a file that only its owner can read.

    Raises:
        FileExistsError: There is something of that name, which is left as it is.
        OSError: It cannot be made; nothing is left behind.
    """
    with _draft(path, content) as draft:
        # Either refuses a name that is taken: a hard link everywhere, a rename on Windows alone.
        if sys.platform == "win32":
            draft.rename(path)
        else:
            path.hardlink_to(draft)
    _flush(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Put a new file, which only its owner can read, in the place of another; links are followed.

    Raises:
        OSError: It cannot be made; the old one is still there.
    """
    path = path.resolve()
    with _draft(path, content) as draft:
        draft.replace(path)
    _flush(path.parent)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file that is there.

    Raises:
        OSError: It cannot be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "ab", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())


def read(path: Path) -> bytes:
    """Return what is in a file that only its owner can read; links are followed.

    Raises:
        NotPrivate: Others can read it.
        OSError: It cannot be read, is no regular file, or is larger than `LIMIT`.
    """
    with _opened(path) as file:
        if sys.platform == "win32":
            from mt5crs.private import windows

            windows.check(path)
        else:
            status = os.fstat(file.fileno())
            _check_owner(path, status)
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise NotPrivate(path, "can be read by others", f"chmod 600 {path}")
        return _content(file, path)


def read_unchangeable(path: Path) -> bytes:
    """Return what is in a file that others may read, but not change; links are followed.

    Raises:
        NotPrivate: Others can change it.
        OSError: It cannot be read, is no regular file, or is larger than `LIMIT`.
    """
    with _opened(path) as file:
        check_unchangeable(path, os.fstat(file.fileno()))
        return _content(file, path)


def make_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, and what is above it; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    path.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    if sys.platform == "win32":
        from mt5crs.private import windows

        windows.restrict(path)


def check_unchangeable(path: Path, status: os.stat_result) -> None:
    """Refuse what others than us and the administrator can change, as its owner and mode say.

    On Windows nothing is looked at: there the folder's list, as `make_folder` makes it, keeps others out.

    Raises:
        NotPrivate: Others can.
    """
    if os.name != "posix":
        return
    _check_owner(path, status)
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise NotPrivate(path, "can be changed by others", f"chmod go-w {path}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse what belongs to somebody else, who can change it whatever its mode is."""
    if status.st_uid not in (0, os.geteuid()):
        raise NotPrivate(path, "belongs to another user", f"chown it to yourself, or copy it: {path}")


def _opened(path: Path) -> BinaryIO:
    """Open a file to read it; a pipe in its place would hold up whoever opens it, and is refused."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def _content(file: BinaryIO, path: Path) -> bytes:
    content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


@contextmanager
def _draft(path: Path, content: bytes) -> Generator[Path, None, None]:
    """Write a file beside another; it is gone afterwards, unless it was given that one's name."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name.lstrip('.')}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if sys.platform == "win32":
                from mt5crs.private import windows

                windows.restrict(draft)
            else:
                os.fchmod(handle, stat.S_IRUSR | stat.S_IWUSR)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(handle)
        yield draft
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _flush(folder: Path) -> None:
    """Have the names in a folder on the disk as well."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
