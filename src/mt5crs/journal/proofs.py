"""What a journal proves: one pass over its events, whose length costs no memory.

The chain shows whatever was changed by somebody who did not make it anew. Against who did there are three
kinds of evidence that the file alone does not make: the gateway's checkpoints, which need its key; the
signatures of clients, which need theirs; and heads that somebody kept elsewhere.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple

import msgspec
from msgspec.msgpack import Decoder

from mt5crs.api import OPERATIONS
from mt5crs.arguments import ArgumentError
from mt5crs.errors import BadSignature, SettingError
from mt5crs.heads import Head
from mt5crs.journal import checkpoints
from mt5crs.journal.chain import Chain, Event, start
from mt5crs.journal.entries import REQUEST, SIGNED, digests_of, encode, parts_of
from mt5crs.journal.states import NoticeKind, Step
from mt5crs.journal.store import KEEP
from mt5crs.principals import GUARD
from mt5crs.statement import Statement

TOLD = 20
"""Places that are named; further ones are counted."""
ORDER_SEND = OPERATIONS["order_send"]
SWITCHED = {NoticeKind.KILL.value: ("name", "close", "why"), NoticeKind.RESUME.value: ("name",)}
"""What a notice of the kill switch tells of the arguments of its operation, in their order."""
_statement = Decoder(Statement).decode
_note = Decoder(dict[str, Any]).decode
_unreadable = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)


class Signatures(NamedTuple):
    """How signatures are checked.

    Attributes:
        length: Bytes of a signature, which stands before what is signed.
        opened: Returns what is signed, given both and a public key; raises `BadSignature`.
    """

    length: int
    opened: Callable[[bytes, bytes], bytes]


class Pins(NamedTuple):
    """The public keys that are known from elsewhere.

    Attributes:
        gateways: The gateway's signing keys: today's, and those before it.
        signers: The clients' signing keys, by the client's name ("" for any) and the key's id.
    """

    gateways: frozenset[bytes] = frozenset()
    signers: Mapping[tuple[str, str], bytes] = {}

    def signer(self, principal: str, key: str) -> bytes | None:
        """Return the public key of a client."""
        return self.signers.get((principal, key)) or self.signers.get(("", key))

    def names(self, principal: str) -> bool:
        """Whether all keys of a client are known."""
        return any(name == principal for name, _ in self.signers)


class Proof:
    """Follows a journal's events; afterwards its attributes say what they prove, and what not.

    Args:
        journal: The journal's id.
        signatures: How signatures are checked; None where they cannot be.
        pins: The keys that are known from elsewhere.
        heads: Where the journal is known to have ended at some times.
        is_new: Whether an idempotency key did not come before.

    Attributes:
        journal: The journal's id.
        faults: What is wrong, with the place, the first `TOLD` of it.
        wrong: How much is.
        chain: The chain.
        checkpoints: How many checkpoints hold.
        keys: The keys that signed them.
        covered: The number of the last one.
        unproved: How many events stand behind it, and behind the last head that holds, that no client signed.
        signed: How many requests were found to be signed by their clients.
        unchecked: How many are signed by keys that are not known, by client and id of the key.
        unsigned: How many requests came without a signature before there were checkpoints.
        own: How many are the gateway's own.
        dropped: How many bodies were dropped.
        heads: How many heads hold.
        until: The number of the last event that a head holds.
        foreign: How many heads are of other journals, and so prove nothing.
    """

    def __init__(
        self,
        journal: str,
        *,
        signatures: Signatures | None,
        pins: Pins,
        heads: Iterable[Head],
        is_new: Callable[[bytes], bool],
    ) -> None:
        self.faults: list[str] = []
        self.wrong = 0
        self.chain = Chain(journal)
        self.checkpoints = self.covered = self.unproved = 0
        self.keys: set[bytes] = set()
        self.signed = self.unsigned = self.own = 0
        self.unchecked: Counter[tuple[str, str]] = Counter()
        self.dropped = 0
        self.heads = self.until = self.foreign = 0
        self.journal = journal
        self._signatures = signatures
        self._pins = pins
        self._is_new = is_new
        self._announced = 0  # bodies of which notices say that they were dropped
        self._bare: Event | None = None  # the latest one without its body, of which no notice says so yet
        self._pruned_by: Event | None = None  # a notice of it whose checkpoint is due
        self._rewritten = 0  # the first event of which a head says that it is another one
        self._pending: dict[int, set[bytes]] = {}
        for head in heads:
            if head.journal == journal:
                self._pending.setdefault(head.events, set()).add(head.link)
            else:
                self.foreign += 1
        self._compare(0, start(journal))

    def take(self, event: Event) -> None:
        """Take the next event."""
        before = self.chain.number, self.chain.link
        for fault in self.chain.take(event):
            self.add(fault)
        if not self.chain.is_readable:
            return
        self._compare(event.number, event.link)
        if self._pruned_by is not None and event.step != NoticeKind.CHECKPOINT.value:
            self._refuse_pruned()
        if event.was_dropped:
            self.dropped += 1
            if self._bare is None or event.at > self._bare.at:
                self._bare = event
        check, signed = self.CHECKS.get(event.step), self.signed
        if check is not None:
            check(self, event, before)
        if event.number in (self.covered, self.until):
            self.unproved = 0
        elif self.signed == signed:
            self.unproved += 1

    def end(self) -> None:
        """Say what shows at the end alone."""
        last = self.chain.number
        self._refuse_pruned()
        gone = max(self._pending, default=0) - last
        if gone > 0:
            self.add(
                f"{gone} event{'s' * (gone > 1)} that a kept head knows {'were' if gone > 1 else 'was'}"
                f" cut off after event {last}"
            )
        if self._rewritten:
            kept = f"; up to event {self.until} it is as it was kept" if self.until else ""
            self.add(f"the journal was rewritten before event {self._rewritten}, as a kept head shows{kept}")
        if self._bare is not None:
            self.add(f"the body of event {self._bare.number} was dropped, and no notice says so")
        elif self.dropped > self._announced:
            self.add(f"{self.dropped} bodies were dropped, and notices tell of {self._announced}")
        if self._pins.gateways and last and not self.checkpoints:
            self.add("no checkpoint is signed by the gateway's key")

    def add(self, fault: str) -> None:
        """Add something that is wrong."""
        self.wrong += 1
        if len(self.faults) < TOLD:
            self.faults.append(fault)

    # ---- heads ----

    def _compare(self, number: int, link: bytes) -> None:
        """Compare an event with what was kept of it."""
        kept = self._pending.pop(number, None)
        if kept is None:
            return
        if kept != {link}:
            self._rewritten = self._rewritten or number
        elif not self._rewritten:
            self.until = number
            self.heads += 1

    # ---- requests ----

    def _request(self, event: Event, before: tuple[int, bytes]) -> None:
        name = f"the request of event {event.number}"
        if not self._is_new(sha256(encode((event.account, event.principal, event.key))).digest()):
            self.add(f"{name} has the key of an earlier one")
        note = _noted(event)
        signed = b""
        if event.body is not None:
            try:
                request, signed = parts_of(event.body)
                is_whole = digests_of(request, signed).items() <= note.items()
            except _unreadable:
                is_whole, request = False, b""
            if not is_whole or (SIGNED in note) != bool(signed):
                self.add(f"{name} is not what its note has the digests of")
            elif signed:
                self._statement(event, request, signed)
        elif not isinstance(note.get(REQUEST), bytes):
            self.add(f"{name} was dropped, and its digest too")
        if signed or SIGNED in note:
            return
        if event.principal == GUARD:
            self.own += 1
        elif self.checkpoints:
            self.add(f"{name} was made up, or its signature was taken away: the gateway had keys by then")
        else:
            self.unsigned += 1

    def _statement(self, event: Event, request: bytes, signed: bytes) -> None:
        """Compare a request with what its client signed."""
        name = f"the request of event {event.number}"
        if self._signatures is None:
            self._skip(event.principal or "", "")
            return
        try:
            statement = _statement(signed[self._signatures.length :])
            asked = encode(ORDER_SEND.accept(statement.args)[0])
        except (*_unreadable, ArgumentError, SystemError):
            self.add(f"{name} is not what its client signed: that is no order")
            return
        parts = {
            "operation": statement.op == ORDER_SEND.name,
            "key": statement.key == event.key,
            "arguments": asked == request,
        }
        self._check(event, name, signed, statement, parts)

    def _switch(self, event: Event, before: tuple[int, bytes]) -> None:
        """Compare what an admin did to the kill switch with what they signed; an operator signs nothing."""
        note = _noted(event)
        signed = note.pop(SIGNED, b"")
        if not signed or self._signatures is None:
            return
        name = f"the {event.step} of event {event.number}"
        try:
            statement = _statement(signed[self._signatures.length :])
            op = OPERATIONS[event.step]
            told = dict(zip(SWITCHED[event.step], op.accept(statement.args), strict=True))
        except (*_unreadable, ArgumentError, SystemError):
            self.add(f"{name} is not what was signed: that is no {event.step}")
            return
        parts = {"operation": statement.op == event.step, "arguments": told == note}
        self._check(event, name, signed, statement, parts)

    def _check(
        self, event: Event, name: str, signed: bytes, statement: Statement, parts: dict[str, bool]
    ) -> None:
        """See that something was signed by who it is said to be from, for this account and gateway."""
        signatures = self._signatures
        assert signatures is not None  # noqa: S101 - the callers asked
        principal, signer = event.principal or "", statement.signer
        parts["account"] = statement.account == event.account
        parts["gateway"] = statement.gateway in (self._pins.gateways or self.keys or {statement.gateway})
        others = ", ".join(part for part, is_same in parts.items() if not is_same)
        if others:
            self.add(f"{name} is not what its client signed: other {others}")
            return
        public = self._pins.signer(principal, signer)
        if public is not None:
            try:
                signatures.opened(signed, public)
            except BadSignature:
                self.add(f"{name} is not signed by the key {signer} of {principal}")
            else:
                self.signed += 1
        elif self._pins.names(principal):
            self.add(f"{name} is signed by a key {signer}, which is none of those given for {principal}")
        else:
            self._skip(principal, signer)

    def _skip(self, principal: str, signer: str) -> None:
        """Count a request whose signature cannot be checked."""
        is_told = len(self.unchecked) < TOLD or (principal, signer) in self.unchecked
        self.unchecked[(principal, signer) if is_told else ("others", "")] += 1

    # ---- notices ----

    def _checkpoint(self, event: Event, before: tuple[int, bytes]) -> None:
        """See whether the gateway signed what stands before an event."""
        try:
            note = checkpoints.read(event.note)
        except _unreadable:
            self.add(f"event {event.number} is no checkpoint")
            return
        if (note.events, note.link, note.journal) != (*before, self.journal):
            since = f"event {self.covered}" if self.covered else "the start"
            self.add(
                f"what the checkpoint of event {event.number} signs is not what stands before it:"
                f" something was changed since {since}"
            )
        elif (note.account, note.time) != (event.account, event.at):
            self.add(f"the checkpoint of event {event.number} is of another account or time")
        elif self._pins.gateways and note.key not in self._pins.gateways:
            self.add(f"the checkpoint of event {event.number} is signed by {note.key.hex()}, not the gateway")
        elif not self._is_signed(note):
            self.add(f"the checkpoint of event {event.number} is not signed by {note.key.hex()}")
        else:
            self.checkpoints += 1
            self.covered = event.number
            if len(self.keys) < TOLD:
                self.keys.add(note.key)
            if self._pruned_by is not None and self._pruned_by.at == event.at:
                self._announce(self._pruned_by)
                self._pruned_by = None
        self._refuse_pruned()

    def _is_signed(self, note: checkpoints.Note) -> bool:
        if self._signatures is None:
            return True
        message = note.checkpoint.message()
        try:
            return self._signatures.opened(note.signature + message, note.key) == message
        except BadSignature:
            return False

    def _pruned(self, event: Event, before: tuple[int, bytes]) -> None:
        """Believe a notice of dropped bodies, once there are checkpoints only with the one made with it.

        Who cannot sign can append a notice, but cannot have the gateway sign at its very moment.
        """
        told = _noted(event)
        bodies, limit = told.get("bodies"), told.get("before")
        if not isinstance(bodies, int) or not isinstance(limit, int):
            self.add(f"event {event.number} does not say what was dropped")
        elif not self.checkpoints:
            self._announce(event)
        elif event.at - limit < int(KEEP * 1e9):
            self.add(f"event {event.number} says that bodies were dropped before they were old enough")
        else:
            self._pruned_by = event

    def _announce(self, event: Event) -> None:
        """Take bodies for dropped by the gateway, as a notice says."""
        told = _noted(event)
        self._announced += told["bodies"]
        if self._bare is not None and self._bare.at < told["before"]:
            self._bare = None

    def _refuse_pruned(self) -> None:
        """Say that a notice of dropped bodies stands without its checkpoint, where one does."""
        if self._pruned_by is not None:
            number, self._pruned_by = self._pruned_by.number, None
            self.add(f"event {number} says that bodies were dropped, and the gateway did not sign it")

    CHECKS: ClassVar[dict[str, Callable[["Proof", Event, tuple[int, bytes]], None]]] = {
        Step.BEGIN.value: _request,
        NoticeKind.CHECKPOINT.value: _checkpoint,
        NoticeKind.PRUNED.value: _pruned,
        NoticeKind.KILL.value: _switch,
        NoticeKind.RESUME.value: _switch,
    }


def prove(
    journal: str,
    events: Iterable[Event],
    *,
    signatures: Signatures | None,
    pins: Pins,
    heads: Iterable[Head],
    is_new: Callable[[bytes], bool],
) -> Proof:
    """Return what the events of a journal prove; see `Proof`."""
    proof = Proof(journal, signatures=signatures, pins=pins, heads=heads, is_new=is_new)
    try:
        for event in events:
            proof.take(event)
    except SettingError as error:  # a line of an export that is none is an alteration, too
        proof.add(error.message)
    proof.end()
    return proof


def _noted(event: Event) -> dict[str, Any]:
    """Return what an event notes; nothing where that cannot be read."""
    try:
        return _note(event.note)
    except _unreadable:
        return {}
