"""What a client signs when it trades or administrates, byte for byte.

The statement's first element, its domain, is in no other kind of bytes that anybody signs with the same key.
What binds it (the gateway's key, the account, the nonce, the time, the gateway process) makes it useless
anywhere else and at any other time.
"""

from typing import Any

from msgspec import Struct

DOMAIN = "mt5crs.request"
FORM = 2
"""The number of this form of a statement. It is not the protocol's: a newer one that signs the same keeps it,
so that what was signed before goes on being what it was."""
NONCE = 16
"""Bytes of a nonce."""


class Statement(Struct, array_like=True, forbid_unknown_fields=True, gc=False, frozen=True, tag=DOMAIN):
    """A request as its client signs it.

    Attributes:
        form: `FORM`.
        gateway: The gateway's public signing key, 32 bytes.
        account: The account that the request is for, as `login@server`.
        signer: The id of the client's key.
        nonce: `NONCE` random bytes, new for each copy.
        time: Milliseconds since the epoch, UTC, on the client's clock.
        id: Correlation id, as all that follows as in `mt5crs.wire.messages.Ask`.
        op: The operation's name.
        args: Its arguments.
        deadline: When it is to be dropped.
        epoch: The gateway process; never 0.
        key: Idempotency key of a trade.
    """

    form: int
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
