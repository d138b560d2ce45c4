"""A journal of a gateway with keys, and those who would have it otherwise."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mt5crs.heads import Head
from mt5crs.journal import chain, export
from mt5crs.journal.chain import Event
from mt5crs.journal.checkpoints import Checkpoint, noted
from mt5crs.journal.entries import body_of, decode, digests_of, encode, parts_of
from mt5crs.journal.file import INSERT
from mt5crs.journal.proofs import Pins, Proof, Signatures, prove
from mt5crs.journal.seen import Seen
from mt5crs.journal.states import NoticeKind, Step
from mt5crs.journal.store import Begin, Journal, Notice, Told
from mt5crs.security.signing import SIGNATURE, Signer, opened
from mt5crs.statement import Statement

ACCOUNT = "5001001@MT5CRS-Simulated"
BUY: dict[str, Any] = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "comment": "mine"}
RESULT = [10009, 7, 8, 0.1, 1.1, 1.0, 1.1, "done", 3, 0, [1] + [0] * 16]
DONE = {"retcode": 10009, "deal": 7, "order": 8, "volume": 0.1, "price": 1.1, "code": 1, "text": "Success"}
DONE |= {"how": "answer", "makes": True}
REJECTED = {**DONE, "retcode": 10006, "deal": 0, "order": 0, "makes": False}
START = 1_764_000_000_000_000_000
GATEWAY, FORGER = Signer(b"g" * 32), Signer(b"f" * 32)
CLIENTS = {"inf": Signer(b"i" * 32), "gpu": Signer(b"p" * 32)}
KEY_ID = "1"
PINS = Pins(frozenset({GATEWAY.public}), {(name, KEY_ID): signer.public for name, signer in CLIENTS.items()})
SIGNATURES = Signatures(SIGNATURE, opened)


class Clock:
    """Nanoseconds, by hand: a second each time."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        self.now += 1_000_000_000
        return self.now


def opening(path: Path, clock: Callable[[], int]) -> Journal:
    return Journal(path, ACCOUNT, clock, sign=GATEWAY.sign, public=GATEWAY.public)


def signed(key: str, request: dict[str, Any], by: Signer, gateway: Signer = GATEWAY, **others: Any) -> bytes:
    """Return what a client sends."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "op": "order_send",
        "args": [request],
        "key": key,
        "signer": KEY_ID,
    }
    fields |= others
    bound: dict[str, Any] = {
        "form": 2,
        "gateway": gateway.public,
        "nonce": bytes(16),
        "time": START // 10**6,
    }
    statement = Statement(**bound, **fields, id=1, deadline=0, epoch=5)
    return by.sign(msgspec.msgpack.encode(statement))


def asked(key: str, principal: str = "inf", request: dict[str, Any] = BUY) -> Begin:
    return Begin(principal, key, request, {"tagged": True}, signed(key, request, CLIENTS[principal]))


def traded(journal: Journal, *keys: str, principal: str = "inf") -> list[Head]:
    """Send an order under each key; return the heads that its client is given."""
    heads: list[Head] = []
    for key in keys:
        (entry,) = journal.begin([asked(key, principal)])
        journal.record([Told(entry.number, Step.FINISH, DONE, RESULT)])
        heads.append(Head(journal.id, *journal.head))
    return heads


def recorded(path: Path) -> tuple[str, list[Event], list[Head]]:
    """Make a journal: 2 starts, 2 orders before the first checkpoint in between, 3 behind it.

    Returns:
        Its id, its events, and the heads that clients were given.
    """
    journal = opening(path, Clock())
    journal.notify([Notice(NoticeKind.STARTED, "gateway")])
    journal.checkpoint()
    heads = traded(journal, "a", "b")
    journal.notify([Notice(NoticeKind.DENIED, "gpu", {"op": "order_send"})])
    journal.checkpoint()
    heads += traded(journal, "c")
    heads += traded(journal, "d", principal="gpu")
    journal.begin([Begin("guard", "g", BUY, {"tagged": True})])
    journal.notify([Notice(NoticeKind.STOPPED, "gateway")])
    journal.close()
    reader = Journal(path, ACCOUNT, writes=False)
    events = list(reader.events())
    reader.close()
    return reader.id, events, heads


def proof(journal: str, events: Sequence[Event], pins: Pins = PINS, heads: Sequence[Head] = ()) -> Proof:
    seen = Seen()
    try:
        return prove(journal, events, signatures=SIGNATURES, pins=pins, heads=heads, is_new=seen.is_new)
    finally:
        seen.close()


def found(journal: str, events: Sequence[Event], pins: Pins = PINS, heads: Sequence[Head] = ()) -> list[str]:
    return proof(journal, events, pins, heads).faults


# ---- forgers ----


def forged(journal: str, events: Sequence[Event], signer: Signer | None = None) -> list[Event]:
    """Number events anew and make all links anew; with a key, all checkpoints too."""
    numbers = {event.number: place for place, event in enumerate(events, 1)}
    made: list[Event] = []
    link = chain.start(journal)
    for place, event in enumerate(events, 1):
        note = event.note
        if event.step == NoticeKind.CHECKPOINT.value and signer is not None:
            checkpoint = Checkpoint(journal, event.account or "", place - 1, link, event.at)
            note = encode(noted(checkpoint, signer.public, signer.sign(checkpoint.message())))
        changed = msgspec.structs.replace(event, number=place, entry=numbers[event.entry], note=note)
        link = chain.link(link, changed)
        made.append(msgspec.structs.replace(changed, link=link))
    return made


def rewritten(
    event: Event, request: dict[str, Any] | None = None, by: bytes | None = None, **others: Any
) -> Event:
    """Return an intent with another request or other signed bytes, with its digests as they must be."""
    before, statement = parts_of(event.body or b"")
    asks = before if request is None else encode(request)
    signs = statement if by is None else by
    note = {name: value for name, value in decode(event.note).items() if name != "signed"}
    body = body_of(asks, signs)
    return msgspec.structs.replace(
        event,
        note=encode({**note, **digests_of(asks, signs)}),
        body=body,
        digest=chain.digest(body),
        **others,
    )


# ---- where a journal is ----


def into_file(path: Path, events: Sequence[Event]) -> None:
    """Put other events into a journal's file."""
    database = sqlite3.connect(path)
    database.execute("delete from events")
    database.executemany(INSERT, [msgspec.structs.astuple(event) for event in events])
    database.commit()
    database.close()


def into_export(path: Path, journal: str, events: Sequence[Event]) -> None:
    path.write_bytes(b"".join(line + b"\n" for line in export.lines(journal, events)))
