"""What is otherwise on a node than it was deployed: files of the release in use, and what services run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import deployed, trees
from .kept import Kept, read
from .operations import Tell, operation
from .place import Place

SHOWN = 5
"""Files that are named; the others are counted."""


@operation("drift", changes=False)
def drift(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return what is otherwise, in words; `services` are those that there should be.

    `release` is one that is kept, whose files are looked at in place of those of the one in use.
    """
    id_ = str(request.get("release") or place.current_id())
    return {"files": _files(place, id_), "services": _services(place, request.get("services", {}))}


def _files(place: Place, id_: str) -> list[str]:
    manifest = place.manifest(id_) if id_ else None
    if manifest is None:
        return []
    found = dict(trees.drift(place.release(id_), manifest.get("tree", {})))
    packages = trees.packages_of(place.release(id_) / ".venv")
    for name, files in trees.packages_drift(packages, manifest.get("installed", "")).items():
        found.update({f"{name or 'packages'}: {path}": state for path, state in files.items()})
    words = [f"{name} is {state}" for name, state in sorted(found.items())]
    more = [f"{len(words) - SHOWN} more files"] if len(words) > SHOWN else []
    return [*words[:SHOWN], *more]


def _services(place: Place, wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    changed = [
        f"service {name} runs another command"
        for name, service in wanted.items()
        if (has := read(Kept(place, name).command)) and has.get("command") != service.get("command")
    ]
    unwanted = deployed.surplus(deployed.standing(place, {}), wanted)
    return [*changed, *(f"service {name} is not wanted any more" for name in sorted(unwanted))]
