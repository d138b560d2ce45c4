"""See how a node is, for `mt5crs fleet verify`: facts alone; what they mean is decided elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import pip
from .greeting import greeted
from .installed import changes, package_changes
from .operations import Failed, Tell, operation
from .place import Place
from .running import run
from .sockets import admitted, listeners, reach
from .trees import packages_of

LIMIT = 60.0
"""Seconds that a program may take which is run to see what it says."""
TAIL = 2000
"""Characters of what a program wrote that are told."""
REACH_LIMIT = 3.0
THREADS = 4
ALONE = ("-I", "-B", "-X", "utf8")
"""How Python runs a module of the release: what lies around in the folder is not imported in its place."""
GATES = "MT5CRS_AUDIT_GATES"
"""Tells an audit that is run here which gates to hold: that of this node, or it would look at all others."""


@operation("clock", changes=False)
def clock(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return the node's clock, in seconds since 1970; quick, so that the trip bounds the error."""
    return {"time": time.time()}


@operation("observe", changes=False)
def observe(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return what is to be seen of the node and of its current release; see `mt5crs.fleet.observed`.

    The request may have: `listen`, ports that somebody should listen on here; `reach`, pairs of a host and a
    port that should be reachable from here; `greet`, such pairs that should want a key; `pings`, how many to
    send to the gateway (0 for none); `texts`, pairs of a file of the release and a text that should be in it;
    `run`, commands by name, begun in the release with its interpreter; `limit`, seconds that each may take.
    """
    id_ = place.current_id()
    built = place.manifest(id_) if id_ else None
    total, _, free = shutil.disk_usage(place.path)
    seen: dict[str, Any] = {"free": free, "total": total, "current": id_, "built": built}
    looks: dict[str, Callable[[], Any]] = {
        "listeners": lambda: {str(port): listeners(port) for port in request.get("listen", ())},
        "admitted": lambda: {str(port): admitted(port) for port in request.get("listen", ())},
        "reached": lambda: [reach(host, port, REACH_LIMIT) for host, port in request.get("reach", ())],
        "greeted": lambda: greeted(request.get("greet", ()), request.get("listen", ())),
    }
    if built is not None:
        looks.update(_of_release(place, id_, built, request))
    with ThreadPoolExecutor(THREADS) as threads:
        asked = {name: threads.submit(look) for name, look in looks.items()}
        seen.update((name, each.result()) for name, each in asked.items())
    client: dict[str, Any] = {}
    if built is not None:  # alone and last: a round trip is not to be that of a machine that is busy with us
        pings = str(request.get("pings", 0))
        client = seen["client"] = _json(_module(place, id_, request, "mt5crs.client.measure", pings))
    settings: dict[str, Any] = client.get("settings", {})
    keys: str | None = settings.get("keys", [None])[0]
    seen["modes"] = [
        mode(path) for path in (place.settings, Path(keys) if keys else None) if path is not None
    ]
    return seen


def _of_release(
    place: Place, id_: str, built: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Callable[[], Any]]:
    folder, python, limit = place.release(id_), str(place.python(id_)), float(request.get("limit", LIMIT))
    packages = packages_of(folder / ".venv")

    return {
        "files": lambda: changes(folder, built.get("tree") or {}),
        "package_files": lambda: package_changes(packages, built.get("installed", "")),
        "texts": lambda: [_has(folder, name, text) for name, text in request.get("texts", ())],
        "about": lambda: _json(_module(place, id_, request, "mt5crs.about")),
        "consistent": lambda: _consistent(place, id_, request),
        "ran": lambda: {
            name: ran([python, *command], folder, limit) for name, command in request.get("run", {}).items()
        },
    }


def _module(place: Place, id_: str, request: Mapping[str, Any], name: str, *arguments: str) -> dict[str, Any]:
    """Run a module of a release in the node's folder, where its .env is and its services are begun."""
    command = [str(place.python(id_)), *ALONE, "-m", name, *arguments]
    return ran(command, place.path, float(request.get("limit", LIMIT)))


def ran(command: Sequence[str], at: Path, limit: float) -> dict[str, Any]:
    """Run a program to its end.

    Returns:
        Its exit `code`: 0, 1 where it is another, None where it did not end in time; the end of its `output`,
        both streams joined, and its `answer`: the last line.
    """
    environment = {**pip.environment(), "PYTHONDONTWRITEBYTECODE": "1", GATES: "1"}
    code: int | None = 0
    try:
        output = run(command, timeout=limit, env=environment, cwd=at).strip()
    except Failed as error:
        code, output = 1, error.hint or error.what
        if error.code == "timeout":
            code, output = None, f"it took longer than {limit:g} s"
    return {"code": code, "output": output[-TAIL:], "answer": output.splitlines()[-1] if output else ""}


def _json(done: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a program answered, or that it did not."""
    try:
        answer: dict[str, Any] = json.loads(done["answer"])
    except ValueError:
        words = done["output"].splitlines()[-1] if done["output"] else "it says nothing"
        return {"wrong": {"code": "failed", "message": words, "hint": ""}}
    return answer


def _consistent(place: Place, id_: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Ask pip whether the packages fit together; None where there is no pip to ask."""
    program = pip.there(place)
    if program is None:
        return None
    command = [str(place.python(id_)), *ALONE, str(program), "check"]
    return ran(command, place.path, float(request.get("limit", LIMIT)))


def _has(folder: Path, name: str, text: str) -> dict[str, Any]:
    """Say whether a file is there, and whether a text is in it."""
    try:
        content = (folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {"name": name, "text": text, "exists": False, "has": False}
    return {"name": name, "text": text, "exists": True, "has": text in content}


def mode(path: Path) -> dict[str, Any]:
    """Say whether a file is there, and whether others than its owner may read it; None where not known."""
    try:
        bits = path.stat().st_mode
    except OSError:
        return {"path": str(path), "exists": False, "others": None, "bits": ""}
    others = None if os.name == "nt" else bool(bits & (stat.S_IRWXG | stat.S_IRWXO))
    told = {"path": str(path), "exists": True, "others": others, "bits": oct(stat.S_IMODE(bits))[2:]}
    return told if os.name == "nt" else {**told, "trouble": _trouble(path)}


def _trouble(path: Path) -> str:
    """Say who else than us could put another file there: its owner, or who may write to its folder."""
    ours = (0, os.geteuid())
    for each, what in ((path, "it"), (path.parent, "its folder")):
        status = each.stat()
        if status.st_uid not in ours:
            return f"{what} is of another user ({status.st_uid})"
    open_ = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return "others may write to its folder" if open_ and not status.st_mode & stat.S_ISVTX else ""
