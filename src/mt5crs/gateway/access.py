"""Who may connect, and who is who: decided before a byte of payload is read.

The transport asks for each connection (RFC 27, the ZeroMQ authentication protocol). A key's id becomes the
connection's `User-Id`, which the server reads from every message, so that a key that is taken away means
nothing from the next message on.
"""

import time
from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from mt5crs.security.policy import ANONYMOUS, Principal

if TYPE_CHECKING:
    from mt5crs.security.ring import KeyRing

ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN, STREAMS = b"mt5crs", b"mt5crs.streams"
"""What the transport calls the command socket and the stream socket when it asks."""
VERSION = b"1.0"
GRANTED = b"200"
BARRED = b"300"
"""Not now: the peer is told nothing, and tries again by itself."""
REFUSED = b"400"


class Change(NamedTuple):
    """How the keys that are known have changed.

    Attributes:
        let_in: The names of keys that are new, or mean something else now.
        shut_out: The names of keys that are gone, or mean something else now.
    """

    let_in: list[str]
    shut_out: list[str]


class Access:
    """Who may connect.

    Args:
        ring: The keys that are known; None for a gateway without keys.
        admits: Says whether an address may connect.
        clock: Seconds.
    """

    def __init__(
        self,
        ring: "KeyRing | None",
        admits: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._admits = admits
        self._clock = clock
        self._barred: dict[str, float] = {}  # until when, by the keys' ids
        self._known: dict[str, Principal] = {} if ring is None else dict(ring.by_id)

    @property
    def mechanism(self) -> bytes:
        """The ZeroMQ mechanism that a connection must use."""
        return b"NULL" if self._ring is None else b"CURVE"

    @property
    def by_id(self) -> Mapping[str, Principal] | None:
        """Who has which key, by the keys' ids; None for a gateway without keys."""
        return None if self._ring is None else self._ring.by_id

    def current(self, principal: Principal) -> Principal | None:
        """Return who a principal is after one more look at the keys; None where its key is not known."""
        if self._ring is None:
            return principal
        self._ring.refresh()
        return self._ring.by_id.get(principal.key_id)

    def look(self) -> "Change | None":
        """Look at the keys again; return what has changed since the last time, None where nothing has."""
        if self._ring is None:
            return None
        self._ring.refresh()
        if self._known == self._ring.by_id:
            return None
        before, self._known = self._known, dict(self._ring.by_id)
        out = {each.name for key_id, each in before.items() if self._known.get(key_id) is not each}
        let_in = {each.name for key_id, each in self._known.items() if before.get(key_id) is not each}
        return Change(sorted(let_in), sorted(out))

    def bar(self, key_id: str, seconds: float) -> None:
        """Let nobody with a key connect to the stream socket for a while."""
        now = self._clock()
        self._barred = {each: until for each, until in self._barred.items() if until > now}
        self._barred[key_id] = now + seconds

    def answer(self, frames: list[bytes]) -> list[bytes]:
        """Return the reply to a request of the transport.

        Args:
            frames: version, request id, domain, address, identity, mechanism; with CURVE the raw public key.
        """
        if len(frames) < 2 or frames[0] != VERSION:
            return _reply(frames[1] if len(frames) > 1 else b"", b"500", "not a ZAP 1.0 request")
        request = frames[1]
        if len(frames) < 6 or frames[2] not in {DOMAIN, STREAMS} or frames[5] != self.mechanism:
            return _reply(request, REFUSED, f"{self.mechanism.decode()} is required")
        if not self._admits(frames[3].decode(errors="replace")):
            return _reply(request, REFUSED, "address not allowed")
        if self._ring is None:
            return _reply(request, GRANTED, "OK", ANONYMOUS.name)
        principal = self._principal(frames[6:])
        if principal is None:
            return _reply(request, REFUSED, "unknown key")
        if frames[2] == STREAMS and self._barred.get(principal.key_id, -inf) > self._clock():
            return _reply(request, BARRED, "it has flooded the streams")
        return _reply(request, GRANTED, "OK", principal.key_id)

    def _principal(self, credentials: list[bytes]) -> Principal | None:
        from zmq.utils import z85

        if self._ring is None or len(credentials) != 1 or len(credentials[0]) != 32:
            return None
        self._ring.refresh()
        return self._ring.by_curve.get(z85.encode(credentials[0]))


def _reply(request: bytes, status: bytes, text: str, user: str = "") -> list[bytes]:
    return [VERSION, request, status, text.encode(), user.encode(), b""]
