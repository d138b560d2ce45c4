"""The chain that holds the journal's events together: each event's link is made of the one before it.

What is changed, removed, inserted or put in another order breaks the chain from there on. A link covers the
digest of an event's body, not the body, so that a body can be dropped without breaking it. Cutting events
off at the end leaves a shorter chain that is whole: that shows against a link that somebody kept.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.msgpack import Encoder
from msgspec.structs import astuple

from mt5crs.journal.states import NEXT, WATCHED, NoticeKind, State, Step, is_step

START = bytes(32)
"""What stands before the first event's link, together with the journal's id."""

STEPS = frozenset(step.value for step in Step)
NOTICES = frozenset(kind.value for kind in NoticeKind)

_encode = Encoder().encode


class Event(Struct, frozen=True, gc=False):
    """One row of the journal.

    Attributes:
        number: Counts events from 1, without a hole.
        entry: The number of the entry's first event; that event's is its own, as is a notice's.
        step: What happened: the value of a `Step`, or of a `NoticeKind`.
        at: Nanoseconds since the epoch, UTC, on the gateway's clock.
        account: `login@server`; first events and notices only, as is the next one.
        principal: Who asked.
        key: The idempotency key; first events only.
        note: What is kept for good, as msgpack.
        digest: SHA-256 of the body.
        body: The request with what its client signed, or its result, as msgpack; None once it was dropped.
        link: See `link`.
    """

    number: int
    entry: int
    step: str
    at: int
    account: str | None
    principal: str | None
    key: str | None
    note: bytes
    digest: bytes
    body: bytes | None
    link: bytes = b""

    @property
    def is_notice(self) -> bool:
        """Whether it stands alone, as no part of an entry."""
        return self.step in NOTICES and self.entry == self.number and self.key is None

    @property
    def was_dropped(self) -> bool:
        """Whether it had a body that is not there any more."""
        return self.body is None and self.digest != b""


_INTEGER, _STRING, _BYTES = (int,), (str,), (bytes,)
_TEXT, _DROPPED = (str, type(None)), (bytes, type(None))
TYPES: tuple[tuple[type, ...], ...] = (
    *(_INTEGER, _INTEGER, _STRING, _INTEGER, _TEXT, _TEXT, _TEXT),
    *(_BYTES, _BYTES, _DROPPED, _BYTES),
)
"""The types that an event's fields can be of: SQLite keeps whatever it is given."""


def start(journal: str) -> bytes:
    """Return what the first event's link is made of."""
    return sha256(START + journal.encode()).digest()


def digest(body: bytes) -> bytes:
    """Return a body's digest."""
    return sha256(body).digest()


def link(before: bytes, event: Event) -> bytes:
    """Return an event's link: SHA-256 of the link before it and all of the event but its body."""
    told: tuple[Any, ...] = (
        event.number, event.entry, event.step, event.at, event.account, event.principal, event.key,
        event.note, event.digest,
    )  # fmt: skip
    return sha256(before + _encode(told)).digest()


class Chain:
    """Follows a chain from its start, event by event.

    Args:
        journal: The journal's id.

    Attributes:
        number: The last event's number.
        link: The last event's link.
        is_readable: Whether the last event's fields were of their types.
    """

    def __init__(self, journal: str) -> None:
        self.number = 0
        self.is_readable = True
        self.link: bytes = start(journal)
        self._states: dict[int, State] = {}

    def take(self, event: Event) -> "list[str]":
        """Take the next event; return what is wrong with it, in words, with the place where it shows."""
        self.is_readable = _is_typed(event)
        if not self.is_readable:
            self.number += 1
            return [f"event {self.number} holds what no event holds"]
        found: list[str] = []
        what = f"event {event.number} ({event.step}" + (
            ")" if event.is_notice else f" of entry {event.entry})"
        )
        if not event.is_notice and not self._follows(event):
            found.append(f"event {event.number} ({event.step}) cannot follow what entry {event.entry} was")
        due = self.number + 1
        if event.number != due:
            missing = f"event {due}" if event.number == due + 1 else f"events {due} to {event.number - 1}"
            found.append(
                f"{missing} missing before event {event.number}"
                if event.number > due
                else f"event {event.number} stands where event {due} was due"
            )
        elif event.link != link(self.link, event):
            found.append(f"{what} was altered")
        if event.body is not None and digest(event.body) != event.digest:
            found.append(f"the body of {what} was altered")
        self.link, self.number = event.link, event.number
        return found

    def _follows(self, event: Event) -> bool:
        """Whether a step can follow what is known of its entry."""
        is_first = event.number == event.entry
        state = self._states.pop(event.entry, State.NEW if is_first else State.DONE)
        if event.step not in STEPS or not is_step(state, Step(event.step)):
            return False
        if (after := NEXT[state, Step(event.step)]) in WATCHED:
            self._states[event.entry] = after  # what can change no more needs no place
        return True


def _is_typed(event: Event) -> bool:
    return all(type(value) in types for value, types in zip(astuple(event), TYPES, strict=True))


def faults(journal: str, events: Iterable[Event]) -> "list[str]":
    """Return what is wrong with a chain, in words; each with the place where it shows.

    Args:
        journal: The journal's id.
        events: All of its events, in order.
    """
    chain = Chain(journal)
    return [fault for event in events for fault in chain.take(event)]
