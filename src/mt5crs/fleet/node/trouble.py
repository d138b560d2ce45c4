"""What the operating system refuses, in words for people."""

from __future__ import annotations

import errno
import shutil

from .operations import Failed
from .place import Place

FULL = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
"""What an error's number is where there is no room."""


def in_words(error: OSError, place: Place, user: str) -> Failed:
    """Return what to tell of an error: codes `no-space`, `permission`, or `failed`."""
    where = error.filename or place.path
    if error.errno in FULL or getattr(error, "winerror", None) == 112:
        return with_room(Failed(f"there is no room for {where}", code="no-space"), place)
    if isinstance(error, PermissionError):
        return Failed(
            f"{user} may not use {where}: {error.strerror or error}",
            f"let {user} own {place.path} and all that is in it",
            "permission",
        )
    return Failed(f"{where}: {error.strerror or error}", f"look at {where} on the node")


def with_room(failed: Failed, place: Place) -> Failed:
    """Return a failure; that of a full disk says how much room there is."""
    if failed.code != "no-space":
        return failed
    try:
        free = shutil.disk_usage(place.path).free
    except OSError:
        return failed
    return Failed(
        failed.what,
        "\n".join(
            filter(None, (failed.hint, f"{free / 1e6:,.1f} MB are free at {place.path}: make room there"))
        ),
        "no-space",
    )
