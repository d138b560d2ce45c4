"""An archive's folder: what it says of itself, who writes to it, and how a file takes its place in it.

Files are made in a folder that no reader looks at, are on the disk before they get their name, and get it in
one step: whatever ends the process meanwhile, nobody ever reads half a file.
"""

import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from mt5crs.archive.layout import DESCRIPTION, LOCK, WORK, Series
from mt5crs.archive.rows import FORMAT, TIME_CONVENTION
from mt5crs.errors import ArchiveError, SettingError

_ABOUT = {
    "about": "Bars and ticks of MetaTrader 5 as Parquet files, by mt5crs.",
    "rates": "rates/symbol=S/tf=T/year=Y/*.parquet: a month in each file for M1 to M30, a year from H1 on.",
    "ticks": "ticks/symbol=S/year=Y/*.parquet: a day in each file.",
    "time": TIME_CONVENTION,
    "names": "What begins with an underscore is not data; %XX in a folder's name is one character.",
}


AS_IT_WAS = "what is in the archive is as it was: pull again, and it goes on from there"
TOGETHER = 1.0
"""Seconds for which somebody who writes waits for those who look whether anybody does."""
_OFTEN = 0.01


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
        form, accounts = facts["format"], facts["accounts"]
        if type(form) is not int or not isinstance(accounts, list):
            raise TypeError
        names = tuple(each for each in cast("list[object]", accounts) if isinstance(each, str))
        if len(names) != len(cast("list[object]", accounts)):
            raise TypeError
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SettingError(
            f"{root} is no archive: it has no {DESCRIPTION}", hint="`mt5crs archive pull` makes one"
        ) from error
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArchiveError(
            f"{path} is not as an archive writes it",
            hint="copy it from a backup; or move it away and pull into another folder",
        ) from error
    if form != FORMAT:
        raise ArchiveError(
            f"{root} is of format {form}, this is format {FORMAT}",
            hint="use the version of mt5crs that made it",
        )
    return Description(names)


@contextmanager
def writing(root: Path) -> Generator[None, None, None]:
    """Be the only one that writes to an archive, which is made where there is none yet.

    Raises:
        SettingError: The folder is something else.
        ArchiveError: Another program writes to it, or it cannot be made.
    """
    is_there = _is_archive(root)
    with told(
        root, AS_IT_WAS if is_there else "state another folder, whose name and place can be written to"
    ):
        if root.is_symlink() and not root.exists():
            raise SettingError(f"{root} is a link to what is not there", hint="state another folder")
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / LOCK).open("ab")
    with lock:
        if not _lock(lock, patience=TOGETHER):
            raise ArchiveError(
                f"another program is writing to {root}",
                hint="wait for it to end; one pull of several symbols is as fast as several pulls",
            )
        with told(root):
            work = root / WORK
            work.mkdir(exist_ok=True)
            for draft in work.iterdir():  # of a process that did not come to its end
                if not draft.is_dir():  # which is none of ours, and in nobody's way
                    draft.unlink()
        yield


def is_written(root: Path) -> bool:
    """Say whether a program is writing to an archive right now."""
    try:
        lock = (root / LOCK).open("rb+")
    except OSError:  # nobody ever has, or we may not ask
        return False
    with lock:
        return not _lock(lock, shared=True)


def look_at(root: Path, series: Series) -> None:
    """Make sure that the folders of a series, as far as they are there, can be read and written to.

    Raises:
        ArchiveError: One cannot be.
    """
    folder = series.folder(root)
    above = [each for each in reversed(folder.parents) if each.is_relative_to(root)]
    for each in (*above, folder):
        if not os.path.lexists(each):
            return
        _look_at(each)
    for each in folder.glob("year=*"):
        _look_at(each)


def _look_at(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ArchiveError(
            f"the folder {folder} may not be read or written to", hint="see to its owner and its permissions"
        )


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
    draft.stat()  # whose archive was removed meanwhile fails here, and leaves no new folders behind
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
def told(path: Path, hint: str = AS_IT_WAS) -> Generator[None, None, None]:
    """Say in words what the operating system refused.

    Args:
        path: What was to be written.
        hint: What to do then.

    Raises:
        ArchiveError: It did.
    """
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}",
            hint=hint,
        ) from error


def _is_archive(root: Path) -> bool:
    """Say whether a folder is an archive, and not one that is to be made.

    Raises:
        SettingError: It is something else.
        ArchiveError: It cannot be looked at.
    """
    with told(root, "state another folder"):
        if root.exists() and not root.is_dir():
            raise SettingError(f"{root} is a file", hint="an archive is a folder: state another name")
        if (root / DESCRIPTION).exists():
            read_description(root)
            return True
        there = [each for each in root.iterdir() if each.name not in {LOCK, WORK}] if root.is_dir() else []
        # Empty folders are left of an archive that was removed while a pull went on.
        if any(not each.is_dir() or any(not path.is_dir() for path in each.rglob("*")) for each in there):
            raise _other(root)
        return False


def _other(root: Path) -> SettingError:
    if any(next((root / tree).rglob("*.parquet"), None) for tree in ("rates", "ticks")):
        return SettingError(
            f"{root} has files of an archive, and no {DESCRIPTION}, which says what account they are of",
            hint=f"copy {DESCRIPTION} from where they come from, or pull into another folder",
        )
    return SettingError(
        f"{root} is no archive, and not empty", hint="state a new folder, or an archive that is there"
    )


def _lock(file: IO[bytes], *, shared: bool = False, patience: float = 0.0) -> bool:
    """Take a lock that ends with the process; say whether nobody else has it.

    Args:
        file: What is locked.
        shared: Whether others may have it like this, too, who only look whether anybody writes.
        patience: Seconds for which it is tried again.
    """
    until = time.monotonic() + patience
    while not _locked(file, shared=shared):
        if time.monotonic() >= until:
            return False
        time.sleep(_OFTEN)
    return True


def _locked(file: IO[bytes], *, shared: bool) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
