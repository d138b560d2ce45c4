"""Files that are there as a whole or not at all, and what is in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

MIB = 1 << 20


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a file in the place of another, or where there is none, durably.

    Links are followed. The mode and the owner of the other one stay.

    Args:
        path: The file.
        content: What it is to hold.
        mode: For a file that is not there yet.

    Raises:
        OSError: It could not be; the other one is still there.
    """
    path = Path(os.path.realpath(path))
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=str(path.parent))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            make_alike(file.fileno(), path, mode)
            os.fsync(file.fileno())
        os.replace(draft, path)  # noqa: PTH105 - the draft is a name
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)  # noqa: PTH108
        raise
    flush(path.parent)


def make_alike(descriptor: int, path: Path, mode: int) -> None:
    """Give a draft the mode and the owner of the file that it is for; a mode where there is none."""
    if os.name == "nt":
        return
    try:
        status = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    own = os.fstat(descriptor)
    if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o7777)


def flush(folder: Path) -> None:
    """Have a folder's entries on the disk; Windows does it by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_all(folder: Path) -> None:
    """Have a folder, with all that is below it, on the disk; Windows does it by itself.

    Linux flushes that one file system: another, slow or gone, is not waited for.

    Raises:
        OSError: It could not be written.
    """
    if not hasattr(os, "sync"):
        return
    try:
        import ctypes

        flush_one = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, AttributeError):  # a Python without it, or a system
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if flush_one(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; of a link, that of what it says, as git has it."""
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(os.readlink(path))).hexdigest()  # noqa: PTH115 - 3.8
    sha256 = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(MIB), b""):
            sha256.update(block)
    return sha256.hexdigest()


def free(path: Path) -> int:
    """Return how many bytes are free where a path is, or would be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(str(path)).free


def private_folder(path: Path) -> None:
    """Make a folder that its owner alone can look into, unless it is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def unwritable(path: Path) -> str:
    """Return why a folder cannot be written to: `read-only` (its file system), `permission`; "" if it can.

    Of one that is not there, it is said of the folder that it would be made in.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    if hasattr(os, "statvfs") and os.statvfs(str(path)).f_flag & os.ST_RDONLY:
        return "read-only"
    return "" if os.access(str(path), os.W_OK | os.X_OK) else "permission"
