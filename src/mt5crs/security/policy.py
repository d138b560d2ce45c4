"""Roles and what they permit: one table."""

from enum import Enum
from typing import NamedTuple

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


class Principal(NamedTuple):
    """Who asks: the name that an authenticated key has, and its role."""

    name: str
    role: Role

    def may(self, kind: Kind) -> bool:
        """Say whether this principal may carry out operations of a kind."""
        return kind in PERMITS[self.role]


ANONYMOUS = Principal("anonymous", Role.ADMIN)
"""Everybody on a gateway without keys, which binds loopback only."""
