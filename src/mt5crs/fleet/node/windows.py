"""Run what sets a Windows node up: `mt5crs.ps1`, as it was sent; not run on Windows yet."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

from .files import replace
from .operations import Failed, Tell, operation
from .place import Place

SCRIPT = "mt5crs.ps1"
POWERSHELL = (
    "powershell.exe", "-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"
)  # fmt: skip
PATIENCE = 900.0
"""Seconds that it may take: it may install packages."""


@operation("windows", changes=True)
def _windows(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Run the script `incoming/SCRIPT` with `arguments`; return what it wrote."""
    return _run(place, request, tell)


@operation("windows-status", changes=False)
def _status(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Run the script's `status`, which may be while somebody changes the node."""
    if request["arguments"][0] != "status":
        raise Failed(f"{request['arguments'][0]} is no look", code="request")
    return _run(place, request, lambda _text: None)


def _run(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    script, sent = place.own / SCRIPT, (place.incoming / request["script"]).read_bytes()
    if not script.exists() or script.read_bytes() != sent:
        replace(script, sent)
    command = [*POWERSHELL, str(script), *request["arguments"]]
    try:
        done = subprocess.run(  # noqa: S603 - our own script, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Failed(
            "powershell.exe is not on this machine", 'is os = "windows" right in fleet.toml?'
        ) from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{SCRIPT} took longer than {PATIENCE:g} s") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        hints = [line for line in said if line.startswith("hint: ")]
        what = " ".join(line for line in said if line not in hints)
        raise Failed(
            f"{SCRIPT} {request['arguments'][0]}: {what or f'exit code {done.returncode}'}",
            "; ".join(line[len("hint: ") :] for line in hints),
        )
    for line in done.stdout.splitlines():
        tell(line)
    return {"output": done.stdout}
