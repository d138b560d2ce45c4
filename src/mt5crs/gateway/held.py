"""Requests that the terminal answers later."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from mt5crs.errors import Busy
from mt5crs.gateway.transfers import Frames
from mt5crs.operation import Result
from mt5crs.terminal.port import Deferred

PER_PEER = 256
"""Requests of one connection that wait for the terminal at a time."""


class _Waiting(NamedTuple):
    """A request that waits: until when, for what, and how it takes it."""

    until: float
    deferred: Deferred
    take: Callable[[Result], None]


class Held:
    """What the terminal has in hand, by connection.

    Attributes:
        waiting: What is waited for, by connection and request.
        ready: Messages for connections whose answers have come; the driver sends them.
    """

    def __init__(self) -> None:
        self.waiting: dict[tuple[bytes, int], _Waiting] = {}
        self.ready: deque[tuple[bytes, Frames]] = deque()

    def __contains__(self, request: tuple[bytes, int]) -> bool:
        return request in self.waiting

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def make_room(self, peer: bytes) -> None:
        """See that one more request of a connection can wait.

        Raises:
            Busy: Too many wait already.
        """
        if len(self.in_hand(peer)) >= PER_PEER:
            raise Busy(f"{PER_PEER} requests of this connection wait for the terminal already")

    def add(
        self, peer: bytes, id_: int, until: float, deferred: Deferred, answer: Callable[[Result], Frames]
    ) -> None:
        """Hold a request until its answer comes.

        Args:
            peer: The connection.
            id_: The request.
            until: Seconds on the gateway's clock after which nobody waits for it any more.
            deferred: The answer to come.
            answer: Makes the message of it.
        """

        def take(result: Result) -> None:
            if self.waiting.pop((peer, id_), None) is not None:
                self.ready.append((peer, answer(result)))

        self.waiting[peer, id_] = _Waiting(until, deferred, take)
        deferred.then(take)

    def peers(self) -> set[bytes]:
        """Return the connections that wait for something."""
        return {peer for peer, _ in self.waiting}

    def in_hand(self, peer: bytes) -> list[int]:
        """Return the ids of a connection's requests."""
        return [id_ for owner, id_ in self.waiting if owner == peer]

    def drop(self, peer: bytes, id_: int) -> None:
        """Forget a request; its answer is not sent."""
        waiting = self.waiting.pop((peer, id_), None)
        if waiting is not None:
            waiting.deferred.forget(waiting.take)

    def drop_peer(self, peer: bytes) -> None:
        """Forget all requests of a connection."""
        for id_ in self.in_hand(peer):
            self.drop(peer, id_)

    def sweep(self, now: float) -> None:
        """Forget the requests that nobody waits for any more."""
        for request in [request for request, waiting in self.waiting.items() if waiting.until < now]:
            self.drop(*request)
