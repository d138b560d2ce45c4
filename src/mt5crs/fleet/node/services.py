"""Start, stop, restart and look at the services of a node, whatever keeps them running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .keeper import LISTENS, SETTLED
from .kept import Kept, holding, read, replace, write
from .left import DRAIN, KILLED, end_what_is_left, environment, left
from .operations import Failed, Tell, operation
from .place import Place
from .program import packed

ACTIONS = ("start", "stop", "restart", "status", "prepare")
"""`prepare` only writes down what is to be kept, for a keeper that something else starts."""
KEEPER = "keeper.pyz"
APPEARS = 15.0
"""Seconds in which a keeper that was started has to be there."""
BETWEEN = 0.05
FOLLOWED = 16
"""How many requests before it a request names, so that who asked for these finds it."""
LINES = 12
"""Lines of a log that tell why a service failed."""
LOGGED = "| "
"""Stands before each of these."""
STATES = {"running": "running", "failed": "failed", "stopped": "stopped"}
"""What a keeper's states are for others; "unknown" is what passes: starting, stopping."""
RUN = Path("/run/systemd/system")
"""Is there where systemd runs (sd_booted(3))."""
ACTIVE = {"active": "running", "inactive": "stopped", "failed": "failed", "activating": "failed"}
"""What `systemctl is-active` says once it has settled: what is still activating then is started over."""
PATIENCE = 90.0
"""Seconds that systemd may take besides the drain."""


def act(
    place: Place, do: str, services: Mapping[str, Mapping[str, Any]], tell: Tell = lambda _text: None
) -> dict[str, str]:
    """Start, stop or restart services, one after the other, or look at them.

    Args:
        place: The node's folder.
        do: `start`, `stop`, `restart`, `status` or `prepare`.
        services: What each is: `command`, `manager`, `drain`; see `mt5crs.fleet.inventory.Service`.
        tell: Hears how it goes on.

    Returns:
        How each is now: `running`, `stopped`, `failed` (it ended by itself, or did not come up: `tell` heard
        why) or `unknown`.

    Raises:
        Failed: What keeps them running does not work.
    """
    if do not in ACTIONS:
        raise Failed(f"services cannot be asked to {do!r}", f"one of {', '.join(ACTIONS)}")
    states: dict[str, str] = {}
    for name, service in services.items():
        manager = service.get("manager", "keeper")
        if manager not in MANAGERS:
            raise Failed(f"{name}: no manager {manager!r}", f"one of {', '.join(MANAGERS)}")
        states[name] = MANAGERS[manager](place, do, name, service, tell)
    return states


def known(place: Place) -> dict[str, dict[str, Any]]:
    """Return the services that keepers were told of, by name."""
    return {path.stem: read(path) for path in sorted(place.services.glob("[!.]*.json"))}


