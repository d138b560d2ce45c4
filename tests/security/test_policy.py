"""Who may do what: the table in full."""

import pytest

from mt5crs.operation import Kind
from mt5crs.security.policy import ANONYMOUS, PERMITS, Principal, Role

TABLE = {
    Role.OBSERVER: {
        Kind.READ: True,
        Kind.WATCH: True,
        Kind.SESSION: True,
        Kind.TRADE: False,
        Kind.ADMIN: False,
    },
    Role.TRADER: {Kind.READ: True, Kind.WATCH: True, Kind.SESSION: True, Kind.TRADE: True, Kind.ADMIN: False},
    Role.ADMIN: dict.fromkeys(Kind, True),
}


@pytest.mark.parametrize(("role", "kind"), [(role, kind) for role in Role for kind in Kind])
def test_permissions(role: Role, kind: Kind) -> None:
    assert (kind in Principal("x", role).kinds) is TABLE[role][kind]


def test_every_role_has_its_row() -> None:
    assert set(PERMITS) == set(Role)


def test_a_gateway_without_keys_trusts_its_own_machine() -> None:
    assert Kind.TRADE in ANONYMOUS.kinds
