"""The services that a deployment brought: what is kept of them, and which are not wanted any more.

What a keeper was told is in its own file, which the next deployment overwrites; of what systemd keeps nothing
is known to us but this. So the services of the last deployment that ended well are in
`.fleet/settings/services.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import services
from .files import private_folder, replace
from .kept import Kept
from .operations import Failed, Tell
from .place import Place

Services = Mapping[str, Mapping[str, Any]]

KEEPER = "keeper"
RUNNING = "running"
STOPPED = "stopped"

OWN = re.compile(r"\S+Z keeper: ")
"""How a line of a log begins that the keeper wrote."""
ERROR, HINT = "error: ", "hint: "
"""How our own programs begin a line that says why they end, and what to do."""
SHOWN = 200
"""Characters of what a program said that a failure has."""


def keep(place: Place, wanted: Services) -> None:
    """Write down which services were deployed."""
    private_folder(place.own)
    private_folder(place.backups)
    replace(_path(place), json.dumps({name: dict(each) for name, each in wanted.items()}).encode())


def standing(place: Place, wanted: Services) -> dict[str, dict[str, Any]]:
    """Return the services that a node has, by name: those deployed last, as their keepers know them now.

    Where nobody wrote down what was deployed, units of systemd that are wanted are believed to be there.
    """
    try:
        found: dict[str, dict[str, Any]] = json.loads(_path(place).read_bytes())
    except (OSError, ValueError):
        found = {name: dict(each) for name, each in wanted.items() if manager(each) != KEEPER}
    for name, told in services.known(place).items():
        has = found.get(name, {})
        if manager(has) == KEEPER:
            found[name] = {**has, **{key: value for key, value in told.items() if key != "windows"}}
    return found


def surplus(has: Services, wanted: Services) -> dict[str, Mapping[str, Any]]:
    """Return the services that are not wanted any more, also those that something else is to keep."""
    return {
        name: service
        for name, service in has.items()
        if name not in wanted or manager(wanted[name]) != manager(service)
    }


def manager(service: Mapping[str, Any]) -> str:
    """Return what keeps a service running."""
    return str(service.get("manager", KEEPER))


def bring(place: Place, wanted: Services, tell: Tell) -> None:
    """Restart services and look at them.

    Raises:
        Failed: Some do not run, with what each said last; each of them was tried.
    """
    wrong: list[str] = []
    hints: list[str] = []
    for name, service in wanted.items():
        heard: list[str] = []

        def hear(text: str, heard: list[str] = heard) -> None:
            heard.append(text)
            tell(text)

        try:
            services.act(place, "restart", {name: service}, hear)
            state = services.act(place, "status", {name: service}, tell).get(name, "unknown")
        except (Failed, OSError) as error:
            wrong.append(f"{name} ({error})")
        else:
            if state != RUNNING:
                why, hint = reason(name, heard)
                wrong.append(f"{name} ({state}: {why})" if why else f"{name} ({state})")
                hints += [hint] if hint else []
    if wrong:
        raise Failed(f"not running: {', '.join(wrong)}", "; ".join(dict.fromkeys(hints)), code="service")


def reason(name: str, heard: Sequence[str]) -> tuple[str, str]:
    """Return why a service did not come up and what it says to do, from what its manager told; short.

    Args:
        name: The service.
        heard: What was told: of a keeper how it ended, then the end of its log, in which lines of the keeper
            stand around those of the program.
    """
    mark = f"{name}: {services.LOGGED}"
    log = [line[len(mark) :] for line in heard if line.startswith(mark)]
    ended = next((line[len(name) + 2 :] for line in reversed(heard) if not line.startswith(mark)), "")
    said: list[str] = []
    for line in reversed(log[:-1] if log and OWN.match(log[-1]) else log):
        if OWN.match(line):  # what stands before that was said by a program before this one
            break
        said.insert(0, line.strip())
    hint = next((line[len(HINT) :] for line in reversed(said) if line.startswith(HINT)), "")
    errors = [line[len(ERROR) :] for line in said if line.startswith(ERROR)]
    plain = [line for line in said if line and not line.startswith(HINT)]
    why = (errors or plain or [ended if log else ""])[-1]
    return why if len(why) <= SHOWN else f"{why[:SHOWN]}...", hint


def end(place: Place, unwanted: Services, tell: Tell) -> None:
    """Stop services for good: no keeper begins them again.

    Raises:
        Failed: Some still run; each of them was tried.
    """
    wrong: list[str] = []
    for name, service in unwanted.items():
        try:
            tell(f"{name}: is not wanted any more")
            state = services.act(place, "stop", {name: service}, tell).get(name, STOPPED)
        except (Failed, OSError) as error:
            # A unit that was removed by hand cannot be stopped, and need not be.
            with suppress(Failed):
                if services.act(place, "status", {name: service}, tell).get(name) != RUNNING:
                    tell(f"{name}: {error}")
                    continue
            wrong.append(f"{name} ({error})")
            continue
        if state == RUNNING or (state == "unknown" and manager(service) == KEEPER):
            wrong.append(f"{name} ({state})")
        elif manager(service) == KEEPER:
            with suppress(FileNotFoundError):
                Kept(place, name).command.unlink()
    if wrong:
        raise Failed(f"not stopped: {', '.join(wrong)}", code="service")


def _path(place: Place) -> Path:
    return place.backups / "services.json"