@operation("service", changes=True)
def _service(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Do `action` with `services`; without these with all that keepers were told of."""
    return {"services": act(place, request["action"], _meant(place, request), tell)}


@operation("services", changes=False)
def _services(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Tell how `services` are, and what their keepers know."""
    return _told(place, "status", _meant(place, request), tell)


def _told(
    place: Place, do: str, meant: Mapping[str, Mapping[str, Any]], tell: Tell
) -> dict[str, dict[str, Any]]:
    states = act(place, do, meant, tell)
    return {"services": states, "kept": {name: read(Kept(place, name).state) for name in meant}}


def _meant(place: Place, request: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    services: Mapping[str, Mapping[str, Any]] | None = request.get("services")
    return known(place) if services is None else services


def main(arguments: Sequence[str]) -> int:
    """Run `service PATH ACTION [NAME [COMMAND DRAIN]]`, for whoever sits at the machine.

    Without a command it is what the keeper was told last; without a name all that keepers were told of. The
    exit code is 1 where it was not done, or a service failed.
    """
    path, do, *which = arguments
    place = Place(path)
    meant = known(place)
    if len(which) == 3:
        name, command, drain = which
        meant = {name: {**meant.get(name, {}), "command": command, "drain": float(drain)}}
    elif which:
        meant = {name: meant.get(name, {}) for name in which}
    try:
        told = _told(place, do, meant, _say)
    except Failed as error:
        _say(f"error: {error.what}")
        if error.hint:
            _say(f"  hint: {error.hint}")
        return 1
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if do != "status" and "failed" in told["services"].values() else 0


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


# The keeper.


def _kept(place: Place, do: str, name: str, service: Mapping[str, Any], tell: Tell) -> str:
    kept = Kept(place, name)
    if do == "status":
        return _status(kept)
    if do == "stop":
        return _stop(kept, service, tell)
    prepare(place, kept, service)
    if do == "prepare" or (do == "start" and _status(kept) == "running"):
        return _status(kept)
    asked = _ask(kept, "restart")
    if not kept.is_kept():
        _launch(place, kept)
    elif do == "restart":
        tell(f"{name}: has {_drain(service):g} s to end what it has begun")
    state = _answer(kept, asked, _drain(service) + LISTENS + 2 * KILLED)
    if state["state"] == "failed":
        tell(f"{name}: {state['error']}")
        for line in _last_lines(kept.log):
            tell(f"{name}: {LOGGED}{line}")
    return STATES[state["state"]]


def _status(kept: Kept) -> str:
    if kept.is_kept():
        return STATES.get(read(kept.state).get("state", ""), "unknown")
    return "unknown" if left(kept) else "stopped"


def _stop(kept: Kept, service: Mapping[str, Any], tell: Tell) -> str:
    if kept.is_kept():
        tell(f"{kept.name}: has {_drain(service):g} s to end what it has begun")
        _answer(kept, _ask(kept, "stop"), _drain(service) + 2 * KILLED)
        end = time.monotonic() + KILLED
        while kept.is_kept() and time.monotonic() < end:  # it says so before it goes
            time.sleep(BETWEEN)
    elif kept.folder.is_dir():
        with holding(kept.lock) as ours:  # no keeper begins a program meanwhile, which would be ended too
            if ours:
                end_what_is_left(kept)
    return _status(kept)


def prepare(place: Place, kept: Kept, service: Mapping[str, Any]) -> None:
    """Write down what is to be kept, and put a keeper where no later version of this program moves it."""
    kept.make_folder()
    spec = {
        "command": service.get("command", ""),
        "drain": _drain(service),
        "settle": service.get("settle", SETTLED),
        "windows": place.windows,
    }
    if read(kept.command) != spec:
        write(kept.command, spec)
    program, ours = place.own / KEEPER, packed()
    if not program.exists() or program.read_bytes() != ours:
        beside = program.with_name(f".{program.name}.{os.getpid()}")
        beside.write_bytes(ours)
        replace(beside, program)


def _ask(kept: Kept, do: str) -> str:
    asked = uuid.uuid4().hex
    end = time.monotonic() + KILLED
    while True:
        with holding(kept.asking) as ours:  # one names the other: two that are written at once would not
            if ours or time.monotonic() >= end:
                before = [each for each in (read(kept.taken), read(kept.request)) if each]
                after = [id_ for each in before for id_ in (*each.get("after", ()), each.get("id", ""))]
                write(kept.request, {"id": asked, "do": do, "after": after[-FOLLOWED:]})
                return asked
        time.sleep(BETWEEN)


def starter(place: Place, name: str) -> list[str]:
    """Return the command that starts a keeper which stays when we go.

    On Windows it is the scheduled task's, since a terminal can only be reached from its user's own desktop.
    """
    if place.windows:
        return ["schtasks.exe", "/Run", "/TN", f"mt5crs-{name}"]
    return [sys.executable, str(place.own / KEEPER), "keep", str(place.path), name, "--detached"]


def _launch(place: Place, kept: Kept) -> None:
    done = _run(starter(place, kept.name), APPEARS)
    if done.returncode:
        raise Failed(
            f"the keeper of {kept.name} cannot be started: {(done.stderr or done.stdout).strip()}",
            "mt5crs.ps1 install makes its scheduled task" if os.name == "nt" else "",
        )


def _answer(kept: Kept, asked: str, limit: float) -> dict[str, Any]:
    """Wait until the keeper has done what it was asked for; return its state."""
    begun = time.monotonic()
    seen = kept.is_kept()
    while time.monotonic() < begun + limit:
        state = read(kept.state)
        if state.get("answer") == asked and state["state"] in STATES:
            return state
        asked = _later(kept, asked)
        is_kept = kept.is_kept()
        if seen and not is_kept and kept.request.exists():
            raise Failed(f"{kept.name}: its keeper ended before it was asked", f"try again; see {kept.log}")
        seen = seen or is_kept
        if not seen and time.monotonic() > begun + APPEARS:
            hint = "log in on its desktop as the terminal's user" if os.name == "nt" else f"see {kept.log}"
            raise Failed(f"{kept.name}: no keeper appeared within {APPEARS:g} s", hint)
        time.sleep(BETWEEN)
    raise Failed(f"{kept.name}: its keeper did not answer within {limit:g} s", f"see {kept.log}")


def _later(kept: Kept, asked: str) -> str:
    """Return the request that came in the place of ours, ours where none did: its answer is ours too."""
    waiting = read(kept.request).get("id", "")  # first: the keeper makes it the one that is taken
    taken = read(kept.taken)
    if asked in {waiting, taken.get("id", "")}:
        return asked
    after = taken.get("id", "") if asked in taken.get("after", ()) else ""
    return waiting or after or asked


def _drain(service: Mapping[str, Any]) -> float:
    return float(service.get("drain", DRAIN))


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            return file.read().decode(errors="replace").splitlines()[-LINES:]
    except OSError:
        return []


# systemd.


def systemctl(verb: str, name: str, *, root: bool) -> list[str]:
    """Return the command that does something with a service's unit, as root."""
    own = [] if root or verb == "is-active" else ["sudo", "-n"]
    return [*own, "systemctl", verb, f"mt5crs-{name}.service"]


def _systemd(place: Place, do: str, name: str, service: Mapping[str, Any], tell: Tell) -> str:
    if not RUN.is_dir():
        raise Failed(
            f"{name}: systemd does not run on this machine",
            f'set manager = "keeper" in [services."{name}"] of fleet.toml',
        )
    if do not in {"status", "prepare"}:
        tell(f"{name}: systemctl {do}")
        _systemctl(do, name, _drain(service) + PATIENCE)
        if do != "stop":
            time.sleep(
                service.get("settle", SETTLED)
            )  # systemd counts a program as running from its first moment
    answer = _run(systemctl("is-active", name, root=True), PATIENCE).stdout.strip()
    return ACTIVE.get(answer, "unknown")


def _systemctl(verb: str, name: str, limit: float) -> None:
    command = systemctl(verb, name, root=_is_root())
    done = _run(command, limit)
    if done.returncode == 0:
        return
    said = done.stderr.strip()
    if command[0] == "sudo" and said.startswith("sudo:"):
        raise Failed(
            f"{name}: {said}", f"let this user run without a password: systemctl {verb} mt5crs-{name}.service"
        )
    if "not found" in said:
        raise Failed(f"{name}: {said}", "copy the unit from deploy/systemd to /etc/systemd/system")
    raise Failed(f"{name}: {said or 'systemctl failed'}", f"journalctl -u mt5crs-{name}.service -n 50")


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _run(command: list[str], limit: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - no shell, words of our own
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            env=environment(),
        )
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not on this machine") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)} took longer than {limit:g} s") from None


Manager = Callable[[Place, str, str, Mapping[str, Any], Tell], str]
MANAGERS: dict[str, Manager] = {"keeper": _kept, "systemd": _systemd}
"""What keeps services running, by its name in the inventory."""
