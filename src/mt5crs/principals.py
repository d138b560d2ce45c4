"""The names under which the gateway itself appears among those who ask; no client can have them."""

GATEWAY = "gateway"
"""What the gateway notes of itself."""
GUARD = "guard"
"""Orders that the gateway makes itself; nobody signs them."""
ANONYMOUS = "anonymous"
"""Everybody, on a gateway without keys."""
OWN = frozenset({GATEWAY, GUARD, ANONYMOUS})
