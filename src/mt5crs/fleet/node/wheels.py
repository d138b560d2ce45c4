"""Environments to build in on HUB, and the packages that it fetches for nodes that reach no index."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .files import digest
from .operations import Failed, Tell, operation
from .pip import ERRORS, INSTALL, LONGEST, make_environment, program
from .pip import environment as variables_of
from .place import Place
from .running import run
from .working import working

HINTS = {
    "hash": "see which index pip uses on HUB; trust neither until you know why they differ",
    "no-index": "see pip's configuration and the network on HUB",
    "no-package": "it has no wheel for that system and Python: name another Python there (`python` in the "
    "inventory), lock a version that has one (`make lock`), or leave out the extra that wants it",
}
"""What to do about a failure of pip on HUB, where that is something else than on other nodes."""
BUILDER = f"builder-{platform.python_version()}-"
"""Folders of environments begin so; each holds what it was asked for, written last."""
COMPLETE = "pins.txt"


_LOCKED = re.compile(r"^(\S+)==(\S+) \\\n(?:[ ].*\n)+", re.MULTILINE)


class Pin(NamedTuple):
    """A line of locked requirements.

    Attributes:
        name: The package, normalized.
        version: Its version.
        hashes: SHA-256 of its files.
        text: The line, with its hashes.
    """

    name: str
    version: str
    hashes: frozenset[str]
    text: str


@operation("wheelhouse", changes=True)
def wheelhouse(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Have the wheels of locked requirements in HUB's `.fleet/wheels`.

    The request: `pins`, the requirements with markers resolved (pip would evaluate them for HUB, whatever the
    platform), and what they are for: `python`, its version, `abi`, such as cp311, and `platforms`, tags.

    Returns:
        `files`: a wheel for each pin, in their order.
    """
    pins = [
        Pin(normal(found[1]), found[2], frozenset(re.findall("[0-9a-f]{64}", found[0])), found[0])
        for found in _LOCKED.finditer(request["pins"])
    ]
    if "".join(pin.text for pin in pins) != request["pins"]:
        raise Failed("the locked requirements cannot be read", "`make lock` writes them again", "no-lock")
    abi, platforms = request["abi"], request["platforms"]
    place.wheels.mkdir(parents=True, exist_ok=True)
    files = {pin: _there(place.wheels, pin, abi, platforms) for pin in pins}
    missing = [pin for pin, file in files.items() if file is None]
    tell(f"{len(pins) - len(missing)} of {len(pins)} packages are there")
    if missing:
        tell(f"fetching {len(missing)} packages for {abi} on {platforms[0]}")
        target = [f"--python-version={request['python']}", "--implementation=cp", f"--abi={abi}"]
        target += [f"--platform={each}" for each in platforms]
        _fetch(place, missing, target)
        files.update((pin, _there(place.wheels, pin, abi, platforms)) for pin in missing)
    if lost := [f"{pin.name}=={pin.version}" for pin, file in files.items() if file is None]:
        raise Failed(
            f"no wheel of {', '.join(lost)} came for {abi} on {platforms[0]}",
            HINTS["no-package"],
            "no-package",
        )
    return {"files": list(files.values())}


def normal(name: str) -> str:
    """Return a package's name, normalized."""
    return re.sub(r"[-_.]+", "-", name).lower()


def described(path: Path) -> dict[str, Any]:
    """Return a file as it is answered: `name`, `size`, `sha256`."""
    return {"name": path.name, "size": path.stat().st_size, "sha256": digest(path)}


def environment(place: Place, pins: str, tell: Tell) -> Path:
    """Return the interpreter of an environment with some locked requirements, made once.

    Raises:
        Failed: It could not be made.
    """
    folder = place.own / f"{BUILDER}{hashlib.sha256(pins.encode()).hexdigest()[:16]}"
    python = _python(folder)
    complete = folder / COMPLETE
    if complete.exists() and python.exists():
        return python
    tell("making an environment to build with")
    shutil.rmtree(folder, ignore_errors=True)
    make_environment(folder)
    asked = folder / "asked.txt"
    asked.write_text(pins, encoding="utf-8")
    if pins:
        run_pip(place, python, *INSTALL, "-r", str(asked))
    asked.replace(complete)
    return python


def run_pip(place: Place, python: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
    """Run pip for an environment.

    Raises:
        Failed: It failed; says why.
    """
    lines: list[str] = []
    command = [str(python), "-I", str(program(place)), "--quiet", *arguments]
    try:
        run(
            command, lines.append, timeout=LONGEST, env={**variables_of(), **(variables or {})}, cwd=place.own
        )
    except Failed as error:
        if error.code == "timeout":
            raise
        said = "\n".join(lines)
        end = " ".join(said.split())[-500:]
        for pattern, kind, what, hint in ERRORS:
            if re.search(pattern, said, re.IGNORECASE):
                raise Failed(f"pip {arguments[0]}: {what}: {end}", HINTS.get(kind, hint), kind) from None
        raise Failed(f"pip {arguments[0]}: {end}", error.hint, "pip") from None


def _python(folder: Path) -> Path:
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def _fetch(place: Place, pins: Sequence[Pin], target: Sequence[str]) -> None:
    with working(place) as folder:
        asked = folder / "pins.txt"
        asked.write_text("".join(pin.text for pin in pins), encoding="utf-8")
        came = folder / "came"
        choice = ("--no-input", "--no-deps", "--require-hashes", "--only-binary=:all:", *target)
        run_pip(place, Path(sys.executable), "download", *choice, "--dest", str(came), "-r", str(asked))
        for file in came.iterdir():
            file.replace(place.wheels / file.name)


def _there(folder: Path, pin: Pin, abi: str, platforms: Sequence[str]) -> dict[str, Any] | None:
    """Return the wheel of a pin that a node can use, if it is there and right."""
    for path in sorted(folder.glob("*.whl")):
        if normal(path.name.split("-")[0]) == pin.name and fits(path.name, abi, platforms):
            file = described(path)
            if file["sha256"] in pin.hashes:
                return file
    return None


def fits(wheel: str, abi: str, platforms: Sequence[str]) -> bool:
    """Return whether a wheel is for some platforms and the CPython of an ABI, by its name."""
    *_, pythons, abis, systems = wheel[: -len(".whl")].split("-")
    if not {"any", *platforms} & {*systems.split(".")}:
        return False
    minor = int(abi[len("cp3") :])
    for python in pythons.split("."):
        found = re.fullmatch(r"(cp|py)3(\d*)", python)
        if found:
            since = int(found[2] or 0)
            exact = python == abi and abi in abis.split(".")
            stable = "abi3" in abis.split(".") and found[1] == "cp" and since <= minor
            plain = "none" in abis.split(".") and since <= minor and (found[1] == "py" or since == minor)
            if exact or stable or plain:
                return True
    return False
