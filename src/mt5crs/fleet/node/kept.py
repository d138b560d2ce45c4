"""What a keeper and those who ask it have in common: the files of one service in `.fleet/services/`.

```text
NAME.json      what is to be kept running; read each time it is begun
NAME.request   what the keeper is asked for
NAME.asking    held by who writes a request
NAME.taken     what it was asked for last: the request, once it has taken that
NAME.state     how the service is; rewritten as a whole at each change
NAME.lock      held by its keeper as long as that lives
NAME.ready     written by a gateway while it listens
NAME.log       what it said; NAME.log.1, NAME.log.2 before that
```
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from .files import private_folder
from .operations import Failed
from .place import Place

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
ATTEMPTS = 50
"""How often a file that somebody else has open is tried again: Windows does not let it be replaced."""
PAUSE = 0.02


class Kept:
    """The files of a service.

    Args:
        place: The node's folder.
        name: The service's name.

    Raises:
        Failed: The name cannot be one of a file.
    """

    def __init__(self, place: Place, name: str) -> None:
        if NAME.fullmatch(name) is None:
            raise Failed(
                f"{name!r} cannot be the name of a service", "use letters, digits and _ . @ - in fleet.toml"
            )
        self.name = name
        self.folder = place.services
        self.command = self.folder / f"{name}.json"
        self.request = self.folder / f"{name}.request"
        self.asking = self.folder / f"{name}.asking"
        self.taken = self.folder / f"{name}.taken"
        self.state = self.folder / f"{name}.state"
        self.lock = self.folder / f"{name}.lock"
        self.ready = self.folder / f"{name}.ready"
        self.log = self.folder / f"{name}.log"

    def make_folder(self) -> None:
        """Make the folder of the files: who can write there can have a service do what they like."""
        private_folder(self.folder)
        if os.name != "nt" and self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def is_kept(self) -> bool:
        """Return whether a keeper lives."""
        if not self.lock.exists():
            return False
        with holding(self.lock) as ours:
            return not ours


def read(path: Path) -> dict[str, Any]:
    """Return what a file holds; nothing where it is not there, or not whole."""
    for _ in range(ATTEMPTS):
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
        except PermissionError:  # noqa: PERF203 - tried again
            time.sleep(PAUSE)
        except (OSError, ValueError):
            break
        else:
            return cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    return {}


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file as a whole.

    Raises:
        OSError: It could not be, as on a full disk; the one before is still there.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(beside, "w", encoding="utf-8", opener=private) as file:
            json.dump(content, file)
        replace(beside, path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def private(path: str, flags: int) -> int:
    """Open a file that its owner alone may read and write, where it is not there yet."""
    return os.open(path, flags, 0o600)


def replace(beside: Path, path: Path) -> None:
    """Put a file in another's place."""
    for attempt in range(ATTEMPTS):
        try:
            beside.replace(path)
        except PermissionError:  # noqa: PERF203 - tried again
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE)
        else:
            return


@contextmanager
def holding(path: Path) -> Generator[bool, None, None]:
    """Hold a lock file during the block, if nobody else does; yield whether it is ours."""
    with open(path, "a+b", opener=private) as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True  # closing the file lets go of it
