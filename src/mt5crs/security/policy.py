"""Roles and what they permit: one table."""

from enum import Enum

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


class Principal:
    """Who asks.

    Args:
        name: The name that the authenticated key has.
        role: What the key is for.

    Attributes:
        kinds: The operations that it may carry out; looked up once, not with every request.
    """

    __slots__ = ("kinds", "name", "role")

    def __init__(self, name: str, role: Role) -> None:
        self.name = name
        self.role = role
        self.kinds = PERMITS[role]


ANONYMOUS = Principal("anonymous", Role.ADMIN)
"""Everybody on a gateway without keys, which binds loopback only."""
