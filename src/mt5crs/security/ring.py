"""The clients that a gateway knows, as its folder of keys has them at this moment.

It fails closed. Of a client whose entry cannot be read or understood no key opens the gateway; where the
folder itself or its log of changes cannot be read, nobody's does. Each is let in again when that is mended.
Where descriptors alone are wanting, which strangers can bring about, those whose files are the same stay.
"""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mt5crs.security.folder import CHANGES, CLIENTS, NO_ROOM, check, entry_path, read_entry
from mt5crs.security.keyfiles import ClientEntry, EntryKey, KeyFileError, raw
from mt5crs.security.policy import Principal

LOOK_EVERY = 1.0
"""Seconds between two looks for entries that were changed by hand."""
SETTLED = 2_000_000_000
"""Nanoseconds after a change in which a file system may show another one under the same time."""

Signature: TypeAlias = tuple[int, ...]

log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """What an entry's file had in it when it was read; without a signature it is read again."""

    signature: Signature | None
    content: ClientEntry | KeyFileError


class KeyRing:
    """The clients that a gateway knows.

    Args:
        folder: Its folder of keys.
        clock: Seconds since the epoch, UTC: by it keys end, and looks are taken.

    Attributes:
        by_curve: Who is let in, by CURVE public key (Z85). This and the others stay the same objects; their
            content is that of the last `refresh`. A principal is the same object while nothing of it changes.
        by_id: The same principals by key id.
        problems: Why some are shut out, or all.
        entries: What could be read, by name; also of clients that are not let in.
    """

    by_curve: Mapping[bytes, Principal]
    by_id: Mapping[str, Principal]

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._changes = os.fspath(folder / CHANGES)
        self._by_curve: dict[bytes, Principal] = {}
        self._by_id: dict[str, Principal] = {}
        self.by_curve, self.by_id = self._by_curve, self._by_id
        self.problems: list[str] = []
        self.entries: dict[str, ClientEntry] = {}
        self._failures: list[KeyFileError] = []
        self._files: dict[str, _Known] = {}
        self._seen: Signature | None = None
        self._certain = False  # whether the last look could see the folder
        self._ends = inf  # when the next key ends
        self._looked, self._due = inf, -inf  # from when to when there is nothing to look for
        self.refresh()

    def __repr__(self) -> str:
        return f"<key ring of {self._folder}: {len(self.by_id)} keys, {len(self.problems)} problems>"

    def check(self) -> None:
        """Raise the first problem.

        Raises:
            KeyFileError: There is one.
        """
        if self._failures:
            raise self._failures[0]

    def refresh(self) -> bool:
        """Take in what has changed; return whether anybody was let in or shut out.

        A change by a command is seen at once, one by hand within `LOOK_EVERY`.
        """
        now = self._clock()
        try:
            status = os.stat(self._changes)  # noqa: PTH116 - for each request: half as long as a Path's
            seen: Signature | None = (status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:
            seen = None
        if seen == self._seen and self._looked <= now < self._due:
            return False
        self._seen = seen  # as it was before the look: what changes meanwhile is seen the next time
        return self._look(now)

    def _look(self, now: float) -> bool:
        certain, same, changed = False, False, False
        try:
            check(self._folder)
            same = self._read()
            certain = True
        except KeyFileError as error:
            self._files.clear()
            changed = self._take({}, [error], now)
        if certain and not (same and self._certain and self._looked <= now < self._ends):
            changed = self._take_in(now)
        self._certain = certain
        self._looked, self._due = now, min(now + LOOK_EVERY, self._ends)
        return changed

    def _read(self) -> bool:
        """Read the entries that are new or changed; return whether there are none.

        Raises:
            KeyFileError: The folder cannot be listed.
        """
        clients = os.path.join(self._folder, CLIENTS)  # noqa: PTH118 - for each entry: half as long as a Path
        try:
            names = os.listdir(clients)  # noqa: PTH208
        except OSError as error:
            if error.errno in NO_ROOM:
                # Strangers can use all descriptors up. What is known still holds while its file is the same;
                # to see that takes none.
                return self._take_over([f"{name}.json" for name in self._files], clients)
            raise KeyFileError(f"{clients} cannot be read: {error.strerror or error}") from None
        return self._take_over(names, clients)

    def _take_over(self, names: Sequence[str], clients: str) -> bool:
        files: dict[str, _Known] = {}
        for file in sorted(names):
            if file.endswith(".json") and not file.startswith("."):  # not a draft, nor an editor's copy
                path = f"{clients}{os.sep}{file}"
                name = file.removesuffix(".json")
                signature = _signature(path)
                known = self._files.get(name)
                if known is None or known.signature is None or known.signature != signature:
                    known = _known(signature, Path(path))
                files[name] = known
        same = files == self._files
        self._files = files
        return same

    def _take_in(self, now: float) -> bool:
        """Let those in who are to be, by what was read; return whether that changed anything."""
        contents = {name: known.content for name, known in self._files.items()}
        failures = [each for each in contents.values() if isinstance(each, KeyFileError)]
        entries = {name: each for name, each in contents.items() if isinstance(each, ClientEntry)}
        return self._take(entries, failures, now)

    def _take(self, entries: dict[str, ClientEntry], failures: list[KeyFileError], now: float) -> bool:
        self.entries.clear()
        self.entries.update(entries)
        shared = _sharing(entries.values())
        self._report(
            failures
            + [
                KeyFileError(
                    f"{entry_path(self._folder, name)} has the key of another client, {other}",
                    hint="remove one of the two",
                )
                for name, other in sorted(shared.items())
            ]
        )
        let_in = [
            (key, self._principal(entry, key))
            for entry in entries.values()
            if entry.name not in shared
            for key in entry.keys
            if key.is_valid(now)
        ]
        self._ends = min((key.until.timestamp() for key, _ in let_in if key.until is not None), default=inf)
        return self._replace(let_in)

    def _principal(self, entry: ClientEntry, key: EntryKey) -> Principal:
        """Return a key's principal, the same object as before where it is the same in all."""
        new = Principal(entry.name, entry.role, key.id, raw(key.signing), frozenset(entry.streams))
        old = self.by_id.get(key.id)
        same = old is not None and all(
            getattr(old, name) == getattr(new, name) for name in Principal.__slots__
        )
        return old if old is not None and same else new

    def _replace(self, let_in: Sequence[tuple[EntryKey, Principal]]) -> bool:
        by_id = {key.id: principal for key, principal in let_in}
        changed = by_id != self._by_id
        if changed:
            self._by_id.clear()
            self._by_id.update(by_id)
            self._by_curve.clear()
            self._by_curve.update((key.public.encode(), principal) for key, principal in let_in)
        return changed

    def _report(self, failures: list[KeyFileError]) -> None:
        """Keep the problems; say the new ones."""
        problems = [str(error) for error in failures]
        for problem in problems:
            if problem not in self.problems:
                log.error("keys: %s", problem)
        self._failures = failures
        self.problems[:] = problems


def _known(signature: Signature | None, path: Path) -> _Known:
    """Read an entry; what fails for a reason that passes is read again."""
    try:
        return _Known(signature, read_entry(path))
    except KeyFileError as error:
        return _Known(None if error.passes else signature, error)


def _signature(path: str) -> Signature | None:
    """Return what tells that a file has not changed; None where that cannot be told yet."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode


def _sharing(entries: Iterable[ClientEntry]) -> dict[str, str]:
    """Return the clients that have a key in common with another, and with whom."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for key in entry.keys:
            for each in (key.public, key.signing, key.id):
                owners[each].add(entry.name)
    return {name: min(names - {name}) for names in owners.values() if len(names) > 1 for name in names}
