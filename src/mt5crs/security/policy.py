"""Roles and what they permit: one table."""

from enum import Enum

from mt5crs import principals
from mt5crs.operation import Kind


class Role(str, Enum):
    """What a key is for."""

    OBSERVER = "observer"
    TRADER = "trader"
    ADMIN = "admin"


PERMITS: dict[Role, frozenset[Kind]] = {
    Role.OBSERVER: frozenset({Kind.READ, Kind.WATCH, Kind.SESSION}),
    Role.TRADER: frozenset({Kind.READ, Kind.WATCH, Kind.SESSION, Kind.TRADE}),
    Role.ADMIN: frozenset(Kind),
}


PRIVATE = frozenset({"trade", "account"})
"""Streams that are for the keys alone that were granted them; the others are for all."""


class Principal:
    """Who asks.

    Args:
        name: The name that the authenticated key has.
        role: What the key is for.
        key_id: Which of the name's keys it is; "" without keys.
        signing: The key's public signing key, 32 bytes; empty without keys.
        streams: The private streams that it was granted.

    Attributes:
        kinds: The operations that it may carry out; looked up once, not with every request.
    """

    __slots__ = ("key_id", "kinds", "name", "role", "signing", "streams")

    def __init__(
        self,
        name: str,
        role: Role,
        key_id: str = "",
        signing: bytes = b"",
        streams: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.role = role
        self.key_id = key_id
        self.signing = signing
        self.streams = streams
        self.kinds = PERMITS[role]


ANONYMOUS = Principal(principals.ANONYMOUS, Role.ADMIN, streams=PRIVATE)
"""Everybody on a gateway without keys, which binds loopback only."""
