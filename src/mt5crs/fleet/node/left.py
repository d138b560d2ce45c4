"""What is there of a service's program, whatever its state file says: found, asked to end, killed.

A keeper gives its program a mark in its environment, which all that the program starts inherits, in other
sessions too. The mark names the folder of the service's files by device and inode: so a link to the node's
folder makes no other service of it, and a copy of the folder does. What took the mark out of its environment
is found by its session, the program's own. Only Linux tells what another process has in its environment;
elsewhere there is the process group of a program that is still known, and the end of its standard input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .kept import Kept, read

MARK = "MT5CRS_KEPT"
POLL = 0.2
"""Seconds between two looks: there is no portable event for a file that appears, or a process that ends."""
DRAIN = 30.0
KILLED = 5.0
"""Seconds that a process that was killed may take to be gone."""
PROC = Path("/proc")
BOOT = PROC / "sys/kernel/random/boot_id"


class Process(NamedTuple):
    """A living process: what tells it from others that had its id, its parent and its session."""

    identity: str
    parent: int
    session: int


def process(pid: int, *, dead: str = "ZX") -> Process | None:
    """Return a living process, None where it is gone or cannot be told.

    Args:
        pid: Its id.
        dead: The states in which it counts as gone.
    """
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # a name may hold anything, also ")"
    return None if fields[0] in dead else Process(fields[19], int(fields[1]), int(fields[3]))


def identity(pid: int, *, dead: str = "ZX") -> str:
    """Return what tells a living process from others that had its id, "" where it is gone or cannot be told.

    Only Linux tells; elsewhere a program is expected to end with its standard input.
    """
    found = process(pid, dead=dead)
    return found.identity if found else ""


def boot() -> str:
    """Return what tells this start of the machine from others: process ids and times begin anew with each."""
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def mark(kept: Kept) -> str:
    """Return what marks all processes of a service."""
    status = kept.folder.stat()
    return f"{status.st_dev:x}:{status.st_ino:x}:{kept.name}"


def environment() -> dict[str, str]:
    """Return our environment for what is not to be taken for a part of the service that we may run in."""
    return {name: value for name, value in os.environ.items() if name != MARK}


def left(kept: Kept, known: Mapping[str, Any] | None = None) -> dict[int, Process]:
    """Return the processes of a service that live, by their ids; none where they cannot be told.

    Args:
        kept: The service's files.
        known: What its keeper knows of the program that it started; others have the state file.
    """
    try:
        marked = f"{MARK}={mark(kept)}".encode()
        names = os.listdir(PROC)  # noqa: PTH208 - names
    except OSError:
        return {}
    ids = {int(name) for name in names if name.isdecimal()} - {os.getpid()}
    alive = {pid: found for pid in ids for found in [process(pid)] if found}
    ours = {pid for pid in alive if marked in _environ(pid)}
    state = read(kept.state) if known is None else known
    members = _of_session(state, alive)
    # Once the leader is gone another session may have had its id: nothing of that is marked, or works here.
    is_ours = known is not None or state.get("pid") in members or bool(members & ours)
    if is_ours or any(_works_in(pid, kept) for pid in members):
        ours |= members
    return {pid: alive[pid] for pid in ours}


def _environ(pid: int) -> list[bytes]:
    try:
        return (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _of_session(state: Mapping[str, Any], alive: Mapping[int, Process]) -> set[int]:
    """Return the members of the session whose leader the state tells of."""
    leader, begun = state.get("pid", 0), state.get("identity", "")
    if not leader or not begun or state.get("boot", boot()) != boot():
        return set()
    if leader in alive and alive[leader].identity != begun:  # the session of another that got its id
        return set()
    members = {pid for pid, each in alive.items() if each.session == leader}
    return {pid for pid in members if int(alive[pid].identity) >= int(begun)}


def _works_in(pid: int, kept: Kept) -> bool:
    try:
        at = Path(os.readlink(PROC / str(pid) / "cwd"))  # noqa: PTH115 - 3.8
    except OSError:
        return False
    node = kept.folder.resolve().parent.parent
    return at == node or node in at.parents


def end_what_is_left(kept: Kept) -> None:
    """End what a killed keeper left: its standard input has ended, and it is given its time."""
    found = left(kept)
    if not found:
        return
    # What has a parent among them is that one's to end, as long as it has its time.
    heads = {pid: each for pid, each in found.items() if each.parent not in found}
    _signal(heads, "SIGTERM")
    _wait(lambda: not any(identity(pid) == each.identity for pid, each in heads.items()), _drain(kept))
    kill(kept)


def _drain(kept: Kept) -> float:
    return float(read(kept.command).get("drain", DRAIN))


def kill(kept: Kept, known: Mapping[str, Any] | None = None) -> None:
    """Kill all of a service.

    Args:
        kept: The service's files.
        known: What its keeper knows of the program that it started; others have the state file.
    """
    pid = known["pid"] if known else 0
    if sys.platform == "win32":
        if pid:
            taskkill = ["taskkill.exe", "/F", "/T", "/PID", str(pid)]
            try:
                subprocess.run(taskkill, capture_output=True, check=False, timeout=KILLED)  # noqa: S603
            except (OSError, subprocess.TimeoutExpired):  # waited for by who calls
                pass
        return
    if pid and not identity(os.getpid()):  # no Linux
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # gone; macOS says the second of a zombie
            pass
        return

    def none_is_left() -> bool:
        found = left(kept, known)  # anew each time: what is killed may just have started another
        _signal(found, "SIGKILL")
        return not found

    _wait(none_is_left, KILLED)


def _signal(found: Mapping[int, Process], name: str) -> None:
    for pid, each in found.items():
        if identity(pid) == each.identity:
            try:
                os.kill(pid, getattr(signal, name))
            except (ProcessLookupError, PermissionError):  # gone; another user's, as with sudo
                pass


def _wait(condition: Callable[[], bool], limit: float) -> None:
    end = time.monotonic() + limit
    pause = 0.002  # most are gone at once
    while not condition() and time.monotonic() < end:
        time.sleep(pause)
        pause = min(2 * pause, POLL)
