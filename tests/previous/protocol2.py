"""Protocol 2, FROZEN: its messages and codec as they were when protocol 3 came. Never to be edited.

A fleet is upgraded in stages, so what the release before spoke must go on being understood. That is proved
against this copy, and would be against nothing if the copy changed along with the code. It stands on its own
for the same reason: nothing of the package is imported. When protocol 4 comes, protocol 3 takes its place.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Raw, Struct
from msgspec.msgpack import Decoder, Encoder

PROTOCOL = 2
SPEAKS = (2,)
"""The protocol versions that this release understands, newest first."""

REQUEST_LIMIT = 64 * 1024
"""Bytes in one message to the gateway; what is larger is answered with `too-large`."""
HARD_LIMIT = 1024 * 1024
"""Bytes at which a gateway's socket drops the connection without reading further."""
REPLY_LIMIT = 4 * 1024 * 1024
"""Bytes of an array that a peer without credit (a REQ socket) is given, in one message."""
CHUNK = 512 * 1024
"""Bytes of an array in one message."""
WINDOW = 8
"""Chunks that a client lets the gateway send ahead."""
MANY_LIMIT = 256
"""Messages in one `Many`."""


class Message(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """What all messages have in common."""


# ---- both ways --------------------------------------------------------------------------------------


class Many(Message, tag="many"):
    """Several messages in one frame, each of which is dealt with as if it had come alone.

    The gateway answers with the answers in one `Many`. An array that is asked for in it needs credit: its
    `Head` comes in the `Many`, and all of its rows in chunks of their own.

    Attributes:
        messages: Messages of the same direction as they are, each decoded by itself; never a `Many`.
    """

    messages: list[Raw]


# ---- to the gateway ---------------------------------------------------------------------------------


class Hello(Message, tag="hello"):
    """Introduce a connection; answered by `Welcome`.

    Attributes:
        client: The client's own name for itself, the same on all its connections.
        software: Program and version, for the gateway's log.
        speaks: Protocol versions that the client understands.
        watches: What it watches (`symbol` or `book`, and the symbol): established again where needed.
        heads: Where journals ended that it knows: a journal's id, its number of events, the last one's link.
        packs: In which ways (`zstd`) it wants arrays packed from now on; none for rows as they are.
    """

    client: str
    software: str
    speaks: list[int]
    watches: list[tuple[str, str]] = []
    heads: list[tuple[str, int, bytes]] = []
    packs: list[str] = []


class Ask(Message, tag="ask"):
    """Ask for one operation; answered by `Reply`, `Head` or `Refusal`.

    Attributes:
        id: Correlation id.
        op: The operation's name.
        args: Its arguments: a place for each parameter.
        deadline: Milliseconds on the gateway's clock after which it is to be dropped; 0 for none.
        epoch: The gateway process that `deadline` and the connection's `Hello` belong to; 0 for any.
        key: Idempotency key of a trade.
        credit: Chunks that may be sent ahead; 0 asks for an array in one message.
    """

    id: int
    op: str
    args: list[Any]
    deadline: int = 0
    epoch: int = 0
    key: str = ""
    credit: int = 0


class Signed(Message, tag="signed"):
    """Ask for an operation, and prove who asks; answered as an `Ask` is.

    Attributes:
        id: Correlation id, that of the statement.
        content: The signature, 64 bytes, followed by what is signed: a `mt5crs.statement.Statement`.
    """

    id: int
    content: bytes


class Credit(Message, tag="credit"):
    """Allow more chunks of an array."""

    id: int
    chunks: int


class Cancel(Message, tag="cancel"):
    """Say that an answer is not waited for any more; not answered."""

    id: int


class Ping(Message, tag="ping"):
    """Ask how the gateway is; answered by `Pong`."""

    id: int


ToGateway: TypeAlias = Hello | Ask | Signed | Credit | Cancel | Ping | Many

# ---- to the client ----------------------------------------------------------------------------------


class Welcome(Message, tag="welcome"):
    """Answer a `Hello`.

    Attributes:
        protocol: The version that both sides speak from here on.
        software: Program and version of the gateway.
        epoch: This gateway process.
        clock: Milliseconds on the gateway's clock, for deadlines.
        terminal: `simulated` or `official`.
        stream_port: Where streams are published.
        account: The account that the terminal trades for, as `login@server`.
        journal: The id of the journal that keeps its orders; "" for one that ends with the gateway's process.
        whole: Whether that journal still has what the client's head of it says.
        packs: The way in which long arrays will be packed on this connection; "" for none.
    """

    protocol: int
    software: str
    epoch: int
    clock: int
    terminal: str
    stream_port: int
    account: str = ""
    journal: str = ""
    whole: bool = True
    packs: str = ""


class Reply(Message, tag="reply"):
    """The result of an operation and the terminal's `last_error` for it."""

    id: int
    value: Any
    code: int
    text: str


class Receipt(Message, tag="receipt"):
    """The result of a trade: a `Reply`, and where the journal that holds it ends.

    Attributes:
        id: As in `Reply`, as are the next three.
        value: The result.
        code: The terminal's error code.
        text: The terminal's error text.
        events: How many events the journal has; the outcome is one of them.
        link: The last event's link, which holds all events before it.
    """

    id: int
    value: Any
    code: int
    text: str
    events: int
    link: bytes


class Head(Message, tag="head"):
    """The result is an array of `rows` rows; a frame with its first rows follows where there are any.

    Attributes:
        id: Correlation id.
        array: The row layout.
        rows: How many rows the array has.
        code: The terminal's error code.
        text: The terminal's error text.
        packed: The way in which its frames of rows are packed; "" for rows as they are.
    """

    id: int
    array: str
    rows: int
    code: int
    text: str
    packed: str = ""


class Chunk(Message, tag="chunk"):
    """More rows of an array, from row `start` on; they follow as a frame."""

    id: int
    start: int


class Refusal(Message, tag="refusal"):
    """What was asked is not done, or could not be said to be; see `mt5crs.errors`.

    Attributes:
        id: Correlation id, 0 where the request could not be read.
        code: The error's wire code.
        message: What happened, to what.
        hint: What to do next.
        certainty: `refused`, `done` or `unknown`.
    """

    id: int
    code: str
    message: str
    hint: str
    certainty: str


class Pong(Message, tag="pong"):
    """How the gateway is.

    Attributes:
        id: The ping's id.
        epoch: This gateway process.
        clock: Milliseconds on the gateway's clock.
        in_hand: Ids of this connection that will still be answered.
        state: What else there is to know, by name.
    """

    id: int
    epoch: int
    clock: int
    in_hand: list[int]
    state: dict[str, Any]


ToClient: TypeAlias = Welcome | Reply | Receipt | Head | Chunk | Refusal | Pong | Many

# ---- on the stream ----------------------------------------------------------------------------------


class Batch(Message, tag="batch"):
    """Rows of a topic with a history, which follow as a frame of its row layout.

    Without rows (and without that frame) it says where the topic stands: to who has just subscribed, and
    when the topic has fallen quiet, so that a loss is noticed though nothing comes any more.

    Attributes:
        sequence: Counts the batches of the topic in this epoch, from 1; one without rows has the number of
            the one before it.
        epoch: The gateway process.
        clock: Milliseconds on the gateway's clock when it was published.
        place: After what in the topic's history the rows come: of ticks a second and how many ticks of it
            (see `mt5crs.cursors`), of bars the open time of the bar before and 0.
        rows: How many rows follow.
    """

    sequence: int
    epoch: int
    clock: int
    place: tuple[int, int]
    rows: int


class Events(Message, tag="events"):
    """What became of orders, deals and positions; without events, where the topic stands.

    Attributes:
        sequence: As in `Batch`, as are the next two.
        epoch: The gateway process.
        clock: Milliseconds on the gateway's clock when it was published.
        log: The id of the record whose events have these serial numbers; "" (with serial 0 and no events) to
            who has just subscribed and was granted it, but of which nothing is known yet.
        serial: The serial number of the last event before these.
        events: Fields of `mt5crs.model.TradeEvent`, event by event, one serial number after the other.
    """

    sequence: int
    epoch: int
    clock: int
    log: str
    serial: int
    events: list[list[Any]]


class Snapshot(Message, tag="snapshot"):
    """A state: the book of a symbol, or the account.

    Attributes:
        sequence: Counts the states of the topic in this epoch, from 1; one that is told again to who has
            just subscribed has the number that it had.
        epoch: The gateway process.
        clock: Milliseconds on the gateway's clock when it was published.
        value: Fields of an `AccountInfo`, or of each `BookInfo` of a book; None of the account, to who has
            just subscribed and was granted it, but of which nothing is known yet.
    """

    sequence: int
    epoch: int
    clock: int
    value: Any


class Beat(Message, tag="beat"):
    """The gateway's pulse, once a second; `state` as in `Pong`."""

    sequence: int
    epoch: int
    clock: int
    state: dict[str, Any]


OnStream: TypeAlias = Batch | Events | Snapshot | Beat

# ---- the codec --------------------------------------------------------------------------------------

MAGIC = b"MT5"
HEADER = MAGIC + bytes([PROTOCOL])
HEADER_LENGTH = len(HEADER)
_MANY = HEADER + b"\x92\xa4many"

_encode = Encoder().encode
_to_gateway: Callable[[Any], ToGateway] = Decoder(ToGateway).decode
_to_client: Callable[[Any], ToClient] = Decoder(ToClient).decode
_on_stream: Callable[[Any], OnStream] = Decoder(OnStream).decode


class VersionMismatch(Exception):
    """The frame is not one of this protocol."""


def encode(message: Message) -> bytes:
    return HEADER + _encode(message)


def _body(frame: bytes) -> bytes:
    if frame[:HEADER_LENGTH] != HEADER:
        raise VersionMismatch(frame[:HEADER_LENGTH])
    return frame[HEADER_LENGTH:]


def to_gateway(frame: bytes) -> ToGateway:
    return _to_gateway(_body(frame))


def to_client(frame: bytes) -> ToClient:
    return _to_client(_body(frame))


def part_to_client(part: Raw) -> ToClient:
    return _to_client(part)


def on_stream(frame: bytes) -> OnStream:
    return _on_stream(_body(frame))


def join(frames: Sequence[bytes]) -> bytes:
    bodies = [frame[HEADER_LENGTH:] for frame in frames]
    length = len(bodies)
    count = bytes([0x90 | length]) if length < 16 else b"\xdc" + length.to_bytes(2, "big")
    return b"".join([_MANY, count, *bodies])


# ---- what is signed ---------------------------------------------------------------------------------


class Statement(
    Struct, array_like=True, forbid_unknown_fields=True, gc=False, frozen=True, tag="mt5crs.request"
):
    protocol: int
    gateway: bytes
    account: str
    signer: str
    nonce: bytes
    time: int
    id: int
    op: str
    args: list[Any]
    deadline: int
    epoch: int
    key: str


statement = _encode
"""Return the bytes of a statement."""
