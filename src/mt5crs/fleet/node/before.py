"""What a deployment finds, kept until it has ended, so that it can be put back whoever goes on with it.

Of `.env` that is what our variables were and what was written to them: only these are put back, and only
where they still have what we wrote, since the file is its owner's, who may have edited it meanwhile. Where
nobody has, it becomes byte for byte what it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from . import deployed, envfile, settings
from .files import replace
from .place import Place


class Before:
    """What was found.

    Attributes:
        copy: The name of the copy of `.env`.
        services: The services that there were.
        had: What our variables were; None where they were not there.
        wrote: What was written to each, by all attempts; None for removed.
        files: Digests of `.env` as it was written, where nobody else had a hand in it.
    """

    def __init__(self, copy: str, services: deployed.Services) -> None:
        self.copy = copy
        self.services: deployed.Services = services
        self.had: dict[str, str | None] = {}
        self.wrote: dict[str, list[str | None]] = {}
        self.files: list[str] = []

    def save(self, place: Place, id_: str) -> None:
        """Keep it for a deployment."""
        replace(_path(place, id_), json.dumps(vars(self)).encode())

    def add(
        self, place: Place, now: bytes | None, merged: bytes | None, wrote: Mapping[str, str | None]
    ) -> None:
        """Add what is to be written now."""
        was = envfile.values(now or b"")
        for name, value in wrote.items():
            self.had.setdefault(name, was.get(name))
            self.wrote.setdefault(name, [])
            if value not in self.wrote[name]:
                self.wrote[name].append(value)
        if merged is not None and (now == self.original(place) or _digest(now) in self.files):
            self.files.append(_digest(merged))

    def original(self, place: Place) -> bytes | None:
        """Return what `.env` was; None for no file, or where its copy is gone."""
        try:
            return settings.copied(place, self.copy)
        except OSError:
            return None

    def restored(self, place: Place, now: bytes | None) -> bytes | None:
        """Return what is to be in `.env` for what is in it."""
        original = self.original(place)
        if _digest(now) in self.files and (original is not None or not self.copy):
            return original
        if now is None:
            return None
        has = envfile.values(now)
        ours = {name: was for name, was in self.had.items() if has.get(name) in self.wrote[name]}
        gone = {name: [has[name]] for name, was in ours.items() if was is None and name in has}
        back = {name: was for name, was in ours.items() if was is not None and has.get(name) != was}
        return envfile.merge(envfile.without(now, gone), back)


def found(place: Place, interrupted: Mapping[str, Any] | None, wanted: deployed.Services) -> Before:
    """Return what a deployment finds; of one that was interrupted what that one found."""
    had = None if interrupted is None else interrupted.get("copy")
    copy = settings.copy(place, needed={had} if isinstance(had, str) else ())
    if isinstance(had, str) and (place.backups / had).exists():
        copy = had
    before = Before(copy, deployed.standing(place, wanted))
    if interrupted is None:
        return before
    try:
        kept: dict[str, Any] = json.loads(_path(place, str(interrupted.get("id"))).read_bytes())
        before.services = kept["services"]
        before.had, before.wrote, before.files = kept["had"], kept["wrote"], kept["files"]
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # that one did not keep it: what it names was written by it
        was, now = (envfile.values(text or b"") for text in (before.original(place), settings.content(place)))
        names = interrupted.get("env")
        for name in cast("list[str]", names) if isinstance(names, list) else ():
            before.had[name], before.wrote[name] = was.get(name), [now.get(name)]
    return before


def kept(id_: str) -> str:
    """Return the name of the file that is kept for a deployment."""
    return f"{id_}.before.json"


def _path(place: Place, id_: str) -> Path:
    return place.backups / kept(id_)


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
