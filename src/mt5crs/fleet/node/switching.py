"""Which release is in use: switched at once, so that there is one at every moment."""

from __future__ import annotations

import os
import time
from contextlib import suppress

from .files import flush, replace
from .place import Place

TRIES = 20
PAUSE = 0.05
"""How often, and how many seconds apart, a file is replaced that a program on Windows is just reading."""


def switch(place: Place, id_: str) -> None:
    """Have a release in use; "" for none."""
    if not id_:
        with suppress(FileNotFoundError):
            place.current.unlink()
    elif place.windows:
        _point(place, id_)
    elif place.current_id() != id_:
        draft = place.path / ".current.new"
        with suppress(FileNotFoundError):
            draft.unlink()
        draft.symlink_to(os.path.join(place.releases.name, id_))  # noqa: PTH118
        draft.replace(place.current)
        flush(place.path)


def _point(place: Place, id_: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            replace(place.current, f"{id_}\n".encode(), 0o644)
        except PermissionError:  # noqa: PERF203 - tried again
            if not left:
                raise
            time.sleep(PAUSE)
        else:
            return
