"""A folder to work in, for an operation that changes the node: these take turns."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .place import Place


@contextmanager
def working(place: Place) -> Generator[Path, None, None]:
    """Give an empty folder for as long as the block lasts; what a killed program left in it goes first."""
    folder = place.own / "working"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
