"""Old releases are removed, and what was sent for them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import record
from .operations import Tell, operation
from .place import Place
from .points import reach

DAY = 86_400.0
"""Seconds that a file nobody needs stays: it may be on its way for the next release."""


@operation("remove", changes=True)
def remove(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Remove all but `keep` releases besides the one in use; return which were `removed`."""
    return {"removed": prune(place, int(request["keep"]), tell)}


def complete(place: Place) -> list[str]:
    """Return the ids of complete releases."""
    try:
        names = sorted(each.name for each in place.releases.iterdir())
    except OSError:
        return []
    return [name for name in names if place.manifest(name) is not None]


def prune(place: Place, keep: int, tell: Tell) -> list[str]:
    """Remove old releases; return their ids.

    Never removed: the one in use, the one before it, and one of which a program still runs.
    """
    trash = place.own / "trash"
    shutil.rmtree(trash, ignore_errors=True)
    current = place.current_id()
    there = complete(place)
    entries = record.entries_of(place)
    order = [*dict.fromkeys(record.succeeded(entries))]
    others = sorted(
        (id_ for id_ in there if id_ != current),
        key=lambda id_: (order.index(id_) if id_ in order else len(order), _age(place, id_)),
    )
    staying = {current, record.previous(entries, current, there), *others[: max(keep, 0)]}
    unfinished = record.unfinished(entries)
    if unfinished is not None:
        staying |= {str(unfinished.get("from", "")), str(unfinished.get("to", ""))}
    running = in_use(place, [id_ for id_ in others if id_ not in staying])
    removed: list[str] = []
    for id_ in others:
        if id_ in staying:
            continue
        if id_ in running or not _discard(place.release(id_), trash / id_):
            tell(f"{id_} stays: a program still runs in it")
            continue
        removed.append(id_)
    shutil.rmtree(trash, ignore_errors=True)
    _tidy(place)
    return removed


def in_use(place: Place, ids: list[str]) -> set[str]:
    """Return those releases of which a program runs; on Windows moving it away tells, not this."""
    found: set[str] = set()
    folders = {id_: os.fsencode(f"{place.release(id_).resolve()}/") for id_ in ids}
    processes = Path("/proc")
    if not folders or not processes.is_dir():
        return found
    for process in processes.glob("[0-9]*"):
        for name in ("cmdline", "maps"):
            try:
                content = (process / name).read_bytes()
            except OSError:  # ended, or somebody else's
                continue
            found |= {id_ for id_, folder in folders.items() if folder in content}
    return found


def _discard(folder: Path, target: Path) -> bool:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        folder.replace(target)
    except PermissionError:
        return False
    reach("removing")
    return True


def _age(place: Place, id_: str) -> float:
    try:
        return -(place.release(id_) / "release.json").stat().st_mtime
    except OSError:
        return 0.0


def _tidy(place: Place) -> None:
    """Remove what was sent for releases that are not there any more."""
    manifests = (place.manifest(id_) for id_ in complete(place))
    needed = {file["sha256"] for each in manifests if each for file in each["release"]["files"]}
    try:
        sent = [each for each in place.incoming.iterdir() if each.name not in needed]
    except OSError:
        return
    for each in sent:
        with suppress(OSError):  # it takes room, and is told of when room is short
            if each.stat().st_mtime < time.time() - DAY:
                each.unlink()
