"""Frames to messages and back; whatever the bytes, decoding raises `ProtocolError` or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import MsgspecError, Raw
from msgspec.msgpack import Decoder, Encoder

from mt5crs.errors import BridgeError, ProtocolError, VersionMismatch
from mt5crs.wire.messages import (
    GREW,
    OLDEST,
    PROTOCOL,
    SPEAKS,
    Message,
    OnStream,
    Refusal,
    ToClient,
    ToGateway,
)

MAGIC = b"MT5"
HEADER = MAGIC + bytes([OLDEST])
"""Three letters and the version: that of nearly all frames, which all peers read."""
NEW_HEADER = MAGIC + bytes([PROTOCOL])
"""That of a message in a form which `OLDEST` does not have."""
HEADER_LENGTH = len(HEADER)

OF_MANY = 16
"""Bytes that a `Many` takes at most besides its messages."""
_MANY = HEADER + b"\x92\xa4many"

_encode = Encoder().encode
_fields = Decoder(list[Raw]).decode

# What msgspec lets through besides its own errors: nesting too deep, maps with unhashable keys,
# timestamps out of range.
_MALFORMED = (MsgspecError, RecursionError, TypeError, ValueError, OverflowError)


def encode(message: Message) -> bytes:
    """Return the frame of a message, in the oldest form that says all of it.

    Raises:
        TypeError: The message holds a value that msgpack cannot carry.
        OverflowError: It holds an integer of more than 64 bits.
    """
    return _grown(message) if type(message) in GREW else HEADER + _encode(message)


def _grown(message: Message) -> bytes:
    """Return the frame of a message with new fields: in its old form where they say nothing."""
    had, names = GREW[type(message)], message.__struct_fields__
    values = [getattr(message, name) for name in names]
    if values[had:] != list(message.__struct_defaults__[had - len(names) :]):
        return NEW_HEADER + _encode(message)
    return HEADER + _encode([message.__struct_config__.tag, *values[:had]])


def _part_reader(messages: Any) -> Callable[..., Any]:
    decode = Decoder(messages).decode

    def read(part: Any, frame: bytes = HEADER) -> Any:
        try:
            message = decode(part)
        except _MALFORMED as error:
            raise _malformed(error) from error
        if type(message) in GREW:
            _check_form(message, part, frame)
        return message

    return read


def _reader(messages: Any) -> Callable[[bytes], Any]:
    decode = Decoder(messages).decode

    def read(frame: bytes) -> Any:
        if frame[:HEADER_LENGTH] != HEADER and not frame.startswith(NEW_HEADER):
            raise _not_a_frame(frame)
        try:
            message = decode(frame[HEADER_LENGTH:])
        except _MALFORMED as error:
            raise _malformed(error) from error
        if type(message) in GREW:
            _check_form(message, frame[HEADER_LENGTH:], frame)
        return message

    return read


to_gateway: Callable[[bytes], ToGateway] = _reader(ToGateway)
"""Return the message of a frame sent to a gateway, or raise `ProtocolError`."""
to_client: Callable[[bytes], ToClient] = _reader(ToClient)
"""Return the message of a frame sent to a client, or raise `ProtocolError`."""
part_to_gateway: Callable[..., ToGateway] = _part_reader(ToGateway)
"""Return a message of a `Many` sent to a gateway, read as its frame is, or raise `ProtocolError`."""
part_to_client: Callable[..., ToClient] = _part_reader(ToClient)
"""Return a message of a `Many` sent to a client, read as its frame is, or raise `ProtocolError`."""
on_stream: Callable[[bytes], OnStream] = _reader(OnStream)
"""Return the message of a frame published on a stream, or raise `ProtocolError`."""


def _check_form(message: Message, encoded: Any, frame: bytes) -> None:
    """Refuse in a frame of `OLDEST` what its message does not have there, as its older readers do."""
    surplus = len(_fields(encoded)) - 1 - GREW[type(message)]
    if surplus > 0 and frame.startswith(HEADER):
        name = message.__struct_config__.tag
        raise ProtocolError(
            f"malformed message: {surplus} more fields than {name} has in protocol {OLDEST}",
            hint=f"a frame with them has version {PROTOCOL}; see docs/protocol.md",
        )


def join(frames: Sequence[bytes]) -> bytes:
    """Return the frame of a `Many`: the messages of some frames as they are, nothing is encoded again.

    Args:
        frames: Frames with `HEADER`; a message in a newer form is sent alone.
    """
    bodies = [frame[HEADER_LENGTH:] for frame in frames]
    length = len(bodies)
    count = bytes([0x90 | length]) if length < 16 else b"\xdc" + length.to_bytes(2, "big")  # msgpack's own
    return b"".join([_MANY, count, *bodies])


def refusal(correlation: int, error: BridgeError) -> Refusal:
    """Return the message that tells a client of an error."""
    return Refusal(correlation, error.code, error.message, error.hint, error.certainty.value)


def _not_a_frame(frame: bytes) -> ProtocolError:
    if not frame.startswith(MAGIC) or len(frame) < HEADER_LENGTH:
        return ProtocolError(
            f"{len(frame)} bytes that do not start with {MAGIC.decode()} and a version",
            hint="a peer that speaks another protocol is connected to this port; see docs/protocol.md",
        )
    theirs = frame[len(MAGIC)]
    return VersionMismatch(
        f"the peer speaks protocol {theirs}, this side speaks {', '.join(map(str, SPEAKS))}",
        hint=f"upgrade {'this' if theirs > PROTOCOL else 'the other'} side of the bridge",
    )


def _malformed(error: Exception) -> ProtocolError:
    return ProtocolError(
        f"malformed message: {str(error) or type(error).__name__}", hint="see docs/protocol.md for its form"
    )
