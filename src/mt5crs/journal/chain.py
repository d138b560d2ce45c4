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

from mt5crs.journal.states import NEXT, WATCHED, State, Step, is_step

START = bytes(32)
"""What stands before the first event's link, together with the journal's id."""

STEPS = frozenset(step.value for step in Step)

_encode = Encoder().encode


class Event(Struct, frozen=True, gc=False):
    """One row of the journal.

    Attributes:
        number: Counts events from 1, without a hole.
        entry: The number of the entry's first event; that event's is its own.
        step: What happened, a `Step`'s value.
        at: Nanoseconds since the epoch, UTC, on the gateway's clock.
        account: `login@server`; first events only, as are the next two.
        principal: Who asked.
        key: The idempotency key.
        note: What is kept for good, as msgpack.
        digest: SHA-256 of the body.
        body: The request or its result, as msgpack; None once it was dropped.
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


def faults(journal: str, events: Iterable[Event]) -> "list[str]":
    """Return what is wrong with a chain, in words; each with the place where it shows.

    Args:
        journal: The journal's id.
        events: All of its events, in order.
    """
    found: list[str] = []
    before, due = start(journal), 1
    states: dict[int, State] = {}
    for event in events:
        state = states.pop(event.entry, State.NEW if event.number == event.entry else State.DONE)
        if event.step not in STEPS or not is_step(state, Step(event.step)):
            found.append(f"event {event.number} ({event.step}) cannot follow what entry {event.entry} was")
        elif (after := NEXT[state, Step(event.step)]) in WATCHED:
            states[event.entry] = after  # what can change no more needs no place
        if event.number != due:
            missing = f"event {due}" if event.number == due + 1 else f"events {due} to {event.number - 1}"
            found.append(
                f"{missing} missing before event {event.number}"
                if event.number > due
                else f"event {event.number} stands where event {due} was due"
            )
        elif event.link != link(before, event):
            found.append(f"event {event.number} ({event.step} of entry {event.entry}) was altered")
        if event.body is not None and digest(event.body) != event.digest:
            found.append(
                f"the body of event {event.number} ({event.step} of entry {event.entry}) was altered"
            )
        before, due = event.link, event.number + 1
    return found
