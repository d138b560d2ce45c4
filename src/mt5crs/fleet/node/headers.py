"""Which of our SQLite files there are, and of which version, without opening them as databases.

SQLite makes files beside a database that it only reads, as another user's than the gateway's perhaps. So
headers are read here: the last committed one, which can still be in the log (`-wal`).
"""

from __future__ import annotations

import os
import shlex
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

KINDS = {0x4D54354A: "journal", 0x4D543554: "trades", 0x4D543543: "state"}
"""Kinds of our files, by SQLite's `application_id`."""
PASSED_OVER = {"releases", ".fleet", ".git", ".venv", "node_modules", "__pycache__"}
DEPTH = 16
MOST = 20_000
"""How deep folders are looked into, and at how many files."""
MAGIC = b"SQLite format 3\0"
HEADER = 100
LOG_HEADER = 32
FRAME_HEADER = 24
FRAMES = 1 << 16
LOG_MAGIC = {0x377F0682, 0x377F0683}


class Found(NamedTuple):
    """A file of ours.

    Attributes:
        path: Where it is.
        kind: `journal`, `trades` or `state`.
        version: Its version.
    """

    path: Path
    kind: str
    version: int


def scan(folder: Path, named: Iterable[Path] = ()) -> list[Found]:
    """Return our files in a folder and below, behind links too, and among those that are named."""
    found: list[Found] = []
    seen: set[str] = set()
    for path in (*named, *_files(folder)):
        try:
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            header = _header(Path(real))  # SQLite keeps the log beside what a link leads to
        except OSError:  # not ours to read, or gone by now
            continue
        version, application = struct.unpack(">I4xI", header[60:72]) if header else (0, 0)
        if application in KINDS:
            found.append(Found(path, KINDS[application], version))
    return found


def named(folder: Path, services: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Return the files that commands of services name (`--journal FILE`), which can be anywhere."""
    found: list[Path] = []
    for service in services.values():
        command = str(service.get("command", ""))
        try:
            words = shlex.split(command, posix=os.name != "nt")
        except ValueError:
            words = command.split()
        # An option's value can be its own word or follow a "=".
        texts = {text.strip("\"'") for word in words for text in (word, word.partition("=")[2])}
        for text in sorted(text for text in texts if text):
            path = folder / text
            try:
                if path.is_file():
                    found.append(path)
            except (OSError, ValueError):  # no path at all
                continue
    return found


def newest(found: list[Found]) -> dict[str, int]:
    """Return the newest version of each kind."""
    versions: dict[str, int] = {}
    for each in found:
        versions[each.kind] = max(each.version, versions.get(each.kind, 0))
    return versions


def _files(folder: Path) -> Iterator[Path]:
    """Give files, those of near folders first; folders behind links once."""
    left = MOST
    own = [os.path.realpath(folder / name) + os.sep for name in PASSED_OVER]
    seen = {os.path.realpath(folder)}
    level = [folder]
    for _ in range(DEPTH):
        below: list[Path] = []
        for where in level:
            try:
                entries = sorted(os.scandir(where), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                left -= 1
                if left < 0:
                    return
                if entry.name in PASSED_OVER:
                    continue
                path = Path(entry.path)
                if _is_folder(entry):
                    real = os.path.realpath(path)
                    if real not in seen and not (real + os.sep).startswith(tuple(own)):
                        seen.add(real)
                        below.append(path)
                elif not entry.name.endswith(("-wal", "-shm", "-journal")) and path.is_file():
                    yield path
        level = below


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round
        return False


def _header(path: Path) -> bytes:
    """Return a database's header; empty where a file is none."""
    with path.open("rb") as file:
        header = file.read(HEADER)
    if header and not header.startswith(MAGIC):
        return b""
    header = _logged(path.with_name(f"{path.name}-wal")) or header
    return header if len(header) == HEADER and header.startswith(MAGIC) else b""


def _logged(path: Path) -> bytes:
    """Return the header that was committed last to a log; empty where there is none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return b""
    committed = written = b""
    with file:
        begin = file.read(LOG_HEADER)
        if len(begin) < LOG_HEADER or int.from_bytes(begin[:4], "big") not in LOG_MAGIC:
            return b""
        size = int.from_bytes(begin[8:12], "big")
        for number in range(FRAMES):
            file.seek(LOG_HEADER + number * (FRAME_HEADER + size))
            frame = file.read(FRAME_HEADER + HEADER)
            if len(frame) < FRAME_HEADER + HEADER or frame[8:16] != begin[16:24]:
                break  # the end, or what an earlier use of the log left
            page, pages = struct.unpack(">II", frame[:8])
            if page == 1:
                written = frame[FRAME_HEADER:]
            if pages:  # a commit
                committed = written
    return committed
