"""What a node is and has."""

from __future__ import annotations

import getpass
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from . import envfile, headers, record, services, settings
from .files import free, unwritable
from .operations import Failed, Tell, operation
from .place import Place

FINAL = "final"


@operation("probe", changes=False)
def probe(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return what the node is and has: `env_names` are our variables, `services` are its services."""
    releases, incomplete = _releases(place)
    env, trouble = _settings(place, request.get("env_names", ()))
    entries, problems = record.check(record.read(place), record.head(place))
    return {
        "time": time.time(),
        "host": socket.gethostname(),
        "user": _user(),
        "os": "windows" if os.name == "nt" else "linux",
        "python": {
            "version": platform.python_version(),
            "markers": markers(),
            "libc": libc(),
            "has_venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        },
        "free": free(place.path),
        "unwritable": next(
            (why for each in (place.path, place.own, place.releases) if (why := unwritable(each))), ""
        ),
        "current": place.current_id(),
        "releases": releases,
        "incomplete": incomplete,
        "env": env,
        "env_trouble": trouble,
        "services": _services(place, request.get("services", {}), tell),
        "unfinished": record.unfinished(entries),
        "previous": record.previous(entries, place.current_id(), list(releases)),
        "record_problems": [*problems, *record.cut(entries, place.current_id())],
        "journals": headers.newest(
            headers.scan(place.path, headers.named(place.path, request.get("services") or {}))
        ),
        "git": shutil.which("git") is not None,
    }


def markers() -> dict[str, str]:
    """Return what markers of requirements are evaluated in, by the names of PEP 508."""
    info = sys.implementation.version
    version = ".".join(str(part) for part in info[:3])
    if info.releaselevel != FINAL:
        version += f"{info.releaselevel[0]}{info.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "platform_python_implementation": platform.python_implementation(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def libc() -> list[str]:
    """Return the C library that wheels have to be for, and its version; empty but on Linux."""
    if not sys.platform.startswith("linux"):
        return []
    name, version = platform.libc_ver()
    if name == "glibc":
        return [name, version]
    try:
        command = ["ldd", "--version"]
        said = subprocess.run(command, capture_output=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return []
    return musl((said.stdout + said.stderr).decode(errors="replace"))


def musl(said: str) -> list[str]:
    """Return musl and its version from what its loader says of itself; empty where it is another."""
    match = re.search(r"musl libc.*?Version (\d+\.\d+)", said, re.DOTALL)
    return ["musl", match[1]] if match else []


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an id without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def _releases(place: Place) -> tuple[dict[str, Any], list[str]]:
    try:
        names = sorted(each.name for each in place.releases.iterdir())
    except OSError:
        return {}, []
    found = {name: place.manifest(name) for name in names}
    complete = {name: manifest for name, manifest in found.items() if manifest is not None}
    return complete, [name for name in names if name not in complete]


def _settings(place: Place, names: Any) -> tuple[dict[str, str], str]:
    try:
        return settings.chosen(
            settings.content(place) or b"", [n for n in names if n not in envfile.SECRETS]
        ), ""
    except Failed as error:
        return {}, error.what


def _services(place: Place, wanted: Mapping[str, Any], tell: Tell) -> dict[str, str]:
    if not wanted:
        return {}
    try:
        return services.act(place, "status", wanted, tell)
    except Failed as error:
        tell(error.what)
        return dict.fromkeys(wanted, "unknown")
