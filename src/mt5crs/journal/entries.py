"""An entry of the journal: a trade request and what is known of it."""

from typing import Any

from msgspec import Raw, Struct
from msgspec.msgpack import Decoder, Encoder

from mt5crs.journal.chain import Event, digest
from mt5crs.journal.states import NEXT, State, Step, is_step
from mt5crs.model import REQUEST_DEFAULTS, OrderSendResult

encode = Encoder(order="deterministic").encode
"""Bytes of a body or a note; the same for equal values."""
decode = Decoder().decode

REQUEST, SIGNED = "request", "signed"
"""What an intent's note has the digests of: the request, and the bytes that its client signed."""
_parts = Decoder(tuple[Raw, bytes]).decode

NOTHING_NOTED: dict[str, Any] = {}
CORE = ("retcode", "deal", "order", "volume", "price")
"""The fields of a result that are kept for good."""


class Entry(Struct, gc=False):
    """A trade request and what is known of it.

    Attributes:
        number: Counts the journal's events; this is the first of its own. account: `login@server`. principal:
        Who asked. key: The idempotency key. at: When it was begun; nanoseconds since the epoch, UTC. digest:
        Of the request. request: Its fields as they were sent; None once they were dropped. note: What was
        noted with the intent: `tagged`, `after`, `vague`. state: What is known. since: When that became so.
        outcome: What was noted with it: the core of a result, `code` and `text` of the terminal's error,
        `how`. result: The whole result, where it was recorded and not dropped yet.
    """

    number: int
    account: str
    principal: str
    key: str
    at: int
    digest: bytes
    request: dict[str, Any] | None
    note: dict[str, Any]
    state: State = State.SENT
    since: int = 0
    outcome: dict[str, Any] = NOTHING_NOTED
    result: list[Any] | None = None

    @classmethod
    def of(cls, events: list[Event]) -> "Entry":
        """Return the entry that events tell of: its first one, then what became of it."""
        first = events[0]
        note = decode(first.note)
        asked = note.pop(REQUEST)
        note.pop(SIGNED, None)
        entry = cls(
            first.number,
            first.account or "",
            first.principal or "",
            first.key or "",
            first.at,
            asked,
            None if first.body is None else decode(first.body)[0],
            note,
            since=first.at,
        )
        for event in events[1:]:
            if is_step(entry.state, Step(event.step)):  # of two that came at once the first one counts
                body = None if event.body is None else decode(event.body)
                entry.take(Step(event.step), event.at, decode(event.note), body)
        return entry

    def after(self, step: Step) -> State:
        """Return the state after a step that can follow."""
        return NEXT[self.state, step]

    def take(self, step: Step, at: int, note: dict[str, Any], body: Any) -> None:
        """Take a step."""
        self.state = self.after(step)
        self.since = at
        self.outcome = note
        self.result = body

    def answer(self) -> list[Any] | None:
        """Return the result as `order_send` gives it, from what is kept; None where there is none."""
        if self.result is not None:
            return self.result
        if "retcode" not in self.outcome:
            return None
        core = {name: self.outcome[name] for name in CORE}
        fields = {
            **dict.fromkeys(OrderSendResult.__match_args__, 0),
            **core,
            "bid": 0.0,
            "ask": 0.0,
            "comment": "",
        }
        asked = self.request or {}
        fields["request"] = [asked.get(name, default) for name, default in REQUEST_DEFAULTS.items()]
        return [fields[name] for name in OrderSendResult.__match_args__]


def body_of(request: bytes, signed: bytes) -> bytes:
    """Return the body of an intent.

    Args:
        request: The request, encoded.
        signed: The signature and the statement, as the client sent them; empty where it does not sign.
    """
    return encode((Raw(request), signed))


def parts_of(body: bytes) -> tuple[bytes, bytes]:
    """Return the request, encoded, and what its client signed; see `body_of`.

    Raises:
        MsgspecError: It is not the body of an intent.
    """
    request, signed = _parts(body)
    return bytes(request), signed


def digests_of(request: bytes, signed: bytes) -> dict[str, Any]:
    """Return what an intent's note keeps for good of its body."""
    return {REQUEST: digest(request), SIGNED: digest(signed)} if signed else {REQUEST: digest(request)}


def core_of(result: list[Any]) -> dict[str, Any]:
    """Return what is kept for good of a result."""
    fields = dict(zip(OrderSendResult.__match_args__, result, strict=True))
    return {name: fields[name] for name in CORE}
