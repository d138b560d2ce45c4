"""A release is brought into use, or everything is as it was.

```text
look    the node has the release that whoever asks has seen, the new one is complete, none of our files is
        newer than it reads, its own settings module reads .env
begin   .env is copied, what our variables and the services are is kept, room to put them back is taken; one
        line of the record says what begins, and what it goes on with
do      settings merged into .env as it is then, `current` switched, services that are not wanted any more
        stopped, the others restarted and looked at
        when that fails: `current`, our variables in .env and the services of before are put back, each by
        itself; what cannot be leaves the deployment unfinished
end     the record says how it ended; what was kept for putting back, and old releases, are removed
```

What was interrupted is finished by doing it again: it starts from where the first attempt started.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from . import before, deployed, envfile, headers, pip, record, removal, settings
from .files import private_folder, replace
from .operations import Failed, Tell, operation
from .place import Place
from .points import reach
from .switching import switch

ROLLBACK = "rollback"
NEVER_BACK = ("MT5_KEYS",)
"""Variables that a rollback leaves as they are: a key that was taken out of use stays out."""
SPARE = 4096
"""Bytes of room for what somebody else adds to `.env` meanwhile."""
READS = (
    "import sys; from pathlib import Path; from mt5crs.settings import Settings\n"
    "try: Settings.read(environ={}, dotenv=Path(sys.argv[1]), bind=True)\n"
    "except Exception as error: sys.exit(str(error))"
)
"""Has a release read a `.env` as it would; ends with what is wrong with it."""


@operation("deploy", changes=True)
def deploy(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Bring a release into use; return the `record` of it and which releases were `removed`.

    The request has `release`, its id ("" of a rollback for the one before), `env`, our settings, `services`
    by name, `who` asks, when by their clock (`asked`), `what` for (`sync` or `rollback`), the release that
    they `expect` in use, and how many others to `keep`.
    """
    return Deployment(place, request, tell).run()


