"""Where a journal ended: kept by those who trade, it proves later that nothing before it was changed.

A head names a journal, how many events it had, and the last one's link, which is made of all events before
it. As text it is `JOURNAL:EVENTS:LINK`. A client keeps the heads that come with its trades in a file of its
own; `mt5crs journal verify --head FILE` compares a journal with them.
"""

import errno
import logging
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mt5crs.errors import SettingError

try:
    import fcntl
except ImportError:  # Windows, where a file that another process has open cannot be replaced anyway
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

LARGEST = 1 << 20
"""Bytes of a file of heads beyond which its older half is dropped."""
LINK = 32
"""Bytes of a link."""
TRIES = 3
"""Times that a head is written anew where another process puts a new file in place at that moment."""
_SAFE = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))
"""No link is followed, and a pipe holds up nobody."""
_READ = os.O_RDONLY | _SAFE
_WRITE = os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFE


class Head(NamedTuple):
    """Where a journal ended.

    Attributes:
        journal: The journal's id.
        events: How many events it had.
        link: The last one's link.
    """

    journal: str
    events: int
    link: bytes

    def __str__(self) -> str:
        return f"{self.journal}:{self.events}:{self.link.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Return the head that a text is.

        Raises:
            SettingError: It is none.
        """
        journal, _, rest = text.partition(":")
        events, _, link = rest.partition(":")
        try:
            read = cls(journal, int(events), bytes.fromhex(link))
        except ValueError:
            read = None
        if (
            read is None
            or str(read) != text
            or read.events < 0
            or not journal.isalnum()
            or len(link) != 2 * LINK
        ):
            raise SettingError(
                f"{text[:120]!r} is no head of a journal, and no file of them",
                hint="one is JOURNAL:EVENTS:LINK, as `mt5crs journal verify` tells it",
            )
        return read


class Kept(NamedTuple):
    """What a file of heads holds.

    Attributes:
        heads: The heads, the oldest first.
        unreadable: How many lines are none.
    """

    heads: list[Head]
    unreadable: int


class HeadFile:
    """A file of heads, one on each line; several processes may write to it at once.

    To keep one is a single write at the file's end. It is not flushed to the disk: what a power cut takes is
    the newest few, and evidence of an order does not wait for the disk of who keeps it.

    Args:
        path: The file, made private when the first head is kept.
        largest: Bytes beyond which the older half is dropped.

    Attributes:
        path: The file.
        lost: How many could not be kept; no order fails because of it.
    """

    def __init__(self, path: Path, largest: int = LARGEST) -> None:
        self.path = path
        self.lost = 0
        self._largest = largest
        self._file = -1
        self._is_torn = False
        self._lock = threading.Lock()

    def keep(self, head: Head) -> None:
        """Write a head at the end; one of a journal that ends with its gateway proves nothing, and is not."""
        if not head.journal:
            return
        line = b"%b:%d:%b\n" % (head.journal.encode(), head.events, head.link.hex().encode())
        try:
            with self._lock:
                self._write(line)
        except OSError as error:
            if not self.lost:
                log.warning("heads of the journal cannot be kept in %s: %s", self.path, error.strerror)
            self.lost += 1

    def _write(self, line: bytes) -> None:
        for _ in range(TRIES):
            if self._file < 0:
                self._file = _opened(self.path, _WRITE)
            torn, self._is_torn = self._is_torn, True
            told = b"\n" + line if torn else line
            self._is_torn = os.write(self._file, told) != len(told)
            if self._is_torn:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            status = os.fstat(self._file)
            if status.st_nlink:
                if status.st_size > self._largest:
                    self._cut()
                return
            self._close()  # another process has dropped the older half since, maybe without this line

    def _cut(self) -> None:
        """Drop the older half; what other processes write meanwhile is kept."""
        old, self._file = self._file, -1
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            _lock(old)  # of those that would cut at once, one does
            if not _is_at(old, self.path):
                return
            content = _read(old, os.fstat(old).st_size - self._largest // 2).partition(b"\n")[2]
            end = os.lseek(old, 0, os.SEEK_CUR)
            beside.unlink(missing_ok=True)  # what a process of the same number has left
            new = _opened(beside, _WRITE | os.O_EXCL)
            try:
                _lock(new)
                _write_all(new, content)
                if _replaced(beside, self.path):
                    _write_all(new, _read(old, end))  # what came meanwhile; who writes later sees it is gone
            finally:
                os.close(new)
                beside.unlink(missing_ok=True)
        finally:
            os.close(old)

    def heads(self) -> Kept:
        """Return what the file holds.

        Raises:
            SettingError: It cannot be read, or is not a file of ours.
        """
        try:
            with os.fdopen(_opened(self.path, _READ), "rb") as lines:
                return read(lines)
        except OSError as error:
            raise SettingError(f"{self.path} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Let the file go; the next head opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read(lines: Iterable[bytes]) -> Kept:
    """Return the heads of some lines; a line that was torn by a full disk is counted, and skipped."""
    heads: list[Head] = []
    unreadable = 0
    for line in lines:
        head = _parsed(line.strip())
        if head is not None:
            heads.append(head)
        else:
            unreadable += not line.isspace()
    return Kept(heads, unreadable)


def _parsed(line: bytes) -> Head | None:
    try:
        return Head.parse(line.decode())
    except (SettingError, UnicodeDecodeError):
        return None


def _opened(path: Path, flags: int) -> int:
    """Open a regular file of our own.

    Raises:
        OSError: It cannot be opened, or is something else.
    """
    file = os.open(path, flags, 0o600)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    except OSError:
        os.close(file)
        raise
    return file


def _read(file: int, start: int) -> bytes:
    """Return what a file holds from a place on."""
    os.lseek(file, start, os.SEEK_SET)
    parts: list[bytes] = []
    while part := os.read(file, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _lock(file: int) -> None:
    """Wait until no other process has the lock of a file, and take it; it goes when the file is closed."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX)


def _replaced(new: Path, path: Path) -> bool:
    """Put a file in another's place; on Windows not while other processes have that open: the next time."""
    try:
        new.replace(path)
    except PermissionError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    """Whether an open file is still the one of that path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
