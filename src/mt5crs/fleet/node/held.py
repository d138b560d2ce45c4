"""One at a time: the lock of whoever changes a node."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import IO, Any

from .operations import Failed
from .place import Place

if sys.platform == "win32":
    import msvcrt

    BYTE = 0x7FFF0000
    """What is locked, far behind what is read: Windows lets nobody read a byte that another has locked."""

    def _take(file: IO[bytes]) -> None:
        file.seek(BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(place: Place, what: str, who: str) -> Generator[None, None, None]:
    """Hold a node's lock; it is let go when the block, or the process, ends.

    Args:
        place: The node's folder.
        what: What is done meanwhile.
        who: Who does it.

    Raises:
        Failed: Another one holds it: code `busy`.
    """
    with os.fdopen(os.open(place.lock, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            _take(file)
        except OSError:
            raise Failed(
                f"{_holder(file)} is changing this node",
                "wait until that is done; nothing was changed for you",
                "busy",
            ) from None
        mine = {"who": who, "pid": os.getpid(), "when": time.time(), "what": what}
        file.write(json.dumps(mine).encode())
        file.truncate()
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _holder(file: IO[bytes]) -> str:
    try:
        holder: dict[str, Any] = json.loads(file.read(4096))
        since = f"since {datetime.fromtimestamp(holder['when'], timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        return f"{holder['who']} ({since}, {holder['what']}, process {holder['pid']})"
    except (OSError, ValueError, KeyError, TypeError):  # it is about to say so, or has just ended
        return "somebody"
