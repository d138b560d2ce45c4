"""A node's `.env` and what is kept of it: copies from before each change, and our settings by release."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from . import envfile
from .files import flush, make_alike, private_folder, replace
from .operations import Failed
from .place import Place

COPIES = 20
"""How many copies are kept."""
NONE = ""
"""The name of the copy where there was no `.env`."""
NEW, BACK = "mt5crs-new", "mt5crs-back"
"""What the names of drafts of `.env` end with; the one to put back has its room before anything begins."""
TRIES = 5
"""How often a change is made anew, because somebody else has changed the file meanwhile."""
ROOM = 64 * 1024
"""Bytes that are kept free for what putting back has to write besides `.env`."""


def content(place: Place) -> bytes | None:
    """Return what is in `.env`, None where there is none.

    Raises:
        Failed: It cannot be read.
    """
    try:
        return place.settings.read_bytes()
    except FileNotFoundError:
        if place.settings.is_symlink():
            target = os.readlink(place.settings)  # noqa: PTH115 - 3.8
            raise Failed(f"{place.settings} is a link to {target}, which is not there", code="env") from None
        return None
    except OSError as error:
        raise Failed(
            f"{place.settings} cannot be read: {error.strerror or error}", "mend its permissions", "env"
        ) from None


def copy(place: Place, needed: Collection[str] = ()) -> str:
    """Keep a copy of `.env`; return its name. Old copies go, but for this one and those that are needed."""
    now = content(place)
    if now is None:
        return NONE
    private_folder(place.own)
    private_folder(place.backups)
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{hashlib.sha256(now).hexdigest()[:12]}.env"
    replace(place.backups / name, now)
    # A clock can have been put back: neither a name nor a time makes this one an old one.
    others = [each for each in place.backups.glob("*-*.env") if each.name != name]
    others.sort(key=lambda each: (each.stat().st_mtime_ns, each.name))
    for old in others[: max(0, len(others) + 1 - COPIES)]:
        if old.name not in needed:
            old.unlink()
    return name


def copied(place: Place, name: str) -> bytes | None:
    """Return what is in a copy, None where there was no `.env`."""
    return (place.backups / name).read_bytes() if name else None


def change(place: Place, do: Callable[[bytes | None], bytes | None], suffix: str = NEW) -> None:
    """Change `.env` by what it is at this moment: an edit that somebody makes meanwhile is not lost.

    Args:
        place: The node's folder.
        do: Returns what is to be in it for what is in it; None for no file.
        suffix: Which draft is used; see `reserve`.

    Raises:
        Failed: It cannot be read, or is changed again and again.
        OSError: It cannot be written; it is as it was.
    """
    for _ in range(TRIES):
        now = content(place)
        wanted = do(now)
        if wanted == now:
            return
        if wanted is None:
            place.settings.unlink()
            return
        if _put(place, now, wanted, suffix):
            return
    raise Failed(f"{place.settings} is changed again and again by somebody else", "find out by what", "env")


def reserve(place: Place, size: int) -> None:
    """Take the room that putting `.env` back needs: a disk that is full then is no obstacle."""
    with os.fdopen(_private(_draft(place, BACK)), "wb") as file:
        file.write(b"\n" * size)
        file.flush()
        os.fsync(file.fileno())
    replace(_room(place), b"\n" * ROOM)


def give_room(place: Place) -> None:
    """Give back the room that was taken for all but `.env`."""
    with suppress(FileNotFoundError):
        _room(place).unlink()


def tidy(place: Place, needed: Collection[str] = ()) -> None:
    """Remove what a deployment that was cut off left, but for files of `settings/` that are needed."""
    give_room(place)
    left = [trial(place), _draft(place, NEW), _draft(place, BACK), *place.path.glob("..env-????????")]
    left += [*place.backups.glob("*.before.json"), *place.backups.glob(".*-????????")]
    left += place.own.glob(".*-????????")
    for each in left:
        if each.name not in needed:
            with suppress(OSError):
                each.unlink()


def trial(place: Place) -> Path:
    """Return where settings are that a release only tries."""
    return place.backups / "trial"


def _room(place: Place) -> Path:
    return place.backups / "room"


def _draft(place: Place, suffix: str) -> Path:
    """Return a draft of `.env`: beside what it is, so that it can take its place."""
    path = Path(os.path.realpath(place.settings))
    return path.with_name(f".{path.name}.{suffix}")


def _private(path: Path) -> int:
    with suppress(FileNotFoundError):
        path.unlink()
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def _put(place: Place, now: bytes | None, wanted: bytes, suffix: str) -> bool:
    """Put a file in the place of `.env` if that is still as it was; return whether it was."""
    path, draft = Path(os.path.realpath(place.settings)), _draft(place, suffix)
    if not draft.exists() or draft.is_symlink():
        os.close(_private(draft))
    with draft.open("r+b") as file:
        file.write(wanted)
        file.truncate()
        file.flush()
        make_alike(file.fileno(), path, 0o600)
        os.fsync(file.fileno())
    if content(place) != now:
        return False
    draft.replace(path)
    flush(path.parent)
    return True


def remember(place: Place, id_: str, ours: Mapping[str, str]) -> None:
    """Keep our settings as a release has them."""
    private_folder(place.own)
    private_folder(place.backups)
    replace(place.backups / f"{id_}.json", json.dumps(dict(ours), indent=1, sort_keys=True).encode())


def remembered(place: Place, id_: str) -> dict[str, str] | None:
    """Return our settings as a release had them; None where nobody knows."""
    try:
        kept: dict[str, str] = json.loads((place.backups / f"{id_}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return kept


def chosen(text: bytes, names: Iterable[str]) -> dict[str, str]:
    """Return some variables of a `.env`, never a secret."""
    there = envfile.values(text)
    return {name: there[name] for name in names if name in there and name not in envfile.SECRETS}
