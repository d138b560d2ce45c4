"""Signed requests: who signed them, for whom and when, and that none is taken twice.

Nothing is remembered of a request before its signature has proved right. A gateway process that is started
again has another epoch, which is signed too, so what an earlier one took is refused without a memory on disk.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from msgspec import MsgspecError
from msgspec.msgpack import Decoder

from mt5crs.errors import (
    BadSignature,
    Busy,
    ClockSkew,
    Denied,
    KeyRefused,
    ProtocolError,
    Replayed,
    StaleEpoch,
)
from mt5crs.gateway.access import Access
from mt5crs.operation import SIGNED
from mt5crs.security.policy import Principal
from mt5crs.statement import FORM, NONCE, Statement
from mt5crs.wire.messages import Ask, Signed

WINDOW = 30.0
"""Seconds that a request's time may differ from the gateway's, either way."""
ROOM = 32_768
"""Requests of one key that are remembered at a time: those of one window."""
SECOND = 1000
"""Milliseconds."""

SAID = ("form of statement", "gateway", "account", "key", "request", "length of nonce")
"""What a statement says that must be so, in the order in which it is looked at."""

_statement = Decoder(Statement).decode


class Nonces:
    """What came within the window, by the second in which it was signed.

    Args:
        window: Seconds.
        room: How many of one key are remembered at most.
    """

    def __init__(self, window: float = WINDOW, room: int = ROOM) -> None:
        self._window = int(window * SECOND)
        self._room = room
        self._seen: dict[int, set[tuple[str, bytes]]] = {}
        self._counts: Counter[str] = Counter()  # by key
        self._floor = 0  # seconds up to which what came is forgotten: nothing of before is taken any more

    def __len__(self) -> int:
        return self._counts.total()

    def take(self, key: str, nonce: bytes, at: int, now: int) -> None:
        """Remember a nonce.

        Args:
            key: The id of the key that signed it.
            nonce: The nonce.
            at: When it was signed, in milliseconds since the epoch.
            now: The time.

        Raises:
            ClockSkew: It was not signed within the window.
            Replayed: It came before.
            Busy: There is no room.
        """
        second = at // SECOND
        self._forget((now - self._window) // SECOND)
        if abs(now - at) > self._window:
            raise _skew(at, now, self._window)
        if second < self._floor:
            back = (self._floor * SECOND - now + self._window) / SECOND
            raise ClockSkew(
                f"the gateway's clock was set back, by {back:.0f} s",
                hint="start the gateway again, or wait: what is signed before its old time is not taken",
            )
        seen = self._seen.setdefault(second, set())
        one = key, nonce
        if one in seen:
            raise Replayed("this request has come before", hint="sign each copy anew, under its key")
        if self._counts[key] >= self._room:  # of this key alone: it keeps nobody else from asking
            raise Busy(f"{self._room} signed requests came within {2 * self._window // SECOND} s")
        seen.add(one)
        self._counts[key] += 1

    def _forget(self, before: int) -> None:
        if before <= self._floor:
            return
        self._floor = before
        for second in [second for second in self._seen if second < before]:
            self._counts -= Counter(key for key, _ in self._seen.pop(second))


def _skew(at: int, now: int, window: int) -> ClockSkew:
    ahead = (at - now) / SECOND
    theirs = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now // SECOND))
    return ClockSkew(
        f"the request was signed {abs(ahead):.1f} s {'after' if ahead > 0 else 'before'} the gateway's time,"
        f" {theirs} UTC; {window // SECOND} s are allowed"
    )


class Bound(NamedTuple):
    """What a statement must say of this gateway: what was signed for another one is worth nothing here.

    Attributes:
        gateway: The gateway's public signing key.
        account: Its account, as `login@server`.
        epoch: This gateway process.
    """

    gateway: bytes
    account: str
    epoch: int


class Signatures:
    """Takes signed requests.

    Args:
        access: Knows whose keys are known.
        bound: What they must be bound to.
        clock: Nanoseconds since the epoch, UTC.
    """

    def __init__(self, access: Access, bound: Bound, clock: Callable[[], int] = time.time_ns) -> None:
        from mt5crs.security.signing import opened

        self._opened = opened
        self._access = access
        self._bound = bound
        self._clock = clock
        self._nonces = Nonces()

    def take(self, signed: Signed, principal: Principal) -> Ask:
        """Return the request that was signed.

        Args:
            signed: What came.
            principal: Whose connection it came on.

        Raises:
            Denied: The principal's role signs nothing.
            KeyRefused: The principal's key is not known any more.
            BadSignature: It was not signed by that key, or for something else.
            StaleEpoch: It was signed for another process of this gateway.
            ClockSkew: It was signed at another time.
            Replayed: It came before.
            ProtocolError: What was signed is not a statement.
        """
        if not principal.kinds & SIGNED:  # before anything is spent on it
            raise Denied(
                f"{principal.name} is {principal.role.value} and may not trade",
                hint="ask the gateway's owner for a key with another role",
            )
        current = self._access.current(principal)
        if current is None:
            raise KeyRefused(f"the key {principal.key_id} of {principal.name} is not known any more")
        if current is not principal:
            raise StaleEpoch(f"{principal.name} has another role than before")
        content = self._opened(signed.content, principal.signing)
        try:
            statement = _statement(content)
        except (MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise ProtocolError(f"what {principal.name} signed is not a statement: {error}") from error
        self._check(statement, signed, principal)
        now = self._clock() // 1_000_000
        self._nonces.take(principal.key_id, statement.nonce, statement.time, now)
        return Ask(
            statement.id, statement.op, statement.args, statement.deadline, statement.epoch, statement.key
        )

    def _check(self, statement: Statement, signed: Signed, principal: Principal) -> None:
        bound = self._bound
        if statement.epoch != bound.epoch:
            raise StaleEpoch("the request was signed for another process of this gateway")
        said = (
            statement.form, statement.gateway, statement.account, statement.signer, statement.id,
            len(statement.nonce),
        )  # fmt: skip
        due = FORM, bound.gateway, bound.account, principal.key_id, signed.id, NONCE
        if said != due:
            wrong = next(name for name, a, b in zip(SAID, said, due, strict=True) if a != b)
            raise BadSignature(
                f"{statement.op} was signed for another {wrong} than this",
                hint="was the gateway moved to another account, or the key file mixed up?",
            )
