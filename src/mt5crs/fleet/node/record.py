"""The record of a node: what was deployed there, by whom, and how it ended.

Each deployment is two lines of JSON in `.fleet/record.jsonl`, which is only ever appended to. Each line holds
the digest of the one before, so a line that was changed or removed is found; of the last one the digest is in
`.fleet/record.head`. Who may write both can forge both. A line that was being written when the power went
stays as the torn line that it is, and is told until another follows, which holds its digest too.

A deployment that goes on with one that has no end says so in its own first line (`resumes`): there is no
moment at which nothing is unfinished.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, cast

from .files import flush, private_folder, replace
from .operations import Failed, Tell, operation
from .place import Place

BEGUN = "begun"
ENDED = "ended"
OK = "ok"
FAILED = "failed"
INTERRUPTED = "interrupted"
"""Written before what was interrupted was begun again, by older programs."""
NOT_RESTORED = "not-restored"
"""It failed, and not everything could be put back: it is to be gone on with."""
OPEN = frozenset({INTERRUPTED, NOT_RESTORED})
"""Results that leave a deployment unfinished."""

Entry = Mapping[str, Any]


@operation("record", changes=False)
def record(place: Place, request: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """Return the `last` entries, all without it, and what is wrong with the record."""
    lines = read(place)
    entries, problems = check(lines, head(place))
    last = request.get("last")
    return {"lines": entries[-last:] if last else entries, "problems": problems}


def read(place: Place) -> list[bytes]:
    """Return the record's lines, the last of which can be torn."""
    try:
        return place.record.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Failed(
            f"{place.record} cannot be read: {error.strerror or error}", "mend its permissions"
        ) from None


def head(place: Place) -> dict[str, Any]:
    """Return what is known of the record's last line besides: `serial` and `digest`; empty for nothing."""
    try:
        found: Any = json.loads(place.head.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def check(
    lines: Sequence[bytes], head: Mapping[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a record's entries, and what is wrong with it in words; `head` is its last line as known."""
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    before = ""
    for number, line in enumerate(lines, 1):
        entry = _parsed(line)
        if entry is None:
            if number == len(lines):  # else what follows proves that it was so
                problems.append(f"line {number} is torn: it was being written when the node went down")
        else:
            if entry.get("after") != before:
                problems.append(f"line {number} does not follow the one before: one was changed or removed")
            entries.append(entry)
        before = _digest(line)
    # It is written after the line, so that it can be one or more behind.
    if head and head.get("digest") not in {_digest(line) for line in lines}:
        problems.append(
            f"line {head.get('serial', '?')} is not there as it was written:"
            " it was changed, or lines were cut off"
        )
    return entries, problems


def entries_of(place: Place) -> list[dict[str, Any]]:
    """Return the record's entries, oldest first."""
    return check(read(place))[0]


def append(place: Place, event: str, **fields: Any) -> dict[str, Any]:
    """Append an entry, durably, and return it."""
    private_folder(place.own)
    lines = read(place)
    torn = bool(lines) and not lines[-1].endswith(b"\n")
    known = head(place)
    serials = [each.get("serial") for each in (*check(lines)[0], known)]
    after = _digest(lines[-1]) if lines else ""
    if known and known.get("digest") not in {_digest(line) for line in lines}:
        after = str(known.get("digest"))  # what was done to the record stays seen
    entry = {
        "serial": max((each for each in serials if isinstance(each, int)), default=0) + 1,
        "event": event,
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        **fields,
        **({"torn": True} if lines and _parsed(lines[-1]) is None else {}),
        "after": after,
    }
    content = (b"\n" if torn else b"") + json.dumps(entry).encode() + b"\n"
    descriptor = os.open(
        place.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600
    )
    try:
        # A write that is cut short is a torn line, and whoever called hears of it.
        if os.write(descriptor, content) != len(content):
            raise Failed(f"{place.record} could not be written", "make room on its disk", "no-space")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if not lines:
        flush(place.own)
    with suppress(OSError):  # it may be behind, so there is nothing to undo for it
        now = {"serial": entry["serial"], "digest": _digest(content.lstrip(b"\n"))}
        replace(place.head, json.dumps(now).encode())
    return entry


def unfinished(entries: Sequence[Entry]) -> Entry | None:
    """Return what was begun last, if it has not ended."""
    begun = next((entry for entry in reversed(entries) if entry.get("event") == BEGUN), None)
    if begun is None or any(
        entry.get("event") == ENDED and entry.get("id") == begun.get("id") and entry.get("result") not in OPEN
        for entry in entries
    ):
        return None
    return begun


def cut(entries: Sequence[Entry], current: str) -> list[str]:
    """Return in words that the record does not say how the current release came into use: its end is missing.

    The last deployment that ended well led to what is in use; one under way may have switched already.
    """
    last = next(succeeded(entries), "")
    if not current or current == last or unfinished(entries) is not None:
        return []
    if not entries:
        return [f"it is missing or empty, and {current} is in use"]
    went = f"the last deployment that went well is that of {last or 'none'}"
    return [f"{went}, and {current} is in use: its end is missing"]


def succeeded(entries: Sequence[Entry]) -> Iterator[str]:
    """Give the releases whose deployments ended well, the last first; one can come several times."""
    for entry in reversed(entries):
        if entry.get("event") == ENDED and entry.get("result") == OK:
            yield str(entry.get("to", ""))


def previous(entries: Sequence[Entry], current: str, there: Sequence[str]) -> str:
    """Return the release before the current one: deployed well, and still there; "" for none."""
    return next((id_ for id_ in succeeded(entries) if id_ != current and id_ in there), "")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not line.endswith(b"\n"):
        return None
    return cast("dict[str, Any]", entry)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()
