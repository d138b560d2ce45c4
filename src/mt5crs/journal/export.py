"""A journal as text, a JSON object on each line: to keep, to read, to verify elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import msgspec

from mt5crs.errors import SettingError
from mt5crs.journal.chain import Event

FORM = "mt5crs-journal-2"


class Heading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line: what this is, and of which journal."""

    form: str
    journal: str


class Line(Event, frozen=True, forbid_unknown_fields=True):
    """An event; bytes are base64, `note` and `body` are msgpack in it, and `told` says what they hold."""

    told: Any = None


def lines(journal: str, events: Iterable[Event]) -> Iterator[bytes]:
    """Yield the lines of an export, without their ends."""
    yield msgspec.json.encode(Heading(FORM, journal))
    for event in events:
        yield msgspec.json.encode(Line(**msgspec.structs.asdict(event), told=_told(event)))


def read(text: Iterable[bytes], name: str) -> tuple[str, Iterator[Event]]:
    """Return the id of an exported journal, and its events.

    Args:
        text: The lines of an export.
        name: What it is called, for messages.

    Raises:
        SettingError: It is not an export, at once or at the line that is not part of one.
    """
    source = iter(text)
    try:
        heading = msgspec.json.decode(next(source, b""), type=Heading)
    except msgspec.MsgspecError:
        _refuse(name, 1)
    if heading.form != FORM:
        _refuse(name, 1)
    return heading.journal, _events(source, name)


def _events(source: Iterator[bytes], name: str) -> Iterator[Event]:
    decode = msgspec.json.Decoder(Line).decode
    for number, line in enumerate(source, 2):
        try:
            fields = msgspec.structs.asdict(decode(line))
        except msgspec.MsgspecError:
            _refuse(name, number)
        told = fields.pop("told")
        event = Event(**fields)
        if msgspec.json.encode(told) != msgspec.json.encode(_told(event)):
            raise SettingError(f"{name}, line {number}: what it says is not what its event holds")
        yield event


def _refuse(name: str, line: int) -> NoReturn:
    raise SettingError(
        f"{name}, line {line} is not of an exported journal",
        hint="`mt5crs journal export` writes one; a gateway's own journal is named with --journal",
    )


def _told(event: Event) -> Any:
    return {"note": _readable(event.note), "body": _readable(event.body)}


def _readable(raw: bytes | None) -> Any:
    """Return what msgpack holds, bytes in it as base64; None where it holds nothing, or is none."""
    try:
        return None if raw is None else msgspec.to_builtins(msgspec.msgpack.decode(raw), str_keys=True)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return None
