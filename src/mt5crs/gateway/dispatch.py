"""From a frame to an answer, without a socket: what the gateway does with each message.

One terminal, many connections. A connection is named by its routing id; the principal is who the transport
authenticated, given anew with each frame.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, ClassVar

from mt5crs._version import __version__
from mt5crs.api import OPERATIONS
from mt5crs.arguments import KEY_LENGTH, ArgumentError
from mt5crs.arguments import key as checked_key
from mt5crs.errors import (
    BadArguments,
    BadSignature,
    BridgeError,
    Denied,
    Expired,
    GatewayFault,
    KeyRefused,
    ProtocolError,
    StaleEpoch,
    TooLarge,
    UnknownOperation,
    VersionMismatch,
)
from mt5crs.gateway.access import Access
from mt5crs.gateway.desk import Desk
from mt5crs.gateway.drain import InHand
from mt5crs.gateway.held import Held
from mt5crs.gateway.operations import Caller, Operations
from mt5crs.gateway.signatures import Bound, Signatures
from mt5crs.gateway.transfers import Frames, Transfer, Transfers
from mt5crs.operation import Kind, Operation, Result, Unasked
from mt5crs.release import is_id, release
from mt5crs.security.policy import Principal
from mt5crs.terminal.port import Deferred, TerminalPort
from mt5crs.wire.codec import encode, join, part_to_gateway, refusal, to_gateway
from mt5crs.wire.greeting import HELLO, OK_FROM_MT5
from mt5crs.wire.messages import (
    MANY_LIMIT,
    PROTOCOL,
    REPLY_LIMIT,
    REQUEST_LIMIT,
    SPEAKS,
    WINDOW,
    Ask,
    Cancel,
    Credit,
    Head,
    Hello,
    Many,
    Ping,
    Pong,
    Receipt,
    Reply,
    Signed,
    ToGateway,
    Welcome,
)
from mt5crs.wire.packing import ZSTD, can_pack

log = logging.getLogger(__name__)

PEERS = 4096
"""Connections that are remembered; the one that was greeted first is forgotten first."""
IDLE = 3600.0
"""Seconds after which a silent connection is forgotten; its client greets again when it comes back."""
PATIENCE = 0.5
"""Seconds after which the rest of a `Many` is refused: everybody else waits for it."""
RECENT = 60.0
"""Seconds without a word after which a connection is not counted among the clients: it may be gone."""
RELEASES = 16
"""Releases that are told of at most; nobody makes the answers of all others long."""
UNKNOWN = "unknown"
"""Stands for the release of a client that did not tell one."""
NAME_LENGTH = 128
VERSIONS_SHOWN = 8
"""Protocol versions of a peer that it is told of at most, where none of them is ours."""
WATCHES_PER_HELLO = 1024
HEADS_PER_HELLO = 64

NOTHING: Frames = []


class _Peer:
    """A connection that was greeted."""

    __slots__ = ("holder", "packs", "principal", "release", "seen")

    def __init__(self, principal: Principal, holder: str, seen: float, packs: str, release: str) -> None:
        self.principal = principal
        self.holder = holder
        self.seen = seen
        self.packs = packs  # how it wants arrays packed
        self.release = release  # that its client runs


class Dispatch:
    """What the gateway does with frames.

    Args:
        terminal: The terminal that operations reach.
        stream_port: Where streams are published, for greetings.
        epoch: This gateway process; a random number without it.
        desk: What stands before the terminal; one with a journal in memory without it.
        access: Knows whose keys are known, on a gateway with keys.
        gateway: The gateway's public signing key; empty without keys.

    Attributes:
        transfers: Arrays on their way; the driver sends their chunks.
        held: What the terminal answers later; the driver sends what is ready of it.
        counters: How often what happened, by name.
    """

    def __init__(
        self,
        terminal: TerminalPort,
        *,
        stream_port: int = 0,
        epoch: int = 0,
        desk: Desk | None = None,
        access: Access | None = None,
        gateway: bytes = b"",
    ) -> None:
        self._terminal = terminal
        self._desk = desk or Desk(terminal)
        self._operations = self._desk.operations
        self._awaited = self._desk.guard.awaited
        self.stream_port = stream_port
        self.epoch = epoch or int.from_bytes(os.urandom(6), "big") + 1
        self.transfers = Transfers()
        self.held = Held()
        self.counters = self._desk.counters
        self._signatures: Signatures | None = None
        if access is not None and gateway:
            bound = Bound(gateway, self._desk.account, self.epoch)
            self._signatures = Signatures(access, bound, self._desk.clock)
        self._peers: dict[bytes, _Peer] = {}  # in the order of their greetings

    # ---- frames ----

    def handle(self, peer: bytes, principal: Principal, frame: bytes, now: float) -> Frames:
        """Take a frame; return the frames of the one message that answers it, none where nothing does.

        Args:
            peer: The connection's routing id.
            principal: Who the transport authenticated.
            frame: What came.
            now: Seconds on the gateway's monotonic clock.
        """
        if self._awaited and principal.name in self._awaited:
            self._desk.guard.heard(principal.name, now)
        if frame == HELLO:
            self.counters["hello"] += 1
            return [OK_FROM_MT5]
        if len(frame) > REQUEST_LIMIT:
            hint = f"{REQUEST_LIMIT} bytes are the most for a request"
            return self._refuse(TooLarge(f"a message of {len(frame)} bytes", hint=hint))
        return self._one(peer, principal, to_gateway, frame, now, None)

    def _one(
        self,
        peer: bytes,
        principal: Principal,
        decode: Callable[[Any], ToGateway],
        encoded: Any,
        now: float,
        room: int | None,
    ) -> Frames:
        """Handle one message; `room` is what its answer may add to that of the `Many` in which it came."""
        id_ = 0
        try:
            message = decode(encoded)
            if type(message) is Ask:
                id_ = message.id
                return self._ask(peer, principal, message, now, room)
            if type(message) is Many:
                return self._many(peer, principal, message, encoded, now, room)
            if type(message) is Signed:
                id_ = message.id
                if self._signatures is None:
                    raise BadSignature("this gateway has no keys, and takes no signatures")
                ask = self._signatures.take(message, principal)
                return self._ask(peer, principal, ask, now, room, message.content)
            if type(message) is Hello:
                return self._hello(peer, principal, message, now, is_alone=room is None)
            return self._HANDLERS[type(message)](self, peer, principal, message, now)
        except BridgeError as error:
            self._desk.refused(principal.name, error)
            return self._refuse(error, id_)
        except Exception:  # a defect of ours must cost its own request only
            log.exception("defect while handling a message")
            return self._refuse(GatewayFault("the gateway failed while it held this request"), id_)

    def shut_out(self, frame: bytes) -> Frames:
        """Refuse what comes on a connection whose key is not known any more, whatever it is."""
        error = KeyRefused("the key of this connection is not known any more")
        try:
            message = to_gateway(frame)
        except BridgeError:
            return self._refuse(error)
        ids = [getattr(message, "id", 0)]
        if type(message) is Many:
            ids = [getattr(each, "id", 0) for each in _parts(message, frame)]
        answers = [self._refuse(error, id_)[0] for id_ in ids]
        return answers if len(answers) == 1 else [join(answers)]

    def _refuse(self, error: BridgeError, id_: int = 0) -> Frames:
        self.counters[error.code] += 1
        return [encode(refusal(id_, error))]

    def forget(self, peer: bytes) -> None:
        """Note that a connection is gone."""
        self.transfers.drop_peer(peer)
        self.held.drop_peer(peer)
        gone = self._peers.pop(peer, None)
        if gone is not None and all(other.holder != gone.holder for other in self._peers.values()):
            self._operations.end(gone.holder)

    def look(self, by_id: Mapping[str, Principal]) -> None:
        """Let go of the connections and orders of those who are shut out, or are somebody else now."""
        self._desk.orders.shut_out({principal.name for principal in by_id.values()})
        for peer, known in list(self._peers.items()):
            if by_id.get(known.principal.key_id) is not known.principal:
                self.forget(peer)
        # Nobody knows whose those are that never introduced themselves; they can ask again.
        for peer in (self.transfers.peers() | self.held.peers()) - self._peers.keys():
            self.transfers.drop_peer(peer)
            self.held.drop_peer(peer)

    def sweep(self, now: float) -> None:
        """Forget connections that have been silent for long, and what nobody takes in or waits for."""
        self.transfers.sweep()
        self.held.sweep(now)
        for peer in [peer for peer, known in self._peers.items() if now - known.seen > IDLE]:
            self.forget(peer)

    def state(self, *, is_admin: bool = False) -> dict[str, Any]:
        """Return how the gateway is, for pongs and beats."""
        software, utc = f"mt5crs/{__version__}", round(time.time(), 3)
        return {"software": software, "utc": utc, **self._desk.state(is_admin=is_admin)}

    # ---- time ----

    @property
    def is_waiting(self) -> bool:
        """Whether orders wait for `flush`."""
        return self._desk.orders.is_waiting

    def flush(self, now: float) -> None:
        """Carry on the orders that came: when nothing else has come, and after the terminal's turn."""
        self._desk.orders.flush(now)

    def pass_time(self, now: float) -> float:
        """Look after what nobody answers; return the seconds until that is worth doing again."""
        return self._desk.pass_time(now)

    # ---- the end ----

    def rest(self) -> None:
        """Begin nothing by time alone any more."""
        self._desk.rest()

    def in_hand(self) -> InHand:
        """Return what is to be finished before the gateway stops."""
        return InHand(
            orders=self._desk.orders.under_way,
            answers=len(self.held.waiting) + len(self.held.ready),
            arrays=self.transfers.under_way,
            news=int(self._desk.trades.is_looking),
            chunks=self.transfers.sent,
        )

    def only_credit(self, peer: bytes, frame: bytes) -> None:
        """Take what arrays on their way need, and nothing else: for its client all else has not come."""
        try:
            message = to_gateway(frame)
            parts = _parts(message, frame) if type(message) is Many else [message]
        except BridgeError:
            return
        for part in parts:
            if type(part) is Credit:
                self.transfers.grant(peer, part.id, min(part.chunks, WINDOW))
            elif type(part) is Cancel:
                self.transfers.drop(peer, part.id)
                self.held.drop(peer, part.id)

    # ---- messages ----

    def _many(
        self, peer: bytes, principal: Principal, many: Many, frame: bytes, now: float, room: int | None
    ) -> Frames:
        """Handle the messages of a frame one after the other, each as if it had come alone."""
        if room is not None:
            raise ProtocolError("a Many inside of a Many")
        if len(many.messages) > MANY_LIMIT:
            raise TooLarge(
                f"{len(many.messages)} messages in one frame", hint=f"{MANY_LIMIT} are the most for a Many"
            )
        answers: list[bytes] = []
        room, began = REPLY_LIMIT, time.monotonic()
        decode = partial(part_to_gateway, frame=frame)
        for part in many.messages:
            if time.monotonic() - began > PATIENCE:
                room = 0  # others wait: what is left is refused as too much for one frame
            answer = self._one(peer, principal, decode, part, now, room)
            if answer:
                answers += answer
                room -= len(answer[0])
        return [join(answers)] if answers else NOTHING

    def _hello(
        self, peer: bytes, principal: Principal, message: Hello, now: float, *, is_alone: bool
    ) -> Frames:
        if len(message.client) > NAME_LENGTH or len(message.software) > NAME_LENGTH:
            raise BadArguments(f"a client's name of more than {NAME_LENGTH} characters")
        common = sorted(set(message.speaks) & set(SPEAKS))
        if not common:
            software = "".join(each if each.isprintable() else "?" for each in message.software)
            raise VersionMismatch(
                f"{software} speaks protocol {_shown(message.speaks)}, this gateway {_shown(SPEAKS)}",
                hint="upgrade the client"
                if max(message.speaks, default=0) < PROTOCOL
                else "upgrade the gateway",
            )
        holder = f"{principal.name}/{message.client}"
        known = self._peers.get(peer)
        if known is not None and known.holder != holder:
            self.forget(peer)
        if peer not in self._peers and len(self._peers) >= PEERS:
            self.forget(self._surplus())
        packs = ZSTD if ZSTD in message.packs and can_pack() else ""
        runs = message.release if is_id(message.release) else ""
        self._peers[peer] = _Peer(principal, holder, now, packs, runs)
        for kind, symbol in sorted(set(message.watches))[:WATCHES_PER_HELLO]:
            self._operations.watch_again(holder, kind, symbol, now)
        self.counters["welcome"] += 1
        welcome = Welcome(
            common[-1],
            f"mt5crs/{__version__}",
            self.epoch,
            int(now * 1000),
            self._terminal.name,
            self.stream_port,
            self._desk.account,
            self._desk.journal,
            self._desk.holds(message.heads[:HEADS_PER_HELLO]),
            packs,
            release() if common[-1] >= PROTOCOL and is_alone else "",  # else in the form of the old protocol
        )
        return [encode(welcome)]

    def _surplus(self) -> bytes:
        """Return the oldest connection of whoever has the most of them: nobody pushes others out."""
        most = Counter(known.principal.name for known in self._peers.values()).most_common(1)[0][0]
        return next(peer for peer, known in self._peers.items() if known.principal.name == most)

    def _ask(
        self,
        peer: bytes,
        principal: Principal,
        ask: Ask,
        now: float,
        room: int | None,
        signed: bytes = b"",
    ) -> Frames:
        op = OPERATIONS.get(ask.op)
        if op is None:
            raise UnknownOperation(f"there is no operation {ask.op[:64]!r}", hint="see docs/protocol.md")
        holder = principal.name
        if ask.epoch:
            known = self._peers.get(peer)
            # A routing id can change hands: what was greeted by one key is nothing to another.
            if ask.epoch != self.epoch or known is None or known.principal is not principal:
                raise StaleEpoch("this gateway process has not been greeted on this connection")
            known.seen = now
            holder = known.holder
        if ask.deadline and now * 1000 > ask.deadline:
            late = now * 1000 - ask.deadline
            raise Expired(f"{op.name} came {late:.0f} ms after its deadline, and was not carried out")
        if op.kind not in principal.kinds:
            raise Denied(
                f"{principal.name} is {principal.role.value} and may not {op.name}",
                hint="ask the gateway's owner for a key with another role",
            )
        self._desk.rates.take(principal.name, op.kind, now)
        if op.is_signed and not signed and self._signatures is not None:
            raise BadSignature(f"{op.name} is not signed", hint="this gateway wants it signed with your key")
        if op.is_trade and signed and not ask.key:  # what proves it later would name none
            raise BadArguments(f"{op.name} is signed without an idempotency key")
        if ask.key:
            _check_key(ask.key)
        if room is not None and room <= 0:
            raise TooLarge(
                f"{op.name}: what was asked before it fills a frame, or took {PATIENCE:g} s",
                hint="ask for less at once",
            )
        if self.held:
            if (peer, ask.id) in self.held:  # a network can double a frame
                return NOTHING
            self.held.make_room(peer)
        try:
            wire = op.accept(ask.args)
        except ArgumentError as error:
            return [encode(Reply(ask.id, op.misuse, *error.error))]
        except (TypeError, SystemError) as error:
            raise BadArguments(f"{op.name}: {error.__cause__ or error}") from error
        until = ask.deadline / 1000 if ask.deadline else inf
        if op.name in Operations.OWN:
            caller = Caller(
                principal.name, holder, ask.key, until, now, principal.kinds, signed, principal.streams
            )
            result = self._operations.carry_out(op, wire, caller)
        else:
            result = self._terminal.call(op, wire, until)
        self.counters[op.kind] += 1
        if isinstance(result, Deferred):
            if result.result is None:
                expires = min(until, now + IDLE)
                self.held.add(peer, ask.id, expires, result, partial(self._answer_late, peer, ask, op))
                return NOTHING
            result = result.result
        return self._answer(peer, ask, op, result, is_alone=room is None)

    def _answer(
        self, peer: bytes, ask: Ask, op: Operation[..., Any], result: Result, *, is_alone: bool
    ) -> Frames:
        if type(result) is Unasked:
            return self._refuse(result.failure, ask.id)
        value, (code, text) = result
        if op.is_trade:
            return [encode(Receipt(ask.id, value, code, text, *self._desk.head))]
        if op.array is None or value is None:
            return [encode(Reply(ask.id, value, code, text))]
        return self._begin(peer, ask, op, result, is_alone=is_alone)

    def _answer_late(self, peer: bytes, ask: Ask, op: Operation[..., Any], result: Result) -> Frames:
        try:
            return self._answer(peer, ask, op, result, is_alone=True)
        except BridgeError as error:
            return self._refuse(error, ask.id)

    def _begin(
        self, peer: bytes, ask: Ask, op: Operation[..., Any], result: Result, *, is_alone: bool
    ) -> Frames:
        """Return the head of an array and its first rows; the rest is sent as the client's credit allows.

        In a `Many` no rows can follow the head: all of them are sent as credit allows.
        """
        value, (code, text) = result
        assert op.array is not None  # noqa: S101 - the caller asked
        head = Head(ask.id, op.array.name, len(value), code, text)
        if not len(value):
            return [encode(head)]
        rows = value.view("u1").data
        if ask.credit <= 0:
            if not is_alone:
                raise BadArguments(
                    f"{op.name}: an array is not given in a Many", hint="give credit for chunks, or ask alone"
                )
            if len(rows) > REPLY_LIMIT:
                raise TooLarge(
                    f"{op.name}: {len(value)} rows are more than one message holds",
                    hint="ask for a shorter range, or give credit for chunks (see docs/protocol.md)",
                )
            return [encode(head), rows]
        known = self._peers.get(peer)
        packs = known.packs if known is not None else ""
        transfer = Transfer(peer, ask.id, rows, op.array, min(ask.credit, WINDOW), packs)
        self.transfers.drop(peer, ask.id)
        head.packed = transfer.packed
        frames = [encode(head), transfer.take()] if is_alone else [encode(head)]
        self.transfers.add(transfer)
        return frames

    def _ping(self, peer: bytes, principal: Principal, message: Ping, now: float) -> Frames:
        known = self._peers.get(peer)
        if known is not None:
            known.seen = now
        in_hand = [*self.transfers.in_hand(peer), *self.held.in_hand(peer)]
        state = self.state(is_admin=Kind.ADMIN in principal.kinds)
        state |= {"release": release(), "clients": self._clients(now)}
        pong = Pong(message.id, self.epoch, int(now * 1000), in_hand, state)
        return [encode(pong)]

    def _clients(self, now: float) -> dict[str, int]:
        """Return how many clients run which release, of those that were heard of of late."""
        running = {known.holder: known.release for known in self._peers.values() if now - known.seen < RECENT}
        return dict(Counter(each or UNKNOWN for each in running.values()).most_common(RELEASES))

    def _credit(self, peer: bytes, principal: Principal, message: Credit, now: float) -> Frames:
        self.transfers.grant(peer, message.id, min(message.chunks, WINDOW))
        return NOTHING

    def _cancel(self, peer: bytes, principal: Principal, message: Cancel, now: float) -> Frames:
        self.transfers.drop(peer, message.id)
        self.held.drop(peer, message.id)
        return NOTHING

    _HANDLERS: ClassVar[dict[type, Callable[["Dispatch", bytes, Principal, Any, float], Frames]]] = {
        Ping: _ping,
        Credit: _credit,
        Cancel: _cancel,
    }


def _check_key(key: str) -> None:
    try:
        checked_key(key)
    except ArgumentError as error:
        raise BadArguments(
            f"an idempotency key of {len(key)} characters",
            hint=f"1 to {KEY_LENGTH} printable characters make one",
        ) from error


def _parts(many: Many, frame: bytes) -> list[ToGateway | None]:
    """Return the messages of a `Many`, None for what is none."""
    return [_part(part, frame) for part in many.messages[:MANY_LIMIT]]


def _part(encoded: Any, frame: bytes) -> ToGateway | None:
    try:
        return part_to_gateway(encoded, frame)
    except BridgeError:
        return None


def _shown(speaks: Sequence[int]) -> str:
    """Return the protocols that a peer speaks, in few words whatever it says."""
    more = "" if len(speaks) <= VERSIONS_SHOWN else f" and {len(speaks) - VERSIONS_SHOWN} more"
    return (", ".join(map(str, speaks[:VERSIONS_SHOWN])) or "none") + more
