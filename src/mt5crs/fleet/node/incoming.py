"""Files that come here: `incoming/SHA256.part` while they come, `incoming/SHA256` when they are whole."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import digest
from .operations import Failed, Tell, operation
from .place import Place


@operation("have", changes=False)
def have(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Say which of some files are here: `sha256` names them, so does `have` in the answer."""
    return {
        "have": [name for name in map(_name, request["sha256"]) if _is_whole(place.incoming / name, name)]
    }


@operation("received", changes=False)
def received(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Take in what was sent as `SHA256.part`, if it is what it should be; answer with its `size`.

    Raises:
        Failed: It is something else, and gone: code `digest`.
    """
    name = _name(request["sha256"])
    part = place.incoming / f"{name}.part"
    if not _is_whole(part, name):
        if _is_whole(place.incoming / name, name):  # somebody else sent the same at the same time
            return {"size": (place.incoming / name).stat().st_size}
        if part.exists():
            part.unlink()
        raise Failed(f"what came as {name[:12]} is something else", "do it again: it is sent anew", "digest")
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    part.replace(part.with_suffix(""))
    return {"size": (place.incoming / name).stat().st_size}


def _name(sha256: Any) -> str:
    if not isinstance(sha256, str) or re.fullmatch("[0-9a-f]{64}", sha256) is None:
        raise Failed(f"{sha256!r:.80} is no SHA-256", code="request")
    return sha256


def _is_whole(path: Path, sha256: str) -> bool:
    """Return whether a file is there and is what its name says, which a crash may have undone."""
    try:
        return digest(path) == sha256
    except FileNotFoundError:
        return False