class Deployment:
    """One deployment; see `deploy`."""

    def __init__(self, place: Place, request: Mapping[str, Any], tell: Tell) -> None:
        self._place = place
        self._tell = tell
        self._request = request
        self._services: deployed.Services = request.get("services") or {}
        entries = record.entries_of(place)
        self._interrupted = record.unfinished(entries)
        self._current = place.current_id()
        self._from = self._current
        if self._interrupted is not None:
            self._from = str(self._interrupted.get("from", self._current))
        self._back = request.get("what") == ROLLBACK
        self._refuse_another()
        self._to = self._chosen(entries)
        self._started = time.monotonic()
        self._id = secrets.token_hex(6)

    def run(self) -> dict[str, Any]:
        """Look, begin, do, end."""
        built = self._place.manifest(self._to)
        if built is None:
            raise Failed(f"there is no release {self._to} here: {self._there()}", "sync it first", "absent")
        self._refuse_newer_files(built["about"]["files"])
        now = settings.content(self._place)
        self._env, self._gone = self._ours()
        merged = self._merged(now)
        settings.tidy(self._place, needed=self._needed())
        self._try_settings(merged or b"")
        found = self._begin(now, merged)
        try:
            self._do(found)
        except (Failed, OSError) as error:
            what = error if isinstance(error, Failed) else Failed(f"{error}")
            raise self._undo(what, found) from None
        ended = self._end(record.OK, "")
        settings.tidy(self._place)
        removed = removal.prune(self._place, int(self._request.get("keep", 3)), self._tell)
        return {"record": ended, "removed": removed}

    def _refuse_another(self) -> None:
        expected = self._request.get("expect")
        if expected is not None and expected != self._current:
            raise Failed(
                f"{self._current or 'no release'} is in use here, no longer {expected or 'none'}:"
                " somebody has changed that meanwhile",
                "look at it again: mt5crs fleet status", "changed",
            )  # fmt: skip

    def _chosen(self, entries: list[dict[str, Any]]) -> str:
        wanted = str(self._request["release"])
        if wanted:
            return wanted
        if not self._back:
            raise Failed("no release is named", code="absent")
        if self._interrupted is not None and self._from:
            return self._from
        found = record.previous(entries, self._current, removal.complete(self._place))
        if not found:
            raise Failed(
                f"no release was in use here before {self._current or 'any'}: {self._there()}",
                "name one of them", "absent",
            )  # fmt: skip
        return found

    def _there(self) -> str:
        there = removal.complete(self._place)
        return f"there are {', '.join(there)}" if there else "there are none"

    def _ours(self) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Return our variables for the release, and those that go, by the values that we gave them."""
        if not self._back:
            return dict(self._request.get("env") or {}), {}
        had = settings.remembered(self._place, self._to)
        newer = settings.remembered(self._place, self._current) or {}
        gone = {} if had is None else {name: [value] for name, value in newer.items() if name not in had}
        return (
            {name: value for name, value in (had or {}).items() if name not in NEVER_BACK},
            {name: value for name, value in gone.items() if name not in NEVER_BACK},
        )

    def _merged(self, now: bytes | None) -> bytes | None:
        """Return what is to be in `.env` for what is in it."""
        merged = envfile.merge(envfile.without(now or b"", self._gone), self._env)
        return merged if merged or now is not None else None

    def _needed(self) -> set[str]:
        return set() if self._interrupted is None else {before.kept(str(self._interrupted.get("id")))}

    def _refuse_newer_files(self, writes: Mapping[str, int]) -> None:
        for each in headers.scan(self._place.path, headers.named(self._place.path, self._services)):
            if each.version > writes.get(each.kind, each.version):
                raise Failed(
                    f"the {each.kind} {each.path} is of version {each.version}, {self._to} knows version"
                    f" {writes[each.kind]}: it could not read it",
                    f"keep the newer release, or end the gateway, put the {each.kind} aside and let"
                    f" {self._to} start with a new one",
                    "schema",
                )

    def _try_settings(self, merged: bytes) -> None:
        """Have the new release read the new settings before anything is changed."""
        private_folder(self._place.own)
        private_folder(self._place.backups)
        trial = settings.trial(self._place)
        replace(trial, merged)
        try:
            code, said = pip.ask(self._place.python(self._to), ["-c", READS, str(trial)], self._place.path)
        except (Failed, OSError) as error:
            raise Failed(f"{self._to} cannot run: {error}", "sync it again", "broken") from None
        finally:
            trial.unlink()
        if code:
            said = said.replace(str(trial), str(self._place.settings))
            raise Failed(f"{self._to} cannot read its settings: {said}", "correct them", "env")

    def _begin(self, now: bytes | None, merged: bytes | None) -> before.Before:
        """Keep what is there, and write that it begins; return what is to be put back."""
        place, going_on = self._place, self._interrupted
        found = before.found(place, going_on, self._services)
        was = envfile.values(found.original(place) or b"")
        has = envfile.values(now or b"")
        gone = dict.fromkeys(name for name, values in self._gone.items() if has.get(name) in values)
        found.add(place, now, merged, {**self._env, **gone})
        found.save(place, self._id)
        settings.reserve(
            place, max(len(each or b"") for each in (now, merged, found.original(place))) + SPARE
        )
        self._facts: dict[str, Any] = {
            "id": self._id,
            "who": str(self._request.get("who", "")),
            "what": str(self._request.get("what", "sync")),
            "asked": str(self._request.get("asked", "")),
            "from": self._from,
            "to": self._to,
            "env": sorted([*gone, *(name for name, value in self._env.items() if was.get(name) != value)]),
        }
        resumes = {} if going_on is None else {"resumes": going_on.get("id")}
        record.append(place, record.BEGUN, **self._facts, copy=found.copy, **resumes)
        reach("begun")
        return found

    def _do(self, found: before.Before) -> None:
        place = self._place
        if self._from and self._from != self._to:
            ours = {*(settings.remembered(place, self._from) or ()), *self._env}
            settings.remember(place, self._from, settings.chosen(found.original(place) or b"", ours))
        if not self._back:
            settings.remember(place, self._to, self._env)
        reach("saved")
        settings.change(place, self._merged)
        reach("settings")
        switch(place, self._to)
        reach("switched")
        deployed.end(place, deployed.surplus(found.services, self._services), self._tell)
        deployed.bring(place, self._services, self._tell)
        deployed.keep(place, self._services)
        reach("restarted")

    def _undo(self, error: Failed, found: before.Before) -> Failed:
        """Put everything back, each part whatever became of the others; return what to raise."""
        self._tell(f"{error.what}: putting everything back")
        reach("restoring")
        place = self._place

        def put_back() -> None:
            settings.change(place, lambda now: found.restored(place, now), settings.BACK)

        parts: dict[str, Callable[[], None]] = {
            "the release in use": lambda: switch(place, self._from),
            ".env": put_back,
            "services": lambda: self._restart(found.services),
        }
        trouble: list[str] = []
        for part, do in parts.items():
            try:
                do()
            except (Failed, OSError) as worse:  # noqa: PERF203 - each by itself
                trouble.append(f"{part}: {worse}")
        reach("restored")
        try:
            told = "; ".join([error.what, *(f"not put back: {each}" for each in trouble)])
            self._end(record.NOT_RESTORED if trouble else record.FAILED, told)
        except (Failed, OSError) as worse:
            trouble.append(f"the record: {worse}")
        settings.tidy(place, needed={before.kept(self._id)} if trouble else ())
        if trouble:
            return Failed(
                f"{self._to}: {error.what}; and not everything could be put back: {'; '.join(trouble)}",
                "mend that and run it again: it goes on from there", "not-restored",
            )  # fmt: skip
        end = f"{self._from} is in use again" if self._from else "no release is in use, as before"
        return Failed(f"{self._to}: {error.what}; {end}, with its settings", error.hint, error.code)

    def _restart(self, had: deployed.Services) -> None:
        """Have the services of before run again, and no others."""
        settings.give_room(self._place)
        new = deployed.surplus(self._services, had)
        if not self._from:
            nothing: deployed.Services = {}
            new, had = {**self._services, **had}, nothing
        try:
            deployed.end(self._place, new, self._tell)
        finally:
            deployed.bring(self._place, had, self._tell)

    def _end(self, result: str, error: str) -> dict[str, Any]:
        took = round(time.monotonic() - self._started, 3)
        ended = record.append(self._place, record.ENDED, **self._facts, result=result, error=error, took=took)
        reach("ended")
        return ended
