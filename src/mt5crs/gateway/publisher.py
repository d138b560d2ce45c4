"""The stream socket: grants wishes to subscribe, publishes, and starts again when somebody is shut out.

It is an XPUB in manual mode: nobody is subscribed to anything unless we say so, for the connection that the
latest wish came from. Which of its connections is whose it does not tell, so to shut one out all are closed.

Each connection has a queue of so many messages. Where one is full the message goes to the others, so nobody
waits for who is slow. That is counted once in each stretch of loss: until half of a full queue was taken the
transport does not tell what else its subscriber misses, who learns it from the numbers of what comes next.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import zmq

from mt5crs.errors import SettingError
from mt5crs.gateway.floods import Floods
from mt5crs.gateway.streams import Streams
from mt5crs.gateway.transfers import Frames
from mt5crs.security.policy import Principal
from mt5crs.wire.topics import SUBSCRIBE

if TYPE_CHECKING:
    from collections import defaultdict

log = logging.getLogger(__name__)

Socket: TypeAlias = zmq.Socket[bytes]

WISH_LIMIT = 512
"""Bytes of a wish, and of a message of the handshake; a longer one ends its connection."""
WISHES = 8
"""Wishes that wait in the transport's queue of one connection; beyond it the connection is not read. Few: all
of them are taken in at once, and while many are, more of them come."""
BUDGET = 0.002
"""Seconds for which wishes are taken in one turn; one that takes longer is the last one of its turn."""
ATTEMPTS, PAUSE = 50, 0.002
"""How often the port is tried in one go, and the pause between, in seconds: a socket that was closed lets go
of its port a moment later."""
SPARE = 16
"""Descriptors that must be there before a socket is made and bound."""

_NOBLOCK = int(zmq.NOBLOCK)
_AHEAD = int(zmq.SNDMORE | zmq.NOBLOCK)

_now = time.monotonic


class Taken(NamedTuple):
    """What came of taking wishes.

    Attributes:
        refused: How many were refused.
        is_all: Whether no more were there.
        is_flood: Whether far too many come.
        flooding: Whose they are, where that is known.
    """

    refused: int
    is_all: bool
    is_flood: bool = False
    flooding: Principal | None = None


class Publisher:
    """The stream socket.

    Args:
        make: Makes a socket of a kind, with keys where the gateway has them.
        bind: Binds a socket to a port; returns the port.
        port: The port; 0 for any free one.
        queue: Messages that wait for one subscriber at most.
        counters: Where `dropped-messages` is counted.

    Attributes:
        socket: The socket; another one after `start_again`.
        port: Its port.

    Raises:
        SettingError: The port is taken.
    """

    def __init__(
        self,
        make: Callable[[int], Socket],
        bind: Callable[[Socket, int], int],
        port: int,
        queue: int,
        counters: "defaultdict[str, int]",
    ) -> None:
        self._make = make
        self._bind = bind
        self._queue = queue
        self._counters = counters
        self._take_socket()
        try:
            self.port = bind(self.socket, port)
        except BaseException:
            self.socket.close()
            raise
        self._is_bound = True

    def _take_socket(self) -> None:
        socket = self._make(zmq.XPUB)
        socket.setsockopt(zmq.MAXMSGSIZE, WISH_LIMIT)
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.setsockopt(zmq.SNDHWM, self._queue)
        socket.setsockopt(zmq.RCVHWM, WISHES)
        socket.setsockopt(zmq.XPUB_NODROP, 1)  # a send is refused, whole, where somebody's queue is full
        self.socket = socket
        self._is_closed = False
        self._floods = Floods()  # with its connections went what they had sent
        # Without the wrapper for options of other kinds of socket, which costs as much as it wraps.
        self._send_frame = super(zmq.Socket, socket).send

    def publish(self, frames: Frames) -> None:
        """Send a message to whoever was granted its topic and has room for it."""
        if self._is_closed:
            return
        try:
            self._send(frames)
        except zmq.Again:
            self._counters["dropped-messages"] += 1
            self.socket.setsockopt(zmq.XPUB_NODROP, 0)
            self._send(frames)  # to all but those that are full
            self.socket.setsockopt(zmq.XPUB_NODROP, 1)

    def _send(self, frames: Frames) -> None:
        send = self._send_frame
        for frame in frames[:-1]:
            send(frame, _AHEAD)
        send(frames[-1], _NOBLOCK)

    def take_wishes(self, streams: Streams, who: Callable[[object], Principal | None]) -> Taken:
        """Grant wishes to subscribe, or not, and note those that end, for a little while.

        Args:
            streams: Decides.
            who: Says whose message a frame is; None where the transport itself says that a wish has ended.
        """
        refused, now = 0, _now()
        until = now + BUDGET
        try:
            while now < until:
                received = self.socket.recv(_NOBLOCK, False)
                wish: bytes = received.bytes
                principal = who(received)
                is_new = wish[:1] == SUBSCRIBE
                if is_new:
                    topic = None if principal is None else streams.grant(wish[1:], principal)
                    refused += topic is None
                    option = zmq.SUBSCRIBE
                else:
                    topic, option = streams.give_up(wish[1:]), zmq.UNSUBSCRIBE
                if topic is not None:
                    self.socket.setsockopt(option, topic)  # of the connection that the wish came from
                now = _now()
                if principal is not None and self._floods.is_one(
                    principal.name, len(wish), now, refused=is_new and topic is None
                ):
                    return Taken(refused, False, True, principal)
        except zmq.Again:
            self._floods.is_behind(now, more=False)
            return Taken(refused, True)
        return Taken(refused, False, self._floods.is_behind(now, more=True))

    def close_all(self) -> None:
        """Close all connections; those that still may will come back after `start_again`."""
        self.socket.close(linger=0)
        self._is_bound, self._is_closed = False, True

    def start_again(self) -> bool:
        """Have another socket, where it was closed; return whether there is one.

        Not while strangers use all descriptors up: the transport ends the process if it has none to bind.
        """
        if not _has_room():
            return False
        try:
            self._take_socket()
        except zmq.ZMQError:
            return False
        self.see_to_it()
        return True

    def see_to_it(self) -> None:
        """See that the port is bound; where it cannot be, that is for a later turn."""
        if self._is_bound or self._is_closed or not _has_room():
            return
        for _ in range(ATTEMPTS):
            if self._try():
                return
            time.sleep(PAUSE)
        log.error("streams cannot be published on port %d for now", self.port)

    def _try(self) -> bool:
        try:
            self._bind(self.socket, self.port)
        except SettingError:
            return False
        self._is_bound = True
        return True

    @property
    def is_closed(self) -> bool:
        """Whether there is no socket until `start_again`."""
        return self._is_closed

    def close(self) -> None:
        """Close it; what was published goes out first."""
        self.socket.close()


def _has_room() -> bool:
    """Whether there are descriptors for another socket."""
    taken: list[int] = []
    try:
        for _ in range(SPARE):
            taken.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - what was taken is given back
    except OSError:
        return False
    finally:
        for each in taken:
            os.close(each)
    return True
