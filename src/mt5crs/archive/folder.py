"""An archive's folder: what it says of itself, who writes to it, and how a file takes its place in it.

Files are made in a folder that no reader looks at, are on the disk before they get their name, and get it in
one step: whatever ends the process meanwhile, nobody ever reads half a file.
"""

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from mt5crs.archive.layout import DESCRIPTION, LOCK, WORK
from mt5crs.archive.rows import FORMAT, TIME_CONVENTION
from mt5crs.errors import ArchiveError, SettingError

_ABOUT = {
    "about": "Bars and ticks of MetaTrader 5 as Parquet files, by mt5crs.",
    "rates": "rates/symbol=S/tf=T/year=Y/*.parquet: a month in each file for M1 to M30, a year from H1 on.",
    "ticks": "ticks/symbol=S/year=Y/*.parquet: a day in each file.",
    "time": TIME_CONVENTION,
    "names": "What begins with an underscore is not data; %XX in a folder's name is one character.",
}


class Description(NamedTuple):
    """What an archive says of itself.

    Attributes:
        accounts: The accounts that it may be filled from, each as `login@server`, the first one first.
    """

    accounts: tuple[str, ...]


def read_description(root: Path) -> Description:
    """Read what an archive says of itself.

    Raises:
        SettingError: The folder is no archive.
        ArchiveError: It cannot be read, or a later version made it.
    """
    path = root / DESCRIPTION
    try:
        facts = json.loads(path.read_bytes())
        form, accounts = facts["format"], tuple(str(each) for each in facts["accounts"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingError(
            f"{root} is no archive: it has no {DESCRIPTION}", hint="`mt5crs archive pull` makes one"
        ) from error
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(
            f"{path} is not as an archive writes it",
            hint="copy it from a backup; or move it away and pull into another folder",
        ) from error
    if form != FORMAT:
        raise ArchiveError(
            f"{root} is of format {form}, this is format {FORMAT}",
            hint="use the version of mt5crs that made it",
        )
    return Description(accounts)


@contextmanager
def writing(root: Path) -> Generator[None, None, None]:
    """Be the only one that writes to an archive, which is made where there is none yet.

    Raises:
        SettingError: The folder is something else.
        ArchiveError: Another program writes to it, or it cannot be made.
    """
    _refuse_others(root)
    with told(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / LOCK).open("ab")
    with lock:
        if not _lock(lock):
            raise ArchiveError(
                f"another program is writing to {root}",
                hint="wait for it to end; one pull of several symbols is as fast as several pulls",
            )
        with told(root):
            work = root / WORK
            work.mkdir(exist_ok=True)
            for draft in work.iterdir():  # of a process that did not come to its end
                draft.unlink()
        yield


def is_written(root: Path) -> bool:
    """Say whether a program is writing to an archive right now."""
    try:
        lock = (root / LOCK).open("rb+")
    except OSError:  # nobody ever has, or we may not ask
        return False
    with lock:
        return not _lock(lock)


def admit(root: Path, account: str, *, accept: bool) -> None:
    """Make sure that an archive may be filled from an account; for whoever writes to it.

    Args:
        root: The archive.
        account: The account, as `login@server`.
        accept: Whether another account than before is welcome, and recorded.

    Raises:
        ArchiveError: It is of another account.
    """
    accounts = read_description(root).accounts if (root / DESCRIPTION).exists() else ()
    if account in accounts:
        return
    if accounts and not accept:
        raise ArchiveError(
            f"{root} is an archive of account {', '.join(accounts)}, "
            f"and the terminal is logged in to {account}",
            hint="prices differ between servers: pull into another folder, or say --accept-account",
        )
    facts = {"format": FORMAT, "accounts": [*accounts, account], **_ABOUT}
    draft = root / WORK / DESCRIPTION
    with told(root / DESCRIPTION), draft.open("wb") as file:
        file.write(json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n")
        put(file, draft, root / DESCRIPTION)
        flush(root, root)


def put(file: IO[bytes], draft: Path, path: Path) -> None:
    """Give a draft, which is open still, its place; what is in it is on the disk before.

    That it has its name may be forgotten by a machine that loses its power, until `flush`.

    Raises:
        OSError: It cannot be; what was in that place is still there.
    """
    file.flush()
    os.fsync(file.fileno())
    file.close()  # Windows renames no open file
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(path)


def flush(root: Path, *folders: Path) -> None:
    """Have the names in some folders of an archive on the disk as well, where the operating system can.

    Raises:
        OSError: It cannot be.
    """
    if sys.platform != "win32":
        above = {each for folder in folders for each in folder.parents if each.is_relative_to(root)}
        for folder in sorted(above.union(folders)):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextmanager
def told(path: Path) -> Generator[None, None, None]:
    """Say in words what the operating system refused.

    Raises:
        ArchiveError: It did.
    """
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="what is in the archive is as it was: pull again, and it goes on from there",
        ) from error


def _refuse_others(root: Path) -> None:
    """Refuse a folder that is not for us.

    Raises:
        SettingError: It is something else.
    """
    if root.exists() and not root.is_dir():
        raise SettingError(f"{root} is a file", hint="an archive is a folder: state another name")
    if (root / DESCRIPTION).exists():
        read_description(root)
    elif root.is_dir() and any(each.name not in {LOCK, WORK} for each in root.iterdir()):
        raise SettingError(
            f"{root} is no archive, and not empty", hint="state a new folder, or an archive that is there"
        )


def _lock(file: IO[bytes]) -> bool:
    """Take a lock that ends with the process; say whether nobody else has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
