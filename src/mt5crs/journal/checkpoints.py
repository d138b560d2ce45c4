"""Checkpoints: now and then the gateway signs where its journal ends, and keeps that in the journal itself.

Who can write the file but does not have the gateway's key can make another chain, but no other checkpoints.
"""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.msgpack import Encoder

DOMAIN = "mt5crs.checkpoint"
"""The first element of what is signed; in no other kind of bytes that anybody signs."""
_encode = Encoder().encode


class Checkpoint(Struct, array_like=True, frozen=True, gc=False, tag=DOMAIN):
    """What a gateway signs.

    Attributes:
        journal: The journal's id.
        account: `login@server`.
        events: How many events stand before the checkpoint.
        link: The last one's link.
        time: When it was made; nanoseconds since the epoch, UTC, on the gateway's clock.
    """

    journal: str
    account: str
    events: int
    link: bytes
    time: int

    def message(self) -> bytes:
        """Return the bytes that are signed."""
        return _encode(self)


class Note(Struct, frozen=True, forbid_unknown_fields=True):
    """What the event of a checkpoint holds: the checkpoint's fields, the public key, and its signature."""

    journal: str
    account: str
    events: int
    link: bytes
    time: int
    key: bytes
    signature: bytes

    @property
    def checkpoint(self) -> Checkpoint:
        """What was signed."""
        return Checkpoint(self.journal, self.account, self.events, self.link, self.time)


def noted(checkpoint: Checkpoint, key: bytes, signed: bytes) -> dict[str, Any]:
    """Return the note of a checkpoint's event.

    Args:
        checkpoint: What was signed.
        key: The public key that goes with the signature.
        signed: The signature with the message behind it.
    """
    signature = signed[: len(signed) - len(checkpoint.message())]
    return {**msgspec.structs.asdict(checkpoint), "key": key, "signature": signature}


def read(note: bytes) -> Note:
    """Return what a checkpoint's event holds.

    Raises:
        MsgspecError: It is not the note of a checkpoint.
    """
    return msgspec.msgpack.decode(note, type=Note)
